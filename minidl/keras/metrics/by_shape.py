"""Which metric a user means: by name, by object, or for "accuracy" by what targets and predictions look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minidl.errors import StateError
from minidl.keras.metrics.accuracies import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from minidl.keras.metrics.from_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from minidl.keras.metrics.metric import MODULE, Mean, MeanMetricWrapper, Metric
from minidl.keras.serialization import deserialize_keras_object, resolve, serialize_keras_object
from minidl.training import metrics
from minidl.training.metrics.arrays import plain

__all__ = ["accuracy_for", "as_metric", "crossentropy_for", "deserialize", "get", "serialize"]

#: Which metrics a name stands for: one if the prediction is a single number, one for labels, one for one-hot targets.
BY_SHAPE: dict[str, tuple[type[MeanMetricWrapper], ...]] = {
    **dict.fromkeys(("accuracy", "acc"), (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)),
    **dict.fromkeys(
        ("crossentropy", "ce"), (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)
    ),
}


def accuracy_for(target_shape: Sequence[int], prediction_shape: Sequence[int]) -> type[MeanMetricWrapper]:
    """Return the accuracy that targets and predictions of these shapes call for.

    Parameters
    ----------
    target_shape, prediction_shape : tuple of int

    Returns
    -------
    BinaryAccuracy, SparseCategoricalAccuracy or CategoricalAccuracy

    Examples
    --------
    >>> accuracy_for((32,), (32, 10)).__name__
    'SparseCategoricalAccuracy'
    """
    return BY_SHAPE["accuracy"][_which(target_shape, prediction_shape)]


def crossentropy_for(target_shape: Sequence[int], prediction_shape: Sequence[int]) -> type[MeanMetricWrapper]:
    """Return the crossentropy that targets and predictions of these shapes call for.

    Parameters
    ----------
    target_shape, prediction_shape : tuple of int

    Returns
    -------
    BinaryCrossentropy, SparseCategoricalCrossentropy or CategoricalCrossentropy

    Examples
    --------
    >>> crossentropy_for((32, 10), (32, 10)).__name__
    'CategoricalCrossentropy'
    """
    return BY_SHAPE["crossentropy"][_which(target_shape, prediction_shape)]


def _which(target_shape: Sequence[int], prediction_shape: Sequence[int]) -> int:
    """Return 0 for binary, 1 for labels, 2 for one-hot targets."""
    if len(prediction_shape) < 2 or prediction_shape[-1] == 1:
        return 0
    return 1 if len(target_shape) < len(prediction_shape) or target_shape[-1] == 1 else 2


class ByShape(Metric):
    """The metric that a name of ``BY_SHAPE`` stands for, once the first batch is there.

    Parameters
    ----------
    name : str
        ``"accuracy"``, ``"acc"``, ``"crossentropy"`` or ``"ce"``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.kinds = BY_SHAPE[name]
        self.metric: MeanMetricWrapper | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets, predictions, and one weight a sample."""
        if self.metric is None:
            self._choose(_which(plain(y_true, self.name).shape, plain(y_pred, self.name).shape))
        self.metric.update_state(y_true, y_pred, sample_weight)  # type: ignore[union-attr]

    def result(self) -> Any:
        """Return the value over all batches since the last reset, a tensor."""
        return Mean().result() if self.metric is None else self.metric.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        if self.metric is not None:
            self.metric.reset_state()

    def state_dict(self) -> dict[str, Any]:
        """Return which metric it is, and its sums."""
        if self.metric is None:
            return {}
        return {"kind": self.kinds.index(type(self.metric)), "sums": self.metric.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called."""
        self.metric = None
        if state:
            if set(state) != {"kind", "sums"} or state["kind"] not in range(len(self.kinds)):
                raise StateError(f"{self.name}: expected a state of 'kind' and 'sums', got one of {sorted(state)}")
            self._choose(int(state["kind"])).load_state_dict(state["sums"])

    def _choose(self, kind: int) -> MeanMetricWrapper:
        self.metric = self.kinds[kind](self.name)  # type: ignore[arg-type]
        return self.metric


def as_metric(identifier: Any) -> Any:
    """Return what an entry of ``compile(metrics=[...])`` stands for, as a metric that keeps the name it was given by.

    Parameters
    ----------
    identifier : str, dict, Metric, or a function ``fn(y_true, y_pred)``

    Returns
    -------
    Metric

    Raises
    ------
    ArgumentError
        If there is no metric of that name; the message names those with similar names.

    Examples
    --------
    >>> as_metric("mse").name
    'mse'
    """
    if isinstance(identifier, str) and identifier in BY_SHAPE:
        return ByShape(identifier)
    found = get(identifier)
    if not isinstance(found, metrics.Metric):
        found = MeanMetricWrapper(found, name=getattr(found, "__name__", None) or getattr(found, "name", None))
    if isinstance(identifier, str):
        found.name = identifier
    return found


def get(identifier: Any) -> Any:
    """Return the metric that a name, a config or an object stands for.

    Parameters
    ----------
    identifier : None, str, dict, Metric, class, or function

    Returns
    -------
    Metric, callable or None

    Raises
    ------
    ArgumentError
        If there is no metric of that name; the message names those with similar names.

    Examples
    --------
    >>> get("mae").name
    'mean_absolute_error'

    References
    ----------
    ``keras.metrics.get``.
    """
    return identifier if isinstance(identifier, metrics.Metric) else resolve(MODULE, identifier, "metric")


def serialize(metric: Any) -> Any:
    """Return a metric as what JSON can hold.

    Parameters
    ----------
    metric : Metric or function

    Returns
    -------
    dict

    Examples
    --------
    >>> serialize(get("auc"))["class_name"]
    'AUC'

    References
    ----------
    ``keras.metrics.serialize``.
    """
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a metric of what :func:`serialize` returned.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class or function, optional

    Returns
    -------
    Metric or function

    Examples
    --------
    >>> deserialize(serialize(get("auc"))).num_thresholds
    200

    References
    ----------
    ``keras.metrics.deserialize``.
    """
    return deserialize_keras_object(config, custom_objects, module=MODULE)
