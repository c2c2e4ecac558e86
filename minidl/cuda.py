"""PyTorch's name of :mod:`minidl.gpu`, for code that asks ``torch.cuda``."""

from minidl.gpu import *  # noqa: F403
from minidl.gpu import __all__ as __all__
