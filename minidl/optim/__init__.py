"""Optimisers, and schedules for their learning rates."""

from minidl.optim import lr_scheduler
from minidl.optim.adagrad import Adadelta, AdaGrad, Adagrad
from minidl.optim.adam import Adam, AdamW
from minidl.optim.adam_variants import Adamax, NAdam, RAdam
from minidl.optim.ftrl import Ftrl
from minidl.optim.lion import Lion
from minidl.optim.optimizer import Optimizer
from minidl.optim.rmsprop import RMSprop
from minidl.optim.sgd import SGD

__all__ = [
    "SGD",
    "AdaGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
]
