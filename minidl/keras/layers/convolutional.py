"""Convolutions over images and sequences."""

from __future__ import annotations

from typing import Any, ClassVar

from minidl import ops
from minidl.errors import ArgumentError, ShapeError
from minidl.keras import activations
from minidl.keras.layers.common import check_features, positive, size_known
from minidl.keras.layers.spatial import SpatialLayer, data_format_of, padding_of, sizes_of
from minidl.keras.serialization import builtin
from minidl.ops.convolution import same_sides

__all__ = [
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution1D",
    "Convolution2D",
    "Convolution2DTranspose",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "SeparableConvolution2D",
]


class _Convolution(SpatialLayer):
    """What convolutions share: the geometry of the windows, and the bias."""

    _shown = ("filters", "kernel_size", "name")
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def _set_windows(self, kernel_size: Any, strides: Any, padding: Any, dilation_rate: Any, data_format: Any) -> None:
        """Keep the geometry of the windows, each size as a tuple."""
        self.kernel_size = sizes_of(self, kernel_size, "kernel_size", self.rank)
        self.strides = sizes_of(self, strides, "strides", self.rank)
        self.padding = padding_of(self, padding, *self._paddings)
        self.dilation_rate = sizes_of(self, dilation_rate, "dilation_rate", self.rank)
        self.data_format = data_format_of(self, data_format)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{type(self).__name__}: strides={self.strides} and dilation_rate={self.dilation_rate}; Keras takes "
                "only one of them larger than 1"
            )

    def _channels(self, shape: Any) -> int:
        """Return how many channels the input has."""
        self._check_images(shape)
        return size_known(self, shape, -1 if self.data_format == "channels_last" else 1)

    def _check(self, shape: Any, channels: int) -> None:
        """Raise a ShapeError unless the input is a batch of images with the channels that the layer was built for."""
        self._check_images(shape)
        axis = -1 if self.data_format == "channels_last" else 1
        if shape[axis] != channels:
            check_features(self, shape, channels, axis)

    def _add_bias(self, units: int) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _convolve(self, x: Any, weight: Any, bias: Any, groups: int = 1, relu: bool = False) -> Any:
        """Return the convolution of images (N, C, H, W) with filters (K, C / groups, R, S), and its ReLU if wanted."""
        convolve = ops.conv2d if self.rank == 2 else ops.conv1d
        sides = self._sides(x.shape[2:])
        try:
            return convolve(x, weight, bias, self.strides, sides, self.dilation_rate, groups, relu=relu)
        except ShapeError:
            self._image_after(x.shape[2:])  # tells it in the layer's own words, if it is the kernel's size
            raise

    def _sides(self, image: tuple[int, ...]) -> Any:
        """Return the padding before and after, for each axis of images of a size."""
        if self.padding == "valid":
            return 0
        geometry = zip(image, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        if self.padding == "causal":
            return [(dilation * (kernel - 1), 0) for _, kernel, _, dilation in geometry]
        return [same_sides(*along_axis) for along_axis in geometry]

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self._windows(image, self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, channels, image = self._parts(input_shape)
        if self.built:
            self._check(input_shape, self.input_channels)
        return self._joined(batch, self._filters(channels), self._image_after(image))

    def _filters(self, channels: Any) -> Any:
        """Return how many channels the result has."""
        return self.filters


class _Conv(_Convolution):
    """Conv1D and Conv2D."""

    def _set_filters(self, filters: int, groups: int) -> None:
        positive(self, filters=filters, groups=groups)
        if filters % groups:
            raise ArgumentError(f"{type(self).__name__}: filters={filters} must be a multiple of groups={groups}")

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{self.name}: the input of shape {tuple(input_shape)} has {channels} channels, which must be a "
                f"multiple of groups={self.groups}"
            )
        self.kernel = self.add_weight(
            (*self.kernel_size, channels // self.groups, self.filters),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        self._check(inputs.shape, self.input_channels)
        weight = self.kernel.permute(3, 2, 0, 1) if self.rank == 2 else self.kernel.permute(2, 1, 0)  # (K, C/G, R, S)
        relu = self.activation is activations.relu  # in the same pass
        y = self._from_channels_first(
            self._convolve(self._channels_first(inputs), weight, self.bias, self.groups, relu)
        )
        return y if relu else self.activation(y)


@builtin("keras.layers", "Convolution2D")
class Conv2D(_Conv):
    r"""Filters that slide over images, and an activation.

    .. math:: y_{nijk} = \operatorname{activation}\Big(b_k + \sum_{r, s, c} W_{rsck} \,
        x_{n,\, i \cdot stride + r \cdot dilation,\, j \cdot stride + s \cdot dilation,\, c}\Big)

    Parameters
    ----------
    filters : int
        K, the number of filters: the channels of the output.
    kernel_size : int or (R, S)
    strides : int or (vertical, horizontal)
    padding : {"valid", "same"}
        Only whole windows; or zeros around the image, so that there are H / stride windows (rounded up).
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels stand in input and output.
    dilation_rate : int or (vertical, horizontal)
        Pixels from one cell of the kernel to the next.
    groups : int
        Cut channels and filters into so many groups that don't see each other.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str or initializer
    kernel_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    kernel_constraint, bias_constraint : str or constraint, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, OH, OW, K)

    Raises
    ------
    ArgumentError
        If a size is not positive, or groups do not divide the filters.
    ShapeError
        If the input is no batch of images, has other channels than the layer was built for, or is smaller than the
        kernel.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.Conv2D(32, (3, 3), activation="relu")
    >>> layer(minidl.ones(2, 28, 28, 1)).shape
    (2, 26, 26, 32)
    >>> layer.kernel.shape
    (3, 3, 1, 32)

    References
    ----------
    ``keras.layers.Conv2D``.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._set_filters(filters, groups)
        self._set_windows(kernel_size, strides, padding, dilation_rate, data_format)


@builtin("keras.layers", "Convolution1D")
class Conv1D(_Conv):
    r"""Filters that slide over sequences, and an activation.

    .. math:: y_{ntk} = \operatorname{activation}\Big(b_k + \sum_{r, c} W_{rck} \,
        x_{n,\, t \cdot stride + r \cdot dilation,\, c}\Big)

    Parameters
    ----------
    filters : int
        K, the number of filters: the channels of the output.
    kernel_size, strides, dilation_rate : int
    padding : {"valid", "same", "causal"}
        Only whole windows; zeros on both sides, so that there are T / stride windows (rounded up); or all of those
        zeros in front, so that nothing depends on what comes later.
    data_format : {"channels_last", "channels_first"}, optional
    groups : int
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str or initializer
    kernel_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    kernel_constraint, bias_constraint : str or constraint, optional

    Shape
    -----
    Input : (N, T, C)
    Output : (N, OT, K)

    Raises
    ------
    ArgumentError
        If a size is not positive, or groups do not divide the filters.
    ShapeError
        If the input is no batch of sequences, has other channels than the layer was built for, or is shorter than
        the kernel.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Conv1D(32, 3)(minidl.ones(4, 10, 128)).shape
    (4, 8, 32)

    References
    ----------
    ``keras.layers.Conv1D``.
    """

    rank = 1
    _paddings = ("valid", "same", "causal")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._set_filters(filters, groups)
        self._set_windows(kernel_size, strides, padding, dilation_rate, data_format)


class _Depthwise(_Convolution):
    """What layers share that convolve each channel on its own."""

    def _add_depthwise(self, channels: int, name: str) -> Any:
        positive(self, depth_multiplier=self.depth_multiplier)
        self.input_channels = channels
        return self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name=name,
        )

    def _depthwise(self, inputs: Any, kernel: Any, bias: Any = None) -> Any:
        """Return the channels (N, C * M, OH, OW) of a kernel (R, S, C, M) over the input."""
        self._check(inputs.shape, self.input_channels)
        R, S, C, M = kernel.shape
        weight = kernel.permute(2, 3, 0, 1).reshape(C * M, 1, R, S)
        return self._convolve(self._channels_first(inputs), weight, bias, groups=C)


@builtin("keras.layers")
class DepthwiseConv2D(_Depthwise):
    r"""Filters that slide over images, some for each channel alone.

    .. math:: y_{n i j,\, c M + m} = \operatorname{activation}\Big(b_{c M + m} + \sum_{r, s} W_{r s c m} \,
        x_{n,\, i \cdot stride + r,\, j \cdot stride + s,\, c}\Big)

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate
        As in :class:`Conv2D`.
    depth_multiplier : int
        M, the number of filters for each channel.
    activation : str or callable, optional
    use_bias : bool
    depthwise_initializer, bias_initializer : str or initializer
    depthwise_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    depthwise_constraint, bias_constraint : str or constraint, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, OH, OW, C * M)

    Raises
    ------
    ArgumentError
        If a size is not positive.
    ShapeError
        As :class:`Conv2D`.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(minidl.ones(4, 10, 10, 12)).shape
    (4, 8, 8, 24)

    References
    ----------
    ``keras.layers.DepthwiseConv2D``.
    """

    _shown = ("kernel_size", "depth_multiplier", "name")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._set_windows(kernel_size, strides, padding, dilation_rate, data_format)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self._add_depthwise(channels, "kernel")
        self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        return self.activation(self._from_channels_first(self._depthwise(inputs, self.kernel, self.bias)))

    def _filters(self, channels: Any) -> Any:
        return None if channels is None else channels * self.depth_multiplier


@builtin("keras.layers", "SeparableConvolution2D")
class SeparableConv2D(_Depthwise):
    r"""A convolution in two steps: filters for each channel alone, then a mixture of what they gave.

    .. math:: y_{n i j k} = \operatorname{activation}\Big(b_k + \sum_{d} P_{d k} \,
        \operatorname{depthwise}(x)_{n i j d}\Big)

    Parameters
    ----------
    filters : int
        K, the channels of the output.
    kernel_size, strides, padding, data_format, dilation_rate
        As in :class:`Conv2D`.
    depth_multiplier : int
        How many filters there are for each channel.
    activation : str or callable, optional
    use_bias : bool
    depthwise_initializer, pointwise_initializer, bias_initializer : str or initializer
    depthwise_regularizer, pointwise_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    depthwise_constraint, pointwise_constraint, bias_constraint : str or constraint, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, OH, OW, K)

    Raises
    ------
    ArgumentError
        If a size is not positive.
    ShapeError
        As :class:`Conv2D`.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.SeparableConv2D(8, 3)(minidl.ones(4, 10, 10, 12)).shape
    (4, 8, 8, 8)

    References
    ----------
    ``keras.layers.SeparableConv2D``. Chollet (2017), "Xception: deep learning with depthwise separable convolutions".
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        positive(self, filters=filters)
        self._set_windows(kernel_size, strides, padding, dilation_rate, data_format)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self._add_depthwise(channels, "depthwise_kernel")
        self.pointwise_kernel = self.add_weight(
            (1, 1, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
            name="pointwise_kernel",
        )
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        y = self._depthwise(inputs, self.depthwise_kernel)
        y = ops.conv2d(y, self.pointwise_kernel.permute(3, 2, 0, 1), self.bias)
        return self.activation(self._from_channels_first(y))


@builtin("keras.layers", "Convolution2DTranspose")
class Conv2DTranspose(_Convolution):
    r"""The transpose of a convolution: each pixel is spread through the filters, which enlarges images by ``strides``.

    .. math:: y_{n,\, i \cdot stride + r,\, j \cdot stride + s,\, k} \mathrel{+}= W_{r s k c} \, x_{n i j c}

    Parameters
    ----------
    filters : int
        K, the channels of the output.
    kernel_size, strides : int or (vertical, horizontal)
    padding : {"valid", "same"}
        That of the convolution whose transpose this is: with "same" the output is ``strides`` times as large.
    output_padding : int or (vertical, horizontal), optional
        Of the sizes that such a convolution maps to the input's, which to return.
    data_format : {"channels_last", "channels_first"}, optional
    dilation_rate : int or (vertical, horizontal)
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str or initializer
    kernel_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    kernel_constraint, bias_constraint : str or constraint, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, OH, OW, K)

    Raises
    ------
    ArgumentError
        If a size is not positive, or ``output_padding`` not less than ``strides``.
    ShapeError
        As :class:`Conv2D`.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same")(minidl.ones(1, 7, 7, 4)).shape
    (1, 14, 14, 8)

    References
    ----------
    ``keras.layers.Conv2DTranspose``. Zeiler et al. (2010), "Deconvolutional networks".
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        positive(self, filters=filters)
        self._set_windows(kernel_size, strides, padding, dilation_rate, data_format)
        if output_padding is not None:
            given = output_padding if isinstance(output_padding, (tuple, list)) else (output_padding,) * 2
            self.output_padding = tuple(given)
            if any(not 0 <= n < stride for n, stride in zip(given, self.strides, strict=True)):
                raise ArgumentError(
                    f"Conv2DTranspose: output_padding={output_padding}; expected numbers from 0 up, less than "
                    f"strides={self.strides}"
                )

    def build(self, input_shape: Any) -> None:
        self.input_channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters, self.input_channels),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        self._check(inputs.shape, self.input_channels)
        x = self._channels_first(inputs)
        cut, added = zip(*(self._ends(length, axis)[1:] for axis, length in enumerate(x.shape[2:])), strict=True)
        y = ops.conv_transpose2d(
            x, self.kernel.permute(3, 2, 0, 1), self.bias, self.strides, cut, added, 1, self.dilation_rate
        )
        return self.activation(self._from_channels_first(y))

    def _ends(self, length: int, axis: int) -> tuple[int, tuple[int, int], int]:
        """Return the output's size along an axis, what is cut off before and after, and what is added after."""
        stride = self.strides[axis]
        reach = self.dilation_rate[axis] * (self.kernel_size[axis] - 1) + 1
        whole = (length - 1) * stride + reach
        if self.output_padding is not None:
            half = reach // 2 if self.padding == "same" else 0
            return whole - 2 * half + self.output_padding[axis], (half, half), self.output_padding[axis]
        if self.padding == "valid":
            return length * stride + max(reach - stride, 0), (0, 0), max(stride - reach, 0)
        cut = max(whole - length * stride, 0)
        return length * stride, (cut // 2, cut - cut // 2), max(length * stride - whole, 0)

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(None if n is None else self._ends(n, axis)[0] for axis, n in enumerate(image))


Convolution1D, Convolution2D, Convolution2DTranspose = Conv1D, Conv2D, Conv2DTranspose
SeparableConvolution2D = SeparableConv2D
