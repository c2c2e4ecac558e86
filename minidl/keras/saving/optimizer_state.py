"""The state of an optimizer as Keras's files have it: steps, learning rate, then what it keeps for each weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.errors import FormatError
from minidl.keras.saving.weights import Plan, values

__all__ = ["in_keras_3_order", "restore", "state_of"]


def state_of(optimizer: Any) -> list[tuple[str, np.ndarray]]:
    """Return the paths and values of what an optimizer keeps, in Keras 3's order."""
    return [(x.path, values(x)) for x in optimizer.variables]


def restore(optimizer: Any, arrays: Sequence[Any], place: str, plan: Plan) -> None:
    """Enter a state into a plan, for an optimizer that is built.

    Raises
    ------
    FormatError
        If it does not fit the optimizer.
    """
    variables = optimizer.variables
    if len(arrays) == 2:  # saved before the first step: the number of steps and the learning rate alone
        variables = variables[:2]
    if len(arrays) != len(variables):
        raise FormatError(f"{place}: {len(arrays)} arrays, but a {type(optimizer).__name__} has {len(variables)} here")
    steps, rate = arrays[:2]
    if isinstance(steps, np.ndarray) and steps.size and steps.min() < 0:
        raise FormatError(f"{place}: {steps} steps were taken; expected 0 or more")
    if isinstance(rate, np.ndarray) and rate.size == 1 and not 0 <= rate.item() < math.inf:
        raise FormatError(f"{place}: a learning rate of {rate}; expected a number that is not negative")
    plan.add(place, variables, arrays)


def in_keras_3_order(optimizer: Any, names: Sequence[str], arrays: list[Any]) -> list[Any] | None:
    """Return what a file holds in Keras 3's order, or None if it was written in one that is not known.

    Keras 2 writes ``Adam/iter:0``, then ``.../m:0`` of all weights, then ``.../v:0`` of all; the learning rate stands
    in the config alone. Keras 3 writes it second, and then ``momentum`` and ``velocity`` weight by weight.
    """
    if not any(name.endswith(":0") for name in names) or not arrays:
        return arrays
    rate = np.asarray(optimizer.learning_rate, np.float32)
    steps, *slots = arrays
    if len(slots) + 2 != len(optimizer.variables):
        return arrays if len(arrays) == len(optimizer.variables) else None
    kinds = list(dict.fromkeys(name.rpartition("/")[2] for name in names[1:]))
    if kinds not in ([], ["m:0"], ["v:0"], ["momentum:0"], ["rms:0"], ["accumulator:0"], ["m:0", "v:0"]):
        return None
    count = len(slots) // max(len(kinds), 1)
    return [steps, rate, *(slots[i + k * count] for i in range(count) for k in range(len(kinds)))]
