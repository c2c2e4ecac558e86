"""The base of metrics in Keras's manner, and those that every other one is made of: sums and means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from minidl._tensor import Tensor
from minidl.autograd import is_grad_enabled, no_grad, wrap
from minidl.backend import as_dtype, default_dtype, device_of, to_numpy
from minidl.errors import ArgumentError, StateError
from minidl.keras import initializers
from minidl.keras.names import auto_name
from minidl.keras.serialization import builtin, deserialize_keras_object, serialize_keras_object, snake_case
from minidl.keras.variable import Variable
from minidl.ops.creation import as_array
from minidl.training import metrics

__all__ = ["Mean", "MeanMetricWrapper", "Metric", "Sum"]

MODULE = "keras.metrics"


@builtin("keras")
@builtin(MODULE)
class Metric(metrics.Metric):
    """The base of metrics that take the targets first: subclasses define ``update_state`` and ``result``.

    Parameters
    ----------
    dtype : str, optional
        Of the results; the default dtype if left out.
    name : str, optional
        Made from the class's name if left out.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> class LargestError(keras.metrics.Metric):
    ...     def __init__(self, name="largest_error", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.largest = self.add_variable(shape=(), initializer="zeros", name="largest")
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(minidl.maximum(self.largest, abs(y_true - y_pred).max()))
    ...
    ...     def result(self):
    ...         return self.largest
    >>> metric = LargestError()
    >>> metric.update_state(minidl.tensor([1.0, 2.0]), minidl.tensor([1.5, 5.0]))
    >>> float(metric.result())
    3.0

    References
    ----------
    ``keras.metrics.Metric``.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(name or auto_name(snake_case(type(self).__name__)))
        self.dtype = as_dtype(default_dtype() if dtype is None else dtype).name
        self._variables: list[Variable] = []

    def add_variable(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, aggregation: str = "sum", name: Any = None
    ) -> Variable:
        """Make a variable that :meth:`reset_state` sets to zero and checkpoints keep."""
        fill = initializers.get("zeros" if initializer is None else initializer)
        variable = Variable(fill, tuple(shape), dtype or self.dtype, trainable=False, name=name or "variable")
        self._variables.append(variable)
        return variable

    def add_weight(self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: Any = None) -> Variable:
        """Make a variable, as :meth:`add_variable` does."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """What :meth:`add_variable` made."""
        return list(self._variables)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch: targets, predictions, and weights."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state")

    def result(self) -> Any:
        """Return the value over all batches since the last reset, a tensor."""
        raise NotImplementedError(f"{type(self).__name__} has no result")

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch, and return the value over all batches."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a metric of what :meth:`get_config` returned."""
        return cls(**config)

    # ------------------------------------------------------------------ what the training loop calls

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch, the predictions first."""
        if is_grad_enabled():
            with no_grad():
                self.update(prediction, target, sample_weight)
        else:
            prediction = tensor(prediction)
            self.update_state(tensor(target, prediction), prediction, sample_weight=sample_weight)

    def compute(self) -> Any:
        """Return the result as a float, or a NumPy array, or a dict of these."""
        result = self.result()
        if isinstance(result, Mapping):
            return {key: plain(value) for key, value in result.items()}
        return plain(result)

    def reset(self) -> None:
        """Forget all batches."""
        self.reset_state()

    @property
    def updated(self) -> bool:
        """True: Keras's metrics have a result from the start."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the variables' values, in the order in which they were made."""
        return {str(i): variable.numpy() for i, variable in enumerate(self._variables)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called."""
        if len(state) != len(self._variables):
            raise StateError(f"{self.name}: a state of {len(state)} variables for one that has {len(self._variables)}")
        for i, variable in enumerate(self._variables):
            variable.assign(state[str(i)])


class Wrapper(Metric):
    """A metric of :mod:`minidl.training.metrics` in Keras's manner.

    Parameters
    ----------
    metric : training.metrics.Metric
    name : str, optional
    dtype : str, optional
    nothing : float or array
        The result before the first batch.
    """

    def __init__(self, metric: metrics.Metric, name: str | None = None, dtype: Any = None, nothing: Any = 0.0) -> None:
        super().__init__(dtype, name)
        metric.name = self.name
        self.metric, self.nothing = metric, nothing

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets, predictions, and one weight a sample."""
        self.metric.update(y_pred, y_true, sample_weight)

    def result(self) -> Any:
        """Return the value over all batches since the last reset, a tensor."""
        return as_result(self.metric.compute() if self.metric.updated else self.nothing, self.dtype)

    def reset_state(self) -> None:
        """Forget all batches."""
        self.metric.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far."""
        return self.metric.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called."""
        self.metric.load_state_dict(state)


@builtin(MODULE)
class Sum(Wrapper):
    """The weighted sum of values.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> total = Sum()
    >>> total.update_state([1.0, 3.0, 5.0])
    >>> float(total.result())
    9.0

    References
    ----------
    ``keras.metrics.Sum``.
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(metrics.Sum(), name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add values, with one weight a sample."""
        self.metric.update(values, sample_weight)


@builtin(MODULE)
class Mean(Wrapper):
    """The weighted mean of values; 0 where the weights are.

    Parameters
    ----------
    name : str
    dtype : str, optional

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0])
    >>> float(mean.result())
    2.0

    References
    ----------
    ``keras.metrics.Mean``.
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(metrics.Mean(), name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add values (N, ...), with one weight a sample or a value."""
        self.metric.update(values, sample_weight)

    def result(self) -> Any:
        """Return the mean over all batches since the last reset, a tensor."""
        total, weight = self.metric.accumulated() if self.metric.updated else (0.0, 0.0)
        return as_result(float(total) / float(weight) if weight else 0.0, self.dtype)


@builtin(MODULE)
class MeanMetricWrapper(Mean):
    """The weighted mean of what a function of targets and predictions gives for each sample.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` gives values (N, ...); a function that gives one for the batch counts each
        batch once.
    name : str, optional
    dtype : str, optional
    **kwargs
        Passed to ``fn``.

    Examples
    --------
    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred), name="error")
    >>> metric.update_state([1.0, 2.0], [1.0, 5.0])
    >>> float(metric.result())
    1.5

    References
    ----------
    ``keras.metrics.MeanMetricWrapper``.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        if not callable(fn):
            raise ArgumentError(f"MeanMetricWrapper: expected a function of targets and predictions, got {fn!r}")
        super().__init__(name, dtype)
        self._fn, self._fn_kwargs = fn, kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch: targets, predictions, and one weight a sample."""
        if is_grad_enabled():
            with no_grad():
                self.update_state(y_true, y_pred, sample_weight)
        else:
            y_pred = tensor(y_pred)
            values = self._fn(tensor(y_true, y_pred), y_pred, **self._fn_kwargs)
            self.metric.update(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like it."""
        config = super().get_config()
        if type(self) is MeanMetricWrapper:
            config["fn"] = serialize_keras_object(self._fn)
        return {**config, **{key: serialize_keras_object(value) for key, value in self._fn_kwargs.items()}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a metric of what :meth:`get_config` returned."""
        return cls(**deserialize_keras_object(config) if "fn" in config else config)


def tensor(x: Any, beside: Any = None) -> Any:
    """Return targets or predictions as a Tensor (beside another, if one is given), float64 in the default dtype."""
    if isinstance(x, Tensor):
        return x
    array = as_array(x, device=None if beside is None else device_of(beside.array))
    return wrap(array.astype(default_dtype()) if array.dtype == np.float64 else array)


def as_result(value: Any, dtype: str) -> Any:
    """Return a number or an array as a tensor."""
    return wrap(np.asarray(value, dtype))


def plain(value: Any) -> Any:
    """Return a result as a float, or as an array if it has axes."""
    array = np.asarray(to_numpy(value.array) if isinstance(value, Tensor) else value)
    return array if array.ndim else float(array)
