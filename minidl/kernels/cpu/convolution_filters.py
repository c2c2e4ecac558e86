r"""The gradient of a convolution's filters and bias: what each cell of the windows saw, times the output's gradient.

.. math:: g_{k, c, r, s} = \sum_{n, p} y'_{n, k, p} \; x_{n,\, p + offset(c, r, s)}

As a matrix product: cells x pixels times pixels x filters. The gradient's planes are transposed, some lines of pixels
at a time, so that the filters of one pixel fill registers; the cells are read one number at a time, straight out of
the padded image (:func:`~minidl.kernels.cpu.convolution_tiles.taps_by_filters`)::

    packed gradient         image, at offset(c, r, s) + position
       filters
    p ┌───────┐             tile: cells x filters += column of cells x row of filters, pixel after pixel
      │       │
      └───────┘

The batch is cut into chunks by its shape alone; each has sums of its own, added up in order. So the result is the
same on any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu import winograd_filters
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
from minidl.kernels.cpu.convolution_planes import few_filters, planes_weight_grad
from minidl.kernels.cpu.convolution_tiles import taps_by_filters
from minidl.kernels.cpu.copies import transpose_rows
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.reference.windows import Pair, Sides

__all__ = ["conv2d_weight_grad"]

# Tiles, as rows (cells of a window) x registers (filters); for kernels five or three wide, so many neighbouring cells
# share an address.
if VECTOR_REGISTERS >= 32:
    FIVE_NARROW_ROWS, FIVE_ROWS, THREE_ROWS, ANY_ROWS = 25, 10, 9, 8
else:
    FIVE_NARROW_ROWS, FIVE_ROWS, THREE_ROWS, ANY_ROWS = 10, 5, 6, 6
FIVE_NARROW, FIVE, THREE, ANY = 0, 1, 2, 3
TILES = ((FIVE_NARROW_ROWS, 1), (FIVE_ROWS, 2), (THREE_ROWS, 2), (ANY_ROWS, 2))
#: Pixels that are packed at a time: half of a first-level cache at two registers each.
BLOCK_PIXELS = 16 * 2**10 // (2 * VECTOR_BYTES)
#: Multiply-adds that outweigh waking a thread.
LEAST_WORK = 2**20
#: In how many pieces the work is cut at least, where the batch is large enough.
PIECES = 8


class Plan(NamedTuple):
    """What :func:`correlate` knows of a geometry."""

    place: tuple[Any, ...]
    offsets: np.ndarray
    positions: np.ndarray
    numbers: tuple[int, ...]
    shape: tuple[int, ...]  # chunks, groups, panels, rows, panel: of the sums
    memory: int
    sums: int
    work: int


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
    """Lay out the image, choose a tile, cut the batch; filters and channels are those of a group."""
    place = layout(image, needed_pixels(size, stride, kernel, dilation), stride, before)
    lanes = VECTOR_BYTES // itemsize
    cells = channels * kernel[0] * kernel[1]
    tile = ANY
    if stride[1] == dilation[1] == 1 and kernel[1] % 5 == 0:
        tile = FIVE_NARROW if filters <= lanes else FIVE
    elif stride[1] == dilation[1] == 1 and kernel[1] % 3 == 0:
        tile = THREE
    height, panel = TILES[tile][0], TILES[tile][1] * lanes
    offsets = np.zeros(up(cells, height), np.int64)
    offsets[:cells] = cell_offsets(channels, kernel, dilation, place)
    positions = (np.arange(size[0])[:, None] * place.width + np.arange(size[1])).ravel()
    pixels = positions.size
    block = up(-(-pixels // -(-pixels // BLOCK_PIXELS)), lanes)
    panels = -(-filters // panel)
    chunks = min(images, max(1, PIECES // (groups * panels)))
    padded = up(groups * channels * place.plane + lanes, lanes)
    memory = padded + block * panel + 2 * lanes
    shape = (chunks, groups, panels, offsets.size, panel)
    work = images * groups * filters * cells * pixels
    numbers = (groups, filters, channels, tile, chunks, panels, block, padded, memory)
    return Plan(place_of(place), offsets, positions, numbers, shape, memory, prod(shape), work)


@inlined
def pack_pixels(grad, first, count, pixel, length, pixels, packed, begin, panel):  # type: ignore[no-untyped-def]
    """Transpose planes ``first`` .. ``first + count``, ``length`` pixels from ``pixel`` on, to (length, panel).

    What else there is room for in a panel keeps what it held; nobody reads sums that come from it.
    """
    lanes = VECTOR_BYTES // packed.itemsize
    for k in range(0, count, lanes):
        rows = min(lanes, count - k)
        for p in range(0, length, lanes):
            source = (first + k) * pixels + pixel + p
            transpose_rows(
                packed, begin + p * panel + k, panel, rows, grad, source, pixels, rows, min(lanes, length - p)
            )


@kernel
def correlate(  # type: ignore[no-untyped-def]
    part, parts, x, grad, place, offsets, positions, numbers, memory, sums
):
    """Compute a share of the sums (chunks, G, panels of filters, cells, panel); ``grad`` is an address."""
    if shared_out(part, parts):
        return
    G, filters_each, channels_each, tile, chunks, panels, block, padded, own = numbers
    plane = place[3]
    N = x[1]
    lanes = VECTOR_BYTES // memory.itemsize
    panel = 2 * lanes
    if tile == FIVE_NARROW:
        height, panel = FIVE_NARROW_ROWS, lanes
    elif tile == FIVE:
        height = FIVE_ROWS
    elif tile == THREE:
        height = THREE_ROWS
    else:
        height = ANY_ROWS
    pixels = positions.size
    image_at = part * own
    packed_at = image_at + padded
    memory[image_at : image_at + own] = 0
    begin = chunks * G * panels * part // parts
    stop = chunks * G * panels * (part + 1) // parts
    sums[begin * offsets.size * panel : stop * offsets.size * panel] = 0
    while begin < stop:
        chunk = begin // (G * panels)
        end = min(stop, (chunk + 1) * G * panels)
        for n in range(N * chunk // chunks, N * (chunk + 1) // chunks):
            pad_image(x, n, place, 0, memory, image_at)
            for unit in range(begin, end):
                g = unit // panels % G
                k = unit % panels * panel
                first = (n * G + g) * filters_each + k
                count = min(panel, filters_each - k)
                group_at = image_at + g * channels_each * plane
                for p in range(0, pixels, block):
                    length = min(block, pixels - p)
                    pack_pixels(grad, first, count, p, length, pixels, memory, packed_at, panel)
                    for q in range(0, offsets.size, height):
                        sums_at = (unit * offsets.size + q) * panel
                        if tile == FIVE_NARROW:
                            taps_by_filters(
                                FIVE_NARROW_ROWS, 1, 5, length, positions, p, memory, group_at, offsets, q,
                                memory, packed_at, panel, sums, sums_at, panel,
                            )  # fmt: skip
                        elif tile == FIVE:
                            taps_by_filters(
                                FIVE_ROWS, 2, 5, length, positions, p, memory, group_at, offsets, q,
                                memory, packed_at, panel, sums, sums_at, panel,
                            )  # fmt: skip
                        elif tile == THREE:
                            taps_by_filters(
                                THREE_ROWS, 2, 3, length, positions, p, memory, group_at, offsets, q,
                                memory, packed_at, panel, sums, sums_at, panel,
                            )  # fmt: skip
                        else:
                            taps_by_filters(
                                ANY_ROWS, 2, 1, length, positions, p, memory, group_at, offsets, q,
                                memory, packed_at, panel, sums, sums_at, panel,
                            )  # fmt: skip
        begin = end


@kernel
def add_chunks(part, parts, shape, sums, y):  # type: ignore[no-untyped-def]
    """Add up sums (chunks, G, panels, rows, panel) in order, and store a share of the filters y (G, K / G, cells).

    ``shape`` has chunks, G, panels, rows, panel, K / G and cells; both arrays are flat.
    """
    if shared_out(part, parts):
        return
    chunks, G, panels, rows, panel, K, cells = shape
    lanes = VECTOR_BYTES // y.itemsize
    one, whole = rows * panel, G * panels * rows * panel
    for unit in range(G * panels * part // parts, G * panels * (part + 1) // parts):
        g = unit // panels
        first = (unit - g * panels) * panel
        for chunk in range(1, chunks):
            at = chunk * whole + unit * one
            total, more = sums[unit * one : (unit + 1) * one], sums[at : at + one]
            for i in range(one):  # over slices it is vectorised
                total[i] += more[i]
        for k in range(first, min(first + panel, K), lanes):
            for q in range(0, cells, lanes):
                count = min(lanes, cells - q)
                transpose_rows(
                    y, (g * K + k) * cells + q, cells, count,
                    sums, unit * one + q * panel + k - first, panel, count, min(lanes, K - k),
                )  # fmt: skip


def conv2d_weight_grad(
    x: Any, grad: Any, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Correlate each input window with the gradient of its output pixel; parameters as in the reference."""
    if not x.flags.aligned:
        x = x.copy()
    N, C, H, W = x.shape
    _, K, OH, OW = grad.shape
    before = (padding[0][0], padding[1][0])
    if winograd_filters.pays(x, grad, kernel, stride, dilation, groups):
        return winograd_filters.weight_grad_3x3(x, grad if grad.flags.aligned else grad.copy(), before)
    if few_filters(K // groups, kernel, x.itemsize):
        return planes_weight_grad(x, grad, kernel, stride, padding, dilation, groups)
    channels, filters = C // groups, K // groups
    plan = make_plan(N, (H, W), channels, filters, groups, kernel, (OH, OW), stride, before, dilation, x.itemsize)
    grad, grad_at = contiguous(grad)
    y = np.empty((K, channels, *kernel), x.dtype)
    parts = parts_for(plan.work, LEAST_WORK)
    memory = scratch(parts * plan.memory + plan.sums, x.dtype)
    own, sums = memory[: parts * plan.memory], memory[parts * plan.memory : parts * plan.memory + plan.sums]
    run(correlate, parts, numbers_of(x), grad_at, plan.place, plan.offsets, plan.positions, plan.numbers, own, sums)
    shape = (*plan.shape, filters, channels * kernel[0] * kernel[1])
    run(add_chunks, parts_for(plan.sums, LEAST_WORK), shape, sums, y.reshape(-1))
    return y
