"""The largest of each 2 x 2 pixels, for a vector of windows at a time: the pooling that most networks do.

Two rows of an image are read, a register's worth and the next one, and taken apart into even and odd pixels; then
window ``j`` is lane ``j`` of four registers, and three comparisons find its largest pixel and where it stands::

    upper row   a0 b0 a1 b1 a2 b2 ...          a  a0 a1 a2 ...  at  position + 2j
    lower row   c0 d0 c1 d1 c2 d2 ...   --->   b  b0 b1 b2 ...      position + 2j + 1
                                               c  c0 c1 c2 ...      position + 2j     + W
                                               d  d0 d1 d2 ...      position + 2j + 1 + W

Rows of 13 windows and the like are less than a register, so every load and store has a mask.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vectors import INT32, Emitter

__all__ = ["largest_of_pairs"]


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
