"""Pictures as a network wants them: its size, its channels, light strokes on dark, numbers from 0 to 1."""

from __future__ import annotations

import base64
import binascii
import io
import os
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from minidl.errors import ArgumentError, DataError, DTypeError, ShapeError

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 16_000_000  # of a picture that is decoded: what a phone takes

INVERT = ("auto", True, False)


def preprocess_image(
    image: Any, size: tuple[int, int] = (28, 28), *, channels: int = 1, invert: bool | str = "auto"
) -> list[Any]:
    r"""Return a picture as the service takes it: nested lists of numbers from 0 to 1, ready to be sent as JSON.

    Colours become greys (0.299 R + 0.587 G + 0.114 B), what is transparent becomes white, a photograph is turned
    upright, and the whole is shrunk or enlarged to fit, its proportions kept, in the middle of a field of its
    background. Networks for digits know light strokes on black, as in MNIST; ink on paper is the other way round, so

    .. math:: y = 1 - x \quad \text{if the median of the border is above } 1/2

    Parameters
    ----------
    image : path, PIL.Image.Image or array
        A file (PNG or JPEG); or an array (H, W), (H, W, 1), (1, H, W), (H, W, 3) or (H, W, 4), of integers from 0 to
        255, booleans, or floats from 0 to 1.
    size : (int, int)
        Height and width of the result.
    channels : {1, 3}
        1 for greys, 3 for red, green and blue.
    invert : {"auto", True, False}
        Whether to exchange light and dark; ``"auto"`` does it for greys on a light background, never for colours.

    Returns
    -------
    list
        Nested as an array (H, W), or (H, W, 3).

    Raises
    ------
    DataError
        If the file is no picture, is damaged, or has too many pixels.
    ShapeError, DTypeError, ArgumentError
        If the array or an argument is not as above.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> paper = np.full((56, 56), 255, np.uint8)
    >>> paper[8:48, 24:32] = 0  # a one in ink
    >>> image = preprocess_image(paper)
    >>> len(image), len(image[0]), image[0][0], image[14][13]
    (28, 28, 0.0, 1.0)

    References
    ----------
    ITU-R BT.601 (the weights of the colours). Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten
    digits".
    """
    if channels not in (1, 3):
        raise ArgumentError(f"preprocess_image: channels: expected 1 or 3, got {channels!r}")
    if len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ArgumentError(f"preprocess_image: size: expected (height, width), both positive, got {size!r}")
    if invert not in INVERT:
        raise ArgumentError(f"preprocess_image: invert: expected 'auto', True or False, got {invert!r}")
    if isinstance(image, (str, os.PathLike)):
        with open(image, "rb") as file:
            picture = open_picture(file.read())
    elif isinstance(image, Image.Image):
        picture = image
    else:
        picture = _from_array(np.asarray(image))
    pixels = fitted(picture, *size, channels, invert)
    return np.round(pixels if channels == 3 else pixels[:, :, 0], 4).astype(np.float64).round(4).tolist()


def open_picture(data: bytes, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """Return the picture in the bytes of a PNG or JPEG file; one too large is refused before it is decoded.

    Raises
    ------
    DataError
        If it is neither, is damaged, or has more pixels than ``most_pixels``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit comes as a warning; ours is checked below
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large("its header says", most_pixels) from None
    except Exception as error:  # a decoder that is fed anything may raise anything
        raise DataError("the image is neither PNG nor JPEG, or its header is damaged") from error
    if picture.width * picture.height > most_pixels:
        raise _too_large(f"{picture.width} x {picture.height}", most_pixels)
    return picture


def fitted(picture: Image.Image, height: int, width: int, channels: int, invert: bool | str = "auto") -> np.ndarray:
    """Return a picture's pixels (H, W, C), float32 from 0 to 1; :func:`preprocess_image` says how they come about.

    Raises
    ------
    DataError
        If it is damaged.
    """
    try:
        if picture.format == "JPEG":
            picture.draft("L" if channels == 1 else "RGB", (2 * width, 2 * height))  # decodes no finer than need be
        picture = _opaque(ImageOps.exif_transpose(picture)).convert("L" if channels == 1 else "RGB")
        scale = min(height / picture.height, width / picture.width)
        inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        if inner != picture.size:
            picture = picture.resize(inner, Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.float32).reshape(inner[1], inner[0], channels) / 255
    except Exception as error:
        raise DataError("the image is damaged: it cannot be decoded") from error
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = np.median(border, axis=0)
    field = np.empty((height, width, channels), np.float32)
    field[:] = background
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    field[top : top + inner[1], left : left + inner[0]] = pixels
    if invert is True or (invert == "auto" and channels == 1 and background[0] > 0.5):
        field = 1 - field
    return field


def from_base64(text: str) -> bytes:
    """Return the bytes behind base64, with or without a ``data:`` URL's beginning.

    Raises
    ------
    DataError
        If it is no base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise DataError("the image is a string that is not base64") from error


def _opaque(picture: Image.Image) -> Image.Image:
    """Return a picture of 8 bits a colour without transparency, on white."""
    if picture.mode.startswith("I"):  # greys of 16 bits, which convert() would cut off at 255
        return Image.fromarray((np.asarray(picture).astype(np.int64) // 257).clip(0, 255).astype(np.uint8))
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[0] == 1 and array.shape[2] not in (1, 3, 4):
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise ShapeError(
            f"preprocess_image: expected an image (H, W), (H, W, 1), (1, H, W), (H, W, 3) or (H, W, 4), got "
            f"{array.shape}; give one image at a time"
        )
    kind, most = array.dtype.kind, 1 if array.dtype.kind in "bf" else 255
    if kind not in "biuf":
        raise DTypeError(f"preprocess_image: expected numbers, got an array of {array.dtype}")
    if not (array.min() >= 0 and array.max() <= most):
        raise ArgumentError(
            f"preprocess_image: expected {'floats from 0 to 1' if kind == 'f' else 'integers from 0 to 255'}, got "
            f"{array.min():g} to {array.max():g}" + ("; divide by 255" if kind == "f" and array.max() > 1 else "")
        )
    pixels = array.astype(np.uint8) if most == 255 else np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _too_large(what: str, most: int) -> DataError:
    error = DataError(f"the image is too large ({what}); at most {most} pixels are decoded")
    error.add_note("image_too_large")
    return error
