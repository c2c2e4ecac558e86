"""Steps of optimisers in one pass over each parameter, where NumPy makes a pass for each operation of the formula.

Adam reads four arrays and writes three; in a dozen calls of NumPy each of them comes through the cache several times,
and a small network waits for the calls themselves. Every operation here rounds as NumPy's does, in the same order and
without contracting a product and a sum into one, so it makes no difference to a single bit which of the two runs, and
when training goes from one to the other. With one exception: a moment below the smallest normal number becomes 0. The
mean gradient of a unit that has died shrinks by a tenth a step, and after 830 steps of float32 is denormal, on which a
CPU needs a hundred cycles an operation: a step of 100,000 parameters then took 1,050 us, and 160 before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.kernels.cpu.compiler import helper, kernel
from minidl.kernels.cpu.pool import run, shared_out
from minidl.kernels.cpu.threads import parts_for

__all__ = ["adam", "keras_sgd", "rmsprop", "sgd"]

LEAST_WORK = 2**14  # elements that are worth a thread: some 15 us
TINY = {dtype.char: float(np.finfo(dtype).smallest_normal) for dtype in map(np.dtype, ("float32", "float64"))}


@helper
def normal(x: Any, tiny: Any) -> Any:
    """Return x, or 0 where it is below the smallest normal number; NaN stays."""
    return type(tiny)(0) if abs(x) < tiny else x


@kernel
def adam_share(part: int, parts: int, p: Any, g: Any, m: Any, v: Any, highest: Any, numbers: Any) -> None:
    """Take share ``part`` of flat arrays through :func:`adam`."""
    if shared_out(part, parts):
        return
    start, stop = p.size * part // parts, p.size * (part + 1) // parts
    p, g, m, v, highest = p[start:stop], g[start:stop], m[start:stop], v[start:stop], highest[start:stop]
    sign, decay, shrink = numbers[0], numbers[1], numbers[2]
    rest1, beta2, rest2, eps, scale, amsgrad = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    tiny = numbers[9]
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


def adam(p: Any, g: Any, slots: Any, numbers: tuple[float, ...]) -> None:
    """Change a flat parameter and its moments in place, as :class:`minidl.optim.Adam` does.

    Parameters
    ----------
    p, g : arrays (P,)
        The parameter and its gradient.
    slots : two or three arrays (P,)
        The mean gradient, the mean square, and, for AMSGrad, the largest mean square so far.
    numbers : tuple of float
        The sign of the gradient; what weight decay adds of the parameter to the gradient, and what it leaves of the
        parameter; ``1 - beta1``, ``beta2``, ``1 - beta2``, eps, and the learning rate with the bias corrections.
    """
    amsgrad = len(slots) == 3
    constants = np.array((*numbers, amsgrad, TINY[p.dtype.char]), p.dtype)
    run(adam_share, parts_for(p.size, LEAST_WORK), p, g, slots[0], slots[1], slots[2 if amsgrad else 1], constants)


@kernel
def sgd_share(part: int, parts: int, p: Any, g: Any, velocity: Any, numbers: Any) -> None:
    """Take share ``part`` of flat arrays through :func:`sgd`."""
    if shared_out(part, parts):
        return
    start, stop = p.size * part // parts, p.size * (part + 1) // parts
    p, g, velocity = p[start:stop], g[start:stop], velocity[start:stop]
    sign, decay, shrink, rate = numbers[0], numbers[1], numbers[2], numbers[3]
    momentum, keep, add, nesterov, tiny = numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
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


def sgd(p: Any, g: Any, slots: Any, numbers: tuple[float, ...]) -> None:
    """Change a flat parameter and its velocity in place, as :class:`minidl.optim.SGD` does.

    Parameters
    ----------
    p, g : arrays (P,)
        The parameter and its gradient.
    slots : none or one array (P,)
        The velocity.
    numbers : tuple of float
        The sign of the gradient; what weight decay adds of the parameter to the gradient, and what it leaves of the
        parameter; the learning rate, the momentum, 0 at the first step and else 1, ``1 - dampening``, and 1 for
        Nesterov's momentum, else 0.
    """
    constants = np.array((*numbers, TINY[p.dtype.char]), p.dtype)
    run(sgd_share, parts_for(p.size, LEAST_WORK), p, g, slots[0] if slots else g, constants)


@kernel
def keras_sgd_share(part: int, parts: int, p: Any, g: Any, velocity: Any, numbers: Any) -> None:
    """Take share ``part`` of flat arrays through :func:`keras_sgd`."""
    if shared_out(part, parts):
        return
    start, stop = p.size * part // parts, p.size * (part + 1) // parts
    p, g, velocity = p[start:stop], g[start:stop], velocity[start:stop]
    sign, shrink, rate, momentum, nesterov, tiny = (
        numbers[0],
        numbers[2],
        numbers[3],
        numbers[4],
        numbers[5],
        numbers[6],
    )
    for i in range(p.size):
        x = g[i] * sign * rate
        if momentum != 0:
            speed = normal(velocity[i] * momentum + x, tiny)
            velocity[i] = speed
            x = x + speed * momentum if nesterov != 0 else speed
        p[i] = p[i] * shrink - x


def keras_sgd(p: Any, g: Any, slots: Any, numbers: tuple[float, ...]) -> None:
    """Change a flat parameter and its velocity in place, as :class:`minidl.optim.keras_rules.KerasSGD` does.

    Parameters
    ----------
    p, g : arrays (P,)
        The parameter and its gradient.
    slots : none or one array (P,)
        The velocity.
    numbers : tuple of float
        The sign of the gradient; 0; what weight decay leaves of the parameter; the learning rate, the momentum, and 1
        for Nesterov's momentum, else 0.
    """
    constants = np.array((*numbers, TINY[p.dtype.char]), p.dtype)
    run(keras_sgd_share, parts_for(p.size, LEAST_WORK), p, g, slots[0] if slots else g, constants)


@kernel
def rmsprop_share(part: int, parts: int, p: Any, g: Any, square: Any, mean: Any, velocity: Any, numbers: Any) -> None:
    """Take share ``part`` of flat arrays through :func:`rmsprop`."""
    if shared_out(part, parts):
        return
    start, stop = p.size * part // parts, p.size * (part + 1) // parts
    p, g, square, mean, velocity = (
        p[start:stop],
        g[start:stop],
        square[start:stop],
        mean[start:stop],
        velocity[start:stop],
    )
    sign, decay, shrink = numbers[0], numbers[1], numbers[2]
    alpha, rest, inner, outer, rate = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7]
    momentum, centered, rate_first, tiny = numbers[8], numbers[9], numbers[10], numbers[11]
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


def rmsprop(p: Any, g: Any, slots: Any, numbers: tuple[float, ...]) -> None:
    """Change a flat parameter and its means in place, as RMSprop of either dialect does.

    Parameters
    ----------
    p, g : arrays (P,)
        The parameter and its gradient.
    slots : one to three arrays (P,)
        The mean square; if centered, the mean gradient; with momentum, the velocity.
    numbers : tuple of float
        The sign of the gradient; what weight decay adds of the parameter to the gradient, and what it leaves of the
        parameter; alpha, ``1 - alpha``, what is added below the root and what beside it, the learning rate, the
        momentum, 1 if centered, and 1 if the learning rate is in the velocity; else 0.
    """
    constants = np.array((*numbers, TINY[p.dtype.char]), p.dtype)
    mean = slots[1] if numbers[9] else slots[0]
    run(rmsprop_share, parts_for(p.size, LEAST_WORK), p, g, slots[0], mean, slots[-1], constants)
