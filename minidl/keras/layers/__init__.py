"""Layers with Keras's names, arguments, defaults and numbers."""

from minidl.keras.layer import Layer
from minidl.keras.layers.activation_layers import *
from minidl.keras.layers.convolutional import *
from minidl.keras.layers.core import *
from minidl.keras.layers.input_layer import Input, InputLayer
from minidl.keras.layers.merging import *
from minidl.keras.layers.normalization import *
from minidl.keras.layers.pooling import *
from minidl.keras.layers.preprocessing import *
from minidl.keras.layers.recurrent import *
from minidl.keras.layers.regularization import *
from minidl.keras.layers.reshaping import *
from minidl.keras.layers.wrappers import *
