"""What all losses do first: make targets and predictions tensors that fit each other, or say why they do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable, cast
from minidl.backend import default_dtype, gpu_in_use
from minidl.errors import DTypeError, ShapeError, warn
from minidl.ops.arguments import normalize_axis
from minidl.ops.losses import check_broadcast, on_cpu

EPSILON = 1e-7  # what Keras keeps from 0


def as_prediction(y_pred: Any) -> Any:
    """Return predictions as a tensor of floats."""
    prediction = ops.as_tensor(y_pred)
    return prediction if prediction.dtype.kind == "f" else cast(prediction, default_dtype())


def as_tensor_beside(x: Any, prediction: Any) -> Any:
    """Return a tensor that lives where the prediction does."""
    if isinstance(x, Variable) and not gpu_in_use():
        return x
    return ops.as_tensor(x, device=prediction.device)


def as_target(y_true: Any, prediction: Any) -> Any:
    """Return targets as a tensor of the dtype of the prediction, and where it lives."""
    target = as_tensor_beside(y_true, prediction)
    return target if target.dtype == prediction.dtype else cast(target, prediction.dtype)


def same_rank(x: Any, y: Any) -> tuple[Any, Any]:
    """Return two tensors, one of them with an axis of size 1 added or removed at the end if that makes ranks equal.

    Vectors become columns; of anything larger, the last axis goes.
    """
    if x.ndim == y.ndim + 1 and x.shape[-1] == 1:
        return (x, ops.unsqueeze(y, -1)) if y.ndim == 1 else (ops.squeeze(x, -1), y)
    if y.ndim == x.ndim + 1 and y.shape[-1] == 1:
        return (ops.unsqueeze(x, -1), y) if x.ndim == 1 else (x, ops.squeeze(y, -1))
    return x, y


def paired(y_true: Any, y_pred: Any, name: str, equal: bool = False) -> tuple[Any, Any]:
    """Return targets and predictions as tensors of one dtype and one shape; warn if they had to be broadcast.

    Raises
    ------
    ShapeError
        If they do not fit, or, with ``equal``, if they would have to be broadcast.
    """
    prediction = as_prediction(y_pred)
    target, prediction = same_rank(as_target(y_true, prediction), prediction)
    if target.shape == prediction.shape:
        return target, prediction
    if equal:
        raise ShapeError(
            f"{name}: prediction {prediction.shape} and target {target.shape} must have the same shape; give the last "
            "layer as many units as the target has columns, or reshape one of them"
        )
    check_broadcast(prediction, target, name)
    shape = np.broadcast_shapes(prediction.shape, target.shape)
    return ops.broadcast_to(target, shape), ops.broadcast_to(prediction, shape)


def paired_classes(y_true: Any, y_pred: Any, axis: int, name: str) -> tuple[Any, Any]:
    """Return one-hot targets and predicted classes as tensors of one dtype and one shape.

    Raises
    ------
    ShapeError
        If they do not fit; the message says what does.
    """
    prediction = as_prediction(y_pred)
    shape = prediction.shape
    target, prediction = same_rank(as_target(y_true, prediction), prediction)
    if target.shape != shape:
        found, at = target.shape, normalize_axis(axis, len(shape), name)
        classes = shape[at]
        message = f"{name}: prediction {shape} is for {classes} classes, and the target has shape {found}; "
        if found in (shape[:at] + shape[at + 1 :], (*shape[:at], 1, *shape[at + 1 :])):
            raise ShapeError(
                message + "it looks like labels, one number a sample: use sparse_categorical_crossentropy, or make it "
                f"one-hot with keras.utils.to_categorical(y, {classes})"
            )
        if len(found) == len(shape) and found[:at] + found[at + 1 :] == shape[:at] + shape[at + 1 :]:
            raise ShapeError(message + f"give the last layer {found[at]} units, or the target {classes} columns")
        raise ShapeError(message + "both must have the same shape")
    if shape and shape[-1] == 1:
        warn(
            f"{name}: the prediction {shape} has one class, which is always right; for yes or no, use "
            "binary_crossentropy and a sigmoid"
        )
    return target, prediction


def labelled(y_true: Any, y_pred: Any, axis: int, name: str) -> tuple[Any, Any]:
    """Return labels as a tensor of ints, and predicted classes, of which the labels have all axes but ``axis``.

    Raises
    ------
    ShapeError, DTypeError
        If they do not fit; the message says what does.
    """
    prediction = as_prediction(y_pred)
    labels = as_tensor_beside(y_true, prediction)
    shape, at = prediction.shape, normalize_axis(axis, prediction.ndim, name)
    if labels.ndim == len(shape) and labels.shape[at] == 1:
        labels = ops.squeeze(labels, at)
    if labels.shape != (wanted := shape[:at] + shape[at + 1 :]):
        hint = "the batch sizes must be equal, and the classes are no axis of the labels"
        if labels.shape == shape:
            hint = "it looks one-hot: use categorical_crossentropy, or labels: np.argmax(y, axis=-1)"
        raise ShapeError(
            f"{name}: prediction {shape} is for {shape[at]} classes and needs labels of shape {wanted}, got "
            f"{labels.shape}; {hint}"
        )
    if labels.dtype.kind == "f":
        values = on_cpu(labels)
        if values is not None and (values != np.floor(values)).any():
            raise DTypeError(
                f"{name}: labels are the numbers of classes, 0 to {shape[at] - 1}, found "
                f"{values[values != np.floor(values)][0]}; for probabilities of classes use categorical_crossentropy"
            )
    return labels if labels.dtype.kind in "iu" else cast(labels, "int64"), prediction


def warn_of_logits(prediction: Any, name: str, activation: str, most: float | None = None) -> None:
    """Warn of predictions that can't be probabilities."""
    values = on_cpu(prediction)
    if values is not None and (values.min() < 0 or (most is not None and values.max() > most + 1e-6)):
        # the text is the same each time, so that a training loop shows it once
        warn(
            f"{name}: predictions are not probabilities: some are negative or greater than 1, and get cut off; end the "
            f"model with a {activation}, or pass from_logits=True"
        )
