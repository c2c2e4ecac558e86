"""Transforms of images, under torchvision's names: each takes an image and returns a new one.

Images are (C, H, W), as arrays or as tensors, and come back as what they were given as; batches (N, C, H, W) work too,
and a random transform then treats all images of the batch alike. Only :class:`ToTensor` reads images as files hold
them, (H, W) or (H, W, C). Random transforms draw from minidl's generator (:func:`minidl.manual_seed`); in a
:class:`DataLoader` each batch has a generator of its own, so worker threads do not change what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import numpy as np

from minidl.autograd import Variable, wrap
from minidl.backend import default_dtype, device_of, generator, to_device, to_numpy
from minidl.errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "CenterCrop",
    "Compose",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "Resize",
    "ToTensor",
    "Transform",
]


class InterpolationMode(StrEnum):
    """How values between pixels are found: ``"nearest"`` or ``"bilinear"``; the plain strings work too."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


class Transform:
    """The base of transforms that map an array (..., C, H, W) to an array: ``apply`` does the work.

    Raises
    ------
    DTypeError
        If it is called with what is neither a NumPy array nor a Tensor.
    ShapeError
        If that has fewer axes than an image.
    DeviceError
        If it lives on a GPU.

    Examples
    --------
    >>> class Invert(Transform):
    ...     def apply(self, image):
    ...         return 1 - image
    >>> Invert()(np.zeros((1, 1, 2)))
    array([[[1., 1.]]])
    """

    least = 2  # axes

    def __call__(self, image: Any) -> Any:
        # what lives on a GPU is copied to the CPU, where transforms run, and back
        array = to_numpy(image.array) if isinstance(image, Variable) else image
        name = type(self).__name__
        if not isinstance(array, np.ndarray):
            raise DTypeError(
                f"{name}: expected a NumPy array or a Tensor (C, H, W), got {type(image).__name__}; ToTensor() makes "
                "one of a picture"
            )
        if array.ndim < self.least or 0 in array.shape[-2:]:
            raise ShapeError(f"{name}: expected an image (C, H, W) or a batch (N, C, H, W), got shape {array.shape}")
        out = self.apply(array)
        return wrap(to_device(out, device_of(image.array))) if isinstance(image, Variable) else out

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the new image of an array (..., H, W)."""
        raise DTypeError(f"{type(self).__name__}: a transform must define apply(image)")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


class Compose:
    """Several transforms, one after the other.

    Parameters
    ----------
    transforms : sequence of callables

    Raises
    ------
    DTypeError
        If one of them can't be called.

    Examples
    --------
    >>> pipeline = Compose([ToTensor(), Normalize(0.5, 0.5)])
    >>> pipeline(np.array([[0, 255]], np.uint8)).tolist()
    [[[-1.0, 1.0]]]

    References
    ----------
    ``torchvision.transforms.Compose``.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise DTypeError(f"Compose: expected transforms, got {transform!r}, which can't be called")

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


class Lambda:
    """A function of the user's as a transform.

    Parameters
    ----------
    lambd : callable

    Raises
    ------
    DTypeError
        If it can't be called.

    Examples
    --------
    >>> Lambda(lambda image: image.reshape(-1))(np.zeros((1, 2, 2))).shape
    (4,)

    References
    ----------
    ``torchvision.transforms.Lambda``.
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise DTypeError(f"Lambda: expected a function, got {lambd!r}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.lambd, '__name__', self.lambd)})"


class ToTensor:
    r"""Make a tensor (C, H, W) of a picture as files hold it.

    .. math:: y_{chw} = x_{hwc} / 255 \quad\text{for uint8, else } y_{chw} = x_{hwc}

    Shape
    -----
    Input : array or PIL image (H, W) or (H, W, C)
        A Tensor counts as (C, H, W) or (H, W) already and is only scaled, if it is uint8.
    Output : Tensor (C, H, W)
        Of the default float dtype, in [0, 1], if the input was uint8.

    Raises
    ------
    ShapeError
        If the picture has neither two nor three axes.
    DTypeError
        If it is no picture.

    Examples
    --------
    >>> ToTensor()(np.full((4, 3), 255, np.uint8)).shape
    (1, 4, 3)

    References
    ----------
    ``torchvision.transforms.ToTensor``.
    """

    def __call__(self, image: Any) -> Any:
        if isinstance(image, Variable):
            array = image.array
        elif isinstance(image, np.ndarray) or hasattr(image, "__array_interface__"):
            array = np.asarray(image)
        else:
            raise DTypeError(f"ToTensor: expected an array, a Tensor or a PIL image, got {type(image).__name__}")
        if array.ndim not in (2, 3):
            raise ShapeError(f"ToTensor: expected one picture (H, W) or (H, W, C), got shape {array.shape}")
        if array.ndim == 2:
            array = array[None]  # (1, H, W)
        elif not isinstance(image, Variable):
            array = array.transpose(2, 0, 1)  # (C, H, W)
        if array.dtype == np.uint8:
            made = np.divide(to_numpy(array), 255, dtype=default_dtype(), order="C")
            return wrap(to_device(made, device_of(array)))
        if array.dtype.kind not in "fiub":
            raise DTypeError(f"ToTensor: expected numbers, got an array of {array.dtype}")
        return wrap(array if isinstance(image, Variable) else array.copy(order="C"))

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize(Transform):
    r"""Shift and scale each channel.

    .. math:: y_c = (x_c - \mu_c) / \sigma_c

    Parameters
    ----------
    mean, std : float, or sequence of one float a channel

    Shape
    -----
    Input, output : (C, H, W) or (N, C, H, W), of a float dtype

    Raises
    ------
    ArgumentError
        If a standard deviation is 0.
    ShapeError
        If the image has another number of channels.
    DTypeError
        If the image holds integers.

    Examples
    --------
    >>> Normalize([0.5], [0.25])(np.ones((1, 1, 2)))
    array([[[2., 2.]]])

    References
    ----------
    ``torchvision.transforms.Normalize``.
    """

    least = 3

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean = [float(m) for m in np.ravel(mean)]
        self.std = [float(s) for s in np.ravel(std)]
        if 0 in self.std:
            raise ArgumentError(f"Normalize: std must not be 0, got {self.std}: it divides")

    def apply(self, image: np.ndarray) -> np.ndarray:
        if image.dtype.kind != "f":
            raise DTypeError(f"Normalize: expected floats, got {image.dtype}; put ToTensor() before it")
        channels = image.shape[-3]
        for name, values in ("mean", self.mean), ("std", self.std):
            if len(values) not in (1, channels):
                raise ShapeError(
                    f"Normalize: {name} has {len(values)} values for an image of {channels} channels, shape "
                    f"{image.shape}; give one a channel"
                )
        mean, std = (np.array(values, image.dtype)[:, None, None] for values in (self.mean, self.std))  # (C, 1, 1)
        return (image - mean) / std


class Resize(Transform):
    r"""Make images of another size.

    .. math:: x_{src} = (x_{dst} + \tfrac12)\, W_{in} / W_{out} - \tfrac12

    Parameters
    ----------
    size : int or (H, W)
        One number (or a sequence of one) is the new length of the shorter side; the sides keep their ratio.
    interpolation : {"bilinear", "nearest"}
    antialias : bool
        Must be False: shrinking does not average over more than the neighbouring pixels.

    Shape
    -----
    Input : (..., H, W)
    Output : (..., size[0], size[1])

    Raises
    ------
    ArgumentError
        If the size is not positive, or the interpolation unknown.

    Examples
    --------
    >>> Resize((1, 4))(np.array([[[0.0, 1.0]]]))
    array([[[0.  , 0.25, 0.75, 1.  ]]])

    References
    ----------
    ``torchvision.transforms.Resize``, ``torch.nn.functional.interpolate``.
    """

    def __init__(self, size: Any, interpolation: str = "bilinear", antialias: bool = False) -> None:
        height, width = _size(size, "Resize")
        one = isinstance(size, (int, np.integer)) or len(size) == 1
        self.size: int | tuple[int, int] = height if one else (height, width)
        self.interpolation = _interpolation(interpolation, "Resize")
        if antialias:
            raise ArgumentError("Resize: antialias=True is not available; resize with antialias=False")

    def apply(self, image: np.ndarray) -> np.ndarray:
        old = image.shape[-2:]
        new: tuple[int, int]
        if isinstance(self.size, tuple):
            new = self.size
        elif old[0] <= old[1]:
            new = (self.size, int(self.size * old[1] / old[0]))
        else:
            new = (int(self.size * old[0] / old[1]), self.size)
        if self.interpolation == "nearest":
            rows, columns = (np.arange(n) * o // n for n, o in zip(new, old, strict=True))
            return image[..., rows[:, None], columns]  # (..., H', W')
        x = _to_float(image)
        lower, upper, weight = _between(old[0], new[0], x.dtype)
        x = x[..., lower, :] * (1 - weight[:, None]) + x[..., upper, :] * weight[:, None]  # (..., H', W)
        lower, upper, weight = _between(old[1], new[1], x.dtype)
        x = x[..., lower] * (1 - weight) + x[..., upper] * weight  # (..., H', W')
        return _from_float(x, image.dtype)


class CenterCrop(Transform):
    """Cut out the middle; an image that is too small is padded with zeros first.

    Parameters
    ----------
    size : int or (H, W)

    Shape
    -----
    Input : (..., H, W)
    Output : (..., size[0], size[1])

    Raises
    ------
    ArgumentError
        If the size is not positive.

    Examples
    --------
    >>> CenterCrop(1)(np.arange(9).reshape(1, 3, 3))
    array([[[4]]])

    References
    ----------
    ``torchvision.transforms.CenterCrop``.
    """

    def __init__(self, size: Any) -> None:
        self.size = _size(size, "CenterCrop")

    def apply(self, image: np.ndarray) -> np.ndarray:
        lack = [max(new - old, 0) for new, old in zip(self.size, image.shape[-2:], strict=True)]
        if any(lack):
            image = _pad(image, (lack[1] // 2, lack[0] // 2, (lack[1] + 1) // 2, (lack[0] + 1) // 2), 0, "constant")
        top, left = (round((old - new) / 2) for old, new in zip(image.shape[-2:], self.size, strict=True))
        return image[..., top : top + self.size[0], left : left + self.size[1]]  # (..., H', W')


class Pad(Transform):
    """Put a border around images.

    Parameters
    ----------
    padding : int, (left and right, top and bottom) or (left, top, right, bottom)
    fill : number
        The value of the border.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
        What the border shows: ``fill``, the outermost pixels, or the image mirrored (without or with them).

    Shape
    -----
    Input : (..., H, W)
    Output : (..., top + H + bottom, left + W + right)

    Raises
    ------
    ArgumentError
        If the padding is negative or has another number of entries, or the mode is unknown.

    Examples
    --------
    >>> Pad((1, 0), fill=7)(np.zeros((1, 1, 1)))
    array([[[7., 0., 7.]]])

    References
    ----------
    ``torchvision.transforms.Pad``.
    """

    def __init__(self, padding: Any, fill: float = 0, padding_mode: str = "constant") -> None:
        self.padding = _border(padding, "Pad")
        self.fill = fill
        self.padding_mode = _padding_mode(padding_mode, "Pad")

    def apply(self, image: np.ndarray) -> np.ndarray:
        return _pad(image, self.padding, self.fill, self.padding_mode)


class RandomCrop(Transform):
    """Cut out a part at a random place.

    Parameters
    ----------
    size : int or (H, W)
    padding : as for :class:`Pad`, optional
        A border to put around first.
    pad_if_needed : bool
        Whether to pad an image that is smaller than ``size``.
    fill, padding_mode : as for :class:`Pad`

    Shape
    -----
    Input : (..., H, W)
    Output : (..., size[0], size[1])

    Raises
    ------
    ShapeError
        If the image is smaller than ``size``.
    ArgumentError
        If an argument is out of range.

    Examples
    --------
    >>> RandomCrop(28, padding=4)(np.zeros((1, 28, 28))).shape
    (1, 28, 28)

    References
    ----------
    ``torchvision.transforms.RandomCrop``.
    """

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = _size(size, "RandomCrop")
        self.padding = None if padding is None else _border(padding, "RandomCrop")
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = _padding_mode(padding_mode, "RandomCrop")

    def apply(self, image: np.ndarray) -> np.ndarray:
        if self.padding is not None:
            image = _pad(image, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            below, right = (max(new - old, 0) for new, old in zip(self.size, image.shape[-2:], strict=True))
            image = _pad(image, (right, below, right, below), self.fill, self.padding_mode)
        room = [old - new for old, new in zip(image.shape[-2:], self.size, strict=True)]
        if min(room) < 0:
            raise ShapeError(
                f"RandomCrop: a crop of {self.size} does not fit into an image of {image.shape[-2:]}; crop less, or "
                "give padding= or pad_if_needed=True"
            )
        top, left = (int(generator().integers(r + 1)) for r in room)
        return image[..., top : top + self.size[0], left : left + self.size[1]]  # (..., H', W')


class RandomHorizontalFlip(Transform):
    """Mirror images left to right with a certain probability.

    Parameters
    ----------
    p : float
        The probability.

    Shape
    -----
    Input, output : (..., H, W)

    Raises
    ------
    ArgumentError
        If ``p`` is no probability.

    Examples
    --------
    >>> RandomHorizontalFlip(p=1)(np.array([[[1, 2]]]))
    array([[[2, 1]]])

    References
    ----------
    ``torchvision.transforms.RandomHorizontalFlip``.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError(f"RandomHorizontalFlip: p must be a probability from 0 to 1, got {p}")
        self.p = p

    def apply(self, image: np.ndarray) -> np.ndarray:
        return image[..., ::-1].copy() if generator().random() < self.p else image


class RandomRotation(Transform):
    r"""Rotate images about their centre by a random angle; positive angles turn counter-clockwise.

    .. math::
        x_{src} = \cos\theta\,(x - c_x) - \sin\theta\,(y - c_y) + c_x, \quad
        y_{src} = \sin\theta\,(x - c_x) + \cos\theta\,(y - c_y) + c_y

    Parameters
    ----------
    degrees : float or (float, float)
        The range of the angle; one number d means from -d to d.
    interpolation : {"nearest", "bilinear"}
    center : (x, y), optional
        The pixel to turn about, from the upper left corner; the middle if left out.
    fill : number
        What comes from outside of the image.

    Shape
    -----
    Input, output : (..., H, W)

    Raises
    ------
    ArgumentError
        If the range is upside down or the interpolation unknown.

    Examples
    --------
    >>> RandomRotation((90, 90))(np.array([[[1, 2], [3, 4]]]))
    array([[[2, 4], [1, 3]]])

    References
    ----------
    ``torchvision.transforms.RandomRotation``.
    """

    def __init__(self, degrees: Any, interpolation: str = "nearest", center: Any = None, fill: float = 0) -> None:
        if isinstance(degrees, (int, float)):
            if degrees < 0:
                raise ArgumentError(f"RandomRotation: one number of degrees must not be negative, got {degrees}")
            degrees = (-degrees, degrees)
        if len(degrees) != 2 or degrees[0] > degrees[1]:
            raise ArgumentError(f"RandomRotation: degrees must be one number or (lowest, highest), got {degrees}")
        self.degrees = tuple(float(d) for d in degrees)
        self.interpolation = _interpolation(interpolation, "RandomRotation")
        self.center = center
        self.fill = fill

    def apply(self, image: np.ndarray) -> np.ndarray:
        low, high = self.degrees
        return _rotate(image, float(generator().uniform(low, high)), self.interpolation, self.center, self.fill)


def _rotate(image: np.ndarray, degrees: float, interpolation: str, center: Any, fill: float) -> np.ndarray:
    height, width = image.shape[-2:]
    cx, cy = (width / 2, height / 2) if center is None else center
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x = np.arange(width) + 0.5 - cx  # (W,) pixels have their centres at halves
    y = (np.arange(height) + 0.5 - cy)[:, None]  # (H, 1)
    columns = cos * x - sin * y + cx - 0.5  # (H, W)
    rows = sin * x + cos * y + cy - 0.5
    # one pixel of border stands for everything outside
    framed = _pad(image, (1, 1, 1, 1), fill, "constant")

    def at(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return framed[..., np.clip(row, -1, height) + 1, np.clip(column, -1, width) + 1]  # (..., H, W)

    if interpolation == "nearest":
        # rounding the 15th digit off first makes quarter turns exact
        return at(*(np.rint(np.round(p, 9)).astype(np.int64) for p in (rows, columns)))
    framed = _to_float(framed)
    top, left = (np.floor(p).astype(np.int64) for p in (rows, columns))
    down, right = (rows - top).astype(framed.dtype), (columns - left).astype(framed.dtype)
    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return _from_float(upper * (1 - down) + lower * down, image.dtype)


def _between(old: int, new: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return between which two pixels of ``old`` each new one lies, and how near it is to the second, each (new,)."""
    place = np.maximum((np.arange(new) + 0.5) * (old / new) - 0.5, 0)
    lower = np.minimum(place.astype(np.int64), old - 1)
    return lower, np.minimum(lower + 1, old - 1), (place - lower).astype(dtype)


def _to_float(image: np.ndarray) -> np.ndarray:
    return image if image.dtype in (np.float32, np.float64) else image.astype(np.float32)


def _from_float(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        image = np.clip(np.rint(image), limits.min, limits.max)
    return image.astype(dtype, copy=False)


def _pad(image: np.ndarray, border: Sequence[int], fill: float, mode: str) -> np.ndarray:
    left, top, right, bottom = border
    widths = [(0, 0)] * (image.ndim - 2) + [(top, bottom), (left, right)]
    if mode == "constant":
        return np.pad(image, widths, constant_values=fill)
    return np.pad(image, widths, mode)  # type: ignore[call-overload]


def _size(size: Any, name: str) -> tuple[int, int]:
    sizes = (size, size) if isinstance(size, (int, np.integer)) else tuple(size)
    sizes = sizes * 2 if len(sizes) == 1 else sizes
    if len(sizes) != 2 or any(not isinstance(s, (int, np.integer)) or s <= 0 for s in sizes):
        raise ArgumentError(f"{name}: size must be a positive integer or (height, width), got {size!r}")
    return int(sizes[0]), int(sizes[1])


def _border(padding: Any, name: str) -> tuple[int, int, int, int]:
    sides = (padding,) if isinstance(padding, (int, np.integer)) else tuple(padding)
    sides = sides * (4 // len(sides)) if len(sides) in (1, 2) else sides
    if len(sides) != 4 or any(not isinstance(s, (int, np.integer)) or s < 0 for s in sides):
        raise ArgumentError(
            f"{name}: padding must be a number, (left and right, top and bottom) or (left, top, right, bottom), none "
            f"negative; got {padding!r}"
        )
    return sides


def _interpolation(mode: Any, name: str) -> str:
    if mode not in list(InterpolationMode):
        raise ArgumentError(f"{name}: interpolation must be 'nearest' or 'bilinear', got {mode!r}")
    return str(InterpolationMode(mode))


def _padding_mode(mode: str, name: str) -> str:
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ArgumentError(f"{name}: padding_mode must be 'constant', 'edge', 'reflect' or 'symmetric', got {mode!r}")
    return mode
