"""Softmax, its logarithm, and cross entropy between scores and labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.backend import namespace

__all__ = ["cross_entropy", "log_softmax", "log_softmax_grad", "softmax", "softmax_grad"]


def softmax(x: Any, axis: int) -> Any:
    """Return the exponentials along an axis, scaled to sum to 1.

    Parameters
    ----------
    x : array
    axis : int

    Returns
    -------
    array of that shape
    """
    y = namespace(x).exp(x - x.max(axis=axis, keepdims=True))  # the largest exponent is 0: no overflow
    y /= y.sum(axis=axis, keepdims=True)
    return y


def softmax_grad(grad: Any, y: Any, axis: int) -> Any:
    """Return the gradient of x, of which ``y`` is the softmax; also of tensors."""
    weighted = grad * y
    return weighted - y * weighted.sum(axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int) -> Any:
    """Return the logarithm of the softmax along an axis.

    Parameters
    ----------
    x : array
    axis : int

    Returns
    -------
    array of that shape
    """
    xp = namespace(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


def log_softmax_grad(grad: Any, y: Any, axis: int) -> Any:
    """Return the gradient of x, of which ``y`` is the logarithm of the softmax."""
    return grad - namespace(y).exp(y) * grad.sum(axis=axis, keepdims=True)


def cross_entropy(
    x: Any, labels: Any, counts: Any, weight: Any, smoothing: float, graded: bool
) -> tuple[Any, Any, Any]:
    r"""Compare the softmax of scores with labels.

    .. math::

        L &= (1 - s) \, w_y \, (-\ln p_y) + \frac{s}{C} \sum_c w_c \, (-\ln p_c) \\
        \bar x_c &= p_c \sum_k q_k - q_c, \quad q_c = \frac{s}{C} w_c + (1 - s) w_y [c = y]

    Parameters
    ----------
    x : array (N, C, d1, ...), the scores
    labels : int array (N, d1, ...)
        A label that is no class gives nan.
    counts : bool array (N, d1, ...) or None
        Which labels count; the others give 0, whatever they are.
    weight : array (C,) or None
        How much each class counts.
    smoothing : float, :math:`s`
    graded : bool
        Whether the gradient is wanted.

    Returns
    -------
    losses : array (N, d1, ...)
    shares : array (N, d1, ...) or None
        How much each label counts in a mean; None if each counts 1.
    gradient : array (N, C, d1, ...) or None
        Of the sum of the losses.
    """
    xp = namespace(x)
    classes = x.shape[1]
    wrong = None
    if xp is not np:  # on the CPU the operation has looked at the labels, and said which one is wrong
        wrong = (labels < 0) | (labels >= classes)
        if counts is not None:
            wrong &= counts
        labels = xp.where(wrong, 0, labels)
    at = places(xp, labels if counts is None else xp.where(counts, labels, 0))
    own = None if weight is None else weight[at[1]]  # (N, d1, ...)
    by_class = None if weight is None else weight.reshape((1, -1) + (1,) * (x.ndim - 2))

    z = x - x.max(axis=1, keepdims=True)  # (N, C, d1, ...): the largest exponent is 0, so nothing overflows
    p = xp.exp(z)
    total = p.sum(axis=1, keepdims=True)  # (N, 1, d1, ...)
    log_total = xp.log(total)[:, 0]  # (N, d1, ...)
    losses = log_total - z[at]
    if own is not None:
        losses = losses * own
    if smoothing:
        of_all = xp.expand_dims(log_total, 1) - z  # (N, C, d1, ...)
        if by_class is not None:
            of_all *= by_class
        losses = losses * (1 - smoothing) + of_all.sum(axis=1) * (smoothing / classes)
    gradient = None
    if graded:
        gradient = p
        gradient /= total
        wanted: Any = 1 - smoothing if own is None else own * (1 - smoothing)  # of the label's class alone
        each: Any = smoothing / classes if by_class is None else by_class * (smoothing / classes)
        if own is not None:
            every = each if isinstance(each, float) else each.sum()
            gradient *= xp.expand_dims(wanted + every, 1)
        if smoothing:
            gradient -= each
        gradient[at] -= wanted
    for where, value in ((wrong, math.nan), (None if counts is None else ~counts, 0)):
        if where is not None:
            losses = xp.where(where, xp.asarray(value, x.dtype), losses)
            if gradient is not None:
                gradient = xp.where(xp.expand_dims(where, 1), xp.asarray(value, x.dtype), gradient)
    shares = own
    if counts is not None:
        shares = counts.astype(x.dtype) if own is None else own * counts
    return losses, shares, gradient


def places(xp: Any, labels: Any) -> tuple[Any, ...]:
    """Return the index of each label's class in predictions (N, C, d1, ...), for labels (N, d1, ...)."""
    ndim = labels.ndim
    if ndim == 1:
        return xp.arange(labels.size), labels
    grid = [
        xp.arange(size).reshape((1,) * axis + (size,) + (1,) * (ndim - 1 - axis))
        for axis, size in enumerate(labels.shape)
    ]
    return (grid[0], labels, *grid[1:])
