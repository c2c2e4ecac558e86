"""Names of layers and models, counted up: ``dense``, ``dense_1``, ``dense_2``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from minidl.errors import ArgumentError

__all__ = ["auto_name", "checked_name", "clear_session", "scope"]

_COUNTS: Counter[str] = Counter()

# The names of the layers that are being built, outermost first: what a weight's path begins with.
SCOPE: ContextVar[tuple[str, ...]] = ContextVar("name_scope", default=())


@contextmanager
def scope(name: str) -> Iterator[None]:
    """In a ``with`` block, let the paths of weights go through the layer of this name."""
    outer = SCOPE.get()
    token = SCOPE.set(outer if outer and outer[-1] == name else (*outer, name))
    try:
        yield
    finally:
        SCOPE.reset(token)


def auto_name(prefix: str) -> str:
    """Return ``prefix`` the first time it is asked for, and then ``prefix_1``, ``prefix_2``, ..."""
    count = _COUNTS[prefix]
    _COUNTS[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def checked_name(name: str) -> str:
    """Return a name that a user chose, or raise an error if weights could not be found by it in a file."""
    if not isinstance(name, str) or not name or "/" in name:
        raise ArgumentError(f"name: expected a str that is not empty and has no '/' in it, got {name!r}")
    return name


def clear_session(free_memory: bool = True) -> None:
    """Count the names of layers and models from the beginning again.

    Parameters
    ----------
    free_memory : bool
        Taken for Keras's sake: minidl keeps no models, so there is nothing to free.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.utils.clear_session()
    >>> keras.layers.Dense(1).name, keras.layers.Dense(1).name
    ('dense', 'dense_1')

    References
    ----------
    ``keras.utils.clear_session``.
    """
    _COUNTS.clear()
