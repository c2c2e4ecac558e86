"""Batch and layer normalisation in one visit to memory: NumPy reads or writes an array of the input's size a dozen
times.

Where the pixels of a channel lie together, in planes, a thread takes one channel after the other: its planes come into
the cache for their statistics, and are there still when they are normalised. Where channels lie last, rows of them are
taken in blocks that fit the cache, each channel in a lane of its own. To layer normalisation, a row is a line of
pixels with statistics of its own, and its columns have factors and offsets.

Statistics are those of a plane (or of a block of rows) about its own mean, which is found first; those of all planes
are then put together in double precision (Chan, Golub, LeVeque 1979)::

    n      = n1 + n2                      d = mean2 - mean1
    mean   = mean1 + d n2 / n             squares = squares1 + squares2 + d^2 n1 n2 / n

So there is no cancellation, however far the mean is from 0. Planes and blocks follow from the shape alone, and sums
have a fixed order, so nothing depends on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from minidl.kernels import reference
from minidl.kernels.cpu.compiler import intrinsic, kernel
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for
from minidl.kernels.cpu.vectors import Emitter

__all__ = ["batch_norm", "batch_norm_grad", "layer_norm", "layer_norm_grad"]

LEAST_WORK = 2**14  # elements that are worth a thread: some 10 us
REGISTERS = 4  # that each sum is made in: an addition takes four cycles
BLOCK = 2**13  # elements of a block of rows: they stay in the first cache from pass to pass
BLOCKS = 64  # of lines, at most: each has sums of its own


@intrinsic
def paired_sums(typingctx: Any, a: Any, b: Any, at: Any, count: Any, a_mean: Any, b_mean: Any) -> Any:
    """Return the sums of ``a - a_mean`` and of ``(a - a_mean) * (b - b_mean)`` over ``count`` elements from ``at``."""
    signature = types.UniTuple(a.dtype, 2)(a, b, types.intp, types.intp, a.dtype, a.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, (_, _, at, count, a_mean, b_mean) = signature.args, args
        emit = Emitter(context, builder, kinds[0].dtype)
        number = lambda value: ir.Constant(count.type, value)  # noqa: E731
        arrays = [emit.data(kinds[i], args[i], at) for i in (0, 1)]
        means = [emit.splat(mean) for mean in (a_mean, b_mean)]
        sums = [[cgutils.alloca_once_value(builder, emit.zero) for _ in range(REGISTERS)] for _ in range(2)]

        def add(first: Any, register: int, mask: Any = None) -> None:
            places = [emit.at(array, first) for array in arrays]
            load = emit.load if mask is None else lambda place: emit.masked_load(place, mask)
            x, y = (builder.fsub(load(place), mean) for place, mean in zip(places, means, strict=True))
            if mask is not None:
                x, y = (builder.select(mask, value, emit.zero) for value in (x, y))
            for place, value in zip((sums[0][register], sums[1][register]), (x, builder.fmul(x, y)), strict=True):
                builder.store(builder.fadd(builder.load(place), value), place)

        step = REGISTERS * emit.lanes
        whole = builder.sub(count, builder.srem(count, number(step)))
        with cgutils.for_range_slice(builder, number(0), whole, number(step)) as (first, _):
            for register in range(REGISTERS):
                add(builder.add(first, number(register * emit.lanes)), register)
        rest = builder.sub(count, whole)
        with builder.if_then(builder.icmp_signed(">", rest, number(0))):
            for register in range(REGISTERS):
                first = builder.add(whole, number(register * emit.lanes))
                add(first, register, emit.below(rest, register * emit.lanes))
        kind = ir.FunctionType(emit.scalar, [emit.scalar, emit.vector])
        across = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.{emit.suffix}")
        totals = []
        for registers in sums:
            one, two, three, four = (builder.load(place) for place in registers)
            total = builder.fadd(builder.fadd(one, two), builder.fadd(three, four))
            totals.append(builder.call(across, [ir.Constant(emit.scalar, 0.0), total]))
        return context.make_tuple(builder, signature.return_type, totals)

    return signature, codegen


# ---------------------------------------------------------------------- planes: the pixels of a channel lie together


@kernel
def norm_planes(part: int, parts: int, x: Any, y: Any, weight: Any, bias: Any, eps: float, mean: Any, var: Any) -> None:
    """Compute share ``part`` of the channels of :func:`batch_norm` of planes (N, C, P)."""
    if shared_out(part, parts):
        return
    N, C, P = x.shape
    zero = x.dtype.type(0)
    flat, out = x.reshape(-1), y.reshape(-1)
    for c in range(C * part // parts, C * (part + 1) // parts):
        count, middle, squares = 0.0, 0.0, 0.0
        for n in range(N):
            at = (n * C + c) * P
            about = x.dtype.type(paired_sums(x, x, at, P, zero, zero)[0] / P)
            off, spread = paired_sums(x, x, at, P, about, about)
            here = np.float64(about) + np.float64(off) / P  # the plane's mean, without what rounding left
            both = count + P
            d = here - middle
            squares += spread - np.float64(off) * off / P + d * d * (count * P / both)
            middle += d * (P / both)
            count = both
        mean[c], var[c] = middle, squares / count
        factor = x.dtype.type(1 / math.sqrt(squares / count + eps)) * weight[c]
        center, offset = mean[c], bias[c]
        for n in range(N):
            at = (n * C + c) * P
            plane, result = flat[at : at + P], out[at : at + P]
            for i in range(P):
                result[i] = (plane[i] - center) * factor + offset


@kernel
def grad_planes(
    part: int, parts: int, grad: Any, x: Any, mean: Any, rstd: Any, weight: Any, out: Any, of_weight: Any, of_bias: Any
) -> None:
    """Compute share ``part`` of the channels of :func:`batch_norm_grad` of planes (N, C, P)."""
    if shared_out(part, parts):
        return
    N, C, P = x.shape
    zero = x.dtype.type(0)
    grads, flat, grads_x = grad.reshape(-1), x.reshape(-1), out.reshape(-1)
    for c in range(C * part // parts, C * (part + 1) // parts):
        total, product = 0.0, 0.0
        for n in range(N):
            first, second = paired_sums(grad, x, (n * C + c) * P, P, zero, mean[c])
            total += first
            product += second
        of_bias[c], of_weight[c] = total, product * rstd[c]
        level = x.dtype.type(total / (N * P))
        slope = x.dtype.type(product * rstd[c] * rstd[c] / (N * P))
        scale, center = rstd[c] * weight[c], mean[c]
        for n in range(N):
            at = (n * C + c) * P
            slopes, plane, result = grads[at : at + P], flat[at : at + P], grads_x[at : at + P]
            for i in range(P):
                result[i] = (slopes[i] - level - (plane[i] - center) * slope) * scale


# ---------------------------------------------------------------------- rows: the channels of a pixel lie together


@kernel
def sum_rows(part: int, parts: int, block: int, x: Any, means: Any, squares: Any, off: Any) -> None:
    """Fill means and squares (B, C) with those of each block of rows of x (M, C).

    Rounding leaves the means off by ``off / count``: too little for their type to hold, and enough to matter.
    """
    if shared_out(part, parts):
        return
    M, C = x.shape
    B = means.shape[0]
    for b in range(B * part // parts, B * (part + 1) // parts):
        mean, square, left = means[b], squares[b], off[b]
        mean[:], square[:], left[:] = 0, 0, 0
        start, stop = b * block, min((b + 1) * block, M)
        count = x.dtype.type(stop - start)
        for i in range(start, stop):
            row = x[i]
            for c in range(C):
                mean[c] += row[c]
        for c in range(C):
            mean[c] /= count
        for i in range(start, stop):
            row = x[i]
            for c in range(C):
                d = row[c] - mean[c]
                left[c] += d
                square[c] += d * d
        for c in range(C):
            square[c] -= left[c] * left[c] / count


@kernel
def norm_rows(part: int, parts: int, x: Any, y: Any, mean: Any, factor: Any, bias: Any) -> None:
    """Compute share ``part`` of ``(x - mean) * factor + bias`` of rows (M, C)."""
    if shared_out(part, parts):
        return
    M, C = x.shape
    for i in range(M * part // parts, M * (part + 1) // parts):
        row, out = x[i], y[i]
        for c in range(C):
            out[c] = (row[c] - mean[c]) * factor[c] + bias[c]


@kernel
def sum_grad_rows(part: int, parts: int, block: int, grad: Any, x: Any, mean: Any, totals: Any, products: Any) -> None:
    """Fill (B, C) with the sums of ``grad`` and of ``grad * (x - mean)`` over each block of rows (M, C)."""
    if shared_out(part, parts):
        return
    M, C = x.shape
    B = totals.shape[0]
    for b in range(B * part // parts, B * (part + 1) // parts):
        total, product = totals[b], products[b]
        total[:], product[:] = 0, 0
        for i in range(b * block, min((b + 1) * block, M)):
            row, slopes = x[i], grad[i]
            for c in range(C):
                total[c] += slopes[c]
                product[c] += slopes[c] * (row[c] - mean[c])


@kernel
def grad_rows(
    part: int, parts: int, grad: Any, x: Any, out: Any, mean: Any, level: Any, slope: Any, scale: Any
) -> None:
    """Compute share ``part`` of ``(grad - level - (x - mean) * slope) * scale`` of rows (M, C)."""
    if shared_out(part, parts):
        return
    M, C = x.shape
    for i in range(M * part // parts, M * (part + 1) // parts):
        row, slopes, here = x[i], grad[i], out[i]
        for c in range(C):
            here[c] = (slopes[c] - level[c] - (row[c] - mean[c]) * slope[c]) * scale[c]


# ---------------------------------------------------------------------- lines: each is standardized for itself


@kernel
def norm_lines(part: int, parts: int, x: Any, y: Any, weight: Any, bias: Any, eps: float, mean: Any, var: Any) -> None:
    """Compute share ``part`` of the lines of :func:`layer_norm` of (R, P)."""
    if shared_out(part, parts):
        return
    R, P = x.shape
    zero = x.dtype.type(0)
    for r in range(R * part // parts, R * (part + 1) // parts):
        about = x.dtype.type(paired_sums(x, x, r * P, P, zero, zero)[0] / P)
        off, spread = paired_sums(x, x, r * P, P, about, about)
        mean[r] = np.float64(about) + np.float64(off) / P
        squares = spread - np.float64(off) * off / P
        var[r] = squares / P
        factor, center = x.dtype.type(1 / math.sqrt(squares / P + eps)), mean[r]
        line, out = x[r], y[r]
        for i in range(P):
            out[i] = (line[i] - center) * factor * weight[i] + bias[i]


@kernel
def grad_lines(
    part: int, parts: int, block: int, grad: Any, x: Any, mean: Any, rstd: Any, weight: Any, out: Any, of_weight: Any,
    of_bias: Any,
) -> None:  # fmt: skip
    """Compute share ``part`` of :func:`layer_norm_grad`, with sums (B, P) over each block of lines."""
    if shared_out(part, parts):
        return
    R, P = x.shape
    B = len(of_weight)
    zero = x.dtype.type(0)
    for b in range(B * part // parts, B * (part + 1) // parts):
        products, totals = of_weight[b], of_bias[b]
        products[:], totals[:] = 0, 0
        for r in range(b * block, min((b + 1) * block, R)):
            line, slopes, result = x[r], grad[r], out[r]
            center, scale = mean[r], rstd[r]
            for i in range(P):
                result[i] = slopes[i] * weight[i]
                totals[i] += slopes[i]
                products[i] += slopes[i] * ((line[i] - center) * scale)
            total, product = paired_sums(out, x, r * P, P, zero, center)
            level, slope = x.dtype.type(total / P), x.dtype.type(product * scale * scale / P)
            for i in range(P):
                result[i] = (result[i] - level - (line[i] - center) * slope) * scale


# ---------------------------------------------------------------------- the functions


def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """Standardize each channel: see the reference, which does it for arrays with gaps."""
    C = x.shape[1]
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    bias = np.zeros(C, x.dtype) if bias is None else np.ascontiguousarray(bias)
    planes = _planes(x)
    if planes is not None:
        y, mean, var = np.empty(x.shape, x.dtype), np.empty(C, x.dtype), np.empty(C, x.dtype)
        parts = min(parts_for(x.size, LEAST_WORK), C)
        run(norm_planes, parts, planes, y.reshape(planes.shape), weight, bias, float(eps), mean, var)
        return y, mean, var
    rows = _rows(x)
    if rows is None:
        return reference.batch_norm(x, weight, bias, eps)
    M, block = len(rows), _block(C)
    means, squares, off = np.empty((3, -(-M // block), C), x.dtype)
    run(sum_rows, parts_for(x.size, LEAST_WORK), block, rows, means, squares, off)
    counts = np.full((len(means), 1), block, np.float64)
    counts[-1] = M - (len(means) - 1) * block
    means = means + off / counts  # in double precision, as counts are
    center = (means * counts).sum(axis=0) / M
    spread = (squares + (means - center) ** 2 * counts).sum(axis=0) / M
    mean, var = center.astype(x.dtype), spread.astype(x.dtype)
    y = np.empty_like(rows)
    factor = (1 / np.sqrt(spread + eps)).astype(x.dtype) * weight
    run(norm_rows, parts_for(x.size, LEAST_WORK), rows, y, mean, factor, bias)
    return _like(y, x), mean, var


def batch_norm_grad(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of :func:`batch_norm`: see the reference, which does it for an x with gaps."""
    C = x.shape[1]
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    planes, rows = _planes(x), _rows(x)
    if (planes is None and rows is None) or grad.dtype != x.dtype:
        return reference.batch_norm_grad(grad, x, mean, rstd, weight)
    if planes is not None:
        slopes = np.ascontiguousarray(grad).reshape(planes.shape)
        out, of_weight, of_bias = np.empty(x.shape, x.dtype), np.empty(C, x.dtype), np.empty(C, x.dtype)
        parts = min(parts_for(x.size, LEAST_WORK), C)
        run(grad_planes, parts, slopes, planes, mean, rstd, weight, out.reshape(planes.shape), of_weight, of_bias)
        return out, of_weight, of_bias
    slopes = np.ascontiguousarray(_channels_last(grad)).reshape(rows.shape)
    M, block = len(rows), _block(C)
    totals, products = np.empty((2, -(-M // block), C), x.dtype)
    run(sum_grad_rows, parts_for(x.size, LEAST_WORK), block, slopes, rows, mean, totals, products)
    total, product = (sums.sum(axis=0, dtype=np.float64) for sums in (totals, products))
    level, slope = (total / M).astype(x.dtype), (product * rstd * rstd / M).astype(x.dtype)
    out = np.empty_like(rows)
    run(grad_rows, parts_for(x.size, LEAST_WORK), slopes, rows, out, mean, level, slope, rstd * weight)
    return _like(out, x), (product * rstd).astype(x.dtype), total.astype(x.dtype)


def layer_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """Standardize each row, then scale and shift each column: see the reference."""
    R, P = x.shape
    if not x.size:
        return reference.layer_norm(x, weight, bias, eps)
    x = np.ascontiguousarray(x)
    weight = np.ones(P, x.dtype) if weight is None else np.ascontiguousarray(weight)
    bias = np.zeros(P, x.dtype) if bias is None else np.ascontiguousarray(bias)
    y, mean, var = np.empty_like(x), np.empty(R, x.dtype), np.empty(R, x.dtype)
    run(norm_lines, parts_for(x.size, LEAST_WORK), x, y, weight, bias, float(eps), mean, var)
    return y, mean, var


def layer_norm_grad(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of :func:`layer_norm`: see the reference."""
    R, P = x.shape
    if grad.dtype != x.dtype or not x.size:
        return reference.layer_norm_grad(grad, x, mean, rstd, weight)
    grad, x = np.ascontiguousarray(grad), np.ascontiguousarray(x)
    weight = np.ones(P, x.dtype) if weight is None else np.ascontiguousarray(weight)
    block = max(_block(P), -(-R // BLOCKS))
    out, sums = np.empty_like(x), np.empty((2, -(-R // block), P), x.dtype)
    run(grad_lines, parts_for(x.size, LEAST_WORK), block, grad, x, mean, rstd, weight, out, sums[0], sums[1])
    of_weight, of_bias = sums.sum(axis=1, dtype=np.float64).astype(x.dtype)
    return out, of_weight, of_bias


def _planes(x: Any) -> Any:
    """Return x as (N, C, P) if its memory is that, with planes that are no single pixels."""
    if x.ndim < 3 or not x.flags.c_contiguous or not x.size:
        return None
    return x.reshape(x.shape[0], x.shape[1], -1)


def _rows(x: Any) -> Any:
    """Return x as (M, C) if its memory is that."""
    last = _channels_last(x)
    return last.reshape(-1, x.shape[1]) if last.flags.c_contiguous and x.size else None


def _channels_last(x: Any) -> Any:
    return x.transpose(0, *range(2, x.ndim), 1)


def _like(rows: Any, x: Any) -> Any:
    """Return rows (M, C) in the shape of x."""
    return rows.reshape(_channels_last(x).shape).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _block(size: int) -> int:
    """Return how many rows of so many elements make a block."""
    return max(1, BLOCK // size)
