"""Losses as objects: a function of targets and predictions, its arguments, and what becomes of the values."""

from __future__ import annotations

from typing import Any, ClassVar

from minidl.keras.losses.classification import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    dice,
    hinge,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)
from minidl.keras.losses.loss import LossFunctionWrapper
from minidl.keras.losses.regression import (
    cosine_similarity,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from minidl.keras.losses.targets import as_tensor_beside
from minidl.keras.serialization import builtin

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
]

MODULE = "keras.losses"


@builtin(MODULE)
class MeanSquaredError(LossFunctionWrapper):
    r"""The mean of squared differences.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \frac{1}{D} \sum_d (y_{id} - \hat y_{id})^2

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.MeanSquaredError()([[0.0, 1.0], [2.0, 2.0]], [[1.0, 1.0], [2.0, 4.0]])
    tensor(1.2500)

    References
    ----------
    ``keras.losses.MeanSquaredError``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@builtin(MODULE)
class MeanAbsoluteError(LossFunctionWrapper):
    r"""The mean size of differences.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \frac{1}{D} \sum_d |y_{id} - \hat y_{id}|

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 1.0]])
    tensor(0.5000)

    References
    ----------
    ``keras.losses.MeanAbsoluteError``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@builtin(MODULE)
class MeanAbsolutePercentageError(LossFunctionWrapper):
    r"""The mean size of differences in percent of the targets.

    .. math::

        L = \frac{1}{n} \sum_i w_i \ell_i,
        \quad \ell_i = \frac{100}{D} \sum_d \frac{|y_{id} - \hat y_{id}|}{\max(|y_{id}|, 10^{-7})}

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.MeanAbsolutePercentageError()([[2.0, 1.0]], [[1.0, 1.0]])
    tensor(25.)

    References
    ----------
    ``keras.losses.MeanAbsolutePercentageError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@builtin(MODULE)
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    r"""The mean of squared differences of logarithms.

    .. math::

        L = \frac{1}{n} \sum_i w_i \ell_i,
        \quad \ell_i = \frac{1}{D} \sum_d \big(\log(1 + y_{id}) - \log(1 + \hat y_{id})\big)^2

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]])
    tensor(0.2402)

    References
    ----------
    ``keras.losses.MeanSquaredLogarithmicError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@builtin(MODULE)
class CosineSimilarity(LossFunctionWrapper):
    r"""The mean cosine of the angle between target and prediction, negated: -1 is the best.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = -\frac{y_i \cdot \hat y_i}{\|y_i\| \, \|\hat y_i\|}

    Parameters
    ----------
    axis : int
        The axis of the vectors.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.CosineSimilarity()([[0.0, 2.0]], [[1.0, 1.0]])
    tensor(-0.7071)

    References
    ----------
    ``keras.losses.CosineSimilarity``.
    """

    unwritten: ClassVar = {"axis": -1}

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


@builtin(MODULE)
class Huber(LossFunctionWrapper):
    r"""The mean of differences, squared where they are small.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \frac{1}{D} \sum_d h(\hat y_{id} - y_{id})

    Parameters
    ----------
    delta : float, positive
        From where on differences count as they are; see :func:`huber`.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.Huber()([[0.0, 1.0]], [[4.0, 1.0]])
    tensor(1.7500)

    References
    ----------
    ``keras.losses.Huber``.
    """

    unwritten: ClassVar = {"delta": 1.0}

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


@builtin(MODULE)
class LogCosh(LossFunctionWrapper):
    r"""The mean logarithm of the hyperbolic cosine of differences.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \frac{1}{D} \sum_d \log \cosh(\hat y_{id} - y_{id})

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.LogCosh()([[0.0, 1.0]], [[1.0, 1.0]])
    tensor(0.2169)

    References
    ----------
    ``keras.losses.LogCosh``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


@builtin(MODULE)
class Poisson(LossFunctionWrapper):
    r"""The mean negative log-likelihood of counts, but for a constant.

    .. math::

        L = \frac{1}{n} \sum_i w_i \ell_i,
        \quad \ell_i = \frac{1}{D} \sum_d \big(\hat y_{id} - y_{id} \log(\hat y_{id} + 10^{-7})\big)

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.Poisson()([[0.0, 2.0]], [[1.0, 4.0]])
    tensor(1.1137)

    References
    ----------
    ``keras.losses.Poisson``.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, reduction, name, dtype)


@builtin(MODULE)
class KLDivergence(LossFunctionWrapper):
    r"""How far predicted distributions are from the targets.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \sum_d y_{id} \log \frac{y_{id}}{\hat y_{id}}

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])
    tensor(0.1438)

    References
    ----------
    ``keras.losses.KLDivergence``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@builtin(MODULE)
class BinaryCrossentropy(LossFunctionWrapper):
    r"""The mean cross entropy of yes-or-no predictions.

    .. math::

        L = \frac{1}{n} \sum_i w_i \ell_i,
        \quad \ell_i = -\frac{1}{D} \sum_d \big(y_{id} \log p_{id} + (1 - y_{id}) \log(1 - p_{id})\big)

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits (scores before the sigmoid), not probabilities.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis to average over.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.6931)

    References
    ----------
    ``keras.losses.BinaryCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin(MODULE)
class BinaryFocalCrossentropy(LossFunctionWrapper):
    r"""The mean cross entropy of yes-or-no predictions, what is nearly right counting less.

    .. math::

        L = \frac{1}{n} \sum_i w_i \ell_i,
        \quad \ell_i = -\frac{1}{D} \sum_d (1 - q_{id})^\gamma \log q_{id}, \quad q \text{: what the truth was given}

    Parameters
    ----------
    apply_class_balancing : bool
        Whether to weigh the classes.
    alpha : float
        The weight of yes; no has the rest to 1.
    gamma : float
        How much less what is nearly right counts.
    from_logits : bool
        Whether predictions are logits (scores before the sigmoid), not probabilities.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis to average over.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.BinaryFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.1733)

    References
    ----------
    ``keras.losses.BinaryFocalCrossentropy``.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin(MODULE)
class CategoricalCrossentropy(LossFunctionWrapper):
    r"""The cross entropy of predicted classes, targets being one-hot.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = -\sum_c y_{ic} \log p_{ic}

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits (scores before the softmax), not probabilities.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis of the classes.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.CategoricalCrossentropy()([[0, 1, 0]], [[0.25, 0.5, 0.25]])
    tensor(0.6931)

    References
    ----------
    ``keras.losses.CategoricalCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin(MODULE)
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    r"""The cross entropy of predicted classes, what is nearly right counting less.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = -\alpha \sum_c y_{ic} (1 - p_{ic})^\gamma \log p_{ic}

    Parameters
    ----------
    alpha : float
        The weight of it all, or of each class.
    gamma : float
        How much less what is nearly right counts.
    from_logits : bool
        Whether predictions are logits (scores before the softmax), not probabilities.
    label_smoothing : float
        How much of the wanted probability is spread evenly.
    axis : int
        The axis of the classes.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.CategoricalFocalCrossentropy()([[0, 1, 0]], [[0.25, 0.5, 0.25]])
    tensor(0.0433)

    References
    ----------
    ``keras.losses.CategoricalFocalCrossentropy``.
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin(MODULE)
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    r"""The cross entropy of predicted classes, targets being the numbers of classes.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = -\log p_{i, y_i}

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits (scores before the softmax), not probabilities.
    ignore_class : int, optional
        A label that does not count; the mean is then of the others.
    reduction : str or None
        See :class:`Loss`.
    axis : int
        The axis of the classes.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.SparseCategoricalCrossentropy()([1], [[0.25, 0.5, 0.25]])
    tensor(0.6931)

    References
    ----------
    ``keras.losses.SparseCategoricalCrossentropy``.
    """

    unwritten: ClassVar = {"axis": -1}

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def as_target(self, y_true: Any, prediction: Any) -> Any:
        """Return labels as a tensor of their own dtype."""
        return as_tensor_beside(y_true, prediction)


@builtin(MODULE)
class Hinge(LossFunctionWrapper):
    r"""The mean amount by which scores miss the margin.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \frac{1}{D} \sum_d \max(1 - y_{id} x_{id}, 0)

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.Hinge()([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor(1.)

    References
    ----------
    ``keras.losses.Hinge``.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, reduction, name, dtype)


@builtin(MODULE)
class SquaredHinge(LossFunctionWrapper):
    r"""The mean square of the amount by which scores miss the margin.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i, \quad \ell_i = \frac{1}{D} \sum_d \max(1 - y_{id} x_{id}, 0)^2

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.SquaredHinge()([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor(1.2500)

    References
    ----------
    ``keras.losses.SquaredHinge``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@builtin(MODULE)
class CategoricalHinge(LossFunctionWrapper):
    r"""By how much the best wrong class comes near, or exceeds, the right one.

    .. math::

        L = \frac{1}{n} \sum_i w_i \ell_i,
        \quad \ell_i = \max\big(\max_c (1 - y_{ic}) x_{ic} - \sum_c y_{ic} x_{ic} + 1, 0\big)

    Parameters
    ----------
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.CategoricalHinge()([[0, 1, 0]], [[0.25, 0.5, 0.25]])
    tensor(0.7500)

    References
    ----------
    ``keras.losses.CategoricalHinge``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)


@builtin(MODULE)
class Dice(LossFunctionWrapper):
    r"""How little two sets overlap: 1 less Dice's coefficient.

    .. math:: L = 1 - \frac{2 \sum y p}{\sum y + \sum p}

    Parameters
    ----------
    axis : int or sequence of int, optional
        The axes to sum over; all, if left out.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.Dice()([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.5000)

    References
    ----------
    ``keras.losses.Dice``.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "dice", axis: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


@builtin(MODULE)
class Tversky(LossFunctionWrapper):
    r"""How little two sets overlap, what is missed and what is too much weighted: 1 less Tversky's index.

    .. math:: L = 1 - \frac{\sum y p}{\sum y p + \alpha \sum y (1 - p) + \beta \sum (1 - y) p}

    Parameters
    ----------
    alpha, beta : float
        The weights of what is missed, and of what is too much.
    axis : int or sequence of int, optional
        The axes to sum over; all, if left out.
    reduction : str or None
        See :class:`Loss`.
    name : str
        What logs call it.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.Tversky()([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.5000)

    References
    ----------
    ``keras.losses.Tversky``.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
