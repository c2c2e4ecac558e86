"""Sorting, and what counts or searches by order. Gradients follow each element to where it came from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
from minidl.ops.arguments import normalize_axis, shape_of, takes_tensors
from minidl.ops.extremes import Selected, drop_axis, take_selected
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["argsort", "bincount", "histc", "kthvalue", "searchsorted", "sort", "topk", "unique"]

_NOT_GIVEN: Any = object()  # None is an axis: NumPy's sort(axis=None) flattens


class Argsort(Operation):
    differentiable = False

    def forward(self, x: Any, axis: int, descending: bool, stable: bool) -> Any:
        xp = self.xp
        kind = "stable" if stable else None
        if not descending:
            return xp.argsort(x, axis=axis, kind=kind)
        # sorted from the far end, equal elements come out in reverse, which reversing the result puts right
        order = xp.flip(xp.argsort(xp.flip(x, axis), axis=axis, kind=kind), axis)
        return x.shape[axis] - 1 - order


@takes_tensors("x", axis="dim")
def argsort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    r"""Return the indices that sort a tensor along an axis.

    .. math:: x_{i_1} \le x_{i_2} \le \dots \le x_{i_n}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
        Along which axis. NumPy's ``axis`` is accepted.
    descending : bool
        From the largest to the smallest.
    stable : bool
        Keep equal elements in order.

    Returns
    -------
    Tensor of int64, the shape of ``x``
        nan counts as the largest.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.argsort(minidl.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])

    References
    ----------
    ``numpy.argsort``, ``torch.argsort``.
    """
    axis = normalize_axis(dim, x.ndim, "argsort")
    if not x.shape:
        return reshape(argsort(reshape(x, 1)), ())
    return Argsort.apply(x, axis=axis, descending=descending, stable=stable)


@takes_tensors("x")
def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False, *, axis: Any = _NOT_GIVEN) -> Any:
    r"""Return the elements in order of size along an axis.

    .. math:: y_k = x_{i_k}, \qquad x_{i_1} \le x_{i_2} \le \dots \le x_{i_n}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
        PyTorch's way: the axis to sort along.
    descending : bool
        From the largest to the smallest.
    stable : bool
        Keep equal elements in order.
    axis : int or None, optional
        NumPy's way: the axis to sort along, by keyword; None flattens ``x`` first.

    Returns
    -------
    (values, indices), a named tuple of two Tensor of the shape of ``x``; or, with ``axis``, the values alone
        nan counts as the largest.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([3.0, 1.0, 2.0])
    >>> minidl.sort(x, descending=True)
    Selected(values=tensor([3., 2., 1.]), indices=tensor([0, 2, 1]))
    >>> minidl.sort(x, axis=0)
    tensor([1., 2., 3.])

    References
    ----------
    ``numpy.sort``, ``torch.sort``.
    """
    if axis is None:
        return sort(reshape(x, math.prod(x.shape)), 0, descending, stable).values
    if axis is not _NOT_GIVEN:
        return sort(x, axis, descending, stable).values
    axis = normalize_axis(dim, x.ndim, "sort")
    if not x.shape:
        return Selected(x, argsort(x))
    return take_selected(x, Argsort.apply(x, axis=axis, descending=descending, stable=stable), axis)


class Argtopk(Operation):
    differentiable = False

    def forward(self, x: Any, k: int, axis: int, largest: bool, sorted: bool) -> Any:  # noqa: A002
        xp, n = self.xp, x.shape[axis]
        x = xp.moveaxis(x, axis, -1)
        if 0 < k < n:  # set k apart before they are sorted: n is often a vocabulary
            found = xp.argpartition(x, n - k, -1)[..., n - k :] if largest else xp.argpartition(x, k - 1, -1)[..., :k]
            found.sort(axis=-1)
        else:
            found = xp.broadcast_to(xp.arange(n), x.shape)[..., :k]
        if sorted:
            order = xp.take_along_axis(x, found, -1)
            if largest:
                order = k - 1 - xp.flip(xp.argsort(xp.flip(order, -1), axis=-1, kind="stable"), -1)
            else:
                order = xp.argsort(order, axis=-1, kind="stable")
            found = xp.take_along_axis(found, order, -1)
        return xp.moveaxis(found, -1, axis)


@takes_tensors("x", axis="dim")
def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Selected:  # noqa: A002
    r"""Return the k largest or smallest elements along an axis.

    .. math:: y_1 \ge y_2 \ge \dots \ge y_k \ge x_j \quad \text{for every other } x_j

    Parameters
    ----------
    x : Tensor or array, any shape
    k : int
        How many.
    dim : int
        Along which axis. NumPy's ``axis`` is accepted.
    largest : bool
        The largest, or the smallest.
    sorted : bool
        From the most to the least extreme; else in their order in ``x``.

    Returns
    -------
    (values, indices), a named tuple of two Tensor
        The shape of ``x`` with size k along the axis. nan counts as the largest.

    Raises
    ------
    RangeError
        If there is no such axis, or it has fewer than k elements.

    Examples
    --------
    >>> import minidl
    >>> minidl.topk(minidl.tensor([3.0, 1.0, 4.0, 1.0, 5.0]), 2)
    Selected(values=tensor([5., 4.]), indices=tensor([4, 2]))

    References
    ----------
    ``torch.topk``.
    """
    axis = normalize_axis(dim, x.ndim, "topk")
    line = x if x.shape else reshape(x, 1)
    _check_rank("topk", k, tuple(x.shape), line.shape[axis], 0)
    return take_selected(line, Argtopk.apply(line, k=k, axis=axis, largest=largest, sorted=sorted), axis)


def _check_rank(name: str, k: Any, shape: tuple[int, ...], size: int, least: int) -> None:
    if not isinstance(k, int):
        raise DTypeError(f"{name}: k must be an int, got {k!r}")
    if not least <= k <= size:
        raise RangeError(f"{name}: k={k} of {size} elements along the axis of shape {shape}; choose {least} to {size}")


@takes_tensors("x", axis="dim", keepdims="keepdim")
def kthvalue(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Selected:
    r"""Return the k-th smallest element along an axis, counted from 1.

    .. math:: y = x_{(k)}, \qquad x_{(1)} \le x_{(2)} \le \dots \le x_{(n)}

    Parameters
    ----------
    x : Tensor or array, any shape
    k : int
        Which, from 1.
    dim : int
        Along which axis. NumPy's ``axis`` is accepted.
    keepdim : bool
        Keep that axis, with size 1.

    Returns
    -------
    (values, indices), a named tuple of two Tensor, the shape of ``x`` without that axis
        nan counts as the largest.

    Raises
    ------
    RangeError
        If there is no such axis, or it has fewer than k elements.

    Examples
    --------
    >>> import minidl
    >>> minidl.kthvalue(minidl.tensor([3.0, 1.0, 4.0, 1.5, 5.0]), 2)
    Selected(values=tensor(1.5000), indices=tensor(3))

    References
    ----------
    ``torch.kthvalue``.
    """
    axis = normalize_axis(dim, x.ndim, "kthvalue")
    line = x if x.shape else reshape(x, 1)
    _check_rank("kthvalue", k, tuple(x.shape), line.shape[axis], 1)
    order = Argsort.apply(line, axis=axis, descending=False, stable=True)
    kth = order[(slice(None),) * axis + (slice(k - 1, k),)]
    found = take_selected(line, kth, axis)
    return found if keepdim and x.shape else drop_axis(found, axis)


class Unique(Operation):
    differentiable = False

    def forward(self, x: Any, axis: int | None) -> Any:
        values, inverse, counts = self.xp.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
        return values, inverse.reshape(x.shape if axis is None else -1), counts


@takes_tensors("x", axis="dim")
def unique(
    x: Any,
    sorted: bool = True,  # noqa: A002
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    r"""Return the distinct elements, in ascending order.

    .. math:: y = \{ x_i \}, \qquad y_1 < y_2 < \dots < y_m

    Parameters
    ----------
    x : Tensor or array, any shape
    sorted : bool
        They are sorted in any case.
    return_inverse : bool
        Return, too, where each element of ``x`` stands in the result.
    return_counts : bool
        Return, too, how often each element of the result occurs.
    dim : int, optional
        Look for distinct slices along this axis instead. NumPy's ``axis`` is accepted.

    Returns
    -------
    Tensor of shape (m,), or a tuple of it and what else was asked for
        The inverse has the shape of ``x`` (with ``dim``, one axis). They have no gradient. nan differs from nan.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.unique(minidl.tensor([3, 1, 3, 2]), return_counts=True)
    (tensor([1, 2, 3]), tensor([1, 1, 2]))

    References
    ----------
    ``numpy.unique``, ``torch.unique``.
    """
    axis = None if dim is None else normalize_axis(dim, x.ndim, "unique")
    values, inverse, counts = Unique.apply(x, axis=axis)
    found = (values, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return found if len(found) > 1 else values


class Searchsorted(Operation):
    differentiable = False

    def forward(self, boundaries: Any, values: Any, right: bool, dtype: str) -> Any:
        if boundaries.ndim == 1:
            found = self.xp.searchsorted(boundaries, values, side="right" if right else "left")
        else:  # count what stands before each value, row by row
            rows, wanted = boundaries[..., None, :], values[..., :, None]  # (..., 1, N), (..., M, 1)
            found = ((rows <= wanted) if right else (rows < wanted)).sum(axis=-1)  # (..., M)
        return self.xp.asarray(found).astype(dtype)


def searchsorted(
    boundaries: Any, values: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None
) -> Tensor:
    r"""Return where values would have to be inserted into sorted numbers to keep them sorted.

    .. math:: b_{i - 1} < v \le b_i \quad (\text{right: } b_{i - 1} \le v < b_i)

    Parameters
    ----------
    boundaries : Tensor or array, of shape (N,) or (..., N)
        Ascending along the last axis.
    values : Tensor, array or number, any shape; (..., M) if ``boundaries`` has more than one axis
    out_int32 : bool
        Return int32 instead of int64.
    right : bool
        Insert after equal numbers instead of before them.
    side : {"left", "right"}, optional
        NumPy's way to say ``right``.

    Returns
    -------
    Tensor of int64, the shape of ``values``

    Raises
    ------
    ShapeError
        If ``boundaries`` has several rows and ``values`` does not have as many.
    ArgumentError
        If ``side`` is neither, or contradicts ``right``.

    Examples
    --------
    >>> import minidl
    >>> minidl.searchsorted(minidl.tensor([1.0, 3.0, 5.0]), minidl.tensor([0.0, 3.0, 9.0]))
    tensor([0, 1, 3])

    References
    ----------
    ``numpy.searchsorted``, ``torch.searchsorted``.
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ArgumentError(f"searchsorted: side must be 'left' or 'right' and agree with right={right}, got {side!r}")
    shape, wanted = shape_of(boundaries, "searchsorted", "boundaries"), shape_of(values, "searchsorted", "values")
    if not shape or (len(shape) > 1 and shape[:-1] != wanted[:-1]):
        raise ShapeError(
            f"searchsorted: boundaries {shape} and values {wanted}: boundaries must have one axis, or the same axes as "
            "values before the last"
        )
    return Searchsorted.apply(
        boundaries, values, right=right or side == "right", dtype="int32" if out_int32 else "int64"
    )


class Bincount(Operation):
    differentiable = False

    def forward(self, x: Any, weights: Any, minlength: int) -> Any:
        y = self.xp.bincount(x, weights, minlength)
        return y if weights is None or weights.dtype.kind != "f" else y.astype(weights.dtype)


@takes_tensors("x", "weights")
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    r"""Return how often each number from 0 up occurs.

    .. math:: y_k = \sum_{i:\, x_i = k} w_i

    Parameters
    ----------
    x : Tensor or array of integers, of shape (N,)
        Not negative.
    weights : Tensor or array, of shape (N,), optional
        :math:`w`: what each occurrence counts; 1 if left out. No gradient flows to it.
    minlength : int
        The least size of the result.

    Returns
    -------
    Tensor of int64, of shape (max(x) + 1,)
        With ``weights``, of their float type.

    Raises
    ------
    ShapeError
        If ``x`` does not have one axis, or ``weights`` another shape.
    DTypeError
        If ``x`` does not hold integers.
    RangeError
        If one is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.bincount(minidl.tensor([0, 2, 2, 3]))
    tensor([1, 0, 2, 1])

    References
    ----------
    ``numpy.bincount``, ``torch.bincount``.
    """
    shape = shape_of(x, "bincount", "x")
    weighed = None if weights is None else shape_of(weights, "bincount", "weights")
    if len(shape) != 1 or weighed not in (None, shape):
        given = "" if weighed is None else f" and weights {weighed}"
        raise ShapeError(
            f"bincount: expected one axis, with weights as long, got shape {shape}{given}; flatten() first"
        )
    if x.dtype.kind not in "iu":
        raise DTypeError(f"bincount: expected integers, got {x.dtype}; convert them: x.long()")
    if minlength < 0:
        raise ArgumentError(f"bincount: minlength must not be negative, got {minlength}")
    if shape[0] and int(x.min()) < 0:
        raise RangeError(f"bincount: the numbers must not be negative, the least is {int(x.min())}")
    return Bincount.apply(x, weights, minlength=minlength)


class Histc(Operation):
    differentiable = False

    def forward(self, x: Any, bins: int, low: float, high: float) -> Any:
        counts, _ = self.xp.histogram(x, bins=bins, range=(low, high))
        return counts.astype(x.dtype)


@takes_tensors("x")
def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:  # noqa: A002
    r"""Return how many elements fall into each of equally wide bins.

    .. math:: y_k = \left| \{ i : a + k h \le x_i < a + (k + 1) h \} \right|, \qquad h = \frac{b - a}{\text{bins}}

    Parameters
    ----------
    x : Tensor or array, any shape
    bins : int
        How many.
    min, max : float
        :math:`a` and :math:`b`; the least and largest element if they are equal. What is outside is not counted;
        the last bin includes :math:`b`.

    Returns
    -------
    Tensor, of shape (bins,) and the dtype of ``x``

    Raises
    ------
    ArgumentError
        If there is no bin, or ``min`` is above ``max``.
    RangeError
        If the elements do not have a finite range.

    Examples
    --------
    >>> import minidl
    >>> minidl.histc(minidl.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])

    References
    ----------
    ``numpy.histogram``, ``torch.histc``.
    """
    if bins < 1:
        raise ArgumentError(f"histc: bins must be at least 1, got {bins}")
    if min > max:
        raise ArgumentError(f"histc: min must not be above max, got min={min} and max={max}")
    low, high = float(min), float(max)
    if low == high and math.prod(x.shape):
        low, high = float(x.min()), float(x.max())
        if not math.isfinite(high - low):
            raise RangeError(f"histc: the elements reach from {low} to {high}; give a finite min and max")
    if low == high:
        low, high = low - 1, high + 1
    return Histc.apply(x, bins=bins, low=low, high=high)
