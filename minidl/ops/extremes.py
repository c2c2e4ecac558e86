"""Extremes: the largest, the smallest and the middle element over some axes, and where they stand.

``max``, ``min`` and ``median`` (and ``sort``, in ``sorting.py``) speak two dialects. The rule: asked PyTorch's way,
with ``dim=`` or a positional axis, they return the values and their indices; asked NumPy's way, with ``axis=``, the
values alone. Without an axis, the one extreme of all elements. For ``max`` and ``min``, a second tensor in the axis's
place asks for the larger or smaller of the two, element by element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from minidl.autograd import Operation, Variable
from minidl.backend import is_array
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.arguments import DIM, normalize_axes, normalize_axis, takes_tensors
from minidl.ops.selection import maximum, minimum
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["amax", "amin", "argmax", "argmin", "max", "median", "min"]

Axes = tuple[int, ...] | None  # None: all


class Selected(NamedTuple):
    """What a selection along an axis returns: the elements, and where along the axis they stood."""

    values: Any
    indices: Any


class TakeAlong(Operation):
    """The elements at given positions along an axis; no position may stand twice in a line."""

    def forward(self, x: Any, indices: Any, axis: int) -> Any:
        self.save(indices)
        self.axis, self.size = axis, x.shape[axis]
        return self.xp.take_along_axis(x, indices, axis)

    def backward(self, grad: Any) -> Any:
        (indices,) = self.saved
        return PutAlong.apply(grad, indices, axis=self.axis, size=self.size), None


class PutAlong(Operation):
    """Zeros, but for values at given positions along an axis: the transpose of :class:`TakeAlong`."""

    def forward(self, values: Any, indices: Any, axis: int, size: int) -> Any:
        self.save(indices)
        self.axis = axis
        x = self.xp.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
        self.xp.put_along_axis(x, indices, values, axis)
        return x

    def backward(self, grad: Any) -> Any:
        (indices,) = self.saved
        return TakeAlong.apply(grad, indices, axis=self.axis), None


def take_selected(x: Any, indices: Any, axis: int) -> Selected:
    """Return the elements of ``x`` at ``indices`` along an axis, differentiably, and the indices."""
    return Selected(TakeAlong.apply(x, indices, axis=axis), indices)


def check_not_empty(name: str, shape: tuple[int, ...], axes: Axes) -> None:
    """Raise a ShapeError if there is nothing to choose from."""
    if 0 in shape and (axes is None or 0 in [shape[axis] for axis in axes]):
        where = "" if axes is None else f" over {'axis ' + str(axes[0]) if len(axes) == 1 else 'axes ' + str(axes)}"
        raise ShapeError(
            f"{name}: a tensor of shape {shape} has no element to choose{where}; check that what made it is not empty"
        )


class _Even(Operation, register=False):
    """A choice of elements by value: those that are equal to the result share its gradient evenly."""

    axes: Axes = None

    def backward(self, grad: Any) -> Any:
        x, y = (a.array if isinstance(a, Variable) else a for a in self.saved)
        kept = tuple(1 if self.axes is None or axis in self.axes else size for axis, size in enumerate(x.shape))
        y = y.reshape(kept)
        chosen = ((x == y) | ((x != x) & (y != y))).astype(x.dtype)  # nan is chosen over all numbers
        return grad.reshape(kept) * (chosen / chosen.sum(axis=self.axes, keepdims=True))


class Amax(_Even):
    def forward(self, x: Any, axes: Axes = None, keepdims: bool = False) -> Any:
        self.axes = axes
        y = self.xp.asarray(x.max(axis=axes, keepdims=keepdims))
        self.save(x, y)
        return y


@takes_tensors("x", **DIM)
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    r"""Return the largest element over some axes, or over all.

    .. math:: y = \max_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        nan if there is one. Elements that share the maximum share its gradient evenly.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.

    Examples
    --------
    >>> import minidl
    >>> minidl.amax(minidl.tensor([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    tensor([5., 7.])

    References
    ----------
    ``numpy.amax``, ``torch.amax``.
    """
    axes = None if axis is None else normalize_axes(axis, x.ndim, "amax")
    check_not_empty("amax", x.shape, axes)
    return Amax.apply(x, axes=axes, keepdims=keepdims)


class Amin(_Even):
    def forward(self, x: Any, axes: Axes = None, keepdims: bool = False) -> Any:
        self.axes = axes
        y = self.xp.asarray(x.min(axis=axes, keepdims=keepdims))
        self.save(x, y)
        return y


@takes_tensors("x", **DIM)
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    r"""Return the smallest element over some axes, or over all.

    .. math:: y = \min_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        nan if there is one. Elements that share the minimum share its gradient evenly.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.

    Examples
    --------
    >>> import minidl
    >>> minidl.amin(minidl.tensor([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    tensor([1., 3.])

    References
    ----------
    ``numpy.amin``, ``torch.amin``.
    """
    axes = None if axis is None else normalize_axes(axis, x.ndim, "amin")
    check_not_empty("amin", x.shape, axes)
    return Amin.apply(x, axes=axes, keepdims=keepdims)


class Argmax(Operation):
    differentiable = False

    def forward(self, x: Any, axis: int | None, keepdims: bool) -> Any:
        return x.argmax(axis=axis, keepdims=keepdims)


@takes_tensors("x", **DIM)
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    r"""Return where the largest element stands along an axis; without one, among all elements in row-major order.

    .. math:: y = \min \{ i : x_i = \max_j x_j \}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int or None
        Along which axis. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep that axis, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor of int64, the shape of ``x`` without that axis
        The first of several; the first nan if there is one.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.

    Examples
    --------
    >>> import minidl
    >>> minidl.argmax(minidl.tensor([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    tensor([1, 0])

    References
    ----------
    ``numpy.argmax``, ``torch.argmax``.
    """
    return _position("argmax", Argmax, x, axis, keepdims)


class Argmin(Operation):
    differentiable = False

    def forward(self, x: Any, axis: int | None, keepdims: bool) -> Any:
        return x.argmin(axis=axis, keepdims=keepdims)


@takes_tensors("x", **DIM)
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    r"""Return where the smallest element stands along an axis; without one, among all elements in row-major order.

    .. math:: y = \min \{ i : x_i = \min_j x_j \}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int or None
        Along which axis. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep that axis, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor of int64, the shape of ``x`` without that axis
        The first of several; the first nan if there is one.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.

    Examples
    --------
    >>> import minidl
    >>> minidl.argmin(minidl.tensor([[1.0, 5.0], [7.0, 3.0]]), dim=1)
    tensor([0, 1])

    References
    ----------
    ``numpy.argmin``, ``torch.argmin``.
    """
    return _position("argmin", Argmin, x, axis, keepdims)


def _position(name: str, operation: type[Operation], x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is not None:
        axis = normalize_axis(axis, x.ndim, name)
    check_not_empty(name, x.shape, None if axis is None or not x.shape else (axis,))
    return operation.apply(x, axis=axis, keepdims=keepdims)


@takes_tensors("x")
def max(  # noqa: A001
    x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False, other: Any = None
) -> Any:
    r"""Return the largest element, of all or along an axis; or the larger of two tensors.

    .. math:: y = \max_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int or Tensor, optional
        PyTorch's way: the axis to look along, by keyword or position. A tensor here is ``other``.
    keepdim : bool
        Keep that axis, with size 1.
    axis : int, tuple of int, optional
        NumPy's way: the axes to look along, by keyword.
    keepdims : bool
        NumPy's name for ``keepdim``.
    other : Tensor, array or number, optional
        Return ``maximum(x, other)``.

    Returns
    -------
    Tensor, or a named tuple of two
        With ``dim``: ``(values, indices)``, the first of equal elements, which gets all of the gradient. With
        ``axis``, or neither: the values alone, as of :func:`amax`; equal elements share the gradient evenly.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.
    ArgumentError
        If ``dim`` and ``axis`` are both given.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[1.0, 5.0], [7.0, 3.0]])
    >>> minidl.max(x)
    tensor(7.)
    >>> minidl.max(x, axis=1)
    tensor([5., 7.])
    >>> minidl.max(x, dim=1)
    Selected(values=tensor([5., 7.]), indices=tensor([1, 0]))

    References
    ----------
    ``numpy.max``, ``torch.max``.
    """
    if other is not None or isinstance(dim, Variable) or is_array(dim):
        return maximum(x, dim if other is None else other)
    if dim is None:
        return amax(x, axis, keepdim or keepdims)
    return _largest_along("max", Argmax, x, _one_axis("max", dim, axis, x), keepdim or keepdims)


@takes_tensors("x")
def min(  # noqa: A001
    x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False, other: Any = None
) -> Any:
    r"""Return the smallest element, of all or along an axis; or the smaller of two tensors.

    .. math:: y = \min_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int or Tensor, optional
        PyTorch's way: the axis to look along, by keyword or position. A tensor here is ``other``.
    keepdim : bool
        Keep that axis, with size 1.
    axis : int, tuple of int, optional
        NumPy's way: the axes to look along, by keyword.
    keepdims : bool
        NumPy's name for ``keepdim``.
    other : Tensor, array or number, optional
        Return ``minimum(x, other)``.

    Returns
    -------
    Tensor, or a named tuple of two
        With ``dim``: ``(values, indices)``, the first of equal elements, which gets all of the gradient. With
        ``axis``, or neither: the values alone, as of :func:`amin`; equal elements share the gradient evenly.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.
    ArgumentError
        If ``dim`` and ``axis`` are both given.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[1.0, 5.0], [7.0, 3.0]])
    >>> minidl.min(x)
    tensor(1.)
    >>> minidl.min(x, axis=1)
    tensor([1., 3.])
    >>> minidl.min(x, dim=1)
    Selected(values=tensor([1., 3.]), indices=tensor([0, 1]))

    References
    ----------
    ``numpy.min``, ``torch.min``.
    """
    if other is not None or isinstance(dim, Variable) or is_array(dim):
        return minimum(x, dim if other is None else other)
    if dim is None:
        return amin(x, axis, keepdim or keepdims)
    return _largest_along("min", Argmin, x, _one_axis("min", dim, axis, x), keepdim or keepdims)


def _one_axis(name: str, dim: Any, axis: Any, x: Any) -> int:
    if axis is not None:
        raise ArgumentError(
            f"{name}: got dim={dim} and axis={axis}; give dim= for values and indices, or axis= for the values alone"
        )
    return normalize_axis(dim, x.ndim, name)


def _largest_along(name: str, operation: type[Operation], x: Any, axis: int, keepdim: bool) -> Selected:
    """Return what ``operation`` (Argmax, say) finds along an axis: the elements and their indices."""
    shape = tuple(x.shape)
    check_not_empty(name, shape, (axis,) if shape else ())
    if not shape:
        x, keepdim = reshape(x, 1), False
    found = take_selected(x, operation.apply(x, axis=axis, keepdims=True), axis)
    return found if keepdim else drop_axis(found, axis)


def drop_axis(found: Selected, axis: int) -> Selected:
    """Take out an axis of size 1."""
    shape = found.values.shape
    shape = shape[:axis] + shape[axis + 1 :]
    return Selected(reshape(found.values, shape), reshape(found.indices, shape))


class Median(_Even):
    def forward(self, x: Any, axes: Axes = None, keepdims: bool = False) -> Any:
        self.axes = axes
        order = self.xp.sort(x.reshape(-1))
        middle = order[(x.size - 1) // 2]
        y = self.xp.where(order[-1] != order[-1], order[-1], middle)  # nan sorts last
        y = y.astype(x.dtype).reshape((1,) * x.ndim if keepdims else ())
        self.save(x, y)
        return y


class Argmedian(Operation):
    differentiable = False

    def forward(self, x: Any, axis: int, keepdims: bool) -> Any:
        xp, n = self.xp, x.shape[axis]
        order = xp.argsort(x, axis=axis, kind="stable")
        nans = (x != x).sum(axis=axis, keepdims=True)
        middle = xp.where(nans > 0, n - nans, (n - 1) // 2)  # the first nan, which all sort last
        found = xp.take_along_axis(order, middle, axis)
        return found if keepdims else found.squeeze(axis)


@takes_tensors("x")
def median(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    r"""Return the middle element in order of size, of all or along an axis; of two middle ones, the lower.

    .. math:: y = x_{(\lfloor (n + 1) / 2 \rfloor)}, \qquad x_{(1)} \le x_{(2)} \le \dots \le x_{(n)}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int, optional
        PyTorch's way: the axis to look along, by keyword or position.
    keepdim : bool
        Keep that axis, with size 1.
    axis : int, optional
        NumPy's way: the axis to look along, by keyword.
    keepdims : bool
        NumPy's name for ``keepdim``.

    Returns
    -------
    Tensor, or a named tuple of two
        With ``dim``: ``(values, indices)``; with ``axis``, or neither: the values alone. nan if there is one. The
        element at the index gets the gradient; without an axis, equal elements share it evenly. For an even number
        of elements NumPy averages the two middle ones: this is PyTorch's lower median.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If there is no element.
    ArgumentError
        If ``dim`` and ``axis`` are both given.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[1.0, 5.0, 2.0], [7.0, 3.0, 4.0]])
    >>> minidl.median(x)
    tensor(3.)
    >>> minidl.median(x, dim=1)
    Selected(values=tensor([2., 4.]), indices=tensor([2, 2]))

    References
    ----------
    ``numpy.median``, ``torch.median``.
    """
    keepdim = keepdim or keepdims
    if dim is None and axis is None:
        check_not_empty("median", x.shape, None)
        return Median.apply(x, keepdims=keepdim)
    if dim is None:
        return _largest_along("median", Argmedian, x, normalize_axis(axis, x.ndim, "median"), keepdim).values
    return _largest_along("median", Argmedian, x, _one_axis("median", dim, axis, x), keepdim)
