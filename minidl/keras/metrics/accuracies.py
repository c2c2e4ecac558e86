"""Accuracies under Keras's names: the classes come last, the targets first."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.backend import default_dtype
from minidl.keras.metrics.metric import MODULE, MeanMetricWrapper, tensor
from minidl.keras.serialization import builtin
from minidl.training import metrics
from minidl.training.metrics.arrays import plain, weighted_total

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return 1 for each label that was predicted, 0 for each other.

    Parameters
    ----------
    y_true, y_pred : Tensor or array, one shape

    Returns
    -------
    Tensor, that shape

    Examples
    --------
    >>> accuracy([1, 2, 3], [1, 2, 0])
    tensor([1., 1., 0.])

    References
    ----------
    ``keras.metrics.Accuracy``.
    """
    return _values(metrics.Accuracy(), y_true, y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Return 1 for each probability on the right side of a threshold, 0 for each other.

    Parameters
    ----------
    y_true, y_pred : Tensor or array, one shape
    threshold : float

    Returns
    -------
    Tensor, that shape

    Examples
    --------
    >>> binary_accuracy([1, 1, 0], [0.9, 0.4, 0.2])
    tensor([1., 0., 1.])

    References
    ----------
    ``keras.metrics.binary_accuracy``.
    """
    return _values(metrics.BinaryAccuracy(threshold), y_true, y_pred)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return 1 for each sample whose class, one-hot in ``y_true``, has the largest score.

    Parameters
    ----------
    y_true, y_pred : Tensor or array (N, ..., C)

    Returns
    -------
    Tensor (N, ...)

    Examples
    --------
    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.3, 0.7]])
    tensor([1., 0.])

    References
    ----------
    ``keras.metrics.categorical_accuracy``.
    """
    return _values(metrics.CategoricalAccuracy(axis=-1), y_true, y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return 1 for each sample whose label has the largest score.

    Parameters
    ----------
    y_true : Tensor or array (N, ...) or (N, ..., 1)
        Labels from 0 to C - 1.
    y_pred : Tensor or array (N, ..., C)

    Returns
    -------
    Tensor (N, ...)

    Examples
    --------
    >>> sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.3, 0.7]])
    tensor([1., 0.])

    References
    ----------
    ``keras.metrics.sparse_categorical_accuracy``.
    """
    return _values(metrics.SparseCategoricalAccuracy(axis=-1), y_true, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Return 1 for each sample whose class, one-hot in ``y_true``, is among the k of the largest scores.

    Parameters
    ----------
    y_true, y_pred : Tensor or array (N, ..., C)
    k : int

    Returns
    -------
    Tensor (N, ...)

    Examples
    --------
    >>> top_k_categorical_accuracy([[0, 1, 0], [1, 0, 0]], [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5]], k=2)
    tensor([1., 0.])

    References
    ----------
    ``keras.metrics.top_k_categorical_accuracy``.
    """
    return _values(metrics.TopKCategoricalAccuracy(k, axis=-1), y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """Return 1 for each sample whose label is among the k of the largest scores.

    Parameters
    ----------
    y_true : Tensor or array (N, ...) or (N, ..., 1)
    y_pred : Tensor or array (N, ..., C)
    k : int
    from_sorted_ids : bool
        ``y_pred`` are not scores, but labels, the best first.

    Returns
    -------
    Tensor (N, ...)

    Examples
    --------
    >>> sparse_top_k_categorical_accuracy([1, 0], [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5]], k=2)
    tensor([1., 0.])

    References
    ----------
    ``keras.metrics.sparse_top_k_categorical_accuracy``.
    """
    if from_sorted_ids:
        found = plain(y_pred, "sparse_top_k_categorical_accuracy")[..., :k]
        labels = plain(y_true, "sparse_top_k_categorical_accuracy", found).reshape(*found.shape[:-1], 1)
        return ops.as_tensor((found == labels).any(axis=-1).astype(default_dtype()))
    return _values(metrics.SparseTopKCategoricalAccuracy(k, axis=-1), y_true, y_pred)


class _Share(MeanMetricWrapper):
    """The share of samples that are right, by the rule that a metric of :mod:`minidl.training.metrics` has."""

    def __init__(self, rule: metrics.SampleMean, fn: Any, name: str, dtype: Any, **kwargs: Any) -> None:
        super().__init__(fn, name, dtype, **kwargs)
        self._rule = rule

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch: targets, predictions, and one weight a sample."""
        values = self._rule.values(tensor(y_pred), tensor(y_true))
        self.metric.accumulate(*weighted_total(values, sample_weight, self.name))


@builtin(MODULE)
class Accuracy(_Share):
    """The share of labels that were predicted.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = Accuracy()
    >>> metric.update_state([1, 2, 3, 4], [0, 2, 3, 4])
    >>> float(metric.result())
    0.75

    References
    ----------
    ``keras.metrics.Accuracy``.
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(metrics.Accuracy(), accuracy, name, dtype)


@builtin(MODULE)
class BinaryAccuracy(_Share):
    """The share of probabilities on the right side of a threshold.

    Parameters
    ----------
    name : str
    dtype : str, optional
    threshold : float

    Examples
    --------
    >>> metric = BinaryAccuracy()
    >>> metric.update_state([1, 1, 0, 0], [0.98, 1, 0, 0.6])
    >>> float(metric.result())
    0.75

    References
    ----------
    ``keras.metrics.BinaryAccuracy``.
    """

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(metrics.BinaryAccuracy(threshold), binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


@builtin(MODULE)
class CategoricalAccuracy(_Share):
    """The share of samples whose class, one-hot in the target, has the largest score.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = CategoricalAccuracy()
    >>> metric.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    >>> float(metric.result())
    0.5

    References
    ----------
    ``keras.metrics.CategoricalAccuracy``.
    """

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(metrics.CategoricalAccuracy(axis=-1), categorical_accuracy, name, dtype)


@builtin(MODULE)
class SparseCategoricalAccuracy(_Share):
    """The share of samples whose label has the largest score.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    >>> float(metric.result())
    0.5

    References
    ----------
    ``keras.metrics.SparseCategoricalAccuracy``.
    """

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(metrics.SparseCategoricalAccuracy(axis=-1), sparse_categorical_accuracy, name, dtype)


@builtin(MODULE)
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of samples whose class, one-hot in the target, is among the k of the largest scores.

    Parameters
    ----------
    k : int
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = TopKCategoricalAccuracy(k=1)
    >>> metric.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    >>> float(metric.result())
    0.5

    References
    ----------
    ``keras.metrics.TopKCategoricalAccuracy``.
    """

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


@builtin(MODULE)
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of samples whose label is among the k of the largest scores.

    Parameters
    ----------
    k : int
    name : str
    dtype : str, optional
    from_sorted_ids : bool
        Predictions are not scores, but labels, the best first.

    Examples
    --------
    >>> metric = SparseTopKCategoricalAccuracy(k=1)
    >>> metric.update_state([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    >>> float(metric.result())
    0.5

    References
    ----------
    ``keras.metrics.SparseTopKCategoricalAccuracy``.
    """

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k, self.from_sorted_ids = k, from_sorted_ids


def _values(metric: metrics.SampleMean, y_true: Any, y_pred: Any) -> Any:
    return ops.as_tensor(metric.values(y_pred, y_true).astype(default_dtype()))
