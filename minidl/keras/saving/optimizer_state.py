"""The state of an optimizer as Keras's files have it: steps, learning rate, then what it keeps for each weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.errors import FormatError
from minidl.keras.saving.weights import misfit

__all__ = ["in_keras_3_order", "restore", "state_of"]


def state_of(optimizer: Any) -> list[tuple[str, np.ndarray]]:
    """Return the paths and values of what an optimizer keeps, in Keras 3's order."""
    return [(x.path, x.value) for x in optimizer.variables]


def restore(optimizer: Any, arrays: Sequence[Any], place: str) -> list[np.ndarray]:
    """Return what ``set_weights`` of an optimizer that is built is to be given for what a file holds.

    Raises
    ------
    FormatError
        If it does not fit the optimizer.
    """
    own = optimizer.variables
    head = [x for x in own[:2] if x.name in ("iteration", "learning_rate")]
    expected = head if len(arrays) == len(head) else own  # the head alone was saved before the first step
    if len(arrays) != len(expected):
        raise FormatError(f"{place}: {len(arrays)} arrays, but this {type(optimizer).__name__} keeps {len(own)}")
    for x, array in zip(expected, arrays, strict=True):
        problem = misfit(array, x.value.shape, x.value.dtype)
        if not problem and x.name == "iteration" and array < 0:
            problem = f"{array} steps taken; expected 0 or more"
        if not problem and x.name == "learning_rate" and not 0 <= array < math.inf:
            problem = f"{array}; expected a number that is not negative"
        if problem:
            raise FormatError(f"{place}: {x.path}: {problem}")
    with np.errstate(over="ignore"):
        given = [array.astype(x.value.dtype) for x, array in zip(expected, arrays, strict=True)]
    return given + [x.value for x in own[len(arrays) :]]


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
