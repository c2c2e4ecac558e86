"""The half of :class:`minidl.Tensor` that answers NumPy: what ``np.exp(x)``, ``array * x`` and ``np.mean(x)`` give.

NumPy's elementwise functions, its operators among them, and the reductions below are minidl's own: they return tensors
and record the graph. Every other function of NumPy computes on the tensor's array, as ``np.asarray`` gives it, and
returns what NumPy returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable, update
from minidl.backend import to_numpy

ELEMENTWISE: dict[Any, Callable[..., Any]] = {
    np.absolute: ops.abs,
    np.add: ops.add,
    np.arccos: ops.acos,
    np.arccosh: ops.acosh,
    np.arcsin: ops.asin,
    np.arcsinh: ops.asinh,
    np.arctan: ops.atan,
    np.arctan2: ops.atan2,
    np.arctanh: ops.atanh,
    np.bitwise_and: ops.bitwise_and,
    np.bitwise_not: ops.bitwise_not,
    np.bitwise_or: ops.bitwise_or,
    np.bitwise_xor: ops.bitwise_xor,
    np.ceil: ops.ceil,
    np.cos: ops.cos,
    np.cosh: ops.cosh,
    np.divide: ops.div,
    np.equal: ops.eq,
    np.exp: ops.exp,
    np.expm1: ops.expm1,
    np.floor: ops.floor,
    np.floor_divide: ops.floor_divide,
    np.fmod: ops.fmod,
    np.greater: ops.gt,
    np.greater_equal: ops.ge,
    np.isfinite: ops.isfinite,
    np.isinf: ops.isinf,
    np.isnan: ops.isnan,
    np.left_shift: ops.bitwise_left_shift,
    np.less: ops.lt,
    np.less_equal: ops.le,
    np.log: ops.log,
    np.log10: ops.log10,
    np.log1p: ops.log1p,
    np.log2: ops.log2,
    np.logaddexp: ops.logaddexp,
    np.logical_and: ops.logical_and,
    np.logical_not: ops.logical_not,
    np.logical_or: ops.logical_or,
    np.logical_xor: ops.logical_xor,
    np.matmul: ops.matmul,
    np.maximum: ops.maximum,
    np.minimum: ops.minimum,
    np.multiply: ops.mul,
    np.negative: ops.neg,
    np.not_equal: ops.ne,
    np.power: ops.pow,
    np.reciprocal: ops.reciprocal,
    np.remainder: ops.remainder,
    np.right_shift: ops.bitwise_right_shift,
    np.rint: ops.round,
    np.sign: ops.sign,
    np.sin: ops.sin,
    np.sinh: ops.sinh,
    np.sqrt: ops.sqrt,
    np.square: ops.square,
    np.subtract: ops.sub,
    np.tan: ops.tan,
    np.tanh: ops.tanh,
    np.trunc: ops.trunc,
}

#: Those that mean the same in NumPy and in minidl (``std`` does not: it divides by n there, and by n - 1 here).
REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.all: ops.all,
    np.any: ops.any,
    np.argmax: ops.argmax,
    np.argmin: ops.argmin,
    np.max: ops.amax,
    np.mean: ops.mean,
    np.min: ops.amin,
    np.prod: ops.prod,
    np.sum: ops.sum,
}


class NumPy:
    """What NumPy's functions find on a tensor."""

    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        (out,) = kwargs.pop("out", (None,))
        if out is not None and not isinstance(out, Variable):
            kwargs["out"] = out  # an array stays NumPy's: array += x
        function = ELEMENTWISE.get(ufunc)
        if function is not None and method == "__call__" and not kwargs:
            result = function(*inputs)
        else:
            result = getattr(ufunc, method)(*arrays(inputs), **arrays(kwargs))
        if isinstance(out, Variable):
            return update(out, ops.as_tensor(result), f"np.{ufunc.__name__}")
        return result

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        reduction = REDUCTIONS.get(function)
        if reduction is not None and len(args) <= 2 and kwargs.keys() <= {"axis", "keepdims"}:
            return reduction(*args, **kwargs)
        return function(*arrays(args), **arrays(kwargs))


def arrays(value: Any) -> Any:
    """Replace tensors, in nested lists, tuples and dicts too, by their arrays."""
    if isinstance(value, Variable):
        return to_numpy(value.array)
    if type(value) in (list, tuple):
        return type(value)(map(arrays, value))
    return {name: arrays(x) for name, x in value.items()} if type(value) is dict else value
