"""Matrix products."""

from __future__ import annotations

from typing import Any

__all__ = ["affine", "matmul"]


def matmul(x: Any, y: Any) -> Any:
    """Multiply matrices, or batches of them.

    Parameters
    ----------
    x : array (..., M, K)
    y : array (..., K, N)
        The axes before the last two broadcast.

    Returns
    -------
    array (..., M, N)
    """
    return x @ y


def affine(x: Any, weight: Any, bias: Any) -> Any:
    """Multiply two matrices and add a vector to each row.

    Parameters
    ----------
    x : array (N, D)
    weight : array (D, U)
    bias : array (U,)

    Returns
    -------
    array (N, U)
    """
    y = x @ weight
    y += bias
    return y
