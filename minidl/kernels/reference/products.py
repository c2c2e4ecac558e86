"""Matrix products."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.reference.elementwise import zero_of

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
    if x.ndim == y.ndim == 2:
        return x.dot(y)  # the same, and a microsecond sooner: broadcasting need not be looked into
    return x @ y


def affine(x: Any, weight: Any, bias: Any, relu: bool = False) -> Any:
    """Multiply two matrices and add a vector to each row; replace what is negative by 0 if wanted.

    Parameters
    ----------
    x : array (N, D)
    weight : array (D, U)
    bias : array (U,)
    relu : bool

    Returns
    -------
    array (N, U)
    """
    y = x.dot(weight)
    y += bias
    if relu:
        namespace(y).maximum(y, zero_of(y), out=y)
    return y
