"""Where PyTorch keeps :mod:`minidl.data` and :func:`minidl.checkpoint`: names only."""

from minidl.utils import checkpoint, data
