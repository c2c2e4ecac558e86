"""Softmax, its logarithm and cross entropy: a launch each, where array operations take from six to thirty.

See ``source/softmax.cu`` for which of the two kernels takes what.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, grid

__all__ = ["cross_entropy", "log_softmax", "log_softmax_grad", "softmax", "softmax_grad"]

MANY_CLASSES = 64  # from here on a warp shares a row: two classes a thread
WARPS = 4  # in a block

softmax_lines, softmax_rows, softmax_grad_lines, softmax_grad_rows, cross_entropy_lines, cross_entropy_rows = (
    Kernel("softmax.cu", name)
    for name in (
        "softmax_lines",
        "softmax_rows",
        "softmax_grad_lines",
        "softmax_grad_rows",
        "cross_entropy_lines",
        "cross_entropy_rows",
    )
)


def launch(by_line: Kernel, by_row: Kernel, arrays: Any, shape: tuple[int, ...], axis: int, last: Any) -> None:
    """Let a kernel go along an axis of arrays of ``shape``."""
    classes, inner = shape[axis], math.prod(shape[axis + 1 :])
    lines = math.prod(shape[:axis]) * inner
    if inner == 1 and classes >= MANY_CLASSES:
        by_row(grid(lines, WARPS), 32 * WARPS, *arrays, lines, classes, last)
    else:
        by_line(grid(lines), BLOCK, *arrays, lines, classes, inner, last)


def along(x: Any, axis: int, logarithm: bool) -> Any:
    """Return the softmax along an axis, or its logarithm."""
    xp = namespace(x)
    if not x.ndim:
        return NotImplemented
    x = xp.ascontiguousarray(x)
    y = xp.empty_like(x)
    if x.size:
        launch(softmax_lines, softmax_rows, (x, y), x.shape, axis % x.ndim, logarithm)
    return y


def along_grad(grad: Any, y: Any, axis: int, logarithm: bool) -> Any:
    """Return the gradient of :func:`along`."""
    xp = namespace(y)
    if not y.ndim:
        return NotImplemented
    grad, y = xp.ascontiguousarray(grad), xp.ascontiguousarray(y)
    grad_x = xp.empty_like(y)
    if y.size:
        launch(softmax_grad_lines, softmax_grad_rows, (grad, y, grad_x), y.shape, axis % y.ndim, logarithm)
    return grad_x


def softmax(x: Any, axis: int) -> Any:
    """Return the exponentials along an axis, scaled to sum to 1."""
    return along(x, axis, False)


def softmax_grad(grad: Any, y: Any, axis: int) -> Any:
    """Return the gradient of x, of which ``y`` is the softmax."""
    return along_grad(grad, y, axis, False)


def log_softmax(x: Any, axis: int) -> Any:
    """Return the logarithm of the softmax along an axis."""
    return along(x, axis, True)


def log_softmax_grad(grad: Any, y: Any, axis: int) -> Any:
    """Return the gradient of x, of which ``y`` is the logarithm of the softmax."""
    return along_grad(grad, y, axis, True)


def cross_entropy(
    x: Any, labels: Any, counts: Any, weight: Any, smoothing: float, graded: bool
) -> tuple[Any, Any, Any]:
    """Return the cross entropy of each label, what it counts, and the gradient: see the reference."""
    xp = namespace(x)
    x = xp.ascontiguousarray(x)
    labels = xp.ascontiguousarray(labels.astype("int64", copy=False))
    counts = None if counts is None else xp.ascontiguousarray(counts)
    weight = None if weight is None else xp.ascontiguousarray(weight.astype(x.dtype, copy=False))
    losses = xp.empty(labels.shape, x.dtype)
    shares = None if counts is None and weight is None else xp.empty(labels.shape, x.dtype)
    gradient = xp.empty_like(x) if graded else None
    if x.size:
        arrays = x, labels, counts, weight, losses, shares, gradient
        launch(cross_entropy_lines, cross_entropy_rows, arrays, x.shape, 1, smoothing)
    return losses, shares, gradient
