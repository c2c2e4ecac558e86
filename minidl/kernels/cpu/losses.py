"""Softmax, its logarithm and cross entropy, row by row: while a row of scores is in the cache, all that is made of it.

NumPy makes a pass over all rows for each operation, and its maximum of rows is slow. Here a row is read for its
maximum, then for its exponentials and their sum, which are vector operations of ``nonlinear``, and then scaled. Rows do
not depend on each other, so they are shared out among threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from minidl.kernels import reference
from minidl.kernels.cpu.compiler import intrinsic, kernel
from minidl.kernels.cpu.nonlinear import FORMATS, NonlinearEmitter
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for

__all__ = ["cross_entropy", "log_softmax", "softmax"]

LEAST_WORK = 2**13  # elements that are worth a thread: some 10 us
SOFTMAX, LOGARITHM, ENTROPY = 0, 1, 2


def in_vectors(builder: Any, emit: NonlinearEmitter, count: Any, each: Any) -> None:
    """Call ``each(first, mask)`` for a row's vectors: without mask while they are full, with one for the rest."""
    number = lambda value: ir.Constant(count.type, value)  # noqa: E731
    rest = builder.srem(count, number(emit.lanes))
    whole = builder.sub(count, rest)
    with cgutils.for_range_slice(builder, number(0), whole, number(emit.lanes)) as (first, _):
        each(first, None)
    with builder.if_then(builder.icmp_signed(">", rest, number(0))):
        each(whole, emit.below(rest, 0))


@intrinsic
def largest(typingctx: Any, x: Any, at: Any, count: Any) -> Any:
    """Return the largest of ``count`` elements of ``x`` from ``at`` on that are no NaN."""
    signature = x.dtype(x, at, count)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = NonlinearEmitter(context, builder, signature.args[0].dtype)
        data = emit.data(signature.args[0], args[0], args[1])
        least = emit.number(-math.inf)
        best = cgutils.alloca_once_value(builder, least)

        def each(first: Any, mask: Any) -> None:
            place, known = emit.at(data, first), builder.load(best)
            value = emit.load(place) if mask is None else builder.select(mask, emit.masked_load(place, mask), least)
            builder.store(builder.select(builder.fcmp_ordered(">", value, known), value, known), best)

        in_vectors(builder, emit, args[2], each)
        kind = ir.FunctionType(emit.scalar, [emit.vector])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fmax.{emit.suffix}")
        return builder.call(function, [builder.load(best)])

    return signature, codegen


@intrinsic
def exponentials(typingctx: Any, x: Any, out: Any, at: Any, count: Any, top: Any) -> Any:
    """Fill ``out`` with ``exp(x - top)``, both from ``at`` on, and return the sum."""
    signature = x.dtype(x, out, at, count, x.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, (_, _, at, count, top) = signature.args, args
        emit = NonlinearEmitter(context, builder, kinds[0].dtype)
        source, target = (emit.data(kinds[i], args[i], at) for i in (0, 1))
        shift, lowest = emit.splat(top), emit.number(FORMATS[emit.align * 8][3][0])
        sums = cgutils.alloca_once_value(builder, emit.zero)

        def each(first: Any, mask: Any) -> None:
            place, here = emit.at(source, first), emit.at(target, first)
            d = builder.fsub(emit.load(place) if mask is None else emit.masked_load(place, mask), shift)
            power = builder.select(builder.fcmp_ordered("<", d, lowest), emit.zero, emit.exp(d))  # and not the smallest
            if mask is None:
                emit.store(power, here)
            else:
                power = builder.select(mask, power, emit.zero)
                emit.masked_store(power, here, mask)
            builder.store(builder.fadd(builder.load(sums), power), sums)

        in_vectors(builder, emit, count, each)
        kind = ir.FunctionType(emit.scalar, [emit.scalar, emit.vector])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.{emit.suffix}")
        return builder.call(function, [ir.Constant(emit.scalar, 0.0), builder.load(sums)])

    return signature, codegen


@kernel
def rows_share(part: int, parts: int, kind: int, x: Any, out: Any, labels: Any, losses: Any) -> None:
    """Compute share ``part`` of the rows: what ``kind`` says of x (N, C) into out, or its gradient and losses (N,)."""
    if shared_out(part, parts):
        return
    N, C = x.shape
    for n in range(N * part // parts, N * (part + 1) // parts):
        top = largest(x, n * C, C)
        total = exponentials(x, out, n * C, C, top)
        row, scores = out[n], x[n]
        if kind == LOGARITHM:
            level = x.dtype.type(math.log(total))
            for c in range(C):
                row[c] = (scores[c] - top) - level
            continue
        for c in range(C):
            row[c] /= total
        if kind == ENTROPY:
            label = labels[n]
            losses[n] = x.dtype.type(math.log(total)) - (scores[label] - top)
            row[label] -= x.dtype.type(1)


def softmax(x: Any, axis: int) -> Any:
    """Return the softmax along the last axis; along another, the reference does it."""
    return _along_rows(SOFTMAX, reference.softmax, x, axis)


def log_softmax(x: Any, axis: int) -> Any:
    """Return the logarithm of the softmax along the last axis; along another, the reference does it."""
    return _along_rows(LOGARITHM, reference.log_softmax, x, axis)


def _along_rows(kind: int, otherwise: Any, x: Any, axis: int) -> Any:
    if axis not in (-1, x.ndim - 1) or not x.flags.c_contiguous or not x.size:
        return otherwise(x, axis)
    rows, out = x.reshape(-1, x.shape[-1]), np.empty(x.shape, x.dtype)
    nothing = np.empty(0, np.int64), np.empty(0, x.dtype)
    run(rows_share, parts_for(x.size, LEAST_WORK), kind, rows, out.reshape(rows.shape), *nothing)
    return out


def cross_entropy(
    x: Any, labels: Any, counts: Any, weight: Any, smoothing: float, graded: bool
) -> tuple[Any, Any, Any]:
    """Compare the softmax of scores (N, C) with labels that all count the same; in other cases, the reference does."""
    plain = counts is None and weight is None and not smoothing
    if not plain or x.ndim != 2 or not x.flags.c_contiguous or not x.size:
        return reference.cross_entropy(x, labels, counts, weight, smoothing, graded)
    gradient, losses = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)
    labels = np.ascontiguousarray(labels, np.int64)
    run(rows_share, parts_for(x.size, LEAST_WORK), ENTROPY, x, gradient, labels, losses)
    return losses, None, gradient if graded else None
