"""Values from a file into variables: all of them are looked at before the first is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.errors import FormatError, MiniDLError
from minidl.formats.hdf5 import Group
from minidl.keras.layer import Layer

__all__ = ["Plan", "count_numbers", "located", "misfit", "own_weights", "values"]

_KINDS = {"f": "f", "i": "iu", "u": "iu", "b": "b"}  # what a variable of a kind may be given


class Plan:
    """What is to be written where.

    Parameters
    ----------
    skip_mismatch : bool
        Whether what does not fit is left out, with a warning, instead of being an error.
    """

    def __init__(self, skip_mismatch: bool = False) -> None:
        self.skip_mismatch = skip_mismatch
        self.assignments: list[tuple[Any, np.ndarray]] = []

    def add(self, place: str, variables: Sequence[Any], arrays: Sequence[Any]) -> None:
        """Enter arrays for variables, after checking that they fit.

        Raises
        ------
        FormatError
            If there are too many or too few, or their shapes or kinds differ.
        """
        if len(arrays) != len(variables):
            self._refuse(
                f"{place}: {len(arrays)} weights, but the layer in the model has {len(variables)}: "
                f"{', '.join(f'{x.name} {x.shape}' for x in variables[:8])}"
            )
            return
        for variable, array in zip(variables, arrays, strict=True):
            problem = misfit(array, tuple(variable.shape), np.dtype(variable.dtype))
            if problem:
                self._refuse(f"{place}: {variable.name}: {problem}")
            else:
                self.assignments.append((variable, array))

    def missing(self, place: str, what: str) -> None:
        """Refuse a file in which something is not there."""
        self._refuse(f"{place}: missing from the file, which has to have {what} there")

    def _refuse(self, problem: str) -> None:
        if not self.skip_mismatch:
            raise FormatError(problem)
        warnings.warn(f"load_weights: left out: {problem}", stacklevel=6)

    def carry_out(self) -> None:
        """Write all arrays."""
        for variable, array in self.assignments:
            with np.errstate(over="ignore"):  # a double beyond float32's range becomes infinite
                variable.assign(array.astype(variable.dtype, copy=False))


def misfit(array: Any, shape: tuple[int, ...], dtype: np.dtype) -> str:
    """Return why an array of a file cannot take the place of one of a shape and a dtype, or an empty string."""
    if not isinstance(array, np.ndarray):
        return "missing from the file" if array is None else "is a group, where an array was expected"
    if array.shape != shape:
        return f"shape {array.shape} in the file, {shape} in the model"
    if array.dtype.kind not in _KINDS[dtype.kind]:
        return f"{array.dtype} in the file, {dtype} in the model"
    if dtype.kind in "iu" and array.size:
        bounds = np.iinfo(dtype)
        if array.min() < bounds.min or array.max() > bounds.max:
            return f"numbers beyond the range of {dtype}"
    return ""


def own_weights(layer: Layer) -> list[Any]:
    """Return the variables of a layer alone in the order of Keras's files: those made to be trained first."""
    return sorted(layer._own_variables(), key=lambda x: not x.trainable)


def values(variable: Any) -> np.ndarray:
    """Return what to write for a variable."""
    return np.asarray(to_numpy(variable.array))


def count_numbers(group: Group) -> int:
    """Return how many numbers all arrays below a group hold."""
    members = group.members.values()
    return sum(count_numbers(x) if isinstance(x, Group) else x.size for x in members)


@contextmanager
def located(place: str) -> Iterator[None]:
    """Turn whatever goes wrong while an object is made from a file into a FormatError that names the place."""
    try:
        yield
    except (MiniDLError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise FormatError(f"{place}: {error}") from error
    except (RuntimeError, MemoryError, NotImplementedError) as error:  # RuntimeError: too deep a recursion, too
        raise FormatError(f"{place}: {type(error).__name__}: {error}") from error
