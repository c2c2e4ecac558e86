r"""Winograd's three transforms, and the product between them: LLVM vector code, sixteen channels at a time.

A tile of 4 x 4 pixels of a 3 x 3 convolution is a product of two polynomials in each direction. They are evaluated at
six points, multiplied there number by number, and interpolated: 36 multiplications in place of 144,

.. math:: Y = A^T \left[ (G \, g \, G^T) \odot (B^T d \, B) \right] A

for the filter g (3 x 3), the 6 x 6 pixels d that the tile sees, and its output Y (4 x 4). The points are 0, a, -a, b,
-b and infinity, and what a and -a share is computed once:

.. math::
    B^T d:\quad & a^2 b^2 d_0 - (a^2 + b^2) d_2 + d_4, \quad
        (d_4 - b^2 d_2) \pm a (d_3 - b^2 d_1), \quad (d_4 - a^2 d_2) \pm b (d_3 - a^2 d_1), \quad
        a^2 b^2 d_1 - (a^2 + b^2) d_3 + d_5 \\
    G g:\quad & \frac{g_0}{a^2 b^2}, \quad \frac{g_0 + a^2 g_2 \pm a g_1}{2 a^2 (a^2 - b^2)}, \quad
        \frac{g_0 + b^2 g_2 \pm b g_1}{2 b^2 (b^2 - a^2)}, \quad g_2 \\
    A^T m:\quad & m_0 + s_a + s_b, \quad a t_a + b t_b, \quad a^2 s_a + b^2 s_b, \quad a^3 t_a + b^3 t_b + m_5, \quad
        s, t = m_{+} \pm m_{-}

The gradient for the filters is the adjoint of this: :math:`g' = G^T [(A \, Y' A^T) \odot (B^T d \, B)] \, G`.

Lavin and Gray take a, b = 1, 2. With 5/8 and 3/2, all of whose coefficients but the filters' are exact, too, rounding
errors are half as large: about twice those of adding up the nine products of each channel one after the other.

References
----------
Lavin, Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
Barabasz, Anderson, Soodhalter, Gregg (2020), "Error Analysis and Improving the Accuracy of Winograd Convolution for
Deep Neural Networks".
"""

from __future__ import annotations

import itertools
from typing import Any

from llvmlite import ir
from numba import types

from minidl.kernels.cpu.convolution_tiles import TileEmitter, emitted

__all__ = [
    "CELLS",
    "INPUT",
    "OUTPUT",
    "any_nonzero",
    "filter_to_points",
    "grad_to_points",
    "points_to_filter",
    "points_to_output",
    "points_to_points",
    "tile_to_points",
]

#: Pixels of a tile's side that go in and that come out, and points altogether.
INPUT, OUTPUT, CELLS = 6, 4, 36
A, B = 5 / 8, 3 / 2


class TransformEmitter(TileEmitter):
    """Writes the three transforms along one axis; each takes vectors and returns vectors."""

    def times(self, factor: float, x: Any) -> Any:
        return self.builder.fmul(self.constant(factor), x)

    def plus(self, x: Any, factor: float, y: Any) -> Any:
        """Return ``x + factor * y``."""
        return self.multiply_add(self.constant(factor), y, x)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [value] * self.lanes)

    def evaluate(self, d: list[Any]) -> list[Any]:
        """Return ``B^T d``."""
        ends = [
            self.plus(self.plus(d[i + 4], -(A**2 + B**2), d[i + 2]), A**2 * B**2, d[i]) for i in (0, 1)
        ]  # 0 and infinity
        pairs = []
        for point, other in ((A, B), (B, A)):
            even, odd = (self.plus(d[i + 2], -(other**2), d[i]) for i in (2, 1))
            pairs += [self.plus(even, point, odd), self.plus(even, -point, odd)]
        return [ends[0], *pairs, ends[1]]

    def evaluate_filter(self, g: list[Any]) -> list[Any]:
        """Return ``G g``."""
        pairs = []
        for point, other in ((A, B), (B, A)):
            norm = 1 / (2 * point**2 * (point**2 - other**2))
            even, odd = self.times(norm, self.plus(g[0], point**2, g[2])), self.times(norm * point, g[1])
            pairs += [self.builder.fadd(even, odd), self.builder.fsub(even, odd)]
        return [self.times(1 / (A**2 * B**2), g[0]), *pairs, g[2]]

    def interpolate(self, m: list[Any]) -> list[Any]:
        """Return ``A^T m``."""
        add, subtract = self.builder.fadd, self.builder.fsub
        even_a, odd_a, even_b, odd_b = add(m[1], m[2]), subtract(m[1], m[2]), add(m[3], m[4]), subtract(m[3], m[4])
        return [
            add(add(m[0], even_a), even_b),
            self.plus(self.times(A, odd_a), B, odd_b),
            self.plus(self.times(A**2, even_a), B**2, even_b),
            self.plus(self.plus(m[5], A**3, odd_a), B**3, odd_b),
        ]

    def spread(self, y: list[Any]) -> list[Any]:
        """Return ``A y``."""
        pairs = []
        for point in (A, B):
            even, odd = self.plus(y[0], point**2, y[2]), self.plus(y[1], point**2, y[3])
            pairs += [self.plus(even, point, odd), self.plus(even, -point, odd)]
        return [y[0], *pairs, y[3]]

    def collect(self, m: list[Any]) -> list[Any]:
        """Return ``G^T m``."""
        g = [self.times(1 / (A**2 * B**2), m[0]), None, m[5]]
        for point, other, i in ((A, B, 1), (B, A, 3)):
            norm = 1 / (2 * point**2 * (point**2 - other**2))
            even, odd = self.builder.fadd(m[i], m[i + 1]), self.builder.fsub(m[i], m[i + 1])
            g[0], g[2] = self.plus(g[0], norm, even), self.plus(g[2], norm * point**2, even)
            g[1] = self.times(norm * point, odd) if g[1] is None else self.plus(g[1], norm * point, odd)
        return g

    def both_axes(self, transform: Any, lines: list[list[Any]]) -> list[list[Any]]:
        """Transform columns, then rows."""
        columns = [transform(list(column)) for column in zip(*lines, strict=True)]
        return [transform(list(row)) for row in zip(*columns, strict=True)]

    def grid(self, pointer: Any, side: int, row: Any, column: Any) -> list[list[Any]]:
        """Return the addresses of a square of vectors, ``row`` and ``column`` apart."""
        return [
            [self.at(line, self.builder.mul(column, self.number(j))) for j in range(side)]
            for line in self.rows_at(pointer, row, side)
        ]

    def store_points(self, values: list[list[Any]], pointer: Any, pitch: Any) -> None:
        flat = itertools.chain.from_iterable(values)
        for vector, place in zip(flat, self.rows_at(pointer, pitch, CELLS), strict=True):
            self.store(vector, place)


@emitted
def any_nonzero(typing: Any, numbers: Any, at: Any) -> Any:
    """Return whether one of a vector's numbers is not 0; nan is not."""
    signature = types.boolean(numbers, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=0)
        different = builder.fcmp_unordered("!=", emit.load(emit.pointer(0)), emit.zero)
        bits = ir.IntType(emit.lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(different, bits), ir.Constant(bits, 0))

    return signature, codegen


@emitted
def tile_to_points(
    typing: Any, image: Any, image_at: Any, image_row: Any, points: Any, points_at: Any, pitch: Any
) -> Any:
    """Evaluate 6 x 6 neighbouring vectors of ``image``, rows ``image_row`` apart, at the points, ``pitch`` apart."""
    index = types.intp
    signature = types.void(image, index, index, points, index, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TransformEmitter(context, builder, signature, args, like=0)
        places = emit.grid(emit.pointer(0), INPUT, args[2], emit.number(emit.lanes))
        lines = [[emit.load(place) for place in line] for line in places]
        emit.store_points(emit.both_axes(emit.evaluate, lines), emit.pointer(3), args[5])
        return context.get_dummy_value()

    return signature, codegen


@emitted
def filter_to_points(typing: Any, filters: Any, filters_at: Any, points: Any, points_at: Any, pitch: Any) -> Any:
    """Evaluate 3 x 3 vectors, one behind the other, at the points, ``pitch`` apart."""
    index = types.intp
    signature = types.void(filters, index, points, index, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TransformEmitter(context, builder, signature, args, like=0)
        places = emit.grid(emit.pointer(0), 3, emit.number(3 * emit.lanes), emit.number(emit.lanes))
        lines = [[emit.load(place) for place in line] for line in places]
        emit.store_points(emit.both_axes(emit.evaluate_filter, lines), emit.pointer(2), args[4])
        return context.get_dummy_value()

    return signature, codegen


@emitted
def points_to_output(
    typing: Any,
    points: Any,
    points_at: Any,
    pitch: Any,
    bias: Any,
    bias_at: Any,
    least: Any,
    output: Any,
    output_at: Any,
    output_row: Any,
) -> Any:
    """Interpolate, add a vector of biases, and store 4 x 4 neighbouring vectors, rows ``output_row`` apart.

    Numbers below ``least`` become ``least``: 0 rectifies them, -inf leaves them.
    """
    index = types.intp
    signature = types.void(points, index, index, bias, index, points.dtype, output, index, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TransformEmitter(context, builder, signature, args, like=0)
        flat = [emit.load(place) for place in emit.rows_at(emit.pointer(0), args[2], CELLS)]
        lines = [flat[i : i + INPUT] for i in range(0, CELLS, INPUT)]
        first, least = emit.load(emit.pointer(3)), emit.splat(args[5])
        places = emit.grid(emit.pointer(6), OUTPUT, args[8], emit.number(emit.lanes))
        for vectors, line in zip(emit.both_axes(emit.interpolate, lines), places, strict=True):
            for vector, place in zip(vectors, line, strict=True):
                emit.store(emit.at_least(least, builder.fadd(vector, first)), place)
        return context.get_dummy_value()

    return signature, codegen


@emitted
def grad_to_points(typing: Any, grad: Any, grad_at: Any, grad_row: Any, points: Any, points_at: Any, pitch: Any) -> Any:
    """Spread 4 x 4 neighbouring vectors of an output's gradient, rows ``grad_row`` apart, over the points."""
    index = types.intp
    signature = types.void(grad, index, index, points, index, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TransformEmitter(context, builder, signature, args, like=0)
        places = emit.grid(emit.pointer(0), OUTPUT, args[2], emit.number(emit.lanes))
        lines = [[emit.load(place) for place in line] for line in places]
        emit.store_points(emit.both_axes(emit.spread, lines), emit.pointer(3), args[5])
        return context.get_dummy_value()

    return signature, codegen


@emitted
def points_to_filter(typing: Any, points: Any, points_at: Any, pitch: Any, filters: Any, filters_at: Any) -> Any:
    """Collect 3 x 3 vectors, one behind the other, from the points."""
    index = types.intp
    signature = types.void(points, index, index, filters, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TransformEmitter(context, builder, signature, args, like=0)
        flat = [emit.load(place) for place in emit.rows_at(emit.pointer(0), args[2], CELLS)]
        lines = [flat[i : i + INPUT] for i in range(0, CELLS, INPUT)]
        for i, line in enumerate(emit.both_axes(emit.collect, lines)):
            for j, vector in enumerate(line):
                emit.store(vector, emit.ahead(emit.pointer(3), (3 * i + j) * emit.lanes))
        return context.get_dummy_value()

    return signature, codegen


@emitted
def points_to_points(
    typing: Any,
    rows: Any,
    vectors: Any,
    steps: Any,
    image: Any,
    image_at: Any,
    image_row: Any,
    filters: Any,
    filters_at: Any,
    output: Any,
    output_at: Any,
) -> Any:
    """Multiply at one point: ``rows`` tiles, over ``steps`` >= 1 channels, by ``vectors`` registers of filters.

    ``output[i, k] = sum_c image[i * image_row + c] * filters[c, k]``, where rows of ``filters`` and ``output`` are as
    long as the registers.
    """
    index = types.intp
    signature = types.void(rows, vectors, index, image, index, index, filters, index, output, index)
    height, width = rows.literal_value, vectors.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = TileEmitter(context, builder, signature, args, like=3)
        length = width * emit.lanes
        filters = emit.pointer(6)
        tiles = emit.rows_at(emit.pointer(3), args[5], height)

        def numbers(step: Any) -> Any:
            return lambda i: emit.at(tiles[i], step), emit.at(filters, builder.mul(step, emit.number(length)))

        sums = emit.sums(args[2], height, width, numbers)
        for i, row in enumerate(emit.rows_at(emit.pointer(8), emit.number(length), height)):
            for j in range(width):
                emit.store(sums[i][j], emit.ahead(row, j * emit.lanes))
        return context.get_dummy_value()

    return signature, codegen
