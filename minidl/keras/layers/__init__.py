"""Layers with Keras's names, arguments, defaults and numbers."""

from minidl.keras.layer import Layer
from minidl.keras.layers.input_layer import Input, InputLayer
