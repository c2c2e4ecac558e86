"""The stand-in's random numbers: NumPy's generators behind CuPy's methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.stand_in import api
from tests.stand_in.arrays import ndarray, operand, unwrap


class _Drawer:
    """A generator whose methods are those of CuPy's class ``owner``."""

    owner = ""

    def __init__(self, host: Any) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Callable[..., Any]:
        api.entry(self.owner, name)
        draw = getattr(self._host, name)

        def call(*args: Any, dtype: Any = None, out: Any = None, **kwargs: Any) -> ndarray:
            keywords = {
                **kwargs,
                **({} if dtype is None else {"dtype": dtype}),
                **({} if out is None else {"out": out}),
            }
            api.check_call(self.owner, name, args, keywords)
            if name == "random" and dtype is not None and np.dtype(dtype).char not in "fd":
                raise TypeError(f"Unsupported dtype {np.dtype(dtype)!r} for random")
            numbers = np.asarray(
                draw(*(operand_or_shape(x) for x in args), **{k: operand_or_shape(x) for k, x in kwargs.items()})
            )
            numbers = numbers if dtype is None else numbers.astype(dtype)
            if out is None:
                return ndarray._of(numbers)
            unwrap(out, name)[...] = numbers
            return out

        return call


def operand_or_shape(value: Any) -> Any:
    return value if isinstance(value, (tuple, list)) else operand(value, "random")


class Generator(_Drawer):
    """Stand-in of ``cupy.random.Generator``. It has no ``normal``, ``shuffle``, ``permutation`` or ``choice``."""

    owner = "cupy.random.Generator"

    def __init__(self, bit_generator: Any) -> None:
        super().__init__(np.random.Generator(bit_generator))


class RandomState(_Drawer):
    """Stand-in of ``cupy.random.RandomState``."""

    owner = "cupy.random.RandomState"

    def __init__(self, seed: Any = None, method: int = 100) -> None:
        super().__init__(np.random.RandomState(seed))


def default_rng(seed: Any = None) -> Generator:
    return seed if isinstance(seed, Generator) else Generator(np.random.PCG64(seed))


RANDOM = {
    "Generator": Generator,
    "Philox4x3210": np.random.Philox,
    "RandomState": RandomState,
    "XORWOW": np.random.PCG64,
    "default_rng": default_rng,
}
