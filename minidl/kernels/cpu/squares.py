"""The largest of each 2 x 2 pixels, for a vector of windows at a time: the pooling that most networks do.

Two rows of an image are read, a register's worth and the next one, and taken apart into even and odd pixels; then
window ``j`` is lane ``j`` of four registers, and three comparisons find its largest pixel and where it stands::

    upper row   a0 b0 a1 b1 a2 b2 ...          a  a0 a1 a2 ...  at  position + 2j
    lower row   c0 d0 c1 d1 c2 d2 ...   --->   b  b0 b1 b2 ...      position + 2j + 1
                                               c  c0 c1 c2 ...      position + 2j     + W
                                               d  d0 d1 d2 ...      position + 2j + 1 + W

The gradient goes the same way back: four registers, of which each window's gradient is in one and 0 in three, are put
together into two rows, so what nobody chose is written with the rest and no pass of zeros comes first.

Rows of 13 windows and the like are less than a register, so every load and store has a mask.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vectors import INT32, Emitter

__all__ = ["largest_of_pairs", "spread_pairs"]


@intrinsic
def largest_of_pairs(
    typingctx: Any, x: Any, x_at: Any, width: Any, values: Any, indices: Any, y_at: Any, position: Any, count: Any
) -> Any:
    """Pool the first vector of ``count`` windows; a larger pixel replaces, and NaN does, a smaller or equal one.

    Parameters
    ----------
    x : C-contiguous array
        Its element ``x_at`` is the upper left pixel of the first window; rows are ``width`` apart.
    values : C-contiguous array of the type of ``x``
        Written from element ``y_at`` on, as are
    indices : C-contiguous array of int32
    position : int
        The index of the first window's upper left pixel.
    """
    if not all(array.layout == "C" for array in (x, values, indices)) or indices.dtype != types.int32:
        raise TypeError("largest_of_pairs: expected C-contiguous arrays, indices of int32")
    number = types.intp
    signature = types.void(x, number, number, values, indices, number, number, number)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, x_at, width, y, where, y_at, position, count = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        lanes = emit.lanes
        constant = lambda value: ir.Constant(count.type, value)  # noqa: E731
        whole = ir.VectorType(INT32, lanes)
        whole_constant = lambda values: ir.Constant(whole, list(values))  # noqa: E731

        pixels = builder.mul(count, constant(2))
        masks = [emit.below(pixels, 0), emit.below(pixels, lanes)]
        upper = emit.data(signature.args[0], source, x_at)
        quarters = []  # a, b, c, d
        for row in (upper, emit.at(upper, width)):
            halves = [emit.masked_load(emit.at(row, constant(k * lanes)), masks[k]) for k in (0, 1)]
            for odd in (0, 1):
                chosen = whole_constant(range(odd, 2 * lanes, 2))
                quarters.append(builder.shuffle_vector(halves[0], halves[1], chosen))

        largest, cell = quarters[0], whole_constant([0] * lanes)
        below = emit.splat(builder.trunc(width, INT32))
        right = whole_constant([1] * lanes)
        for pixel, offset in zip(quarters[1:], (right, below, builder.add(below, right)), strict=True):
            larger = builder.fcmp_ordered(">", pixel, largest)
            better = builder.or_(larger, builder.fcmp_unordered("uno", pixel, pixel))
            largest = builder.select(better, pixel, largest)
            cell = builder.select(better, offset, cell)
        first = emit.splat(builder.trunc(position, INT32))
        index = builder.add(builder.add(first, whole_constant(range(0, 2 * lanes, 2))), cell)

        mask = emit.below(count, 0)
        emit.masked_store(largest, emit.data(signature.args[3], y, y_at), mask)
        place = builder.bitcast(emit.data(signature.args[4], where, y_at), whole.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [whole, whole.as_pointer(), INT32, emit.mask])
        store = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{lanes}i32.p0")
        builder.call(store, [index, place, ir.Constant(INT32, 4), mask])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def spread_pairs(
    typingctx: Any, grad: Any, indices: Any, at: Any, position: Any, count: Any, out: Any, out_at: Any, width: Any
) -> Any:
    """Write the pixels of the first vector of ``count`` windows: each one's gradient where its index says, 0 elsewhere.

    Parameters
    ----------
    grad, indices : C-contiguous arrays, the second of int32
        Read from element ``at`` on.
    position : int
        The index of the first window's upper left pixel.
    out : C-contiguous array of the type of ``grad``
        Its element ``out_at`` is that pixel; rows are ``width`` apart.

    Returns
    -------
    bool
        Whether each index was one of the window's own four pixels.
    """
    if not all(array.layout == "C" for array in (grad, indices, out)) or indices.dtype != types.int32:
        raise TypeError("spread_pairs: expected C-contiguous arrays, indices of int32")
    number = types.intp
    signature = types.boolean(grad, indices, number, number, number, out, number, number)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        grad, where, at, position, count, out, out_at, width = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        lanes = emit.lanes
        constant = lambda value: ir.Constant(count.type, value)  # noqa: E731
        whole = ir.VectorType(INT32, lanes)
        whole_constant = lambda values: ir.Constant(whole, list(values))  # noqa: E731

        mask = emit.below(count, 0)
        share = emit.masked_load(emit.data(signature.args[0], grad, at), mask)
        share = builder.fadd(share, emit.zero)  # as a sum with zeros: -0 becomes 0
        place = builder.bitcast(emit.data(signature.args[1], where, at), whole.as_pointer())
        kind = ir.FunctionType(whole, [whole.as_pointer(), INT32, emit.mask, whole])
        load = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{lanes}i32.p0")
        index = builder.call(load, [place, ir.Constant(INT32, 4), mask, ir.Constant(whole, None)])
        first = emit.splat(builder.trunc(position, INT32))
        cell = builder.sub(builder.sub(index, first), whole_constant(range(0, 2 * lanes, 2)))

        below = emit.splat(builder.trunc(width, INT32))
        right = whole_constant([1] * lanes)
        known = builder.not_(mask)
        target = emit.data(signature.args[5], out, out_at)
        pixels = builder.mul(count, constant(2))
        for row, offset in ((target, ir.Constant(whole, None)), (emit.at(target, width), below)):
            pair = []
            for column in (offset, builder.add(offset, right)):
                chosen = builder.icmp_signed("==", cell, column)
                known = builder.or_(known, chosen)
                pair.append(builder.select(chosen, share, emit.zero))
            for k in (0, 1):
                chosen = whole_constant([(k * lanes + i) // 2 + i % 2 * lanes for i in range(lanes)])
                half = builder.shuffle_vector(*pair, chosen)
                emit.masked_store(half, emit.at(row, constant(k * lanes)), emit.below(pixels, k * lanes))
        bits = ir.IntType(lanes)
        return builder.icmp_unsigned("==", builder.bitcast(known, bits), ir.Constant(bits, 2**lanes - 1))

    return signature, codegen
