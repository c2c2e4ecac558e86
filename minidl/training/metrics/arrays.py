"""Predictions, targets and weights as arrays that fit each other. Nothing here waits for a GPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.autograd import Variable
from minidl.backend import device_of, is_array, namespace, to_device
from minidl.errors import DataError, DTypeError, RangeError, ShapeError


def plain(x: Any, name: str, like: Any = None) -> Any:
    """Return a Tensor, an array or nested lists of numbers as an array, on the device of ``like``."""
    array = x.array if isinstance(x, Variable) else x
    if not is_array(array):
        try:
            array = np.asarray(array)
        except ValueError:
            raise ShapeError(f"{name}: the lists are ragged; all samples must have one shape") from None
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{name}: expected a Tensor, an array or lists of numbers, got {array.dtype}")
    return array if like is None else to_device(array, device_of(like))


def pair(prediction: Any, target: Any, name: str) -> tuple[Any, Any]:
    """Return predictions and targets as arrays, each with an axis of samples."""
    prediction = plain(prediction, name)
    target = plain(target, name, like=prediction)
    if not prediction.ndim or not target.ndim:
        raise misfit(prediction, target, name, "each needs an axis of samples, even of one")
    if not prediction.size:
        raise DataError(f"{name}: there are no samples")
    return prediction, target


def aligned(prediction: Any, target: Any, name: str) -> tuple[Any, Any]:
    """Return predictions and targets as arrays of one shape; a last axis of one is dropped where only one has it."""
    prediction, target = pair(prediction, target, name)
    if prediction.shape == (*target.shape, 1):
        prediction = prediction[..., 0]
    elif target.shape == (*prediction.shape, 1):
        target = target[..., 0]
    if prediction.shape != target.shape:
        raise misfit(prediction, target, name, "their shapes must be equal")
    return prediction, target


def misfit(prediction: Any, target: Any, name: str, expected: str) -> ShapeError:
    """Return the error for shapes that do not fit each other."""
    return ShapeError(
        f"{name}: predictions of shape {prediction.shape} and targets of shape {target.shape} do not fit: {expected}"
    )


def check_axis(array: Any, axis: int, name: str) -> int:
    """Return the axis of the classes, counted from the front."""
    if array.ndim < 2 or not -array.ndim <= axis < array.ndim or axis % array.ndim == 0:
        raise ShapeError(
            f"{name}: scores of shape {array.shape} have no classes along axis {axis}; expected (N, C), a score for "
            "each class"
        )
    return axis % array.ndim


def check_labels(labels: Any, classes: int, what: str, name: str) -> tuple[Any, Any]:
    """Return labels as int64, and what to add to their weights: 0, or on a GPU nan for a label out of range.

    Looking at the labels would wait for the GPU, so there wrong ones show in the result, as they do in losses.
    """
    xp = namespace(labels)
    whole = labels.astype(np.int64, copy=False)
    if xp is np and labels.dtype.kind in "iu" and whole.size and whole.view(np.uint64).max() < classes:
        return whole, 0.0  # (as unsigned numbers, negative ones are the largest)
    outside = (whole < 0) | (whole >= classes)
    if xp is not np:
        return xp.where(outside, 0, whole), xp.where(outside, math.nan, 0.0)
    if (whole != labels).any():
        raise DTypeError(f"{name}: {what} must be labels, whole numbers; found {labels[whole != labels][0]}")
    if outside.any():
        raise RangeError(
            f"{name}: there is a {what[:-1]} {whole[outside][0]}, but labels must be 0 to {classes - 1}; subtract 1 if "
            "they count from 1"
        )
    return whole, 0.0


def check_binary(target: Any, name: str) -> tuple[Any, Any]:
    """Return targets as booleans, and what to add to their weights, as :func:`check_labels` does."""
    xp = namespace(target)
    truth = target == 1
    outside = ~truth & (target != 0)
    if xp is not np:
        return truth, xp.where(outside, math.nan, 0.0)
    if outside.any():
        raise RangeError(f"{name}: targets must be 0 or 1, found {target[outside][0]}; compare them: target > 0")
    return truth, 0.0


def weights(sample_weight: Any, like: Any, name: str) -> Any:
    """Return weights in float64 that broadcast to ``like`` (N, ...): ones, or one a sample, or one an element."""
    if sample_weight is None:
        return namespace(like).ones((1,) * like.ndim)
    weight = plain(sample_weight, name, like).astype(np.float64)
    given = weight.shape
    if weight.ndim == like.ndim + 1 and given[-1] == 1:
        weight = weight[..., 0]
    weight = weight.reshape(weight.shape + (1,) * (like.ndim - weight.ndim))
    fits = weight.ndim == like.ndim and all(w in (1, n) for w, n in zip(weight.shape, like.shape, strict=True))
    if not fits or (given and given[0] != like.shape[0]):  # a number weighs all samples, an array each one
        raise ShapeError(
            f"{name}: sample_weight of shape {given} does not fit values of shape {like.shape}; give one weight a "
            f"sample, ({like.shape[0] if like.ndim else ''},), or one an element"
        )
    return weight


def weighted_total(values: Any, sample_weight: Any, name: str) -> tuple[Any, Any]:
    """Return the sum over samples of weight times value, and of the weights, both in float64.

    A sample's value is the mean over the axes after the first, its weight likewise.
    """
    samples = values.shape[0] if values.ndim else 1
    if sample_weight is None:
        return values.sum(dtype=np.float64) * (samples / values.size), samples
    weight = weights(sample_weight, values, name)
    share = samples / values.size
    return (values * weight).sum() * share, namespace(weight).broadcast_to(weight, values.shape).sum() * share


def tally(index: Any, weight: Any, size: int) -> Any:
    """Return the sum of the weights at each index (size,), as ``bincount`` does, which would wait for a GPU."""
    xp = namespace(index)
    sums = xp.zeros(size, weight.dtype)
    xp.add.at(sums, index, weight)
    return sums
