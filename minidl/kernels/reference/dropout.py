"""Dropout by counted random numbers, which can be computed again instead of kept."""

from __future__ import annotations

from typing import Any

from minidl.errors import ArgumentError
from minidl.kernels.reference.random import philox

__all__ = ["dropout"]


def threshold_of(p: float) -> int:
    """Return below what a word is with probability ``p``, which must be less than 1."""
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout: a probability of {p} is not in [0, 1)")
    return min(round(p * 2**32), 2**32 - 1)


def dropout(x: Any, p: float, seed: int, offset: int) -> Any:
    """Set each element to zero with probability ``p``, and scale the others by ``1 / (1 - p)``.

    Its own gradient: applied to the gradient of the result with the same numbers, it is that of ``x``.

    Parameters
    ----------
    x : array
    p : float, in [0, 1)
    seed, offset : int
        Which random numbers: element k of ``x``, in C order, takes word k of :func:`philox`.

    Returns
    -------
    array of that shape
    """
    words = philox(x, -(-x.size // 4), seed, offset).reshape(-1)[: x.size].reshape(x.shape)
    mask = (words >= threshold_of(p)).astype(x.dtype)
    return x * (mask * (1 / (1 - p)))
