r"""What goes element by element, in one pass: for NumPy a comparison and a product are two, and a third casts what was
compared. And sums of channels, which ride along: a gradient is read once for the ReLU before it and for the bias.

Sums are made in four vector registers, pixel p in lane p mod 4L of them, and these are added in a fixed order; each
image is one number a channel, and those are added up at the end. So they do not depend on the number of threads::

    one plane      ┌────────┬────────┬────────┬────────┬─── ...
                   └───┬────┴───┬────┴───┬────┴───┬────┴─── ...
    registers        sum 0    sum 1    sum 2    sum 3   ->  (0 + 1) + (2 + 3)  ->  its lanes, from the first to the last
"""

from __future__ import annotations

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

__all__ = ["channel_sums", "relu", "relu_grad", "relu_grad_and_sums"]

LEAST_WORK = 2**15  # elements that are worth a thread: some 15 us
REGISTERS = 4  # that are summed into: an addition takes four cycles


@intrinsic
def masked_sum(typingctx: Any, grad: Any, y: Any, out: Any, at: Any, count: Any) -> Any:
    """Return the sum of ``grad`` over ``count`` elements from ``at`` on; where ``y`` is positive, if it is an array.

    ``out`` gets what was added, and zeros. Pass ``None`` for both to add up everything.
    """
    masked = not isinstance(y, types.NoneType)
    signature = grad.dtype(grad, y, out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, (_, _, _, at, count) = signature.args, args
        emit = Emitter(context, builder, kinds[0].dtype)
        number = lambda value: ir.Constant(count.type, value)  # noqa: E731
        arrays = [emit.data(kinds[i], args[i], at) for i in ((0, 1, 2) if masked else (0,))]
        sums = [cgutils.alloca_once_value(builder, emit.zero) for _ in range(REGISTERS)]

        def add(first: Any, register: int, mask: Any = None) -> None:
            places = [emit.at(array, first) for array in arrays]
            load = emit.load if mask is None else lambda place: emit.masked_load(place, mask)
            x = load(places[0])
            if masked:
                # a product: NaN stays NaN, as in the reference
                positive = builder.fcmp_ordered(">", load(places[1]), emit.zero)
                one = ir.Constant(emit.vector, [1.0] * emit.lanes)
                x = builder.fmul(x, builder.select(positive, one, emit.zero))
                if mask is None:
                    emit.store(x, places[2])
                else:
                    emit.masked_store(x, places[2], mask)
            builder.store(builder.fadd(builder.load(sums[register]), x), sums[register])

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
        a, b, c, d = (builder.load(place) for place in sums)
        total = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
        kind = ir.FunctionType(emit.scalar, [emit.scalar, emit.vector])
        name = f"llvm.vector.reduce.fadd.{emit.suffix}"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, kind, name), [ir.Constant(emit.scalar, 0.0), total]
        )

    return signature, codegen


# ---------------------------------------------------------------------- ReLU


@kernel
def relu_share(part: int, parts: int, x: Any, out: Any) -> None:
    """Compute share ``part`` of :func:`relu` of flat arrays."""
    if shared_out(part, parts):
        return
    start, stop = out.size * part // parts, out.size * (part + 1) // parts
    x, out = x[start:stop], out[start:stop]
    zero = out.dtype.type(0)
    for i in range(out.size):
        out[i] = zero if x[i] <= 0 else x[i]  # NaN is neither


def relu(x: Any) -> Any:
    """Return the larger of x and 0, in the layout of x; of an array with gaps, the reference does it."""
    out = np.empty_like(x)
    if out.strides != x.strides:
        return reference.relu(x)
    run(relu_share, parts_for(out.size, LEAST_WORK), x.ravel("K"), out.ravel("K"))  # views, in the order of memory
    return out


@kernel
def relu_grad_share(part: int, parts: int, grad: Any, y: Any, out: Any) -> None:
    """Compute share ``part`` of :func:`relu_grad` of flat arrays."""
    if shared_out(part, parts):
        return
    start, stop = out.size * part // parts, out.size * (part + 1) // parts
    grad, y, out = grad[start:stop], y[start:stop], out[start:stop]
    one, zero = out.dtype.type(1), out.dtype.type(0)
    for i in range(out.size):
        out[i] = grad[i] * (one if y[i] > 0 else zero)  # a product: NaN stays NaN, as in the reference


def relu_grad(grad: Any, y: Any) -> Any:
    """Let the gradient of ``y = max(x, 0)`` through where y is positive.

    Parameters
    ----------
    grad, y : arrays of one shape
        Of any layout, if it is that of both and has no gaps; else the reference does it.

    Returns
    -------
    array of that shape
    """
    out = np.empty_like(grad)
    if grad.shape != y.shape or grad.dtype != y.dtype or not out.strides == grad.strides == y.strides:
        return reference.relu_grad(grad, y)
    flat = grad.ravel("K"), y.ravel("K"), out.ravel("K")
    run(relu_grad_share, parts_for(out.size, LEAST_WORK), *flat)
    return out


# ---------------------------------------------------------------------- sums of channels


@kernel
def plane_sums(part: int, parts: int, grad: Any, y: Any, out: Any, sums: Any) -> None:
    """Fill ``sums`` (N, C) with those of planes ``grad`` (N, C, H, W), masked by ``y`` into ``out`` if these exist."""
    if shared_out(part, parts):
        return
    pixels = grad.shape[2] * grad.shape[3]
    planes = sums.reshape(-1)
    for p in range(planes.size * part // parts, planes.size * (part + 1) // parts):
        planes[p] = masked_sum(grad, y, out, p * pixels, pixels)


def channel_sums(grad: Any) -> Any:
    """Add up each channel of images (N, C, H, W); if channels lie last, the reference does it."""
    if not grad.flags.c_contiguous:
        return reference.channel_sums(grad)
    sums = np.empty(grad.shape[:2], grad.dtype)
    run(plane_sums, parts_for(grad.size, LEAST_WORK), grad, None, None, sums)
    return sums.sum(axis=0)


def relu_grad_and_sums(grad: Any, y: Any) -> tuple[Any, Any]:
    """Return :func:`relu_grad` of images (N, C, H, W), and the sums of its channels."""
    if not (grad.flags.c_contiguous and y.flags.c_contiguous) or grad.dtype != y.dtype:
        grad = relu_grad(grad, y)
        return grad, channel_sums(grad)
    out, sums = np.empty_like(grad), np.empty(grad.shape[:2], grad.dtype)
    run(plane_sums, parts_for(grad.size, LEAST_WORK), grad, y, out, sums)
    return out, sums.sum(axis=0)
