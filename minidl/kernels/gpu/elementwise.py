"""Functions and rules of gradients that go element by element, each one launch, and sums over channels."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, countable, grid

__all__ = ["channel_sums", "relu", "relu_grad", "relu_grad_and_sums"]

# A sum has a block for each channel and part of the images, which adds up at least this many elements.
LEAST_ELEMENTS = 2**13
MOST_PARTS = 64

relu_kernel = Kernel("elementwise.cu", "relu")
relu_grad_kernel = Kernel("elementwise.cu", "relu_grad")
sums_kernel = Kernel("elementwise.cu", "channel_sums")


def relu(x: Any) -> Any:
    """Return the larger of x and 0; NaN stays."""
    if not x.flags.c_contiguous:
        return NotImplemented  # CuPy's is one launch, too, and keeps the order in memory
    y = namespace(x).empty_like(x)
    if x.size:
        relu_kernel(grid(x.size), BLOCK, x, y, x.size)
    return y


def relu_grad(grad: Any, y: Any) -> Any:
    """Let the gradient of ``y = max(x, 0)`` through where y is positive."""
    xp = namespace(grad)
    grad, y = xp.ascontiguousarray(grad), xp.ascontiguousarray(y)
    result = xp.empty_like(grad)
    if grad.size:
        relu_grad_kernel(grid(grad.size), BLOCK, grad, y, result, grad.size)
    return result


def channel_sums(grad: Any) -> Any:
    """Add up each channel of images (N, C, H, W): (C,)."""
    return sums(namespace(grad).ascontiguousarray(grad), None, None)


def relu_grad_and_sums(grad: Any, y: Any) -> Any:
    """Return :func:`relu_grad` of images (N, C, H, W), and its :func:`channel_sums`."""
    xp = namespace(grad)
    grad, y = xp.ascontiguousarray(grad), xp.ascontiguousarray(y)
    result = xp.empty_like(grad)
    total = sums(grad, y, result)
    return NotImplemented if total is NotImplemented else (result, total)


def sums(grad: Any, y: Any, result: Any) -> Any:
    """Add up each channel, and store the rule's gradient in ``result`` if there is a ``y``."""
    xp = namespace(grad)
    N, C = grad.shape[:2]
    pixels = grad.shape[2] * grad.shape[3]
    if not countable(pixels, N, C * MOST_PARTS):
        return NotImplemented
    if grad.size == 0:
        return xp.zeros(C, dtype=grad.dtype)
    parts = max(1, min(MOST_PARTS, N, N * pixels // LEAST_ELEMENTS))
    total = xp.empty((parts, C), dtype=grad.dtype)
    sums_kernel(parts * C, BLOCK, grad, y, result, total, N, C, pixels, parts)
    return total.reshape(C) if parts == 1 else sums(total.reshape(parts, C, 1, 1), None, None)
