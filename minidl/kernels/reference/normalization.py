"""Batch and layer normalisation: each channel, or each row, to mean 0 and variance 1, then a factor and an offset."""

from __future__ import annotations

import math
from typing import Any

from minidl.backend import namespace

__all__ = ["batch_norm", "batch_norm_grad", "layer_norm", "layer_norm_grad"]


def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """Standardize each channel over the batch and all positions; return the result, the means and the variances.

    Parameters
    ----------
    x : array (N, C, ...)
    weight, bias : arrays (C,), or None
    eps : float
        What is added to the variance.

    Returns
    -------
    tuple of arrays (N, C, ...), (C,), (C,)
        The variance is that of the batch itself, divided by its number of values.
    """
    axes, count = _others(x)
    mean = x.sum(axis=axes, keepdims=True) / count  # (1, C, 1, ...)
    y = x - mean
    var = (y * y).sum(axis=axes, keepdims=True) / count  # of what is centred: no cancellation at large means
    y *= 1 / namespace(x).sqrt(var + eps)
    if weight is not None:
        y *= weight.reshape(mean.shape)
    if bias is not None:
        y += bias.reshape(mean.shape)
    return y, mean.reshape(-1), var.reshape(-1)


def batch_norm_grad(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of the input, the factors and the offsets of :func:`batch_norm`.

    Parameters
    ----------
    grad, x : arrays (N, C, ...)
    mean, rstd : arrays (C,)
        The means, and one over the roots of variance plus eps.
    weight : array (C,), or None

    Returns
    -------
    tuple of arrays (N, C, ...), (C,), (C,)
    """
    axes, count = _others(x)
    along = (1, -1, *(1,) * (x.ndim - 2))
    standard = (x - mean.reshape(along)) * rstd.reshape(along)
    grad_bias, grad_weight = grad.sum(axis=axes), (grad * standard).sum(axis=axes)
    scale = rstd if weight is None else rstd * weight
    grad_x = grad - (grad_bias / count).reshape(along) - standard * (grad_weight / count).reshape(along)
    grad_x *= scale.reshape(along)
    return grad_x, grad_weight, grad_bias


def layer_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """Standardize each row, then scale and shift each column; return the result, the rows' means and variances.

    Parameters
    ----------
    x : array (R, P)
    weight, bias : arrays (P,), or None
    eps : float
        What is added to the variance.

    Returns
    -------
    tuple of arrays (R, P), (R,), (R,)
    """
    mean = x.mean(axis=1, keepdims=True)  # (R, 1)
    y = x - mean
    var = (y * y).mean(axis=1, keepdims=True)
    y *= 1 / namespace(x).sqrt(var + eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, mean[:, 0], var[:, 0]


def layer_norm_grad(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of the input, the factors and the offsets of :func:`layer_norm`.

    Parameters
    ----------
    grad, x : arrays (R, P)
    mean, rstd : arrays (R,)
        The means, and one over the roots of variance plus eps.
    weight : array (P,), or None

    Returns
    -------
    tuple of arrays (R, P), (P,), (P,)
    """
    standard = (x - mean[:, None]) * rstd[:, None]
    grad_weight, grad_bias = (grad * standard).sum(axis=0), grad.sum(axis=0)
    if weight is not None:
        grad = grad * weight
    grad_x = grad - grad.mean(axis=1, keepdims=True) - standard * (grad * standard).mean(axis=1, keepdims=True)
    grad_x *= rstd[:, None]
    return grad_x, grad_weight, grad_bias


def _others(x: Any) -> tuple[tuple[int, ...], int]:
    """Return the axes that are no channels, and how many values of a channel there are."""
    axes = (0, *range(2, x.ndim))
    return axes, math.prod([x.shape[axis] for axis in axes])
