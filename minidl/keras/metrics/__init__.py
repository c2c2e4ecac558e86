"""Metrics under Keras's names: its arguments, defaults and numbers over :mod:`minidl.training.metrics`."""

from minidl.keras.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from minidl.keras.metrics.accuracies import *
from minidl.keras.metrics.by_shape import *
from minidl.keras.metrics.confusions import *
from minidl.keras.metrics.from_losses import *
from minidl.keras.metrics.metric import *
from minidl.keras.metrics.scores import *
