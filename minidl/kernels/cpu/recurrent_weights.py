r"""The gradients of a recurrent layer's weights and input: products over all steps of all sequences, T * N of them.

Each column of the gates' gradients meets each feature of the input and each unit of the state before::

                            x (T*N, D)      states before (T*N, U)
                          ┌────────────┐  ┌──────────────────────┐
    gates' gradients^T    │            │  │                      │    in blocks of steps, packed for the
      ┌──────────────┐    └────────────┘  └──────────────────────┘    micro-kernel, and kept in L2
      │              │    ┌────────────┐  ┌──────────────────────┐
      │    (G, T*N)  │    │ grad W_ih  │  │ grad W_hh            │    and the sum of a row is the bias's
      └──────────────┘    └────────────┘  └──────────────────────┘

A general product would pack the gradients, by far the largest of the three, once for each of the others, and column by
column, from memory that lies apart; here they are packed once, in the order in which they lie in memory. For the
input's gradient, which has few columns, they are not packed at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from minidl.kernels.cpu.compiler import VECTOR_BYTES, helper, intrinsic, kernel
from minidl.kernels.cpu.gemm import _block as block_size
from minidl.kernels.cpu.gemm import _corner as corner
from minidl.kernels.cpu.gemm import matmul
from minidl.kernels.cpu.memory import scratch
from minidl.kernels.cpu.packing import copy_vector, pack
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.vectors import ACCUMULATE, ROWS, VECTORS, Emitter, lanes, microkernel
from minidl.kernels.reference import recurrent as reference

__all__ = ["recurrent_input_grad", "weight_grads"]

STEPS = 320  # of the long sum: the packed rows of x and states take 200 kB where there are 160 columns of float32
INPUT_BYTES = 2**18  # of weight_ih, up to which it stays in a core's cache
GROUP = 16 * ROWS  # columns of the gates that are packed together
LEAST = 2e6  # floating-point operations that are worth a thread

multiply, multiply_rows = microkernel(ROWS, VECTORS), microkernel(ROWS, VECTORS, a="rows")


@intrinsic
def add_vector(typingctx: Any, total: Any, total_at: Any, matrix: Any, at: Any, count: Any) -> Any:
    """Add ``count`` neighbours, at most a vector of them, to ``total``."""
    signature = types.void(total, types.intp, matrix, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        emit = Emitter(context, builder, kinds[0].dtype)
        mask, place = emit.below(args[4], 0), emit.data(kinds[0], args[0], args[1])
        more = emit.masked_load(emit.data(kinds[2], args[2], args[3]), mask)
        emit.masked_store(builder.fadd(emit.masked_load(place, mask), more), place, mask)
        return context.get_dummy_value()

    return signature, codegen


@helper
def pack_steps(
    matrix: Any, at: int, along: int, columns: int, steps: int, width: int, panels: Any, panels_at: int
) -> None:
    """Write ``columns`` columns of some rows of a matrix as panels ``width`` wide, row by row, a vector apart."""
    L = lanes(panels)
    for k in range(steps):
        place = panels_at + k * width
        for column in range(0, columns, width):
            for j in range(0, width, L):
                # a vector may reach beyond the panel's row: what it leaves there, the next row overwrites
                count = max(0, min(min(columns - column, width) - j, L))
                copy_vector(matrix, at + k * along + (column + j if count else 0), count, panels, place + j)
            place += steps * width + L


@helper
def panels_size(columns: int, width: int, steps: int, lane: int) -> int:
    """Return how many elements the panels of :func:`pack_steps` take."""
    return (columns + width - 1) // width * (steps * width + lane)


@kernel
def weight_grads_share(
    part: int, parts: int, grads: Any, x: Any, before: Any, shift: int, of_x: Any, of_h: Any,
    bias: Any, buffer: Any, room: int, most: int,
) -> None:  # fmt: skip
    """Compute the gradients of this part's columns of the gates."""
    if shared_out(part, parts):
        return
    rows, G = grads.shape
    D, U = of_x.shape[1], of_h.shape[1]
    L = lanes(buffer)
    across = VECTORS * L
    x_at = part * room
    h_at = x_at + panels_size(D, across, most, L)
    a_at = h_at + panels_size(U, across, most, L)
    bounds = (0, shift, len(of_x), G)  # columns that only x has part in, both, only the states
    for k0 in range(0, rows, most):
        steps = min(most, rows - k0)
        mode = ACCUMULATE if k0 else 0
        apart = steps * across + L
        pack_steps(x, k0 * D, D, D, steps, across, buffer, x_at)
        pack_steps(before, k0 * U, U, U, steps, across, buffer, h_at)
        for side in range(3):
            first, stop = bounds[side], bounds[side + 1]
            tiles = (stop - first + ROWS - 1) // ROWS
            left, right = first + tiles * part // parts * ROWS, min(stop, first + tiles * (part + 1) // parts * ROWS)
            for g0 in range(left, right, GROUP):
                count = min(GROUP, right - g0)
                pack_steps(grads, k0 * G + g0, G, count, steps, ROWS, buffer, a_at)
                for c in range(g0, g0 + count if k0 == 0 else g0):
                    bias[c] = 0
                for k in range(k0, k0 + steps):
                    for c in range(0, count, L):
                        add_vector(bias, g0 + c, grads, k * G + g0 + c, count - c)
                for i in range(0, count, ROWS):
                    panel, g = a_at + i // ROWS * (steps * ROWS + L), g0 + i
                    for j in range((D + across - 1) // across if side < 2 else 0):
                        multiply(
                            steps, buffer, panel, buffer, x_at + j * apart, of_x, g * D + j * across, D,
                            right - g, D - j * across, mode, buffer, 0,
                        )  # fmt: skip
                    for j in range((U + across - 1) // across if side else 0):
                        multiply(
                            steps, buffer, panel, buffer, h_at + j * apart, of_h, (g - shift) * U + j * across, U,
                            right - g, U - j * across, mode, buffer, 0,
                        )  # fmt: skip


def weight_grads(grads: Any, x: Any, before: Any, shift: int) -> tuple[Any, Any, Any]:
    """Return the gradients of both weights, in the order of the gates, and the sums of the gates' gradients.

    Parameters
    ----------
    grads : C-contiguous array (T * N, G)
    x : C-contiguous array (T * N, D)
    before : C-contiguous array (T * N, U)
    shift : int
        How many columns of the gates only x has part in, and how many only the states.

    Returns
    -------
    array (G - shift, D), (G - shift, U) and (G,)
    """
    (rows, G), D, U, dtype = grads.shape, x.shape[1], before.shape[1], grads.dtype
    L = VECTOR_BYTES // dtype.itemsize
    of_x, of_h, sums = np.empty((G - shift, D), dtype), np.empty((G - shift, U), dtype), np.empty(G, dtype)
    parts = parts_for(2 * rows * (G - shift) * (D + U), LEAST)
    most = block_size(rows, STEPS, 1)
    room = sum(
        panels_size.py_func(columns, width, most, L)
        for columns, width in ((D, VECTORS * L), (U, VECTORS * L), (GROUP, ROWS))
    )
    buffer = scratch(parts * room, dtype)
    run(
        weight_grads_share, parts, grads, corner(x), corner(before), shift, of_x, of_h, sums, buffer, room, most
    )  # fmt: skip
    return of_x, of_h, sums


@kernel
def input_grad_share(part: int, parts: int, grads: Any, width: int, panels: Any, out: Any) -> None:
    """Compute this part's rows; the last tile reaches back over rows of the one before, which it computes again."""
    if shared_out(part, parts):
        return
    (rows, D), G, across = out.shape, grads.shape[1], VECTORS * lanes(panels)
    tiles = (rows + ROWS - 1) // ROWS
    for tile in range(tiles * part // parts, tiles * (part + 1) // parts):
        row = min(tile * ROWS, rows - ROWS)
        for column in range(0, D, across):
            multiply_rows(
                width, grads, row * G, G, panels, column * width, out, row * D + column, D, ROWS, D - column, 0,
                panels, 0,
            )  # fmt: skip


def recurrent_input_grad(grad_gates: Any, weight_ih: Any, cell: str) -> Any:
    """Return the gradient of the input: arguments and result as in the reference."""
    T, N, G = grad_gates.shape
    (width, D), dtype = weight_ih.shape, grad_gates.dtype
    if T * N < ROWS or weight_ih.nbytes > INPUT_BYTES or not D:
        weight = reference.rolled(weight_ih, G - width)
        return matmul(grad_gates.reshape(T * N, G)[:, :width], weight).reshape(T, N, D)
    weight = np.ascontiguousarray(reference.rolled(weight_ih, G - width))
    across = VECTORS * VECTOR_BYTES // dtype.itemsize
    panels = scratch(-(-D // across) * across * width + across, dtype)
    run(pack_weight, 1, corner(weight), width, D, panels)
    out = np.empty((T, N, D), dtype)
    parts = parts_for(2 * T * N * width * D, LEAST)
    grads = np.ascontiguousarray(grad_gates).reshape(T * N, G)
    run(input_grad_share, parts, grads, width, panels, out.reshape(T * N, D))
    return out


@kernel
def pack_weight(part: int, parts: int, weight: Any, rows: int, columns: int, panels: Any) -> None:
    """Write a contiguous matrix as panels."""
    if shared_out(part, parts):
        return
    across = VECTORS * lanes(panels)
    for column in range(0, columns, across):
        pack(
            weight, column, 1, columns, min(across, columns - column), rows, panels, column * rows, across
        )  # fmt: skip
