"""Scans: running sums and products along an axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation, Variable, cast
from minidl.backend import namespace, quiet
from minidl.ops.arguments import normalize_axis, takes_tensors
from minidl.ops.indexing import put_add
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["cumprod", "cumsum"]


class Cumsum(Operation):
    @quiet
    def forward(self, x: Any, axis: int, reverse: bool = False) -> Any:
        xp = self.xp
        self.axis, self.reverse = axis, reverse
        dtype = None if x.dtype.kind == "f" else "int64"
        if not reverse:
            return xp.cumsum(x, axis=axis, dtype=dtype)
        return xp.flip(xp.cumsum(xp.flip(x, axis), axis=axis, dtype=dtype), axis)

    def backward(self, grad: Any) -> Any:
        return Cumsum.apply(grad, axis=self.axis, reverse=not self.reverse)


@takes_tensors("x", dim="axis")
def cumsum(x: Any, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    r"""Return the running sums along an axis.

    .. math:: y_k = \sum_{i \le k} x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int or None
        Along which axis; None flattens ``x`` first, as in NumPy. PyTorch's ``dim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first. Integers and booleans are summed as int64.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.cumsum(minidl.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])

    References
    ----------
    ``numpy.cumsum``, ``torch.cumsum``.
    """
    return _scan("cumsum", Cumsum, x, axis, dtype)


class Cumprod(Operation):
    @quiet
    def forward(self, x: Any, axis: int) -> Any:
        self.save(x)
        self.axis = axis
        return self.xp.cumprod(x, axis=axis, dtype=None if x.dtype.kind == "f" else "int64")

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        shape, axis = x.shape, self.axis
        if shape[axis] == 0:
            return grad
        lines = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
        x, grad = x.reshape(lines), grad.reshape(lines)
        # x_i is a factor of y_i, y_{i+1}, ...: its gradient is y_{i-1} s_i with s_i = g_i + x_{i+1} s_{i+1}
        before = _shifted(cumprod(x, 1), 1, first=1)
        return (before * _suffix_sums(grad, _shifted(x, -1))).reshape(shape)


def _shifted(x: Any, by: int, first: float = 0) -> Any:
    """Move (B, N, A) along the middle axis, towards the end if ``by`` is positive; what comes in is ``first``."""
    n = x.shape[1]
    by = max(-n, min(n, by))
    if by < 0:
        return put_add(x[:, -by:], (slice(None), slice(0, n + by)), x.shape)
    moved = put_add(x[:, : n - by], (slice(None), slice(by, n)), x.shape)
    if not first:
        return moved
    start = namespace(x.array if isinstance(x, Variable) else x).zeros(x.shape, x.dtype)
    start[:, :by] = first
    return moved + start


def _suffix_sums(s: Any, factor: Any) -> Any:
    """Solve s_i = g_i + factor_i s_{i+1} for all i, by doubling the distance that each s_i reaches (Hillis-Steele)."""
    reach = 1
    while reach < s.shape[1]:
        s = s + factor * _shifted(s, -reach)
        factor = factor * _shifted(factor, -reach)
        reach *= 2
    return s


@takes_tensors("x", dim="axis")
def cumprod(x: Any, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    r"""Return the running products along an axis.

    .. math:: y_k = \prod_{i \le k} x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int or None
        Along which axis; None flattens ``x`` first, as in NumPy. PyTorch's ``dim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first. Integers and booleans are multiplied as int64.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.cumprod(minidl.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])

    References
    ----------
    ``numpy.cumprod``, ``torch.cumprod``; W. D. Hillis and G. L. Steele, "Data parallel algorithms", 1986.
    """
    return _scan("cumprod", Cumprod, x, axis, dtype)


def _scan(name: str, operation: type[Operation], x: Any, axis: int | None, dtype: Any) -> Any:
    if dtype is not None:
        x = cast(x, dtype)
    if axis is None:
        return operation.apply(reshape(x, math.prod(x.shape)), axis=0)
    axis = normalize_axis(axis, x.ndim, name)
    if not x.shape:
        return reshape(operation.apply(reshape(x, 1), axis=0), ())
    return operation.apply(x, axis=axis)
