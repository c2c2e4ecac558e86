"""Copies of short rows and transpositions of small squares: LLVM vector code that Numba calls like functions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from minidl.kernels.cpu.convolution_tiles import TileEmitter, emitted
from minidl.kernels.cpu.vectors import INT32

__all__ = ["copy_number", "copy_rows", "transpose_rows"]


@emitted
def copy_rows(
    typing: Any,
    target: Any,
    target_at: Any,
    target_row: Any,
    source: Any,
    source_at: Any,
    source_row: Any,
    rows: Any,
    count: Any,
) -> Any:
    """Copy ``rows`` rows of ``count`` numbers, ``target_row`` and ``source_row`` apart, from the ``_at`` on.

    The source is an array of the target's type, or the address of one, as an integer.

    Numba copies the ends of short rows one number at a time; here an end is one masked load and store.
    """
    index = types.intp
    source = source if isinstance(source, types.Array) else index
    signature = types.void(target, index, index, source, index, index, index, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=0)
        target, source, (rows, count) = emit.pointer(0), emit.pointer(3), args[6:]
        step = emit.number(emit.lanes)
        rest = builder.and_(count, emit.number(emit.lanes - 1))
        whole = builder.sub(count, rest)
        mask = emit.below(rest, 0)
        some = builder.icmp_signed("!=", rest, emit.number(0))
        with cgutils.for_range(builder, rows) as row:
            to = emit.at(target, builder.mul(row.index, args[2]))
            come = emit.at(source, builder.mul(row.index, args[5]))
            with cgutils.for_range_slice(builder, emit.number(0), whole, step) as (at, _):
                emit.store(emit.load(emit.at(come, at)), emit.at(to, at))
            with builder.if_then(some):
                emit.masked_store(emit.masked_load(emit.at(come, whole), mask), emit.at(to, whole), mask)
        return context.get_dummy_value()

    return signature, codegen


@emitted
def copy_number(typing: Any, target: Any, target_at: Any, source: Any, source_at: Any) -> Any:
    """``target[target_at] = source[source_at]``, where the source is an address."""
    signature = types.void(target, types.intp, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=0)
        builder.store(builder.load(emit.pointer(2)), emit.pointer(0))
        return context.get_dummy_value()

    return signature, codegen


@emitted
def transpose_rows(
    typing: Any,
    target: Any,
    target_at: Any,
    target_row: Any,
    width: Any,
    source: Any,
    source_at: Any,
    source_row: Any,
    rows: Any,
    count: Any,
) -> Any:
    """``target[j, i] = source[i, j]`` for i < ``rows`` and j < ``count``, and anything for ``rows`` <= i < ``width``.

    The three are 1 to a register's lanes; rows are ``source_row`` and ``target_row`` apart, from the ``_at`` on. The
    source is an array of the target's type, or the address of one, as an integer. Nothing else is touched.

    Interleaving row i with row i + half, for all i, log2(lanes) times over, transposes. Where a square has fewer rows,
    the first one is read in place of each that it lacks, and written last over those that nobody wants: that takes no
    branches, and two masks in place of one a row.
    """
    index = types.intp
    source = source if isinstance(source, types.Array) else index
    signature = types.void(target, index, index, index, source, index, index, index, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=0)
        lanes, half = emit.lanes, emit.lanes // 2
        width, source_row, rows, count = args[3], args[6], args[7], args[8]

        def places(pointer: Any, row: Any, lines: Any) -> list[Any]:
            """Return the addresses of the first ``lines`` rows, and that of the first for those that follow."""
            offsets = [builder.mul(row, emit.number(i)) for i in range(lanes)]
            there = [builder.icmp_signed(">", lines, emit.number(i)) for i in range(lanes)]
            none = emit.number(0)
            return [emit.at(pointer, builder.select(*choice, none)) for choice in zip(there, offsets, strict=True)]

        mask = emit.below(count, 0)
        vectors = [emit.masked_load(place, mask) for place in places(emit.pointer(4), source_row, rows)]
        kind = ir.VectorType(INT32, lanes)
        low = ir.Constant(kind, [i // 2 + i % 2 * lanes for i in range(lanes)])
        high = ir.Constant(kind, [half + i // 2 + i % 2 * lanes for i in range(lanes)])
        for _ in range(lanes.bit_length() - 1):
            pairs = [(vectors[i], vectors[i + half]) for i in range(half)]
            vectors = [builder.shuffle_vector(a, b, which) for a, b in pairs for which in (low, high)]
        mask = emit.below(width, 0)
        for vector, place in reversed(list(zip(vectors, places(emit.pointer(0), args[2], count), strict=True))):
            emit.masked_store(vector, place, mask)
        return context.get_dummy_value()

    return signature, codegen
