"""The stand-in's universal functions: CuPy's loops and keywords, NumPy's arithmetic."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tests.stand_in import api
from tests.stand_in.arrays import _index, ndarray, operand, unwrap, wrap

#: What ``.at`` takes beside integers; CuPy adds with atomics, and there are none for the rest.
AT_FLOATS = {"add": "efd", "maximum": "fd", "minimum": "fd", "subtract": ""}
BFLOAT16 = "E"


class Ufunc:
    """Stand-in of ``cupy.ufunc``."""

    def __init__(self, name: str, owner: str, function: Any) -> None:
        what = api.entry(owner, name)
        self.name = self.__name__ = name
        self.types = [loop for loop in what["loops"] if BFLOAT16 not in loop]
        self._at = what["at"]
        self._function = function
        self.nin, self.nout = (len(part) for part in self.types[0].split("->"))

    def __repr__(self) -> str:
        return f"<ufunc {self.name!r}>"

    @np.errstate(all="ignore")
    def __call__(
        self, *args: Any, out: Any = None, where: Any = True, dtype: Any = None, casting: str = "same_kind"
    ) -> Any:
        if len(args) > self.nin:
            args, out = args[: self.nin], args[self.nin :]
        outs = out if isinstance(out, tuple) else (out,)
        if any(x is not None and not isinstance(x, ndarray) for x in outs):
            raise TypeError("return arrays must be of cupy.ndarray type")
        if not any(isinstance(x, ndarray) for x in (*args, *outs)):
            raise TypeError(f"{self.name}: no operand on the device, NumPy would do")
        inputs = [operand(x, self.name) for x in args]
        wanted = self._result_types(inputs) if dtype is None else None
        keywords: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        if where is not True:
            keywords["where"] = operand(where, self.name)
        if outs[0] is not None:
            keywords["out"] = tuple(unwrap(x, self.name) for x in outs)
            self._function(*inputs, casting=casting, **keywords)
            return outs[0] if len(outs) == 1 else outs
        result = self._function(*inputs, **keywords)
        parts = result if isinstance(result, tuple) else (result,)
        placed = tuple(
            ndarray._of(np.asarray(part, dtype=wanted[i] if wanted else None, order="C"))
            for i, part in enumerate(parts)
        )
        return placed if isinstance(result, tuple) else placed[0]

    def _result_types(self, inputs: list[Any]) -> tuple[np.dtype, ...]:
        """Return the dtypes of CuPy's results: of its first loop that the operands fit into."""
        weak = tuple(type(x) if type(x) in (bool, int, float, complex) else None for x in inputs)
        dtypes = tuple(None if kind else x.dtype for x, kind in zip(inputs, weak, strict=True))
        return _results(self.name, tuple(self.types), dtypes, weak)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        if not self._at:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if a.dtype.kind not in "iu" and a.dtype.char not in AT_FLOATS.get(self.name, ""):
            raise TypeError(f"cupy.{self.name}.at does not support {a.dtype}")
        self._function.at(unwrap(a, self.name), _index(a, indices), operand(b, self.name))

    def reduce(self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        total = self._function.reduce(unwrap(array, self.name), axis=axis, dtype=dtype, keepdims=keepdims)
        return wrap(total)

    def accumulate(self, array: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")
        return wrap(self._function.accumulate(unwrap(array, self.name), axis=axis, dtype=dtype))

    def outer(self, a: Any, b: Any, **kwargs: Any) -> Any:
        return wrap(self._function.outer(operand(a, self.name), operand(b, self.name), **kwargs))


@functools.cache
def _results(name: str, loops: tuple[str, ...], dtypes: tuple[Any, ...], weak: tuple[Any, ...]) -> tuple[Any, ...]:
    known = [dtype for dtype in dtypes if dtype is not None]
    common = np.result_type(*known, *(kind(0) for kind in weak if kind)) if known else None
    operands = [common if dtype is None else dtype for dtype in dtypes]
    for loop in loops:
        takes, _, gives = loop.partition("->")
        if common is not None and all(np.can_cast(a, t) for a, t in zip(operands, takes, strict=True)):
            return tuple(np.dtype(char) for char in gives)
    if common is None:
        return (None,) * len(loops[0].partition("->")[2])
    raise TypeError(f"cupy.{name} has no loop for {', '.join(map(str, operands))}")
