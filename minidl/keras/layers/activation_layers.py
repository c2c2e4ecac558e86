"""Activations with arguments or weights of their own, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError
from minidl.keras import activations
from minidl.keras.layers.common import BuiltinLayer, size_known
from minidl.keras.serialization import builtin

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class _Elementwise(BuiltinLayer):
    """A layer whose output has its input's shape."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _slope(layer: BuiltinLayer, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ArgumentError(f"{type(layer).__name__}: {name}={value!r}; expected a number of at least 0")
    return value


@builtin("keras.layers")
class ReLU(_Elementwise):
    r"""The part of each number above a threshold.

    .. math:: y = \begin{cases} m & x \ge m \\ x & t \le x < m \\ a (x - t) & x < t \end{cases}

    Parameters
    ----------
    max_value : float, optional
        :math:`m`; no limit if left out.
    negative_slope : float
        :math:`a`.
    threshold : float
        :math:`t`.

    Shape
    -----
    Input, Output : any, the same

    Raises
    ------
    ArgumentError
        If an argument is negative.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.ReLU(max_value=6)(minidl.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])

    References
    ----------
    ``keras.layers.ReLU``.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _slope(self, "max_value", max_value)
        self.negative_slope = _slope(self, "negative_slope", negative_slope)
        self.threshold = _slope(self, "threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


@builtin("keras.layers")
class LeakyReLU(_Elementwise):
    r"""Each number, the negative ones made smaller.

    .. math:: y = \max(x, 0) + a \min(x, 0)

    Parameters
    ----------
    negative_slope : float
        :math:`a`; older code calls it ``alpha``.

    Shape
    -----
    Input, Output : any, the same

    Raises
    ------
    ArgumentError
        If the slope is negative.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.LeakyReLU()(minidl.tensor([-1.0, 2.0]))
    tensor([-0.3000,  2.0000])

    References
    ----------
    ``keras.layers.LeakyReLU``.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        self.negative_slope = _slope(self, "negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)


@builtin("keras.layers")
class ELU(_Elementwise):
    r"""Each positive number as it is, and an exponential curve below.

    .. math:: y = \begin{cases} x & x > 0 \\ \alpha (e^x - 1) & x \le 0 \end{cases}

    Parameters
    ----------
    alpha : float
        :math:`\alpha`.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.ELU()(minidl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])

    References
    ----------
    ``keras.layers.ELU``. Clevert et al. (2015), "Fast and accurate deep network learning by exponential linear units".
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)


@builtin("keras.layers")
class PReLU(_Elementwise):
    r"""A leaky ReLU whose slopes are learnt.

    .. math:: y = \max(x, 0) + \alpha \min(x, 0)

    Parameters
    ----------
    alpha_initializer : str or initializer
    alpha_regularizer : str or regularizer, optional
    alpha_constraint : str or constraint, optional
    shared_axes : tuple of int, optional
        Axes along which one slope serves for all: ``(1, 2)`` for the pixels of images.

    Shape
    -----
    Input, Output : (N, ...), the same

    Raises
    ------
    ShapeError
        If a size that the slopes depend on is not known.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.PReLU(shared_axes=(1, 2))
    >>> layer(minidl.ones(2, 4, 4, 3)).shape, layer.alpha.shape
    ((2, 4, 4, 3), (1, 1, 3))

    References
    ----------
    ``keras.layers.PReLU``. He et al. (2015), "Delving deep into rectifiers".
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(locals())
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes and list(shared_axes)

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or ()
        shape = [1 if axis in shared else size_known(self, input_shape, axis) for axis in range(1, len(input_shape))]
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)


@builtin("keras.layers")
class Softmax(_Elementwise):
    r"""The exponentials along an axis, scaled to sum to 1.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Parameters
    ----------
    axis : int or tuple of int

    Shape
    -----
    Input, Output : any, the same; ``mask``, optional: what broadcasts to it, True where numbers count

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Softmax()(minidl.tensor([0.0, 1.0, 2.0]))
    tensor([0.0900, 0.2447, 0.6652])

    References
    ----------
    ``keras.layers.Softmax``.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            mask = ops.as_tensor(mask, device=inputs.device)
            lowest = -3e4 if inputs.dtype.itemsize == 2 else -1e9
            inputs = ops.where(mask if mask.dtype.kind == "b" else mask > 0.5, inputs, lowest)
        if isinstance(self.axis, int):
            return ops.softmax(inputs, self.axis)
        if len(self.axis) == 1:
            return ops.softmax(inputs, self.axis[0])
        return ops.exp(inputs - ops.logsumexp(inputs, tuple(self.axis), keepdims=True))
