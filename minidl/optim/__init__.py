"""Optimisers, schedules for their learning rates, and gradient clipping."""

from minidl.optim import lr_scheduler
from minidl.optim.adagrad import Adadelta, AdaGrad, Adagrad
from minidl.optim.adam import Adam, AdamW
from minidl.optim.adam_variants import Adamax, NAdam, RAdam
from minidl.optim.clip import clip_grad_norm_, clip_grad_value_
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
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]
