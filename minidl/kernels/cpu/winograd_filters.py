r"""The gradient of 3 x 3 filters by Winograd's transforms: the adjoint of the convolution in ``winograd``.

At each of the 36 points, what the tiles of the image see meets the gradients of their outputs in a matrix product over
the tiles; only their sum goes back to the nine cells of a filter::

    image      ──>  36 points x tiles x channels ─┐
                                                  ├─>  36 products, channels x filters  ──>  3 x 3 cells
    gradient   ──>  36 points x tiles x filters  ─┘    summed over all tiles

The batch is cut into chunks by its shape alone, each with sums of its own that are added up in order, and the filters
into panels: a chunk's share of a panel is one unit of work, so results do not depend on the number of threads. For
Gaussian numbers the root of the mean squared rounding error is below 1e-6 of the gradient's root mean square, up to
100,000 pixels (direct: 3e-7), to which a test holds it; what a nan spreads to is said in ``winograd``.

References
----------
Lavin, Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, kernel
from minidl.kernels.cpu.convolution_layout import numbers_of, up
from minidl.kernels.cpu.convolution_tiles import taps_by_filters
from minidl.kernels.cpu.copies import transpose_rows
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.winograd import evaluate_tiles, gather_pixels
from minidl.kernels.cpu.winograd_tiles import CELLS, INPUT, OUTPUT, grad_to_points, points_to_filter
from minidl.kernels.reference.windows import Pair
from minidl.kernels.settings import uses_winograd

__all__ = ["pays", "weight_grad_3x3"]

# The products' tiles, as rows (channels) x registers (filters).
ROWS, VECTORS = (8, 2) if VECTOR_REGISTERS >= 32 else (4, 2)
#: The points of as many tiles of the image as fit are held at a time; at least so many tiles.
BLOCK_BYTES, BLOCK_TILES = 256 * 2**10, 48
#: Where the transforms win: from so many channels and filters on, and so many tiles, more for more filters.
LEAST_CHANNELS, LEAST_TILES, FILTERS_A_TILE = 32, 48, 256
#: In how many pieces the work is cut at least, where the batch is large enough.
PIECES = 4
#: Multiplications at the points that outweigh waking a thread.
LEAST_WORK = 2**19


class Plan(NamedTuple):
    """What the kernels know of a geometry."""

    # channels, their number in the sums, filters, their panels, chunks, tiles of a column and of a row, zeros above
    # and to the left, rows of tiles at a time; numbers from tile to tile, from point to point of the image's tiles and
    # of the gradient's; where the gradient's pixels, the image's tiles and the gradient's begin in a thread's memory,
    # and how much it has
    numbers: tuple[int, ...]
    tiles: np.ndarray  # where each of the tiles begins
    memory: int
    sums: int
    work: int


FIRST = np.zeros(1, np.int64)  # offset of the first channel; the others follow


@lru_cache(maxsize=256)
def make_plan(images: int, channels: int, filters: int, before: Pair, size: Pair, lanes: int) -> Plan:
    """Lay out the memory and cut the batch."""
    panel = VECTORS * lanes
    panels = -(-filters // panel)
    chunks = min(images, max(1, PIECES // panels))
    down, across = -(-size[0] // OUTPUT), -(-size[1] // OUTPUT)
    tile = up(channels, lanes)
    at_once = max(BLOCK_BYTES // (4 * CELLS * tile * across), -(-BLOCK_TILES // across))
    at_once = min(at_once, -(-images // chunks) * down)
    tiles = at_once * across
    tile_point, grad_point = tiles * tile + lanes, tiles * panel + lanes
    lines = OUTPUT * min(at_once, down)
    grad_at = (lines + INPUT - OUTPUT) * (OUTPUT * across + INPUT - OUTPUT) * lanes
    tiles_at = grad_at + lines * OUTPUT * across * lanes
    spread_at = tiles_at + CELLS * tile_point
    memory = spread_at + CELLS * grad_point + lanes
    rows = up(channels, ROWS)
    numbers = (
        channels, rows, filters, panels, chunks, down, across, *before, at_once, tile, tile_point, grad_point,
        grad_at, tiles_at, spread_at, memory,
    )  # fmt: skip
    sums = chunks * panels * CELLS * (rows * panel + lanes)
    work = images * down * across * CELLS * channels * filters
    return Plan(numbers, np.arange(tiles) * tile, memory, sums, work)


@kernel
def correlate_tiles(part, parts, x, grad, numbers, tiles, first, memory, sums):  # type: ignore[no-untyped-def]
    """Compute a share of the sums: chunks x panels x points x channels x filters of a panel."""
    if shared_out(part, parts):
        return
    (
        _, rows, K, panels, chunks, down, across, top, left, at_once, tile, tile_point, grad_point, grad_at, tiles_at,
        spread_at, own,
    ) = numbers  # fmt: skip
    N = x[1]
    lanes = VECTOR_BYTES // memory.itemsize
    panel = VECTORS * lanes
    point = rows * panel + lanes
    pixels_at = part * own
    grad_at += pixels_at
    tiles_at += pixels_at
    spread_at += pixels_at
    memory[pixels_at:tiles_at] = 0
    begin, stop = chunks * panels * part // parts, chunks * panels * (part + 1) // parts
    sums[begin * CELLS * point : stop * CELLS * point] = 0
    while begin < stop:
        chunk = begin // panels
        end = min(stop, (chunk + 1) * panels)
        last = N * (chunk + 1) // chunks * down
        for u in range(N * chunk // chunks * down, last, at_once):
            v = min(u + at_once, last)
            evaluate_tiles(x, u, v, down, across, top, left, memory, pixels_at, tiles_at, tile, tile_point, 0)
            for unit in range(begin, end):
                k = (unit - chunk * panels) * panel
                for f in range(k, min(k + panel, K), lanes):
                    at = spread_at + f - k
                    for i in range(u, v):
                        gather_pixels(
                            grad, i // down, i % down * OUTPUT, OUTPUT, 0, OUTPUT * across, f, memory, grad_at
                        )
                        for j in range(across):
                            grad_to_points(
                                memory, grad_at + j * OUTPUT * lanes, OUTPUT * across * lanes, memory, at, grad_point
                            )
                            at += panel
                for p in range(CELLS):
                    for c in range(0, rows, ROWS):
                        taps_by_filters(
                            ROWS, VECTORS, ROWS, (v - u) * across, tiles, 0, memory, tiles_at + p * tile_point + c,
                            first, 0, memory, spread_at + p * grad_point, panel,
                            sums, (unit * CELLS + p) * point + c * panel, panel,
                        )  # fmt: skip
        begin = end


@kernel
def collect_filters(part, parts, numbers, sums, y, memory):  # type: ignore[no-untyped-def]
    """Add up the chunks of a share of the channels, and store their cells in filters y (K, C, 3, 3); all flat."""
    if shared_out(part, parts):
        return
    C, rows, K, panels, chunks = numbers[:5]
    lanes = VECTOR_BYTES // y.itemsize
    panel = VECTORS * lanes
    point = rows * panel + lanes
    whole = CELLS * point
    cells_at = part * 9 * lanes
    begin, stop = C * part // parts, C * (part + 1) // parts
    for q in range(panels):
        for chunk in range(1, chunks):
            for p in range(CELLS):
                to = q * whole + p * point + begin * panel
                source = to + chunk * panels * whole
                count = (stop - begin) * panel
                total, more = sums[to : to + count], sums[source : source + count]
                for i in range(count):  # over slices it is vectorised
                    total[i] += more[i]
        for c in range(begin, stop):
            for k in range(q * panel, min((q + 1) * panel, K), lanes):
                points_to_filter(sums, q * whole + c * panel + k - q * panel, point, memory, cells_at)
                for cell in range(0, 9, lanes):
                    count = min(lanes, 9 - cell)
                    transpose_rows(
                        y, (k * C + c) * 9 + cell, C * 9, count,
                        memory, cells_at + cell * lanes, lanes, count, min(lanes, K - k),
                    )  # fmt: skip


def pays(x: Any, grad: Any, kernel: Pair, stride: Pair, dilation: Pair, groups: int) -> bool:
    """Whether Winograd's transforms are allowed, can compute a gradient of filters, and win over the direct sum.

    That last by measurement: registers must be full, and tiles make up for the transforms of the sums. On one thread,
    times of the direct sum over those of the transforms:

    ===========================  ====    ===========================  ====
    32 x 8 x 28 x 28 to 32       0.8     8 x 64 x 56 x 56 to 64       2.0
    32 x 16 x 28 x 28 to 32      0.8     1 x 64 x 28 x 28 to 64       1.8
    32 x 24 x 28 x 28 to 24      1.0     8 x 128 x 28 x 28 to 128     2.0
    32 x 32 x 28 x 28 to 32      2.0     8 x 256 x 14 x 14 to 256     1.0
    32 x 32 x 13 x 13 to 64      1.3     8 x 512 x 7 x 7 to 512       0.7
    ===========================  ====    ===========================  ====
    """
    C, K = x.shape[1], grad.shape[1]
    if kernel != (3, 3) or min(C, K) < LEAST_CHANNELS or groups > 1 or x.dtype != np.float32:
        return False
    tiles = x.shape[0] * -(-grad.shape[2] // OUTPUT) * -(-grad.shape[3] // OUTPUT)
    least = max(LEAST_TILES, C * K // FILTERS_A_TILE)
    return tiles >= least and stride == dilation == (1, 1) and uses_winograd()


def weight_grad_3x3(x: Any, grad: Any, before: Pair) -> Any:
    """Return the gradient of 3 x 3 filters, without stride, dilation or groups.

    Parameters
    ----------
    x : float32 array (N, C, H, W)
    grad : array (N, K, OH, OW)
    before : (top, left)
        Zeros before the image.

    Returns
    -------
    array (K, C, 3, 3)
    """
    N, C = x.shape[:2]
    K = grad.shape[1]
    lanes = VECTOR_BYTES // x.itemsize
    plan = make_plan(N, C, K, before, grad.shape[2:], lanes)
    parts = parts_for(plan.work, LEAST_WORK)
    memory = scratch(parts * plan.memory + plan.sums, x.dtype)
    own, sums = memory[: parts * plan.memory], memory[parts * plan.memory :]
    run(correlate_tiles, parts, numbers_of(x), numbers_of(grad), plan.numbers, plan.tiles, FIRST, own, sums)
    y = np.empty((K, C, 3, 3), x.dtype)
    parts = min(parts, parts_for(plan.sums, LEAST_WORK))
    run(collect_filters, parts, plan.numbers, sums, y.reshape(-1), own)
    return y
