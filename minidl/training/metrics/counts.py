"""Metrics that count: hits and misses at thresholds or by class, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.backend import namespace
from minidl.errors import ArgumentError, ShapeError
from minidl.training.metrics.arrays import (
    aligned,
    check_axis,
    check_binary,
    check_labels,
    misfit,
    pair,
    tally,
    weights,
)
from minidl.training.metrics.metric import Metric

__all__ = ["F1", "BinaryCounts", "ConfusionMatrix", "Counts", "FBeta", "Precision", "Recall"]


class Counts(NamedTuple):
    """What :class:`BinaryCounts` computes: a number each, or an array (T,) for T thresholds."""

    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any


class BinaryCounts(Metric):
    r"""How many positives and negatives are above a threshold, and how many below.

    .. math:: TP = \sum_i w_i [\hat y_i > t]\,y_i, \quad FP = \sum_i w_i [\hat y_i > t] (1 - y_i), \quad \dots

    Parameters
    ----------
    threshold : float or sequence of float
    per_label : bool
        Count each label of (N, L) by itself, not all together.
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is neither 0 nor 1.

    Examples
    --------
    >>> BinaryCounts()([0.9, 0.8, 0.1, 0.3], [1, 0, 0, 0])
    Counts(true_positives=1.0, false_positives=1.0, true_negatives=2.0, false_negatives=0.0)

    References
    ----------
    ``keras.metrics.TruePositives``, ``keras.metrics.FalsePositives``.
    """

    accumulators = Counts._fields

    def __init__(
        self, threshold: float | Sequence[float] = 0.5, per_label: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.threshold, self.per_label = threshold, per_label

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of scores (N, ...), targets 0 or 1, and weights (N,) or (N, ...)."""
        prediction, target = aligned(prediction, target, self.name)
        self.accumulate(*count(prediction, target, sample_weight, self.threshold, self.per_label, self.name))

    def compute(self) -> Counts:
        """Return the four counts: floats, or arrays (T,) or (T, L)."""
        return Counts(*map(simple, self.accumulated()))


class PrecisionRecall(Metric):
    """What precision, recall and F-score share: three sums for each class, or for each threshold."""

    accumulators = "true_positives", "predicted", "support"
    epsilon = 0.0

    def __init__(
        self,
        average: str | None = "binary",
        threshold: float | Sequence[float] | None = None,
        num_classes: int | None = None,
        axis: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if average not in (None, "binary", "micro", "macro", "weighted"):
            raise ArgumentError(
                f"{self.name}: average must be 'binary', 'micro', 'macro', 'weighted' or None, got {average!r}"
            )
        if average != "binary" and threshold is not None and np.ndim(threshold):
            raise ArgumentError(f"{self.name}: several thresholds are for average='binary', got average={average!r}")
        self.average, self.threshold = average, threshold
        self.num_classes, self.axis = num_classes, axis

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of scores or labels, and weights (N,) or one for each target."""
        if self.average == "binary":
            threshold = 0.5 if self.threshold is None else self.threshold
            prediction, target = aligned(prediction, target, self.name)
            hits, false, _, missed = count(prediction, target, sample_weight, threshold, False, self.name)
            self.accumulate(hits, hits + false, hits + missed)
            return
        prediction, target = pair(prediction, target, self.name)
        if prediction.shape == target.shape and target.ndim > 1:
            self.accumulate(*self._indicated(prediction, target, sample_weight))
        elif self.threshold is not None:
            raise misfit(prediction, target, self.name, "with a threshold, each needs an axis of classes")
        else:
            predicted, true, weight, size = labelled(
                prediction, target, sample_weight, self.num_classes, self.axis, self.name
            )
            right = tally(true, weight * (predicted == true), size)  # (C,)
            self.accumulate(right, tally(predicted, weight, size), tally(true, weight, size))

    def compute(self) -> Any:
        """Return the score: a float, or an array (C,) without an average, (T,) of T thresholds."""
        right, predicted, support = self.accumulated()
        if self.average == "micro":
            right, predicted, support = right.sum(), predicted.sum(), support.sum()
        scores = self.score(divide(right, predicted + self.epsilon), divide(right, support + self.epsilon))
        if self.average == "macro":
            return float(scores.mean())
        if self.average == "weighted":
            return float((scores * divide(support, support.sum() + self.epsilon)).sum())
        return simple(scores)

    def score(self, precision: Any, recall: Any) -> Any:
        """Make the score of precision and recall."""
        raise NotImplementedError(f"{type(self).__name__} has no score")

    def _indicated(self, prediction: Any, target: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Count where targets (N, C) say of each class whether it is there."""
        xp = namespace(target)
        axis = check_axis(prediction, self.axis, self.name)
        if self.threshold is not None:
            taken = prediction > self.threshold
        else:
            taken = (prediction == prediction.max(axis=axis, keepdims=True)) & (xp.abs(prediction) > 1e-9)
        truth, poison = check_binary(target, self.name)
        weight = weights(sample_weight, target, self.name) + poison
        others = tuple(i for i in range(target.ndim) if i != axis)
        return tuple((weight * x).sum(axis=others) for x in (taken & truth, taken, truth))


class Precision(PrecisionRecall):
    r"""The share of what was predicted that is right.

    .. math:: P = \frac{TP}{TP + FP}

    With nothing below the line it is 0.

    Parameters
    ----------
    average : {"binary", "micro", "macro", "weighted"} or None
        ``"binary"``: scores (N, ...) above ``threshold`` are positive, targets are 0 or 1. With more classes, None
        gives each class's, ``"macro"`` their mean, ``"weighted"`` that weighted by how often each class occurs, and
        ``"micro"`` counts over all classes before it divides.
    threshold : float or sequence of float, optional
        0.5 for ``"binary"``, where several give a value each. Of classes, those above it were predicted, which may be
        several or none; without it, that of the largest score.
    num_classes : int, optional
        Needed where predictions are labels (N,), not scores (N, C).
    axis : int
        That of the classes among scores: 1 for (N, C, ...), -1 for (N, ..., C).
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``average`` is unknown, or doesn't go with the other arguments.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a label is out of range, or a target should be 0 or 1 and is not.

    Examples
    --------
    >>> Precision()([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 1])
    0.5
    >>> Precision("macro")([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.75

    References
    ----------
    ``sklearn.metrics.precision_score``, ``keras.metrics.Precision``.
    """

    def score(self, precision: Any, recall: Any) -> Any:
        """Return the precision."""
        return precision


class Recall(PrecisionRecall):
    r"""The share of what should be found that was.

    .. math:: R = \frac{TP}{TP + FN}

    With nothing below the line it is 0.

    Parameters
    ----------
    average : {"binary", "micro", "macro", "weighted"} or None
        ``"binary"``: scores (N, ...) above ``threshold`` are positive, targets are 0 or 1. With more classes, None
        gives each class's, ``"macro"`` their mean, ``"weighted"`` that weighted by how often each class occurs, and
        ``"micro"`` counts over all classes before it divides.
    threshold : float or sequence of float, optional
        0.5 for ``"binary"``, where several give a value each. Of classes, those above it were predicted, which may be
        several or none; without it, that of the largest score.
    num_classes : int, optional
        Needed where predictions are labels (N,), not scores (N, C).
    axis : int
        That of the classes among scores: 1 for (N, C, ...), -1 for (N, ..., C).
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``average`` is unknown, or doesn't go with the other arguments.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a label is out of range, or a target should be 0 or 1 and is not.

    Examples
    --------
    >>> Recall()([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 0])
    0.5
    >>> Recall(None, num_classes=2)([0, 1, 1], [0, 0, 1])
    array([0.5, 1. ])

    References
    ----------
    ``sklearn.metrics.recall_score``, ``keras.metrics.Recall``.
    """

    def score(self, precision: Any, recall: Any) -> Any:
        """Return the recall."""
        return recall


class FBeta(PrecisionRecall):
    r"""Precision and recall in one number, recall counting beta times as much.

    .. math:: P = \frac{TP}{TP + FP}, \quad R = \frac{TP}{TP + FN}, \quad
              F_\beta = (1 + \beta^2) \frac{P R}{\beta^2 P + R}

    A quotient with nothing below the line counts as 0.

    Parameters
    ----------
    beta : float
    average : {"binary", "micro", "macro", "weighted"} or None
        ``"binary"``: scores (N, ...) above ``threshold`` are positive, targets are 0 or 1. With more classes, None
        gives each class's, ``"macro"`` their mean, ``"weighted"`` that weighted by how often each class occurs, and
        ``"micro"`` counts over all classes before it divides.
    threshold : float or sequence of float, optional
        0.5 for ``"binary"``, where several give a value each. Of classes, those above it were predicted, which may be
        several or none; without it, that of the largest score.
    num_classes : int, optional
        Needed where predictions are labels (N,), not scores (N, C).
    axis : int
        That of the classes among scores: 1 for (N, C, ...), -1 for (N, ..., C).
    epsilon : float
        Added below each line: Keras's F-score has 1e-7 there.
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``average`` is unknown, or doesn't go with the other arguments.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a label is out of range, or a target should be 0 or 1 and is not.

    Examples
    --------
    >>> FBeta(2.0)([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 1])
    0.357...

    References
    ----------
    ``sklearn.metrics.fbeta_score``, ``keras.metrics.FBetaScore``.
    """

    def __init__(
        self,
        beta: float = 1.0,
        average: str | None = "binary",
        threshold: float | Sequence[float] | None = None,
        num_classes: int | None = None,
        axis: int = 1,
        epsilon: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(average, threshold, num_classes, axis, name)
        if not beta > 0:
            raise ArgumentError(f"{self.name}: beta must be positive, got {beta}")
        self.beta, self.epsilon = beta, epsilon

    def score(self, precision: Any, recall: Any) -> Any:
        """Return the weighted harmonic mean."""
        square = self.beta**2
        return (1 + square) * divide(precision * recall, square * precision + recall + self.epsilon)


class F1(FBeta):
    r"""The harmonic mean of precision and recall.

    .. math:: P = \frac{TP}{TP + FP}, \quad R = \frac{TP}{TP + FN}, \quad F_1 = \frac{2 P R}{P + R}

    A quotient with nothing below the line counts as 0.

    Parameters
    ----------
    average : {"binary", "micro", "macro", "weighted"} or None
        ``"binary"``: scores (N, ...) above ``threshold`` are positive, targets are 0 or 1. With more classes, None
        gives each class's, ``"macro"`` their mean, ``"weighted"`` that weighted by how often each class occurs, and
        ``"micro"`` counts over all classes before it divides.
    threshold : float or sequence of float, optional
        0.5 for ``"binary"``, where several give a value each. Of classes, those above it were predicted, which may be
        several or none; without it, that of the largest score.
    num_classes : int, optional
        Needed where predictions are labels (N,), not scores (N, C).
    axis : int
        That of the classes among scores: 1 for (N, C, ...), -1 for (N, ..., C).
    epsilon : float
        Added below each line: Keras's F-score has 1e-7 there.
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``average`` is unknown, or doesn't go with the other arguments.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a label is out of range, or a target should be 0 or 1 and is not.

    Examples
    --------
    >>> F1("macro")([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.66...

    References
    ----------
    ``sklearn.metrics.f1_score``, ``keras.metrics.F1Score``.
    """

    def __init__(
        self,
        average: str | None = "binary",
        threshold: float | Sequence[float] | None = None,
        num_classes: int | None = None,
        axis: int = 1,
        epsilon: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(1.0, average, threshold, num_classes, axis, epsilon, name)


class ConfusionMatrix(Metric):
    r"""How often each class was taken for each class.

    .. math:: M_{ab} = \sum_i w_i [y_i = a]\,[\hat y_i = b]

    Parameters
    ----------
    num_classes : int
    normalize : {"true", "pred", "all"}, optional
        Divide by the sum of each row (true class), each column (predicted class), or of all.
    axis : int
        That of the classes among scores: 1 for (N, C, ...), -1 for (N, ..., C).
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``num_classes`` is no positive integer or ``normalize`` unknown.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a label is not below ``num_classes``.

    Examples
    --------
    >>> metric = ConfusionMatrix(2)
    >>> metric.update([0, 1], [0, 0])
    >>> metric.update([[0.2, 0.8]], [1])
    >>> metric.compute()
    array([[1., 1.],
           [0., 1.]])

    References
    ----------
    ``sklearn.metrics.confusion_matrix``.
    """

    accumulators = ("matrix",)

    def __init__(self, num_classes: int, normalize: str | None = None, axis: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ArgumentError(f"{self.name}: num_classes must be a positive integer, got {num_classes!r}")
        if normalize not in (None, "true", "pred", "all"):
            raise ArgumentError(f"{self.name}: normalize must be 'true', 'pred', 'all' or None, got {normalize!r}")
        self.num_classes, self.normalize, self.axis = num_classes, normalize, axis

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels (N, ...) or scores, labels as targets, and weights (N,) or (N, ...)."""
        prediction, target = pair(prediction, target, self.name)
        predicted, true, weight, size = labelled(
            prediction, target, sample_weight, self.num_classes, self.axis, self.name
        )
        self.accumulate(tally(true * size + predicted, weight, size * size).reshape(size, size))

    def compute(self) -> np.ndarray:
        """Return the matrix (C, C) in float64: a row for each true class, a column for each predicted one."""
        (matrix,) = self.accumulated()
        if self.normalize is None:
            return matrix
        axis = {"true": (1,), "pred": (0,), "all": (0, 1)}[self.normalize]
        return divide(matrix, matrix.sum(axis=axis, keepdims=True))


# ---------------------------------------------------------------------- what they share


def count(scores: Any, target: Any, sample_weight: Any, threshold: Any, per_label: bool, name: str) -> Counts:
    """Count hits and misses at each threshold, in any order: one pass over the scores, however many there are."""
    xp = namespace(scores)
    truth, poison = check_binary(target, name)
    weight = xp.broadcast_to(weights(sample_weight, scores, name) + poison, scores.shape)
    if per_label and scores.ndim != 2:
        raise ShapeError(f"{name}: labels counted by themselves need scores (N, L), got {scores.shape}")
    labels = scores.shape[1] if per_label else 1
    # compared in the scores' own precision: 0.3 in float32 is not above the threshold 0.3
    levels = np.asarray(threshold, scores.dtype if scores.dtype.kind == "f" else np.float64)
    order = np.argsort(levels, axis=None, kind="stable")
    sorted_levels = xp.asarray(levels.ravel()[order])
    above = xp.searchsorted(sorted_levels, scores.ravel(), side="left")  # how many thresholds a score is above
    above = xp.where(xp.isnan(scores.ravel()), 0, above)  # nan is above none
    size = levels.size + 1
    place = above * labels + xp.arange(scores.size) % labels
    back = xp.asarray(np.argsort(order, kind="stable"))

    def split(part: Any) -> tuple[Any, Any]:
        """Return the weight above each threshold, and that not above it."""
        sums = tally(place, (weight * part).ravel(), size * labels).reshape(size, labels)
        shape = levels.shape + ((labels,) if per_label else ())
        higher, lower = sums[::-1].cumsum(axis=0)[::-1][1:], sums.cumsum(axis=0)[:-1]  # (T, L)
        return higher[back].reshape(shape), lower[back].reshape(shape)

    hits, missed = split(truth)
    false, dismissed = split(~truth)
    return Counts(hits, false, dismissed, missed)


def highest(scores: Any, k: int) -> Any:
    """Return scores (..., C) with those that are not among the k largest at minus infinity."""
    order = (-scores).argsort(axis=-1, kind="stable")
    ranks = order.argsort(axis=-1, kind="stable")
    return namespace(scores).where(ranks < k, scores, -math.inf)


def labelled(
    prediction: Any, target: Any, sample_weight: Any, num_classes: int | None, axis: int, name: str
) -> tuple[Any, Any, Any, int]:
    """Return predicted and true labels and weights, each (N',), and the number of classes."""
    if prediction.ndim == target.ndim + 1:
        axis = check_axis(prediction, axis, name)
        size = prediction.shape[axis]
        if num_classes not in (None, size):
            raise misfit(prediction, target, name, f"num_classes={num_classes}, but axis {axis} has {size} scores")
        prediction = prediction.argmax(axis=axis)
    elif num_classes is None and prediction.shape == target.shape:
        raise ArgumentError(f"{name}: labels don't tell how many classes there are; give num_classes=")
    else:
        size = num_classes or 0
    if prediction.shape != target.shape:
        raise misfit(prediction, target, name, "expected scores (N, C) or labels (N,), and labels (N,)")
    predicted, poison = check_labels(prediction, size, "predictions", name)
    true, more = check_labels(target, size, "targets", name)
    weight = weights(sample_weight, target, name) + poison + more
    return predicted.ravel(), true.ravel(), namespace(weight).broadcast_to(weight, true.shape).ravel(), size


def divide(x: Any, y: Any) -> Any:
    """Return ``x / y``, 0 where ``y`` is 0."""
    return np.where(y == 0, 0.0, x / np.where(y == 0, 1, y))


def simple(x: np.ndarray) -> Any:
    """Return an array without axes as a float."""
    return x if x.ndim else float(x)
