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
are neighbours again. Each thread pads one image at a time, in memory of its own that stays in its cache.

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
from minidl.kernels.cpu.convolution_tiles import copy_numbers, filters_by_pixels
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.threads import parts_for, run
from minidl.kernels.reference.windows import Pair, Sides

__all__ = ["conv2d", "conv2d_input_grad"]

# Tiles, as rows (filters) x registers (pixels): the sums, one row's number and a step's pixels fill the registers.
if VECTOR_REGISTERS >= 32:
    MAIN_ROWS, MAIN_VECTORS, FEW_ROWS, FEW_VECTORS, ONE_VECTORS = 8, 3, 6, 4, 8
else:
    MAIN_ROWS, MAIN_VECTORS, FEW_ROWS, FEW_VECTORS, ONE_VECTORS = 4, 3, 6, 2, 8
MAIN, FEW, ONE = 0, 1, 2
TILES = ((MAIN_ROWS, MAIN_VECTORS), (FEW_ROWS, FEW_VECTORS), (1, ONE_VECTORS))
#: What of an image the filters go over before the next channels: half of a first-level cache.
BLOCK_BYTES = 16 * 2**10
#: Multiply-adds that outweigh waking a thread.
LEAST_WORK = 2**20


class Layout(NamedTuple):
    """Where the pixels of a padded image stand in a thread's memory."""

    rows: np.ndarray  # (H,): where each row of the image goes in its channel's plane; -1: nowhere, it is not needed
    columns: np.ndarray  # (W,): and each column in its row
    plane: int  # numbers of a channel
    width: int  # numbers from an output row to the next
    phases: Pair
    height: int


def layout(image: Pair, needed: Pair, stride: Pair, before: Pair, spread: Pair) -> Layout:
    """Lay out planes of ``needed`` pixels: ``before`` zeros, then an image's with ``spread - 1`` zeros between them."""
    height, width = (-(-needed[axis] // stride[axis]) for axis in (0, 1))
    tables = []
    for axis, step, phase in ((0, width, stride[1] * height * width), (1, 1, height * width)):
        place = before[axis] + spread[axis] * np.arange(image[axis])
        inside = (place >= 0) & (place < needed[axis])
        table = place % stride[axis] * phase + place // stride[axis] * step
        tables.append(np.where(inside, table, -1))
    return Layout(tables[0], tables[1], stride[0] * stride[1] * height * width, width, stride, height)


def needed_pixels(size: Pair, stride: Pair, kernel: Pair, dilation: Pair) -> Pair:
    """Return how many rows and columns all windows cover together."""
    rows, columns = (stride[axis] * (size[axis] - 1) + dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1))
    return rows, columns


def cell_offsets(channels: int, kernel: Pair, dilation: Pair, place: Layout) -> np.ndarray:
    """Return how far each cell (c, r, s) of a window stands from the window's beginning."""
    (vertical, horizontal), height, width = place.phases, place.height, place.width
    r = np.arange(kernel[0]) * dilation[0]
    s = np.arange(kernel[1]) * dilation[1]
    down = r % vertical * horizontal * height * width + r // vertical * width
    right = s % horizontal * height * width + s // horizontal
    channel = np.arange(channels) * place.plane
    return (channel[:, None, None] + down[:, None] + right).ravel()


class Plan(NamedTuple):
    """What :func:`convolve` knows of a geometry."""

    rows: np.ndarray
    columns: np.ndarray
    offsets: np.ndarray
    numbers: tuple[int, ...]  # groups, filters and channels of a group, cells, plane, width, tile, block, memory
    tile_rows: int
    memory: int  # numbers of one thread's part of the workspace
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
    spread: Pair,
    dilation: Pair,
    itemsize: int,
) -> Plan:
    """Lay out the image and choose a tile, for filters (of a group) and channels (of a group)."""
    place = layout(image, needed_pixels(size, stride, kernel, dilation), stride, before, spread)
    lanes = VECTOR_BYTES // itemsize
    pixels = (size[0] - 1) * place.width + size[1]
    up = lambda count, step: -(-count // step) * step  # noqa: E731
    if filters == 1:
        tile = ONE
    else:
        tile = min((MAIN, FEW), key=lambda i: up(filters, TILES[i][0]) * up(pixels, TILES[i][1] * lanes))
    panel = TILES[tile][1] * lanes
    block = max(1, BLOCK_BYTES // (itemsize * (panel + (kernel[0] - 1) * dilation[0] * place.width)))
    block = min(channels, max(block, -(-128 // (kernel[0] * kernel[1]))))
    block = -(-channels // -(-channels // block))  # of equal size
    tall = up(filters, TILES[tile][0]) if block < channels else TILES[tile][0]
    padded = up(groups * channels * place.plane + panel + lanes, lanes)
    memory = padded + tall * panel + 2 * VECTOR_BYTES
    numbers = (
        groups, filters, channels, kernel[0] * kernel[1], place.plane, place.width, tile, block, padded, memory
    )  # fmt: skip
    work = images * groups * filters * channels * kernel[0] * kernel[1] * size[0] * size[1]
    offsets = cell_offsets(channels, kernel, dilation, place)
    return Plan(place.rows, place.columns, offsets, numbers, TILES[tile][0], memory, work)


@kernel
def pack_filters(filters, height, packed):  # type: ignore[no-untyped-def]
    """Lay (G, filters, channels, R, S) out as G x panels of ``height`` filters x cells x ``height``, zeros last."""
    G, K, C, R, S = filters.shape
    panel = C * R * S * height
    panels = (K + height - 1) // height
    for g in range(G):
        for k in range(panels * height):
            at = (g * panels + k // height) * panel + k % height
            for c in range(C):
                for r in range(R):
                    for s in range(S):
                        packed[at] = filters[g, k, c, r, s] if k < K else 0
                        at += height


@helper
def pad_image(x, n, rows, columns, plane, padded, begin):  # type: ignore[no-untyped-def]
    """Copy image n between the zeros of ``padded``, from ``begin`` on, to where the tables say."""
    C, H, W = x.shape[1:]
    for c in range(C):
        for i in range(H):
            if rows[i] >= 0:
                at = begin + c * plane + rows[i]
                for j in range(W):
                    if columns[j] >= 0:
                        padded[at + columns[j]] = x[n, c, i, j]


@kernel
def convolve(part, parts, x, filters, bias, rows, columns, offsets, numbers, memory, y):  # type: ignore[no-untyped-def]
    """Compute a share of the panels of pixels of ``y`` (N, K, OH, OW), for all filters."""
    G, filters_each, channels_each, cells, plane, width, tile, block, padded, own = numbers
    N, _, OH, OW = y.shape
    if tile == MAIN:
        height, vectors = MAIN_ROWS, MAIN_VECTORS
    elif tile == FEW:
        height, vectors = FEW_ROWS, FEW_VECTORS
    else:
        height, vectors = 1, ONE_VECTORS
    panel = vectors * (VECTOR_BYTES // x.itemsize)
    pixels = (OH - 1) * width + OW
    panels = (pixels + panel - 1) // panel
    filter_panels = (filters_each + height - 1) // height
    image_at = part * own
    sums_at = image_at + padded
    memory[image_at:sums_at] = 0
    flat = y.reshape(-1)
    loaded = -1
    for index in range(N * panels * part // parts, N * panels * (part + 1) // parts):
        n = index // panels
        begin = (index - n * panels) * panel
        if n != loaded:
            pad_image(x, n, rows, columns, plane, memory, image_at)
            loaded = n
        for g in range(G):
            for c in range(0, channels_each, block):
                last = c + block >= channels_each
                steps = (min(c + block, channels_each) - c) * cells
                pixels_at = image_at + g * channels_each * plane + begin
                for q in range(filter_panels):
                    k = q * height
                    filters_at = ((g * filter_panels + q) * channels_each + c) * cells * height
                    bias_at = (g * filter_panels + q) * height
                    tile_at = sums_at if block >= channels_each else sums_at + k * panel
                    if tile == MAIN:
                        filters_by_pixels(
                            MAIN_ROWS, MAIN_VECTORS, steps, filters, filters_at, memory, pixels_at, offsets, c * cells,
                            bias, bias_at, memory, tile_at, c > 0,
                        )  # fmt: skip
                    elif tile == FEW:
                        filters_by_pixels(
                            FEW_ROWS, FEW_VECTORS, steps, filters, filters_at, memory, pixels_at, offsets, c * cells,
                            bias, bias_at, memory, tile_at, c > 0,
                        )  # fmt: skip
                    else:
                        filters_by_pixels(
                            1, ONE_VECTORS, steps, filters, filters_at, memory, pixels_at, offsets, c * cells,
                            bias, bias_at, memory, tile_at, c > 0,
                        )  # fmt: skip
                    if last:
                        count = min(height, filters_each - k)
                        first = (n * G + g) * filters_each + k
                        store_rows(memory, tile_at, panel, begin, width, count, flat, first, OH, OW)


@helper
def store_rows(memory, tile_at, panel, begin, width, count, flat, first, rows, columns):  # type: ignore[no-untyped-def]
    """Store a tile's pixels, except those of windows that wrap around: planes ``first`` .. ``first + count``."""
    p = begin
    while p < begin + panel:
        i = p // width
        j = p - i * width
        if i >= rows:
            return
        length = min(begin + panel - p, columns - j)
        if length > 0:
            for k in range(count):
                to = ((first + k) * rows + i) * columns + j
                copy_numbers(flat, to, memory, tile_at + k * panel + p - begin, length)
        p += width - j


def execute(plan: Plan, x: Any, filters: Any, bias: Any, y: Any) -> Any:
    """Pack filters (G, K / G, C / G, R, S) and bias, and convolve, on as many threads as pay."""
    groups, filters_each = plan.numbers[:2]
    height = plan.tile_rows
    padded_filters = -(-filters_each // height) * height
    packed = np.empty(groups * padded_filters * plan.offsets.size, x.dtype)
    pack_filters(filters, height, packed)
    packed_bias = np.zeros((groups, padded_filters), x.dtype)
    if bias is not None:
        packed_bias[:, :filters_each] = bias.reshape(groups, filters_each)
    parts = parts_for(plan.work, LEAST_WORK)
    memory = scratch(parts * plan.memory, x.dtype)
    run(
        convolve, parts, x, packed, packed_bias.reshape(-1), plan.rows, plan.columns, plan.offsets, plan.numbers,
        memory, y,
    )  # fmt: skip
    return y


def conv2d(
    x: Any, weight: Any, bias: Any, stride: Pair, padding: Sides, dilation: Pair, groups: int, size: Pair
) -> Any:
    """Slide the filters over the image; parameters as in :func:`minidl.kernels.reference.conv2d`."""
    N, _, H, W = x.shape
    K, channels, R, S = weight.shape
    before = (padding[0][0], padding[1][0])
    plan = make_plan(
        N, (H, W), channels, K // groups, groups, (R, S), size, stride, before, (1, 1), dilation, x.itemsize
    )
    y = np.empty((N, K, *size), x.dtype)
    return execute(plan, x, weight.reshape(groups, K // groups, channels, R, S), bias, y)


def conv2d_input_grad(
    grad: Any, weight: Any, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Give each output pixel's gradient back to the pixels of its window; parameters as in the reference."""
    N, K, OH, OW = grad.shape
    _, channels, R, S = weight.shape
    before = (dilation[0] * (R - 1) - padding[0][0], dilation[1] * (S - 1) - padding[1][0])
    plan = make_plan(
        N, (OH, OW), K // groups, channels, groups, (R, S), size, (1, 1), before, stride, dilation, grad.itemsize
    )
    y = np.empty((N, channels * groups, *size), grad.dtype)
    filters = weight.reshape(groups, K // groups, channels, R, S).swapaxes(1, 2)[..., ::-1, ::-1]
    return execute(plan, grad, filters, None, y)
