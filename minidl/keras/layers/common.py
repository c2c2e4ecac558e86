"""What Keras's own layers share: how arguments are kept, how shapes are refused, random numbers with a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from minidl.autograd import wrap
from minidl.errors import ArgumentError, ShapeError
from minidl.keras import activations, constraints, initializers, regularizers
from minidl.keras.layer import Layer

#: How an argument that may be a name becomes what it stands for, by the end of the argument's own name.
_RESOLVED = {
    "activation": activations.get,
    "initializer": initializers.get,
    "regularizer": regularizers.get,
    "constraint": constraints.get,
}


class BuiltinLayer(Layer):
    """A layer of Keras's own."""

    #: Arguments that configs have only where they are given.
    _optional: ClassVar[tuple[str, ...]] = ()

    def _keep(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments of ``__init__`` (its ``locals()``) in attributes; names become what they stand for."""
        for name, value in arguments.items():
            if name in ("self", "kwargs", "name", "activity_regularizer") or name.startswith("__"):
                continue
            resolve = _RESOLVED.get(name.rpartition("_")[2])
            setattr(self, name, value if resolve is None else resolve(value))

    def _refuse_given(self, **arguments: Any) -> None:
        """Raise an ArgumentError if one of the arguments, which have no meaning here, is given."""
        for name, value in arguments.items():
            if value:
                raise ArgumentError(f"{type(self).__name__}: {name}={value!r} is not available in minidl; leave it out")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for key in config:
            if key.endswith("activation"):
                config[key] = activations.serialize(getattr(self, key))
        return {key: value for key, value in config.items() if value is not None or key not in self._optional}


def positive(layer: Layer, **arguments: Any) -> None:
    """Raise an ArgumentError unless all arguments are positive integers."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(f"{type(layer).__name__}: {name}={value!r}; expected a positive integer")


def size_known(layer: Layer, shape: Sequence[int | None], axis: int = -1) -> int:
    """Return the size of an axis that weights depend on."""
    size = shape[axis] if len(shape) > 1 else None
    if size is None:
        raise ShapeError(
            f"{layer.name}: the weights depend on the size of axis {axis} of the input, which has shape "
            f"{tuple(shape)}; give the input a shape in which it is known"
        )
    return size


def check_features(layer: Layer, shape: Sequence[int | None], expected: int, axis: int = -1) -> None:
    """Raise a ShapeError unless an axis of the input has the size that the weights were built for."""
    if len(shape) < 2 or shape[axis] not in (expected, None):
        found = f"{shape[axis]} along axis {axis}" if len(shape) > 1 else "no axis of features beside the batch"
        raise ShapeError(
            f"{layer.name}: the input has shape {tuple(shape)}, with {found}, but the layer was built for {expected}; "
            f"give it inputs with {expected} there, or make a new layer for these"
        )


class RandomLayer(BuiltinLayer):
    """A layer that draws random numbers: the shared generator's, or, with ``seed``, its own."""

    seed: int | None = None
    draws: Any

    def _start_seed(self, seed: Any) -> None:
        """Keep a seed; how many draws were made from it is a buffer, so that checkpoints have it."""
        self.seed = seed
        if seed is None:
            return
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ArgumentError(f"{type(self).__name__}: seed={seed!r}; expected a non-negative integer, or None")
        self.register_buffer("draws", wrap(np.array(0)))

    def _generator(self) -> np.random.Generator | None:
        """Return the generator for the next draw, or None for the shared one."""
        if self.seed is None:
            return None
        count = int(self.draws.array)
        self.draws = wrap(np.array(count + 1))  # on the host, wherever the model is: no step waits for a GPU to tell it
        return np.random.default_rng([self.seed, count])


def check_rate(layer: Layer, **rates: Any) -> None:
    """Raise an ArgumentError unless all arguments are shares from 0 to 1."""
    for name, rate in rates.items():
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 <= rate <= 1:
            raise ArgumentError(
                f"{type(layer).__name__}: {name}={rate!r}; expected the share that is dropped, from 0 to 1"
            )
