"""Names of layers and models, counted up: ``dense``, ``dense_1``, ``dense_2``."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import signature
from typing import Any

from minidl.errors import ArgumentError

__all__ = ["auto_name", "checked_name", "clear_session", "refuse_unknown", "scope"]

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


def refuse_unknown(what: str, unknown: Mapping[str, Any], *functions: Callable[..., Any]) -> None:
    """Raise an error for keyword arguments that nobody takes; it names similar ones among those of ``functions``."""
    if not unknown:
        return
    parameters = [x for fn in functions for x in list(signature(fn).parameters.values())[1:]]
    known = list(dict.fromkeys(x.name for x in parameters if x.kind not in (x.VAR_POSITIONAL, x.VAR_KEYWORD)))
    name = next(iter(unknown))
    close = difflib.get_close_matches(name, known, 2, 0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are: {', '.join(known)}"
    raise ArgumentError(f"{what}: unknown argument {name!r}; {hint}")


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
