"""What optimisers take and keep: numbers in their ranges, and arrays as files have them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minidl.autograd import Variable
from minidl.backend import default_dtype, is_array, to_numpy
from minidl.errors import ArgumentError, DTypeError

__all__ = ["OptimizerVariable", "Slot", "as_read", "as_stored", "as_values", "check_count", "check_number"]


class OptimizerVariable(NamedTuple):
    """What an optimiser keeps, as a file holds it: a name, and a copy of the values."""

    path: str
    value: np.ndarray

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.value.shape

    def numpy(self) -> np.ndarray:
        """Return the values."""
        return self.value


class Slot(NamedTuple):
    """An array that Keras keeps for each parameter, and the rule's own name for it."""

    name: str  # Keras's
    key: str  # in the rule's state
    sign: int = 1  # -1 where Keras keeps the negative


def check_number(owner: str, name: str, value: Any, most: float = math.inf, below: float = math.inf) -> float:
    """Return a number from 0 to ``most``, less than ``below``; raise an error if it is anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise DTypeError(f"{owner}: {name} must be a number, got {value!r}")
    if not 0 <= value <= most or (value >= below and below < math.inf):
        wanted = f"in [0, {below})" if below < math.inf else f"in [0, {most}]" if most < math.inf else "0 or more"
        raise ArgumentError(f"{owner}: {name} must be {wanted}, got {value}")
    return float(value)


def check_count(owner: str, name: str, value: Any, least: int) -> None:
    """Raise an error unless a value is None, or an int of at least ``least``."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(f"{owner}: {name} must be an int of at least {least}, or None, got {value!r}")


def as_stored(rate: float) -> float:
    """Return a learning rate as Keras steps with it: rounded to the default dtype, as files hold it."""
    return float(default_dtype().type(rate))


def as_read(stored: np.ndarray) -> float:
    """Return the shortest number that is stored as this one: 0.001, not 0.0010000000474974513."""
    return float(str(default_dtype().type(stored)))


def as_values(x: Any) -> np.ndarray:
    """Return a NumPy array of what a variable, a tensor or an array holds."""
    if isinstance(x, OptimizerVariable):
        return x.value
    x = x.array if isinstance(x, Variable) else x
    return to_numpy(x) if is_array(x) else np.asarray(x)
