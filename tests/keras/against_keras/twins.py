"""Twins: one model written once and made by minidl and by real Keras, with the same weights, trained side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import minidl
from minidl import keras
from tests.keras.yardstick import keras as real
from tests.keras.yardstick import torch

# Both compute in float32, whose rounding is 6e-8 of a number: sums in other orders differ by some times that, and 20
# steps of training carry the differences on.
ROUNDING = 2e-5


class Twins(NamedTuple):
    """The two models."""

    mine: Any
    theirs: Any

    def agree_on(self, do: Callable[[Any, Any], Any], tolerance: float = ROUNDING) -> Any:
        """Do something with both models, compare what it returns and the weights after it, return what minidl gave.

        Parameters
        ----------
        do : callable ``(model, keras)``
        """
        found = do(self.mine, keras)
        with keras_at_work():
            expected, weights = do(self.theirs, real), self.theirs.get_weights()
        close(found, expected, tolerance)
        close(self.mine.get_weights(), weights, tolerance, "weights")
        return found


def twins(make: Callable[[Any], Any]) -> Twins:
    """Return what ``make(keras)`` makes of minidl's Keras and of real Keras, with the weights of the latter."""
    real.utils.set_random_seed(0)
    mine = make(keras)
    with keras_at_work():
        theirs = make(real)
        if theirs.built:
            mine.set_weights(theirs.get_weights())
    return Twins(mine, theirs)


@contextmanager
def keras_at_work() -> Iterator[None]:
    """Overlook what real Keras itself is warned of: its variables have an ``__array__`` of NumPy 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def close(found: Any, expected: Any, tolerance: float = ROUNDING, where: str = "result") -> None:
    """Compare numbers, arrays, and dicts and lists of them, to a share of the largest."""
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys(), where  # Keras sorts them
        for key, value in expected.items():
            close(found[key], value, tolerance, f"{where}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert isinstance(found, (list, tuple)), where
        assert len(found) == len(expected), where
        for i, (x, y) in enumerate(zip(found, expected, strict=True)):
            close(x, y, tolerance, f"{where}[{i}]")
    elif expected is None or isinstance(expected, (str, bool)):
        assert found == expected, where
    else:
        mine, theirs = plain(found), plain(expected)
        assert mine.shape == theirs.shape, where
        scale = max(1.0, float(np.abs(theirs).max(initial=0)))
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * scale, err_msg=where)


def plain(x: Any) -> np.ndarray:
    """Return a number, an array or either library's tensor as an array."""
    return np.asarray(x.detach().numpy() if isinstance(x, (minidl.Tensor, torch.Tensor)) else x)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return random float32 numbers."""
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype("float32")


def trained(x: Any, y: Any, **how: Any) -> Callable[[Any, Any], Any]:
    """Return what to do with a compiled model: 20 steps of training, with all that can be asked for around it."""
    how = {"batch_size": 6, "epochs": 2, "shuffle": False, "verbose": 0, **how}

    def do(model: Any, _: Any) -> Any:
        before = model.predict(x, verbose=0)
        history = model.fit(x, y, **how).history
        return before, history, model.evaluate(x, y, verbose=0), model.predict(x, batch_size=7, verbose=0)

    return do


def fitted(x: Any, y: Any, **how: Any) -> Callable[[Any, Any], Any]:
    """Return what to do with a compiled model: 20 steps of training, and a look at what it learned."""

    def do(model: Any, _: Any) -> Any:
        history = model.fit(x, y, batch_size=6, epochs=2, shuffle=False, verbose=0, **how).history
        return history, model.predict_on_batch(x)

    return do
