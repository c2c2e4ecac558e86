"""What a model that is made from a file may reserve: weights, as many as the file has values for, and little else.

A config that asks for a Dense of a million million units is 200 bytes long. So while a file's model is made, each
weight is counted against what the file holds before there is any memory for it, and gets zeros: its values follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from minidl.errors import FormatError

__all__ = ["check_trial", "claimed", "weights_from_file"]

_SPARE = 2**20  # a small model is made in any case: then what the file lacks is missed by its name
_MOST_TRIED = 2**22  # numbers in an input that is only there to find out an output's shape


class _Allowance:
    def __init__(self, numbers: int) -> None:
        self.numbers = numbers
        self.left = numbers + _SPARE


_CURRENT: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def weights_from_file(numbers: int) -> Iterator[None]:
    """In a ``with`` block, give weights zeros instead of drawing them, and allow hardly more numbers than these."""
    token = _CURRENT.set(_Allowance(numbers))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def claimed(shape: Sequence[int], weight: str) -> bool:
    """Whether a weight is to be zeros, since its values come from a file.

    Raises
    ------
    FormatError
        If the file does not hold that many.
    """
    allowance = _CURRENT.get()
    if allowance is None:
        return False
    allowance.left -= math.prod(shape)
    if min(shape, default=0) < 0 or allowance.left < 0:
        raise FormatError(
            f"{weight}: the config asks for a weight of shape {tuple(shape)}, but there are only "
            f"{allowance.numbers:,} numbers for all weights in the file"
        )
    return True


def check_trial(shape: Sequence[int], layer: str) -> None:
    """Raise a FormatError if a file asks for large zeros only to find out the shape of an output."""
    if _CURRENT.get() is not None and math.prod(shape) > _MOST_TRIED:
        raise FormatError(f"{layer}: the config asks for an input of shape {tuple(shape)}, too large to try it with")
