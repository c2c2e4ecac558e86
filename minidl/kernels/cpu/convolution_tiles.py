r"""The innermost loops of convolution: LLVM vector code that Numba calls like functions.

Numba's own loop vectoriser will not keep a block of sums in registers; code emitted as vector operations does. The
loops hold a tile of ``rows`` x ``vectors`` registers, and add an outer product to it at each step::

                      x: `vectors` registers of neighbouring numbers
                     ┌────────────┬────────────┬────────────┐
                     └────────────┴────────────┴────────────┘
    a: one number  ┌─┐ ┌────────────┬────────────┬────────────┐
    a row, in all  │ │ │ sum 0,0    │ sum 0,1    │ sum 0,2    │      rows x vectors multiply-adds
    lanes of a     │ │ ├────────────┼────────────┼────────────┤      for rows + vectors loads
    register       │ │ │ sum 1,0    │ ...        │            │
                   └─┘ └────────────┴────────────┴────────────┘

They differ in where the numbers stand: the table of offsets tells :func:`filters_by_pixels` where the pixels of each
step begin (Dukhan's indirect convolution), and :func:`taps_by_filters` which pixels belong to each of its rows. In
:func:`taps_by_pixels`, for single filters, what stands to the left are registers of pixels as well.

References
----------
Van Zee, van de Geijn (2015), "BLIS: A Framework for Rapidly Instantiating BLAS Functionality".
Dukhan (2019), "The Indirect Convolution Algorithm".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.cpu.vectors import Emitter

__all__ = ["TileEmitter", "emitted", "filters_by_pixels", "taps_by_filters", "taps_by_pixels"]


def emitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an intrinsic, whose integers are constants where the call's are, callable from kernels."""
    made: Callable[..., Any] = intrinsic(prefer_literal=True)(function)
    return made


class TileEmitter(Emitter):
    """Writes the loop over steps that the picture above shows."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any, like: int) -> None:
        super().__init__(context, builder, signature.args[like].dtype)
        self.kinds, self.args = signature.args, args
        self.index = context.get_value_type(types.intp)

    def number(self, value: int) -> Any:
        return ir.Constant(self.index, value)

    def pointer(self, i: int) -> Any:
        """Return where argument i, an array or the address of one, has the element that argument i + 1 says."""
        if isinstance(self.kinds[i], types.Integer):
            return self.at(self.builder.inttoptr(self.args[i], self.scalar.as_pointer()), self.args[i + 1])
        return self.data(self.kinds[i], self.args[i], self.args[i + 1])

    def ahead(self, pointer: Any, count: int) -> Any:
        return self.at(pointer, self.number(count))

    def rows_at(self, pointer: Any, row: Any, count: int) -> list[Any]:
        """Return the addresses of ``count`` rows that are ``row`` apart."""
        return [self.at(pointer, self.builder.mul(row, self.number(i))) for i in range(count)]

    def at_least(self, least: Any, x: Any) -> Any:
        """Return ``least`` where x is below it, and x elsewhere: nan stays."""
        return self.builder.select(self.builder.fcmp_ordered("<", x, least), least, x)

    def sums(self, steps: Any, rows: int, vectors: int, numbers: Any) -> list[list[Any]]:
        """Emit the loop, return its registers; ``numbers(step)`` emits where a step's numbers and vectors stand."""
        builder = self.builder
        entry = builder.block
        loop, done = builder.append_basic_block("steps"), builder.append_basic_block("steps.done")
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(self.index)
        step.add_incoming(self.number(0), entry)
        before = [[builder.phi(self.vector) for _ in range(vectors)] for _ in range(rows)]
        of_row, line = numbers(step)
        loaded = [self.load(self.ahead(line, j * self.lanes)) for j in range(vectors)]
        after = []
        for i in range(rows):
            everywhere = self.splat(builder.load(of_row(i)))
            after.append([self.multiply_add(everywhere, loaded[j], before[i][j]) for j in range(vectors)])
        following = builder.add(step, self.number(1))
        step.add_incoming(following, loop)
        for i in range(rows):
            for j in range(vectors):
                before[i][j].add_incoming(self.zero, entry)
                before[i][j].add_incoming(after[i][j], loop)
        builder.cbranch(builder.icmp_signed("<", following, steps), loop, done)
        builder.position_at_end(done)
        return after


@emitted
def filters_by_pixels(
    typing: Any,
    rows: Any,
    vectors: Any,
    steps: Any,
    filters: Any,
    filters_at: Any,
    image: Any,
    image_at: Any,
    offsets: Any,
    offsets_at: Any,
    bias: Any,
    bias_at: Any,
    tile: Any,
    tile_at: Any,
    tile_row: Any,
    more: Any,
    least: Any,
) -> Any:
    """Apply ``rows`` filters to ``vectors`` registers of neighbouring pixels, into rows ``tile_row`` apart of ``tile``.

    ``tile[i, p] = (tile[i, p] if more else bias[i]) + sum_k filters[k * rows + i] * image[offsets[k] + p]``, for
    ``steps`` >= 1 of k; each array from its ``_at`` on. Sums below ``least`` become ``least``: 0 rectifies them,
    -inf leaves them.
    """
    index = types.intp
    signature = types.void(
        rows,
        vectors,
        index,
        filters,
        index,
        image,
        index,
        offsets,
        index,
        bias,
        index,
        tile,
        index,
        index,
        types.boolean,
        image.dtype,
    )
    height, width = rows.literal_value, vectors.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=3)
        filters, image, offsets, bias, tile = (emit.pointer(i) for i in (3, 5, 7, 9, 11))

        def numbers(step: Any) -> Any:
            column = emit.at(filters, builder.mul(step, emit.number(height)))
            return lambda i: emit.ahead(column, i), emit.at(image, builder.load(emit.at(offsets, step)))

        sums = emit.sums(args[2], height, width, numbers)
        lines = [
            [emit.ahead(row, j * emit.lanes) for j in range(width)] for row in emit.rows_at(tile, args[13], height)
        ]
        least = emit.splat(args[15])
        with builder.if_else(args[14]) as (adding, beginning):
            with adding:
                for i in range(height):
                    for j in range(width):
                        total = builder.fadd(emit.load(lines[i][j]), sums[i][j])
                        emit.store(emit.at_least(least, total), lines[i][j])
            with beginning:
                for i in range(height):
                    first = emit.splat(builder.load(emit.ahead(bias, i)))
                    for j in range(width):
                        emit.store(emit.at_least(least, builder.fadd(first, sums[i][j])), lines[i][j])
        return context.get_dummy_value()

    return signature, codegen


@emitted
def taps_by_filters(
    typing: Any,
    rows: Any,
    vectors: Any,
    neighbours: Any,
    pixels: Any,
    positions: Any,
    positions_at: Any,
    image: Any,
    image_at: Any,
    offsets: Any,
    offsets_at: Any,
    grad: Any,
    grad_at: Any,
    grad_row: Any,
    tile: Any,
    tile_at: Any,
    tile_row: Any,
) -> Any:
    """Correlate ``rows`` cells of the windows with ``vectors`` registers of filters, over ``pixels`` >= 1 windows.

    ``tile[i * tile_row + k] += sum_p image[offsets[i] + positions[p]] * grad[p * grad_row + k]``; each array from its
    ``_at`` on. Always ``neighbours`` cells stand beside each other, and share an address: there are not enough
    registers for one a row (with 25 rows, 5 instead of 1 neighbours are worth a factor of two).
    """
    index = types.intp
    signature = types.void(
        rows,
        vectors,
        neighbours,
        index,
        positions,
        index,
        image,
        index,
        offsets,
        index,
        grad,
        index,
        index,
        tile,
        index,
        index,
    )
    height, width, run = rows.literal_value, vectors.literal_value, neighbours.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=6)
        positions, image, offsets, grad, tile = (emit.pointer(i) for i in (4, 6, 8, 10, 13))
        firsts = [emit.at(image, builder.load(emit.ahead(offsets, i))) for i in range(0, height, run)]

        def numbers(step: Any) -> Any:
            position = builder.load(emit.at(positions, step))
            cells = [emit.at(first, position) for first in firsts]
            return lambda i: emit.ahead(cells[i // run], i % run), emit.at(grad, builder.mul(step, args[12]))

        sums = emit.sums(args[3], height, width, numbers)
        for i, row in enumerate(emit.rows_at(tile, args[15], height)):
            for j in range(width):
                place = emit.ahead(row, j * emit.lanes)
                emit.store(builder.fadd(emit.load(place), sums[i][j]), place)
        return context.get_dummy_value()

    return signature, codegen


@emitted
def taps_by_pixels(
    typing: Any,
    rows: Any,
    steps: Any,
    table: Any,
    image: Any,
    image_at: Any,
    offsets: Any,
    offsets_at: Any,
    grad: Any,
    grad_at: Any,
    sums: Any,
    sums_at: Any,
) -> Any:
    """Correlate ``rows`` cells of the windows with one filter's gradient, a register of neighbouring pixels at a time.

    ``sums[i, lane] += sum image[offsets[i] + position + lane] * grad[pixel + lane]``, over ``steps`` >= 1 rows
    (position, pixel, count) of ``table`` and the lanes below ``count``; ``grad`` is an address, and each array counts
    from its ``_at`` on.
    """
    index = types.intp
    signature = types.void(rows, index, table, image, index, offsets, index, index, index, sums, index)
    height = rows.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=3)
        table = emit.data(signature.args[2], args[2], emit.number(0))
        image, offsets, grad, sums = (emit.pointer(i) for i in (3, 5, 7, 9))
        cells = [emit.at(image, builder.load(emit.ahead(offsets, i))) for i in range(height)]
        places = [emit.ahead(sums, i * emit.lanes) for i in range(height)]
        entry = builder.block
        loop, done = builder.append_basic_block("steps"), builder.append_basic_block("steps.done")
        before = [emit.load(place) for place in places]
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(emit.index)
        step.add_incoming(emit.number(0), entry)
        totals = [builder.phi(emit.vector) for _ in range(height)]
        line = emit.at(table, builder.mul(step, emit.number(3)))
        position, pixel, count = (builder.load(emit.ahead(line, i)) for i in range(3))
        mask = emit.below(count, 0)  # what lies behind a row may be nan
        factor = emit.masked_load(emit.at(grad, pixel), mask)
        for cell, first, total in zip(cells, before, totals, strict=True):
            after = emit.multiply_add(emit.masked_load(emit.at(cell, position), mask), factor, total)
            total.add_incoming(first, entry)
            total.add_incoming(after, loop)
        following = builder.add(step, emit.number(1))
        step.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, args[1]), loop, done)
        builder.position_at_end(done)
        for total, place in zip(totals, places, strict=True):
            emit.store(total.incomings[1][0], place)
        return context.get_dummy_value()

    return signature, codegen
