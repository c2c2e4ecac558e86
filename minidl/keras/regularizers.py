"""Regularisers under Keras's names: what large or similar weights cost, to be added to the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minidl import ops
from minidl.errors import ArgumentError, ShapeError, StateError
from minidl.keras.serialization import builtin, deserialize_keras_object, resolve, serialize_keras_object

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

MODULE = "keras.regularizers"


class Regularizer:
    """What maps a weight to a cost; subclasses define ``__call__``, and ``get_config`` to be saved.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> class Quartic(keras.regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return (x**4).sum()
    >>> Quartic()(minidl.tensor([1.0, 2.0]))
    tensor(17.)

    References
    ----------
    ``keras.regularizers.Regularizer``.
    """

    def __call__(self, x: Any) -> Any:
        """Return the cost of a weight: a tensor of shape ()."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regulariser again."""
        name = type(self).__name__
        raise StateError(f"{name}: define get_config, returning the arguments of {name}(...), so that it can be saved")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """Make a regulariser from what :meth:`get_config` returned."""
        return cls(**config)


def _factor(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ArgumentError(f"{name} must be a finite number, not negative; got {value!r}")
    return float(value)


@builtin(MODULE, "l1_l2")
class L1L2(Regularizer):
    r"""The sum of sizes and the sum of squares, each times a factor.

    .. math:: R = \lambda_1 \sum_i |x_i| + \lambda_2 \sum_i x_i^2

    Parameters
    ----------
    l1, l2 : float, not negative
        :math:`\lambda_1` and :math:`\lambda_2`.

    Raises
    ------
    ArgumentError
        If a factor is negative or not finite.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.regularizers.L1L2(l1=1.0, l2=0.5)(minidl.tensor([1.0, -2.0]))
    tensor(5.5000)

    References
    ----------
    ``keras.regularizers.L1L2``.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(l1 or 0.0, "L1L2: l1")
        self.l2 = _factor(l2 or 0.0, "L1L2: l2")

    def __call__(self, x: Any) -> Tensor:
        """Return the cost of a weight: a tensor of shape ()."""
        x = ops.as_tensor(x)
        costs = [f(x).sum() * factor for f, factor in ((ops.abs, self.l1), (ops.square, self.l2)) if factor]
        return sum(costs[1:], costs[0]) if costs else ops.zeros((), dtype=x.dtype, device=x.device)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regulariser again."""
        return {"l1": self.l1, "l2": self.l2}


@builtin(MODULE)
class L1(Regularizer):
    r"""The sum of sizes, which draws weights to exactly 0.

    .. math:: R = \lambda \sum_i |x_i|

    Parameters
    ----------
    l1 : float, not negative
        :math:`\lambda`.

    Raises
    ------
    ArgumentError
        If it is negative or not finite.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.regularizers.L1(0.5)(minidl.tensor([1.0, -2.0]))
    tensor(1.5000)

    References
    ----------
    ``keras.regularizers.L1``.
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor(0.01 if l1 is None else l1, "L1: l1")

    def __call__(self, x: Any) -> Tensor:
        """Return the cost of a weight: a tensor of shape ()."""
        return ops.abs(ops.as_tensor(x)).sum() * self.l1

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regulariser again."""
        return {"l1": self.l1}


@builtin(MODULE)
class L2(Regularizer):
    r"""The sum of squares, which makes large weights smaller.

    .. math:: R = \lambda \sum_i x_i^2

    Parameters
    ----------
    l2 : float, not negative
        :math:`\lambda`.

    Raises
    ------
    ArgumentError
        If it is negative or not finite.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.regularizers.L2(0.5)(minidl.tensor([1.0, -2.0]))
    tensor(2.5000)

    References
    ----------
    ``keras.regularizers.L2``.
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor(0.01 if l2 is None else l2, "L2: l2")

    def __call__(self, x: Any) -> Tensor:
        """Return the cost of a weight: a tensor of shape ()."""
        return ops.square(ops.as_tensor(x)).sum() * self.l2

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regulariser again."""
        return {"l2": self.l2}


@builtin(MODULE)
class OrthogonalRegularizer(Regularizer):
    r"""The mean size of the cosines between different rows, or columns, of a matrix.

    .. math:: R = \frac{\lambda}{n (n - 1)} \sum_{i \ne j} \frac{|x_i \cdot x_j|}{\|x_i\| \, \|x_j\|}

    Parameters
    ----------
    factor : float, not negative
        :math:`\lambda`.
    mode : {"rows", "columns"}
        What :math:`x_i` is.

    Raises
    ------
    ArgumentError
        If the factor is negative or not finite, or the mode unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.regularizers.OrthogonalRegularizer(1.0)(minidl.tensor([[3.0, 0.0], [1.0, 0.0]]))
    tensor(1.)

    References
    ----------
    ``keras.regularizers.OrthogonalRegularizer``.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(factor, "OrthogonalRegularizer: factor")
        if mode not in ("rows", "columns"):
            raise ArgumentError(f"OrthogonalRegularizer: mode must be 'rows' or 'columns', got {mode!r}")
        self.mode = mode

    def __call__(self, x: Any) -> Tensor:
        """Return the cost of a weight: a tensor of shape ()."""
        x = ops.as_tensor(x)
        if x.ndim != 2:
            raise ShapeError(f"OrthogonalRegularizer: expected a matrix, got shape {x.shape}")
        x = ops.normalize(x if self.mode == "rows" else x.T, dim=1)
        size = x.shape[0]
        different = 1 - ops.eye(size, dtype=x.dtype, device=x.device)
        return ops.abs((x @ x.T) * different).sum() * (self.factor / max(size * (size - 1), 1))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regulariser again."""
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


# ------------------------------------------------------------------ by name


def get(identifier: Any) -> Callable[..., Any] | None:
    """Return the regulariser that an argument such as ``kernel_regularizer=`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, class or callable

    Returns
    -------
    callable or None

    Raises
    ------
    ArgumentError
        If no regulariser has that name; the message has the nearest one.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.regularizers.get("l2").get_config()
    {'l2': 0.01}

    References
    ----------
    ``keras.regularizers.get``.
    """
    return resolve(MODULE, identifier, "regularizer")


def serialize(regularizer: Any) -> Any:
    """Return a regulariser as what JSON can hold.

    Parameters
    ----------
    regularizer : Regularizer

    Returns
    -------
    dict

    Examples
    --------
    >>> from minidl import keras
    >>> keras.regularizers.serialize(keras.regularizers.L1(0.5))["config"]
    {'l1': 0.5}

    References
    ----------
    ``keras.regularizers.serialize``.
    """
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the regulariser that :func:`serialize` wrote.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class, optional
        The user's own, by name.

    Returns
    -------
    Regularizer

    Examples
    --------
    >>> from minidl import keras
    >>> config = keras.regularizers.serialize(keras.regularizers.L2(0.5))
    >>> keras.regularizers.deserialize(config).l2
    0.5

    References
    ----------
    ``keras.regularizers.deserialize``.
    """
    return deserialize_keras_object(config, custom_objects, module=MODULE)
