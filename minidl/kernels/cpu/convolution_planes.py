"""The gradient of a convolution's filters where a group has few of them: a depthwise convolution's, above all.

There are too few filters to fill a register, so pixels do: each cell of a window is the inner product of a plane of the
image, moved by the cell's offset, with the plane of the output's gradient
(:func:`~minidl.kernels.cpu.convolution_tiles.taps_by_pixels`). A group is padded alone, and stays in cache until its
cells are done. As in ``convolution_filters``, the batch is cut into chunks by its shape alone, whose sums are added up
in order: results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import VECTOR_BYTES, kernel
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
from minidl.kernels.cpu.convolution_tiles import taps_by_pixels
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.reference.windows import Pair, Sides

__all__ = ["few_filters", "planes_weight_grad"]

#: Cells that share the loads of the output's gradient.
ROWS = 9
#: In how many pieces the work is cut at least, where the batch is large enough.
PIECES = 8
#: Multiply-adds that outweigh waking a thread.
LEAST_WORK = 2**20


def few_filters(filters: int, kernel: Pair, itemsize: int) -> bool:
    """Whether a group has so few filters that this wins: less than half a register, or a quarter for the widest tiles.

    32 x 1 x 28 x 28 to 4 and 8 filters of 3 x 3 took 104 and 189 us, and 300 with the filters in registers; to 4, 6 and
    8 of 5 x 5 163, 233 and 304, and 220.
    """
    return filters * itemsize <= VECTOR_BYTES // (4 if kernel[1] % 5 == 0 else 2)


class Plan(NamedTuple):
    """What :func:`correlate_planes` knows of a geometry."""

    place: tuple[Any, ...]
    offsets: np.ndarray
    table: np.ndarray  # (steps, 3): where registers of pixels begin in the image and in the gradient, and end
    numbers: tuple[int, ...]  # groups, filters and channels of a group, pixels, chunks, numbers of a padded group
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
    """Lay out the image of a group and cut the batch; filters and channels are those of a group."""
    place = layout(image, needed_pixels(size, stride, kernel, dilation), stride, before)
    lanes = VECTOR_BYTES // itemsize
    cells = channels * kernel[0] * kernel[1]
    offsets = np.zeros(up(cells, ROWS), np.int64)
    offsets[:cells] = cell_offsets(channels, kernel, dilation, place)
    row, column = (grid.ravel() for grid in np.mgrid[: size[0], : size[1] : lanes])
    steps = (row * place.width + column, row * size[1] + column, np.minimum(lanes, size[1] - column))
    table = np.stack(steps, axis=1).astype(np.int64)
    chunks = min(images, max(1, PIECES // groups))
    memory = up(channels * place.plane + lanes, lanes)
    numbers = (groups, filters, channels, prod(size), chunks, memory)
    sums = chunks * groups * filters * offsets.size * lanes
    work = images * groups * filters * cells * prod(size)
    return Plan(place_of(place), offsets, table, numbers, memory, sums, work)


@kernel
def correlate_planes(  # type: ignore[no-untyped-def]
    part, parts, x, grad, place, offsets, table, numbers, memory, sums
):
    """Compute a share of the sums (chunks, G, K / G, rows, lanes); ``grad`` is an address, the arrays are flat."""
    if shared_out(part, parts):
        return
    G, filters, channels, pixels, chunks, own = numbers
    address, N, _, H, W, image, plane, row, column = x
    lanes = VECTOR_BYTES // memory.itemsize
    begin = part * own
    memory[begin : begin + own] = 0
    one = offsets.size * lanes
    for unit in range(chunks * G * part // parts, chunks * G * (part + 1) // parts):
        chunk = unit // G
        g = unit - chunk * G
        sums[unit * filters * one : (unit + 1) * filters * one] = 0
        group = (address + g * channels * plane * memory.itemsize, N, channels, H, W, image, plane, row, column)
        for n in range(N * chunk // chunks, N * (chunk + 1) // chunks):
            pad_image(group, n, place, 0, memory, begin)
            for k in range(filters):
                grad_at = ((n * G + g) * filters + k) * pixels
                for q in range(0, offsets.size, ROWS):
                    sums_at = (unit * filters + k) * one + q * lanes
                    taps_by_pixels(ROWS, len(table), table, memory, begin, offsets, q, grad, grad_at, sums, sums_at)


@kernel
def add_lanes(sums, chunks, cells, rows, y):  # type: ignore[no-untyped-def]
    """Add up chunks and lanes of sums (chunks, K, rows, lanes), in order, to filters y (K, cells); all flat."""
    lanes = VECTOR_BYTES // y.itemsize
    filters = y.size // cells
    for k in range(filters):
        for q in range(cells):
            total = y.dtype.type(0)
            for chunk in range(chunks):
                at = ((chunk * filters + k) * rows + q) * lanes
                for lane in range(lanes):
                    total += sums[at + lane]
            y[k * cells + q] = total


def planes_weight_grad(
    x: Any, grad: Any, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Correlate each input window with the gradient of its output pixel; parameters as in the reference."""
    N, C, H, W = x.shape
    _, K, OH, OW = grad.shape
    before = (padding[0][0], padding[1][0])
    channels, filters = C // groups, K // groups
    plan = make_plan(N, (H, W), channels, filters, groups, kernel, (OH, OW), stride, before, dilation, x.itemsize)
    grad, grad_at = contiguous(grad)
    y = np.empty((K, channels, *kernel), x.dtype)
    parts = parts_for(plan.work, LEAST_WORK)
    memory = scratch(parts * plan.memory + plan.sums, x.dtype)
    own, sums = memory[: parts * plan.memory], memory[parts * plan.memory :]
    run(correlate_planes, parts, numbers_of(x), grad_at, plan.place, plan.offsets, plan.table, plan.numbers, own, sums)
    add_lanes(sums, plan.numbers[4], channels * kernel[0] * kernel[1], plan.offsets.size, y.reshape(-1))
    return y
