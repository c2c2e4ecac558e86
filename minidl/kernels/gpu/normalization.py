"""Batch normalisation, forward and backward in a launch each, where array operations take a dozen.

To layer normalisation, a row is a channel of the only sample; what it has for each column are array operations.
"""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import Kernel, countable, grid

__all__ = ["batch_norm", "batch_norm_grad", "layer_norm", "layer_norm_grad"]

THREADS = 512  # at most, of a channel: there may be few, so each is taken by many

norm_kernel = Kernel("normalization.cu", "batch_norm")
grad_kernel = Kernel("normalization.cu", "batch_norm_grad")


def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """Standardize each channel over the batch and all positions: see the reference."""
    if not x.size or not countable(x.size // x.shape[1]):
        return NotImplemented
    xp = namespace(x)
    x, weight, bias = (None if a is None else xp.ascontiguousarray(a) for a in (x, weight, bias))
    channels = x.shape[1]
    y = xp.empty_like(x)
    mean, var = xp.empty(channels, x.dtype), xp.empty(channels, x.dtype)
    count, spots = extents(x)
    norm_kernel(grid(channels, 1), threads(count), x, weight, bias, y, mean, var, count, channels, spots, eps)
    return y, mean, var


def batch_norm_grad(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of :func:`batch_norm`: see the reference."""
    if not x.size or not countable(x.size // x.shape[1]):
        return NotImplemented
    xp = namespace(x)
    grad, x, mean, rstd = (xp.ascontiguousarray(a) for a in (grad, x, mean, rstd))
    weight = None if weight is None else xp.ascontiguousarray(weight)
    channels = x.shape[1]
    grad_x = xp.empty_like(x)
    grad_weight, grad_bias = xp.empty(channels, x.dtype), xp.empty(channels, x.dtype)
    count, spots = extents(x)
    arrays = grad, x, mean, rstd, weight, grad_x, grad_weight, grad_bias
    grad_kernel(grid(channels, 1), threads(count), *arrays, count, channels, spots)
    return grad_x, grad_weight, grad_bias


def layer_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """Standardize each row, then scale and shift each column: see the reference."""
    found = batch_norm(x[None], None, None, eps)
    if found is NotImplemented:
        return NotImplemented
    (y,), mean, var = found
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, mean, var


def layer_norm_grad(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of :func:`layer_norm`: see the reference."""
    scaled = grad if weight is None else grad * weight
    found = batch_norm_grad(scaled[None], x[None], mean, rstd, None)
    if found is NotImplemented:
        return NotImplemented
    standard = x - mean[:, None]
    standard *= rstd[:, None]
    standard *= grad
    return found[0][0], standard.sum(axis=0), grad.sum(axis=0)


def threads(count: int) -> int:
    """Return how many threads take so many values: whole warps."""
    return min(THREADS, -(-count // 32) * 32)


def extents(x: Any) -> tuple[int, int]:
    """Return how many values a channel has, and how many of them each sample."""
    count = x.size // x.shape[1]
    return count, count // len(x)
