"""PyTorch's name for :mod:`minidl.data`."""

from minidl.data import *  # noqa: F403
from minidl.data import __all__  # noqa: F401
