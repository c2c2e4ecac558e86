"""Handwritten digits, in Keras's form."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data.datasets import mnist
from minidl.errors import DataError, FormatError

__all__ = ["load_data"]

_DEFAULT = "mnist.npz"

Pairs = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_data(path: str | os.PathLike[str] = _DEFAULT) -> Pairs:
    """Return handwritten digits: by default **a subset of MNIST**, 8,000 to train with and 2,000 to test with.

    The subset comes with minidl. The full set, 60,000 and 10,000 digits, is read where it is found on disk: at
    ``path``, or in the folder that the environment variable ``MINIDL_DATA`` names. Nothing is downloaded.

    Parameters
    ----------
    path : path
        Keras's ``mnist.npz``, or a folder that has it or the four files of MNIST (IDX format, gzipped or not).

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        NumPy arrays: images (N, 28, 28) uint8 from 0 to 255, labels (N,) uint8 from 0 to 9.

    Raises
    ------
    DataError
        If there is nothing at a ``path`` that was given.
    FormatError
        If a file is damaged.

    Examples
    --------
    >>> from minidl import keras
    >>> (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    >>> x_train.shape[1:], x_test.dtype
    ((28, 28), dtype('uint8'))

    References
    ----------
    ``keras.datasets.mnist.load_data``. Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten
    digits".
    """
    folder = os.environ.get("MINIDL_DATA")
    for place in (Path(path), *([Path(folder) / path, Path(folder)] if folder else [])):
        if place.is_file():
            return _read_npz(place)
        if place.is_dir() and (place / _DEFAULT).is_file():
            return _read_npz(place / _DEFAULT)
        if place.is_dir() and any(place.glob("train-images*")):
            return _pairs(root=place)
    if os.fspath(path) != _DEFAULT:
        raise DataError(f"mnist.load_data: there is no {_DEFAULT} and no file of MNIST at {path}")
    return _pairs()


def _pairs(**where: Any) -> Pairs:
    train, test = (mnist(split, normalize=False, **where) for split in ("train", "test"))
    return _pair(train), _pair(test)


def _pair(digits: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(digits.data)[:, 0], np.asarray(digits.targets).astype(np.uint8)


def _read_npz(file: Path) -> Pairs:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
            x_train, y_train, x_test, y_test = (content[f"{a}_{b}"] for b in ("train", "test") for a in "xy")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise FormatError(f"mnist.load_data: {file} is not Keras's mnist.npz, or is damaged: {error}") from error
    for images, labels in ((x_train, y_train), (x_test, y_test)):
        if images.shape != (len(labels), 28, 28) or labels.ndim != 1:
            raise FormatError(
                f"mnist.load_data: {file} holds images {images.shape} with labels {labels.shape}, not (N, 28, 28) and "
                "(N,)"
            )
    return (x_train, y_train), (x_test, y_test)
