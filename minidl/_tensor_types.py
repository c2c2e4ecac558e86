"""PyTorch's old names for tensors of one dtype: ``LongTensor([1, 2])``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl._tensor import Tensor
from minidl.backend import as_dtype

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "Size",
]


class TensorType:
    """Tensors of one dtype: called with data or sizes it makes one, and it stands for the dtype in a cast.

    Parameters
    ----------
    dtype : dtype

    Examples
    --------
    >>> import minidl
    >>> minidl.LongTensor([1, 2])
    tensor([1, 2])
    >>> minidl.ones(2).type(minidl.LongTensor)
    tensor([1, 1])
    >>> isinstance(minidl.ones(2), minidl.LongTensor)
    False

    References
    ----------
    ``torch.LongTensor`` and the like.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, *data: Any) -> Tensor:
        return Tensor(*data, dtype=self.dtype)

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype == self.dtype

    def __repr__(self) -> str:
        return f"<tensors of {self.dtype}>"


FloatTensor = TensorType(np.float32)
DoubleTensor = TensorType(np.float64)
HalfTensor = TensorType(np.float16)
LongTensor = TensorType(np.int64)
IntTensor = TensorType(np.int32)
ShortTensor = TensorType(np.int16)
ByteTensor = TensorType(np.uint8)
BoolTensor = TensorType(np.bool_)

#: A shape is a plain tuple.
Size = tuple
