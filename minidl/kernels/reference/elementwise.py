"""Functions and rules of gradients that go element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend import namespace

__all__ = ["channel_sums", "relu", "relu_grad", "relu_grad_and_sums"]

_ZEROS = {dtype: np.zeros((), dtype) for dtype in (np.dtype("float32"), np.dtype("float64"))}


def zero_of(x: Any) -> Any:
    """Return 0 to compare ``x`` with: NumPy takes half a microsecond to make of a number what it can compute with."""
    return _ZEROS.get(x.dtype, 0) if type(x) is np.ndarray else 0


def relu(x: Any) -> Any:
    """Return the larger of x and 0; NaN stays.

    Parameters
    ----------
    x : array

    Returns
    -------
    array of that shape
    """
    return namespace(x).maximum(x, zero_of(x))


def relu_grad(grad: Any, y: Any) -> Any:
    """Let the gradient of ``y = max(x, 0)`` through where y is positive.

    Parameters
    ----------
    grad, y : arrays of one shape

    Returns
    -------
    array of that shape
    """
    return grad * (y > zero_of(y))


def channel_sums(grad: Any) -> Any:
    """Add up each channel: the gradient of a bias.

    Parameters
    ----------
    grad : array (N, C, H, W)

    Returns
    -------
    array (C,)
    """
    return namespace(grad).einsum("ncij->c", grad)  # in half of the time of a sum


def relu_grad_and_sums(grad: Any, y: Any) -> tuple[Any, Any]:
    """Return :func:`relu_grad` of images (N, C, H, W), and its :func:`channel_sums`."""
    grad = relu_grad(grad, y)
    return grad, channel_sums(grad)
