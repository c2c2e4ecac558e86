"""Losses on numbers, as functions of targets and predictions: one value for each sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl import ops
from minidl.keras.losses.targets import EPSILON, paired
from minidl.keras.serialization import builtin

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "cosine_similarity",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
]

MODULE = "keras.losses"


@builtin(MODULE, "mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean of squared differences, for each sample.

    .. math:: L = \frac{1}{D} \sum_d (y_d - \hat y_d)^2

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]])
    tensor([0.5000])


    References
    ----------
    ``keras.losses.mean_squared_error``.
    """
    target, prediction = paired(y_true, y_pred, "mean_squared_error")
    return ops.mse_loss(prediction, target, "none").mean(-1)


@builtin(MODULE, "mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean size of differences, for each sample.

    .. math:: L = \frac{1}{D} \sum_d |y_d - \hat y_d|

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.mean_absolute_error([[0.0, 1.0]], [[1.0, 1.0]])
    tensor([0.5000])


    References
    ----------
    ``keras.losses.mean_absolute_error``.
    """
    target, prediction = paired(y_true, y_pred, "mean_absolute_error")
    return ops.l1_loss(prediction, target, "none").mean(-1)


@builtin(MODULE, "mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean size of differences in percent of the targets, for each sample.

    .. math:: L = \frac{100}{D} \sum_d \frac{|y_d - \hat y_d|}{\max(|y_d|, 10^{-7})}

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.mean_absolute_percentage_error([[2.0, 1.0]], [[1.0, 1.0]])
    tensor([25.])


    References
    ----------
    ``keras.losses.mean_absolute_percentage_error``.
    """
    target, prediction = paired(y_true, y_pred, "mean_absolute_percentage_error")
    return ops.abs((target - prediction) / ops.clip(ops.abs(target), EPSILON, None)).mean(-1) * 100


@builtin(MODULE, "msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean of squared differences of logarithms, for each sample.

    .. math:: L = \frac{1}{D} \sum_d \big(\log(1 + y_d) - \log(1 + \hat y_d)\big)^2, \quad y_d, \hat y_d \ge 10^{-7}

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.mean_squared_logarithmic_error([[0.0, 1.0]], [[1.0, 1.0]])
    tensor([0.2402])


    References
    ----------
    ``keras.losses.mean_squared_logarithmic_error``.
    """
    target, prediction = paired(y_true, y_pred, "mean_squared_logarithmic_error")
    difference = ops.log(ops.maximum(prediction, EPSILON) + 1) - ops.log(ops.maximum(target, EPSILON) + 1)
    return ops.square(difference).mean(-1)


@builtin(MODULE, "huber_loss")
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    r"""Return the mean of differences, squared where they are small, for each sample.

    .. math::

        L = \frac{1}{D} \sum_d h(\hat y_d - y_d),
        \quad h(d) = \min(|d|, \delta) \, \big(|d| - \tfrac{1}{2} \min(|d|, \delta)\big)

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.
    delta : float, positive
        :math:`\delta`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.huber([[0.0, 1.0]], [[4.0, 1.0]])
    tensor([1.7500])


    References
    ----------
    ``keras.losses.huber``.
    """
    target, prediction = paired(y_true, y_pred, "huber")
    return ops.huber_loss(prediction, target, "none", delta).mean(-1)


@builtin(MODULE, "logcosh")
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean logarithm of the hyperbolic cosine of differences, for each sample.

    .. math:: L = \frac{1}{D} \sum_d \log \cosh(\hat y_d - y_d)

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.log_cosh([[0.0, 1.0]], [[1.0, 1.0]])
    tensor([0.2169])


    References
    ----------
    ``keras.losses.log_cosh``.
    """
    target, prediction = paired(y_true, y_pred, "log_cosh")
    difference = prediction - target
    return (difference + ops.softplus(difference * -2) - math.log(2)).mean(-1)


@builtin(MODULE)
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    r"""Return the cosine of the angle between target and prediction, negated: -1 is the best.

    .. math:: L = -\frac{y \cdot \hat y}{\|y\| \, \|\hat y\|}

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.
    axis : int
        The axis of the vectors.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.cosine_similarity([[0.0, 2.0]], [[1.0, 1.0]])
    tensor([-0.7071])


    References
    ----------
    ``keras.losses.cosine_similarity``.
    """
    target, prediction = paired(y_true, y_pred, "cosine_similarity")
    target, prediction = (ops.normalize(x, dim=axis, eps=EPSILON) for x in (target, prediction))
    return -(target * prediction).sum(axis)


@builtin(MODULE)
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean negative log-likelihood of counts, but for a constant, for each sample.

    .. math:: L = \frac{1}{D} \sum_d \big(\hat y_d - y_d \log(\hat y_d + 10^{-7})\big)

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.poisson([[0.0, 2.0]], [[1.0, 4.0]])
    tensor([1.1137])


    References
    ----------
    ``keras.losses.poisson``.
    """
    target, prediction = paired(y_true, y_pred, "poisson")
    return (prediction - target * ops.log(prediction + EPSILON)).mean(-1)


@builtin(MODULE, "kld", "KLD", "kullback_leibler_divergence")
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return how far predicted distributions are from the targets, for each sample.

    .. math:: L = \sum_d y_d \log \frac{y_d}{\hat y_d}, \quad y_d, \hat y_d \in [10^{-7}, 1]

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`.
    y_pred : Tensor or array, (..., D)
        :math:`\hat y`.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]])
    tensor([0.1438])


    References
    ----------
    ``keras.losses.kl_divergence``.
    """
    target, prediction = paired(y_true, y_pred, "kl_divergence")
    target, prediction = (ops.clip(x, EPSILON, 1) for x in (target, prediction))
    return (target * ops.log(target / prediction)).sum(-1)
