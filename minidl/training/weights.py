"""Weights: how much each sample counts in the loss."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable
from minidl.backend import default_dtype, device_of, is_array, namespace, to_device
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.nn.module import Module


def class_weights(y: Any, class_weight: Mapping[int, float], name: str) -> Any:
    r"""Return the weight of each sample's class.

    .. math:: w_i = c_{y_i}

    Parameters
    ----------
    y : array or Tensor (N,) or (N, 1) of labels, or (N, C) one-hot
    class_weight : dict of int to float
        A class that is not named has weight 1.
    name : str
        What to call it in errors.

    Returns
    -------
    array (N,), on the device of ``y``
    """
    if not isinstance(class_weight, Mapping):
        raise DTypeError(f"{name}: class_weight must be a dict of labels to weights, got {class_weight!r}")
    array = y.array if isinstance(y, Variable) else y
    if not is_array(array):
        what = "no targets" if y is None else f"a {type(y).__name__} of them"
        raise ArgumentError(f"{name}: class_weight needs one array of targets, got {what}; pass sample_weight instead")
    labels = array
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)  # (N,)
    on_host = isinstance(labels, np.ndarray)  # to look at what a GPU has would be to wait for it
    if on_host and labels.dtype.kind == "f" and not (labels == np.rint(labels)).all():
        raise DTypeError(f"{name}: class_weight needs labels or one-hot targets, got {array.dtype} {array.shape}")
    xp, dtype = namespace(labels), default_dtype()
    weights = xp.ones(labels.shape, dtype)
    for label, weight in class_weight.items():
        weights = xp.where(labels == label, dtype.type(weight), weights)
    return weights


def combined(first: Any, second: Any) -> Any:
    """Return the product of two weights of samples, the second of which may be missing."""
    if second is None:
        return first
    second = to_device(second.array if isinstance(second, Variable) else second, device_of(first))
    return first.reshape(first.shape + (1,) * (second.ndim - first.ndim)) * second


class Loss:
    r"""A loss of predictions and targets that knows what to do with weights of samples.

    .. math:: L = \frac{1}{n} \sum_i w_i \, \ell(\hat y_i, y_i)

    where :math:`n` is the number of losses :math:`\ell` (those of weight 0 included, as in Keras).

    Parameters
    ----------
    loss : callable
        ``loss(prediction, target)``. With weights it must give a loss for each sample: a module with an attribute
        ``reduction``, a function with an argument ``reduction``, or one that returns a loss for each sample. Or an
        object with ``weighted(prediction, target, sample_weight)``, which sees to all by itself.
    """

    def __init__(self, loss: Any) -> None:
        self.loss = loss
        self.name = getattr(loss, "__name__", type(loss).__name__)
        self.weighted: Callable[..., Any] | None = getattr(loss, "weighted", None)
        if not callable(loss) and self.weighted is None:
            hint = "; names of losses belong to minidl.keras" if isinstance(loss, str) else ""
            raise DTypeError(f"Trainer: loss must be callable, loss(prediction, target), got {loss!r}{hint}")
        self.reduction = "mean" if self.weighted is not None else _reduction(loss)
        self._each: Callable[..., Any] | None = None

    def __call__(self, prediction: Any, target: Any, weight: Any) -> Any:
        """Return the loss of a batch: a tensor of shape (), or a dict that has one under ``"loss"``."""
        if self.weighted is not None:
            value = self.weighted(prediction, target, weight)
        elif weight is None:
            value = self.loss(prediction, target)
        else:
            value = self._of_weighted(prediction, target, weight)
        if isinstance(value, Variable):
            return value if value.array.ndim == 0 else ops.mean(value)
        if isinstance(value, dict) and isinstance(value.get("loss"), Variable):
            return value
        raise DTypeError(
            f"{self.name}: a loss must return a tensor (or a dict of tensors with a key 'loss'), got "
            f"{_described(value)}; compute it with minidl's functions, so that it can be differentiated"
        )

    def _of_weighted(self, prediction: Any, target: Any, weight: Any) -> Any:
        if self._each is None:
            self._each = _each(self.loss)
        losses = self._each(prediction, target)
        shape, own = losses.array.shape, weight.array.shape
        if not shape:
            raise ArgumentError(
                f"{self.name}: weights of samples need a loss for each sample, and it returns one number; give it an "
                "argument or attribute reduction= that can be 'none', or let it return all losses"
            )
        if own == (*shape[:1], 1) and own != shape:
            weight, own = ops.reshape(weight, shape[:1]), shape[:1]
        if own != shape[: len(own)]:
            raise ShapeError(
                f"{self.name}: sample_weight {own} does not fit losses of shape {shape}; expected one weight a sample, "
                f"{shape[:1]}"
            )
        losses = losses * ops.reshape(weight, own + (1,) * (len(shape) - len(own)))
        if self.reduction == "sum":
            return ops.sum(losses)
        return ops.sum(losses) / shape[0] if self.reduction == "batchmean" else ops.mean(losses)


def _reduction(loss: Any) -> str:
    """Return how a loss reduces the losses of single samples."""
    reduction = getattr(loss, "reduction", None)
    if reduction is None and (parameter := _parameter(loss)) is not None:
        reduction = parameter.default
    return reduction if isinstance(reduction, str) else "mean"


def _parameter(loss: Any) -> inspect.Parameter | None:
    try:
        return inspect.signature(loss).parameters.get("reduction")
    except (TypeError, ValueError):  # what is built in may have no signature
        return None


def _each(loss: Any) -> Callable[..., Any]:
    """Return ``loss`` without its reduction."""
    if isinstance(loss, Module) and hasattr(loss, "reduction"):
        loss = copy.copy(loss)
        loss.reduction = "none"
        return loss
    return functools.partial(loss, reduction="none") if _parameter(loss) is not None else loss


def _described(value: Any) -> str:
    if is_array(value):
        return f"a {namespace(value).__name__} array"
    return f"a {type(value).__name__}"
