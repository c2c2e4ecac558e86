"""Metrics of numbers: how far predictions are off, and what share of the variance they explain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import ops
from minidl.backend import device_of, namespace, to_device
from minidl.errors import ArgumentError, ShapeError, warn
from minidl.training.metrics.arrays import aligned, plain, weights
from minidl.training.metrics.means import SampleMean
from minidl.training.metrics.metric import Metric

__all__ = [
    "R2",
    "CosineSimilarity",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "RootMeanSquaredError",
]


class MeanSquaredError(SampleMean):
    r"""The mean squared error over samples and outputs.

    .. math:: \frac{\sum_i w_i (\hat y_i - y_i)^2}{\sum_i w_i}

    Parameters
    ----------
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.

    Examples
    --------
    >>> MeanSquaredError()([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    3.0

    References
    ----------
    ``sklearn.metrics.mean_squared_error``, ``keras.metrics.MeanSquaredError``.
    """

    def values(self, prediction: Any, target: Any) -> Any:
        """Return the squared errors."""
        return _errors(prediction, target, self.name) ** 2


class RootMeanSquaredError(MeanSquaredError):
    r"""The root of the mean squared error, in the units of the targets.

    .. math:: \sqrt{\frac{\sum_i w_i (\hat y_i - y_i)^2}{\sum_i w_i}}

    Parameters
    ----------
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.

    Examples
    --------
    >>> RootMeanSquaredError()([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 0.0])
    2.0

    References
    ----------
    ``sklearn.metrics.root_mean_squared_error`` (of one output: it averages the roots of several),
    ``keras.metrics.RootMeanSquaredError``.
    """

    def compute(self) -> float:
        """Return the root; nan if all weights are zero."""
        return math.sqrt(super().compute())


class MeanAbsoluteError(SampleMean):
    r"""The mean absolute error over samples and outputs.

    .. math:: \frac{\sum_i w_i |\hat y_i - y_i|}{\sum_i w_i}

    Parameters
    ----------
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.

    Examples
    --------
    >>> MeanAbsoluteError()([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    1.0

    References
    ----------
    ``sklearn.metrics.mean_absolute_error``, ``keras.metrics.MeanAbsoluteError``.
    """

    def values(self, prediction: Any, target: Any) -> Any:
        """Return the absolute errors."""
        return abs(_errors(prediction, target, self.name))


class MeanAbsolutePercentageError(SampleMean):
    r"""The mean error relative to the target: 0.1 is ten percent off.

    .. math:: \frac{\sum_i w_i |\hat y_i - y_i| / \max(|y_i|, \epsilon)}{\sum_i w_i}

    Parameters
    ----------
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([1.0, 3.0], [1.0, 2.0])
    0.25

    References
    ----------
    ``sklearn.metrics.mean_absolute_percentage_error``. Keras's is 100 times as large.
    """

    def values(self, prediction: Any, target: Any) -> Any:
        """Return the relative errors."""
        errors = abs(_errors(prediction, target, self.name))
        size = abs(plain(target, self.name, errors).astype(np.float64)).reshape(errors.shape)
        return errors / namespace(size).maximum(size, np.finfo(np.float64).eps)


class CosineSimilarity(SampleMean):
    r"""The mean cosine of the angle between predicted and true vectors.

    .. math:: \frac{\sum_i w_i \cos(\hat y_i, y_i)}{\sum_i w_i}, \quad
              \cos(a, b) = \frac{a \cdot b}{\max(\lVert a \rVert, \epsilon) \max(\lVert b \rVert, \epsilon)}

    Parameters
    ----------
    axis : int
        Along which the vectors lie.
    eps : float
        The least length that is divided by.
    name : str, optional

    Raises
    ------
    ShapeError
        If predictions and targets don't fit each other.

    Examples
    --------
    >>> CosineSimilarity()([[1.0, 0.0], [3.0, 4.0]], [[0.0, 1.0], [6.0, 8.0]])
    0.5

    References
    ----------
    ``sklearn.metrics.pairwise.paired_cosine_distances`` (one minus it), ``keras.metrics.CosineSimilarity``.
    """

    def __init__(self, axis: int = -1, eps: float = 1e-8, name: str | None = None) -> None:
        super().__init__(name)
        self.axis, self.eps = axis, eps

    def values(self, prediction: Any, target: Any) -> Any:
        """Return the cosine for each sample."""
        prediction, target = (x.astype(np.float64) for x in aligned(prediction, target, self.name))
        if prediction.ndim < 2:
            raise ShapeError(f"{self.name}: expected vectors, (N, D), got {prediction.shape}")
        return ops.cosine_similarity(prediction, target, self.axis, self.eps)


class R2(Metric):
    r"""The share of the targets' variance that predictions explain: 1 is perfect, 0 no better than the mean.

    .. math:: R^2 = 1 - \frac{\sum_i w_i (\hat y_i - y_i)^2}{\sum_i w_i (y_i - \bar y)^2}

    Targets that are all equal have no variance: their score is 1 if they were predicted exactly, 0 if not.

    Parameters
    ----------
    average : {"uniform", "variance_weighted"} or None
        Of several outputs (N, D): the mean, that weighted by each output's variance, or None for each by itself.
    num_regressors : int
        The number p of inputs of the model, for the adjusted score
        :math:`1 - (1 - R^2) (n - 1) / (n - p - 1)`; 0 for the plain one.
    name : str, optional

    Raises
    ------
    ArgumentError
        If ``average`` is unknown or ``num_regressors`` negative.
    ShapeError
        If predictions and targets don't fit each other.

    Warns
    -----
    NumericalWarning
        If there are too few samples to adjust the score: the plain one is returned.

    Examples
    --------
    >>> r2 = R2()
    >>> r2.update([2.5, 0.0], [3.0, -0.5])
    >>> r2.update([2.0, 8.0], [2.0, 7.0])
    >>> r2.compute()
    0.948...

    References
    ----------
    ``sklearn.metrics.r2_score``, ``keras.metrics.R2Score``. T. F. Chan et al., "Updating formulae and a pairwise
    algorithm for computing sample variances", 1979, for the sums.
    """

    accumulators = "samples", "weight", "mean", "variation", "residual"

    def __init__(self, average: str | None = "uniform", num_regressors: int = 0, name: str | None = None) -> None:
        super().__init__(name)
        if average not in (None, "uniform", "variance_weighted"):
            raise ArgumentError(f"{self.name}: average must be 'uniform', 'variance_weighted' or None, got {average!r}")
        if num_regressors < 0:
            raise ArgumentError(f"{self.name}: num_regressors must not be negative, got {num_regressors}")
        self.average, self.num_regressors = average, num_regressors

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of numbers (N,) or (N, D), and weights (N,) or (N, D)."""
        prediction, target = (x.astype(np.float64) for x in aligned(prediction, target, self.name))
        if target.ndim > 2:
            raise ShapeError(f"{self.name}: expected numbers (N,) or (N, D), got {target.shape}")
        xp = namespace(target)
        w = xp.broadcast_to(weights(sample_weight, target, self.name), target.shape)
        weight = w.sum(axis=0)  # () or (D,)
        mean = (w * target).sum(axis=0) / xp.where(weight == 0, 1, weight)
        self.accumulate(
            len(target), weight, mean, (w * (target - mean) ** 2).sum(axis=0), (w * (target - prediction) ** 2).sum(0)
        )

    def accumulate(self, *values: Any) -> None:
        """Join the batch: variation around two means is that around the common one, and that between the two."""
        _, m, other, *_ = values
        _, n, mean, *_ = (to_device(x, device_of(m)) for x in self._sums or values)
        first = not self._sums
        super().accumulate(*values)
        if not first:  # means do not add up
            share = m / namespace(m).where(n + m == 0, 1, n + m)
            self._sums[2] = mean + (other - mean) * share
            self._sums[3] = self._sums[3] + (other - mean) ** 2 * n * share

    def compute(self) -> Any:
        """Return the score: a float, or an array (D,) without an average."""
        samples, _, _, variation, residual = self.accumulated()
        known = variation > 0
        scores = np.where(known, 1 - residual / np.where(known, variation, 1), np.where(residual == 0, 1.0, 0.0))
        if self.average is not None:
            by_variance = self.average == "variance_weighted" and known.any()
            scores = np.average(scores, weights=variation if by_variance else None)
        return self._adjusted(scores if np.ndim(scores) else float(scores), int(samples))

    def _adjusted(self, score: Any, samples: int) -> Any:
        if not self.num_regressors:
            return score
        freedom = samples - self.num_regressors - 1
        if freedom <= 0:
            warn(
                f"{self.name}: {samples} samples are too few to adjust the score for {self.num_regressors} regressors; "
                "this is the plain one"
            )
            return score
        return 1 - (1 - score) * (samples - 1) / freedom


def _errors(prediction: Any, target: Any, name: str) -> Any:
    """Return the differences in float64, in which those of float32 numbers are exact."""
    prediction, target = aligned(prediction, target, name)
    return prediction.astype(np.float64) - target
