"""Reductions: sums, means and spreads, products and norms, over some axes or over all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation, Variable, cast
from minidl.backend import namespace, quiet
from minidl.errors import ArgumentError
from minidl.ops.arguments import DIM, normalize_axes, takes_tensors
from minidl.ops.arithmetic import div
from minidl.ops.comparison import isnan, ne
from minidl.ops.elementwise import abs  # noqa: A004
from minidl.ops.extremes import amax, amin
from minidl.ops.indexing import put_add
from minidl.ops.powers import exp
from minidl.ops.selection import where
from minidl.ops.shape import BroadcastTo, reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "logsumexp",
    "mean",
    "nanmean",
    "nansum",
    "norm",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]

Axes = tuple[int, ...] | None  # None: all


def axes_of(axis: Any, x: Any, name: str) -> Axes:
    """Return the axes to reduce, counted from the front; None for all."""
    return None if axis is None else normalize_axes(axis, x.ndim, name)


def spread(grad: Any, shape: tuple[int, ...], axes: Axes) -> Any:
    """Give a reduction's result its reduced axes back, so that it broadcasts over ``shape``."""
    if axes is None or len(grad.shape) == len(shape):
        return grad  # a scalar broadcasts as it is
    return grad.reshape(tuple(1 if axis in axes else size for axis, size in enumerate(shape)))


def count(shape: tuple[int, ...], axes: Axes) -> int:
    """Return how many elements are reduced to one."""
    return math.prod(shape) if axes is None else math.prod([shape[axis] for axis in axes])


def plain(x: Any) -> Any:
    """Return the array of a tensor, for what is constant to the second derivative (a mask)."""
    return x.array if isinstance(x, Variable) else x


class Sum(Operation):
    def forward(self, x: Any, axes: Axes = None, keepdims: bool = False) -> Any:
        self.shape, self.axes = x.shape, axes
        return x.sum(axis=axes, keepdims=keepdims, dtype=None if x.dtype.kind == "f" else "int64")

    def backward(self, grad: Any) -> Any:
        return BroadcastTo.apply(spread(grad, self.shape, self.axes), shape=self.shape)


@takes_tensors("x", **DIM)
def sum(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:  # noqa: A001
    r"""Return the sum over some axes, or over all.

    .. math:: y = \sum_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Which axes to sum over; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep the summed axes, with size 1. PyTorch's ``keepdim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first. Integers and booleans are summed as int64.

    Returns
    -------
    Tensor, the shape of ``x`` without the summed axes

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.sum(minidl.ones(2, 3), axis=1)
    tensor([3., 3.])

    References
    ----------
    ``numpy.sum``, ``torch.sum``.
    """
    if dtype is not None:
        x = cast(x, dtype)
    return Sum.apply(x, axes=axes_of(axis, x, "sum"), keepdims=keepdims)


class Mean(Operation):
    casting = "float"

    def forward(self, x: Any, axes: Axes = None, keepdims: bool = False) -> Any:
        self.shape, self.axes, self.count = x.shape, axes, count(x.shape, axes)
        if x.dtype.itemsize == 2:  # a float16 sum overflows long before its mean does
            return (x.sum(axis=axes, keepdims=keepdims, dtype="float32") / (self.count or math.nan)).astype(x.dtype)
        return x.sum(axis=axes, keepdims=keepdims) / (self.count or math.nan)

    def backward(self, grad: Any) -> Any:
        return BroadcastTo.apply(spread(grad, self.shape, self.axes) / (self.count or 1), shape=self.shape)


@takes_tensors("x", **DIM)
def mean(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    r"""Return the mean over some axes, or over all; of integers, as floats.

    .. math:: y = \frac{1}{n} \sum_{i=1}^n x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Which axes to average over; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        nan where there is nothing to average.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.mean(minidl.tensor([[1.0, 2.0], [3.0, 5.0]]), axis=0)
    tensor([2.0000, 3.5000])

    References
    ----------
    ``numpy.mean``, ``torch.mean``.
    """
    if dtype is not None:
        x = cast(x, dtype)
    return Mean.apply(x, axes=axes_of(axis, x, "mean"), keepdims=keepdims)


def _variance(x: Any, axes: Axes, keepdims: bool, freedom: float) -> Any:
    """Return the variance of an array, in two passes: squares of large numbers would cancel in one."""
    wide = x.astype("float32") if x.dtype.itemsize == 2 else x
    n = count(x.shape, axes)
    centered = wide - wide.sum(axis=axes, keepdims=True) / (n or math.nan)
    total = (centered * centered).sum(axis=axes, keepdims=keepdims)
    return total / freedom


class Var(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, axes: Axes, keepdims: bool, correction: float) -> Any:
        self.save(x)
        self.axes, self.freedom = axes, max(count(x.shape, axes) - correction, 0)
        return _variance(x, axes, keepdims, self.freedom).astype(x.dtype)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        factor = 2 / self.freedom if self.freedom else math.inf
        return spread(grad, x.shape, self.axes) * factor * (x - mean(x, self.axes, True))


class Std(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, axes: Axes, keepdims: bool, correction: float) -> Any:
        self.axes, self.freedom = axes, max(count(x.shape, axes) - correction, 0)
        y = self.xp.sqrt(_variance(x, axes, keepdims, self.freedom)).astype(x.dtype)
        self.save(x, y)
        return y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        factor = 1 / self.freedom if self.freedom else math.inf
        slope = spread(grad, x.shape, self.axes) * factor / spread(_nonzero(y), x.shape, self.axes)
        return slope * (x - mean(x, self.axes, True))


def _nonzero(y: Any) -> Any:
    """Put 1 where ``y`` is 0: what is divided by it is 0 there too, and so is the subgradient that is chosen."""
    return y + (plain(y) == 0).astype(y.dtype)


def _correction(name: str, axis: Any, unbiased: Any, correction: Any, ddof: Any) -> tuple[Any, float]:
    """Return the axis and what is subtracted from the count, from whichever spelling was used."""
    if isinstance(axis, bool):  # PyTorch: var(x, unbiased)
        if unbiased is not None:
            raise ArgumentError(f"{name}: axis must be an int, a tuple of int or None, got {axis}")
        axis, unbiased = None, axis
    given = [value for value in (unbiased, correction, ddof) if value is not None]
    if len(given) > 1:
        raise ArgumentError(f"{name}: unbiased=, correction= and ddof= are one argument; give one of them")
    return axis, float(given[0]) if given else 1.0


@takes_tensors("x", **DIM)
def var(
    x: Any,
    axis: Any = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float | None = None,
    ddof: float | None = None,
) -> Tensor:
    r"""Return the variance over some axes, or over all.

    .. math:: y = \frac{1}{\max(0, n - \delta)} \sum_{i=1}^n (x_i - \bar x)^2

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    unbiased : bool, optional
        PyTorch's older name for ``correction``: True is 1, False is 0.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.
    correction : float, optional
        :math:`\delta`; 1 if left out, as in PyTorch (NumPy's default is 0).
    ddof : float, optional
        NumPy's name for ``correction``.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        nan where there are too few numbers.

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If the correction is given under two names.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([1.0, 2.0, 3.0, 4.0])
    >>> minidl.var(x), minidl.var(x, correction=0)
    (tensor(1.6667), tensor(1.2500))

    References
    ----------
    ``numpy.var``, ``torch.var``.
    """
    axis, delta = _correction("var", axis, unbiased, correction, ddof)
    return Var.apply(x, axes=axes_of(axis, x, "var"), keepdims=keepdims, correction=delta)


@takes_tensors("x", **DIM)
def std(
    x: Any,
    axis: Any = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float | None = None,
    ddof: float | None = None,
) -> Tensor:
    r"""Return the standard deviation over some axes, or over all.

    .. math:: y = \sqrt{\frac{1}{\max(0, n - \delta)} \sum_{i=1}^n (x_i - \bar x)^2}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    unbiased : bool, optional
        PyTorch's older name for ``correction``: True is 1, False is 0.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.
    correction : float, optional
        :math:`\delta`; 1 if left out, as in PyTorch (NumPy's default is 0).
    ddof : float, optional
        NumPy's name for ``correction``.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        nan where there are too few numbers. Where all numbers are equal the gradient is 0.

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If the correction is given under two names.

    Examples
    --------
    >>> import minidl
    >>> minidl.std(minidl.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor(1.2910)

    References
    ----------
    ``numpy.std``, ``torch.std``.
    """
    axis, delta = _correction("std", axis, unbiased, correction, ddof)
    return Std.apply(x, axes=axes_of(axis, x, "std"), keepdims=keepdims, correction=delta)


@takes_tensors("x", **DIM)
def var_mean(
    x: Any,
    axis: Any = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float | None = None,
    ddof: float | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return the variance and the mean over some axes, or over all.

    .. math:: y = \frac{1}{\max(0, n - \delta)} \sum_{i=1}^n (x_i - \bar x)^2, \quad \bar x = \frac{1}{n} \sum_i x_i

    Parameters
    ----------
    x, axis, unbiased, keepdims, correction, ddof
        As for :func:`var`.

    Returns
    -------
    tuple of two Tensor, each of the shape of ``x`` without those axes

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If the correction is given under two names.

    Examples
    --------
    >>> import minidl
    >>> minidl.var_mean(minidl.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))

    References
    ----------
    ``torch.var_mean``.
    """
    axis, delta = _correction("var_mean", axis, unbiased, correction, ddof)
    return var(x, axis, None, keepdims, correction=delta), mean(x, axis, keepdims)


@takes_tensors("x", **DIM)
def std_mean(
    x: Any,
    axis: Any = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float | None = None,
    ddof: float | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return the standard deviation and the mean over some axes, or over all.

    .. math:: y = \sqrt{\frac{1}{\max(0, n - \delta)} \sum_i (x_i - \bar x)^2}, \quad \bar x = \frac{1}{n} \sum_i x_i

    Parameters
    ----------
    x, axis, unbiased, keepdims, correction, ddof
        As for :func:`std`.

    Returns
    -------
    tuple of two Tensor, each of the shape of ``x`` without those axes

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If the correction is given under two names.

    Examples
    --------
    >>> import minidl
    >>> minidl.std_mean(minidl.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))

    References
    ----------
    ``torch.std_mean``.
    """
    axis, delta = _correction("std_mean", axis, unbiased, correction, ddof)
    return std(x, axis, None, keepdims, correction=delta), mean(x, axis, keepdims)


class Prod(Operation):
    @quiet
    def forward(self, x: Any, axis: int, keepdims: bool = False) -> Any:
        self.save(x)
        self.axis = axis
        return x.prod(axis=axis, keepdims=keepdims, dtype=None if x.dtype.kind == "f" else "int64")

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        shape, axis = x.shape, self.axis
        lines = x.reshape((math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
        return spread(grad, shape, (axis,)) * _products_of_others(lines).reshape(shape)


def _products_of_others(x: Any) -> Any:
    """Return for each element the product of the others along the middle axis.

    By halves, without a division, so that zeros are no special case, in any order of differentiation: an element's
    others are its partner in the other half, and the others of the pair.
    """
    before, n, after = x.shape
    xp = namespace(plain(x))
    if n < 2:
        return xp.ones(x.shape, x.dtype)
    half = (n + 1) // 2
    if n % 2:  # pad with a 1
        last = xp.zeros((before, n + 1, after), x.dtype)
        last[:, n] = 1
        x = put_add(x, (slice(None), slice(n)), last.shape) + last
    pairs = x.reshape((before, 2, half, after))
    of_pair = _products_of_others(pairs[:, 0] * pairs[:, 1])  # (before, half, after)
    others = of_pair.reshape((before, 1, half, after)) * pairs[:, ::-1]  # (before, 2, half, after)
    return others.reshape((before, 2 * half, after))[:, :n]


@takes_tensors("x", **DIM)
def prod(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    r"""Return the product over some axes, or over all.

    .. math:: y = \prod_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first. Integers and booleans are multiplied as int64.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> minidl.prod(x).backward()
    >>> x.grad
    tensor([0., 6., 0.])

    References
    ----------
    ``numpy.prod``, ``torch.prod``.
    """
    if dtype is not None:
        x = cast(x, dtype)
    shape = tuple(x.shape)
    axes = axes_of(axis, x, "prod")
    if axes is None or len(axes) == len(shape):
        y = Prod.apply(reshape(x, math.prod(shape)), axis=0)
        return reshape(y, (1,) * len(shape)) if keepdims and shape else y
    for one in sorted(axes, reverse=True):
        x = Prod.apply(x, axis=one, keepdims=keepdims)
    return x


class Logsumexp(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, axes: Axes, keepdims: bool = False) -> Any:
        xp = self.xp
        self.axes = axes
        largest = (x.max if count(x.shape, axes) else x.sum)(axis=axes, keepdims=True)
        largest = xp.where(xp.isfinite(largest), largest, 0).astype(x.dtype)  # inf - inf would be nan
        y = xp.log(xp.exp(x - largest).sum(axis=axes, keepdims=True)) + largest
        if not keepdims:
            y = y.reshape([size for axis, size in enumerate(x.shape) if axes is not None and axis not in axes])
        self.save(x, y)
        return y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        finite = where(plain(y) == -math.inf, 0.0, y)  # where every x is -inf, so is x - y, and the gradient 0
        return spread(grad, x.shape, self.axes) * exp(x - spread(finite, x.shape, self.axes))


@takes_tensors("x", **DIM)
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    r"""Return the logarithm of the sum of exponentials, without overflow on the way.

    .. math:: y = \log \sum_i e^{x_i} = m + \log \sum_i e^{x_i - m}, \quad m = \max_i x_i

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

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.logsumexp(minidl.tensor([1000.0, 1000.0]))
    tensor(1000.6932)

    References
    ----------
    ``scipy.special.logsumexp``, ``torch.logsumexp``.
    """
    return Logsumexp.apply(x, axes=axes_of(axis, x, "logsumexp"), keepdims=keepdims)


class Norm(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, axes: Axes, keepdims: bool, p: float) -> Any:
        self.axes, self.p = axes, p
        if p == 0:
            y = (x != 0).sum(axis=axes, keepdims=keepdims).astype(x.dtype)
        elif p == 1:
            y = self.xp.abs(x).sum(axis=axes, keepdims=keepdims)
        elif p == 2:
            y = self.xp.sqrt((x * x).sum(axis=axes, keepdims=keepdims))
        else:
            y = (self.xp.abs(x) ** p).sum(axis=axes, keepdims=keepdims) ** (1 / p)
        self.save(x, y)
        return y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        grad = spread(grad, x.shape, self.axes)
        if self.p == 0:
            return BroadcastTo.apply(grad * 0.0, shape=x.shape)
        unit = x / spread(_nonzero(y), x.shape, self.axes)
        if self.p != 2:
            unit = unit * _nonzero(unit * unit) ** (self.p / 2 - 1)
        return grad * unit


@takes_tensors("x", **DIM, ord="p")
def norm(x: Any, p: float | str | None = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    r"""Return the length of vectors: the p-norm over some axes, or over all elements.

    .. math:: y = \Big( \sum_i |x_i|^p \Big)^{1/p}

    Parameters
    ----------
    x : Tensor or array, any shape
    p : float, "fro" or None
        2 if None or "fro". ``inf`` gives the largest :math:`|x_i|`, ``-inf`` the smallest, 0 the number of elements
        that are not zero. NumPy's ``ord`` is accepted.
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        Where a vector is zero, so is the gradient. A matrix is taken as one long vector, as in ``torch.norm``.

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If ``p`` names no such norm.

    Examples
    --------
    >>> import minidl
    >>> minidl.norm(minidl.tensor([[3.0, 4.0], [0.0, 0.0]]), dim=1)
    tensor([5., 0.])

    References
    ----------
    ``numpy.linalg.norm``, ``torch.norm``.
    """
    axes = axes_of(axis, x, "norm")
    if p is None or p == "fro":
        p = 2.0
    if isinstance(p, str):
        raise ArgumentError(f"norm: p must be a number, inf, -inf or 'fro', got {p!r}; norms of operators are not here")
    if p == math.inf:
        return amax(abs(x), axes, keepdims)
    if p == -math.inf:
        return amin(abs(x), axes, keepdims)
    return Norm.apply(x, axes=axes, keepdims=keepdims, p=float(p))


class All(Operation):
    differentiable = False

    def forward(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        return x.all(axis=axes, keepdims=keepdims)


@takes_tensors("x", **DIM)
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    r"""Return whether all elements are true (not zero), over some axes or over all.

    .. math:: y = \bigwedge_i \, [x_i \ne 0]

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor of bool, the shape of ``x`` without those axes
        True where there is no element.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.all(minidl.tensor([[True, True], [True, False]]), dim=1)
    tensor([ True, False])

    References
    ----------
    ``numpy.all``, ``torch.all``.
    """
    return All.apply(x, axes=axes_of(axis, x, "all"), keepdims=keepdims)


class AnyTrue(Operation):
    name = "any"
    differentiable = False

    def forward(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        return x.any(axis=axes, keepdims=keepdims)


@takes_tensors("x", **DIM)
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    r"""Return whether any element is true (not zero), over some axes or over all.

    .. math:: y = \bigvee_i \, [x_i \ne 0]

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor of bool, the shape of ``x`` without those axes
        False where there is no element.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.any(minidl.tensor([[0, 0], [0, 3]]), dim=1)
    tensor([False,  True])

    References
    ----------
    ``numpy.any``, ``torch.any``.
    """
    return AnyTrue.apply(x, axes=axes_of(axis, x, "any"), keepdims=keepdims)


@takes_tensors("x", **DIM)
def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    r"""Return how many elements are not zero, over some axes or over all.

    .. math:: y = \sum_i \, [x_i \ne 0]

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor of int64, the shape of ``x`` without those axes

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.count_nonzero(minidl.tensor([[0, 5], [7, 3]]), dim=1)
    tensor([1, 2])

    References
    ----------
    ``numpy.count_nonzero``, ``torch.count_nonzero``.
    """
    return Sum.apply(ne(x, 0), axes=axes_of(axis, x, "count_nonzero"), keepdims=keepdims)


@takes_tensors("x", **DIM)
def nansum(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    r"""Return the sum over some axes, or over all, with nan taken as 0.

    .. math:: y = \sum_{i:\, x_i \ne \text{nan}} x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Which axes to sum over; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep the summed axes, with size 1. PyTorch's ``keepdim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first.

    Returns
    -------
    Tensor, the shape of ``x`` without the summed axes

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.nansum(minidl.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)

    References
    ----------
    ``numpy.nansum``, ``torch.nansum``.
    """
    return sum(where(isnan(x), 0, x), axis, keepdims, dtype=dtype)


@takes_tensors("x", **DIM)
def nanmean(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    r"""Return the mean of those elements that are not nan, over some axes or over all.

    .. math:: y = \frac{\sum_{i:\, x_i \ne \text{nan}} x_i}{\sum_{i:\, x_i \ne \text{nan}} 1}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Which axes to average over; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes
        nan where all elements are.

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.nanmean(minidl.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)

    References
    ----------
    ``numpy.nanmean``, ``torch.nanmean``.
    """
    return div(nansum(x, axis, keepdims, dtype=dtype), sum(x == x, axis, keepdims))
