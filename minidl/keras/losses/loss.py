"""The base of Keras's losses: values of samples, weighted, and made one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from minidl import ops
from minidl.autograd import Variable, cast
from minidl.backend import as_dtype, default_dtype
from minidl.errors import ArgumentError, ShapeError, StateError
from minidl.keras.losses.means import MEANS
from minidl.keras.losses.targets import as_prediction, as_target, same_rank
from minidl.keras.serialization import deserialize_keras_object, serialize_keras_object, snake_case

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["Loss", "LossFunctionWrapper"]

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss:
    r"""What says how wrong predictions are; subclasses define ``call``, which returns one value for each sample.

    .. math:: L = \frac{1}{n} \sum_i w_i \ell_i

    Parameters
    ----------
    name : str, optional
        The class's in snake case, if left out.
    reduction : {"sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None}
        What becomes of the values: the first two divide their weighted sum by their number :math:`n`,
        ``"mean_with_sample_weight"`` by the sum of weights.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> class Quartic(keras.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ((y_pred - y_true) ** 4).mean(-1)
    >>> Quartic()([[0.0, 0.0]], [[2.0, 0.0]])
    tensor(8.)

    References
    ----------
    ``keras.losses.Loss``.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.reduction = checked_reduction(reduction, self.name)
        self.dtype = None if dtype is None else as_dtype(dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss.

        Parameters
        ----------
        y_true, y_pred : Tensor or array
            Targets and predictions.
        sample_weight : Tensor or array, optional
            One weight for each sample, or for each value that ``call`` returns.
        """
        prediction = as_prediction(y_pred)
        dtype = self.dtype or (prediction.dtype if isinstance(y_pred, Variable) else default_dtype())
        if prediction.dtype != dtype:
            prediction = cast(prediction, dtype)
        target = self.as_target(y_true, prediction)
        if sample_weight is None and self.reduction in ("sum_over_batch_size", "mean"):
            mean = self.mean(target, prediction)
            if mean is not None:
                return mean
        values = self.call(target, prediction)
        return reduced(values, sample_weight, self.mask(target, values), self.reduction, self.name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the values of samples, given targets and predictions."""
        raise StateError(f"{type(self).__name__}: a loss must define call(self, y_true, y_pred)")

    def mean(self, y_true: Any, y_pred: Any) -> Any:
        """Return the mean of what ``call`` returns, if there is a shorter way to it; else None."""
        return None

    def as_target(self, y_true: Any, prediction: Any) -> Any:
        """Return targets as a tensor, of the prediction's dtype."""
        return as_target(y_true, prediction)

    def mask(self, y_true: Any, values: Any) -> Any:
        """Return which values count, as a tensor of bools; None if all do."""
        return None

    def weighted(self, prediction: Any, target: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss: predictions first, as :class:`minidl.training.Trainer` calls it."""
        return self(target, prediction, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """Make a loss from what :meth:`get_config` returned."""
        return cls(**config)


class LossFunctionWrapper(Loss):
    r"""A function of targets and predictions as a loss.

    .. math:: L = \frac{1}{n} \sum_i w_i f(y_i, \hat y_i)

    Parameters
    ----------
    fn : callable
        Called with targets, predictions and ``**kwargs``; returns one value for each sample.
    reduction : str or None
        See :class:`Loss`.
    name : str, optional
        The function's, if left out.
    dtype : dtype, optional
        What to compute in; as a rule the prediction's.
    **kwargs : Any
        Further arguments for ``fn``.

    Raises
    ------
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.LossFunctionWrapper(keras.losses.huber, delta=2.0)([[0.0]], [[3.0]])
    tensor(4.)

    References
    ----------
    Keras's ``LossFunctionWrapper``.
    """

    #: Arguments that Keras leaves out of its files, with the values at which minidl does, too.
    unwritten: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self.settings = kwargs
        cls = type(self)
        plain = cls.call is LossFunctionWrapper.call and cls.mask is LossFunctionWrapper.mask
        self._mean = next((mean for known, mean in MEANS if plain and known is fn), None)

    def __getattr__(self, name: str) -> Any:
        """Return an argument of the function: ``loss.from_logits``."""
        settings = self.__dict__.get("settings", {})
        if name in settings:
            return settings[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the values of samples, given targets and predictions."""
        return self.fn(*same_rank(y_true, y_pred), **self.settings)

    def mean(self, y_true: Any, y_pred: Any) -> Any:
        """Return the mean of what ``call`` returns, if there is a shorter way to it; else None."""
        if self._mean is None or not y_pred.array.size or not y_pred.array.ndim:
            return None
        return self._mean(y_true, y_pred, **self.settings)

    def mask(self, y_true: Any, values: Any) -> Any:
        """Return which labels are not those of the class to ignore; None if all count."""
        ignored = self.settings.get("ignore_class")
        return None if ignored is None else (y_true != ignored).reshape(values.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        config = {**super().get_config(), **serialize_keras_object(self.settings)}
        if type(self) is LossFunctionWrapper:
            config["fn"] = serialize_keras_object(self.fn)
        return {key: value for key, value in config.items() if self.unwritten.get(key, math.nan) != value}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """Make a loss from what :meth:`get_config` returned."""
        config = dict(config)
        if isinstance(config.get("fn"), Mapping):
            config["fn"] = deserialize_keras_object(config["fn"], module="keras.losses")
        return cls(**config)


# ------------------------------------------------------------------ from values to one number


def checked_reduction(reduction: Any, name: str) -> Any:
    """Return a reduction that Keras knows."""
    if reduction not in REDUCTIONS:
        known = ", ".join(repr(x) for x in REDUCTIONS)
        raise ArgumentError(f"{name}: reduction must be one of {known}; got {reduction!r}")
    return reduction


def reduced(values: Any, sample_weight: Any, mask: Any, reduction: str | None, name: str) -> Tensor:
    """Return values times weights, reduced as Keras does.

    Parameters
    ----------
    values : Tensor
        One for each sample, or for more.
    sample_weight : Tensor, array or None
        Of the shape of values, or of their first axes: weights of whole samples.
    mask : Tensor of bools or None
        Which values count. Means are then of those that do.
    reduction : str or None
    name : str
        The loss, for errors.
    """
    values = ops.as_tensor(values)
    weight = None if sample_weight is None else as_target(sample_weight, values)
    if mask is not None:
        kept = cast(mask, values.dtype)
        if reduction in ("mean", "sum_over_batch_size"):
            kept = kept * (math.prod(kept.shape) / ops.clip(kept.sum(), 1, None))
        weight = kept if weight is None else _fitting(kept, weight, name) * kept
    if weight is not None:
        weight = _fitting(values, weight, name)
        values = values * weight
    if reduction in (None, "none") or not values.shape:
        return values
    if reduction == "sum" or not values.array.size:
        return values.sum()
    if reduction == "mean_with_sample_weight" and weight is not None:
        divisor = weight.sum()
        return ops.where(divisor == 0, 0, values.sum() / ops.where(divisor == 0, 1, divisor))
    return values.mean()


def _fitting(values: Any, weight: Any, name: str) -> Any:
    """Return weights with axes added at the end, so that those of samples broadcast over all values of a sample."""
    if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1 and values.ndim:
        weight = ops.squeeze(weight, -1)
    shape, given = values.shape, weight.shape
    if given == shape or not given or not shape:
        return weight
    if len(given) < len(shape) and given == shape[: len(given)]:
        return weight.reshape(given + (1,) * (len(shape) - len(given)))
    if len(given) != len(shape) or any(mine not in (1, size) for mine, size in zip(given, shape, strict=True)):
        raise ShapeError(
            f"{name}: sample_weight {given} does not fit the loss {shape}; give one weight for each of the {shape[0]} "
            "samples, or one for each value"
        )
    return weight
