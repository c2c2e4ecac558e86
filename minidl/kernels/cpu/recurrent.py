r"""Whole sequences through a recurrent layer, compiled. Shapes: T time, N batch, D features in, U units.

The sequences of a batch don't depend on each other, so each thread takes a block of them from the first step to the
last, and waits for nobody in between. One step is one product, whose left side is kept in a small table::

      table (rows, depth)             weights, packed once             gates[t] (rows, 4U)
    ┌─────┬───┬─────────┬───┐     ┌──────────────────────────┐
    │ x_t │ 1 │ h_(t-1) │ 1 │  x  │ weight_ih^T  (D rows)    │    LSTM: i, f, g, o = nonlinear functions
    └─────┴───┴─────────┴───┘     │ bias_ih      (1 row)     │          c_t = f c_(t-1) + i g
                   ^              ├──────────────────────────┤          h_t = o tanh(c_t)
                   │              │ weight_hh^T  (U rows)    │            │
                   │              │ bias_hh      (1 row)     │            │
                   │              └──────────────────────────┘            │
                   └──────────────────────────────────────────────────────┘

A GRU's gates take part in one half of the table only, in its first block and in its last (``reference.recurrent`` draws
them): its product is three. Where weight_ih is too large to stay in a core's cache beside weight_hh, the products with
x_t are made for all steps at once instead, and a step's products are added to them. Backward it is the same walk, from
the last step to the first: the functions' gradients, then a product with weight_hh.

What stands between the products is the cell's, in ``recurrent_cells``: all else is common to all cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.kernels.cpu import recurrent_cells as cells_of
from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, helper, kernel
from minidl.kernels.cpu.gemm import _corner as corner
from minidl.kernels.cpu.gemm import _regular as regular
from minidl.kernels.cpu.gemm import affine, matmul
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.packing import element, pack
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.recurrent_weights import weight_grads
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.vectors import ACCUMULATE, lanes, microkernel
from minidl.kernels.reference import recurrent as reference

__all__ = ["recurrent_backward", "recurrent_forward", "recurrent_weight_grads"]

#: The tile: fewer rows than a large product's, because few sequences walk together. 8 x 48 float32 with AVX-512.
ROWS, VECTORS = {(64, 32): (8, 3), (32, 16): (4, 3), (16, 32): (8, 3)}.get((VECTOR_BYTES, VECTOR_REGISTERS), (4, 2))
BLOCK = 6 * ROWS  # sequences that walk together: their states stay in L1 or L2
INPUT_BYTES = 2**18  # of weight_ih, up to which it stays in a core's cache beside weight_hh
LINE = 16  # elements, at least a cache line, between one thread's table and the next one's
LEAST = 5e5  # floating-point operations that are worth a thread

#: Of a product of a step, the columns of a table: where its result stands in the gates, how many columns it has, which
#: part of the table it is of, what the micro-kernel does in the end, and where its packed weights are.
OUT, COLUMNS, FIRST, DEPTH, MODE, PANELS = range(6)
NO_MASK = np.zeros((0, 0), np.bool_)

Matrices = list[Any]

multiply = microkernel(ROWS, VECTORS, a="rows")


# ---------------------------------------------------------------------- the walks


@helper
def rows_present(mask: Any, t: int, first: int, rows: int) -> int:
    """Return up to which row of a block there are sequences that take part in a step."""
    if mask.size:
        while rows and not mask[t, first + rows - 1]:
            rows -= 1
    return rows


def named(walk: Any, functions: Any) -> Any:
    """Compile a walk under a name of its own.

    The symbols of compiled code are made of a function's name and a number that starts at 1 in each process: two walks
    of one name, compiled in two processes and loaded from the cache in a third, would be one and the same there.
    """
    walk.__name__ = walk.__qualname__ = f"walk_{functions.__name__}"
    return helper(walk)


def make_walk(functions: Any) -> Any:
    """Return the walk of a cell: see :func:`recurrent_forward` for what it does."""

    def walk(
        part: int, parts: int, x: Any, x_t: int, x_n: int, x_d: int, features: int, depth: int, h_at: int, spans: Any,
        mask: Any, reverse: bool, buffer: Any, room: int, gates: Any, states: Any, cells: Any,
    ) -> None:  # fmt: skip
        T, N, G = gates.shape
        U = states.shape[2]
        step, width = lanes(buffer), VECTORS * lanes(buffer)
        stop = N * (part + 1) // parts
        for first in range(N * part // parts, stop, BLOCK):
            block = min(BLOCK, stop - first)
            for row in range(block):
                table = part * room + row * depth
                for k in range(depth):
                    buffer[table + k] = 1
                for u in range(U):
                    buffer[table + h_at + u] = states[T if reverse else 0, first + row, u]
            for s in range(T):
                t, before, after = (T - 1 - s, T - s, T - 1 - s) if reverse else (s, s, s + 1)
                rows = rows_present(mask, t, first, block)
                for row in range(rows):
                    table = part * room + row * depth
                    for d in range(features):
                        buffer[table + d] = element(x, t * x_t + (first + row) * x_n + d * x_d)
                for span in range(len(spans)):
                    out, columns, k = spans[span, OUT], spans[span, COLUMNS], spans[span, FIRST]
                    kc, mode, panels = spans[span, DEPTH], spans[span, MODE], spans[span, PANELS]
                    for column in range(0, columns, width):
                        for row in range(0, rows, ROWS):
                            multiply(
                                kc, buffer, part * room + row * depth + k, depth, buffer, panels + column * kc,
                                gates, (t * N + first + row) * G + out + column, G, rows - row, columns - column, mode,
                                buffer, 0,
                            )  # fmt: skip
                for row in range(block):
                    old, new = (before * N + first + row) * U, (after * N + first + row) * U
                    if row < rows and (not mask.size or mask[t, first + row]):
                        at, table = (t * N + first + row) * G, part * room + row * depth + h_at
                        for u in range(0, U, step):
                            functions(gates, at + u, U, states, cells, old + u, new + u, U - u, buffer, table + u)
                    else:
                        for u in range(U):
                            states[after, first + row, u] = states[before, first + row, u]
                            cells[after, first + row, u] = cells[before, first + row, u]

    return named(walk, functions)


def make_walk_back(functions: Any) -> Any:
    """Return the walk of a cell from the last step to the first: see :func:`recurrent_backward`."""

    def walk_back(
        part: int, parts: int, above: Any, above_t: int, above_n: int, grad_h: Any, grad_c: Any, mask: Any,
        reverse: bool, panels: Any, width_hh: int, gates: Any, states: Any, cells: Any, grad_gates: Any,
    ) -> None:  # fmt: skip
        T, N, G = gates.shape
        U = states.shape[2]
        step, width = lanes(panels), VECTORS * lanes(panels)
        stop = N * (part + 1) // parts
        for first in range(N * part // parts, stop, BLOCK):
            block = min(BLOCK, stop - first)
            for s in range(T):
                t, before, after = (s, s + 1, s) if reverse else (T - 1 - s, T - 1 - s, T - s)
                rows = rows_present(mask, t, first, block)
                for row in range(block):
                    n = first + row
                    at = (t * N + n) * G
                    if row < rows and (not mask.size or mask[t, n]):
                        old, new = (before * N + n) * U, (after * N + n) * U
                        for u in range(0, U, step):
                            functions(
                                gates, at + u, U, states, cells, old + u, new + u, U - u, above,
                                t * above_t + n * above_n + u, grad_h, grad_c, n * U + u, grad_gates,
                            )  # fmt: skip
                    else:  # all gradients pass by
                        for k in range(G):
                            grad_gates[t * N + n, k] = 0
                        for u in range(U):
                            grad_h[n, u] += element(above, t * above_t + n * above_n + u)
                for column in range(0, U, width):
                    for row in range(0, rows, ROWS):
                        multiply(
                            width_hh, grad_gates, (t * N + first + row) * G + G - width_hh, G, panels,
                            column * width_hh, grad_h, (first + row) * U + column, U, rows - row, U - column,
                            ACCUMULATE, panels, 0,
                        )  # fmt: skip

    return named(walk_back, functions)


walk_lstm, walk_lstm_back = make_walk(cells_of.lstm), make_walk_back(cells_of.lstm_back)
walk_gru, walk_gru_back = make_walk(cells_of.gru), make_walk_back(cells_of.gru_back)
walk_tanh, walk_tanh_back = make_walk(cells_of.tanh), make_walk_back(cells_of.tanh_back)
walk_relu, walk_relu_back = make_walk(cells_of.relu), make_walk_back(cells_of.relu_back)


@kernel
def lstm(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_lstm(part, parts, *arguments)


@kernel
def lstm_back(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_lstm_back(part, parts, *arguments)


@kernel
def gru(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_gru(part, parts, *arguments)


@kernel
def gru_back(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_gru_back(part, parts, *arguments)


@kernel
def tanh(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_tanh(part, parts, *arguments)


@kernel
def tanh_back(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_tanh_back(part, parts, *arguments)


@kernel
def relu(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_relu(part, parts, *arguments)


@kernel
def relu_back(part: int, parts: int, *arguments: Any) -> None:
    if shared_out(part, parts):
        return
    walk_relu_back(part, parts, *arguments)


WALKS = {"lstm": (lstm, lstm_back), "gru": (gru, gru_back), "tanh": (tanh, tanh_back), "relu": (relu, relu_back)}


# ---------------------------------------------------------------------- packed weights


@kernel
def pack_rows(
    part: int, parts: int, matrix: Any, across: int, along: int, rows: int, columns: int, first: int, depth: int,
    panels: Any, panels_at: int,
) -> None:  # fmt: skip
    """Write a matrix into panels as wide as the micro-kernel's tile and ``depth`` rows long, from row ``first`` on.

    ``across`` and ``along`` are the distances to its next column and to its next row.
    """
    if shared_out(part, parts):
        return
    width = VECTORS * lanes(panels)
    count = (columns + width - 1) // width
    for panel in range(count * part // parts, count * (part + 1) // parts):
        column, place = panel * width, panels_at + (panel * depth + first) * width
        pack(matrix, column * across, across, along, min(width, columns - column), rows, panels, place, width)


def pack_all(matrices: Matrices, panels: Any, panels_at: int) -> None:
    """Pack matrices of as many columns one above the other."""
    depth, first = sum(map(len, matrices)), 0
    for m in matrices:
        (rows, columns), along, across = m.shape, m.strides[0] // m.itemsize, m.strides[1] // m.itemsize
        parts = parts_for(rows * columns, LEAST)
        run(pack_rows, parts, corner(m), across, along, rows, columns, first, depth, panels, panels_at)
        first += rows


def packed_size(depth: int, columns: int, dtype: Any) -> int:
    """Return how many elements the panels of a matrix (depth, columns) take."""
    width = VECTORS * VECTOR_BYTES // dtype.itemsize
    return -(-columns // width) * width * depth


def products_of(of_x: Matrices, of_h: Matrices, width: int, shift: int, mode: int) -> list[tuple[list[int], Matrices]]:
    """Return the products of a step: all but the last column of the table of spans, and the weights to pack.

    Parameters
    ----------
    of_x, of_h : list of array (rows, ``width``)
        The matrices that the first part of the table, and the second one, are multiplied with; the first may be empty.
    shift : int
        The second part's products stand as many columns to the right of the first part's.
    mode : int
        What becomes of products with the second part where the first one's stand.
    """
    x_depth, h_depth = sum(map(len, of_x)), sum(map(len, of_h))
    both = [m[:, shift:] for m in of_x] + [m[:, : width - shift] for m in of_h]
    products = [([shift, width - shift, 0, x_depth + h_depth, mode], both)]
    if shift:
        products.append(([width, shift, x_depth, h_depth, 0], [m[:, width - shift :] for m in of_h]))
        if of_x:
            products.append(([0, shift, 0, x_depth, 0], [m[:, :shift] for m in of_x]))
    return products


# ---------------------------------------------------------------------- as minidl.kernels has them


def recurrent_forward(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, mask: Any, reverse: bool,
    cell: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Run sequences through a recurrent layer: arguments and results as in the reference."""
    T, N, D = x.shape
    U, dtype = h.shape[1], x.dtype
    x, weight_ih, weight_hh = regular(x), regular(weight_ih), regular(weight_hh)
    if T == 0 or N == 0 or U == 0:
        return reference.recurrent_forward(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, mask, reverse, cell)
    blocks = reference.CELLS[cell]
    width, shift = blocks.weights * U, blocks.shift * U
    states = np.empty((T + 1, N, U), dtype)
    states[T if reverse else 0] = h
    cells = states
    if c is not None:
        cells = np.empty((T + 1, N, U), dtype)
        cells[T if reverse else 0] = c
    gates = states[:-1] if reverse else states[1:]  # of one block: its gradient needs the state alone
    if blocks.weights > 1:
        gates = np.empty((T, N, width + shift), dtype)

    weight_x = reference.rolled(weight_ih, shift).T  # (D, width)
    bias_x = None if bias_ih is None else reference.rolled(bias_ih, shift)
    of_x = [weight_x] if bias_x is None else [weight_x, bias_x[None]]
    of_h = [weight_hh.T] if bias_hh is None else [weight_hh.T, bias_hh[None]]
    together = weight_ih.nbytes <= INPUT_BYTES
    if not together:
        flat = x.reshape(T * N, D)
        products = matmul(flat, weight_x) if bias_x is None else affine(flat, weight_x, bias_x)
        gates[:, :, :width] = products.reshape(T, N, width)
        x, of_x = x[:, :, :0], []
    parts = min(N, parts_for(2 * T * N * width * (D + U), LEAST))
    h_at = sum(map(len, of_x))
    depth = h_at + sum(map(len, of_h))
    room = -(-min(BLOCK, -(-N // parts) + ROWS) * depth // LINE) * LINE
    steps = products_of(of_x, of_h, width, shift, 0 if together else ACCUMULATE)
    spans, end = [], parts * room
    for step, _ in steps:
        spans.append([*step, end])
        end += packed_size(step[DEPTH], step[COLUMNS], dtype)
    buffer = scratch(end + VECTOR_BYTES // dtype.itemsize, dtype)  # a vector may reach beyond the last panel
    for span, (_, matrices) in zip(spans, steps, strict=True):
        pack_all(matrices, buffer, span[PANELS])
    walk, _ = WALKS[cell]
    run(
        walk, parts, corner(x[0]), *distances(x), x.shape[2], depth, h_at, np.array(spans), mask_of(mask), reverse,
        buffer, room, gates, states, cells,
    )  # fmt: skip
    return states, None if c is None else cells, gates


def mask_of(mask: Any) -> Any:
    """Return the mask as the walks take it."""
    return NO_MASK if mask is None else np.array(mask, np.bool_, order="C")


def distances(x: Any) -> tuple[int, ...]:
    """Return the strides of an array, in elements."""
    return tuple([stride // x.itemsize for stride in x.strides])


def recurrent_backward(
    grad_output: Any, grad_h: Any, grad_c: Any, weight_hh: Any, states: Any, cells: Any, gates: Any, mask: Any,
    reverse: bool, cell: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Walk back through the sequences: arguments and results as in the reference."""
    T, N, G = gates.shape
    U, dtype = states.shape[2], gates.dtype
    if T == 0 or N == 0 or U == 0:
        return reference.recurrent_backward(
            grad_output, grad_h, grad_c, weight_hh, states, cells, gates, mask, reverse, cell
        )
    width = len(weight_hh)
    parts = min(N, parts_for(2 * T * N * U * width, LEAST))
    panels = scratch(packed_size(width, U, dtype) + VECTOR_BYTES // dtype.itemsize, dtype)
    pack_all([regular(weight_hh)], panels, 0)
    rows = np.empty((T * N + ROWS, G), dtype)  # tiles are read in full: beyond the last sequence too
    grad_h = np.array(grad_h, order="C")
    grad_c = grad_h if grad_c is None else np.array(grad_c, order="C")
    if grad_output.strides[2] != grad_output.itemsize:
        grad_output = np.ascontiguousarray(grad_output)
    above_t, above_n, _ = distances(grad_output)
    _, walk_back = WALKS[cell]
    run(
        walk_back, parts, corner(grad_output[0]), above_t, above_n, grad_h, grad_c, mask_of(mask), reverse,
        panels, width, np.ascontiguousarray(gates), np.ascontiguousarray(states),
        np.ascontiguousarray(states if cells is None else cells), rows,
    )  # fmt: skip
    return rows[: T * N].reshape(T, N, G), grad_h, None if cells is None else grad_c


def recurrent_weight_grads(
    grad_gates: Any, x: Any, states: Any, reverse: bool, transposed: bool, cell: str
) -> tuple[Any, Any, Any, Any]:
    """Return the gradients of the weights and biases: arguments and results as in the reference."""
    T, N, D = x.shape
    U = states.shape[2]
    if T == 0 or N == 0 or U == 0:
        return reference.recurrent_weight_grads(grad_gates, x, states, reverse, transposed, cell)
    blocks = reference.CELLS[cell]
    width, shift = blocks.weights * U, blocks.shift * U
    before = np.ascontiguousarray(states[1:] if reverse else states[:-1])
    of_x, of_h, sums = weight_grads(
        np.ascontiguousarray(grad_gates).reshape(T * N, width + shift),
        np.ascontiguousarray(x).reshape(T * N, D), before.reshape(T * N, U), shift,
    )  # fmt: skip
    of_x, bias_x = reference.rolled(of_x, -shift), reference.rolled(sums[:width], -shift)
    if transposed:
        of_x, of_h = np.ascontiguousarray(of_x.T).T, np.ascontiguousarray(of_h.T).T
    return of_x, of_h, bias_x, sums[shift:]
