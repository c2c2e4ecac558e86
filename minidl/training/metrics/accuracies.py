"""Accuracies: the share of predictions that are right, by what predictions and targets look like."""

from __future__ import annotations

import math
from typing import Any

from minidl.backend import namespace
from minidl.errors import ArgumentError
from minidl.training.metrics.arrays import aligned, check_axis, check_labels, misfit, pair
from minidl.training.metrics.means import SampleMean

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
]


class Accuracy(SampleMean):
    r"""The share of samples whose label was predicted.

    .. math:: \frac{\sum_i w_i [\hat y_i = y_i]}{\sum_i w_i}

    Predictions are labels (N, ...), compared as they are; or scores (N, C, ...), with one more axis than the targets,
    of which the largest wins.

    Parameters
    ----------
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is no class that there is a score for.

    Examples
    --------
    >>> metric = Accuracy()
    >>> metric.update([1, 2, 0], [1, 1, 0])
    >>> metric.update([[0.1, 0.9]], [1])
    >>> metric.compute()
    0.75

    References
    ----------
    ``sklearn.metrics.accuracy_score``, ``keras.metrics.Accuracy``.
    """

    def values(self, prediction: Any, target: Any) -> Any:
        """Return 1 for each label that was predicted, 0 for each other."""
        prediction, target = pair(prediction, target, self.name)
        if prediction.ndim == target.ndim + 1 and prediction.shape[1] > 1:
            return _found(prediction, target, 1, self.name)
        prediction, target = aligned(prediction, target, self.name)
        return prediction == target


class BinaryAccuracy(SampleMean):
    r"""The share of probabilities (N, ...) on the right side of a threshold.

    .. math:: \frac{\sum_i w_i [(\hat y_i > t) = y_i]}{\sum_i w_i}

    Parameters
    ----------
    threshold : float
        0 for logits.
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.

    Examples
    --------
    >>> BinaryAccuracy()([0.9, 0.2, 0.6, 0.4], [1, 0, 0, 0])
    0.75

    References
    ----------
    ``keras.metrics.BinaryAccuracy``.
    """

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.threshold = threshold

    def values(self, prediction: Any, target: Any) -> Any:
        """Return 1 for each probability on the right side, 0 for each other."""
        prediction, target = aligned(prediction, target, self.name)
        return (prediction > self.threshold) == target


class CategoricalAccuracy(SampleMean):
    r"""The share of samples whose largest score is that of the class that the target, one-hot or probabilities, has.

    .. math:: \frac{\sum_i w_i [\arg\max_c \hat y_{ic} = \arg\max_c y_{ic}]}{\sum_i w_i}

    Parameters
    ----------
    axis : int
        That of the classes: 1 for (N, C, ...), -1 for (N, ..., C).
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets have different shapes.

    Examples
    --------
    >>> CategoricalAccuracy()([[0.1, 0.9], [0.8, 0.2]], [[0, 1], [0, 1]])
    0.5

    References
    ----------
    ``keras.metrics.CategoricalAccuracy``.
    """

    def __init__(self, axis: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, prediction: Any, target: Any) -> Any:
        """Return 1 for each sample whose class was found, 0 for each other."""
        prediction, classes = _from_one_hot(prediction, target, self.axis, self.name)
        return _found(prediction, classes, self.axis, self.name)


class SparseCategoricalAccuracy(SampleMean):
    r"""The share of samples whose largest score is that of their label.

    .. math:: \frac{\sum_i w_i [\arg\max_c \hat y_{ic} = y_i]}{\sum_i w_i}

    Parameters
    ----------
    axis : int
        That of the classes among the scores: 1 for (N, C, ...), -1 for (N, ..., C). Labels lack it, or have 1 there.
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is no class that there is a score for.

    Examples
    --------
    >>> SparseCategoricalAccuracy()([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5

    References
    ----------
    ``keras.metrics.SparseCategoricalAccuracy``.
    """

    def __init__(self, axis: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, prediction: Any, target: Any) -> Any:
        """Return 1 for each sample whose label was found, 0 for each other."""
        prediction, target = pair(prediction, target, self.name)
        return _found(prediction, target, self.axis, self.name)


class TopKCategoricalAccuracy(SampleMean):
    r"""The share of samples whose class, one-hot in the target, is among the k of the largest scores.

    .. math:: \frac{\sum_i w_i \bigl[\sum_c [\hat y_{ic} > \hat y_{i y_i}] < k\bigr]}{\sum_i w_i}

    Parameters
    ----------
    k : int
    axis : int
        That of the classes: 1 for (N, C, ...), -1 for (N, ..., C).
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``k`` is no positive integer.
    ShapeError
        If predictions and targets have different shapes.

    Examples
    --------
    >>> TopKCategoricalAccuracy(2)([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], [[0, 0, 1], [1, 0, 0]])
    0.5

    References
    ----------
    ``keras.metrics.TopKCategoricalAccuracy``.
    """

    def __init__(self, k: int = 5, axis: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.k, self.axis = _checked_k(k, self.name), axis

    def values(self, prediction: Any, target: Any) -> Any:
        """Return 1 for each sample whose class is among the k, 0 for each other."""
        prediction, classes = _from_one_hot(prediction, target, self.axis, self.name)
        return _among_top_k(prediction, classes, self.k, self.axis, self.name)


class SparseTopKCategoricalAccuracy(SampleMean):
    r"""The share of samples whose label is among the k classes of the largest scores.

    .. math:: \frac{\sum_i w_i \bigl[\sum_c [\hat y_{ic} > \hat y_{i y_i}] < k\bigr]}{\sum_i w_i}

    Parameters
    ----------
    k : int
    axis : int
        That of the classes among the scores: 1 for (N, C, ...), -1 for (N, ..., C). Labels lack it, or have 1 there.
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``k`` is no positive integer.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is no class that there is a score for.

    Examples
    --------
    >>> SparseTopKCategoricalAccuracy(2)([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], [2, 0])
    0.5

    References
    ----------
    ``sklearn.metrics.top_k_accuracy_score``, ``keras.metrics.SparseTopKCategoricalAccuracy``.
    """

    def __init__(self, k: int = 5, axis: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.k, self.axis = _checked_k(k, self.name), axis

    def values(self, prediction: Any, target: Any) -> Any:
        """Return 1 for each sample whose label is among the k, 0 for each other."""
        prediction, target = pair(prediction, target, self.name)
        return _among_top_k(prediction, target, self.k, self.axis, self.name)


def _checked_k(k: int, name: str) -> int:
    if not isinstance(k, int) or k < 1:
        raise ArgumentError(f"{name}: k must be a positive integer, got {k!r}")
    return k


def _from_one_hot(prediction: Any, target: Any, axis: int, name: str) -> tuple[Any, Any]:
    """Return the scores, and the class of each target."""
    prediction, target = pair(prediction, target, name)
    if prediction.shape != target.shape:
        raise misfit(prediction, target, name, "one-hot targets have the shape of the scores; labels are for Sparse...")
    return prediction, target.argmax(axis=check_axis(prediction, axis, name))


def _labels_for(scores: Any, labels: Any, axis: int, name: str) -> tuple[Any, Any, Any]:
    """Return scores with the classes last (..., C), labels (...), and what to add to a label's value."""
    axis = check_axis(scores, axis, name)
    shape = scores.shape[:axis] + scores.shape[axis + 1 :]
    if labels.shape == (*scores.shape[:axis], 1, *scores.shape[axis + 1 :]):
        labels = labels.reshape(shape)
    if labels.shape != shape:
        raise misfit(scores, labels, name, f"expected a label for each of the scores, {shape}")
    labels, poison = check_labels(labels, scores.shape[axis], "targets", name)
    if axis != scores.ndim - 1:
        scores = namespace(scores).moveaxis(scores, axis, -1)
    return scores, labels, poison


def _found(scores: Any, labels: Any, axis: int, name: str) -> Any:
    scores, labels, poison = _labels_for(scores, labels, axis, name)
    return (scores.argmax(axis=-1) == labels) + poison


def _among_top_k(scores: Any, labels: Any, k: int, axis: int, name: str) -> Any:
    scores, labels, poison = _labels_for(scores, labels, axis, name)
    xp = namespace(scores)
    own = xp.take_along_axis(scores, labels[..., None], axis=-1)  # (..., 1)
    rank = xp.where(xp.isnan(own), math.inf, (scores > own).sum(axis=-1, keepdims=True))
    return (rank[..., 0] < k) + poison
