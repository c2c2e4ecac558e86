"""Losses as metrics under Keras's names: the mean over all samples."""

from __future__ import annotations

from typing import Any

from minidl.keras import losses
from minidl.keras.metrics.metric import MODULE, MeanMetricWrapper
from minidl.keras.serialization import builtin
from minidl.training.metrics.arrays import plain, weights

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


@builtin(MODULE, "mse", "MSE")
class MeanSquaredError(MeanMetricWrapper):
    """The mean squared error over samples and outputs.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = MeanSquaredError()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(float(metric.result()), 4)
    0.25

    References
    ----------
    ``keras.metrics.MeanSquaredError``.
    """

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


@builtin(MODULE, "mae", "MAE")
class MeanAbsoluteError(MeanMetricWrapper):
    """The mean absolute error over samples and outputs.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = MeanAbsoluteError()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(float(metric.result()), 4)
    0.25

    References
    ----------
    ``keras.metrics.MeanAbsoluteError``.
    """

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


@builtin(MODULE, "mape", "MAPE")
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean error in percent of the target.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = MeanAbsolutePercentageError()
    >>> metric.update_state([[2, 1], [4, 4]], [[1, 1], [4, 4]])
    >>> round(float(metric.result()), 4)
    12.5

    References
    ----------
    ``keras.metrics.MeanAbsolutePercentageError``.
    """

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


@builtin(MODULE, "msle", "MSLE")
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean squared difference of logarithms.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = MeanSquaredLogarithmicError()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(float(metric.result()), 4)
    0.1201

    References
    ----------
    ``keras.metrics.MeanSquaredLogarithmicError``.
    """

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


@builtin(MODULE, "logcosh", "log_cosh")
class LogCoshError(MeanMetricWrapper):
    """The mean of the logarithm of the hyperbolic cosine of the error.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = LogCoshError()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(float(metric.result()), 4)
    0.1084

    References
    ----------
    ``keras.metrics.LogCoshError``.
    """

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


@builtin(MODULE)
class Hinge(MeanMetricWrapper):
    """The mean hinge loss; targets are -1 or 1, or 0 or 1.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = Hinge()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(metric.result()), 4)
    1.3

    References
    ----------
    ``keras.metrics.Hinge``.
    """

    def __init__(self, name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name, dtype)


@builtin(MODULE)
class SquaredHinge(MeanMetricWrapper):
    """The mean of the squared hinge loss; targets are -1 or 1, or 0 or 1.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = SquaredHinge()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(metric.result()), 4)
    1.86

    References
    ----------
    ``keras.metrics.SquaredHinge``.
    """

    def __init__(self, name: str = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


@builtin(MODULE)
class CategoricalHinge(MeanMetricWrapper):
    """The mean hinge loss between the right class's score and the best other one's.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = CategoricalHinge()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(metric.result()), 4)
    1.4

    References
    ----------
    ``keras.metrics.CategoricalHinge``.
    """

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)


@builtin(MODULE, "kld", "KLD")
class KLDivergence(MeanMetricWrapper):
    """The mean Kullback-Leibler divergence of predicted from true distributions.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = KLDivergence()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(metric.result()), 4)
    0.4581

    References
    ----------
    ``keras.metrics.KLDivergence``.
    """

    def __init__(self, name: str = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


@builtin(MODULE)
class Poisson(MeanMetricWrapper):
    """The mean Poisson loss, of counts and predicted rates.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = Poisson()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(float(metric.result()), 4)
    0.5

    References
    ----------
    ``keras.metrics.Poisson``.
    """

    def __init__(self, name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name, dtype)


@builtin(MODULE, "bce", "BCE")
class BinaryCrossentropy(MeanMetricWrapper):
    """The mean crossentropy of probabilities and targets 0 or 1.

    Parameters
    ----------
    name : str
    dtype : str, optional
    from_logits : bool
        Predictions are logits, not probabilities.
    label_smoothing : float
        How far targets move towards 1/2.

    Examples
    --------
    >>> metric = BinaryCrossentropy()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(float(metric.result()), 4)
    0.8149

    References
    ----------
    ``keras.metrics.BinaryCrossentropy``.
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


@builtin(MODULE)
class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean crossentropy of predicted distributions and one-hot targets.

    Parameters
    ----------
    name : str
    dtype : str, optional
    from_logits : bool
        Predictions are logits, not probabilities.
    label_smoothing : float
        How far targets move towards the uniform distribution.
    axis : int
        That of the classes.

    Examples
    --------
    >>> metric = CategoricalCrossentropy()
    >>> metric.update_state([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
    >>> round(float(metric.result()), 4)
    1.1769

    References
    ----------
    ``keras.metrics.CategoricalCrossentropy``.
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        own = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **own)


@builtin(MODULE)
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean crossentropy of predicted distributions and labels.

    Parameters
    ----------
    name : str
    dtype : str, optional
    from_logits : bool
        Predictions are logits, not probabilities.
    ignore_class : int, optional
        Samples of this label have no loss, nor weight if there are weights.
    axis : int
        That of the classes.

    Examples
    --------
    >>> metric = SparseCategoricalCrossentropy()
    >>> metric.update_state([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
    >>> round(float(metric.result()), 4)
    1.1769

    References
    ----------
    ``keras.metrics.SparseCategoricalCrossentropy``.
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        own = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **own)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch: targets, predictions, and one weight a sample."""
        ignored = self._fn_kwargs["ignore_class"]
        if (
            ignored is not None and sample_weight is not None
        ):  # Keras's number: without weights it counts as a loss of 0
            labels = plain(y_true, self.name)
            labels = labels.reshape(labels.shape[: plain(y_pred, self.name).ndim - 1])
            sample_weight = weights(sample_weight, labels, self.name) * (labels != ignored)
        super().update_state(y_true, y_pred, sample_weight)
