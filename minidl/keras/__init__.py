"""The Keras dialect: Keras 3's names, defaults and numbers, a thin skin over minidl's engine.

``from tensorflow.keras.layers import Dense`` becomes ``from minidl.keras.layers import Dense``, and
``import tensorflow as tf`` becomes ``import minidl as tf``. Everything computes in :mod:`minidl.ops`, trains in
:mod:`minidl.training` and steps in :mod:`minidl.optim`; what is here gives it Keras's names and Keras's layouts.
"""

from minidl.keras import (
    activations,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    saving,
    utils,
)
from minidl.keras.layer import Layer
from minidl.keras.layers import Input
from minidl.keras.losses import Loss
from minidl.keras.metrics import Metric
from minidl.keras.models import Model, Sequential
from minidl.keras.optimizers import Optimizer
from minidl.keras.symbolic import KerasTensor
from minidl.keras.variable import Variable
