"""Random words, and dropout by them, each in one launch; dropout's backward is its forward."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, grid
from minidl.kernels.reference.dropout import threshold_of

__all__ = ["dropout", "random_words"]

dropout_kernel = Kernel("dropout.cu", "dropout")
random_words_kernel = Kernel("dropout.cu", "random_words")


def dropout(x: Any, p: float, seed: int, offset: int) -> Any:
    """Set elements to zero by counted random numbers: see the reference."""
    xp = namespace(x)
    x = xp.ascontiguousarray(x)
    y = xp.empty_like(x)
    if x.size:
        counters = -(-x.size // 4)
        dropout_kernel(grid(counters), BLOCK, x, y, x.size, threshold_of(p), 1 / (1 - p), seed, offset)
    return y


def random_words(xp: Any, counters: int, seed: int, offset: int = 0, stream: int = 0) -> Any:
    """Return random words of 32 bits: see the reference."""
    words = xp.empty(4 * counters, "uint32")
    if counters:
        random_words_kernel(grid(counters), BLOCK, words, counters, seed, offset, stream)
    return words
