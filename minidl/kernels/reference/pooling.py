"""Pooling: the largest or the average element of each window, and how gradients return.

Shapes: N batch, C channels, H W image, R S window, OH OW output. ``indices`` count within a plane, row by row, as
PyTorch's do.
"""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.reference.windows import Pair, Windows, pad_planes, slabs

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "avg_pool2d_grad",
    "gather_planes",
    "max_pool2d",
    "scatter_planes",
]


def extend(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair, fill: float) -> Any:
    """Pad by ``padding`` on all sides, and at the bottom and right by what ``ceil_mode``'s last window lacks."""
    sides = []
    for axis in (0, 1):
        length, pad = x.shape[2 + axis], padding[axis]
        reach = stride[axis] * (size[axis] - 1) + dilation[axis] * (kernel[axis] - 1) + 1
        sides.append((pad, max(pad, reach - length - pad)))
    return pad_planes(x, (sides[0], sides[1]), fill)


def max_pool2d(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair) -> tuple[Any, Any]:
    """Return the largest element of each window (NaN counts as largest; of equals, the first), and where it stood.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel, stride, padding, dilation : (vertical, horizontal)
    size : (OH, OW)

    Returns
    -------
    values : array (N, C, OH, OW)
    indices : int64 array (N, C, OH, OW)
    """
    xp = namespace(x)
    N, C, H, W = x.shape
    lowest = float("-inf") if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
    padded = extend(x, kernel, stride, padding, dilation, size, lowest)
    top = (xp.arange(size[0]) * stride[0] - padding[0])[:, None]  # (OH, 1), negative within the padding
    left = xp.arange(size[1]) * stride[1] - padding[1]  # (OW,)
    # where nothing exceeds -inf, the first cell of the window that lies inside of the image is its maximum
    row = xp.minimum(xp.where(top < 0, top % dilation[0], top), H - 1)
    column = xp.minimum(xp.where(left < 0, left % dilation[1], left), W - 1)
    values = xp.full((N, C, *size), lowest, dtype=x.dtype)
    indices = xp.empty((N, C, *size), dtype="int64")
    indices[...] = row * W + column
    for r, s, slab in slabs(kernel, stride, dilation, size):
        candidates = padded[slab]
        better = (candidates > values) | (candidates != candidates)  # or NaN
        xp.copyto(values, candidates, where=better)
        xp.copyto(indices, (top + r * dilation[0]) * W + left + s * dilation[1], where=better)
    return values, indices


def scatter_planes(grad: Any, indices: Any, size: Pair, windows: Windows | None = None) -> Any:
    """Add each element of ``grad`` (N, C, OH, OW) to the place in a plane of zeros that its index names.

    Parameters
    ----------
    grad : array (N, C, OH, OW)
    indices : int array (N, C, OH, OW)
    size : (H, W)
    windows : (kernel, stride, padding, dilation), optional
        Of the pooling that found the indices: a place may then look up those that hold it.

    Returns
    -------
    array (N, C, H, W)
    """
    xp = namespace(grad)
    N, C = grad.shape[:2]
    out = xp.zeros(N * C * size[0] * size[1], dtype=grad.dtype)
    first = xp.arange(N * C).reshape(N, C, 1, 1) * (size[0] * size[1])
    xp.add.at(out, (indices + first).ravel(), grad.ravel())
    return out.reshape(N, C, *size)


def gather_planes(x: Any, indices: Any) -> Any:
    """Return the elements of each plane of ``x`` (N, C, H, W) that ``indices`` (N, C, OH, OW) name."""
    N, C, H, W = x.shape
    flat = indices.reshape(N, C, indices.shape[2] * indices.shape[3])
    return namespace(x).take_along_axis(x.reshape(N, C, H * W), flat, axis=2).reshape(indices.shape)


def divisors(
    xp: Any, kernel: Pair, stride: Pair, padding: Pair, size: Pair, image: Pair, count_include_pad: bool, dtype: Any
) -> Any:
    """Return how many elements each window's average is of: (OH, OW).

    What ``ceil_mode`` adds beyond the padding never counts.
    """
    counts = []
    for axis in (0, 1):
        start = xp.arange(size[axis]) * stride[axis] - padding[axis]
        stop = xp.minimum(start + kernel[axis], image[axis] + padding[axis])
        if not count_include_pad:
            start, stop = xp.maximum(start, 0), xp.minimum(stop, image[axis])
        counts.append(stop - start)
    return (counts[0][:, None] * counts[1]).astype(dtype)


def avg_pool2d(
    x: Any, kernel: Pair, stride: Pair, padding: Pair, size: Pair, count_include_pad: bool, divisor: int | None
) -> Any:
    """Return the average of each window.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel, stride, padding : (vertical, horizontal)
    size : (OH, OW)
    count_include_pad : bool
        Whether the padding's zeros count as elements.
    divisor : int or None
        What to divide by instead.

    Returns
    -------
    array (N, C, OH, OW)
    """
    xp = namespace(x)
    padded = extend(x, kernel, stride, padding, (1, 1), size, 0)
    y = xp.zeros((*x.shape[:2], *size), dtype=x.dtype)
    for _, _, slab in slabs(kernel, stride, (1, 1), size):
        y += padded[slab]
    y /= divisor or divisors(xp, kernel, stride, padding, size, x.shape[2:], count_include_pad, x.dtype)
    return y


def avg_pool2d_grad(
    grad: Any, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, divisor: int | None
) -> Any:
    """Share each output's gradient (N, C, OH, OW) among the elements of its window: (N, C, H, W)."""
    xp = namespace(grad)
    size = grad.shape[2:]
    share = grad / (divisor or divisors(xp, kernel, stride, padding, size, image, count_include_pad, grad.dtype))
    out = xp.zeros((*grad.shape[:2], *image), dtype=grad.dtype)
    padded = extend(out, kernel, stride, padding, (1, 1), size, 0)
    for _, _, slab in slabs(kernel, stride, (1, 1), size):
        padded[slab] += share
    return padded[:, :, padding[0] : padding[0] + image[0], padding[1] : padding[1] + image[1]]


def regions(length: int, parts: int) -> list[tuple[int, int]]:
    """Return where each of ``parts`` regions of an axis starts and stops; they overlap where they do not fit."""
    return [(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]


def adaptive_avg_pool2d(x: Any, size: Pair) -> Any:
    """Average ``x`` (N, C, H, W) over a grid of ``size`` regions: (N, C, OH, OW)."""
    xp = namespace(x)
    N, C, H, W = x.shape
    rows = xp.empty((N, C, size[0], W), dtype=x.dtype)
    for i, (start, stop) in enumerate(regions(H, size[0])):
        rows[:, :, i] = x[:, :, start:stop].sum(axis=2) / (stop - start)
    y = xp.empty((N, C, *size), dtype=x.dtype)
    for j, (start, stop) in enumerate(regions(W, size[1])):
        y[..., j] = rows[..., start:stop].sum(axis=3) / (stop - start)
    return y


def adaptive_avg_pool2d_grad(grad: Any, image: Pair) -> Any:
    """Share each region's gradient (N, C, OH, OW) among its elements: (N, C, H, W)."""
    xp = namespace(grad)
    N, C, OH, OW = grad.shape
    rows = xp.zeros((N, C, OH, image[1]), dtype=grad.dtype)
    for j, (start, stop) in enumerate(regions(image[1], OW)):
        rows[..., start:stop] += grad[..., j : j + 1] / (stop - start)
    out = xp.zeros((N, C, *image), dtype=grad.dtype)
    for i, (start, stop) in enumerate(regions(image[0], OH)):
        out[:, :, start:stop] += rows[:, :, i : i + 1] / (stop - start)
    return out


def adaptive_max_pool2d(x: Any, size: Pair) -> tuple[Any, Any]:
    """Return the largest element in each of a grid of ``size`` regions, and where it stood: both (N, C, OH, OW)."""
    xp = namespace(x)
    N, C, H, W = x.shape
    column = xp.empty((N, C, H, size[1]), dtype="int64")  # of the largest element of each row of a region
    for j, (start, stop) in enumerate(regions(W, size[1])):
        column[..., j] = x[..., start:stop].argmax(axis=3) + start
    largest = xp.take_along_axis(x, column, axis=3)
    row = xp.empty((N, C, *size), dtype="int64")
    for i, (start, stop) in enumerate(regions(H, size[0])):
        row[:, :, i] = largest[:, :, start:stop].argmax(axis=2) + start
    values = xp.take_along_axis(largest, row, axis=2)
    return values, row * W + xp.take_along_axis(column, row, axis=2)
