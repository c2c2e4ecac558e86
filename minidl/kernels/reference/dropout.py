"""Dropout by counted random numbers, which can be computed again instead of kept."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.errors import ArgumentError

__all__ = ["dropout", "random_words"]

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
STRIDES = 0x9E3779B9, 0xBB67AE85  # of the key from round to round: the golden ratio, and the root of 3 less 1
WORD = 0xFFFFFFFF


def random_words(xp: Any, counters: int, seed: int, offset: int = 0, stream: int = 0) -> Any:
    """Return random words of 32 bits: Philox4x32-10 of the counters from ``offset`` on.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``cupy``.
    counters : int
        How many; each gives four words.
    seed : int
        The key, of 64 bits.
    offset, stream : int
        The lower and the upper 64 bits of the first counter.

    Returns
    -------
    uint32 array (4 * counters,)

    References
    ----------
    Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
    """
    low = xp.arange(counters, dtype="uint64") + xp.asarray(offset, "uint64")  # wraps around, as the counter does
    high = xp.full(counters, stream, "uint64")
    a, b, c, d = low & WORD, low >> 32, high & WORD, high >> 32
    for turn in range(ROUNDS):
        key0, key1 = (
            (seed >> shift & WORD) + turn * stride & WORD for shift, stride in zip((0, 32), STRIDES, strict=True)
        )
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # (counters,), products of 64 bits
        a, b, c, d = (right >> 32) ^ b ^ key0, right & WORD, (left >> 32) ^ d ^ key1, left & WORD
    return xp.stack((a, b, c, d), axis=1).astype("uint32").reshape(-1)


def threshold_of(p: float) -> int:
    """Return below what a word is with probability ``p``, which must be less than 1."""
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout: a probability of {p} is not in [0, 1)")
    return min(round(p * 2**32), WORD)


def dropout(x: Any, p: float, seed: int, offset: int) -> Any:
    """Set each element to zero with probability ``p``, and scale the others by ``1 / (1 - p)``.

    Its own gradient: applied to the gradient of the result with the same numbers, it is that of ``x``.

    Parameters
    ----------
    x : array
    p : float, in [0, 1)
    seed, offset : int
        Which random numbers: element k of ``x``, in C order, takes word k of :func:`random_words`.

    Returns
    -------
    array of that shape
    """
    xp = namespace(x)
    words = random_words(xp, -(-x.size // 4), seed, offset)[: x.size].reshape(x.shape)
    mask = (words >= threshold_of(p)).astype(x.dtype)
    return x * (mask * (1 / (1 - p)))
