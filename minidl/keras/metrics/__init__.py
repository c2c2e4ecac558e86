"""Metrics under Keras's names: its arguments, defaults and numbers over :mod:`minidl.training.metrics`."""

from minidl.keras.metrics.accuracies import *
from minidl.keras.metrics.by_shape import *
from minidl.keras.metrics.confusions import *
from minidl.keras.metrics.from_losses import *
from minidl.keras.metrics.metric import *
from minidl.keras.metrics.scores import *
