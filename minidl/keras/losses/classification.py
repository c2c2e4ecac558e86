"""Losses on classes, as functions of targets and predictions: one value for each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl import ops
from minidl.keras.losses.targets import EPSILON, labelled, paired, paired_classes, warn_of_logits
from minidl.keras.serialization import builtin

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "dice",
    "hinge",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

MODULE = "keras.losses"


@builtin(MODULE, "bce", "BCE")
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    r"""Return the mean cross entropy of yes-or-no predictions, for each sample.

    .. math:: L = -\frac{1}{D} \sum_d \big(y_d \log p_d + (1 - y_d) \log(1 - p_d)\big)

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`, 0, 1 or between.
    y_pred : Tensor or array, (..., D)
        :math:`p`, probabilities (kept :math:`10^{-7}` from 0 and 1), or logits (before the sigmoid).
    from_logits : bool
        Whether ``y_pred`` holds logits.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis to average over.

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
    >>> keras.losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
    tensor([0.6931])


    References
    ----------
    ``keras.losses.binary_crossentropy``.
    """
    name = "binary_crossentropy"
    target, prediction = paired(y_true, y_pred, name, equal=True)
    target = _smoothed(target, label_smoothing, 2)
    if from_logits:
        return ops.binary_cross_entropy_with_logits(prediction, target, reduction="none").mean(axis)
    return _binary(target, prediction, name).mean(axis)


@builtin(MODULE)
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    r"""Return the mean cross entropy of yes-or-no predictions, what is nearly right counting less, for each sample.

    .. math:: L = -\frac{1}{D} \sum_d \big(y_d (1 - p_d)^\gamma \log p_d + (1 - y_d) p_d^\gamma \log(1 - p_d)\big)

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`, 0 or 1.
    y_pred : Tensor or array, (..., D)
        :math:`p`, probabilities (kept :math:`10^{-7}` from 0 and 1), or logits (before the sigmoid).
    apply_class_balancing : bool
        Whether to weigh the classes.
    alpha : float
        The weight of yes; no has the rest to 1.
    gamma : float
        How much less what is nearly right counts.
    from_logits : bool
        Whether ``y_pred`` holds logits.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis to average over.

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
    >>> keras.losses.binary_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
    tensor([0.1733])


    References
    ----------
    ``keras.losses.binary_focal_crossentropy``. Lin et al. 2017, "Focal Loss for Dense Object Detection".
    """
    name = "binary_focal_crossentropy"
    target, prediction = paired(y_true, y_pred, name, equal=True)
    target = _smoothed(target, label_smoothing, 2)
    if from_logits:
        prediction = ops.sigmoid(prediction)
    right = target * prediction + (1 - target) * (1 - prediction)  # how much probability the truth was given
    losses = (1 - right) ** gamma * _binary(target, prediction, name)
    if apply_class_balancing:
        losses = losses * (target * alpha + (1 - target) * (1 - alpha))
    return losses.mean(axis)


@builtin(MODULE)
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    r"""Return the cross entropy of predicted classes, for each sample.

    .. math:: L = -\sum_c y_c \log \frac{p_c}{\sum_{c'} p_{c'}}

    Parameters
    ----------
    y_true : Tensor or array, (..., C)
        :math:`y`, one-hot, or probabilities.
    y_pred : Tensor or array, (..., C)
        :math:`p`, probabilities (kept :math:`10^{-7}` from 0 and 1), or logits (before the softmax).
    from_logits : bool
        Whether ``y_pred`` holds logits.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis of the classes.

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
    >>> keras.losses.categorical_crossentropy([[0, 1, 0]], [[0.25, 0.5, 0.25]])
    tensor([0.6931])


    References
    ----------
    ``keras.losses.categorical_crossentropy``.
    """
    name = "categorical_crossentropy"
    target, prediction = paired_classes(y_true, y_pred, axis, name)
    target = _smoothed(target, label_smoothing, target.shape[-1])
    if from_logits:
        return -(target * ops.log_softmax(prediction, axis)).sum(axis)
    warn_of_logits(prediction, name, "softmax")
    return ops.categorical_crossentropy(prediction, target, axis)


@builtin(MODULE)
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    r"""Return the cross entropy of predicted classes, what is nearly right counting less, for each sample.

    .. math:: L = -\alpha \sum_c y_c (1 - p_c)^\gamma \log p_c

    Parameters
    ----------
    y_true : Tensor or array, (..., C)
        :math:`y`, one-hot, or probabilities.
    y_pred : Tensor or array, (..., C)
        :math:`p`, probabilities (kept :math:`10^{-7}` from 0 and 1), or logits (before the softmax).
    alpha : float
        The weight of it all, or of each class.
    gamma : float
        How much less what is nearly right counts.
    from_logits : bool
        Whether ``y_pred`` holds logits.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis of the classes.

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
    >>> keras.losses.categorical_focal_crossentropy([[0, 1, 0]], [[0.25, 0.5, 0.25]])
    tensor([0.0433])


    References
    ----------
    ``keras.losses.categorical_focal_crossentropy``. Lin et al. 2017, "Focal Loss for Dense Object Detection".
    """
    name = "categorical_focal_crossentropy"
    target, prediction = paired_classes(y_true, y_pred, axis, name)
    target = _smoothed(target, label_smoothing, target.shape[-1])
    if from_logits:
        prediction = ops.softmax(prediction, axis)
    else:
        warn_of_logits(prediction, name, "softmax")
    p = ops.clip(prediction / prediction.sum(axis, keepdims=True), EPSILON, 1 - EPSILON)
    weight = alpha if isinstance(alpha, (int, float)) else ops.as_tensor(alpha, dtype=p.dtype, device=p.device)
    return (-target * ops.log(p) * ((1 - p) ** gamma * weight)).sum(axis)


@builtin(MODULE)
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    r"""Return the cross entropy of predicted classes, given the numbers of the right ones, for each sample.

    .. math:: L = -\log \frac{p_y}{\sum_c p_c}

    Parameters
    ----------
    y_true : Tensor or array of ints, (...) or (..., 1)
        :math:`y`, counted from 0.
    y_pred : Tensor or array, (..., C)
        :math:`p`, probabilities (kept :math:`10^{-7}` from 0 and 1), or logits (before the softmax).
    from_logits : bool
        Whether ``y_pred`` holds logits.
    ignore_class : int, optional
        A label that does not count: its loss is 0.
    axis : int
        The axis of the classes.

    Returns
    -------
    Tensor, (...)

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DTypeError
        If a label is not a whole number.
    RangeError
        If a label is not one of the classes.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.sparse_categorical_crossentropy([1], [[0.25, 0.5, 0.25]])
    tensor([0.6931])


    References
    ----------
    ``keras.losses.sparse_categorical_crossentropy``.
    """
    name = "sparse_categorical_crossentropy"
    labels, prediction = labelled(y_true, y_pred, axis, name)
    if from_logits:
        return ops.cross_entropy(label_scores(prediction, axis), labels, ignore_index=ignore_class, reduction="none")
    warn_of_logits(prediction, name, "softmax")
    return ops.sparse_categorical_crossentropy(prediction, labels, axis, ignore_class)


def label_scores(prediction: Any, axis: int) -> Any:
    """Return logits with the classes where :func:`minidl.ops.cross_entropy` has them."""
    return prediction if prediction.ndim < 3 else ops.moveaxis(prediction, axis, 1)


@builtin(MODULE)
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean amount by which scores miss the margin, for each sample.

    .. math:: L = \frac{1}{D} \sum_d \max(1 - y_d x_d, 0)

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`, -1 or 1; 0 and 1 are taken for these.
    y_pred : Tensor or array, (..., D)
        :math:`x`, scores.

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
    >>> keras.losses.hinge([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor([1.])


    References
    ----------
    ``keras.losses.hinge``.
    """
    target, prediction = paired(y_true, y_pred, "hinge")
    return ops.maximum(1 - _signs(target) * prediction, 0).mean(-1)


@builtin(MODULE)
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return the mean square of the amount by which scores miss the margin, for each sample.

    .. math:: L = \frac{1}{D} \sum_d \max(1 - y_d x_d, 0)^2

    Parameters
    ----------
    y_true : Tensor or array, (..., D)
        :math:`y`, -1 or 1; 0 and 1 are taken for these.
    y_pred : Tensor or array, (..., D)
        :math:`x`, scores.

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
    >>> keras.losses.squared_hinge([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor([1.2500])


    References
    ----------
    ``keras.losses.squared_hinge``.
    """
    target, prediction = paired(y_true, y_pred, "squared_hinge")
    return ops.square(ops.maximum(1 - _signs(target) * prediction, 0)).mean(-1)


@builtin(MODULE)
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    r"""Return by how much the best wrong class comes near, or exceeds, the right one, for each sample.

    .. math:: L = \max\big(\max_c (1 - y_c) x_c - \sum_c y_c x_c + 1, 0\big)

    Parameters
    ----------
    y_true : Tensor or array, (..., C)
        :math:`y`, one-hot.
    y_pred : Tensor or array, (..., C)
        :math:`x`, scores.

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
    >>> keras.losses.categorical_hinge([[0, 1, 0]], [[0.25, 0.5, 0.25]])
    tensor([0.7500])


    References
    ----------
    ``keras.losses.categorical_hinge``.
    """
    target, prediction = paired(y_true, y_pred, "categorical_hinge")
    right = (target * prediction).sum(-1)
    wrong = ops.amax((1 - target) * prediction, -1)
    return ops.maximum(wrong - right + 1, 0)


@builtin(MODULE)
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    r"""Return how little two sets overlap: 1 less Dice's coefficient.

    .. math:: L = 1 - \frac{2 \sum y p}{\sum y + \sum p + 10^{-7}}

    Parameters
    ----------
    y_true : Tensor or array, any shape
        :math:`y`, 0 or 1.
    y_pred : Tensor or array, the shape of ``y_true``
        :math:`p`, probabilities.
    axis : int or sequence of int, optional
        The axes to sum over; all, if left out.

    Returns
    -------
    Tensor, () or the shape without ``axis``

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.dice([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.5000)


    References
    ----------
    ``keras.losses.dice``.
    """
    target, prediction = paired(y_true, y_pred, "dice", equal=True)
    axis = tuple(axis) if isinstance(axis, list) else axis
    total = target.sum(axis) + prediction.sum(axis)
    return 1 - (target * prediction).sum(axis) * 2 / (total + EPSILON)


@builtin(MODULE)
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    r"""Return how little two sets overlap, what is missed and what is too much weighted: 1 less Tversky's index.

    .. math:: L = 1 - \frac{\sum y p}{\sum y p + \alpha \sum y (1 - p) + \beta \sum (1 - y) p + 10^{-7}}

    Parameters
    ----------
    y_true : Tensor or array, any shape
        :math:`y`, 0 or 1.
    y_pred : Tensor or array, the shape of ``y_true``
        :math:`p`, probabilities.
    alpha, beta : float
        The weights of what is missed, and of what is too much.
    axis : int or sequence of int, optional
        The axes to sum over; all, if left out.

    Returns
    -------
    Tensor, () or the shape without ``axis``

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.tversky([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.5000)


    References
    ----------
    ``keras.losses.tversky``.
    """
    target, prediction = paired(y_true, y_pred, "tversky", equal=True)
    axis = tuple(axis) if isinstance(axis, list) else axis
    both = (target * prediction).sum(axis)
    missed, excess = ((1 - prediction) * target).sum(axis), (prediction * (1 - target)).sum(axis)
    return 1 - both / (both + missed * alpha + excess * beta + EPSILON)


def _smoothed(target: Any, label_smoothing: float, classes: int) -> Any:
    """Return targets of which a part is spread evenly over all classes."""
    return target * (1 - label_smoothing) + label_smoothing / classes if label_smoothing else target


def _binary(target: Any, prediction: Any, name: str) -> Any:
    """Return the cross entropy of each probability, kept from 0 and 1."""
    warn_of_logits(prediction, name, "sigmoid", most=1.0)
    return ops.binary_cross_entropy(ops.clip(prediction, EPSILON, 1 - EPSILON), target, reduction="none")


def _signs(target: Any) -> Any:
    """Return targets that are all 0 or 1 as -1 and 1, and others as they are."""
    return ops.where(((target == 0) | (target == 1)).all(), target * 2 - 1, target)
