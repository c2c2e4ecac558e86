r"""Convolution straight out of the padded image, by vector code: no window is ever unfolded.

Let the padded image of one channel be ``width`` pixels wide. Then the window of the output pixel at ``p = oh * width
+ ow`` begins at p, and its cell (r, s) stands at ``p + r * width + s``: the cells of neighbouring windows are
neighbours, and lie at an offset that does not depend on p::

    padded image (Hp x width)          output, computed as one long row of pixels
    ┌───────────────────────┐          ┌─────────────────┬─────┐
    │ . . . . . . . . . . . │          │ 0 1 2 3 4 5 6 7 │ x x │   x: windows that wrap around into
    │ . . p # # . . . . . . │          │ . . p . . . . . │ x x │      the next line, not stored
    │ . . # # # . . . . . . │          │ . . . . . . . . │ x x │
    │ . . # # # . . . . . . │          └─────────────────┴─────┘
    └───────────────────────┘            panel: some registers of neighbouring p

So a table of offsets, one for each cell (c, r, s) of a window, is all that the innermost loop needs
(:func:`~minidl.kernels.cpu.convolution_tiles.filters_by_pixels`). Dilation only changes the table. For a stride, the
image is stored as its phases: the pixels whose row and column leave the same remainders stand together, and windows
are neighbours again. Each thread pads one band of an image's rows at a time, in memory of its own that stays in cache.

The gradient for the image is the convolution of the padded gradient with the filters turned by 180 degrees, filters
and channels swapped. For a stride, the image's pixels are computed in phases too: those whose row and column leave the
same remainders see the same cells of the filters and no others, so that each phase is a convolution without a stride.

Zeros around an image are multiplied like other numbers: an infinite weight makes nan there. In the convolution the
reference and PyTorch do the same; in the gradient for the image, whose borders see zeros where there is no output,
they do not: there finite and infinite numbers may be nan here.

Filters of 3 x 3 without a stride have a faster way, :mod:`~minidl.kernels.cpu.winograd`, where channels are many.

References
----------
Dukhan (2019), "The Indirect Convolution Algorithm".
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, inlined, kernel
from minidl.kernels.cpu.convolution_layout import (
    cell_offsets,
    contiguous,
    layout,
    needed_pixels,
    numbers_of,
    pad_image,
    place_of,
    up,
)
from minidl.kernels.cpu.convolution_tiles import filters_by_pixels
from minidl.kernels.cpu.copies import copy_number, copy_rows, transpose_rows
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.winograd import convolve_3x3, pays
from minidl.kernels.reference.windows import Pair, Sides

__all__ = ["conv2d", "conv2d_input_grad"]

# Tiles, as rows (filters) x registers (pixels): the sums, one row's number and a step's pixels fill the registers.
if VECTOR_REGISTERS >= 32:
    MAIN_ROWS, MAIN_VECTORS, FEW_ROWS, FEW_VECTORS, ONE_VECTORS = 8, 3, 6, 4, 8
else:
    MAIN_ROWS, MAIN_VECTORS, FEW_ROWS, FEW_VECTORS, ONE_VECTORS = 4, 3, 6, 2, 8
MAIN, FEW, ONE = 0, 1, 2
TILES = ((MAIN_ROWS, MAIN_VECTORS), (FEW_ROWS, FEW_VECTORS), (1, ONE_VECTORS))
#: What of an image the filters go over before the next channels.
BLOCK_BYTES = 64 * 2**10
#: Sums that are stored at once.
TILE_BYTES = 8 * 2**10
#: Padded rows that are worked on at a time: a part of a second-level cache.
BAND_BYTES = 256 * 2**10
#: In how many bands the work is cut at least, if it has so many rows.
PIECES = 8
#: Multiply-adds that outweigh waking a thread.
LEAST_WORK = 2**20


class Plan(NamedTuple):
    """What :func:`convolve` knows of a geometry."""

    place: tuple[Any, ...]  # lines, phases, columns, plane, width, height, whole rows
    offsets: np.ndarray
    # groups, filters and channels of a group, cells, output rows and columns, tile, channels of a block, panels of a
    # group, rows of a band, where the packed biases and the threads' memory begin, numbers of the padded band, and of
    # all memory of a thread
    numbers: tuple[int, ...]
    tile_rows: int
    common: int  # numbers of memory for all threads together
    memory: int  # and for each
    work: int  # multiply-adds


@lru_cache(maxsize=256)
def make_plan(
    images: int,
    image: Pair,
    channels: int,
    filters: int,
    groups: int,
    kernel: Pair,
    size: Pair,
    stride: Pair,
    before: Pair,
    dilation: Pair,
    itemsize: int,
) -> Plan:
    """Lay out the image and choose tile and blocks; filters and channels are those of a group."""
    lanes = VECTOR_BYTES // itemsize
    width = layout(image, needed_pixels(size, stride, kernel, dilation), stride, before).width
    # A band: output rows whose pixels stay in the second-level cache, and few enough to share out.
    line = groups * channels * stride[0] * stride[1] * width * itemsize
    reach = dilation[0] * (kernel[0] - 1) // stride[0]
    band = min(size[0], max(BAND_BYTES // line - reach, reach, 1))
    band = min(band, max(4, -(-size[0] * images // PIECES)))
    band = -(-size[0] // -(-size[0] // band))
    place = layout(image, needed_pixels((band, size[1]), stride, kernel, dilation), stride, before)
    pixels = (band - 1) * width + size[1]

    if filters == 1:
        tile = ONE
    else:
        tile = min((MAIN, FEW), key=lambda i: up(filters, TILES[i][0]) * up(pixels, TILES[i][1] * lanes))
    panel = TILES[tile][1] * lanes
    # A block: channels of which a panel's windows stay in cache, from one filter to the next.
    cells = kernel[0] * kernel[1]
    block = max(BLOCK_BYTES // (itemsize * (panel + reach * width)), -(-128 // cells))
    block = -(-channels // -(-channels // block))
    # If all channels do, as many panels as there is room for: the filters are read once for them.
    together = 1
    if block == channels:
        together = (BLOCK_BYTES // (itemsize * channels) - reach * width) // panel
        together = max(1, min(together, TILE_BYTES // (itemsize * TILES[tile][0] * panel), -(-pixels // panel)))
    tall = up(filters, TILES[tile][0]) if block < channels else TILES[tile][0]
    padded = up(groups * channels * place.plane + panel + lanes, lanes)
    memory = padded + tall * together * panel + 2 * lanes
    rows = groups * up(filters, TILES[tile][0])
    biases_at = rows * channels * cells
    common = up(biases_at + rows, lanes)
    numbers = (
        groups, filters, channels, cells, *size, tile, block, together, band, biases_at, common, padded, memory
    )  # fmt: skip
    work = images * groups * filters * channels * cells * size[0] * size[1]
    offsets = cell_offsets(channels, kernel, dilation, place)
    return Plan(place_of(place), offsets, numbers, TILES[tile][0], common, memory, work)


@kernel
def pack_filters(weight, bias, order, height, packed):  # type: ignore[no-untyped-def]
    """Lay filters (G, K, C, cells) out as G x panels of ``height`` filters x cells x ``height``; then their biases.

    ``order`` has those four sizes, the strides of the first three, whether cells stand in the order opposite to the
    filters', and whether there is a bias; ``weight`` and ``bias`` are addresses. In the last panel of a group, what
    lies behind its last filter is anything: its sums are not stored.
    """
    G, K, C, cells, group, one, channel, turned, has_bias = order
    if channel == cells and not turned:
        C, cells = 1, C * cells
    lanes = VECTOR_BYTES // packed.itemsize
    at = 0
    for g in range(G):
        for k in range(0, K, height):
            for c in range(C):
                for q in range(0, cells, lanes):
                    first, step = (cells - 1 - q, -height) if turned else (q, height)
                    for i in range(0, height, lanes):
                        width = min(lanes, height - i)
                        if k + i < K:
                            transpose_rows(
                                packed, at + first * height + i, step, width, weight,
                                g * group + (k + i) * one + c * channel + q, one,
                                min(width, K - k - i), min(lanes, cells - q),
                            )  # fmt: skip
                at += cells * height
    for g in range(G):
        for k in range((K + height - 1) // height * height):
            packed[at] = 0
            if has_bias and k < K:
                copy_number(packed, at, bias, g * K + k)
            at += 1


@kernel
def convolve(part, parts, x, place, offsets, numbers, relu, memory, y, target):  # type: ignore[no-untyped-def]
    """Compute a share of the bands of rows of the output, for all filters.

    Parameters
    ----------
    x : tuple
        The image, as :func:`~minidl.kernels.cpu.convolution_layout.numbers_of` says.
    place, offsets, numbers
        Of the :class:`Plan`.
    memory : array
        What :func:`pack_filters` left, and what each thread may use.
    y : array
        Flat.
    target : tuple of int
        Where in ``y`` the output begins, and how far its images, filters, rows and pixels are apart.
    """
    if shared_out(part, parts):
        return
    G, filters_each, channels_each, cells, OH, OW, tile, block, together, band, biases_at, common, padded, own = numbers
    plane, width = place[3], place[4]
    N = x[1]
    lanes = VECTOR_BYTES // y.itemsize
    if tile == MAIN:
        height, panel = MAIN_ROWS, MAIN_VECTORS * lanes
    elif tile == FEW:
        height, panel = FEW_ROWS, FEW_VECTORS * lanes
    else:
        height, panel = 1, ONE_VECTORS * lanes
    filter_panels = (filters_each + height - 1) // height
    row = together * panel
    bands = (OH + band - 1) // band
    image_at = common + part * own
    sums_at = image_at + padded
    memory[image_at:sums_at] = 0
    for unit in range(N * bands * part // parts, N * bands * (part + 1) // parts):
        n = unit // bands
        line = (unit - n * bands) * band
        if bands > 1:
            memory[image_at:sums_at] = 0
        pad_image(x, n, place, line, memory, image_at)
        pixels = (min(band, OH - line) - 1) * width + OW
        for g in range(G):
            for p in range(0, pixels, together * panel):
                for c in range(0, channels_each, block):
                    steps = (min(c + block, channels_each) - c) * cells
                    least = 0.0 if relu and c + block >= channels_each else -np.inf
                    for q in range(filter_panels):
                        k = q * height
                        filters_at = ((g * filter_panels + q) * channels_each + c) * cells * height
                        bias_at = biases_at + (g * filter_panels + q) * height
                        tile_at = sums_at if block >= channels_each else sums_at + k * panel
                        stop = min(p + together * panel, pixels)
                        for begin in range(p, stop, panel):
                            at = tile_at + begin - p
                            pixels_at = image_at + g * channels_each * plane + begin
                            if tile == ONE:
                                filters_by_pixels(
                                    1, ONE_VECTORS, steps, memory, filters_at, memory, pixels_at, offsets, c * cells,
                                    memory, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            elif tile == FEW:
                                filters_by_pixels(
                                    FEW_ROWS, FEW_VECTORS, steps, memory, filters_at, memory, pixels_at, offsets,
                                    c * cells, memory, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            elif stop - begin <= lanes:
                                filters_by_pixels(
                                    MAIN_ROWS, 1, steps, memory, filters_at, memory, pixels_at, offsets, c * cells,
                                    memory, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            elif stop - begin <= 2 * lanes:
                                filters_by_pixels(
                                    MAIN_ROWS, 2, steps, memory, filters_at, memory, pixels_at, offsets, c * cells,
                                    memory, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            else:
                                filters_by_pixels(
                                    MAIN_ROWS, MAIN_VECTORS, steps, memory, filters_at, memory, pixels_at, offsets,
                                    c * cells, memory, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                        if c + block >= channels_each:
                            count = min(height, filters_each - k)
                            first = g * filters_each + k
                            store_rows(memory, tile_at, row, p, stop, width, OW, count, y, target, n, first, line)


@inlined
def store_rows(  # type: ignore[no-untyped-def]
    memory, tile_at, tile_row, begin, stop, width, line_pixels, count, y, target, n, first, line
):
    """Store pixels ``begin`` .. ``stop``, but those of windows that wrap around, into ``count`` planes from ``first``.

    Pixels count from output row ``line`` on; a row of the image has ``width`` of them, one of the output
    ``line_pixels``.
    """
    origin, image, plane, row, column = target
    p = begin
    while p < stop:
        i = p // width
        j = p - i * width
        length = min(stop - p, line_pixels - j)
        if length > 0:
            at = origin + n * image + first * plane + (line + i) * row + j * column
            source = tile_at + p - begin
            if column == 1:
                copy_rows(y, at, plane, memory, source, tile_row, count, length)
            else:
                for k in range(count):
                    for q in range(length):
                        y[at + k * plane + q * column] = memory[source + k * tile_row + q]
        p += width - j


def execute(
    plan: Plan, x: Any, weight: int, bias: int, order: tuple[Any, ...], relu: bool, y: Any, target: tuple[int, ...]
) -> None:
    """Pack filters and biases, and convolve, on as many threads as pay; parameters as in the two kernels."""
    parts = parts_for(plan.work, LEAST_WORK)
    memory = scratch(plan.common + parts * plan.memory, x.dtype)
    pack_filters(weight, bias, order, plan.tile_rows, memory)
    run(convolve, parts, numbers_of(x), plan.place, plan.offsets, plan.numbers, relu, memory, y.reshape(-1), target)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    size: Pair,
    relu: bool = False,
) -> Any:
    """Slide the filters over the image; parameters as in :func:`minidl.kernels.reference.conv2d`."""
    if not x.flags.aligned:  # a field of records: its strides may not be whole numbers
        x = x.copy()
    N, _, H, W = x.shape
    K, channels, R, S = weight.shape
    before = (padding[0][0], padding[1][0])
    if pays(x, weight, stride, dilation, groups, size):
        return convolve_3x3(x, weight, False, bias, before, size, relu)
    filters, cells = K // groups, R * S
    plan = make_plan(N, (H, W), channels, filters, groups, (R, S), size, stride, before, dilation, x.itemsize)
    weight, weight_at = contiguous(weight)
    bias, bias_at = (None, 0) if bias is None else contiguous(bias)
    strides = (filters * channels * cells, channels * cells, cells)
    order = (groups, filters, channels, cells, *strides, False, bias is not None)
    y = np.empty((N, K, *size), x.dtype)
    pixels = size[0] * size[1]
    execute(plan, x, weight_at, bias_at, order, relu, y, (0, K * pixels, pixels, size[1], 1))
    return y


def conv2d_input_grad(
    grad: Any, weight: Any, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Give each output pixel's gradient back to the pixels of its window; parameters as in the reference."""
    if not grad.flags.aligned:
        grad = grad.copy()
    N, K, OH, OW = grad.shape
    channels = weight.shape[1]
    if pays(grad, weight, stride, dilation, groups, size):
        return convolve_3x3(grad, weight, True, None, (2 - padding[0][0], 2 - padding[1][0]), size, False)
    rows, columns = (
        phases(size[axis], stride[axis], padding[axis][0], dilation[axis], weight.shape[axis + 2]) for axis in (0, 1)
    )
    C, (H, W), filters = groups * channels, size, K // groups
    y = np.empty((N, C, H, W), grad.dtype)
    if len(rows) < min(stride[0], H) or len(columns) < min(stride[1], W):
        y[...] = 0  # some pixels are seen by no cell
    for row, column in itertools.product(rows, columns):
        part, part_at = contiguous(weight[:, :, row.cells, column.cells])
        kernel = part.shape[2:]
        plan = make_plan(
            N, (OH, OW), filters, channels, groups, kernel, (row.length, column.length), (1, 1),
            (row.before, column.before), (row.dilation, column.dilation), grad.itemsize,
        )  # fmt: skip
        cells = kernel[0] * kernel[1]
        order = (groups, channels, filters, cells, filters * channels * cells, cells, channels * cells, True, False)
        target = (row.first * W + column.first, C * H * W, H * W, stride[0] * W, stride[1])
        execute(plan, grad, part_at, 0, order, False, y, target)
    return y


class Phase(NamedTuple):
    """One axis of the pixels of an image's gradient that see the same cells of the filters."""

    first: int  # pixel; the others follow a stride apart
    length: int
    cells: slice
    dilation: int
    before: int  # zeros before the output's gradient


@lru_cache(maxsize=256)
def phases(size: int, stride: int, padding: int, dilation: int, kernel: int) -> list[Phase]:
    r"""Cut an axis of the image into phases, but for those that no cell sees.

    Pixel h gets the gradients of the outputs i for whose cell r :math:`h + padding = i \cdot stride + r \cdot
    dilation`. In a phase h + padding leaves the same remainder by the stride, and so must r * dilation: that is some
    first cell and every (stride / gcd)-th after it, which then stand dilation / gcd outputs apart.
    """
    found = []
    common = gcd(stride, dilation)
    for first in range(min(stride, size)):
        for cell in range(min(stride // common, kernel)):
            if (first + padding - cell * dilation) % stride == 0:
                cells = range(cell, kernel, stride // common)
                outputs = (first + padding - cell * dilation) // stride
                reach = dilation // common * (len(cells) - 1)
                chosen = slice(cell, kernel, stride // common)
                found.append(Phase(first, -(-(size - first) // stride), chosen, dilation // common, reach - outputs))
    return found
