r"""The micro-kernel: a small matrix product that lives in the CPU's vector registers.

All heavy arithmetic comes down to it: ``C += A B`` with a tile of C of MR rows and NV vectors of columns, over kc
steps. In each step one column of A meets one row of B::

                    B: row k, NV vectors of L lanes
                   ┌───────────────┬───────────────┐
                   │ b0 ... b(L-1) │ bL ... b(2L-1)│         each step: NV loads, MR broadcasts,
                   └───────────────┴───────────────┘         MR * NV fused multiply-adds, and not one store
      A: column k
         ┌────┐    ┌───────────────┬───────────────┐
         │ a0 │    │      acc      │      acc      │
         │ a1 │    │      acc      │      acc      │         C: MR * NV registers, kept over all kc steps,
         │ .. │    │      ...      │      ...      │         written once
         │ a13│    │      acc      │      acc      │
         └────┘    └───────────────┴───────────────┘

Numba's own loops won't keep such a tile in registers, so an intrinsic writes LLVM's vector operations directly. The
lanes follow from the arrays' type (16 float32 or 8 float64 in 64 bytes), so that a kernel is written once for both.

``microkernel(rows, vectors, a=..., b=...)`` makes the intrinsic, to be called from a kernel as::

    multiply(kc, A, a_at, ..., B, b_at, ..., C, c_at, c_row, m, n, mode, bias, bias_at)

All arrays are C-contiguous, of one float type, with any number of axes; ``*_at`` is where, counted in elements, their
part of the work begins. How each factor lies in memory decides what stands in place of ``...``:

=========  ============================  ========================================================================
``a``      arguments                     element (i, k) of A is
=========  ============================  ========================================================================
"packed"   A, a_at                       ``A[a_at + k * MR + i]``
"rows"     A, a_at, a_row                ``A[a_at + i * a_row + k]``: rows as they lie in a matrix
"strided"  A, a_at, a_row, a_step        ``A[a_at + i * a_row + k * a_step]``: any matrix; only ``m`` rows are read
=========  ============================  ========================================================================

=========  ============================  ========================================================================
``b``      arguments                     element (k, j) of B is
=========  ============================  ========================================================================
"packed"   B, b_at                       ``B[b_at + k * NR + j]``
"rows"     B, b_at, b_row                ``B[b_at + k * b_row + j]``
=========  ============================  ========================================================================

But for a strided A, both are read as full tiles (MR rows, NR = NV * L columns): there must be that much memory. Of C
only the first ``m`` rows and ``n`` columns are read and written: ``C[c_at + i * c_row + j]``. ``mode`` is a sum of

- ``ACCUMULATE``: add to what C holds;
- ``CONTINUE``: start from what C holds, as if the steps that made it and these were one sum;
- ``ROW_BIAS`` or ``COLUMN_BIAS``: add ``bias[bias_at + i]`` or ``bias[bias_at + j]`` (pass any array otherwise);
- ``RELU``: replace what is negative by 0 in the end.

References
----------
Van Zee & van de Geijn (2015), "BLIS: A Framework for Rapidly Instantiating BLAS Functionality".
"""

from __future__ import annotations

import inspect
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from minidl.kernels.cpu.compiler import HAS_FMA, VECTOR_BYTES, VECTOR_REGISTERS, intrinsic

__all__ = ["ACCUMULATE", "COLUMN_BIAS", "CONTINUE", "RELU", "ROWS", "ROW_BIAS", "VECTORS", "lanes", "microkernel"]

ACCUMULATE, ROW_BIAS, COLUMN_BIAS, RELU, CONTINUE = 1, 2, 4, 8, 16

#: The tile: as many accumulators as leave registers for one row of B and a broadcast. 14 x 32 float32 with AVX-512,
#: 6 x 16 with AVX2, 8 x 12 with NEON, 4 x 8 with SSE.
ROWS, VECTORS = {(64, 32): (14, 2), (32, 16): (6, 2), (16, 32): (8, 3)}.get((VECTOR_BYTES, VECTOR_REGISTERS), (4, 2))

INT32 = ir.IntType(32)


@intrinsic
def lanes(typingctx: Any, array: Any) -> Any:
    """Return how many elements of an array fit a vector register: a constant to the compiler."""
    signature = types.intp(array)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, VECTOR_BYTES * 8 // signature.args[0].dtype.bitwidth)

    return signature, codegen


class Emitter:
    """Writes vector operations on one type of float: what the code generators below have in common."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.context, self.builder = context, builder
        self.scalar = context.get_value_type(dtype)
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        self.align = dtype.bitwidth // 8  # of the loads: elements, not vectors
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.mask = ir.VectorType(ir.IntType(1), self.lanes)
        self.zero = ir.Constant(self.vector, None)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"

    def data(self, array_type: Any, array: Any, offset: Any) -> Any:
        """Return where an array's element lies."""
        return self.at(self.context.make_array(array_type)(self.context, self.builder, array).data, offset)

    def at(self, pointer: Any, offset: Any) -> Any:
        return self.builder.gep(pointer, [offset])

    def load(self, pointer: Any) -> Any:
        """Load a vector from wherever an element may lie."""
        return self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()), align=self.align)

    def store(self, vector: Any, pointer: Any) -> None:
        self.builder.store(vector, self.builder.bitcast(pointer, self.vector.as_pointer()), align=self.align)

    def masked_load(self, pointer: Any, mask: Any) -> Any:
        """Load the lanes of the mask, and zeros elsewhere, whose memory is not touched."""
        place = self.vector.as_pointer()
        kind = ir.FunctionType(self.vector, [place, INT32, self.mask, self.vector])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        align = ir.Constant(INT32, self.align)
        return self.builder.call(function, [self.builder.bitcast(pointer, place), align, mask, self.zero])

    def masked_store(self, vector: Any, pointer: Any, mask: Any) -> None:
        place = self.vector.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [self.vector, place, INT32, self.mask])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.store.{self.suffix}.p0")
        align = ir.Constant(INT32, self.align)
        self.builder.call(function, [vector, self.builder.bitcast(pointer, place), align, mask])

    def splat(self, scalar: Any) -> Any:
        """Return a vector with the scalar in every lane."""
        nothing = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(nothing, scalar, ir.Constant(INT32, 0))
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, nothing, zeros)

    def below(self, count: Any, first: int) -> Any:
        """Return the mask of the lanes whose column, from ``first`` up, is below ``count``."""
        columns = ir.Constant(ir.VectorType(count.type, self.lanes), [first + lane for lane in range(self.lanes)])
        return self.builder.icmp_signed("<", columns, self.splat(count))

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        if not HAS_FMA:
            return self.builder.fadd(self.builder.fmul(x, y), z)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.{self.suffix}")
        return self.builder.call(function, [x, y, z])

    def relu(self, x: Any) -> Any:
        """Return 0 where x is negative, and x elsewhere: nan stays."""
        return self.builder.select(self.builder.fcmp_ordered("<", x, self.zero), self.zero, x)


#: What follows a factor's array and offset, in each layout.
LAYOUTS: dict[str, tuple[str, ...]] = {"packed": (), "rows": ("row",), "strided": ("row", "step")}


def microkernel(rows: int, vectors: int, a: str = "packed", b: str = "packed") -> Any:
    """Make the intrinsic for tiles of MR = ``rows`` rows and ``vectors`` vectors of columns.

    Parameters
    ----------
    rows, vectors : int
        The tile; ``rows * vectors`` accumulators, and ``vectors`` + 1 more, should fit the registers.
    a : {"packed", "rows", "strided"}
    b : {"packed", "rows"}
        How the factors lie in memory: the tables at the head of this file.
    """
    a_names = ["a", "a_at", *(f"a_{name}" for name in LAYOUTS[a])]
    b_names = ["b", "b_at", *(f"b_{name}" for name in LAYOUTS[b])]
    names = ["typingctx", "kc", *a_names, *b_names, "c", "c_at", "c_row", "m", "n", "mode", "bias", "bias_at"]
    a_count, b_count = len(a_names), len(b_names)

    def multiply(typingctx: Any, kc: Any, *args: Any) -> Any:
        arrays = [arg for arg in args if isinstance(arg, types.Array)]
        if any(array.layout != "C" for array in arrays):
            raise TypeError("microkernel: arrays must be C-contiguous")
        flat = types.intp
        signature = types.void(flat, *(arg if isinstance(arg, types.Array) else flat for arg in args))

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            _emit(context, builder, signature.args, values)
            return context.get_dummy_value()

        return signature, codegen

    def _emit(context: Any, builder: Any, kinds: Any, values: Any) -> None:
        kc, index = values[0], values[0].type
        c_first = 1 + a_count + b_count
        emit = Emitter(context, builder, kinds[c_first].dtype)
        number = lambda value: ir.Constant(index, value)  # noqa: E731

        def array(i: int) -> Any:  # the address of argument i from argument i + 1 on
            return emit.data(kinds[i], values[i], values[i + 1])

        c_pointer, (c_row, m, n, mode) = array(c_first), values[c_first + 2 : c_first + 6]
        bias = array(c_first + 6)
        a_pointer, b_pointer = array(1), array(1 + a_count)
        if a == "rows":
            a_rows = [emit.at(a_pointer, builder.mul(values[3], number(i))) for i in range(rows)]
        elif a == "strided":  # a pointer for each row; where there is none, the first one's, whose sums go nowhere
            a_rows = []
            for i in range(rows):
                exists = builder.icmp_signed("<", number(i), m)
                a_rows.append(emit.at(a_pointer, builder.select(exists, builder.mul(values[3], number(i)), number(0))))

        places = [emit.at(c_pointer, builder.mul(c_row, number(i))) for i in range(rows)]
        across = [[emit.at(places[i], number(j * emit.lanes)) for j in range(vectors)] for i in range(rows)]
        first = _start(emit, across, m, n, mode)

        # ------------------------------------------------------------------ kc steps
        before = builder.block
        loop, done = builder.append_basic_block("steps"), builder.append_basic_block("steps.done")
        builder.cbranch(builder.icmp_signed(">", kc, number(0)), loop, done)
        builder.position_at_end(loop)
        k = builder.phi(index)
        k.add_incoming(number(0), before)
        sums = [[builder.phi(emit.vector) for _ in range(vectors)] for _ in range(rows)]
        if b == "packed":
            b_row = emit.at(b_pointer, builder.mul(k, number(vectors * emit.lanes)))
        else:
            b_row = emit.at(b_pointer, builder.mul(k, values[3 + a_count]))
        b_vectors = [emit.load(emit.at(b_row, number(j * emit.lanes))) for j in range(vectors)]
        if a == "packed":
            a_column = emit.at(a_pointer, builder.mul(k, number(rows)))
        along = builder.mul(k, values[4]) if a == "strided" else k
        new = []
        for i in range(rows):
            place = emit.at(a_column, number(i)) if a == "packed" else emit.at(a_rows[i], along)
            factor = emit.splat(builder.load(place))
            new.append([emit.multiply_add(factor, b_vectors[j], sums[i][j]) for j in range(vectors)])
        following = builder.add(k, number(1))
        k.add_incoming(following, loop)
        for i in range(rows):
            for j in range(vectors):
                sums[i][j].add_incoming(first[i][j], before)
                sums[i][j].add_incoming(new[i][j], loop)
        builder.cbranch(builder.icmp_signed("<", following, kc), loop, done)

        builder.position_at_end(done)
        tile = []
        for i in range(rows):
            tile.append([builder.phi(emit.vector) for _ in range(vectors)])
            for j in range(vectors):
                tile[i][j].add_incoming(first[i][j], before)
                tile[i][j].add_incoming(new[i][j], loop)

        # ------------------------------------------------------------------ the store: a full tile, or part of one
        full = builder.and_(
            builder.icmp_signed(">=", m, number(rows)), builder.icmp_signed(">=", n, number(vectors * emit.lanes))
        )
        left = builder.and_(mode, number(~CONTINUE))
        plain = builder.and_(full, builder.icmp_signed("==", left, number(0)))
        only_add = builder.and_(full, builder.icmp_signed("==", left, number(ACCUMULATE)))
        with builder.if_else(plain) as (then, otherwise):
            with then:
                for i in range(rows):
                    for j in range(vectors):
                        emit.store(tile[i][j], across[i][j])
            with otherwise, builder.if_else(only_add) as (then_add, general):
                with then_add:
                    for i in range(rows):
                        for j in range(vectors):
                            emit.store(builder.fadd(emit.load(across[i][j]), tile[i][j]), across[i][j])
                with general:
                    _finish(emit, tile, across, bias, m, n, mode)

    def _start(emit: Emitter, across: Any, m: Any, n: Any, mode: Any) -> Any:
        """Return what the sums start from: zeros, or what C holds where the tile has a row and a column."""
        builder, number = emit.builder, lambda value: ir.Constant(n.type, value)
        before = builder.block
        goes_on = builder.icmp_signed("!=", builder.and_(mode, number(CONTINUE)), number(0))
        with builder.if_then(goes_on):
            masks = [emit.below(n, j * emit.lanes) for j in range(vectors)]
            none = ir.Constant(emit.mask, None)
            held = []
            for i in range(rows):
                exists = builder.icmp_signed("<", number(i), m)
                held.append(
                    [emit.masked_load(across[i][j], builder.select(exists, masks[j], none)) for j in range(vectors)]
                )
            loaded = builder.block
        first = [[builder.phi(emit.vector) for _ in range(vectors)] for _ in range(rows)]
        for i in range(rows):
            for j in range(vectors):
                first[i][j].add_incoming(emit.zero, before)
                first[i][j].add_incoming(held[i][j], loaded)
        return first

    def _finish(emit: Emitter, tile: Any, across: Any, bias: Any, m: Any, n: Any, mode: Any) -> None:
        """Store the first ``m`` rows and ``n`` columns, with what ``mode`` asks for."""
        builder, number = emit.builder, lambda value: ir.Constant(n.type, value)
        has = {flag: builder.icmp_signed("!=", builder.and_(mode, number(flag)), number(0)) for flag in (1, 2, 4, 8)}
        masks = [emit.below(n, j * emit.lanes) for j in range(vectors)]
        none = ir.Constant(emit.mask, None)
        if_columns = [builder.select(has[COLUMN_BIAS], masks[j], none) for j in range(vectors)]
        if_c = [builder.select(has[ACCUMULATE], masks[j], none) for j in range(vectors)]
        by_column = [emit.masked_load(emit.at(bias, number(j * emit.lanes)), if_columns[j]) for j in range(vectors)]
        for i in range(rows):
            with builder.if_then(builder.icmp_signed(">", m, number(i))):
                one = cgutils.alloca_once_value(builder, ir.Constant(emit.scalar, 0.0))
                builder.store(ir.Constant(emit.scalar, 0.0), one)
                with builder.if_then(has[ROW_BIAS]):
                    builder.store(builder.load(emit.at(bias, number(i))), one)
                by_row = emit.splat(builder.load(one))
                for j in range(vectors):
                    value = builder.fadd(tile[i][j], emit.masked_load(across[i][j], if_c[j]))
                    value = builder.fadd(builder.fadd(value, by_row), by_column[j])
                    value = builder.select(has[RELU], emit.relu(value), value)
                    emit.masked_store(value, across[i][j], masks[j])

    kind = inspect.Parameter.POSITIONAL_ONLY
    multiply.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore
    multiply.__name__ = multiply.__qualname__ = f"multiply_{rows}x{vectors}_{a}_{b}"
    return intrinsic(multiply)
