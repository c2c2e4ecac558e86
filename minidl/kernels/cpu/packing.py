r"""Panels: strips of a matrix, copied so that the micro-kernel reads them from front to back.

A panel is ``width`` rows (of the left factor) or columns (of the right one) wide and ``kc`` steps long, step by step in
memory; where the matrix ends before the panel does, zeros stand::

    matrix, steps across                            panel
    ┌ a0 a1 a2 ... ┐
    │ b0 b1 b2 ... │   ->   a0 b0 c0 0  a1 b1 c1 0  a2 b2 c2 0 ...     (width 4, of which 3 exist)
    └ c0 c1 c2 ... ┘

A matrix is given by any array that begins where it does (so that kernels are compiled once, not for each memory
layout), and the distances, in elements, to the next step and to the next across the panel; they may be negative or 0.
Two cases are fast: where the panel's own elements are neighbours, rows of it are copied as vectors; where its steps
are, a square of as many rows and columns as a vector has lanes is transposed in registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from minidl.kernels.cpu.compiler import helper, intrinsic
from minidl.kernels.cpu.vectors import Emitter, lanes

__all__ = ["element", "pack"]


@intrinsic
def element(typingctx: Any, matrix: Any, index: Any) -> Any:
    """Return the element that lies ``index`` after the first."""
    signature = matrix.dtype(matrix, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(context, builder, signature.args[0].dtype)
        return builder.load(emit.data(signature.args[0], *args))

    return signature, codegen


@intrinsic
def copy_vector(typingctx: Any, matrix: Any, at: Any, count: Any, panel: Any, panel_at: Any) -> Any:
    """Copy ``count`` neighbours, at most a vector of them, and zeros for the rest of the vector."""
    signature = types.void(matrix, types.intp, types.intp, panel, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        matrix, at, count, panel, panel_at = args
        emit = Emitter(context, builder, signature.args[3].dtype)
        vector = emit.masked_load(emit.data(signature.args[0], matrix, at), emit.below(count, 0))
        emit.store(vector, emit.data(signature.args[3], panel, panel_at))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transpose(typingctx: Any, matrix: Any, at: Any, row: Any, count: Any, panel: Any, panel_at: Any, step: Any) -> Any:
    """Transpose a square of L x L elements, L the lanes, of which the first ``count`` rows exist, and the rest is 0.

    Eklundh (1972): swap the off-diagonal halves of blocks of 2, then of 4, ... rows; log2(L) rounds in registers.
    """
    signature = types.void(matrix, types.intp, types.intp, types.intp, panel, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        matrix, at, row, count, panel, panel_at, step = args
        emit = Emitter(context, builder, signature.args[4].dtype)
        number = lambda value: ir.Constant(row.type, value)  # noqa: E731
        source, target = emit.data(signature.args[0], matrix, at), emit.data(signature.args[4], panel, panel_at)
        rows = []
        for i in range(emit.lanes):
            exists = builder.icmp_signed("<", number(i), count)  # one that doesn't is read, in vain, where the first is
            place = emit.at(source, builder.select(exists, builder.mul(row, number(i)), number(0)))
            rows.append(builder.select(exists, emit.load(place), emit.zero))
        for i, column in enumerate(_transposed(builder, rows)):
            emit.store(column, emit.at(target, builder.mul(step, number(i))))
        return context.get_dummy_value()

    return signature, codegen


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of vectors."""
    count, kind = len(rows), ir.VectorType(ir.IntType(32), len(rows))
    half = 1
    while half < count:
        # lane l of the upper row: its own where l lies in a left half, else the lower row's, half a block to the left
        upper = ir.Constant(kind, [lane if not lane & half else count + lane - half for lane in range(count)])
        lower = ir.Constant(kind, [lane + half if not lane & half else count + lane for lane in range(count)])
        for i in range(count):
            if not i & half:
                pair = rows[i], rows[i + half]
                rows[i], rows[i + half] = (builder.shuffle_vector(*pair, mask) for mask in (upper, lower))
        half *= 2
    return rows


@helper
def pack(
    matrix: Any, at: int, across: int, along: int, count: int, kc: int, panel: Any, panel_at: int, width: int
) -> None:
    """Write a panel: ``count`` of ``width`` rows or columns exist.

    Parameters
    ----------
    matrix, at : array and int
        Where the matrix begins, and the panel's first element from there.
    across, along : int
        The distances, in elements, from one of the panel's rows or columns to the next, and from step to step.
    panel : array
        Room for ``kc * width`` elements from ``panel_at`` on, and for a vector more.
    """
    L = lanes(panel)
    k = 0
    # a vector may reach beyond a step of the panel: what it leaves there, the next step or panel overwrites
    if across == 1:
        for k in range(kc):
            for j in range(0, width, L):
                copy_vector(matrix, at + k * along + j, min(count - j, L), panel, panel_at + k * width + j)
        return
    if along == 1:
        squares = kc // L * L
        for k in range(0, squares, L):
            for j in range((width - 1) // L * L, -1, -L):  # from the right: see above
                rest = max(0, min(count - j, L))
                first = at + k + (j * across if rest else 0)
                transpose(matrix, first, across, rest, panel, panel_at + k * width + j, width)
        k = squares
    for step in range(k, kc):
        for j in range(width):
            panel[panel_at + step * width + j] = 0
            if j < count:
                panel[panel_at + step * width + j] = element(matrix, at + j * across + step * along)
