"""The mean of a loss over a batch in one operation, where there is one: what every training step asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl import ops
from minidl.keras.losses.classification import label_scores, sparse_categorical_crossentropy
from minidl.keras.losses.regression import mean_absolute_error, mean_squared_error
from minidl.keras.losses.targets import labelled, paired, warn_of_logits

__all__ = ["MEANS"]


def mean_of_squares(y_true: Any, y_pred: Any) -> Any:
    """Return the mean of what ``mean_squared_error`` returns."""
    if y_true.array.shape != y_pred.array.shape:
        y_true, y_pred = paired(y_true, y_pred, "mean_squared_error")
    return ops.mse_loss(y_pred, y_true)


def mean_of_sizes(y_true: Any, y_pred: Any) -> Any:
    """Return the mean of what ``mean_absolute_error`` returns."""
    if y_true.array.shape != y_pred.array.shape:
        y_true, y_pred = paired(y_true, y_pred, "mean_absolute_error")
    return ops.l1_loss(y_pred, y_true)


def mean_of_labels(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Return the mean of what ``sparse_categorical_crossentropy`` returns."""
    if ignore_class is not None:
        return None
    name = "sparse_categorical_crossentropy"
    labels, prediction = labelled(y_true, y_pred, axis, name)
    if from_logits:
        return ops.cross_entropy(label_scores(prediction, axis), labels, ignore_index=None)
    warn_of_logits(prediction, name, "softmax")
    return ops.sparse_categorical_crossentropy(prediction, labels, axis, reduction="mean")


#: By function of targets and predictions, what gives the mean of its values, or None for some arguments.
MEANS: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = (
    (mean_squared_error, mean_of_squares),
    (mean_absolute_error, mean_of_sizes),
    (sparse_categorical_crossentropy, mean_of_labels),
)
