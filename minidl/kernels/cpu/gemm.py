r"""Matrix products of any strides: packed, blocked for the caches, and shared among threads without a barrier.

The loops are Goto's. B is cut into blocks of KC steps x NC columns (L3 cache), A into MC rows x KC steps (L2); both are
packed into panels as wide as the micro-kernel's tile, one panel of B (L1) after the other meets all panels of A (where
the steps are few, the other way round)::

                     NC                        for each block of columns            NC
                ┌──────────┐                     for each block of steps            KC    pack B
             KC │ B block  │                       for each block of rows           MC    pack A
         KC     └──────────┘                         for each panel of B            NR
       ┌────┐   ┌──────────┐                           for each panel of A          MR
    MC │ A  │   │ C block  │                             micro-kernel: KC steps in registers
       └────┘   └──────────┘

The bias is added, and ReLU applied, when the last block of steps is stored. Each thread computes a rectangle of C, or
whole products of a batch, and packs what it needs itself: packing twice costs less than waiting for each other. An
element of C is summed over the same blocks in the same order whatever the rectangles are.

References
----------
Goto & van de Geijn (2008), "Anatomy of High-Performance Matrix Multiplication".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.kernels.cpu.compiler import helper, kernel
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.packing import copy_vector, pack
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.vectors import ACCUMULATE, COLUMN_BIAS, RELU, ROWS, VECTOR_BYTES, VECTORS, lanes, microkernel

__all__ = ["affine", "matmul"]

#: Rows of a tile, to choose from: 32 rows are three tiles of 11, or three of 14 that are a quarter empty.
HEIGHTS = {14: (14, 11, 8), 8: (8, 6, 4), 6: (6, 5, 4)}.get(ROWS, (ROWS, ROWS, ROWS))
LINE = VECTOR_BYTES * VECTORS  # bytes of a row of the tile
STEPS_BYTES = 1536  # KC: a panel of B is 48 kB with AVX-512, which streams through L1; longer ones save stores of C
MC = 15 * ROWS  # with KC, 320 kB: of a second-level cache of 1 MB or more
NC = 2048  # 3 MB with KC
#: Floating-point operations that outweigh handing a part to another thread. That takes 5 us, but the operands lie in
#: the first one's cache: 6 Mflop of 32 x 64 x 1600 took 107 us on one thread and 135 on two.
LEAST_FLOPS = 5e6
#: From which on there are two parts a thread, so that one takes over from another that is slowed down.
MANY_FLOPS = 5e7

#: Elements of a block of B, up to which all its panels meet one panel of A after the other, so that C is written row by
#: row: for a few steps writing takes longest (1024 x 32 by 32 x 1024: 1,576 us the other way round).
FEW = 2**16

#: Panels of B that are packed at once.
TOGETHER = 8

TALL, MIDDLE, LOW = HEIGHTS
multiply_tall, multiply_middle, multiply_low = (microkernel(height, VECTORS) for height in HEIGHTS)
#: What a panel of each height takes; a low one multiplies less with each vector of B that it loads.
COSTS = {LOW: 1.08 * LOW, MIDDLE: 1.03 * MIDDLE, TALL: 1.0 * TALL}


def matmul(x: Any, y: Any) -> Any:
    """Return ``x @ y`` for matrices (M, K) and (K, N), or batches of them that broadcast."""
    if x.ndim == 2 and y.ndim == 2:
        out = np.empty((x.shape[0], y.shape[1]), x.dtype)
        product(regular(x), regular(y), out, ONE, ONE, 0, out)
        return out
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    out = np.empty((*batch, x.shape[-2], y.shape[-1]), x.dtype)
    if out.size:
        x, y = regular(x), regular(y)
        first_x, first_y = x[(0,) * (x.ndim - 2)], y[(0,) * (y.ndim - 2)]
        product(first_x, first_y, out, _places(x, batch), _places(y, batch), 0, out)
    return out


def affine(x: Any, weight: Any, bias: Any, relu: bool = False) -> Any:
    """Return ``x @ weight + bias`` for matrices (N, D) and (D, U) and a vector (U,), and its ReLU if wanted."""
    out = np.empty((x.shape[0], weight.shape[1]), x.dtype)
    mode = COLUMN_BIAS | RELU if relu else COLUMN_BIAS
    product(regular(x), regular(weight), out, ONE, ONE, mode, np.ascontiguousarray(bias))
    return out


#: Where the only matrix of a batch of one begins.
ONE = np.zeros(1, np.int64)


def regular(x: Any) -> Any:
    """Return ``x``, or a copy if its strides are no multiples of an element: a field of records."""
    last = x.itemsize - 1
    for stride in x.strides:
        if stride & last:
            return np.ascontiguousarray(x)
    return x


class _Writable:
    """The first element of a matrix, without the mark that it is only to be read."""

    def __init__(self, x: Any) -> None:
        data = x.__array_interface__["data"][0], False
        self.__array_interface__ = {"shape": (1, 1), "typestr": x.dtype.str, "data": data, "version": 3}


def corner(x: Any) -> Any:
    """Return an array that begins where ``x`` does, of the one kind that the kernel is compiled for."""
    corner = x[:1, :1]  # contiguous, whatever the strides
    return corner if corner.flags.writeable else np.asarray(_Writable(x))


def _places(x: Any, batch: tuple[int, ...]) -> Any:
    """Return where each matrix of a batch that broadcasts begins, in elements from the first."""
    offsets = np.zeros((), np.int64)
    for size, stride in zip(x.shape[:-2], x.strides[:-2], strict=True):
        offsets = np.add.outer(offsets, np.arange(size) * (stride // x.itemsize))
    return np.broadcast_to(offsets, batch).flatten()


def product(x: Any, y: Any, out: Any, x_at: Any, y_at: Any, mode: int, bias: Any) -> None:
    """Multiply the matrices that begin ``x_at`` and ``y_at`` after the first ones.

    Parameters
    ----------
    x, y : array (M, K) and (K, N)
    out : C-contiguous array (..., M, N)
    x_at, y_at : int64 array (B,)
    mode, bias
        What the micro-kernel does in the end; ``bias`` is C-contiguous, and any array where the mode doesn't ask.
    """
    count, (M, K), N = len(x_at), x.shape, y.shape[1]
    item = x.itemsize
    NR = LINE // item
    kc = block_size(K, STEPS_BYTES // item, 1)
    height = min(COSTS, key=lambda rows: -(-M // rows) * COSTS[rows])
    mc, nc = block_size(M, MC, height), block_size(N, NC, NR)
    flops = 2.0 * count * M * N * K
    parts, by_rows, by_columns = parts_for(flops, LEAST_FLOPS, each=2 if flops > MANY_FLOPS else 1), 1, 1
    if parts > 1:
        if count < 4 * parts:
            by_rows, by_columns = _grid(parts, -(-M // height), -(-N // NR))
        parts = min(parts, count * by_rows * by_columns)
    room = (mc + nc) * kc + 4 * VECTOR_BYTES // item  # of each thread: a block of A, one of B, and a vector after each
    (x_row, x_column), (y_row, y_column) = x.strides, y.strides
    run(
        multiply, parts, by_rows, by_columns, M, N, K, corner(x), x_at, x_row // item, x_column // item,
        corner(y), y_at, y_row // item, y_column // item, out.reshape(-1), mode, bias.reshape(-1),
        scratch(parts * room, x.dtype), room, height, mc, nc, kc,
    )  # fmt: skip


def block_size(size: int, most: int, multiple: int) -> int:
    """Cut a size into as few blocks of at most ``most`` as possible, of one length, a multiple of ``multiple``."""
    if size > most:
        size = -(-size // -(-size // most))
    return max(1, -(-size // multiple)) * multiple


def _grid(parts: int, row_panels: int, column_panels: int) -> tuple[int, int]:
    """Cut C into ``parts`` rectangles, rows x columns of them, of which the largest takes as little as can be.

    To pack a panel takes about half as long as to multiply it with another.
    """

    def cost(rows: int) -> int:
        height, width = -(-row_panels // rows), -(-column_panels // (parts // rows))
        return 2 * height * width + height + width

    rows = min((rows for rows in range(1, parts + 1) if parts % rows == 0), key=cost)
    return rows, parts // rows


@kernel
def multiply(
    part: int, parts: int, by_rows: int, by_columns: int, height: int, width: int, depth: int,
    x: Any, x_at: Any, x_row: int, x_column: int, y: Any, y_at: Any, y_row: int, y_column: int,
    out: Any, mode: int, bias: Any, buffer: Any, room: int, mr: int, mc: int, nc: int, kc: int,
) -> None:  # fmt: skip
    """Compute the rectangles of C (height, width) that are this part's, of each product of a batch."""
    if shared_out(part, parts):
        return
    NR = VECTORS * lanes(out)
    row_panels, column_panels = (height + mr - 1) // mr, (width + NR - 1) // NR
    tasks = len(x_at) * by_rows * by_columns
    for task in range(tasks * part // parts, tasks * (part + 1) // parts):
        item, place = divmod(task, by_rows * by_columns)
        row, column = divmod(place, by_columns)
        top, left = row_panels * row // by_rows * mr, column_panels * column // by_columns * NR
        bottom = min(height, row_panels * (row + 1) // by_rows * mr)
        right = min(width, column_panels * (column + 1) // by_columns * NR)
        rectangle(
            top, bottom, left, right, depth, x, x_at[item], x_row, x_column, y, y_at[item], y_row, y_column,
            out, item * height * width, width, mode, bias, buffer, part * room, mr, mc, nc, kc,
        )  # fmt: skip


@helper
def pack_together(matrix: Any, at: int, row: int, n: int, steps: int, buffer: Any, b_at: int, width: int) -> None:
    """Pack a block (steps, n) whose columns are neighbours: some panels at once, so that whole lines are read.

    Of long rows each lies on a page of its own, and a panel's columns of it are 128 bytes (16 x 2048 by 2048 x 2048:
    6.1 ms to pack panel by panel).
    """
    L = lanes(buffer)
    for left in range(0, n, TOGETHER * width):
        right = min(left + TOGETHER * width, n)
        for k in range(steps):
            for j in range(left, right, width):
                panel = b_at + j * steps + k * width
                for v in range(0, width, L):
                    copy_vector(matrix, at + k * row + j + v, min(n - j - v, L), buffer, panel + v)


@helper
def rectangle(
    top: int, bottom: int, left: int, right: int, depth: int,
    x: Any, x_at: int, x_row: int, x_column: int, y: Any, y_at: int, y_row: int, y_column: int,
    out: Any, out_at: int, out_row: int, mode: int, bias: Any, buffer: Any, b_at: int,
    mr: int, mc: int, nc: int, kc: int,
) -> None:  # fmt: skip
    """Compute rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of one product: the loops shown above."""
    L = lanes(out)
    NR = VECTORS * L
    a_at = b_at + nc * kc + L
    for j0 in range(left, right, nc):
        n = min(nc, right - j0)
        for k0 in range(0, max(depth, 1), kc):
            steps = min(kc, depth - k0)
            now = mode if k0 + steps == depth else 0
            if k0:
                now |= ACCUMULATE
            if y_column == 1:
                pack_together(y, y_at + k0 * y_row + j0, y_row, n, steps, buffer, b_at, NR)
            else:
                for j in range(0, n, NR):
                    first = y_at + (j0 + j) * y_column + k0 * y_row
                    pack(y, first, y_column, y_row, min(NR, n - j), steps, buffer, b_at + j * steps, NR)
            for i0 in range(top, bottom, mc):
                m = min(mc, bottom - i0)
                for i in range(0, m, mr):
                    first = x_at + (i0 + i) * x_row + k0 * x_column
                    pack(x, first, x_row, x_column, min(mr, m - i), steps, buffer, a_at + i * steps, mr)
                i = j = 0
                while i < m and j < n:
                    a_panel, b_panel = a_at + i * steps, b_at + j * steps
                    c, rows, columns = out_at + (i0 + i) * out_row + j0 + j, m - i, n - j
                    if mr == TALL:
                        multiply_tall(
                            steps, buffer, a_panel, buffer, b_panel, out, c, out_row, rows, columns, now, bias, j0 + j
                        )
                    elif mr == MIDDLE:
                        multiply_middle(
                            steps, buffer, a_panel, buffer, b_panel, out, c, out_row, rows, columns, now, bias, j0 + j
                        )
                    else:
                        multiply_low(
                            steps, buffer, a_panel, buffer, b_panel, out, c, out_row, rows, columns, now, bias, j0 + j
                        )
                    if n * steps <= FEW:
                        j += NR
                        if j >= n:
                            i, j = i + mr, 0
                    else:
                        i += mr
                        if i >= m:
                            i, j = 0, j + NR
