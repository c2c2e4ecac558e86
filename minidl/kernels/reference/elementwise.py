"""Rules of gradients that go element by element."""

from __future__ import annotations

from typing import Any

__all__ = ["relu_grad"]


def relu_grad(grad: Any, y: Any) -> Any:
    """Let the gradient of ``y = max(x, 0)`` through where y is positive.

    Parameters
    ----------
    grad, y : arrays of one shape

    Returns
    -------
    array of that shape
    """
    return grad * (y > 0)
