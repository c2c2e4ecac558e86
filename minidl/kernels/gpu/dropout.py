"""Dropout in one launch, forward and backward alike."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, grid
from minidl.kernels.reference.dropout import threshold_of

__all__ = ["dropout"]

dropout_kernel = Kernel("dropout.cu", "dropout")


def dropout(x: Any, p: float, seed: int, offset: int) -> Any:
    """Set elements to zero by counted random numbers: see the reference."""
    xp = namespace(x)
    x = xp.ascontiguousarray(x)
    y = xp.empty_like(x)
    if x.size:
        counters = -(-x.size // 4)
        dropout_kernel(grid(counters), BLOCK, x, y, x.size, threshold_of(p), 1 / (1 - p), seed, offset)
    return y
