"""Layers that are random in training and nothing else afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError
from minidl.keras.layers.common import RandomLayer, check_rate
from minidl.keras.layers.spatial import SpatialLayer, data_format_of
from minidl.keras.serialization import builtin

__all__ = ["Dropout", "GaussianNoise", "SpatialDropout2D"]


@builtin("keras.layers")
class Dropout(RandomLayer):
    r"""In training, set each number to zero with probability ``rate``, and scale up the others.

    .. math:: y_i = \frac{m_i}{1 - rate} x_i, \quad m_i \sim \operatorname{Bernoulli}(1 - rate)

    Parameters
    ----------
    rate : float
        The share that is dropped.
    noise_shape : tuple of int or None, optional
        The mask's shape: along an axis of size 1, numbers are dropped together. None is the input's size.
    seed : int, optional
        Of random numbers of its own.

    Shape
    -----
    Input, Output : any, the same

    Raises
    ------
    ArgumentError
        If ``rate`` is no share.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.Dropout(0.5)
    >>> layer(minidl.ones(3))
    tensor([1., 1., 1.])
    >>> sorted(set(layer(minidl.ones(100), training=True).tolist()))
    [0.0, 2.0]

    References
    ----------
    ``keras.layers.Dropout``. Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from
    overfitting".
    """

    _shown = ("rate", "name")

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_rate(self, rate=rate)
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self._start_seed(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        return ops.dropout(inputs, self.rate, shape=self.noise_shape, generator=self._generator())

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@builtin("keras.layers")
class SpatialDropout2D(SpatialLayer, RandomLayer):
    r"""In training, set whole channels of images to zero, each with probability ``rate``.

    .. math:: y_{nijc} = \frac{m_{nc}}{1 - rate} x_{nijc}, \quad m_{nc} \sim \operatorname{Bernoulli}(1 - rate)

    Parameters
    ----------
    rate : float
        The share that is dropped.
    data_format : {"channels_last", "channels_first"}, optional
    seed : int, optional
        Of random numbers of its own.
    name : str, optional
    dtype : str, optional

    Shape
    -----
    Input, Output : (N, H, W, C), the same

    Raises
    ------
    ArgumentError
        If ``rate`` is no share.
    ShapeError
        If the input is no batch of images.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> y = keras.layers.SpatialDropout2D(0.5)(minidl.ones(1, 2, 2, 50), training=True)
    >>> bool((y[:, :1, :1] == y).all())
    True

    References
    ----------
    ``keras.layers.SpatialDropout2D``. Tompson et al. (2015), "Efficient object localization using convolutional
    networks".
    """

    _shown = ("rate", "name")

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        check_rate(self, rate=rate)
        self.rate = rate
        self.data_format = data_format_of(self, data_format)
        self._start_seed(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        N, C, _ = self._parts(inputs.shape)
        if not training or not self.rate:
            return inputs
        return ops.dropout(inputs, self.rate, shape=self._joined(N, C, (1, 1)), generator=self._generator())

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return image

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "dtype": self.dtype}
        del config["trainable"]  # Keras's takes no such argument
        return config


@builtin("keras.layers")
class GaussianNoise(RandomLayer):
    r"""In training, add normal random numbers.

    .. math:: y_i = x_i + \epsilon_i, \quad \epsilon_i \sim \mathcal N(0, stddev^2)

    Parameters
    ----------
    stddev : float
        The standard deviation of the noise.
    seed : int, optional
        Of random numbers of its own.

    Shape
    -----
    Input, Output : any, the same

    Raises
    ------
    ArgumentError
        If ``stddev`` is negative.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.GaussianNoise(0.1)(minidl.ones(3))
    tensor([1., 1., 1.])

    References
    ----------
    ``keras.layers.GaussianNoise``.
    """

    _shown = ("stddev", "name")

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if stddev < 0:
            raise ArgumentError(f"GaussianNoise: stddev={stddev!r}; expected a number of at least 0")
        self.stddev = stddev
        self._start_seed(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.stddev:
            return inputs
        noise = ops.randn(*inputs.shape, dtype=inputs.dtype, device=inputs.device, generator=self._generator())
        return inputs + self.stddev * noise

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
