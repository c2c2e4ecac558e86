r"""A whole sequence through a recurrent layer, compiled. Shapes: T time, N batch, D features in, U units.

The sequences of a batch don't depend on each other, so each thread takes a block of them from the first step to the
last, and waits for nobody in between. One step is one product, whose left side is kept in a small table::

      state (rows, K)                 weights, packed once (K, 4U)          gates[t] (rows, 4U)
    ┌─────────┬───────────┬───┐     ┌──────────────────────────┐
    │   x_t   │  h_(t-1)  │ 1 │  x  │ weight_ih^T  (D rows)    │    i, f, g, o = nonlinear functions
    └─────────┴───────────┴───┘     ├──────────────────────────┤       c_t = f c_(t-1) + i g
                    ^               │ weight_hh^T  (U rows)    │       h_t = o tanh(c_t)
                    │               ├──────────────────────────┤          │
                    │               │ bias         (1 row)     │          │
                    │               └──────────────────────────┘          │
                    └─────────────────────────────────────────────────────┘

Where weight_ih is too large to stay in a core's cache beside weight_hh, the products with x_t are made for all steps at
once instead, and a step's product is added to them. Backward it is the same walk, from the last step to the first:
the functions' gradients, then a product with weight_hh.

Functions between the products are written in vector registers (``nonlinear``): Numba wouldn't vectorise a loop over
so many arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from minidl.kernels.cpu.compiler import VECTOR_BYTES, VECTOR_REGISTERS, intrinsic, kernel
from minidl.kernels.cpu.gemm import affine, matmul
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.nonlinear import NonlinearEmitter
from minidl.kernels.cpu.packing import pack
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.vectors import ACCUMULATE, lanes, microkernel
from minidl.kernels.reference import recurrent as reference

__all__ = ["lstm", "lstm_grad", "lstm_weight_grads"]

#: The tile: fewer rows than a large product's, because few sequences walk together. 8 x 48 float32 with AVX-512.
ROWS, VECTORS = {(64, 32): (8, 3), (32, 16): (4, 3), (16, 32): (8, 3)}.get((VECTOR_BYTES, VECTOR_REGISTERS), (4, 2))
BLOCK = 6 * ROWS  # sequences that walk together: their states stay in L1 or L2
INPUT_BYTES = 2**18  # of weight_ih, up to which it stays in a core's cache beside weight_hh
LINE = 16  # elements, at least a cache line, between one thread's states and the next one's
LEAST = 5e5  # floating-point operations that are worth a thread

multiply = microkernel(ROWS, VECTORS, a="rows")


# ---------------------------------------------------------------------- between the products


@intrinsic
def lstm_functions(
    typingctx: Any, z: Any, z_at: Any, units: Any, c_before: Any, before_at: Any, c: Any, h: Any, at: Any,
    state: Any, state_at: Any, left: Any,
) -> Any:  # fmt: skip
    """Apply the gates to a vector of ``left`` units or as many as fit, of one sequence at one step.

    In ``z`` lie i, f, g, o, each ``units`` after the other: first what goes in, then what comes out. ``h`` and ``c``
    are written at the same place ``at``; h to ``state`` too.
    """
    flat = types.intp
    signature = types.void(z, flat, flat, c_before, flat, c, h, flat, state, flat, flat)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        emit = NonlinearEmitter(context, builder, kinds[0].dtype)
        mask = emit.below(args[10], 0)
        gates = [emit.data(kinds[0], args[0], args[1])]
        for _ in range(3):
            gates.append(emit.at(gates[-1], args[2]))
        i, f, g, o = (emit.masked_load(gate, mask) for gate in gates)
        i, f, g, o = emit.sigmoid(i), emit.sigmoid(f), emit.tanh(g), emit.sigmoid(o)
        for gate, value in zip(gates, (i, f, g, o), strict=True):
            emit.masked_store(value, gate, mask)
        before = emit.masked_load(emit.data(kinds[3], args[3], args[4]), mask)
        cell = emit.multiply_add(f, before, builder.fmul(i, g))
        hidden = builder.fmul(o, emit.tanh(cell))
        emit.masked_store(cell, emit.data(kinds[5], args[5], args[7]), mask)
        emit.masked_store(hidden, emit.data(kinds[6], args[6], args[7]), mask)
        emit.masked_store(hidden, emit.data(kinds[8], args[8], args[9]), mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def lstm_functions_grad(
    typingctx: Any, z: Any, z_at: Any, units: Any, c_before: Any, before_at: Any, c: Any, grad_output: Any, at: Any,
    grad_h: Any, grad_c: Any, state_at: Any, grad_z: Any, left: Any,
) -> Any:  # fmt: skip
    """Walk back through :func:`lstm_functions`: from ``grad_output`` + ``grad_h`` and ``grad_c`` to ``grad_z``.

    ``grad_c`` becomes that of the step before. ``grad_z`` has the places of ``z``.
    """
    flat = types.intp
    signature = types.void(z, flat, flat, c_before, flat, c, grad_output, flat, grad_h, grad_c, flat, grad_z, flat)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        emit = NonlinearEmitter(context, builder, kinds[0].dtype)
        mask = emit.below(args[12], 0)
        one, add, mul = emit.number(1), builder.fadd, builder.fmul

        def less(x: Any, y: Any) -> Any:  # x - x y, as x (1 - y) without rounding twice
            return emit.multiply_add(builder.fneg(x), y, x)

        def places(array: int, at: int, count: int = 1) -> list[Any]:
            first = [emit.data(kinds[array], args[array], args[at])]
            for _ in range(count - 1):
                first.append(emit.at(first[-1], args[2]))
            return first

        i, f, g, o = (emit.masked_load(place, mask) for place in places(0, 1, 4))
        before, cell, above, from_h, from_c = (
            emit.masked_load(places(array, at)[0], mask) for array, at in ((3, 4), (5, 7), (6, 7), (8, 10), (9, 10))
        )
        tanh_c = emit.tanh(cell)
        grad_hidden = add(above, from_h)
        grad_cell = add(from_c, mul(mul(grad_hidden, o), builder.fsub(one, mul(tanh_c, tanh_c))))
        results = (
            mul(mul(grad_cell, g), less(i, i)),
            mul(mul(grad_cell, before), less(f, f)),
            mul(mul(grad_cell, i), builder.fsub(one, mul(g, g))),
            mul(mul(grad_hidden, tanh_c), less(o, o)),
        )
        for place, value in zip(places(11, 1, 4), results, strict=True):
            emit.masked_store(value, place, mask)
        emit.masked_store(mul(grad_cell, f), places(9, 10)[0], mask)
        return context.get_dummy_value()

    return signature, codegen


# ---------------------------------------------------------------------- the walks


@kernel
def pack_weights(
    part: int, parts: int, corners: Any, places: Any, columns: int, depth: int, panels: Any, panels_at: int
) -> None:
    """Write matrices that stand above one another, ``depth`` rows in all, as panels as wide as the micro-kernel's tile.

    Of each matrix, ``corners`` has the first element, and ``places`` the distances to the next column and to the next
    row, and how many rows there are.
    """
    if shared_out(part, parts):
        return
    width = VECTORS * lanes(panels)
    count = (columns + width - 1) // width
    for panel in range(count * part // parts, count * (part + 1) // parts):
        column, place = panel * width, panels_at + panel * width * depth
        for m in range(len(corners)):
            across, along, rows = places[m]
            pack(corners[m], column * across, across, along, min(width, columns - column), rows, panels, place, width)
            place += rows * width


@kernel
def lstm_walk(
    part: int, parts: int, x: Any, h: Any, c: Any, depth: int, mode: int, reverse: bool,
    buffer: Any, room: int, panels_at: int, gates: Any, cells: Any, output: Any,
) -> None:  # fmt: skip
    """Walk with a share of the batch through the sequence; ``x`` (T, N, 0) if its products are in ``gates`` already.

    In the ``buffer`` lie a table of states (rows, ``depth``) for each part, ``room`` elements apart, and the panels.
    """
    if shared_out(part, parts):
        return
    T, N, D = x.shape
    U = h.shape[1]
    step, width = lanes(buffer), VECTORS * lanes(buffer)
    stop = N * (part + 1) // parts
    for first in range(N * part // parts, stop, BLOCK):
        rows = min(BLOCK, stop - first)
        for row in range(rows):
            state = part * room + row * depth
            for u in range(U):
                buffer[state + D + u] = h[first + row, u]
            for k in range(D + U, depth):
                buffer[state + k] = 1
        for s in range(T):
            t = T - 1 - s if reverse else s
            if D:
                for row in range(rows):
                    state = part * room + row * depth
                    for d in range(D):
                        buffer[state + d] = x[t, first + row, d]
            start = t * N + first
            for column in range(0, 4 * U, width):
                for row in range(0, rows, ROWS):
                    multiply(
                        depth, buffer, part * room + row * depth, depth, buffer, panels_at + column * depth,
                        gates, (start + row) * 4 * U + column, 4 * U, rows - row, 4 * U - column, mode, buffer, 0,
                    )  # fmt: skip
            for row in range(rows):
                at, state = (start + row) * U, part * room + row * depth + D
                if s == 0:
                    for u in range(0, U, step):
                        before = (first + row) * U + u
                        lstm_functions(gates, 4 * at + u, U, c, before, cells, output, at + u, buffer, state + u, U - u)
                else:
                    before = at + N * U if reverse else at - N * U
                    for u in range(0, U, step):
                        lstm_functions(
                            gates, 4 * at + u, U, cells, before + u, cells, output, at + u, buffer, state + u, U - u
                        )


@kernel
def lstm_walk_back(
    part: int, parts: int, grad_output: Any, grad_h: Any, grad_c: Any, c0: Any, reverse: bool,
    panels: Any, gates: Any, cells: Any, grad_gates: Any,
) -> None:  # fmt: skip
    """Walk back; ``grad_h`` and ``grad_c`` (N, U) become those of the start. ``grad_gates`` has ROWS rows more."""
    if shared_out(part, parts):
        return
    T, N, U = cells.shape
    step, width = lanes(panels), VECTORS * lanes(panels)
    stop = N * (part + 1) // parts
    for first in range(N * part // parts, stop, BLOCK):
        rows = min(BLOCK, stop - first)
        for s in range(T):
            t = s if reverse else T - 1 - s
            start = t * N + first
            for row in range(rows):
                at, state = (start + row) * U, (first + row) * U
                if s == T - 1:
                    for u in range(0, U, step):
                        lstm_functions_grad(
                            gates, 4 * at + u, U, c0, state + u, cells, grad_output, at + u,
                            grad_h, grad_c, state + u, grad_gates, U - u,
                        )  # fmt: skip
                else:
                    before = at + N * U if reverse else at - N * U
                    for u in range(0, U, step):
                        lstm_functions_grad(
                            gates, 4 * at + u, U, cells, before + u, cells, grad_output, at + u,
                            grad_h, grad_c, state + u, grad_gates, U - u,
                        )  # fmt: skip
            for column in range(0, U, width):
                for row in range(0, rows, ROWS):
                    multiply(
                        4 * U, grad_gates, (start + row) * 4 * U, 4 * U, panels, column * 4 * U,
                        grad_h, (first + row) * U + column, U, rows - row, U - column, 0, panels, 0,
                    )  # fmt: skip


# ---------------------------------------------------------------------- as minidl.kernels has them


def pack_all(matrices: tuple[Any, ...], depth: int, panels: Any, panels_at: int) -> None:
    """Pack matrices of as many columns, ``depth`` rows in all, one above the other."""
    corners = tuple(matrix[:1, :1] for matrix in matrices)
    places = [(m.strides[1] // m.itemsize, m.strides[0] // m.itemsize, m.shape[0]) for m in matrices]
    columns = matrices[0].shape[1]
    run(pack_weights, parts_for(columns * depth, LEAST), corners, np.array(places), columns, depth, panels, panels_at)


def packed_size(depth: int, columns: int, dtype: Any) -> int:
    """Return how many elements the panels of a matrix (depth, columns) take, and a vector after them."""
    lanes = VECTOR_BYTES // dtype.itemsize
    width = VECTORS * lanes
    return -(-columns // width) * width * depth + lanes


def lstm(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias: Any, reverse: bool
) -> tuple[Any, Any, Any, Any, Any]:
    """Run a sequence through an LSTM layer: arguments and results as in the reference."""
    T, N, D = x.shape
    U, dtype = h.shape[1], x.dtype
    if T == 0 or N == 0 or U == 0:
        return reference.lstm(x, h, c, weight_ih, weight_hh, bias, reverse)
    parts = min(N, parts_for(8 * T * N * U * (D + U), LEAST))
    together = weight_ih.nbytes <= INPUT_BYTES
    stack: tuple[Any, ...]
    if together:
        gates = np.empty((T, N, 4 * U), dtype)
        stack = (weight_ih.T, weight_hh.T) if bias is None else (weight_ih.T, weight_hh.T, bias[None])
    else:
        flat = x.reshape(T * N, D)
        gates = matmul(flat, weight_ih.T) if bias is None else affine(flat, weight_ih.T, bias)
        gates = gates.reshape(T, N, 4 * U)
        x, stack = x[:, :, :0], (weight_hh.T,)
    depth = sum(len(matrix) for matrix in stack)
    room = -(-min(BLOCK, -(-N // parts) + ROWS) * depth // LINE) * LINE
    buffer = scratch(parts * room + packed_size(depth, 4 * U, dtype), dtype)
    pack_all(stack, depth, buffer, parts * room)
    cells, output = np.empty((T, N, U), dtype), np.empty((T, N, U), dtype)
    run(
        lstm_walk, parts, np.ascontiguousarray(x), np.ascontiguousarray(h), np.ascontiguousarray(c), depth,
        0 if together else ACCUMULATE, reverse, buffer, room, parts * room, gates, cells, output,
    )  # fmt: skip
    last = 0 if reverse else T - 1
    return output, output[last].copy(), cells[last].copy(), gates, cells


def lstm_grad(
    grad_output: Any, grad_h: Any, grad_c: Any, c0: Any, weight_hh: Any, gates: Any, cells: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    """Walk back through the sequence: arguments and results as in the reference."""
    T, N, U = cells.shape
    dtype = gates.dtype
    if T == 0 or N == 0 or U == 0:
        return reference.lstm_grad(grad_output, grad_h, grad_c, c0, weight_hh, gates, cells, reverse)
    parts = min(N, parts_for(8 * T * N * U * U, LEAST))
    panels = scratch(packed_size(4 * U, U, dtype), dtype)
    pack_all((weight_hh,), 4 * U, panels, 0)
    rows = np.empty((T * N + ROWS, 4 * U), dtype)  # tiles are read in full: beyond the last sequence too
    grad_h, grad_c = np.array(grad_h, order="C"), np.array(grad_c, order="C")
    run(
        lstm_walk_back, parts, np.ascontiguousarray(grad_output), grad_h, grad_c, np.ascontiguousarray(c0), reverse,
        panels, np.ascontiguousarray(gates), np.ascontiguousarray(cells), rows,
    )  # fmt: skip
    return rows[: T * N].reshape(T, N, 4 * U), grad_h, grad_c


def lstm_weight_grads(
    grad_gates: Any, x: Any, h0: Any, output: Any, reverse: bool, transposed: bool
) -> tuple[Any, Any, Any]:
    """Return the gradients of the weights and the bias: arguments and results as in the reference."""
    T, N, D = x.shape
    U = h0.shape[1]
    if T == 0 or N == 0 or U == 0:
        return reference.lstm_weight_grads(grad_gates, x, h0, output, reverse, transposed)
    states = np.empty((T, N, D + U + 1), x.dtype)  # what each step's product started from: one product for all
    states[:, :, :D] = x
    before = states[:, :, D : D + U]
    if reverse:
        before[-1], before[:-1] = h0, output[1:]
    else:
        before[0], before[1:] = h0, output[:-1]
    states[:, :, -1] = 1
    grads = matmul(states.reshape(T * N, -1).T, grad_gates.reshape(T * N, 4 * U))
    weights = grads[:D].T, grads[D:-1].T
    if not transposed:
        weights = np.ascontiguousarray(weights[0]), np.ascontiguousarray(weights[1])
    return *weights, grads[-1]
