"""F-scores and the metrics of regression under Keras's names."""

from __future__ import annotations

from typing import Any

from minidl.errors import ArgumentError
from minidl.keras.metrics.metric import MODULE, MeanMetricWrapper, Wrapper, tensor
from minidl.keras.serialization import builtin
from minidl.ops import cosine_similarity as cosine
from minidl.training import metrics
from minidl.training.metrics.arrays import aligned

__all__ = ["CosineSimilarity", "F1Score", "FBetaScore", "R2Score", "RootMeanSquaredError"]

_EPSILON = 1e-7  # Keras's


@builtin(MODULE)
class FBetaScore(Wrapper):
    """Precision and recall in one number, recall counting beta times as much.

    Parameters
    ----------
    average : {"micro", "macro", "weighted"} or None
        None gives each class's.
    beta : float
    threshold : float, optional
        What is above it was predicted; without it, the class of the largest score.
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = FBetaScore(average="micro", beta=2.0, threshold=0.5)
    >>> metric.update_state([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> round(float(metric.result()), 4)
    0.6667

    References
    ----------
    ``keras.metrics.FBetaScore``.
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        if average not in (None, "micro", "macro", "weighted"):
            raise ArgumentError(f"{name}: average must be 'micro', 'macro', 'weighted' or None, got {average!r}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ArgumentError(f"{name}: threshold must be above 0 and at most 1, got {threshold}")
        super().__init__(metrics.FBeta(beta, average, threshold, axis=-1, epsilon=_EPSILON), name, dtype)
        self.average, self.beta, self.threshold = average, beta, threshold

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


@builtin(MODULE)
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall.

    Parameters
    ----------
    average : {"micro", "macro", "weighted"} or None
        None gives each class's.
    threshold : float, optional
        What is above it was predicted; without it, the class of the largest score.
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = F1Score(average="macro", threshold=0.5)
    >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.7]])
    >>> round(float(metric.result()), 4)
    0.8333

    References
    ----------
    ``keras.metrics.F1Score``.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        config = super().get_config()
        del config["beta"]
        return config


@builtin(MODULE)
class R2Score(Wrapper):
    """The share of the targets' variance that predictions explain.

    The adjusted score counts samples; Keras counts every output of every sample.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average"} or None
        Of several outputs (N, D); None gives each one's.
    num_regressors : int
        The number of inputs of the model, for the adjusted score.
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = R2Score()
    >>> metric.update_state([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    >>> round(float(metric.result()), 4)
    0.5714

    References
    ----------
    ``keras.metrics.R2Score``.
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        known = {None: None, "uniform_average": "uniform", "variance_weighted_average": "variance_weighted"}
        if class_aggregation not in known:
            raise ArgumentError(
                f"{name}: class_aggregation must be 'uniform_average', 'variance_weighted_average' or None, got "
                f"{class_aggregation!r}"
            )
        super().__init__(metrics.R2(known[class_aggregation], num_regressors), name, dtype)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}


@builtin(MODULE)
class RootMeanSquaredError(Wrapper):
    """The root of the mean squared error, in the units of the targets.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> metric = RootMeanSquaredError()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> float(metric.result())
    0.5

    References
    ----------
    ``keras.metrics.RootMeanSquaredError``.
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(metrics.RootMeanSquaredError(), name, dtype)


@builtin(MODULE)
class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between predicted and true vectors.

    Parameters
    ----------
    name : str
    dtype : str, optional
    axis : int
        Along which the vectors lie.

    Examples
    --------
    >>> metric = CosineSimilarity()
    >>> metric.update_state([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    >>> round(float(metric.result()), 4)
    0.5

    References
    ----------
    ``keras.metrics.CosineSimilarity``.
    """

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine_similarity, name, dtype, axis=axis)


def _cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return cosine(*(tensor(x) for x in aligned(y_pred, y_true, "cosine_similarity")), axis, _EPSILON)
