"""Layers that only move numbers: Flatten, Reshape, Permute, RepeatVector, and the borders and sizes of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError, ShapeError
from minidl.keras.layers.common import BuiltinLayer, positive
from minidl.keras.layers.spatial import SpatialLayer, data_format_of, sizes_of
from minidl.keras.serialization import builtin

__all__ = ["Cropping2D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling2D", "ZeroPadding2D"]


@builtin("keras.layers")
class Flatten(BuiltinLayer):
    r"""All numbers of a sample in one row.

    .. math:: y_{n,\, (i W + j) C + c} = x_{n i j c}

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        With the latter, channels are moved to the end first, so that the order is the same.

    Shape
    -----
    Input : (N, ...)
    Output : (N, D)

    Raises
    ------
    ArgumentError
        If the data format is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Flatten()(minidl.ones(2, 28, 28, 1)).shape
    (2, 784)

    References
    ----------
    ``keras.layers.Flatten``.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = inputs.permute(0, *range(2, inputs.ndim), 1)
        return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = input_shape[1:]
        return (input_shape[0], None if None in sizes else math.prod(sizes))


@builtin("keras.layers")
class Reshape(BuiltinLayer):
    r"""The numbers of each sample in another shape.

    .. math:: y_n = \operatorname{reshape}(x_n)

    Parameters
    ----------
    target_shape : tuple of int
        That of one sample; one size may be -1: what remains.

    Shape
    -----
    Input : (N, ...)
    Output : (N, \*target_shape)

    Raises
    ------
    ArgumentError
        If the target shape has two sizes of -1.
    ShapeError
        If a sample does not have as many numbers.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Reshape((28, 28, -1))(minidl.ones(2, 784)).shape
    (2, 28, 28, 1)

    References
    ----------
    ``keras.layers.Reshape``.
    """

    _shown = ("target_shape", "name")

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if self.target_shape.count(-1) > 1 or any(n < -1 for n in self.target_shape):
            raise ArgumentError(
                f"Reshape: target_shape={self.target_shape}; one size may be -1, the others not negative"
            )

    def call(self, inputs: Any) -> Any:
        return inputs.reshape(inputs.shape[0], *self._filled(inputs.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._filled(input_shape))

    def _filled(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the target shape without -1 for an input of a shape."""
        target: tuple[int | None, ...] = self.target_shape
        sizes = [n for n in shape[1:] if n is not None]
        if len(sizes) < len(shape) - 1:  # a size is not known yet
            return tuple(None if n == -1 else n for n in target)
        total = math.prod(sizes)
        known = math.prod(n for n in self.target_shape if n != -1)
        if (-1 in target and known and total % known) or (-1 not in target and total != known) or (total and not known):
            raise ShapeError(
                f"{self.name}: the input has shape {tuple(shape)}, so {total} numbers a sample, and target_shape "
                f"{target} {'needs a multiple of' if -1 in target else 'has'} {known}; change target_shape, or let one "
                "of its sizes be -1"
            )
        return tuple(total // max(known, 1) if n == -1 else n for n in target)


@builtin("keras.layers")
class Permute(BuiltinLayer):
    r"""The axes of each sample in another order.

    .. math:: y_{n, i_{p_1} i_{p_2} \dots} = x_{n, i_1 i_2 \dots}

    Parameters
    ----------
    dims : tuple of int
        Each axis once, counted from 1, since the batch stays in front: ``(2, 1)`` exchanges two.

    Shape
    -----
    Input : (N, ...)
    Output : (N, ...), in another order

    Raises
    ------
    ArgumentError
        If ``dims`` does not name the axes from 1 on, each once.
    ShapeError
        If the input has another number of axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Permute((2, 1))(minidl.ones(4, 10, 64)).shape
    (4, 64, 10)

    References
    ----------
    ``keras.layers.Permute``.
    """

    _shown = ("dims", "name")

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                f"Permute: dims={self.dims}; expected each axis from 1 to {len(self.dims)} once (axis 0 is the batch)"
            )

    def call(self, inputs: Any) -> Any:
        self._check(inputs.shape)
        return inputs.permute(0, *self.dims)

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def _check(self, shape: Sequence[int | None]) -> None:
        if len(shape) != len(self.dims) + 1:
            raise ShapeError(
                f"{self.name}: dims={self.dims} takes inputs of {len(self.dims) + 1} axes, the batch included; got the "
                f"shape {tuple(shape)}"
            )


@builtin("keras.layers")
class RepeatVector(BuiltinLayer):
    r"""A vector repeated along a new axis of time.

    .. math:: y_{n t d} = x_{n d}

    Parameters
    ----------
    n : int
        How often.

    Shape
    -----
    Input : (N, D)
    Output : (N, n, D)

    Raises
    ------
    ArgumentError
        If ``n`` is no positive integer.
    ShapeError
        If the input does not have two axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.RepeatVector(3)(minidl.ones(2, 5)).shape
    (2, 3, 5)

    References
    ----------
    ``keras.layers.RepeatVector``.
    """

    _shown = ("n", "name")

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        positive(self, n=n)
        self.n = n

    def call(self, inputs: Any) -> Any:
        N, n, D = self.compute_output_shape(inputs.shape)
        return ops.broadcast_to(inputs.reshape(N, 1, D), N, n, D)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if len(input_shape) != 2:
            raise ShapeError(f"{self.name}: expected an input of shape (N, D), got {tuple(input_shape)}")
        return (input_shape[0], self.n, input_shape[1])


Border = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))


def border_of(layer: BuiltinLayer, value: Any, argument: str) -> Border:
    """Return an argument that is one int, one an axis, or a pair an axis, as pairs."""
    try:
        pairs = (value, value) if isinstance(value, int) else value
        (top, bottom), (left, right) = ((n, n) if isinstance(n, int) else n for n in pairs)
    except (TypeError, ValueError):
        top = bottom = left = right = -1
    if any(not isinstance(n, int) or n < 0 for n in (top, bottom, left, right)):
        raise ArgumentError(
            f"{type(layer).__name__}: {argument}={value!r}; expected an int of at least 0, (vertical, horizontal) or "
            "((top, bottom), (left, right))"
        )
    return (top, bottom), (left, right)


@builtin("keras.layers")
class ZeroPadding2D(SpatialLayer):
    r"""Zeros around images.

    .. math:: y_{n,\, i + top,\, j + left,\, c} = x_{n i j c}

    Parameters
    ----------
    padding : int, (vertical, horizontal) or ((top, bottom), (left, right))
    data_format : {"channels_last", "channels_first"}, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, H + top + bottom, W + left + right, C)

    Raises
    ------
    ArgumentError
        If the padding is negative.
    ShapeError
        If the input is no batch of images.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.ZeroPadding2D((1, 2))(minidl.ones(1, 4, 4, 3)).shape
    (1, 6, 8, 3)

    References
    ----------
    ``keras.layers.ZeroPadding2D``.
    """

    _shown = ("padding", "name")

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = border_of(self, padding, "padding")
        self.data_format = data_format_of(self, data_format)

    def call(self, inputs: Any) -> Any:
        self._check_images(inputs.shape)
        rows, columns = self.padding
        if self.data_format == "channels_last":
            return ops.pad(inputs, ((0, 0), rows, columns, (0, 0)))
        return ops.pad(inputs, ((0, 0), (0, 0), rows, columns))

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(None if n is None else n + sum(border) for n, border in zip(image, self.padding, strict=True))


@builtin("keras.layers")
class Cropping2D(SpatialLayer):
    r"""Images without their borders.

    .. math:: y_{n i j c} = x_{n,\, i + top,\, j + left,\, c}

    Parameters
    ----------
    cropping : int, (vertical, horizontal) or ((top, bottom), (left, right))
    data_format : {"channels_last", "channels_first"}, optional

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, H - top - bottom, W - left - right, C)

    Raises
    ------
    ArgumentError
        If the cropping is negative.
    ShapeError
        If the input is no batch of images, or nothing would be left.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Cropping2D(((2, 0), (1, 1)))(minidl.ones(1, 28, 28, 1)).shape
    (1, 26, 26, 1)

    References
    ----------
    ``keras.layers.Cropping2D``.
    """

    _shown = ("cropping", "name")

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = border_of(self, cropping, "cropping")
        self.data_format = data_format_of(self, data_format)

    def call(self, inputs: Any) -> Any:
        _, _, (H, W) = self._parts(inputs.shape)
        self._image_after((H, W))
        (top, bottom), (left, right) = self.cropping
        rows, columns = slice(top, H - bottom), slice(left, W - right)
        return inputs[:, rows, columns] if self.data_format == "channels_last" else inputs[:, :, rows, columns]

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        after = tuple(None if n is None else n - sum(border) for n, border in zip(image, self.cropping, strict=True))
        if any(n is not None and n < 1 for n in after):
            raise ShapeError(f"{self.name}: cropping={self.cropping} leaves nothing of images of size {image}")
        return after


@builtin("keras.layers")
class UpSampling2D(SpatialLayer):
    r"""Images made larger: each pixel several times.

    .. math:: y_{n i j c} = x_{n,\, \lfloor i / s \rfloor,\, \lfloor j / s \rfloor,\, c}

    Parameters
    ----------
    size : int or (vertical, horizontal)
        How many times.
    data_format : {"channels_last", "channels_first"}, optional
    interpolation : {"nearest"}

    Shape
    -----
    Input : (N, H, W, C)
    Output : (N, H * size[0], W * size[1], C)

    Raises
    ------
    ArgumentError
        If ``size`` is not positive, or the interpolation another one.
    ShapeError
        If the input is no batch of images.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.UpSampling2D(2)(minidl.ones(1, 7, 7, 3)).shape
    (1, 14, 14, 3)

    References
    ----------
    ``keras.layers.UpSampling2D``.
    """

    _shown = ("size", "name")

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size = sizes_of(self, size, "size")
        self.data_format = data_format_of(self, data_format)
        self.interpolation = interpolation.lower()
        if self.interpolation != "nearest":
            raise ArgumentError(f"UpSampling2D: interpolation={interpolation!r}; minidl has 'nearest' only")

    def call(self, inputs: Any) -> Any:
        N, C, (H, W) = self._parts(inputs.shape)
        (R, S), last = self.size, self.data_format == "channels_last"
        split = (N, H, 1, W, 1, C) if last else (N, C, H, 1, W, 1)
        spread = (N, H, R, W, S, C) if last else (N, C, H, R, W, S)
        return ops.broadcast_to(inputs.reshape(split), spread).reshape(self.compute_output_shape(inputs.shape))

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(None if n is None else n * times for n, times in zip(image, self.size, strict=True))
