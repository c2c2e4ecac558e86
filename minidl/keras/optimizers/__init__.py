"""Optimisers and learning-rate schedules under Keras's names, over the rules of :mod:`minidl.optim`."""

from minidl.keras.optimizers import schedules
from minidl.keras.optimizers.adam import Adam, Adamax, AdamW, Nadam
from minidl.keras.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from minidl.keras.optimizers.gradient import SGD, Ftrl, Lion
from minidl.keras.optimizers.lookup import deserialize, get, serialize
from minidl.keras.optimizers.optimizer import Optimizer
from minidl.keras.optimizers.values import OptimizerVariable

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "OptimizerVariable",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
