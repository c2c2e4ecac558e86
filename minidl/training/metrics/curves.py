"""Areas under curves that trade one kind of mistake for the other: exact, or at a fixed set of thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.backend import namespace
from minidl.errors import ArgumentError, DataError, RangeError, ShapeError, warn
from minidl.training.metrics.arrays import aligned, check_binary, check_labels, pair, weights
from minidl.training.metrics.counts import BinaryCounts, divide
from minidl.training.metrics.metric import Metric

__all__ = ["AUC", "AveragePrecision", "BinnedAUC"]

_EDGE = 1e-7  # how far the outermost thresholds stand outside of [0, 1]: Keras's number


class Area(Metric):
    """What exact areas share: every score is a threshold, so all are kept until the end."""

    accumulators = "scores", "targets", "weights"

    def __init__(self, average: str | None = "macro", name: str | None = None) -> None:
        super().__init__(name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ArgumentError(f"{self.name}: average must be 'micro', 'macro', 'weighted' or None, got {average!r}")
        self.average = average

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of scores (N,) or (N, L), targets, and weights (N,)."""
        prediction, target = pair(prediction, target, self.name)
        if not _against_the_rest(prediction, target):
            prediction, target = aligned(prediction, target, self.name)
        if prediction.ndim > 2:
            raise ShapeError(f"{self.name}: expected scores (N,) or (N, L), got {prediction.shape}")
        _truth(prediction, target, self.name)  # what is wrong on a GPU is seen in compute
        xp = namespace(prediction)
        first = prediction.reshape(len(prediction), -1)[:, 0]
        weight = xp.broadcast_to(weights(sample_weight, first, self.name), first.shape)
        # copies, because the caller may write the next batch into the same memory
        self.accumulate([prediction.copy()], [target.copy()], [weight.copy()])

    def compute(self) -> Any:
        """Return the area: a float, or an array (L,) of several labels without an average."""
        scores, targets, weight = map(np.concatenate, self.accumulated())
        if np.isnan(scores).any():
            raise DataError(f"{self.name}: {np.isnan(scores).sum()} of the scores are nan, which has no rank")
        truth = _truth(scores, targets, self.name)
        if scores.ndim == 1:
            return self._area(scores, truth, weight)
        if self.average == "micro":
            return self._area(scores.ravel(), truth.ravel(), weight.repeat(scores.shape[1]))
        areas = np.array([self._area(*columns, weight) for columns in zip(scores.T, truth.T, strict=True)])  # (L,)
        if self.average is None:
            return areas
        return float(np.average(areas, weights=weight @ truth if self.average == "weighted" else None))

    def _area(self, scores: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
        """Count what is above each distinct score, from the highest down, and return the area."""
        order = np.argsort(-scores, kind="stable")
        order = order[weight[order] != 0]
        scores = scores[order]
        hits = np.cumsum(weight[order] * truth[order])
        false = np.cumsum(weight[order] * ~truth[order])
        if not len(order) or hits[-1] == 0 or (self.needs_negatives and false[-1] == 0):
            warn(f"{self.name}: all samples are of one class, so there is no curve; the area is nan")
            return math.nan
        last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each run of equal scores
        return float(self.area(hits[last], false[last]))

    needs_negatives = False

    def area(self, hits: np.ndarray, false: np.ndarray) -> Any:
        """Return the area of true and false positives at descending thresholds."""
        raise NotImplementedError(f"{type(self).__name__} has no area")


class AUC(Area):
    r"""The area under a curve over all thresholds, exactly; for ROC, how likely a positive outranks a negative.

    .. math:: A = \sum_t \frac{y_t + y_{t-1}}{2} (x_t - x_{t-1})

    ROC: :math:`x = FP / (FP + TN)`, :math:`y = TP / (TP + FN)`; PR: :math:`x` is the recall :math:`TP / (TP + FN)`,
    :math:`y` the precision :math:`TP / (TP + FP)`. It keeps all scores; :class:`BinnedAUC` needs no memory.

    Parameters
    ----------
    curve : {"ROC", "PR"}
        PR has straight lines between its points, as ``sklearn.metrics.auc(recall, precision)`` has;
        :class:`AveragePrecision` takes steps.
    average : {"macro", "micro", "weighted"} or None
        Of scores (N, L): the mean over labels, all at once, the mean weighted by how often each occurs; None gives each
        label's. Targets are 0 or 1 (N, L), or labels (N,): then each class is judged against all others.
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``curve`` or ``average`` is unknown.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is neither 0 nor 1, or a label out of range.
    DataError
        If a score is nan.

    Warns
    -----
    NumericalWarning
        If there is one class only: the area is nan.

    Examples
    --------
    >>> auc = AUC()
    >>> auc.update([0.1, 0.4], [0, 0])
    >>> auc.update([0.35, 0.8], [1, 1])
    >>> auc.compute()
    0.75

    References
    ----------
    ``sklearn.metrics.roc_auc_score``.
    """

    def __init__(self, curve: str = "ROC", average: str | None = "macro", name: str | None = None) -> None:
        super().__init__(average, name)
        if curve not in ("ROC", "PR"):
            raise ArgumentError(f"{self.name}: curve must be 'ROC' or 'PR', got {curve!r}")
        self.curve = curve
        self.needs_negatives = curve == "ROC"

    def area(self, hits: np.ndarray, false: np.ndarray) -> Any:
        """Return the area by the trapezoid rule."""
        recall = np.append(0, hits) / hits[-1]
        if self.curve == "ROC":
            return np.trapezoid(recall, np.append(0, false) / false[-1])
        return np.trapezoid(np.append(1, hits / (hits + false)), recall)


class AveragePrecision(Area):
    r"""The mean precision over all recalls, exactly: the area under the precision-recall curve, in steps.

    .. math:: AP = \sum_t P_t (R_t - R_{t-1})

    Parameters
    ----------
    average : {"macro", "micro", "weighted"} or None
        As for :class:`AUC`.
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``average`` is unknown.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is neither 0 nor 1, or a label out of range.
    DataError
        If a score is nan.

    Warns
    -----
    NumericalWarning
        If there are no positives: the area is nan.

    Examples
    --------
    >>> AveragePrecision()([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.83...

    References
    ----------
    ``sklearn.metrics.average_precision_score``.
    """

    def area(self, hits: np.ndarray, false: np.ndarray) -> Any:
        """Return the area in steps."""
        return (hits / (hits + false) * np.diff(hits, prepend=0)).sum() / hits[-1]


class BinnedAUC(BinaryCounts):
    r"""The area under a curve of a fixed number of points, for probabilities: it keeps four counts for each.

    .. math:: A = \sum_t h(y_t, y_{t+1}) (x_t - x_{t+1})

    ROC: :math:`x = FP / (FP + TN)`, :math:`y = TP / (TP + FN)`; PR: :math:`x = TP / (TP + FN)`,
    :math:`y = TP / (TP + FP)`, interpolated so that true and false positives grow in proportion (Davis & Goadrich).

    Parameters
    ----------
    num_thresholds : int
        Evenly from 0 to 1; the outermost stand 1e-7 outside.
    curve : {"ROC", "PR", "PRGAIN"}
    summation : {"interpolation", "minoring", "majoring"}
        The height of a piece: the mean of its ends, the lesser, the greater.
    thresholds : sequence of float, optional
        Those between 0 and 1, instead of ``num_thresholds``.
    per_label : bool
        The mean of the areas of L labels (N, L), not the area of all together.
    label_weights : sequence of float, optional
        (L,), for that mean; without ``per_label`` they weigh the labels' counts.
    name : str, optional

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of range.
    ShapeError
        If predictions and targets don't fit each other.
    RangeError
        If a target is neither 0 nor 1.

    Examples
    --------
    >>> BinnedAUC(num_thresholds=3)([0.0, 0.5, 0.3, 0.9], [0, 0, 1, 1])
    0.75

    References
    ----------
    ``keras.metrics.AUC``. J. Davis and M. Goadrich, "The relationship between Precision-Recall and ROC curves", 2006.
    P. Flach and M. Kull, "Precision-Recall-Gain Curves", 2015.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation: str = "interpolation",
        thresholds: Sequence[float] | None = None,
        per_label: bool = False,
        label_weights: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        if thresholds is None and not num_thresholds > 1:
            raise ArgumentError(f"BinnedAUC: num_thresholds must be at least 2, got {num_thresholds}")
        inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1) if thresholds is None else sorted(thresholds)
        super().__init__([-_EDGE, *inner, 1 + _EDGE], per_label, name)
        if curve not in ("ROC", "PR", "PRGAIN"):
            raise ArgumentError(f"{self.name}: curve must be 'ROC', 'PR' or 'PRGAIN', got {curve!r}")
        if summation not in ("interpolation", "minoring", "majoring"):
            raise ArgumentError(
                f"{self.name}: summation must be 'interpolation', 'minoring' or 'majoring', got {summation!r}"
            )
        if any(not 0 <= t <= 1 for t in inner):
            raise RangeError(f"{self.name}: thresholds must be from 0 to 1, got {list(thresholds or ())}")
        self.curve, self.summation, self.label_weights = curve, summation, label_weights

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of probabilities (N, ...), clipped to [0, 1]; targets 0 or 1; weights (N,) or (N, ...)."""
        prediction, target = aligned(prediction, target, self.name)
        if self.label_weights is not None and prediction.shape[1:] != (len(self.label_weights),):
            labels = len(self.label_weights)
            raise ShapeError(
                f"{self.name}: {labels} label_weights need predictions (N, {labels}), got {prediction.shape}"
            )
        if self.label_weights is not None and not self.per_label:
            xp = namespace(prediction)
            by_label = xp.broadcast_to(xp.asarray(self.label_weights, np.float64), prediction.shape)
            sample_weight = weights(sample_weight, prediction, self.name) * by_label
        super().update(prediction.clip(0, 1), target, sample_weight)

    def compute(self) -> Any:
        """Return the area, a float."""
        areas = self._pieces(*self.accumulated()).sum(axis=0)
        if self.per_label and self.label_weights is not None:
            return float(divide((areas * self.label_weights).sum(), np.sum(self.label_weights)))
        return float(areas.mean())

    def _pieces(self, hits: Any, false: Any, dismissed: Any, missed: Any) -> Any:
        """Return the areas between neighbouring thresholds (T - 1,) or (T - 1, L)."""
        recall = divide(hits, hits + missed)
        if self.curve == "ROC":
            x, y = divide(false, false + dismissed), recall
        elif self.curve == "PRGAIN":
            odds = divide(hits + missed, dismissed + false)
            x = np.where(hits == 0, 0.0, np.maximum(1 - odds * divide(missed, hits), 0))
            y = np.where(hits == 0, 1.0, 1 - odds * divide(false, hits))
        elif self.summation == "interpolation":
            return _interpolated_precision(hits, false, missed)
        else:
            x, y = recall, divide(hits, hits + false)
        width, left, right = x[:-1] - x[1:], y[:-1], y[1:]
        if self.summation == "interpolation":
            return width * (left + right) / 2
        return width * (np.minimum if self.summation == "minoring" else np.maximum)(left, right)


def _against_the_rest(scores: Any, target: Any) -> bool:
    """Whether targets are labels (N,) of scores (N, C)."""
    return scores.ndim == 2 and target.ndim == 1 and len(scores) == len(target) and scores.shape[1] > 1


def _truth(scores: Any, target: Any, name: str) -> Any:
    """Return targets as booleans of the scores' shape."""
    if _against_the_rest(scores, target):
        labels, _ = check_labels(target, scores.shape[1], "targets", name)
        return labels[:, None] == namespace(scores).arange(scores.shape[1])
    return check_binary(target, name)[0]


def _interpolated_precision(hits: Any, false: Any, missed: Any) -> Any:
    """Return the areas under pieces of the PR curve along which hits grow by ``slope`` with each positive."""
    positives = hits + false
    new = hits[:-1] - hits[1:]
    slope = divide(new, positives[:-1] - positives[1:])
    intercept = hits[1:] - slope * positives[1:]
    both = (positives[:-1] > 0) & (positives[1:] > 0)
    growth = np.where(both, divide(positives[:-1], positives[1:]), 1.0)
    return divide(slope * (new + intercept * np.log(np.where(growth > 0, growth, 1.0))), hits[1:] + missed[1:])
