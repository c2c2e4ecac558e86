"""What layers over images and sequences share: where the channels stand, and what a shape must look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from minidl.errors import ArgumentError, ShapeError
from minidl.keras.layers.common import BuiltinLayer
from minidl.ops.convolution import sizes

LAYOUTS = {
    ("channels_last", 1): "(N, T, C)",
    ("channels_first", 1): "(N, C, T)",
    ("channels_last", 2): "(N, H, W, C)",
    ("channels_first", 2): "(N, C, H, W)",
}


def data_format_of(layer: BuiltinLayer, data_format: Any) -> str:
    """Return where channels stand; ``"channels_last"`` unless something else is asked for."""
    name = "channels_last" if data_format is None else str(data_format).lower()
    if name not in ("channels_last", "channels_first"):
        raise ArgumentError(
            f"{type(layer).__name__}: data_format={data_format!r}; expected 'channels_last' or 'channels_first'"
        )
    return name


def sizes_of(layer: BuiltinLayer, value: Any, argument: str, rank: int = 2) -> tuple[int, ...]:
    """Return an argument that is one positive integer, or one an axis, as a tuple."""
    return sizes(value, rank, 1, type(layer).__name__, argument)


def padding_of(layer: BuiltinLayer, padding: Any, *allowed: str) -> str:
    """Return a padding's name."""
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in allowed:
        raise ArgumentError(
            f"{type(layer).__name__}: padding={padding!r}; expected {' or '.join(map(repr, allowed))} (for numbers, "
            "put a ZeroPadding2D layer in front)"
        )
    return name


class SpatialLayer(BuiltinLayer):
    """A layer whose input is a batch of images (rank 2) or sequences (rank 1), with channels."""

    rank: ClassVar[int] = 2
    data_format: str

    def _check_images(self, shape: Sequence[int | None]) -> None:
        """Raise a ShapeError unless a shape is that of a batch of images."""
        if len(shape) == self.rank + 2:
            return
        hint = ""
        if len(shape) == self.rank + 1:
            new_axis = "x[..., None]" if self.data_format == "channels_last" else "x[:, None]"
            hint = f"; if the axis of channels is missing, add it: {new_axis}; if that of the batch, x[None]"
        raise ShapeError(
            f"{self.name}: expected an input of shape {LAYOUTS[self.data_format, self.rank]}, got {tuple(shape)}{hint}"
        )

    def _parts(self, shape: Sequence[Any]) -> tuple[Any, Any, tuple[Any, ...]]:
        """Return the batch, the channels and the image's size of a shape."""
        self._check_images(shape)
        if self.data_format == "channels_last":
            return shape[0], shape[-1], tuple(shape[1:-1])
        return shape[0], shape[1], tuple(shape[2:])

    def _joined(self, batch: Any, channels: Any, image: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the shape that :meth:`_parts` takes apart."""
        return (batch, *image, channels) if self.data_format == "channels_last" else (batch, channels, *image)

    def _channels_first(self, x: Any) -> Any:
        """Return a view (N, C, H, W) of the input, as the operations take it."""
        if self.data_format == "channels_first":
            return x
        return x.permute(0, 3, 1, 2) if self.rank == 2 else x.permute(0, 2, 1)

    def _from_channels_first(self, y: Any) -> Any:
        """Return a view of a result (N, C, H, W) in the layer's own layout."""
        if self.data_format == "channels_first":
            return y
        return y.permute(0, 2, 3, 1) if self.rank == 2 else y.permute(0, 2, 1)

    def _image_after(self, image: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the size of the result's images for the input's."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, channels, image = self._parts(input_shape)
        return self._joined(batch, channels, self._image_after(image))

    def _windows(
        self,
        image: tuple[int | None, ...],
        kernel: tuple[int, ...],
        strides: tuple[int, ...],
        padding: str,
        dilation: tuple[int, ...] | None = None,
    ) -> tuple[int | None, ...]:
        """Return how many windows there are along each axis."""
        counts: list[int | None] = []
        for axis, length in enumerate(image):
            reach = (dilation[axis] if dilation else 1) * (kernel[axis] - 1) + 1
            if length is None:
                counts.append(None)
            elif padding != "valid":
                counts.append(-(-length // strides[axis]))
            elif reach > length:
                raise ShapeError(
                    f"{self.name}: a window of size {kernel} covers {reach} pixels along axis {axis} of the images, "
                    f"which have size {image}; use a smaller one, padding='same', fewer poolings, or larger images"
                )
            else:
                counts.append((length - reach) // strides[axis] + 1)
        return tuple(counts)
