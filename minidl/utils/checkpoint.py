"""PyTorch's place for :func:`minidl.checkpoint`."""

from minidl.autograd import checkpoint

__all__ = ["checkpoint"]
