"""Hits and misses at thresholds under Keras's names, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minidl.errors import ArgumentError, ShapeError
from minidl.keras.metrics.metric import MODULE, Wrapper, as_result, tensor
from minidl.keras.serialization import builtin
from minidl.ops import sigmoid
from minidl.training import metrics
from minidl.training.metrics.arrays import plain
from minidl.training.metrics.counts import divide, highest

__all__ = [
    "AUC",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]


class CountAtThresholds(Wrapper):
    """What the four counts share."""

    counted: ClassVar[str]

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.thresholds, nothing = _thresholds(thresholds, 0.5, type(self).__name__)
        super().__init__(metrics.BinaryCounts(_one_or_all(self.thresholds)), name, dtype, nothing)
        self.init_thresholds = thresholds

    def result(self) -> Any:
        """Return the count, or one for each threshold, a tensor."""
        if not self.metric.updated:
            return super().result()
        return as_result(getattr(self.metric.compute(), self.counted), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


@builtin(MODULE)
class TruePositives(CountAtThresholds):
    """How many positives are above a threshold.

    Parameters
    ----------
    thresholds : float or list of float, optional
        0.5 if left out; a list gives a count each.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = TruePositives()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> float(metric.result())
    2.0

    References
    ----------
    ``keras.metrics.TruePositives``.
    """

    counted = "true_positives"


@builtin(MODULE)
class TrueNegatives(CountAtThresholds):
    """How many negatives are not above a threshold.

    Parameters
    ----------
    thresholds : float or list of float, optional
        0.5 if left out; a list gives a count each.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = TrueNegatives()
    >>> metric.update_state([0, 1, 0, 0], [1, 1, 0, 0])
    >>> float(metric.result())
    2.0

    References
    ----------
    ``keras.metrics.TrueNegatives``.
    """

    counted = "true_negatives"


@builtin(MODULE)
class FalsePositives(CountAtThresholds):
    """How many negatives are above a threshold.

    Parameters
    ----------
    thresholds : float or list of float, optional
        0.5 if left out; a list gives a count each.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = FalsePositives()
    >>> metric.update_state([0, 1, 0, 0], [0, 0, 1, 1])
    >>> float(metric.result())
    2.0

    References
    ----------
    ``keras.metrics.FalsePositives``.
    """

    counted = "false_positives"


@builtin(MODULE)
class FalseNegatives(CountAtThresholds):
    """How many positives are not above a threshold.

    Parameters
    ----------
    thresholds : float or list of float, optional
        0.5 if left out; a list gives a count each.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = FalseNegatives()
    >>> metric.update_state([0, 1, 1, 1], [0, 1, 0, 0])
    >>> float(metric.result())
    2.0

    References
    ----------
    ``keras.metrics.FalseNegatives``.
    """

    counted = "false_negatives"


class PrecisionOrRecall(Wrapper):
    """What precision and recall share."""

    kind: ClassVar[type[metrics.Precision] | type[metrics.Recall]]

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        least = 0.5 if top_k is None else float(np.finfo(np.float32).min)
        self.thresholds, nothing = _thresholds(thresholds, least, type(self).__name__)
        super().__init__(self.kind(threshold=_one_or_all(self.thresholds)), name, dtype, nothing)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets 0 or 1 (N, ...), probabilities (N, ...), and one weight a sample."""
        if self.top_k is not None:
            y_pred = highest(plain(y_pred, self.name), self.top_k)
        super().update_state(*_of_class(self.class_id, y_true, y_pred, self.name), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


@builtin(MODULE)
class Precision(PrecisionOrRecall):
    """The share of what was predicted that is right.

    Parameters
    ----------
    thresholds : float or list of float, optional
        0.5 if left out, or none with ``top_k``; a list gives a value each.
    top_k : int, optional
        Only the k largest of a sample's scores count as predicted.
    class_id : int, optional
        Only this class counts.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = Precision()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(float(metric.result()), 4)
    0.6667

    References
    ----------
    ``keras.metrics.Precision``.
    """

    kind = metrics.Precision


@builtin(MODULE)
class Recall(PrecisionOrRecall):
    """The share of what should be found that was.

    Parameters
    ----------
    thresholds : float or list of float, optional
        0.5 if left out, or none with ``top_k``; a list gives a value each.
    top_k : int, optional
        Only the k largest of a sample's scores count as predicted.
    class_id : int, optional
        Only this class counts.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = Recall()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(float(metric.result()), 4)
    0.6667

    References
    ----------
    ``keras.metrics.Recall``.
    """

    kind = metrics.Recall


class BestUnderConstraint(Wrapper):
    """The best of one rate among the thresholds at which another one is high enough."""

    constrained: ClassVar[str]
    wanted: ClassVar[str]

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        if not 0 <= value <= 1:
            raise ArgumentError(f"{kind}: {self.constrained} must be from 0 to 1, got {value}")
        if not num_thresholds > 0:
            raise ArgumentError(f"{kind}: num_thresholds must be at least 1, got {num_thresholds}")
        self.thresholds = [0.5] if num_thresholds == 1 else np.linspace(0, 1, num_thresholds).tolist()
        super().__init__(metrics.BinaryCounts(self.thresholds), name, dtype)
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets 0 or 1 (N, ...), probabilities (N, ...), and one weight a sample."""
        super().update_state(*_of_class(self.class_id, y_true, y_pred, self.name), sample_weight)

    def result(self) -> Any:
        """Return the best rate, a tensor; 0 if no threshold does."""
        if not self.metric.updated:
            return super().result()
        hits, false, dismissed, missed = self.metric.compute()
        rates = {
            "sensitivity": divide(hits, hits + missed),
            "recall": divide(hits, hits + missed),
            "specificity": divide(dismissed, dismissed + false),
            "precision": divide(hits, hits + false),
        }
        # in float32, as Keras has them: a rate of 0.3 is enough for 0.3
        enough = rates[self.constrained].astype(np.float32) >= np.float32(self.value)
        return as_result(np.where(enough, rates[self.wanted], 0.0).max(), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        own = {"num_thresholds": self.num_thresholds, self.constrained: self.value, "class_id": self.class_id}
        return {**super().get_config(), **own}


@builtin(MODULE)
class SensitivityAtSpecificity(BestUnderConstraint):
    """The best sensitivity among the thresholds at which the specificity is high enough.

    Parameters
    ----------
    specificity : float
        The least that is enough.
    num_thresholds : int
        Evenly from 0 to 1.
    class_id : int, optional
        Only this class counts.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = SensitivityAtSpecificity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> round(float(metric.result()), 4)
    0.5

    References
    ----------
    ``keras.metrics.SensitivityAtSpecificity``.
    """

    constrained, wanted = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


@builtin(MODULE)
class SpecificityAtSensitivity(BestUnderConstraint):
    """The best specificity among the thresholds at which the sensitivity is high enough.

    Parameters
    ----------
    sensitivity : float
        The least that is enough.
    num_thresholds : int
        Evenly from 0 to 1.
    class_id : int, optional
        Only this class counts.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = SpecificityAtSensitivity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> round(float(metric.result()), 4)
    0.6667

    References
    ----------
    ``keras.metrics.SpecificityAtSensitivity``.
    """

    constrained, wanted = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


@builtin(MODULE)
class PrecisionAtRecall(BestUnderConstraint):
    """The best precision among the thresholds at which the recall is high enough.

    Parameters
    ----------
    recall : float
        The least that is enough.
    num_thresholds : int
        Evenly from 0 to 1.
    class_id : int, optional
        Only this class counts.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = PrecisionAtRecall(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> round(float(metric.result()), 4)
    0.5

    References
    ----------
    ``keras.metrics.PrecisionAtRecall``.
    """

    constrained, wanted = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


@builtin(MODULE)
class RecallAtPrecision(BestUnderConstraint):
    """The best recall among the thresholds at which the precision is high enough.

    Parameters
    ----------
    precision : float
        The least that is enough.
    num_thresholds : int
        Evenly from 0 to 1.
    class_id : int, optional
        Only this class counts.
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> metric = RecallAtPrecision(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> round(float(metric.result()), 4)
    1.0

    References
    ----------
    ``keras.metrics.RecallAtPrecision``.
    """

    constrained, wanted = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)


@builtin(MODULE)
class AUC(Wrapper):
    """The area under a curve at a fixed set of thresholds.

    Parameters
    ----------
    num_thresholds : int
        Evenly from 0 to 1.
    curve : {"ROC", "PR", "PRGAIN"}
    summation_method : {"interpolation", "minoring", "majoring"}
    name : str, optional
    dtype : str, optional
    thresholds : list of float, optional
        Those between 0 and 1, instead of ``num_thresholds``.
    multi_label : bool
        The mean of the areas of L labels (N, L), not the area of all together.
    num_labels : int, optional
        L, with ``multi_label``.
    label_weights : list of float, optional
        (L,), for that mean; without ``multi_label`` they weigh the labels' counts.
    from_logits : bool
        Predictions are logits, not probabilities.

    Examples
    --------
    >>> metric = AUC(num_thresholds=3)
    >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    >>> float(metric.result())
    0.75

    References
    ----------
    ``keras.metrics.AUC``. :class:`minidl.training.metrics.AUC` is exact.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if num_labels and not multi_label:
            raise ArgumentError("AUC: num_labels is needed only with multi_label=True; leave it out")
        self.curve, self.summation_method = str(curve).upper(), str(summation_method).lower()
        super().__init__(
            metrics.BinnedAUC(
                num_thresholds, self.curve, self.summation_method, thresholds, multi_label, label_weights
            ),
            name,
            dtype,
        )
        self.num_thresholds = num_thresholds if thresholds is None else len(thresholds) + 2
        self.init_thresholds = None if thresholds is None else sorted(thresholds)
        self.multi_label, self.num_labels, self.label_weights = multi_label, num_labels, label_weights
        self.from_logits = from_logits

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, the outermost a little outside of [0, 1]."""
        return list(self.metric.threshold)  # type: ignore[attr-defined]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets 0 or 1 (N, ...), predictions (N, ...), and one weight a sample."""
        if self.from_logits:
            y_pred = sigmoid(tensor(y_pred))
        if self.num_labels and plain(y_pred, self.name).shape[1:] != (self.num_labels,):
            raise ShapeError(f"{self.name}: expected predictions (N, {self.num_labels}), got {np.shape(y_pred)}")
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        return config if self.init_thresholds is None else {**config, "thresholds": self.init_thresholds}


def _thresholds(given: Any, default: float, name: str) -> tuple[list[float], Any]:
    """Return the thresholds, and the result before the first batch: one number, or one for each threshold."""
    thresholds = [default] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
    if given is not None and any(t is None or not 0 <= t <= 1 for t in thresholds):
        raise ArgumentError(f"{name}: thresholds must be from 0 to 1, got {given}")
    return thresholds, 0.0 if len(thresholds) == 1 else np.zeros(len(thresholds))


def _one_or_all(thresholds: list[float]) -> Any:
    return thresholds[0] if len(thresholds) == 1 else thresholds


def _of_class(class_id: int | None, y_true: Any, y_pred: Any, name: str) -> tuple[Any, Any]:
    """Return targets and predictions of one class, or of all."""
    if class_id is None:
        return y_true, y_pred
    y_true, y_pred = plain(y_true, name), plain(y_pred, name)
    if y_pred.ndim < 2 or y_true.ndim < 2 or not -y_pred.shape[-1] <= class_id < y_pred.shape[-1]:
        raise ShapeError(
            f"{name}: class_id={class_id} needs targets and predictions (N, C), C above it, got {y_true.shape} and "
            f"{y_pred.shape}"
        )
    return y_true[..., class_id], y_pred[..., class_id]
