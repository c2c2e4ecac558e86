"""Pooling, compiled: each window is read once, in the order in which the image lies in memory.

Two layouts are read and written as they are; the result comes in that of the input, which is what the next layer of
the same dialect reads fastest::

    planes (PyTorch's)                channels last (Keras's)
    N C  [ H rows of W pixels ]       N H W  [ C channels ]

Any other layout is copied into the nearer of the two first. Channels lie still while a window moves, so vectors run
along them; planes are packed 64 at a time into the channels of one image, and unpacked after. (But the largest of
2 x 2, which is most pooling there is, has a vector of windows in ``squares``, and runs along W.)

Threads take blocks of planes, or rows of the output where channels are last; of gradients, whose windows may overlap,
blocks of channels. So no two write to one element, and each element sees the same operations in the same order
whatever the number of threads: the bits are those of the reference.

``max_pool2d`` counts positions in int32, half of what int64 would write, where a plane has fewer than 2^31 pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.kernels.cpu.compiler import helper, kernel
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.squares import largest_of_pairs, spread_pairs
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.vectors import lanes
from minidl.kernels.reference.pooling import divisors
from minidl.kernels.reference.windows import Pair

__all__ = ["avg_pool2d", "avg_pool2d_grad", "max_pool2d", "scatter_planes"]

LEAST_WORK = 32768  # cells of windows that are worth a thread: some 20 us
PLANES = 64  # or channels, that are taken at a time


# ---------------------------------------------------------------------- layouts


def channels_last(x: Any) -> bool:
    """Whether the channels of ``x`` (N, C, H, W) lie closer to each other than the pixels of a row."""
    return not x.flags.c_contiguous and abs(x.strides[1]) < abs(x.strides[3])


def arranged(x: Any, last: bool) -> Any:
    """Return ``x`` (N, C, H, W) in one piece, as (N, H, W, C) if channels are to be last; a copy only if it must be."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1) if last else x)


def blank(shape: tuple[int, ...], dtype: Any, last: bool) -> tuple[Any, Any]:
    """Return an array in one of the two layouts as the kernels write it, and as (N, C, H, W)."""
    N, C, H, W = shape
    if not last:
        out = np.empty(shape, dtype)
        return out, out
    out = np.empty((N, H, W, C), dtype)
    return out, out.transpose(0, 3, 1, 2)


@helper
def pack(planes: Any, start: int, count: int, image: Any) -> None:
    """Copy ``count`` planes from ``start`` on of ``planes`` (P, H, W) into the channels of ``image`` (H, W, PLANES)."""
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            pixels = image[i, j]
            for c in range(count):
                pixels[c] = planes[start + c, i, j]
            for c in range(count, PLANES):
                pixels[c] = 0


@helper
def unpack(image: Any, planes: Any, start: int, count: int) -> None:
    """Copy the channels of ``image`` (H, W, PLANES) into ``count`` planes from ``start`` on of ``planes`` (P, H, W)."""
    for c in range(count):
        plane = planes[start + c]
        for i in range(plane.shape[0]):
            for j in range(plane.shape[1]):
                plane[i, j] = image[i, j, c]


# ---------------------------------------------------------------------- the largest


@helper
def first_inside(position: int, dilation: int, length: int) -> int:
    """Return the first position from ``position`` on, in steps of ``dilation``, that is not in the padding."""
    return min(position % dilation if position < 0 else position, length - 1)


@helper
def largest_of_row(
    image: Any, i: int, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, values: Any, indices: Any
) -> None:
    """Fill ``values`` and ``indices`` (OW, C) with the largest of each window of row ``i`` over ``image`` (H, W, C)."""
    H, W, C = image.shape
    top = i * stride[0] - padding[0]
    for j in range(values.shape[0]):
        best, where = values[j], indices[j]
        left = j * stride[1] - padding[1]
        start = first_inside(top, dilation[0], H) * W + first_inside(left, dilation[1], W)
        for c in range(C):
            best[c] = -np.inf
            where[c] = start
        for r in range(kernel[0]):
            row = top + r * dilation[0]
            if row < 0 or row >= H:
                continue
            for s in range(kernel[1]):
                column = left + s * dilation[1]
                if column < 0 or column >= W:
                    continue
                pixels = image[row, column]
                position = row * W + column
                for c in range(C):
                    pixel = pixels[c]
                    better = (pixel > best[c]) | (pixel != pixel)  # or NaN
                    best[c] = pixel if better else best[c]
                    where[c] = position if better else where[c]


@kernel
def largest_of_channels(
    part: int, parts: int, x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, values: Any, indices: Any
) -> None:
    """Fill ``values`` and ``indices`` (N, OH, OW, C) with the largest of each window of ``x`` (N, H, W, C)."""
    if shared_out(part, parts):
        return
    N, OH = values.shape[:2]
    for unit in range(N * OH * part // parts, N * OH * (part + 1) // parts):
        n, i = unit // OH, unit % OH
        largest_of_row(x[n], i, kernel, stride, padding, dilation, values[n, i], indices[n, i])


@kernel
def largest_of_planes(
    part: int, parts: int, x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, values: Any, indices: Any
) -> None:
    """Fill ``values`` and ``indices`` (P, OH, OW) with the largest of each window of planes ``x`` (P, H, W)."""
    if shared_out(part, parts):
        return
    P, H, W = x.shape
    OH, OW = values.shape[1:]
    image = np.empty((H, W, PLANES), x.dtype)
    best, where = np.empty((OH, OW, PLANES), x.dtype), np.empty((OH, OW, PLANES), indices.dtype)
    blocks = (P + PLANES - 1) // PLANES
    for block in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, count = block * PLANES, min(PLANES, P - block * PLANES)
        pack(x, start, count, image)
        for i in range(OH):
            largest_of_row(image, i, kernel, stride, padding, dilation, best[i], where[i])
        unpack(best, values, start, count)
        unpack(where, indices, start, count)


@kernel
def largest_of_squares(part: int, parts: int, x: Any, values: Any, indices: Any) -> None:
    """Do the same for windows of 2 x 2 pixels next to each other."""
    if shared_out(part, parts):
        return
    P, H, W = x.shape
    OH, OW = values.shape[1:]
    for p in range(P * part // parts, P * (part + 1) // parts):
        for i in range(OH):
            for j in range(0, OW, lanes(x)):
                position = 2 * i * W + 2 * j
                at = (p * OH + i) * OW + j
                largest_of_pairs(x, p * H * W + position, W, values, indices, at, position, OW - j)  # type: ignore[call-arg]


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
    indices : int32 array (N, C, OH, OW); int64 where a plane is too large
    """
    N, C, H, W = x.shape
    last = channels_last(x)
    image = arranged(x, last)
    values, y = blank((N, C, *size), x.dtype, last)
    indices, where = blank((N, C, *size), np.int32 if H * W < 2**31 else np.int64, last)
    parts = parts_for(y.size * kernel[0] * kernel[1], LEAST_WORK)
    if last:
        run(largest_of_channels, parts, image, kernel, stride, padding, dilation, values, indices)
        return y, where
    planes = (image.reshape(N * C, H, W), values.reshape(N * C, *size), indices.reshape(N * C, *size))
    fits = 2 * size[0] <= H and 2 * size[1] <= W
    squares = kernel == stride == (2, 2) and padding == (0, 0) and dilation == (1, 1)
    if squares and fits and indices.dtype == np.int32:
        run(largest_of_squares, parts, *planes)
    else:
        run(largest_of_planes, parts, planes[0], kernel, stride, padding, dilation, *planes[1:])
    return y, where


# ---------------------------------------------------------------------- and its gradient


@kernel
def scatter_into_planes(part: int, parts: int, grad: Any, indices: Any, out: Any, astray: Any) -> None:
    """Add ``grad`` (P, Q) into zeros ``out`` (P, H * W) at ``indices`` (P, Q)."""
    if shared_out(part, parts):
        return
    P, pixels = out.shape
    for p in range(P * part // parts, P * (part + 1) // parts):
        plane, share, where = out[p], grad[p], indices[p]
        plane[:] = 0
        for q in range(share.size):
            position = where[q]
            if 0 <= position < pixels:
                plane[np.uintp(position)] += share[q]
            else:
                astray[part] = True


@kernel
def scatter_into_squares(part: int, parts: int, grad: Any, indices: Any, out: Any, astray: Any) -> None:
    """Do the same for windows of 2 x 2 pixels next to each other, and write all of ``out`` (P, H, W) at once.

    Where an index is none of its own window's, ``astray`` becomes True, and ``out`` is of no use.
    """
    if shared_out(part, parts):
        return
    P, H, W = out.shape
    OH, OW = grad.shape[1:]
    for p in range(P * part // parts, P * (part + 1) // parts):
        for i in range(OH):
            for j in range(0, OW, lanes(out)):
                position, at = 2 * i * W + 2 * j, (p * OH + i) * OW + j
                if not spread_pairs(grad, indices, at, position, OW - j, out, p * H * W + position, W):  # type: ignore[call-arg]
                    astray[part] = True
            for row in range(2 * i, 2 * i + 2):
                for column in range(2 * OW, W):
                    out[p, row, column] = 0
        for row in range(2 * OH, H):
            for column in range(W):
                out[p, row, column] = 0


@kernel
def scatter_into_channels(part: int, parts: int, grad: Any, indices: Any, out: Any, astray: Any) -> None:
    """Add ``grad`` (N, Q, C) into zeros ``out`` (N, H * W, C) at ``indices`` (N, Q, C)."""
    if shared_out(part, parts):
        return
    N, pixels, C = out.shape
    blocks = (C + PLANES - 1) // PLANES
    for unit in range(N * blocks * part // parts, N * blocks * (part + 1) // parts):
        n, start = unit // blocks, unit % blocks * PLANES
        stop = min(C, start + PLANES)
        image = out[n]
        for h in range(pixels):
            image[h, start:stop] = 0
        for q in range(grad.shape[1]):
            share, where = grad[n, q, start:stop], indices[n, q, start:stop]
            for c in range(share.size):
                position = where[c]
                if 0 <= position < pixels:
                    image[np.uintp(position), np.uintp(start + c)] += share[c]
                else:
                    astray[part] = True


def scatter_planes(grad: Any, indices: Any, size: Pair, windows: Any = None) -> Any:
    """Add each element of ``grad`` (N, C, OH, OW) to the place in a plane of zeros that its index names.

    It needs no ``windows``: planes are shared out to threads, and within one the additions follow one another.

    Returns
    -------
    array (N, C, H, W), laid out as ``indices`` are

    Raises
    ------
    IndexError
        If an index lies outside of the plane; nothing is written for it.
    """
    N, C, OH, OW = grad.shape
    last = channels_last(indices)
    scattered, out = blank((N, C, *size), grad.dtype, last)
    parts = parts_for(out.size, LEAST_WORK)
    astray = np.zeros(parts, np.bool_)
    shares, where = arranged(grad, last), arranged(indices, last)
    pixels = size[0] * size[1]
    if last:
        images = (N, OH * OW, C)
        image = scattered.reshape(N, pixels, C)
        run(scatter_into_channels, parts, shares.reshape(images), where.reshape(images), image, astray)
    else:
        squares = where.dtype == np.int32 and (size[0] // 2, size[1] // 2) == (OH, OW)  # it seems
        planes = N * C, OH, OW
        where, shares, plane = where.reshape(planes), shares.reshape(planes), scattered.reshape(N * C, *size)
        if squares:
            run(scatter_into_squares, parts, shares, where, plane, astray)
        if not squares or astray.any():
            astray[:] = False
            shares, where = shares.reshape(N * C, OH * OW), where.reshape(N * C, OH * OW)
            run(scatter_into_planes, parts, shares, where, plane.reshape(N * C, pixels), astray)
    if astray.any():
        raise IndexError(f"scatter_planes: an index is not in 0 to {pixels - 1}, the positions of a {size} plane")
    return out


# ---------------------------------------------------------------------- the average


@helper
def average_of_row(image: Any, i: int, kernel: Pair, stride: Pair, padding: Pair, counts: Any, y: Any) -> None:
    """Fill ``y`` (OW, C) with the average of each window of row ``i`` over ``image`` (H, W, C); ``counts`` divide."""
    H, W, C = image.shape
    for j in range(y.shape[0]):
        total = y[j]
        for c in range(C):
            total[c] = 0
        for r in range(kernel[0]):
            row = i * stride[0] - padding[0] + r
            if row < 0 or row >= H:
                continue
            for s in range(kernel[1]):
                column = j * stride[1] - padding[1] + s
                if column < 0 or column >= W:
                    continue
                pixels = image[row, column]
                for c in range(C):
                    total[c] += pixels[c]
        count = counts[i, j]
        for c in range(C):
            total[c] /= count


@kernel
def averages_of_channels(
    part: int, parts: int, x: Any, kernel: Pair, stride: Pair, padding: Pair, counts: Any, y: Any
) -> None:
    """Fill ``y`` (N, OH, OW, C) with the average of each window of ``x`` (N, H, W, C)."""
    if shared_out(part, parts):
        return
    N, OH = y.shape[:2]
    for unit in range(N * OH * part // parts, N * OH * (part + 1) // parts):
        n, i = unit // OH, unit % OH
        average_of_row(x[n], i, kernel, stride, padding, counts, y[n, i])


@kernel
def averages_of_planes(
    part: int, parts: int, x: Any, kernel: Pair, stride: Pair, padding: Pair, counts: Any, y: Any
) -> None:
    """Fill ``y`` (P, OH, OW) with the average of each window of planes ``x`` (P, H, W)."""
    if shared_out(part, parts):
        return
    P, H, W = x.shape
    OH, OW = y.shape[1:]
    image, averages = np.empty((H, W, PLANES), x.dtype), np.empty((OH, OW, PLANES), x.dtype)
    blocks = (P + PLANES - 1) // PLANES
    for block in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, count = block * PLANES, min(PLANES, P - block * PLANES)
        pack(x, start, count, image)
        for i in range(OH):
            average_of_row(image, i, kernel, stride, padding, counts, averages[i])
        unpack(averages, y, start, count)


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
    N, C, H, W = x.shape
    last = channels_last(x)
    image = arranged(x, last)
    averages, y = blank((N, C, *size), x.dtype, last)
    counts = windows_sizes(kernel, stride, padding, size, (H, W), count_include_pad, divisor, x.dtype)
    parts = parts_for(y.size * kernel[0] * kernel[1], LEAST_WORK)
    if last:
        run(averages_of_channels, parts, image, kernel, stride, padding, counts, averages)
    else:
        planes = image.reshape(N * C, H, W), averages.reshape(N * C, *size)
        run(averages_of_planes, parts, planes[0], kernel, stride, padding, counts, planes[1])
    return y


def windows_sizes(
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    size: Pair,
    image: Pair,
    count_include_pad: bool,
    divisor: int | None,
    dtype: Any,
) -> Any:
    """Return what the sum of each window is divided by: (OH, OW)."""
    if divisor:
        return np.full(size, divisor, dtype)
    return divisors(np, kernel, stride, padding, size, image, count_include_pad, dtype)


@helper
def share(grad: Any, kernel: Pair, stride: Pair, padding: Pair, counts: Any, image: Any, start: int, stop: int) -> None:
    """Add ``grad`` (OH, OW, C) over ``counts`` (OH, OW) to each pixel of its window in zeros ``image`` (H, W, C).

    For channels from ``start`` to before ``stop``; from the last window to the first, so that a pixel sees its
    windows' cells from the first to the last.
    """
    H, W = image.shape[:2]
    for row in range(H):
        for column in range(W):
            image[row, column, start:stop] = 0
    for i in range(grad.shape[0] - 1, -1, -1):
        for j in range(grad.shape[1] - 1, -1, -1):
            whole, count = grad[i, j, start:stop], counts[i, j]
            left = j * stride[1] - padding[1]
            for r in range(kernel[0]):
                row = i * stride[0] - padding[0] + r
                if row < 0 or row >= H:
                    continue
                for column in range(max(left, 0), min(left + kernel[1], W)):
                    pixels = image[row, column, start:stop]
                    for c in range(whole.size):
                        pixels[c] += whole[c] / count


@kernel
def share_among_channels(
    part: int, parts: int, grad: Any, kernel: Pair, stride: Pair, padding: Pair, counts: Any, out: Any
) -> None:
    """Add ``grad`` (N, OH, OW, C) over ``counts`` to each pixel of its window in ``out`` (N, H, W, C)."""
    if shared_out(part, parts):
        return
    N, _, _, C = out.shape
    blocks = (C + PLANES - 1) // PLANES
    for unit in range(N * blocks * part // parts, N * blocks * (part + 1) // parts):
        n, start = unit // blocks, unit % blocks * PLANES
        share(grad[n], kernel, stride, padding, counts, out[n], start, min(C, start + PLANES))


@kernel
def share_among_planes(
    part: int, parts: int, grad: Any, kernel: Pair, stride: Pair, padding: Pair, counts: Any, out: Any
) -> None:
    """Add ``grad`` (P, OH, OW) over ``counts`` to each pixel of its window in ``out`` (P, H, W)."""
    if shared_out(part, parts):
        return
    P, H, W = out.shape
    OH, OW = grad.shape[1:]
    whole, image = np.empty((OH, OW, PLANES), grad.dtype), np.empty((H, W, PLANES), grad.dtype)
    blocks = (P + PLANES - 1) // PLANES
    for block in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, count = block * PLANES, min(PLANES, P - block * PLANES)
        pack(grad, start, count, whole)
        share(whole, kernel, stride, padding, counts, image, 0, PLANES)
        unpack(image, out, start, count)


def avg_pool2d_grad(
    grad: Any, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, divisor: int | None
) -> Any:
    """Share each output's gradient (N, C, OH, OW) among the elements of its window: (N, C, H, W)."""
    N, C, *size = grad.shape
    last = channels_last(grad)
    shares = arranged(grad, last)
    pixels, out = blank((N, C, *image), grad.dtype, last)
    counts = windows_sizes(kernel, stride, padding, (size[0], size[1]), image, count_include_pad, divisor, grad.dtype)
    parts = parts_for(grad.size * kernel[0] * kernel[1], LEAST_WORK)
    if last:
        run(share_among_channels, parts, shares, kernel, stride, padding, counts, pixels)
    else:
        planes = shares.reshape(N * C, *size), pixels.reshape(N * C, *image)
        run(share_among_planes, parts, planes[0], kernel, stride, padding, counts, planes[1])
    return out
