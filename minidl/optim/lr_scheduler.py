"""PyTorch's name for :mod:`minidl.optim.schedules`."""

from minidl.optim.schedules import *  # noqa: F403
from minidl.optim.schedules import __all__  # noqa: F401
