"""JSON into arrays: parsed by orjson, checked as whole arrays and never number by number in Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson

from minidl.serve.problems import Problem, invalid

DEEPEST = 32  # axes; NumPy has 64 at most

_NOT_FINITE = re.compile(r"-?(?:NaN|Infinity)")


def from_json(body: bytes) -> Any:
    """Return what a body holds.

    Raises
    ------
    Problem
        400 if it is not JSON; 422 if it has numbers that are none (NaN, Infinity, 1e999), or is nested too deeply.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "infinity" in error.msg:
            raise invalid("the body has a number too large for a float; send finite numbers", "not_finite") from None
        if "depth" in error.msg:
            raise invalid(f"the body is nested too deeply; lists go {DEEPEST} deep at most", "too_deep") from None
        if _NOT_FINITE.match(error.doc, max(0, error.pos - 1)) or _NOT_FINITE.match(error.doc, error.pos):
            raise invalid("the body has NaN or Infinity; send finite numbers", "not_finite") from None
        raise Problem(400, "invalid_json", f"the body is not JSON: {error.msg}, at character {error.pos}") from None


def an_object(document: Any, allowed: Iterable[str], required: str, what: str = "the body") -> dict[str, Any]:
    """Return a JSON object after a look at its keys."""
    if not isinstance(document, dict):
        raise invalid(f"{what}: expected an object with {required!r}, got {kind_of(document)}")
    if required not in document:
        raise invalid(f"{what}: {required!r} is missing")
    if not document.keys() <= set(allowed):
        raise invalid(f"{what}: has keys that mean nothing here; expected no others than {', '.join(allowed)}")
    return document


def as_array(lists: Any, dtype: np.dtype, what: str) -> np.ndarray:
    """Return nested lists of numbers as an array.

    Parameters
    ----------
    lists : list, int or float
    dtype : numpy.dtype
        Of the result.
    what : str
        Its name in messages.

    Raises
    ------
    Problem
        422 if they are ragged, too deep, hold anything but numbers, or a number that the dtype does not have.
    """
    if not isinstance(lists, (list, int, float)) or isinstance(lists, bool):
        raise invalid(f"{what}: expected nested lists of numbers, got {kind_of(lists)}")
    _check_depth(lists, what)
    try:
        with np.errstate(over="ignore"):
            array = np.array(lists, dtype=dtype if dtype.kind == "f" else np.float64)
    except (ValueError, TypeError, OverflowError):
        _check_numbers(_leaves(lists), what)
        raise invalid(f"{what}: the lists are ragged; expected all lists of one depth to be of one length") from None
    leaves: Iterable[Any] = lists if isinstance(lists, list) else [lists]
    for _ in range(array.ndim - 1):
        leaves = chain.from_iterable(leaves)
    types = _check_numbers(leaves, what)
    if dtype.kind == "f":
        if not np.isfinite(array).all():
            raise invalid(f"{what}: has a number too large for {dtype}", "not_finite")
        return array
    if types == {int} and array.size and abs(array).max() > 2**53:  # floats skip some of these
        array = np.array(lists, dtype=object)
    return converted(array, dtype, what)


def converted(array: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
    """Return an array of another dtype that holds the same numbers, as far as floats go.

    Raises
    ------
    Problem
        422 if it has a number that is not finite, or that integers of that dtype do not have.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise invalid(f"{what}: has NaN or Infinity; send finite numbers", "not_finite")
    if array.dtype == dtype:
        return array
    if dtype.kind in "iub":
        least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if array.size and (array.min() < least or array.max() > most or (array != array // 1).any()):
            raise invalid(f"{what}: expected integers from {least} to {most}")
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    if not np.isfinite(array).all():
        raise invalid(f"{what}: has a number too large for {dtype}", "not_finite")
    return array


def check_shape(array: np.ndarray, shape: Sequence[int | None], what: str) -> None:
    """Compare a shape with the one expected, in which None is any size but 0."""
    sizes = zip(array.shape, shape, strict=False)
    if array.ndim != len(shape) or not all(n > 0 if m is None else n == m for n, m in sizes):
        raise invalid(f"{what}: has the shape {shown(array.shape)}; expected {shown(shape)}")


def shown(shape: Sequence[int | None]) -> str:
    """Return a shape as messages have it: ``(any, 28, 28)``."""
    return f"({', '.join('any' if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"


def kind_of(value: Any) -> str:
    """Return what JSON calls a value."""
    return _KINDS.get(type(value), "a value of an unknown kind")


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _check_numbers(leaves: Iterable[Any], what: str) -> set[type]:
    types = set(map(type, leaves))
    for wrong in types - {int, float}:
        raise invalid(f"{what}: expected numbers alone, and there is {_KINDS[wrong]} among them")
    return types


def _check_depth(lists: Any, what: str) -> None:
    depth, level = 0, lists
    while isinstance(level, list) and level:
        depth, level = depth + 1, level[0]
        if depth > DEEPEST:
            raise invalid(f"{what}: the lists are nested too deeply; {DEEPEST} levels at most", "too_deep")


def _leaves(lists: Any) -> Iterable[Any]:
    """Yield what is in lists that are not of one depth."""
    open_ended = [lists]
    while open_ended:
        level = open_ended.pop()
        if isinstance(level, list):
            open_ended.extend(level)
        else:
            yield level
