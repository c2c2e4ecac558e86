"""From random words of 32 bits to random numbers: what fills the tensors that are drawn on a GPU.

The words are those of :func:`minidl.kernels.reference.dropout.random_words`: each is computed from its place in the
sequence, so there is no state to hand on from thread to thread. PyTorch's, JAX's and cuRAND's generators are of this
kind.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.backend import namespace

__all__ = ["counters_for", "integers", "normal", "uniform"]


def counters_for(size: int, dtype: Any) -> int:
    """Return how many counters, of four words each, ``size`` numbers of a dtype take: a word or two for each number."""
    return -(-size * np.dtype(dtype).itemsize // 16)


def uniform(words: Any, dtype: Any) -> Any:
    """Return numbers of [0, 1).

    Parameters
    ----------
    words : uint32 array (4 * counters,)
    dtype : float32 or float64

    Returns
    -------
    array (4 * counters,), or half as many of float64
        As many bits of a word, or of two, as the dtype holds: 24, or 53.
    """
    if dtype == np.float64:
        pairs = words.reshape(-1, 2)
        high, low = (pairs[:, 0] >> 5).astype(np.float64), (pairs[:, 1] >> 6).astype(np.float64)  # 27 bits, 26 bits
        return (high * 2.0**26 + low) * 2.0**-53
    return (words >> 8).astype(np.float32) * np.float32(2.0**-24)


def normal(words: Any, dtype: Any) -> Any:
    """Return standard normal numbers: each pair of uniform ones makes a pair (Box and Muller, 1958).

    Parameters
    ----------
    words : uint32 array (4 * counters,)
    dtype : float32 or float64

    Returns
    -------
    array (4 * counters,), or half as many of float64
    """
    xp = namespace(words)
    pairs = uniform(words, dtype).reshape(-1, 2)
    radius = xp.sqrt(-2 * xp.log(1 - pairs[:, :1]))  # 1 - u is never 0
    angle = (2 * math.pi) * pairs[:, 1:]
    return xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1).reshape(-1)


def integers(words: Any, dtype: Any, low: int, high: int) -> Any:
    """Return integers from ``low`` to ``high - 1``.

    The remainder of a 64-bit number: one of n values is more likely than another by at most n / 2**64.

    Parameters
    ----------
    words : uint32 array (4 * counters,)
    dtype : int64
    low, high : int

    Returns
    -------
    array (2 * counters,)
    """
    pairs = words.reshape(-1, 2).astype(np.uint64)
    whole = (pairs[:, 0] << np.uint64(32)) | pairs[:, 1]
    if high - low < 2**64:
        whole %= np.uint64(high - low)
    return whole.astype(dtype) + dtype.type(low)
