"""The methods and operators of :class:`minidl.Tensor` that write into it: ``x += y``, ``x.add_(y)``, ``x.relu_()``.

Each line names the operation whose result is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl import ops
from minidl.autograd import update


def in_place(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Return the method that writes ``function(x, ...)`` into ``x`` and returns ``x``."""
    label = name or f"{function.__name__}_"

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return update(self, function(self, *args, **kwargs), label)

    method.__name__ = label
    method.__doc__ = f"Write the result of :func:`minidl.{function.__name__}` into this tensor, and return it."
    return method


class InPlace:
    """The in-place half of :class:`minidl.Tensor`."""

    __iadd__ = in_place(ops.add, "+=")
    __isub__ = in_place(ops.sub, "-=")
    __imul__ = in_place(ops.mul, "*=")
    __itruediv__ = in_place(ops.div, "/=")
    __ifloordiv__ = in_place(ops.floor_divide, "//=")
    __imod__ = in_place(ops.remainder, "%=")
    __imatmul__ = in_place(ops.matmul, "@=")
    __ipow__ = in_place(ops.pow, "**=")
    __iand__ = in_place(ops.bitwise_and, "&=")
    __ior__ = in_place(ops.bitwise_or, "|=")
    __ixor__ = in_place(ops.bitwise_xor, "^=")
    __ilshift__ = in_place(ops.bitwise_left_shift, "<<=")
    __irshift__ = in_place(ops.bitwise_right_shift, ">>=")

    # arithmetic.py, powers.py
    add_ = in_place(ops.add)
    sub_ = in_place(ops.sub)
    subtract_ = in_place(ops.sub, "subtract_")
    mul_ = in_place(ops.mul)
    multiply_ = in_place(ops.mul, "multiply_")
    div_ = in_place(ops.div)
    divide_ = in_place(ops.div, "divide_")
    true_divide_ = in_place(ops.div, "true_divide_")
    floor_divide_ = in_place(ops.floor_divide)
    remainder_ = in_place(ops.remainder)
    fmod_ = in_place(ops.fmod)
    neg_ = in_place(ops.neg)
    negative_ = in_place(ops.neg, "negative_")
    reciprocal_ = in_place(ops.reciprocal)
    lerp_ = in_place(ops.lerp)
    addcmul_ = in_place(ops.addcmul)
    addcdiv_ = in_place(ops.addcdiv)
    pow_ = in_place(ops.pow)
    square_ = in_place(ops.square)
    sqrt_ = in_place(ops.sqrt)
    rsqrt_ = in_place(ops.rsqrt)
    exp_ = in_place(ops.exp)
    expm1_ = in_place(ops.expm1)
    log_ = in_place(ops.log)
    log1p_ = in_place(ops.log1p)
    log2_ = in_place(ops.log2)
    log10_ = in_place(ops.log10)

    # elementwise.py, selection.py
    abs_ = in_place(ops.abs)
    absolute_ = in_place(ops.abs, "absolute_")
    sign_ = in_place(ops.sign)
    sigmoid_ = in_place(ops.sigmoid)
    relu_ = in_place(ops.relu)
    erf_ = in_place(ops.erf)
    round_ = in_place(ops.round)
    floor_ = in_place(ops.floor)
    ceil_ = in_place(ops.ceil)
    trunc_ = in_place(ops.trunc)
    fix_ = in_place(ops.trunc, "fix_")
    nan_to_num_ = in_place(ops.nan_to_num)
    clip_ = in_place(ops.clip)
    clamp_ = in_place(ops.clip, "clamp_")
    clamp_min_ = in_place(ops.clamp_min)
    clamp_max_ = in_place(ops.clamp_max)

    # trigonometry.py
    sin_ = in_place(ops.sin)
    cos_ = in_place(ops.cos)
    tan_ = in_place(ops.tan)
    asin_ = in_place(ops.asin)
    arcsin_ = in_place(ops.asin, "arcsin_")
    acos_ = in_place(ops.acos)
    arccos_ = in_place(ops.acos, "arccos_")
    atan_ = in_place(ops.atan)
    arctan_ = in_place(ops.atan, "arctan_")
    atan2_ = in_place(ops.atan2)
    sinh_ = in_place(ops.sinh)
    cosh_ = in_place(ops.cosh)
    tanh_ = in_place(ops.tanh)
    asinh_ = in_place(ops.asinh)
    acosh_ = in_place(ops.acosh)
    atanh_ = in_place(ops.atanh)

    # comparison.py
    logical_and_ = in_place(ops.logical_and)
    logical_or_ = in_place(ops.logical_or)
    logical_xor_ = in_place(ops.logical_xor)
    logical_not_ = in_place(ops.logical_not)
    bitwise_and_ = in_place(ops.bitwise_and)
    bitwise_or_ = in_place(ops.bitwise_or)
    bitwise_xor_ = in_place(ops.bitwise_xor)
    bitwise_not_ = in_place(ops.bitwise_not)

    # shape.py, gathering.py
    index_add_ = in_place(ops.index_add)
    masked_fill_ = in_place(ops.masked_fill)
    scatter_ = in_place(ops.scatter)
    scatter_add_ = in_place(ops.scatter_add)
    tril_ = in_place(ops.tril)
    triu_ = in_place(ops.triu)

    # ------------------------------------------------------------------ whatever it held before

    def __setitem__(self, index: Any, value: Any) -> None:
        ops.indexing.assign(self, index, value)

    def fill_(self, value: Any) -> Any:
        """Write one number into every element, and return the tensor."""
        self[...] = value
        return self

    def zero_(self) -> Any:
        """Write zeros into every element, and return the tensor."""
        self[...] = 0
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> Any:
        """Write the values of ``source``, which may broadcast, and return the tensor; differentiable.

        Parameters
        ----------
        source : Tensor, array or number
        non_blocking : bool
            Accepted, without effect.
        """
        self[...] = source
        return self

    def uniform_(self, low: float = 0.0, high: float = 1.0) -> Any:
        """Write numbers uniformly distributed over [low, high), and return the tensor."""
        self[...] = ops.rand_like(self) * (high - low) + low
        return self

    def normal_(self, mean: float = 0.0, std: float = 1.0) -> Any:
        """Write normal numbers of the given mean and standard deviation, and return the tensor."""
        self[...] = ops.randn_like(self) * std + mean
        return self

    # scans.py, linalg.py
    cumsum_ = in_place(ops.cumsum)
    cumprod_ = in_place(ops.cumprod)
    addmm_ = in_place(ops.addmm)
    baddbmm_ = in_place(ops.baddbmm)
