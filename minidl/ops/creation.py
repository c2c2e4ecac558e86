"""Creation: tensors from data, constants, ranges and random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Variable, wrap
from minidl.autograd.variable import check_may_require_grad
from minidl.backend import CPU, Device, as_dtype, default_dtype, is_array, namespace, to_device
from minidl.errors import DTypeError, ShapeError
from minidl.ops.arguments import as_sizes

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["full", "tensor"]


def as_array(data: Any, dtype: Any = None, device: Any = None, copy: bool = True) -> Any:
    """Return ``data`` (a tensor, an array, a number, nested lists of these) as an array of the engine's.

    Python floats take the default dtype, Python ints int64; arrays and tensors keep theirs.

    Raises
    ------
    ShapeError
        If nested lists are ragged.
    DTypeError
        If ``data`` is not numeric.
    """
    if isinstance(data, Variable):
        data = data.array
    if not is_array(data):
        typed = isinstance(data, np.generic) or hasattr(data, "__array__") or hasattr(data, "__dlpack__")
        if isinstance(data, (list, tuple)) and any(isinstance(x, Variable) for x in _leaves(data)):
            data = _plain(data)
        try:
            data = np.asarray(data)
        except ValueError:
            raise ShapeError(
                "tensor: the nested lists are ragged: all lists at one depth must have the same length"
            ) from None
        if not typed and dtype is None and data.dtype == np.float64:
            dtype = default_dtype()
        copy = copy and typed
    if data.dtype.kind not in "fiub":
        raise DTypeError(
            f"tensor: cannot make a tensor of {data.dtype}; expected numbers or booleans (nested lists of them)"
        )
    wanted = as_dtype(dtype) if dtype is not None else as_dtype(data.dtype)
    target = Device(device) if device is not None else None
    moved = to_device(data, target) if target is not None else data
    if moved.dtype != wanted:
        return moved.astype(wanted)
    return namespace(moved).array(moved) if copy and moved is data else moved


def _leaves(data: Any) -> Any:
    for x in data:
        if isinstance(x, (list, tuple)):
            yield from _leaves(x)
        else:
            yield x


def _plain(data: Any) -> Any:
    """Replace the tensors in nested lists by arrays."""
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data]
    return data.array if isinstance(data, Variable) else data


def make(array: Any, requires_grad: bool = False) -> Tensor:
    """Wrap a new array as a leaf."""
    if requires_grad:
        check_may_require_grad(array)
    out = wrap(array)
    if requires_grad:
        out._requires_grad = True
    return out


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of ``data``.

    .. math:: y = x

    Parameters
    ----------
    data : number, nested lists, array or Tensor, any shape
    dtype : dtype, optional
        Defaults to float32 for Python floats, int64 for Python ints, and the dtype of an array.
    device : Device or str, optional
        Where it shall live; the device of ``data`` if left out.
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, the shape of ``data``

    Raises
    ------
    ShapeError
        If nested lists are ragged.
    DTypeError
        If ``data`` is not numeric.
    GradError
        If gradients of a tensor of integers are asked for.

    Examples
    --------
    >>> import minidl
    >>> minidl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])

    References
    ----------
    ``torch.tensor``, ``numpy.array``.
    """
    return make(as_array(data, dtype, device), requires_grad)


def full(
    *size: Any, fill_value: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a new tensor in which every element is ``fill_value``.

    .. math:: y_i = c

    Parameters
    ----------
    *size : one sequence of ints and the value, or the sizes with ``fill_value=``
    fill_value : number
    dtype : dtype, optional
        Defaults to what :func:`tensor` makes of ``fill_value``.
    device : Device or str, optional
    requires_grad : bool

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.full((2,), 7)
    tensor([7, 7])

    References
    ----------
    ``torch.full``, ``numpy.full``.
    """
    if fill_value is None:
        *sizes, fill_value = size
    else:
        sizes = list(size)
    value = as_array(fill_value, dtype)
    shape = _shape(sizes, "full")
    return make(to_device(np.full(shape, value), Device(device or CPU)), requires_grad)


def _shape(size: Any, name: str) -> tuple[int, ...]:
    shape = as_sizes(size, name)
    if any(s < 0 for s in shape):
        raise ShapeError(f"{name}: sizes must not be negative, got {shape}")
    return shape
