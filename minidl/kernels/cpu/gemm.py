r"""Matrix products of any strides: blocked for the caches, and shared among threads without a barrier.

B is cut into blocks of KC steps x NC columns, which stay in the second-level cache, packed into panels as wide as the
micro-kernel's tile. Eight rows of A at a time meet all panels of a block; they stay in the first-level cache::

                     NC                        for each block of steps              KC
                ┌──────────┐                     for each block of columns          NC    pack B
             KC │ B block  │                       for each tile of rows            MR    pack A, if that pays
         KC     └──────────┘                         for each panel of B            NR
       ┌────┐   ┌──────────┐                           micro-kernel: KC steps in registers
    MR │ A  │   │ C        │
       └────┘   └──────────┘

To pack costs as much as to multiply with some 25 rows, so it is left out where it doesn't pay:

- A is read where it lies: eight rows, whatever their strides. They are packed only if A is transposed and many panels
  follow;
- B is read where it lies if there are few rows of A and its own rows are contiguous: a few steps at a time, so that
  they lie on few pages;
- if there are few rows of A, and B's columns are contiguous (a layer's weight, transposed), ``C^T = B^T A^T`` is
  computed instead: then it is the small factor that is packed.

The bias is added, and ReLU applied, when the last block of steps is stored. Each thread computes a rectangle of C, or
whole products of a batch, and packs what it needs itself: packing twice costs less than waiting for each other.

How an element of C is summed depends on the sizes M, K and N alone, not on strides or threads: in blocks of steps, each
of which is added to the ones before, or, if there are few rows or columns, from the first step to the last.

References
----------
Goto & van de Geijn (2008), "Anatomy of High-Performance Matrix Multiplication".
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, inlined, kernel
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.packing import copy_vector, pack
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import get_num_threads, parts_for
from minidl.kernels.cpu.vectors import ACCUMULATE, COLUMN_BIAS, CONTINUE, RELU, ROW_BIAS, lanes, microkernel

__all__ = ["affine", "matmul"]

#: The tile: MR rows, and columns of up to so many vectors. 8 x 48 float32 with AVX-512.
MR, VECTORS = {(64, 32): (8, 3), (32, 16): (4, 3), (16, 32): (8, 3)}.get((VECTOR_BYTES, VECTOR_REGISTERS), (4, 2))
STEPS_BYTES = 1536  # KC: eight rows of A are 12 kB, of a first-level cache of 32
PANELS = 6  # NC: with KC 440 kB, of a second-level cache of 1 MB
#: Rows, or columns, up to which the large factor is not packed.
FEW = 32
#: Rows of A up to which C^T is computed if B's columns are contiguous; then C is copied, once more.
TURNED = 64
FEW_BYTES = 2**18  # of the small one that is packed instead: a block of it stays in the second-level cache
PAGES = 32  # of B that are read at once where it is not packed: streams that a CPU fetches ahead
PAGE = 4096
MANY_PANELS = 3  # of B, from which on packing a transposed A pays
#: Floating-point operations that outweigh handing a part to another thread. That takes 5 us, but the operands lie in
#: the first one's cache: 6 Mflop of 32 x 64 x 1600 took 107 us on one thread and 135 on two.
LEAST_FLOPS = 5e6
#: From which on there are two parts a thread, so that one takes over from another that is slowed down.
MANY_FLOPS = 5e7

multiply_three, multiply_two, multiply_one = (
    microkernel(MR, min(v, VECTORS), a="strided", b="rows") for v in (3, 2, 1)
)


def matmul(x: Any, y: Any) -> Any:
    """Return ``x @ y`` for matrices (M, K) and (K, N), or batches of them that broadcast."""
    if x.ndim == 2 and y.ndim == 2:
        return _single(x, y, 0, None)
    x, y = regular(x), regular(y)
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    out = np.empty((*batch, x.shape[-2], y.shape[-1]), x.dtype)
    if out.size:
        first_x, first_y = x[(0,) * (x.ndim - 2)], y[(0,) * (y.ndim - 2)]
        product(first_x, first_y, out, _places(x, batch), _places(y, batch))
    return out


def affine(x: Any, weight: Any, bias: Any, relu: bool = False) -> Any:
    """Return ``x @ weight + bias`` for matrices (N, D) and (D, U) and a vector (U,), and its ReLU if wanted."""
    return _single(x, weight, RELU if relu else 0, np.ascontiguousarray(bias))


def _single(x: Any, y: Any, mode: int, bias: Any) -> Any:
    """Return the product of two matrices, to each row of which a bias is added if there is one."""
    x, y = regular(x), regular(y)
    (M, _), N = x.shape, y.shape[1]
    if M <= TURNED < N and y.strides[0] == y.itemsize < y.strides[1]:
        transposed = np.empty((N, M), x.dtype)
        product(y.T, x.T, transposed, mode=mode if bias is None else mode | ROW_BIAS, bias=bias)
        return np.ascontiguousarray(transposed.T)
    out = np.empty((M, N), x.dtype)
    product(x, y, out, mode=mode if bias is None else mode | COLUMN_BIAS, bias=bias)
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
        self.__array_interface__ = {"shape": (1,), "typestr": x.dtype.str, "data": data, "version": 3}


def corner(x: Any) -> Any:
    """Return an array that begins where ``x`` does, of the one kind that the kernels are compiled for."""
    first = x[0, :1] if len(x) else x.reshape(-1)  # at most one element: contiguous, whatever the strides
    return first if first.flags.writeable else np.asarray(_Writable(x))


def _places(x: Any, batch: tuple[int, ...]) -> Any:
    """Return where each matrix of a batch that broadcasts begins, in elements from the first."""
    offsets = np.zeros((), np.int64)
    for size, stride in zip(x.shape[:-2], x.strides[:-2], strict=True):
        offsets = np.add.outer(offsets, np.arange(size) * (stride // x.itemsize))
    return np.broadcast_to(offsets, batch).flatten()


# ---------------------------------------------------------------------- how a product is cut


class Plan(NamedTuple):
    """What depends on the sizes of a product alone."""

    parts: int
    room: int  # elements of scratch space of all parts
    numbers: Any  # int64 array, as ``multiply`` takes it apart


@functools.lru_cache(maxsize=1024)
def plan(
    count: int, x_shape: tuple[int, int], x_strides: tuple[int, int], y_shape: tuple[int, int],
    y_strides: tuple[int, int], item: int, threads: int,
) -> Plan:  # fmt: skip
    """Decide how ``count`` products of matrices of these shapes and strides (in bytes) are computed."""
    (M, K), (_, N) = x_shape, y_shape
    (x_row, x_column), (y_row, y_column) = x_strides, y_strides
    L = VECTOR_BYTES // item
    width = block_size(N, VECTORS * L, L)
    few = min(M, N) <= FEW
    in_place = M <= FEW and y_column == item
    if in_place:
        nc, kc = width, max(16, PAGES * PAGE // max(item * N, abs(y_row)))
    else:
        nc = block_size(N, PANELS * width, width)
        kc = max(STEPS_BYTES, FEW_BYTES // nc) // item if few else STEPS_BYTES // item
    kc = block_size(K, kc, 1)
    pack_a = nc >= MANY_PANELS * width and x_column != item

    flops = 2.0 * count * M * N * K
    parts, by_rows, by_columns = parts_for(flops, LEAST_FLOPS, each=2 if flops > MANY_FLOPS else 1), 1, 1
    if parts > 1:
        if count < 4 * parts:
            by_rows, by_columns = _grid(parts, -(-M // MR), -(-N // width))
        parts = min(parts, count * by_rows * by_columns)
    room = nc * kc + (MR * kc if pack_a else 0) + 4 * L  # a block of B, rows of A, and a vector after each
    numbers = (
        by_rows, by_columns, M, N, K, x_row // item, x_column // item, y_row // item, y_column // item, width, nc, kc,
        in_place, pack_a, room, CONTINUE if few else ACCUMULATE,
    )  # fmt: skip
    return Plan(parts, parts * room, np.array(numbers, np.int64))


def block_size(size: int, most: int, multiple: int) -> int:
    """Cut a size into as few blocks of at most ``most`` as possible, of one length, a multiple of ``multiple``."""
    if size > most:
        size = -(-size // -(-size // most))
    return max(1, -(-size // multiple)) * multiple


def _grid(parts: int, tiles: int, panels: int) -> tuple[int, int]:
    """Cut C into ``parts`` rectangles, rows x columns of them, of which the largest takes as little as can be.

    To pack a panel takes about as long as to multiply three tiles with it.
    """

    def cost(rows: int) -> int:
        height, width = -(-tiles // rows), -(-panels // (parts // rows))
        return height * width + 3 * width

    rows = min((rows for rows in range(1, parts + 1) if parts % rows == 0), key=cost)
    return rows, parts // rows


def product(x: Any, y: Any, out: Any, x_at: Any = ONE, y_at: Any = ONE, mode: int = 0, bias: Any = None) -> None:
    """Multiply the matrices that begin ``x_at`` and ``y_at`` after the first ones.

    Parameters
    ----------
    x, y : array (M, K) and (K, N)
    out : C-contiguous array (..., M, N)
    x_at, y_at : int64 array (B,)
    mode, bias
        What the micro-kernel does in the end; ``bias`` is C-contiguous, and there if the mode asks for it.
    """
    parts, room, numbers = plan(len(x_at), x.shape, x.strides, y.shape, y.strides, x.itemsize, get_num_threads())
    flat = out.reshape(-1)
    buffer = scratch(room, x.dtype)
    run(multiply, parts, corner(x), corner(y), flat, flat if bias is None else bias, buffer, x_at, y_at, numbers, mode)


# ---------------------------------------------------------------------- compiled


@kernel
def multiply(
    part: int, parts: int, x: Any, y: Any, out: Any, bias: Any, buffer: Any, x_at: Any, y_at: Any, numbers: Any,
    mode: int,
) -> None:  # fmt: skip
    """Compute the rectangles of C that are this part's, of each product of a batch."""
    if shared_out(part, parts):
        return
    by_rows, by_columns, height, width = numbers[0], numbers[1], numbers[2], numbers[3]
    across, room = numbers[9], numbers[14]
    tiles, panels = (height + MR - 1) // MR, (width + across - 1) // across
    tasks = len(x_at) * by_rows * by_columns
    for task in range(tasks * part // parts, tasks * (part + 1) // parts):
        item, place = divmod(task, by_rows * by_columns)
        row, column = divmod(place, by_columns)
        top, bottom = tiles * row // by_rows * MR, min(height, tiles * (row + 1) // by_rows * MR)
        left, right = panels * column // by_columns * across, min(width, panels * (column + 1) // by_columns * across)
        rectangle(
            top, bottom, left, right, x, x_at[item], y, y_at[item], out, item * height * width, mode, bias,
            buffer, part * room, numbers,
        )  # fmt: skip


@inlined
def rectangle(
    top: int, bottom: int, left: int, right: int, x: Any, x_at: int, y: Any, y_at: int, out: Any, out_at: int,
    mode: int, bias: Any, buffer: Any, b_at: int, numbers: Any,
) -> None:  # fmt: skip
    """Compute rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of one product: the loops shown above."""
    out_row, depth, x_row, x_column, y_row, y_column = (
        numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8],
    )  # fmt: skip
    across, nc, kc, in_place, pack_a = numbers[9], numbers[10], numbers[11], numbers[12], numbers[13]
    L = lanes(out)
    a_at = b_at + nc * kc + L
    rows, row, step = (buffer, 1, MR) if pack_a else (x, x_row, x_column)
    wide, medium, bias_step = across > 2 * L, across > L, 0 if mode & ROW_BIAS else 1
    for k0 in range(0, max(depth, 1), kc):
        steps = min(kc, depth - k0)
        now = mode if k0 + steps == depth else 0
        if k0:
            now |= numbers[15]
        for j0 in range(left, right, nc):
            n = min(nc, right - j0)
            block, panels, panel, b_row = y, y_at + k0 * y_row + j0 * y_column, across, y_row
            if not in_place or n % L:
                pack_block(y, panels, y_row, y_column, n, steps, buffer, b_at, across)
                block, panels, panel, b_row = buffer, b_at, across * steps, across
            for i in range(top, bottom, MR):
                m, a = bottom - i, x_at + i * x_row + k0 * x_column
                if pack_a:
                    pack(x, a, x_row, x_column, min(m, MR), steps, buffer, a_at, MR)
                    a = a_at
                b, c, b_first = panels, out_at + i * out_row + j0, i if mode & ROW_BIAS else j0
                for j in range(0, n, across):
                    if wide and n - j > 2 * L:
                        multiply_three(
                            steps, rows, a, row, step, block, b, b_row, out, c + j, out_row, m, n - j, now,
                            bias, b_first,
                        )  # fmt: skip
                    elif medium and n - j > L:
                        multiply_two(
                            steps, rows, a, row, step, block, b, b_row, out, c + j, out_row, m, n - j, now,
                            bias, b_first,
                        )  # fmt: skip
                    else:
                        multiply_one(
                            steps, rows, a, row, step, block, b, b_row, out, c + j, out_row, m, n - j, now,
                            bias, b_first,
                        )  # fmt: skip
                    b += panel
                    b_first += bias_step * across


@inlined
def pack_block(y: Any, at: int, row: int, column: int, n: int, steps: int, buffer: Any, b_at: int, across: int) -> None:
    """Pack a block (steps, n) of B into panels.

    Where columns are neighbours, all panels at once, row by row: of long rows each lies on a page of its own, and a
    panel's columns of it are a few lines only (16 x 2048 by 2048 x 2048: 6.1 ms to pack panel by panel).
    """
    L = lanes(buffer)
    if column == 1:
        for k in range(steps):
            for j in range(0, n, across):
                for v in range(0, across, L):
                    copy_vector(y, at + k * row + j + v, min(n - j - v, L), buffer, b_at + j * steps + k * across + v)
    else:
        for j in range(0, n, across):
            pack(y, at + j * column, column, row, min(across, n - j), steps, buffer, b_at + j * steps, across)
