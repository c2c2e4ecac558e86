"""Constraints under Keras's names: what a weight is mapped to after each step of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minidl import ops
from minidl.keras.serialization import builtin, deserialize_keras_object, resolve, serialize_keras_object

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

MODULE = "keras.constraints"

_EPSILON = 1e-7  # keeps a norm of 0 from dividing


class Constraint:
    """What maps a weight to a permitted one; subclasses define ``__call__``, and ``get_config`` if they have arguments.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> class Halved(keras.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return w / 2
    >>> Halved()(minidl.tensor([1.0, 2.0]))
    tensor([0.5000, 1.0000])

    References
    ----------
    ``keras.constraints.Constraint``.
    """

    def __call__(self, w: Any) -> Any:
        """Return the permitted weight."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constraint:
        """Make a constraint from what :meth:`get_config` returned."""
        return cls(**config)


def _norms(w: Tensor, axis: Any) -> Tensor:
    return ops.sqrt(ops.square(w).sum(axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=True))


@builtin(MODULE)
class MinMaxNorm(Constraint):
    r"""Weights whose norm is between two bounds, or on the way there.

    .. math:: w \gets w \, \frac{r \min(\max(\|w\|, a), b) + (1 - r) \|w\|}{\|w\| + 10^{-7}}

    Parameters
    ----------
    min_value, max_value : float
        The bounds :math:`a` and :math:`b`.
    rate : float
        :math:`r`, how much of the way is gone at each step.
    axis : int or sequence of int
        The axes that the norm sums over: 0 for a dense layer's kernel, [0, 1, 2] for a convolution's.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.constraints.MinMaxNorm(0.0, 1.0)(minidl.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])

    References
    ----------
    ``keras.constraints.MinMaxNorm``.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Tensor:
        """Return the permitted weight."""
        w = ops.as_tensor(w)
        norms = _norms(w, self.axis)
        wanted = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (wanted / (norms + _EPSILON))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


@builtin(MODULE)
class MaxNorm(Constraint):
    r"""Weights whose norm is at most some number.

    .. math:: w \gets w \, \frac{\min(\|w\|, m)}{\|w\| + 10^{-7}}

    Parameters
    ----------
    max_value : float
        :math:`m`.
    axis : int or sequence of int
        The axes that the norm sums over: 0 for a dense layer's kernel, [0, 1, 2] for a convolution's.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.constraints.MaxNorm(1.0)(minidl.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])

    References
    ----------
    ``keras.constraints.MaxNorm``. Srivastava et al. (2014), "Dropout".
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Tensor:
        """Return the permitted weight."""
        w = ops.as_tensor(w)
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (norms + _EPSILON))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {"max_value": self.max_value, "axis": self.axis}


@builtin(MODULE)
class UnitNorm(Constraint):
    r"""Weights whose norm is 1.

    .. math:: w \gets \frac{w}{\|w\| + 10^{-7}}

    Parameters
    ----------
    axis : int or sequence of int
        The axes that the norm sums over: 0 for a dense layer's kernel, [0, 1, 2] for a convolution's.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.constraints.UnitNorm()(minidl.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])

    References
    ----------
    ``keras.constraints.UnitNorm``.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        """Return the permitted weight."""
        w = ops.as_tensor(w)
        return w / (_norms(w, self.axis) + _EPSILON)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return {"axis": self.axis}


@builtin(MODULE)
class NonNeg(Constraint):
    r"""Weights that are not negative.

    .. math:: w \gets \max(w, 0)

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.constraints.NonNeg()(minidl.tensor([-1.0, 2.0]))
    tensor([0., 2.])

    References
    ----------
    ``keras.constraints.NonNeg``.
    """

    def __call__(self, w: Any) -> Tensor:
        """Return the permitted weight."""
        return ops.maximum(ops.as_tensor(w), 0)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


# ------------------------------------------------------------------ by name


def get(identifier: Any) -> Callable[..., Any] | None:
    """Return the constraint that an argument such as ``kernel_constraint=`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, class or callable

    Returns
    -------
    callable or None

    Raises
    ------
    ArgumentError
        If no constraint has that name; the message has the nearest one.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.constraints.get("max_norm").get_config()
    {'max_value': 2, 'axis': 0}

    References
    ----------
    ``keras.constraints.get``.
    """
    return resolve(MODULE, identifier, "constraint")


def serialize(constraint: Any) -> Any:
    """Return a constraint as what JSON can hold.

    Parameters
    ----------
    constraint : Constraint

    Returns
    -------
    dict

    Examples
    --------
    >>> from minidl import keras
    >>> keras.constraints.serialize(keras.constraints.UnitNorm(1))["config"]
    {'axis': 1}

    References
    ----------
    ``keras.constraints.serialize``.
    """
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the constraint that :func:`serialize` wrote.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class, optional
        The user's own, by name.

    Returns
    -------
    Constraint

    Examples
    --------
    >>> from minidl import keras
    >>> config = keras.constraints.serialize(keras.constraints.MaxNorm(3))
    >>> keras.constraints.deserialize(config).max_value
    3

    References
    ----------
    ``keras.constraints.deserialize``.
    """
    return deserialize_keras_object(config, custom_objects, module=MODULE)
