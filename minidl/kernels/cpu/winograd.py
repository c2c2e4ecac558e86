r"""Convolution with 3 x 3 filters by Winograd's transforms: a quarter of the multiplications.

The output is cut into tiles of 4 x 4 pixels. What a tile sees becomes 36 numbers a channel, what a filter holds 36 as
well, and for each of the 36 the tiles and the filters meet in a matrix product over the channels
(:mod:`~minidl.kernels.cpu.winograd_tiles` has the formulas)::

    image                  6 x 6 pixels         36 points              36 products            4 x 4 pixels
    planes   ─transpose─>  of a tile, all  ───> x tiles x    ────────> x tiles x   ─────────> of all       ─transpose─>
                           channels beside      channels       filters filters      + bias    filters        planes
                           each other                          x 36                 ReLU

Channels stand beside each other everywhere between the two transpositions, so each number above is a vector register.
A thread takes some rows of tiles through all of it before the next, in memory of its own that stays in its cache; the
filters' points are shared.

Rounding errors are about twice those of the direct sum: for Gaussian numbers the root of their mean square is about
1.1e-7 sqrt(C) of the outputs' root mean square, C channels (direct: 0.5e-7 sqrt(C)), and a test holds it to 2e-7
sqrt(C). The outputs of a tile depend on all that it sees: a nan or an infinity in one pixel makes nan of the 9 outputs
whose windows see it, as it does in the direct sum (or infinities), and of up to 16 of the tiles that they are part of;
so do numbers whose sums overflow, from about 1e37 on. :func:`minidl.kernels.use_winograd` turns it off.

A window of nothing but zeros gives exactly its bias, as the direct sum does: where biases are 0, at first, a ReLU would
let a gradient through half of an image's background otherwise.

References
----------
Lavin, Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, inlined, kernel
from minidl.kernels.cpu.convolution_layout import contiguous, numbers_of, up
from minidl.kernels.cpu.copies import copy_number, copy_rows, transpose_rows
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.winograd_tiles import (
    CELLS,
    INPUT,
    OUTPUT,
    any_nonzero,
    filter_to_points,
    points_to_output,
    points_to_points,
    tile_to_points,
)
from minidl.kernels.reference.windows import Pair
from minidl.kernels.settings import uses_winograd

__all__ = ["ROWS", "VECTORS", "convolve_3x3", "evaluate_tiles", "gather_pixels", "pays"]

# The products' tiles, as rows (tiles of the image) x registers (filters); what remains is done FEW_ROWS at a time.
ROWS, FEW_ROWS, VECTORS = (12, 4, 2) if VECTOR_REGISTERS >= 32 else (4, 2, 2)
#: The points of as many tiles as fit are held at a time: a quarter of a second-level cache.
BLOCK_BYTES = 256 * 2**10
#: Where the transforms win: from so many channels and filters on, and so many tiles for few filters or many.
LEAST_CHANNELS, LEAST_TILES, MANY_TILES, FEW_FILTERS = 16, 4, 48, 2**15
#: Multiplications at the points that outweigh waking a thread, and numbers of the filters' points that do.
LEAST_WORK, LEAST_POINTS = 2**19, 2**17


def pays(x: Any, weight: Any, stride: Pair, dilation: Pair, groups: int, size: Pair) -> bool:
    """Whether Winograd's transforms are allowed, can compute a convolution, and win over the direct sum.

    That last by measurement: registers must be full, and the filters' transform must pay. On one thread, times of the
    direct sum over those of the transforms, forward and for the image's gradient:

    ===========================  ====  ====    ===========================  ====  ====
    8 x 16 x 28 x 28 to 16       1.1   1.1     8 x 64 x 56 x 56 to 64       2.5   2.0
    8 x 17 x 28 x 28 to 17       0.9   1.0     8 x 128 x 28 x 28 to 128     2.6   2.7
    8 x 24 x 28 x 28 to 24       1.2   1.3     8 x 256 x 14 x 14 to 256     1.6   1.5
    8 x 8 x 56 x 56 to 8         0.3   0.4     2 x 256 x 14 x 14 to 256     1.2   1.5
    1 x 64 x 8 x 8 to 64         1.2   1.5     1 x 256 x 14 x 14 to 256     0.8   1.1
    4 x 64 x 7 x 7 to 64         1.8   1.9     8 x 512 x 7 x 7 to 512       0.8   1.0
    ===========================  ====  ====    ===========================  ====  ====
    """
    rows, columns = weight.shape[:2]
    if weight.shape[2:] != (3, 3) or min(rows, columns) < LEAST_CHANNELS or groups > 1 or x.dtype != np.float32:
        return False
    tiles = x.shape[0] * -(-size[0] // OUTPUT) * -(-size[1] // OUTPUT)
    few = LEAST_TILES if rows * columns <= FEW_FILTERS else MANY_TILES
    return tiles >= few and stride == dilation == (1, 1) and uses_winograd()


class Plan(NamedTuple):
    """What the kernels know of a geometry."""

    # channels, filters, their panels, numbers from one point of a panel to the next, and from panel to panel
    filters: tuple[int, ...]
    # output rows and columns, tiles of a column and of a row, zeros above and to the left, rows of tiles at a time;
    # numbers from tile to tile, from point to point of tiles and of products; where the biases and the threads' memory
    # begin, where the output, tiles, products and notes of zeros of a thread do after the pixels, and how much it has
    numbers: tuple[int, ...]
    biases_at: int
    common: int  # numbers of memory for all threads together
    memory: int  # and for each
    work: int  # multiplications at the points


@lru_cache(maxsize=256)
def make_plan(images: int, channels: int, filters: int, before: Pair, size: Pair, lanes: int) -> Plan:
    """Lay out the memory."""
    panel = VECTORS * lanes
    panels = -(-filters // panel)
    point = channels * panel + lanes  # not a power of two: the points of a filter would share a few lines of the cache
    biases_at = panels * CELLS * point
    common = up(biases_at + panels * panel, lanes)

    down, across = -(-size[0] // OUTPUT), -(-size[1] // OUTPUT)
    tile = up(channels, lanes)
    tile += lanes if tile % 512 == 0 else 0
    at_once = max(BLOCK_BYTES // (4 * CELLS * tile * across), -(-2 * ROWS // across))
    at_once = min(at_once, images * down)
    tiles = up(at_once * across, FEW_ROWS)
    tile_point, product_point = tiles * tile + lanes, tiles * panel + lanes
    lines = OUTPUT * min(at_once, down) + INPUT - OUTPUT
    output_at = lines * (OUTPUT * across + INPUT - OUTPUT) * lanes
    tiles_at = output_at + (OUTPUT * OUTPUT * across + lanes) * lanes
    products_at = tiles_at + CELLS * tile_point
    seen_at = products_at + CELLS * product_point + lanes
    blank_at = seen_at + at_once * INPUT * (OUTPUT * across + INPUT - OUTPUT)
    memory = up(blank_at + at_once * OUTPUT * size[1], lanes)
    numbers = (
        *size, down, across, *before, at_once, tile, tile_point, product_point, biases_at, common, output_at,
        tiles_at, products_at, seen_at, blank_at, memory,
    )  # fmt: skip
    work = images * down * across * CELLS * channels * filters
    return Plan((channels, filters, panels, point, CELLS * point), numbers, biases_at, common, memory, work)


@kernel
def transform_filters(part, parts, weight, order, filters, points, cells_at):  # type: ignore[no-untyped-def]
    """Evaluate a share of the filters: panels x 36 points x channels x filters of a panel.

    ``weight`` is the address of C-contiguous filters; ``order`` says how far filters and channels are apart, and
    whether the nine cells stand in opposite order. From ``cells_at`` on there is room for nine registers a part.
    """
    if shared_out(part, parts):
        return
    C, K, panels, point, whole = filters
    one, channel, turned = order
    lanes = VECTOR_BYTES // points.itemsize
    cells_at += 9 * lanes * part
    for unit in range(panels * C * part // parts, panels * C * (part + 1) // parts):
        panel = unit // C
        c = unit - panel * C
        first = panel * VECTORS * lanes
        vectors = min(VECTORS, (K - first + lanes - 1) // lanes)
        for v in range(vectors):
            k = first + v * lanes
            for cell in range(0, 9, lanes):
                at, step = (8 - cell, -lanes) if turned else (cell, lanes)
                transpose_rows(
                    points, cells_at + at * lanes, step, lanes,
                    weight, k * one + c * channel + cell, one, min(lanes, K - k), min(lanes, 9 - cell),
                )  # fmt: skip
            filter_to_points(points, cells_at, points, panel * whole + (c * vectors + v) * lanes, point)


@inlined
def gather_pixels(x, n, line, lines, left, width, channel, memory, at):  # type: ignore[no-untyped-def]
    """Lay out rows of image n as pixels x a register of channels, ``width`` of them a row; beyond the image zeros."""
    address, _, C, H, W, image, plane, row, column = x
    lanes = VECTOR_BYTES // memory.itemsize
    count = min(lanes, C - channel)
    first = max(0, -left)
    last = min(W, width - left)
    for i in range(lines):
        to = at + i * width * lanes
        if not 0 <= line + i < H:
            memory[to : to + width * lanes] = 0
            continue
        source = n * image + channel * plane + (line + i) * row
        to += left * lanes
        if column == 1:
            for j in range(first, last, lanes):
                transpose_rows(
                    memory, to + j * lanes, lanes, lanes, address, source + j, plane, count, min(lanes, last - j)
                )
        elif plane == 1:
            copy_rows(memory, to + first * lanes, lanes, address, source + first * column, column, last - first, count)
        else:
            for j in range(first, last):
                for c in range(count):
                    copy_number(memory, to + j * lanes + c, address, source + j * column + c * plane)


@inlined
def evaluate_tiles(  # type: ignore[no-untyped-def]
    x, begin, end, down, across, top, left, memory, pixels_at, tiles_at, tile, tile_point, seen_at
):
    """Evaluate what the tiles of rows ``begin`` .. ``end`` see: points x tiles x channels; there are ``down`` an image.

    From ``pixels_at`` on there is room for pixels, with zeros where it holds none of the image's columns. From
    ``seen_at`` on, unless that is 0, which pixels are 0 in all channels is noted: 0 for those, 1 for others.
    """
    lanes = VECTOR_BYTES // memory.itemsize
    width = OUTPUT * across + INPUT - OUTPUT
    u = begin
    while u < end:
        n = u // down
        count = min(end - u, down - (u - n * down))
        line = (u - n * down) * OUTPUT - top
        lines = count * OUTPUT + INPUT - OUTPUT
        for c in range(0, x[2], lanes):
            gather_pixels(x, n, line, lines, left, width, c, memory, pixels_at)
            if seen_at:
                for pixel in range(lines * width):
                    if any_nonzero(memory, pixels_at + pixel * lanes):
                        memory[seen_at + pixel] = 1
                    elif c == 0:
                        memory[seen_at + pixel] = 0
            at = tiles_at + (u - begin) * across * tile + c
            for i in range(count):
                for j in range(across):
                    pixel = pixels_at + (i * width + j) * OUTPUT * lanes
                    tile_to_points(memory, pixel, width * lanes, memory, at, tile_point)
                    at += tile
        if seen_at:
            seen_at += lines * width
        u += count


@inlined
def find_blanks(begin, end, down, across, size, memory, seen_at, blank_at):  # type: ignore[no-untyped-def]
    """Note which windows hold nothing but zeros, for rows ``begin`` .. ``end`` of tiles; return whether any does."""
    OH, OW = size
    width = OUTPUT * across + INPUT - OUTPUT
    found = False
    for unit in range(begin, end):
        n = unit // down
        for i in range(min(OUTPUT, OH - (unit - n * down) * OUTPUT)):
            for j in range(OW):
                total = 0.0
                for r in range(3):
                    for s in range(3):
                        total += memory[seen_at + (i + r) * width + j + s]
                memory[blank_at + ((unit - begin) * OUTPUT + i) * OW + j] = total
                found |= total == 0
        seen_at += OUTPUT * width
        if unit + 1 == (n + 1) * down:
            seen_at += (INPUT - OUTPUT) * width  # the last two lines of an image
    return found


@kernel
def convolve_tiles(part, parts, x, filters, numbers, relu, memory, y):  # type: ignore[no-untyped-def]
    """Compute a share of the rows of tiles, of all images, for all filters."""
    if shared_out(part, parts):
        return
    C, K, panels, point, whole = filters
    (
        OH, OW, down, across, top, left, at_once, tile, tile_point, product_point, biases_at, common, output_at,
        tiles_at, products_at, seen_at, blank_at, own,
    ) = numbers  # fmt: skip
    lanes = VECTOR_BYTES // y.itemsize
    N = x[1]
    pixels_at = common + part * own
    output_at += pixels_at
    memory[pixels_at:output_at] = 0
    tiles_at += pixels_at
    products_at += pixels_at
    seen_at += pixels_at
    blank_at += pixels_at
    least = 0.0 if relu else -np.inf
    stop = N * down * (part + 1) // parts
    for begin in range(N * down * part // parts, stop, at_once):
        end = min(begin + at_once, stop)
        tiles = (end - begin) * across
        evaluate_tiles(x, begin, end, down, across, top, left, memory, pixels_at, tiles_at, tile, tile_point, seen_at)
        blanks = find_blanks(begin, end, down, across, (OH, OW), memory, seen_at, blank_at)
        for q in range(panels):
            k = q * VECTORS * lanes
            vectors = min(VECTORS, (K - k + lanes - 1) // lanes)
            # products
            for p in range(CELLS):
                filters_at = q * whole + p * point
                source, to = tiles_at + p * tile_point, products_at + p * product_point
                t = 0
                while t < tiles:
                    rows = ROWS if tiles - t > ROWS - FEW_ROWS else FEW_ROWS
                    tile_at, at = source + t * tile, to + t * vectors * lanes
                    if vectors == VECTORS:
                        if rows == ROWS:
                            points_to_points(ROWS, VECTORS, C, memory, tile_at, tile, memory, filters_at, memory, at)
                        else:
                            points_to_points(
                                FEW_ROWS, VECTORS, C, memory, tile_at, tile, memory, filters_at, memory, at
                            )
                    elif rows == ROWS:
                        points_to_points(ROWS, 1, C, memory, tile_at, tile, memory, filters_at, memory, at)
                    else:
                        points_to_points(FEW_ROWS, 1, C, memory, tile_at, tile, memory, filters_at, memory, at)
                    t += rows
            # output
            for v in range(vectors):
                first = k + v * lanes
                count = min(lanes, K - first)
                for unit in range(begin, end):
                    n = unit // down
                    line = (unit - n * down) * OUTPUT
                    at = products_at + ((unit - begin) * across * vectors + v) * lanes
                    for j in range(across):
                        points_to_output(
                            memory, at + j * vectors * lanes, product_point, memory, biases_at + first, least,
                            memory, output_at + j * OUTPUT * lanes, OUTPUT * across * lanes,
                        )  # fmt: skip
                    for i in range(min(OUTPUT, OH - line) if blanks else 0):
                        for j in range(OW):
                            if memory[blank_at + ((unit - begin) * OUTPUT + i) * OW + j] == 0:
                                pixel = output_at + (i * OUTPUT * across + j) * lanes
                                for lane in range(lanes):
                                    memory[pixel + lane] = max(memory[biases_at + first + lane], least)
                    for i in range(min(OUTPUT, OH - line)):
                        target = ((n * K + first) * OH + line + i) * OW
                        source = output_at + i * OUTPUT * across * lanes
                        for j in range(0, OW, lanes):
                            length = min(lanes, OW - j)
                            transpose_rows(
                                y, target + j, OH * OW, length, memory, source + j * lanes, lanes, length, count
                            )


def convolve_3x3(x: Any, weight: Any, transposed: bool, bias: Any, before: Pair, size: Pair, relu: bool) -> Any:
    """Convolve an image with 3 x 3 filters, without stride, dilation or groups.

    Parameters
    ----------
    x : float32 array (N, C, H, W)
    weight : array (K, C, 3, 3)
        Or (C, K, 3, 3), turned by 180 degrees, if ``transposed``.
    bias : array (K,) or None
    before : (top, left)
        Zeros before the image; fewer than 0: that much of it is cut off.
    size : (OH, OW)
    relu : bool
        Whether what is negative becomes 0 in the end.

    Returns
    -------
    array (N, K, OH, OW)
    """
    N, C = x.shape[:2]
    K = weight.shape[1] if transposed else weight.shape[0]
    lanes = VECTOR_BYTES // x.itemsize
    plan = make_plan(N, C, K, before, size, lanes)
    parts = parts_for(plan.work, LEAST_WORK)
    filter_parts = parts_for(plan.common, LEAST_POINTS)
    memory = scratch(plan.common + max(parts * plan.memory, filter_parts * 9 * lanes), x.dtype)
    weight, weight_at = contiguous(weight)
    order = (9, 9 * K, True) if transposed else (9 * C, 9, False)
    run(transform_filters, filter_parts, weight_at, order, plan.filters, memory, plan.common)
    biases = memory[plan.biases_at : plan.common]
    biases[K:] = 0
    biases[:K] = 0 if bias is None else bias
    y = np.empty((N, K, *size), x.dtype)
    run(convolve_tiles, parts, numbers_of(x), plan.filters, plan.numbers, relu, memory, y.reshape(-1))
    return y
