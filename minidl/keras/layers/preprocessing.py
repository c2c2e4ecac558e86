"""Layers that bring data into the range that networks like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable, no_grad
from minidl.backend import is_array
from minidl.errors import ArgumentError, DataError, ShapeError
from minidl.keras.layers.common import BuiltinLayer, check_features, size_known
from minidl.keras.layers.normalization import axis_of
from minidl.keras.serialization import builtin

__all__ = ["Normalization", "Rescaling"]


@builtin("keras.layers")
class Rescaling(BuiltinLayer):
    r"""A factor and an offset, the same for all numbers: ``Rescaling(1 / 255)`` for pixels.

    .. math:: y = scale \cdot x + offset

    Parameters
    ----------
    scale, offset : float, or one a channel

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Rescaling(1 / 255)(minidl.tensor([0, 51, 255]))
    tensor([0.0000, 0.2000, 1.0000])

    References
    ----------
    ``keras.layers.Rescaling``.
    """

    _shown = ("scale", "offset", "name")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset

    def call(self, inputs: Any) -> Any:
        y = inputs.to(self.dtype) * _number_or_tensor(self.scale, inputs, self.dtype)
        return (
            y
            if isinstance(self.offset, (int, float)) and not self.offset
            else y + _number_or_tensor(self.offset, inputs, self.dtype)
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _number_or_tensor(value: Any, beside: Any, dtype: str) -> Any:
    """Return a number as it is, and anything else as a tensor on the device of another."""
    return value if isinstance(value, (int, float)) else ops.as_tensor(value).to(beside.device, dtype)


@builtin("keras.layers")
class Normalization(BuiltinLayer):
    r"""Mean 0 and variance 1, by statistics of data seen before: given, or taken in by :meth:`adapt`.

    .. math:: y = \frac{x - \mu}{\sigma}

    Parameters
    ----------
    axis : int, tuple of int or None
        Along which each position has statistics of its own; None for one mean and one variance in all.
    mean, variance : float or array, optional
        The statistics, if they are known.
    invert : bool
        Go back: :math:`y = x \sigma + \mu`.

    Shape
    -----
    Input, Output : (N, ...), the same

    Raises
    ------
    ArgumentError
        If one of ``mean`` and ``variance`` is missing, or there is no such axis.
    ShapeError
        If they do not fit the axis, or an input has other sizes there than before.
    DataError
        If :meth:`adapt` is given nothing.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.Normalization()
    >>> layer.adapt(minidl.tensor([[0.0, 10.0], [2.0, 30.0]]))
    >>> layer(minidl.tensor([[1.0, 40.0]]))
    tensor([[0., 2.]])

    References
    ----------
    ``keras.layers.Normalization``.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ArgumentError(f"Normalization: give mean and variance both, or neither; got {mean!r}, {variance!r}")
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean: Any = None if mean is None else np.asarray(mean)
        self.input_variance: Any = None if variance is None else np.asarray(variance)
        self.invert = invert

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        self._kept = tuple(sorted(axis_of(self, axis, rank) for axis in self.axis))
        shape = tuple(size_known(self, input_shape, axis) for axis in self._kept)
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", "int32", trainable=False, name="count")
            return
        for name, given in (("adapt_mean", self.input_mean), ("adapt_variance", self.input_variance)):
            try:
                values = np.broadcast_to(given, shape)
            except ValueError:
                raise ShapeError(
                    f"{self.name}: the statistics have shape {given.shape}, where an input of shape "
                    f"{tuple(input_shape)} with axis={self.axis} needs {shape}"
                ) from None
            self.register_buffer(name, ops.tensor(values, dtype=self.dtype), persistent=False)

    def call(self, inputs: Any) -> Any:
        for axis, size in zip(self._kept, self.adapt_mean.shape, strict=True):
            if inputs.shape[axis] != size:
                check_features(self, inputs.shape, size, axis)
        shape = [size if axis in self._kept else 1 for axis, size in enumerate(inputs.shape)]
        mean = self.adapt_mean.reshape(shape)
        deviation = ops.maximum(ops.sqrt(self.adapt_variance.reshape(shape)), 1e-7)
        x = inputs.to(self.dtype)
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def adapt(self, data: Any) -> None:
        """Take the mean and the variance of data: an array, a tensor, or an iterable of batches of them."""
        if self.input_mean is not None:
            raise ArgumentError(f"{self.name}.adapt: mean and variance were given; leave them out to adapt")
        if isinstance(data, Variable) or is_array(data):
            data = _pieces(data)
        elif not isinstance(data, Iterable):
            raise DataError(f"{self.name}.adapt: expected an array or batches of them, got a {type(data).__name__}")
        total = 0
        mean: Any = 0.0
        variance: Any = 0.0
        with no_grad():
            for batch in data:
                x = ops.as_tensor(batch[0] if isinstance(batch, (list, tuple)) else batch).double()
                if not self.built:
                    self.build((None, *x.shape[1:]))
                axes = tuple(axis for axis in range(x.ndim) if axis not in self._kept)
                if tuple(x.shape[axis] for axis in self._kept) != tuple(self.adapt_mean.shape):
                    raise ShapeError(
                        f"{self.name}.adapt: a batch has shape {tuple(x.shape)}, where axis {self.axis} must have the "
                        f"size {tuple(self.adapt_mean.shape)}"
                    )
                if not x.size:
                    continue
                count = math.prod(x.shape[axis] for axis in axes)
                share = count / (total + count)
                shift = (x.mean(axes) if axes else x) - mean
                spread = x.var(axes, correction=0) if axes else ops.zeros_like(x)
                variance = variance * (1 - share) + spread * share + shift * shift * (share * (1 - share))
                mean = mean + shift * share
                total += count
        if not total:
            raise DataError(f"{self.name}.adapt: there is no data; give at least one sample")
        self.adapt_mean.assign(mean.to(self.dtype))
        self.adapt_variance.assign(variance.to(self.dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        given = (self.input_mean, self.input_variance)
        mean, variance = (None if x is None else x.tolist() for x in given)
        return {**super().get_config(), "mean": mean, "variance": variance}


def _pieces(data: Any) -> Iterator[Any]:
    """Yield an array piece by piece, so that only one exists in float64 at a time."""
    for start in range(0, len(data), 1024):
        yield data[start : start + 1024]
