"""Random numbers of a GPU: each is computed from its place in the sequence, by Philox.

Philox4x32-10 turns a key (the seed) and a 128-bit counter into four random 32-bit numbers, by ten rounds of two
multiplications. There is no state to hand on: number i of an array comes from the counter ``offset + i // 4``, whoever
computes it and when. PyTorch's, JAX's and cuRAND's generators on GPUs are of this kind.

J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011 (SC11).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.backend import namespace

__all__ = ["blocks_for", "fill_integers", "fill_normal", "fill_uniform", "philox"]

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85  # the golden ratio, and the square root of 3 less 1, as fractions of 2**32
LOW = 0xFFFFFFFF


def philox(like: Any, blocks: int, seed: int, offset: int, rounds: int = 10) -> Any:
    """Return the four random numbers of each counter from ``offset`` on.

    Parameters
    ----------
    like : array
        Of the library, and on the device, that is wanted.
    blocks : int
        How many counters.
    seed, offset : int, below 2**64

    Returns
    -------
    array of uint64 (blocks, 4), below 2**32
    """
    xp = namespace(like)
    # 64-bit lanes hold 32-bit numbers, so that a product keeps its upper half
    place = xp.arange(blocks, dtype=np.uint64) + np.uint64(offset)  # modulo 2**64: the counter's upper half stays 0
    zeros = xp.zeros(blocks, dtype=np.uint64)
    x = [place & np.uint64(LOW), place >> np.uint64(32), zeros, zeros]
    keys = [seed & LOW, seed >> 32]
    for _ in range(rounds):
        first, second = x[0] * np.uint64(MULTIPLIERS[0]), x[2] * np.uint64(MULTIPLIERS[1])
        x = [
            (second >> np.uint64(32)) ^ x[1] ^ np.uint64(keys[0]),
            second & np.uint64(LOW),
            (first >> np.uint64(32)) ^ x[3] ^ np.uint64(keys[1]),
            first & np.uint64(LOW),
        ]
        keys = [(key + step) & LOW for key, step in zip(keys, KEY_STEPS, strict=True)]
    return xp.stack(x, axis=1)


def blocks_for(out: Any) -> int:
    """Return how many counters it takes to fill an array: one for four elements of 4 bytes, or for two of 8."""
    return -(-out.size * out.dtype.itemsize // 16)


def fractions(out: Any, seed: int, offset: int) -> Any:
    """Return as many fractions of [0, 1) as ``out`` has elements, and some more to fill the last block."""
    words = philox(out, blocks_for(out), seed, offset)
    if out.dtype == np.float64:
        words = words.reshape(-1, 2)
        # 53 bits: 27 of one number, 26 of the next
        high, low = words[:, 0] >> np.uint64(5), words[:, 1] >> np.uint64(6)
        return (high * np.uint64(2**26) + low).astype(np.float64) * 2.0**-53
    return (words.reshape(-1) >> np.uint64(8)).astype(np.float32) * np.float32(
        2.0**-24
    )  # 24 bits: what a float32 holds


def fill_uniform(out: Any, seed: int, offset: int) -> None:
    """Fill an array of floats with numbers of [0, 1).

    Parameters
    ----------
    out : array of float32 or float64, any shape
    seed, offset : int, below 2**64
    """
    out[...] = fractions(out, seed, offset)[: out.size].reshape(out.shape)


def fill_normal(out: Any, seed: int, offset: int) -> None:
    """Fill an array of floats with standard normal numbers: each pair of fractions makes a pair (Box and Muller, 1958).

    Parameters
    ----------
    out : array of float32 or float64, any shape
    seed, offset : int, below 2**64
    """
    xp = namespace(out)
    pairs = fractions(out, seed, offset).reshape(-1, 2)
    radius = xp.sqrt(-2 * xp.log(1 - pairs[:, :1]))  # 1 - u is never 0
    angle = 2 * math.pi * pairs[:, 1:]
    both = xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)  # (pairs, 2)
    out[...] = both.reshape(-1)[: out.size].reshape(out.shape)


def fill_integers(out: Any, seed: int, offset: int, low: int, high: int) -> None:
    """Fill an array of integers with numbers from ``low`` to ``high - 1``.

    The remainder of a 64-bit number: one of n values is more likely than another by at most n / 2**64.

    Parameters
    ----------
    out : array of int64, any shape
    seed, offset : int, below 2**64
    low, high : int
    """
    words = philox(out, blocks_for(out), seed, offset).reshape(-1, 2)
    whole = words[:, 0] * np.uint64(2**32) + words[:, 1]
    if high - low < 2**64:
        whole %= np.uint64(high - low)
    out[...] = (whole.astype(np.int64) + np.int64(low))[: out.size].reshape(out.shape)
