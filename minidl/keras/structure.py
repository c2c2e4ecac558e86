"""Nested lists, tuples and dicts of things, flattened and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Sizes", "flatten", "is_shape", "map_shapes", "map_structure"]


class Sizes:
    """A shape that is one leaf of a structure, which a tuple is not."""

    __slots__ = ("shape",)

    def __init__(self, shape: Sequence[int | None]) -> None:
        self.shape = tuple(shape)


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of nested lists, tuples and dicts, from left to right."""
    return list(_leaves(structure))


def _leaves(structure: Any) -> Iterator[Any]:
    if isinstance(structure, dict):
        structure = structure.values()
    elif not isinstance(structure, (list, tuple)):
        yield structure
        return
    for part in structure:
        yield from _leaves(part)


def map_structure(fn: Callable[[Any], Any], structure: Any) -> Any:
    """Return the same nesting with ``fn`` of each leaf.

    Examples
    --------
    >>> map_structure(lambda x: -x, {"a": 1, "b": [2, (3,)]})
    {'a': -1, 'b': [-2, (-3,)]}
    """
    if isinstance(structure, dict):
        return {key: map_structure(fn, part) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        parts = [map_structure(fn, part) for part in structure]
        if isinstance(structure, list):
            return parts
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)  # a namedtuple stays one
    return fn(structure)


def is_shape(x: Any) -> bool:
    """Whether ``x`` is one shape, and not a structure of shapes."""
    return isinstance(x, (tuple, list)) and all(size is None or isinstance(size, int) for size in x)


def map_shapes(fn: Callable[[Any], Any], shapes: Any) -> Any:
    """Return the same nesting with ``fn`` of each shape (a tuple of sizes)."""
    if is_shape(shapes):
        return fn(tuple(shapes))
    if isinstance(shapes, dict):
        return {key: map_shapes(fn, part) for key, part in shapes.items()}
    return [map_shapes(fn, part) for part in shapes]
