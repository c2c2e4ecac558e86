"""Pooling: one number for each window of an image or a sequence, or for all of it."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.errors import ShapeError
from minidl.keras.layers.spatial import SpatialLayer, data_format_of, padding_of, sizes_of
from minidl.keras.serialization import builtin

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
]


class _Pooling(SpatialLayer):
    """What pooling over windows shares."""

    _shown = ("pool_size", "name")

    def _set_windows(self, pool_size: Any, strides: Any, padding: Any, data_format: Any) -> None:
        self.pool_size = sizes_of(self, pool_size, "pool_size", self.rank)
        self.strides = self.pool_size if strides is None else sizes_of(self, strides, "strides", self.rank)
        self.padding = padding_of(self, padding, "valid", "same")
        self.data_format = data_format_of(self, data_format)

    def call(self, inputs: Any) -> Any:
        self._check_images(inputs.shape)
        padding = "same" if self.padding == "same" else 0
        x = self._channels_first(inputs)
        try:
            y = self._pool(x, self.pool_size, self.strides, padding)
        except ShapeError:
            self._image_after(x.shape[2:])  # tells it in the layer's own words, if it is the window's size
            raise
        return self._from_channels_first(y)

    def _pool(self, x: Any, size: Any, strides: Any, padding: Any) -> Any:
        raise NotImplementedError

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self._windows(image, self.pool_size, self.strides, self.padding)


@builtin("keras.layers", "MaxPool2D")
class MaxPooling2D(_Pooling):
    r"""The largest number of each window of an image.

    .. math:: y_{nijc} = \max_{r, s} \; x_{n,\, i \cdot stride + r,\, j \cdot stride + s,\, c}

    Parameters
    ----------
    pool_size : int or (vertical, horizontal)
        The window.
    strides : int or (vertical, horizontal), optional
        Pixels from one window to the next; the window's size if left out.
    padding : {"valid", "same"}
        Only whole windows; or as many as there are strides, begun ones included.
    data_format : {"channels_last", "channels_first"}, optional
    name : str, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, OH, OW, C)

    Raises
    ------
    ArgumentError
        If a size is not positive.
    ShapeError
        If the input is no batch of images, or smaller than a window.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> x = minidl.arange(16.0).reshape(1, 4, 4, 1)
    >>> keras.layers.MaxPooling2D((2, 2))(x).reshape(2, 2)
    tensor([[ 5.,  7.],
            [13., 15.]])

    References
    ----------
    ``keras.layers.MaxPooling2D``.
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._set_windows(pool_size, strides, padding, data_format)

    def _pool(self, x: Any, size: Any, strides: Any, padding: Any) -> Any:
        return ops.max_pool2d(x, size, strides, padding)


@builtin("keras.layers", "AvgPool2D")
class AveragePooling2D(_Pooling):
    r"""The average of each window of an image; padding does not count.

    .. math:: y_{nijc} = \frac{1}{|window|} \sum_{r, s} x_{n,\, i \cdot stride + r,\, j \cdot stride + s,\, c}

    Parameters
    ----------
    pool_size : int or (vertical, horizontal)
        The window.
    strides : int or (vertical, horizontal), optional
        Pixels from one window to the next; the window's size if left out.
    padding : {"valid", "same"}
        Only whole windows; or as many as there are strides, begun ones included.
    data_format : {"channels_last", "channels_first"}, optional
    name : str, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, OH, OW, C)

    Raises
    ------
    ArgumentError
        If a size is not positive.
    ShapeError
        If the input is no batch of images, or smaller than a window.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> x = minidl.arange(16.0).reshape(1, 4, 4, 1)
    >>> keras.layers.AveragePooling2D((2, 2))(x).reshape(2, 2)
    tensor([[ 2.5000,  4.5000],
            [10.5000, 12.5000]])

    References
    ----------
    ``keras.layers.AveragePooling2D``.
    """

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._set_windows(pool_size, strides, padding, data_format)

    def _pool(self, x: Any, size: Any, strides: Any, padding: Any) -> Any:
        return ops.avg_pool2d(x, size, strides, padding)


@builtin("keras.layers", "MaxPool1D")
class MaxPooling1D(_Pooling):
    r"""The largest number of each window of a sequence.

    .. math:: y_{ntc} = \max_{r} \; x_{n,\, t \cdot stride + r,\, c}

    Parameters
    ----------
    pool_size : int
    strides : int, optional
        ``pool_size`` if left out.
    padding : {"valid", "same"}
    data_format : {"channels_last", "channels_first"}, optional
    name : str, optional

    Shape
    -----
    Input : (N, T, C)
    Output : (N, OT, C)

    Raises
    ------
    ArgumentError
        If a size is not positive.
    ShapeError
        If the input is no batch of sequences, or shorter than a window.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.MaxPooling1D(2)(minidl.tensor([[[1.0], [3.0], [2.0], [0.0]]])).ravel()
    tensor([3., 2.])

    References
    ----------
    ``keras.layers.MaxPooling1D``.
    """

    rank = 1

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._set_windows(pool_size, strides, padding, data_format)

    def _pool(self, x: Any, size: Any, strides: Any, padding: Any) -> Any:
        return ops.max_pool1d(x, size, strides, padding)


@builtin("keras.layers", "AvgPool1D")
class AveragePooling1D(_Pooling):
    r"""The average of each window of a sequence; padding does not count.

    .. math:: y_{ntc} = \frac{1}{|window|} \sum_{r} x_{n,\, t \cdot stride + r,\, c}

    Parameters
    ----------
    pool_size : int
    strides : int, optional
        ``pool_size`` if left out.
    padding : {"valid", "same"}
    data_format : {"channels_last", "channels_first"}, optional
    name : str, optional

    Shape
    -----
    Input : (N, T, C)
    Output : (N, OT, C)

    Raises
    ------
    ArgumentError
        If a size is not positive.
    ShapeError
        If the input is no batch of sequences, or shorter than a window.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.AveragePooling1D(2)(minidl.tensor([[[1.0], [3.0], [2.0], [0.0]]])).ravel()
    tensor([2., 1.])

    References
    ----------
    ``keras.layers.AveragePooling1D``.
    """

    rank = 1

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._set_windows(pool_size, strides, padding, data_format)

    def _pool(self, x: Any, size: Any, strides: Any, padding: Any) -> Any:
        return ops.avg_pool1d(x, size, strides, padding)


class _GlobalPooling(SpatialLayer):
    """What pooling over all positions shares."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.keepdims = keepdims

    def _positions(self, shape: Any) -> tuple[int, ...]:
        """Return the axes of positions."""
        self._check_images(shape)
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, channels, _ = self._parts(input_shape)
        return self._joined(batch, channels, (1,) * self.rank) if self.keepdims else (batch, channels)


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.mean(inputs, self._positions(inputs.shape), self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.amax(inputs, self._positions(inputs.shape), self.keepdims)


@builtin("keras.layers", "GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalAveragePooling):
    r"""The average of each channel over a whole image.

    .. math:: y_{nc} = \frac{1}{H W} \sum_{i, j} x_{nijc}

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
    keepdims : bool
        Whether the axes of positions stay, with size 1.

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, C), or (N, 1, 1, C) with ``keepdims``

    Raises
    ------
    ShapeError
        If the input is no batch of images.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.GlobalAveragePooling2D()(minidl.ones(2, 4, 5, 3)).shape
    (2, 3)

    References
    ----------
    ``keras.layers.GlobalAveragePooling2D``.
    """


@builtin("keras.layers", "GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMaxPooling):
    r"""The largest number of each channel over a whole image.

    .. math:: y_{nc} = \max_{i, j} x_{nijc}

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
    keepdims : bool
        Whether the axes of positions stay, with size 1.

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, C), or (N, 1, 1, C) with ``keepdims``

    Raises
    ------
    ShapeError
        If the input is no batch of images.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.GlobalMaxPooling2D()(minidl.ones(2, 4, 5, 3)).shape
    (2, 3)

    References
    ----------
    ``keras.layers.GlobalMaxPooling2D``.
    """


@builtin("keras.layers", "GlobalAvgPool1D")
class GlobalAveragePooling1D(_GlobalAveragePooling):
    r"""The average of each channel over a whole sequence, or over the steps that a mask leaves.

    .. math:: y_{nc} = \frac{\sum_t m_{nt} x_{ntc}}{\sum_t m_{nt}}

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
    keepdims : bool
        Whether the axis of positions stays, with size 1.

    Shape
    -----
    Input : (N, T, C); ``mask``, optional: (N, T)
    Output : (N, C), or (N, 1, C) with ``keepdims``

    Raises
    ------
    ShapeError
        If the input is no batch of sequences.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.GlobalAveragePooling1D()(minidl.ones(2, 4, 3)).shape
    (2, 3)

    References
    ----------
    ``keras.layers.GlobalAveragePooling1D``.
    """

    rank = 1

    def call(self, inputs: Any, mask: Any = None) -> Any:
        (axis,) = self._positions(inputs.shape)
        if mask is None:
            return ops.mean(inputs, axis, self.keepdims)
        mask = ops.unsqueeze(mask.to(inputs.dtype), 3 - axis)  # (N, T, 1) or (N, 1, T)
        return (inputs * mask).sum(axis, self.keepdims) / mask.sum(axis, self.keepdims)


@builtin("keras.layers", "GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMaxPooling):
    r"""The largest number of each channel over a whole sequence.

    .. math:: y_{nc} = \max_t x_{ntc}

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
    keepdims : bool
        Whether the axis of positions stays, with size 1.

    Shape
    -----
    Input : (N, T, C)
    Output : (N, C), or (N, 1, C) with ``keepdims``

    Raises
    ------
    ShapeError
        If the input is no batch of sequences.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.GlobalMaxPooling1D()(minidl.ones(2, 4, 3)).shape
    (2, 3)

    References
    ----------
    ``keras.layers.GlobalMaxPooling1D``.
    """

    rank = 1


AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D = AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
