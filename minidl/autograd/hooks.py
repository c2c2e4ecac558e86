"""Handles: what registering a hook returns, to take the hook out again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

_next_key = itertools.count().__next__

#: The key of the hook by which retain_grad keeps a gradient: it runs after all others, and sees what they made of it.
KEEP = math.inf


class RemovableHandle:
    """Enter ``hook`` into ``hooks``; :meth:`remove` takes it out again. Also a context manager.

    Parameters
    ----------
    hooks : dict
        Where the hooks of a tensor, a node or a module stand; they run in the order of registration.
    hook : callable
    """

    def __init__(self, hooks: dict[float, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.id = _next_key()
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook out; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
