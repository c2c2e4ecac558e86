"""Steps of optimisers in one pass over all parameters, where NumPy makes a pass for each operation of the formula.

Adam reads four arrays and writes three; in a dozen calls of NumPy each of them comes through the cache several times,
and a small network waits for the calls themselves. Every operation here rounds as NumPy's does, in the same order and
without contracting a product and a sum into one, so it makes no difference to a single bit which of the two runs, and
when training goes from one to the other. With one exception: a moment below the smallest normal number becomes 0. The
mean gradient of a unit that has died shrinks by a tenth a step, and after 830 steps of float32 is denormal, on which a
CPU needs a hundred cycles an operation: a step of 100,000 parameters then took 1,050 us, and 160 before.

A step is one call for all parameters of a group. Each of them, and its gradient, lies where it happens to lie, which a
table of addresses says. The slots, which are the arrays of their state, lie one parameter after another::

    table[0]     p0      p1          p2            where the parameters are
    table[1]     g0      g1          g2            where their gradients are
    slots     ├──────┼───────┼───────────────┤     ends: 0, |p0|, |p0| + |p1|, ...
    shares    └──── part 0 ──────┴── part 1 ─┘     as many elements for each thread
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import types

from minidl.kernels.cpu.compiler import helper, intrinsic, kernel
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for

__all__ = ["Members", "adam", "keras_sgd", "rmsprop", "sgd"]

LEAST_WORK = 2**14  # elements that are worth a thread: some 15 us
SMALL = 2**13  # elements of a gradient that are copied sooner than NumPy tells where they lie, which takes 3 us
TINY = {dtype.char: float(np.finfo(dtype).smallest_normal) for dtype in map(np.dtype, ("float32", "float64"))}


class Members:
    """Parameters that are updated together, wherever in memory each of them lies.

    Parameters
    ----------
    arrays : sequence of arrays
        C-contiguous, writeable, and of one dtype.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = list(arrays)  # they are there as long as the table is
        self.dtype = self.arrays[0].dtype
        self.ends = np.cumsum([0, *(array.size for array in arrays)])
        self.size = int(self.ends[-1])
        self.copies = [np.empty(array.shape, self.dtype) if array.size <= SMALL else None for array in arrays]
        places = [array if copy is None else copy for array, copy in zip(arrays, self.copies, strict=True)]
        self.table = np.array([list(map(address, arrays)), list(map(address, places))], np.int64)

    def run(self, rule: Any, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
        """Take the parameters through a compiled rule of three slots, and of some numbers and the smallest normal."""
        kept = []
        for i, copy in enumerate(self.copies):
            if copy is not None:
                copy[...] = grads[i]
            else:  # whatever the layout of a gradient, it is read in the parameter's order
                kept.append(np.ascontiguousarray(grads[i], self.dtype))
                self.table[1, i] = address(kept[-1])
        constants = np.array((*numbers, TINY[self.dtype.char]), self.dtype)
        first, second, third = (*slots, constants, constants, constants)[:3]  # a rule leaves those alone
        run(rule, parts_for(self.size, LEAST_WORK), self.table, self.ends, first, second, third, constants)


def address(array: Any) -> int:
    """Return where an array begins."""
    place: int = array.__array_interface__["data"][0]
    return place


@intrinsic
def pointer(typingctx: Any, place: Any) -> Any:
    """Return an address as Numba's ``carray`` takes it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@helper
def elements(part: int, parts: int, i: int, table: Any, ends: Any, numbers: Any) -> Any:
    """Return what share ``part`` has of parameter ``i`` and of its gradient, and where that stands in the slots."""
    size = ends[-1]
    start, stop = max(size * part // parts, ends[i]), min(size * (part + 1) // parts, ends[i + 1])
    count, skipped = max(stop - start, 0), (start - ends[i]) * numbers.itemsize
    p = numba.carray(pointer(table[0, i] + skipped), count, numbers.dtype)
    g = numba.carray(pointer(table[1, i] + skipped), count, numbers.dtype)
    return p, g, start, start + count


@helper
def normal(x: Any, tiny: Any) -> Any:
    """Return x, or 0 where it is below the smallest normal number; NaN stays."""
    return type(tiny)(0) if abs(x) < tiny else x


@kernel
def adam_share(part: int, parts: int, table: Any, ends: Any, ms: Any, vs: Any, highests: Any, numbers: Any) -> None:
    """Take share ``part`` of the parameters through :func:`adam`."""
    if shared_out(part, parts):
        return
    sign, decay, shrink = numbers[0], numbers[1], numbers[2]
    rest1, beta2, rest2, eps, scale, amsgrad = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    tiny = numbers[9]
    for member in range(ends.size - 1):
        p, g, start, stop = elements(part, parts, member, table, ends, numbers)
        m, v, highest = ms[start:stop], vs[start:stop], highests[start:stop]
        for i in range(p.size):
            x = g[i] * sign
            if decay != 0:
                x += p[i] * decay
            mean = normal(m[i] + (x - m[i]) * rest1, tiny)
            m[i] = mean
            spread = normal(v[i] * beta2 + (x * x) * rest2, tiny)
            v[i] = spread
            if amsgrad != 0:
                if spread > highest[i] or spread != spread:  # a NaN stays: nothing is larger
                    highest[i] = spread
                spread = highest[i]
            p[i] = p[i] * shrink - mean / (math.sqrt(spread) + eps) * scale


def adam(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their moments in place, as :class:`minidl.optim.Adam` does.

    Parameters
    ----------
    members : Members, of P elements together
    grads : sequence of arrays, one a parameter, of its shape
    slots : two or three arrays (P,)
        The mean gradient, the mean square, and, for AMSGrad, the largest mean square so far.
    numbers : sequence of float
        The sign of the gradient; what weight decay adds of the parameter to the gradient, and what it leaves of the
        parameter; ``1 - beta1``, ``beta2``, ``1 - beta2``, eps, and the learning rate with the bias corrections.
    """
    members.run(adam_share, grads, slots, (*numbers, len(slots) == 3))


@kernel
def sgd_share(part: int, parts: int, table: Any, ends: Any, speeds: Any, _2: Any, _3: Any, numbers: Any) -> None:
    """Take share ``part`` of the parameters through :func:`sgd`."""
    if shared_out(part, parts):
        return
    sign, decay, shrink, rate = numbers[0], numbers[1], numbers[2], numbers[3]
    momentum, keep, add, nesterov, tiny = numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    for member in range(ends.size - 1):
        p, g, start, stop = elements(part, parts, member, table, ends, numbers)
        velocity = speeds[start:stop]
        for i in range(p.size):
            x = g[i] * sign
            if decay != 0:
                x += p[i] * decay
            if momentum != 0:
                speed = x
                if keep != 0:
                    speed = normal(velocity[i] * momentum + x * add, tiny)
                velocity[i] = speed
                x = speed * momentum + x if nesterov != 0 else speed
            p[i] = p[i] * shrink - x * rate


def sgd(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their velocity in place, as :class:`minidl.optim.SGD` does.

    Parameters
    ----------
    members, grads
        As for :func:`adam`.
    slots : one array (P,), or, without momentum, none
        The velocity.
    numbers : sequence of float
        The sign of the gradient; what weight decay adds of the parameter to the gradient, and what it leaves of the
        parameter; the learning rate, the momentum, 0 at the first step and else 1, ``1 - dampening``, and 1 for
        Nesterov's momentum, else 0.
    """
    members.run(sgd_share, grads, slots, numbers)


@kernel
def keras_sgd_share(part: int, parts: int, table: Any, ends: Any, speeds: Any, _2: Any, _3: Any, numbers: Any) -> None:
    """Take share ``part`` of the parameters through :func:`keras_sgd`."""
    if shared_out(part, parts):
        return
    sign, shrink, rate = numbers[0], numbers[2], numbers[3]
    momentum, nesterov, tiny = numbers[4], numbers[5], numbers[6]
    for member in range(ends.size - 1):
        p, g, start, stop = elements(part, parts, member, table, ends, numbers)
        velocity = speeds[start:stop]
        for i in range(p.size):
            x = g[i] * sign * rate
            if momentum != 0:
                speed = normal(velocity[i] * momentum + x, tiny)
                velocity[i] = speed
                x = x + speed * momentum if nesterov != 0 else speed
            p[i] = p[i] * shrink - x


def keras_sgd(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their velocity in place, as :class:`minidl.optim.keras_rules.KerasSGD` does.

    Parameters
    ----------
    members, grads
        As for :func:`adam`.
    slots : one array (P,), or, without momentum, none
        The velocity.
    numbers : sequence of float
        The sign of the gradient; 0; what weight decay leaves of the parameter; the learning rate, the momentum, and 1
        for Nesterov's momentum, else 0.
    """
    members.run(keras_sgd_share, grads, slots, numbers)


@kernel
def rmsprop_share(
    part: int, parts: int, table: Any, ends: Any, squares: Any, means: Any, speeds: Any, numbers: Any
) -> None:
    """Take share ``part`` of the parameters through :func:`rmsprop`."""
    if shared_out(part, parts):
        return
    sign, decay, shrink = numbers[0], numbers[1], numbers[2]
    alpha, rest, inner, outer, rate = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7]
    momentum, centered, rate_first, tiny = numbers[8], numbers[9], numbers[10], numbers[11]
    for member in range(ends.size - 1):
        p, g, start, stop = elements(part, parts, member, table, ends, numbers)
        square, mean, velocity = squares[start:stop], means[start:stop], speeds[start:stop]
        for i in range(p.size):
            x = g[i] * sign
            if decay != 0:
                x += p[i] * decay
            spread = normal(square[i] * alpha + (x * x) * rest, tiny)
            square[i] = spread
            spread += inner
            if centered != 0:
                middle = normal(mean[i] + (x - mean[i]) * rest, tiny)
                mean[i] = middle
                spread -= middle * middle
            x /= math.sqrt(spread) + outer
            if rate_first != 0:
                x *= rate
            if momentum != 0:
                x = normal(velocity[i] * momentum + x, tiny)
                velocity[i] = x
            if rate_first == 0:
                x *= rate
            p[i] = p[i] * shrink - x


def rmsprop(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their means in place, as RMSprop of either dialect does.

    Parameters
    ----------
    members, grads
        As for :func:`adam`.
    slots : one to three arrays (P,)
        The mean square; if centered, the mean gradient; with momentum, the velocity.
    numbers : sequence of float
        The sign of the gradient; what weight decay adds of the parameter to the gradient, and what it leaves of the
        parameter; alpha, ``1 - alpha``, what is added below the root and what beside it, the learning rate, the
        momentum, 1 if centered, and 1 if the learning rate is in the velocity; else 0.
    """
    centered = numbers[9]
    members.run(rmsprop_share, grads, (slots[0], slots[1 if centered else 0], slots[-1]), numbers)
