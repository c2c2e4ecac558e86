"""Sums and means: of numbers, of losses, of any value that each sample has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minidl.autograd import no_grad
from minidl.errors import ArgumentError, DataError, ShapeError
from minidl.training.metrics.arrays import plain, weighted_total, weights
from minidl.training.metrics.metric import Metric

__all__ = ["Mean", "MeanOf", "SampleMean", "Sum"]


class Sum(Metric):
    r"""The weighted sum of all values.

    .. math:: s = \sum_i w_i v_i

    Parameters
    ----------
    name : str, optional

    Examples
    --------
    >>> total = Sum()
    >>> total.update([1.0, 2.0])
    >>> total.update([3.0], 2)
    >>> total.compute()
    9.0

    References
    ----------
    ``keras.metrics.Sum``.
    """

    accumulators = ("total",)

    def update(self, value: Any, weight: Any = None) -> None:  # type: ignore[override]
        """Add values: a number, or an array with as many weights, or one weight a sample."""
        value = _values(value, self.name)
        self.accumulate((value * weights(weight, value, self.name)).sum())

    def compute(self) -> float:
        """Return the sum."""
        (total,) = self.accumulated()
        return float(total)


class Mean(Metric):
    r"""The weighted mean of all values: of losses, say.

    .. math:: m = \frac{\sum_i w_i v_i}{\sum_i w_i}

    Parameters
    ----------
    name : str, optional

    Examples
    --------
    A batch's mean loss counts as many times as the batch has samples:

    >>> loss = Mean("loss")
    >>> loss.update(1.0, 32)
    >>> loss.update(4.0, 16)
    >>> loss.compute()
    2.0

    References
    ----------
    ``keras.metrics.Mean``.
    """

    accumulators = "total", "weight"

    def update(self, value: Any, weight: Any = None) -> None:  # type: ignore[override]
        """Add values: a number with its weight, or an array (N, ...) with one weight a sample or an element."""
        value = _values(value, self.name)
        if not value.ndim and isinstance(weight, int | float):  # a batch's loss, on every step: no shapes to fit
            self.accumulate(value.astype("float64") * weight, weight)
        else:
            self.accumulate(*weighted_total(value, weight, self.name))

    def compute(self) -> float:
        """Return the mean; nan if all weights are zero."""
        return _ratio(*self.accumulated())


class SampleMean(Metric):
    r"""The weighted mean of a value that each sample has: the base of accuracies and errors.

    .. math:: m = \frac{\sum_i w_i v(\hat y_i, y_i)}{\sum_i w_i}

    Subclasses say in :meth:`values` what the value is. A sample with several (the pixels of an image) counts once, with
    their mean.

    Parameters
    ----------
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> class LargestError(SampleMean):
    ...     def values(self, prediction, target):
    ...         return abs(prediction - target).max(axis=1)
    >>> LargestError()(np.array([[1.0, 5.0], [2.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 0.0]]))
    3.0

    References
    ----------
    ``keras.metrics.MeanMetricWrapper``.
    """

    accumulators = "total", "weight"

    def values(self, prediction: Any, target: Any) -> Any:
        """Return the value of each sample: an array (N,), or (N, ...)."""
        raise NotImplementedError(f"{type(self).__name__} has no values")

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch; weights are one a sample (N,), or one a value (N, ...)."""
        values = self.values(prediction, target)
        self.accumulate(*weighted_total(values, sample_weight, self.name))

    def compute(self) -> float:
        """Return the mean; nan if all weights are zero."""
        return _ratio(*self.accumulated())


class MeanOf(SampleMean):
    r"""The weighted mean of what a function gives for each sample: any loss that is not reduced.

    .. math:: m = \frac{\sum_i w_i f(\hat y, y)_i}{\sum_i w_i}

    Parameters
    ----------
    fn : callable
        ``fn(prediction, target)`` gives a Tensor or an array (N,), or (N, ...).
    name : str, optional
        That of the function if left out.

    Raises
    ------
    ShapeError
        If the function gives one number for the whole batch.

    Examples
    --------
    >>> import minidl
    >>> from minidl.nn import functional as F
    >>> metric = MeanOf(lambda prediction, target: F.huber_loss(prediction, target, reduction="none"), name="huber")
    >>> metric.update(minidl.tensor([1.0, 3.0]), minidl.tensor([1.0, 1.0]))
    >>> metric.compute()
    0.75

    References
    ----------
    ``keras.metrics.MeanMetricWrapper``.
    """

    def __init__(self, fn: Callable[[Any, Any], Any], name: str | None = None) -> None:
        if not callable(fn):
            raise ArgumentError(f"MeanOf: expected a function of predictions and targets, got {fn!r}")
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__.lower()))
        self.fn = fn

    def values(self, prediction: Any, target: Any) -> Any:
        """Return what the function gives for each sample."""
        with no_grad():
            values = plain(self.fn(prediction, target), self.name)
        if not values.ndim:
            raise ShapeError(
                f"{self.name}: the function gave one number for the batch, not one a sample; a loss gives each with "
                "reduction='none'"
            )
        return values


def _values(value: Any, name: str) -> Any:
    value = plain(value, name)
    if not value.size:
        raise DataError(f"{name}: there are no values")
    return value


def _ratio(total: Any, weight: Any) -> float:
    return float(total) / float(weight) if weight else math.nan
