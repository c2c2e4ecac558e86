"""Structure: data of several arrays, in nested lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minidl.autograd import Variable

_ARRAYS = (np.ndarray, Variable)  # what most data is, asked first


def is_leaf(x: Any) -> bool:
    """Whether ``x`` is one array (a tensor, nested lists of numbers), and not several in a list, tuple or dict."""
    if isinstance(x, Mapping) or x is None:
        return False
    return not isinstance(x, (list, tuple)) or not _holds_arrays(x)


def _holds_arrays(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_holds_arrays(entry) for entry in x)
    return isinstance(x, (Variable, Mapping)) or (hasattr(x, "__array__") and not isinstance(x, np.generic))


def leaves(x: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (name, array) of all arrays in ``x``: ``x[0]``, ``x['image']``."""
    if isinstance(x, _ARRAYS):
        yield name, x
    elif isinstance(x, Mapping):
        for key, value in x.items():
            yield from leaves(value, f"{name}[{key!r}]")
    elif isinstance(x, (list, tuple)) and not is_leaf(x):
        for position, value in enumerate(x):
            yield from leaves(value, f"{name}[{position}]")
    elif x is not None:
        yield name, x


def mapped(function: Callable[[Any], Any], x: Any) -> Any:
    """Return ``x`` with ``function`` applied to each array in it."""
    if isinstance(x, _ARRAYS):
        return function(x)
    if isinstance(x, Mapping):
        return {key: mapped(function, value) for key, value in x.items()}
    if isinstance(x, (list, tuple)) and not is_leaf(x):
        entries = [mapped(function, value) for value in x]
        return type(x)(*entries) if hasattr(x, "_fields") else type(x)(entries)
    return None if x is None else function(x)


def joined(parts: list[Any]) -> Any:
    """Return the predictions of all batches as those of one."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {key: joined([part[key] for part in parts]) for key in first}
    if isinstance(first, (list, tuple)):
        entries = [joined([part[i] for part in parts]) for i in range(len(first))]
        return type(first)(*entries) if hasattr(first, "_fields") else type(first)(entries)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
