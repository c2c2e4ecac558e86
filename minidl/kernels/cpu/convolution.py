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
and channels swapped; for a stride, the gradient's pixels are spread apart with zeros between them.

References
----------
Dukhan (2019), "The Indirect Convolution Algorithm".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, helper, kernel
from minidl.kernels.cpu.convolution_tiles import copy_number, copy_rows, filters_by_pixels
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
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


class Layout(NamedTuple):
    """Where the pixels of a padded image, or of a band of its rows, stand in a thread's memory."""

    lines: np.ndarray  # (H,): in which line of its phase each row of the image stands
    phases: np.ndarray  # (H,): and where the phase begins in the channel's plane
    columns: np.ndarray  # (W,): where each column stands in its row; -1: nowhere, it is not needed
    plane: int  # numbers of a channel
    width: int  # numbers from an output row to the next
    height: int  # lines of a phase
    stride: Pair
    whole_rows: bool  # whether the columns are neighbours there, and the rows one ``width`` apart


def layout(image: Pair, needed: Pair, stride: Pair, before: Pair, spread: Pair) -> Layout:
    """Lay out planes of ``needed`` pixels: ``before`` zeros, then an image's with ``spread - 1`` zeros between them."""
    height, width = (-(-needed[axis] // stride[axis]) for axis in (0, 1))
    row, column = (before[axis] + spread[axis] * np.arange(image[axis]) for axis in (0, 1))
    columns = column % stride[1] * height * width + column // stride[1]
    columns = np.where((column >= 0) & (column < needed[1]), columns, -1)
    phases = row % stride[0] * (stride[1] * height * width)
    plane = stride[0] * stride[1] * height * width
    return Layout(row // stride[0], phases, columns, plane, width, height, stride, stride == spread == (1, 1))


def needed_pixels(size: Pair, stride: Pair, kernel: Pair, dilation: Pair) -> Pair:
    """Return how many rows and columns all windows cover together."""
    rows, columns = (stride[axis] * (size[axis] - 1) + dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1))
    return rows, columns


def cell_offsets(channels: int, kernel: Pair, dilation: Pair, place: Layout) -> np.ndarray:
    """Return how far each cell (c, r, s) of a window stands from the window's beginning."""
    (vertical, horizontal), height, width = place.stride, place.height, place.width
    r = np.arange(kernel[0]) * dilation[0]
    s = np.arange(kernel[1]) * dilation[1]
    down = r % vertical * horizontal * height * width + r // vertical * width
    right = s % horizontal * height * width + s // horizontal
    channel = np.arange(channels) * place.plane
    return (channel[:, None, None] + down[:, None] + right).ravel()


class Plan(NamedTuple):
    """What :func:`convolve` knows of a geometry."""

    place: tuple[Any, ...]  # lines, phases, columns, plane, width, height, whole rows
    offsets: np.ndarray
    # groups, filters and channels of a group, cells, tile, channels of a block, panels of a group, rows of a band,
    # numbers of the padded band, and of all memory of a thread
    numbers: tuple[int, ...]
    tile_rows: int
    memory: int
    work: int  # multiply-adds


def up(count: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-count // step) * step


def place_of(layout: Layout) -> tuple[Any, ...]:
    """Return what :func:`pad_image` needs to know."""
    return (*layout[:6], layout.whole_rows)


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
    spread: Pair,
    dilation: Pair,
    itemsize: int,
) -> Plan:
    """Lay out the image and choose tile and blocks; filters and channels are those of a group."""
    lanes = VECTOR_BYTES // itemsize
    width = layout(image, needed_pixels(size, stride, kernel, dilation), stride, before, spread).width
    # A band: output rows whose pixels stay in the second-level cache, and few enough to share out.
    line = groups * channels * stride[0] * stride[1] * width * itemsize
    reach = dilation[0] * (kernel[0] - 1) // stride[0]
    band = min(size[0], max(BAND_BYTES // line - reach, reach, 1))
    band = min(band, max(4, -(-size[0] * images // PIECES)))
    band = -(-size[0] // -(-size[0] // band))
    place = layout(image, needed_pixels((band, size[1]), stride, kernel, dilation), stride, before, spread)
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
    memory = padded + tall * together * panel + 2 * VECTOR_BYTES
    numbers = (groups, filters, channels, cells, tile, block, together, band, padded, memory)
    work = images * groups * filters * channels * cells * size[0] * size[1]
    offsets = cell_offsets(channels, kernel, dilation, place)
    return Plan(place_of(place), offsets, numbers, TILES[tile][0], memory, work)


@kernel
def pack_filters(filters, height, packed):  # type: ignore[no-untyped-def]
    """Lay (G, filters, channels, R, S) out as G x panels of ``height`` filters x cells x ``height``, over zeros."""
    address, G, K, C, R, S, group, one, channel, row, column = filters
    at = 0
    for g in range(G):
        for k in range(0, K, height):
            count = min(height, K - k)
            for c in range(C):
                for r in range(R):
                    for s in range(S):
                        source = g * group + k * one + c * channel + r * row + s * column
                        copy_rows(packed, at, 1, address, source, one, count, 1)
                        at += height


def numbers_of(x: Any) -> tuple[int, ...]:
    """Return the address of an array, its shape and its strides in numbers: to Numba, all layouts are one type."""
    address: int = x.__array_interface__["data"][0]
    return (address, *x.shape, *[stride // x.itemsize for stride in x.strides])


@helper
def pad_image(x, n, place, line, padded, begin):  # type: ignore[no-untyped-def]
    """Copy what is needed of image n, from output row ``line`` on, between the zeros of ``padded``."""
    address, _, C, H, W, image, channel, row, column = x
    lines, phases, columns, plane, width, height, whole_rows = place
    first, last = 0, H
    while first < H and lines[first] < line:
        first += 1
    while last > first and lines[last - 1] >= line + height:
        last -= 1
    left, right = 0, W
    while left < W and columns[left] < 0:
        left += 1
    while right > left and columns[right - 1] < 0:
        right -= 1
    if first == last or left == right:
        return
    count = right - left
    for c in range(C):
        source = n * image + c * channel + first * row + left * column
        at = begin + c * plane + phases[first] + (lines[first] - line) * width + columns[left]
        if whole_rows and column == 1 and row == width and count == width:
            copy_rows(padded, at, 0, address, source, 0, 1, (last - first) * width)
        elif whole_rows and column == 1:
            copy_rows(padded, at, width, address, source, row, last - first, count)
        else:
            for i in range(first, last):
                at = begin + c * plane + phases[i] + (lines[i] - line) * width
                if whole_rows:
                    copy_rows(padded, at + columns[left], 1, address, source, column, count, 1)
                else:
                    for j in range(left, right):
                        copy_number(padded, at + columns[j], address, source + (j - left) * column)
                source += row


@kernel
def convolve(part, parts, x, filters, bias, place, offsets, numbers, relu, memory, y):  # type: ignore[no-untyped-def]
    """Compute a share of the bands of rows of ``y`` (N, K, OH, OW), for all filters."""
    if shared_out(part, parts):
        return
    G, filters_each, channels_each, cells, tile, block, together, band, padded, own = numbers
    plane, width = place[3], place[4]
    N, _, OH, OW = y.shape
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
    image_at = part * own
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
            first = (n * G + g) * filters_each
            for p in range(0, pixels, together * panel):
                for c in range(0, channels_each, block):
                    steps = (min(c + block, channels_each) - c) * cells
                    least = 0.0 if relu and c + block >= channels_each else -np.inf
                    for q in range(filter_panels):
                        k = q * height
                        filters_at = ((g * filter_panels + q) * channels_each + c) * cells * height
                        bias_at = (g * filter_panels + q) * height
                        tile_at = sums_at if block >= channels_each else sums_at + k * panel
                        stop = min(p + together * panel, pixels)
                        for begin in range(p, stop, panel):
                            at = tile_at + begin - p
                            pixels_at = image_at + g * channels_each * plane + begin
                            if tile == ONE:
                                filters_by_pixels(
                                    1, ONE_VECTORS, steps, filters, filters_at, memory, pixels_at, offsets, c * cells,
                                    bias, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            elif tile == FEW:
                                filters_by_pixels(
                                    FEW_ROWS, FEW_VECTORS, steps, filters, filters_at, memory, pixels_at, offsets,
                                    c * cells, bias, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            elif stop - begin <= lanes:
                                filters_by_pixels(
                                    MAIN_ROWS, 1, steps, filters, filters_at, memory, pixels_at, offsets, c * cells,
                                    bias, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            elif stop - begin <= 2 * lanes:
                                filters_by_pixels(
                                    MAIN_ROWS, 2, steps, filters, filters_at, memory, pixels_at, offsets, c * cells,
                                    bias, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                            else:
                                filters_by_pixels(
                                    MAIN_ROWS, MAIN_VECTORS, steps, filters, filters_at, memory, pixels_at, offsets,
                                    c * cells, bias, bias_at, memory, at, row, c > 0, least,
                                )  # fmt: skip
                        if c + block >= channels_each:
                            count = min(height, filters_each - k)
                            store_rows(memory, tile_at, row, p, stop, width, count, y, first + k, line)


@helper
def store_rows(memory, tile_at, tile_row, begin, stop, width, count, y, first, line):  # type: ignore[no-untyped-def]
    """Store pixels ``begin`` .. ``stop``, but those of windows that wrap around, into ``count`` planes from ``first``.

    Pixels count from output row ``line`` on.
    """
    OH, OW = y.shape[2:]
    p = begin
    while p < stop:
        i = p // width
        j = p - i * width
        length = min(stop - p, OW - j)
        if length > 0:
            to = (first * OH + line + i) * OW + j
            copy_rows(y, to, OH * OW, memory, tile_at + p - begin, tile_row, count, length)
        p += width - j


def execute(plan: Plan, x: Any, filters: Any, bias: Any, relu: bool, y: Any) -> Any:
    """Pack filters (G, K / G, C / G, R, S) and bias, and convolve, on as many threads as pay."""
    groups, filters_each = plan.numbers[:2]
    height = plan.tile_rows
    padded_filters = -(-filters_each // height) * height
    packed = np.zeros(groups * padded_filters * plan.offsets.size, x.dtype)
    if not filters.flags.aligned:
        filters = filters.copy()
    pack_filters(numbers_of(filters), height, packed)
    packed_bias = np.zeros((groups, padded_filters), x.dtype)
    if bias is not None:
        packed_bias[:, :filters_each] = bias.reshape(groups, filters_each)
    parts = parts_for(plan.work, LEAST_WORK)
    memory = scratch(parts * plan.memory, x.dtype)
    geometry = plan.place, plan.offsets, plan.numbers
    run(convolve, parts, numbers_of(x), packed, packed_bias.reshape(-1), *geometry, relu, memory, y)
    return y


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
    plan = make_plan(
        N, (H, W), channels, K // groups, groups, (R, S), size, stride, before, (1, 1), dilation, x.itemsize
    )
    y = np.empty((N, K, *size), x.dtype)
    return execute(plan, x, weight.reshape(groups, K // groups, channels, R, S), bias, relu, y)


def conv2d_input_grad(
    grad: Any, weight: Any, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Give each output pixel's gradient back to the pixels of its window; parameters as in the reference."""
    if not grad.flags.aligned:
        grad = grad.copy()
    N, K, OH, OW = grad.shape
    _, channels, R, S = weight.shape
    before = (dilation[0] * (R - 1) - padding[0][0], dilation[1] * (S - 1) - padding[1][0])
    plan = make_plan(
        N, (OH, OW), K // groups, channels, groups, (R, S), size, (1, 1), before, stride, dilation, grad.itemsize
    )
    y = np.empty((N, channels * groups, *size), grad.dtype)
    filters = weight.reshape(groups, K // groups, channels, R, S).swapaxes(1, 2)[..., ::-1, ::-1]
    return execute(plan, grad, filters, None, False, y)
