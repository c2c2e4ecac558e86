"""Arranging: padding, turning, shifting, repeating; diagonals and sliding windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation
from minidl.backend import CPU
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.arguments import DIM, as_sizes, normalize_axes, normalize_axis, takes_tensors
from minidl.ops.conversion import clone
from minidl.ops.creation import as_array
from minidl.ops.gathering import index_select
from minidl.ops.indexing import put_add
from minidl.ops.shape import broadcast_to, movedim, reshape, transpose

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "diag",
    "diag_embed",
    "diagonal",
    "flip",
    "fliplr",
    "flipud",
    "pad",
    "repeat",
    "repeat_interleave",
    "roll",
    "rot90",
    "tile",
    "unfold",
]


class Pad(Operation):
    def forward(self, x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
        shape = tuple(size + before + after for size, (before, after) in zip(x.shape, widths, strict=True))
        self.center = tuple(slice(before, before + size) for size, (before, _) in zip(x.shape, widths, strict=True))
        out = self.xp.full(shape, value, dtype=x.dtype)
        out[self.center] = x
        return out

    def backward(self, grad: Any) -> Any:
        return grad[self.center]


def _pad_widths(pad: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """Return (before, after) of each axis, from PyTorch's flat form (last axis first) or NumPy's nested one."""
    if isinstance(pad, int):
        return ((pad, pad),) * ndim
    pad = tuple(pad)
    if pad and not hasattr(pad[0], "__index__"):
        if len(pad) != ndim or any(len(pair) != 2 for pair in pad):
            raise ArgumentError(f"pad: expected a (before, after) for each of the {ndim} axes, got {pad}")
        return tuple((before.__index__(), after.__index__()) for before, after in pad)
    flat = as_sizes((pad,), "pad")
    if len(flat) % 2 or len(flat) > 2 * ndim:
        raise ArgumentError(
            f"pad: {len(flat)} widths for {ndim} axes; expected (before, after) of the last axis, then of the one "
            "before it, and so on"
        )
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    return ((0, 0),) * (ndim - len(pairs)) + pairs[::-1]


def _source_positions(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """Return which of ``size`` elements each element of the padded axis repeats."""
    wanted = np.arange(-before, size + after)
    if mode == "edge":
        return wanted.clip(0, size - 1)
    if mode == "wrap":
        return wanted % size
    period = max(2 * (size - 1), 1)
    wanted = wanted % period
    return np.minimum(wanted, period - wanted) if size > 1 else wanted * 0


PAD_MODES = {"constant": "constant", "reflect": "reflect"}
PAD_MODES |= {"replicate": "edge", "edge": "edge", "circular": "wrap", "wrap": "wrap"}


@takes_tensors("x", pad_width="pad", constant_values="value")
def pad(x: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    r"""Return ``x`` with more elements around it; negative widths cut some off.

    .. math:: y_i = x_{i - \text{before}} \text{ inside}, \quad y_i = c \text{ outside (constant mode)}

    Parameters
    ----------
    x : Tensor or array, any shape
    pad : ints, a pair for each axis, or one int
        Flat ints are PyTorch's form: before and after the last axis, then of the one before it, and so on. Pairs are
        NumPy's form: ``((before, after), ...)`` from the first axis on. One int stands for all.
    mode : {"constant", "reflect", "replicate", "circular"}
        What stands there: ``value``; the mirror image without the edge; the edge (also ``"edge"``); the other end (also
        ``"wrap"``).
    value : float, optional
        Of constant mode; 0 if left out.

    Returns
    -------
    Tensor, each axis longer by its widths

    Raises
    ------
    ArgumentError
        If the mode is unknown, or the widths do not fit the axes.
    ShapeError
        If an axis would be cut to less than nothing, or there is nothing to repeat.

    Examples
    --------
    >>> import minidl
    >>> minidl.pad(minidl.tensor([[1, 2]]), (1, 0))
    tensor([[0, 1, 2]])
    >>> minidl.pad(minidl.tensor([1, 2, 3]), (2, 1), mode="reflect")
    tensor([3, 2, 1, 2, 3, 2])

    References
    ----------
    ``torch.nn.functional.pad``, ``numpy.pad``.
    """
    widths = _pad_widths(pad, len(x.shape))
    if mode not in PAD_MODES:
        raise ArgumentError(f"pad: unknown mode {mode!r}; expected one of {', '.join(PAD_MODES)}")
    if value is not None and mode != "constant":
        raise ArgumentError(f"pad: value={value} has no meaning in mode {mode!r}; leave it out")
    shape = tuple(x.shape)
    if any(width < 0 for pair in widths for width in pair):
        cut = tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(shape, widths, strict=True))
        if any(max(-b, 0) + max(-a, 0) > n for n, (b, a) in zip(shape, widths, strict=True)):
            raise ShapeError(f"pad: widths {widths} cut off more than shape {shape} has")
        x = x[cut]
        widths = tuple((max(b, 0), max(a, 0)) for b, a in widths)
    if mode == "constant":
        return Pad.apply(x, widths=widths, value=0 if value is None else value)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if not x.shape[axis]:
                raise ShapeError(f"pad: axis {axis} of shape {shape} is empty: {mode!r} has nothing to repeat")
            x = index_select(x, axis, _source_positions(x.shape[axis], before, after, PAD_MODES[mode]))
    return x


class Flip(Operation):
    def forward(self, x: Any, axes: tuple[int, ...]) -> Any:
        self.axes = axes
        return self.xp.flip(x, axes).copy()

    def backward(self, grad: Any) -> Any:
        return flip(grad, self.axes)


@takes_tensors("x", dim="axis", dims="axis")
def flip(x: Any, axis: Any = None) -> Tensor:
    """Return a copy with the elements along some axes in reverse order.

    .. math:: y_i = x_{n - 1 - i}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        All axes if None. ``dim`` and ``dims`` are accepted.

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
    >>> minidl.flip(minidl.tensor([1, 2, 3]))
    tensor([3, 2, 1])

    References
    ----------
    ``torch.flip``, ``numpy.flip``.
    """
    return Flip.apply(x, axes=normalize_axes(axis, len(x.shape), "flip"))


@takes_tensors("x")
def fliplr(x: Any) -> Tensor:
    """Return a copy with its columns in reverse order.

    .. math:: y_{i, j} = x_{i, n - 1 - j}

    Parameters
    ----------
    x : Tensor or array, at least 2 axes

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If there are too few axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.fliplr(minidl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])

    References
    ----------
    ``torch.fliplr``, ``numpy.fliplr``.
    """
    if len(x.shape) < 2:
        raise ShapeError(f"fliplr: expected at least 2 axes, got shape {tuple(x.shape)}")
    return Flip.apply(x, axes=(1,))


@takes_tensors("x")
def flipud(x: Any) -> Tensor:
    """Return a copy with its rows in reverse order.

    .. math:: y_{i} = x_{n - 1 - i}

    Parameters
    ----------
    x : Tensor or array, at least 1 axis

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If there are too few axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.flipud(minidl.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])

    References
    ----------
    ``torch.flipud``, ``numpy.flipud``.
    """
    if len(x.shape) < 1:
        raise ShapeError(f"flipud: expected at least 1 axis, got shape {tuple(x.shape)}")
    return Flip.apply(x, axes=(0,))


class Roll(Operation):
    def forward(self, x: Any, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        self.shifts, self.axes = shifts, axes
        return self.xp.roll(x, shifts, axes)

    def backward(self, grad: Any) -> Any:
        return roll(grad, tuple(-shift for shift in self.shifts), self.axes)


@takes_tensors("x", dims="axis", dim="axis", shift="shifts")
def roll(x: Any, shifts: Any, axis: Any = None) -> Tensor:
    r"""Return a copy with the elements shifted along some axes; what falls off one end comes in at the other.

    .. math:: y_i = x_{(i - s) \bmod n}

    Parameters
    ----------
    x : Tensor or array, any shape
    shifts : int or tuple of int
        By how much, one for each axis.
    axis : int, tuple of int, or None
        None rolls the flattened tensor. ``dims`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If there are not as many shifts as axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.roll(minidl.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])

    References
    ----------
    ``torch.roll``, ``numpy.roll``.
    """
    given = as_sizes((shifts,), "roll")
    if axis is None:
        if len(given) != 1:
            raise ArgumentError(f"roll: {len(given)} shifts {given} need as many axes; pass dims=")
        return reshape(Roll.apply(reshape(x, (math.prod(x.shape),)), shifts=given, axes=(0,)), tuple(x.shape))
    named = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normalize_axis(a, len(x.shape), "roll") for a in named)  # an axis may come twice
    if len(given) != len(axes):
        raise ArgumentError(f"roll: {len(given)} shifts {given} for {len(axes)} axes {axes}; expected one for each")
    return Roll.apply(x, shifts=given, axes=axes)


@takes_tensors("x")
def rot90(x: Any, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Return a copy turned by ``k`` quarters, from the first of two axes towards the second.

    .. math:: y_{i, j} = x_{j, n - 1 - i}

    Parameters
    ----------
    x : Tensor or array, at least two axes
    k : int
    dims : two ints

    Returns
    -------
    Tensor

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If ``dims`` are not two different axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.rot90(minidl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])

    References
    ----------
    ``torch.rot90``, ``numpy.rot90``.
    """
    axes = normalize_axes(dims, len(x.shape), "rot90")
    if len(axes) != 2:
        raise ArgumentError(f"rot90: expected two axes, got {tuple(dims)}")
    first, second = axes
    k %= 4
    if k == 0:
        return Flip.apply(x, axes=())
    if k == 2:
        return Flip.apply(x, axes=axes)
    return transpose(flip(x, second), first, second) if k == 1 else flip(transpose(x, first, second), second)


@takes_tensors("x")
def tile(x: Any, *reps: Any) -> Tensor:
    r"""Return ``x`` laid side by side, so many times along each axis.

    .. math:: y_i = x_{i \bmod n}

    Parameters
    ----------
    x : Tensor or array, any shape
    *reps : ints, or one sequence of them
        How often along each axis, aligned from the right; missing ones count as 1.

    Returns
    -------
    Tensor, each axis ``reps`` times as long

    Raises
    ------
    ArgumentError
        If a number is negative.
    DTypeError
        If one is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.tile(minidl.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])

    References
    ----------
    ``torch.tile``, ``numpy.tile``.
    """
    times = as_sizes(reps, "tile")
    if any(count < 0 for count in times):
        raise ArgumentError(f"tile: cannot repeat a negative number of times, got {times}")
    times = (1,) * (len(x.shape) - len(times)) + times
    shape = (1,) * (len(times) - len(x.shape)) + tuple(x.shape)
    apart = tuple(size for n in shape for size in (1, n))  # (1, n_1, 1, n_2, ...)
    spread = tuple(size for pair in zip(times, shape, strict=True) for size in pair)  # (r_1, n_1, r_2, n_2, ...)
    joined = tuple(count * n for count, n in zip(times, shape, strict=True))  # (r_1 n_1, r_2 n_2, ...)
    return reshape(broadcast_to(reshape(x, apart), spread), joined)


@takes_tensors("x", **DIM)
def repeat(x: Any, *sizes: Any, repeats: Any = None, axis: int | None = None) -> Tensor:
    r"""Return ``x`` laid side by side, so many times along each of its axes.

    .. math:: y_i = x_{i \bmod n}

    Parameters
    ----------
    x : Tensor or array, any shape
    *sizes : ints, or one sequence of them
        How often along each axis; at least as many as ``x`` has axes.
    repeats, axis
        NumPy's arguments: with either, it is :func:`repeat_interleave`, as ``numpy.repeat`` is.

    Returns
    -------
    Tensor, each axis so many times as long

    Raises
    ------
    ShapeError
        If there are fewer numbers than axes.
    ArgumentError
        If a number is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.repeat(minidl.tensor([1, 2]), 2)
    tensor([1, 2, 1, 2])

    References
    ----------
    PyTorch's ``Tensor.repeat``, ``numpy.repeat``.
    """
    if repeats is not None or axis is not None:
        return repeat_interleave(x, sizes[0] if repeats is None and sizes else repeats, axis)
    times = as_sizes(sizes, "repeat")
    if len(times) < len(x.shape):
        raise ShapeError(
            f"repeat: {len(times)} numbers {times} for a tensor of shape {tuple(x.shape)}; expected one for each axis "
            "(repeat_interleave repeats elements along one)"
        )
    return tile(x, times)


@takes_tensors("x", **DIM)
def repeat_interleave(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    r"""Return ``x`` with each element repeated in its place.

    .. math:: y = (x_1, \dots, x_1, x_2, \dots, x_2, \dots)

    Parameters
    ----------
    x : Tensor or array, any shape
    repeats : int, or sequence, array or Tensor of ints, of shape (n,)
        How often; one number, or one for each position along the axis.
    axis : int, optional
        None repeats the elements of the flattened tensor. ``dim`` is accepted.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If there are not as many numbers as positions.
    ArgumentError
        If a number is negative.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.repeat_interleave(minidl.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    >>> minidl.repeat_interleave(minidl.tensor([1, 2]), [1, 3])
    tensor([1, 2, 2, 2])

    References
    ----------
    ``torch.repeat_interleave``, ``numpy.repeat``.
    """
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    axis = normalize_axis(axis, len(x.shape), "repeat_interleave")
    shape = tuple(x.shape)
    if isinstance(repeats, int):
        if repeats < 0:
            raise ArgumentError(f"repeat_interleave: cannot repeat {repeats} times")
        before, size, after = shape[:axis], shape[axis], shape[axis + 1 :]
        spread = broadcast_to(reshape(x, (*before, size, 1, *after)), (*before, size, repeats, *after))
        return reshape(spread, (*before, size * repeats, *after))
    counts = as_array(repeats, device=CPU, copy=False, name="repeat_interleave")
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ArgumentError("repeat_interleave: repeats must be integers and not negative")
    if counts.shape not in ((), (1,), (shape[axis],)):
        raise ShapeError(
            f"repeat_interleave: repeats of shape {counts.shape} for axis {axis} of shape {shape}; expected one "
            f"number, or {shape[axis]}"
        )
    return index_select(x, axis, np.repeat(np.arange(shape[axis]), counts))


class Diagonal(Operation):
    is_view = True

    def forward(self, x: Any, offset: int, axes: tuple[int, int]) -> Any:
        self.offset, self.axes, self.shape = offset, axes, x.shape
        y = x.diagonal(offset, *axes)
        if self.xp is np and x.flags.writeable:
            y.flags.writeable = True  # NumPy hands it out read-only, PyTorch does not
        return y

    def backward(self, grad: Any) -> Any:
        return DiagonalScatter.apply(grad, offset=self.offset, axes=self.axes, shape=self.shape)


class DiagonalScatter(Operation):
    """Zeros of ``shape`` with ``x`` on a diagonal: the transpose of taking it."""

    def forward(self, x: Any, offset: int, axes: tuple[int, int], shape: tuple[int, ...]) -> Any:
        self.offset, self.axes = offset, axes
        out = self.xp.zeros(shape, x.dtype)
        seen = out.diagonal(offset, *axes)
        if self.xp is np:
            seen.flags.writeable = True
        seen[...] = x
        return out

    def backward(self, grad: Any) -> Any:
        return diagonal(grad, self.offset, *self.axes)


@takes_tensors("x", axis1="dim1", axis2="dim2")
def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    r"""Return a view of a diagonal, which becomes the last axis.

    .. math:: y_{\dots i} = x_{i, i + \text{offset}, \dots}

    Parameters
    ----------
    x : Tensor or array, at least two axes
    offset : int
        Above the main diagonal if positive, below it if negative.
    dim1, dim2 : int
        Along which two axes. ``axis1`` and ``axis2`` are accepted.

    Returns
    -------
    Tensor, a view

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If both axes are the same.

    Examples
    --------
    >>> import minidl
    >>> minidl.diagonal(minidl.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])

    References
    ----------
    ``torch.diagonal``, ``numpy.diagonal``.
    """
    if len(x.shape) < 2:
        raise ShapeError(f"diagonal: expected at least two axes, got shape {tuple(x.shape)}")
    return Diagonal.apply(x, offset=offset, axes=normalize_axes((dim1, dim2), len(x.shape), "diagonal"))


@takes_tensors("x")
def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    r"""Return zeros with the last axis of ``x`` on the diagonals of two axes.

    .. math:: y_{\dots i, i + \text{offset}} = x_{\dots i}

    Parameters
    ----------
    x : Tensor or array, of shape (..., n)
    offset : int
        Above the main diagonal if positive, below it if negative.
    dim1, dim2 : int
        Which two axes of the result.

    Returns
    -------
    Tensor, of shape (..., n + abs(offset), n + abs(offset)) for the default axes

    Raises
    ------
    ShapeError
        If ``x`` has no axes.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.diag_embed(minidl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])

    References
    ----------
    ``torch.diag_embed``.
    """
    if not x.shape:
        raise ShapeError("diag_embed: expected at least one axis, got shape ()")
    axes = normalize_axes((dim1, dim2), len(x.shape) + 1, "diag_embed")
    size = x.shape[-1] + abs(offset)
    rest = iter(x.shape[:-1])
    shape = tuple(size if axis in axes else next(rest) for axis in range(len(x.shape) + 1))
    return DiagonalScatter.apply(x, offset=offset, axes=axes, shape=shape)


@takes_tensors("x", k="diagonal")
def diag(x: Any, diagonal: int = 0) -> Tensor:
    r"""Return a matrix with a vector on a diagonal, or a copy of a matrix's diagonal.

    .. math:: Y_{i, i + k} = x_i, \quad \text{or} \quad y_i = X_{i, i + k}

    Parameters
    ----------
    x : Tensor or array, of shape (n,) or (n, m)
    diagonal : int
        Which one: 0 the main, above it if positive. NumPy's ``k`` is accepted.

    Returns
    -------
    Tensor, of shape (n + abs(k), n + abs(k)), or (count,)

    Raises
    ------
    ShapeError
        If ``x`` has other than one or two axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.diag(minidl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])

    References
    ----------
    ``torch.diag``, ``numpy.diag``.
    """
    if len(x.shape) == 1:
        return diag_embed(x, diagonal)
    if len(x.shape) != 2:
        raise ShapeError(f"diag: expected a vector or a matrix, got shape {tuple(x.shape)}; see diagonal, diag_embed")
    return clone(Diagonal.apply(x, offset=diagonal, axes=(0, 1)))


class Unfold(Operation):
    is_view = True

    def forward(self, x: Any, axis: int, size: int, step: int) -> Any:
        self.axis, self.size, self.step, self.shape = axis, size, step, x.shape
        self.windows = (x.shape[axis] - size) // step + 1
        shape = (*x.shape[:axis], self.windows, *x.shape[axis + 1 :], size)
        strides = (*x.strides[:axis], x.strides[axis] * step, *x.strides[axis + 1 :], x.strides[axis])
        y = self.xp.lib.stride_tricks.as_strided(x, shape, strides)
        if self.xp is np:
            y.flags.writeable = False  # one element may stand in many windows
        return y

    def backward(self, grad: Any) -> Any:
        starts = np.arange(self.windows) * self.step
        positions = starts[:, None] + np.arange(self.size)  # (windows, size)
        index = (*(slice(None),) * self.axis, positions)
        return put_add(movedim(grad, -1, self.axis + 1), index, self.shape)


@takes_tensors("x")
def unfold(x: Any, dimension: int, size: int, step: int) -> Tensor:
    r"""Return a view of all windows of an axis: the axis counts windows, a new last axis their elements.

    .. math:: y_{\dots w \dots k} = x_{\dots, w \cdot \text{step} + k, \dots}

    Parameters
    ----------
    x : Tensor or array, any shape
    dimension : int
        Which axis.
    size : int
        Elements in a window.
    step : int
        From the start of one window to that of the next.

    Returns
    -------
    Tensor, of shape (..., (n - size) // step + 1, ..., size)
        Read-only, because windows overlap.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If a window is longer than the axis.
    ArgumentError
        If ``size`` is negative or ``step`` not positive.

    Examples
    --------
    >>> import minidl
    >>> minidl.unfold(minidl.arange(5), 0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])

    References
    ----------
    PyTorch's ``Tensor.unfold``, ``numpy.lib.stride_tricks.sliding_window_view``.
    """
    axis = normalize_axis(dimension, len(x.shape), "unfold")
    length = x.shape[axis] if x.shape else 1
    if size < 0 or step < 1:
        raise ArgumentError(f"unfold: size must not be negative and step at least 1, got size={size} and step={step}")
    if size > length:
        raise ShapeError(f"unfold: windows of {size} elements, but axis {axis} of shape {tuple(x.shape)} has {length}")
    if not x.shape:
        return reshape(x, (1,))[:size]  # (size,)
    return Unfold.apply(x, axis=axis, size=size, step=step)
