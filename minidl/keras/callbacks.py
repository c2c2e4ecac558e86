"""Callbacks with Keras's names: they are those of :mod:`minidl.training.callbacks`."""

from minidl.training.callbacks import *
