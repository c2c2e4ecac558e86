"""Data sets that come with minidl, and small ones that are made up on the spot.

Each function returns an :class:`ArrayDataset`, with ``.data``, ``.targets`` and ``.classes``. Nothing is read before
a function is called, and nothing is downloaded unless it is told to.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import default_dtype
from minidl.data.dataset import ArrayDataset
from minidl.data.idx import download_mnist, read_mnist
from minidl.data.samplers import as_generator, positive
from minidl.errors import ArgumentError

__all__ = ["blobs", "circles", "iris", "mnist", "moons", "spirals"]

_TRAIN = 8000  # of the 10,000 digits that are bundled


def mnist(
    split: str = "train",
    full: bool = False,
    download: bool = False,
    root: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    transform: Callable[[Any], Any] | None = None,
    target_transform: Callable[[Any], Any] | None = None,
) -> ArrayDataset:
    """Return handwritten digits: by default **a subset of MNIST**, 8,000 to train with and 2,000 to test with.

    The subset comes with minidl and is called ``mnist-10k-subset``. Accuracies on it are not comparable with published
    ones: those take the full set, 60,000 and 10,000 digits, which is had with ``full=True`` from its four files, or
    with ``download=True`` from the network.

    Parameters
    ----------
    split : {"train", "test"}
    full : bool
        Whether to read the full set from the files in ``root``.
    download : bool
        Whether to download those of the four files (12 MB) that are missing. Implies ``full``.
    root : path, optional
        The folder of the files (IDX format, gzipped or not). The environment variable ``MINIDL_DATA`` if left out, or
        else ``~/.cache/minidl/mnist``. Implies ``full``.
    normalize : bool
        Whether to give floats from 0 to 1; otherwise uint8 from 0 to 255.
    transform, target_transform : callable, optional
        Applied to each sample's image, a Tensor (1, 28, 28), and label.

    Returns
    -------
    ArrayDataset
        ``data`` (N, 1, 28, 28), ``targets`` (N,) int64.

    Raises
    ------
    ArgumentError
        If the split is unknown.
    DataError
        If a file is missing or can't be downloaded.
    FormatError
        If a file is damaged.

    Examples
    --------
    >>> mnist("test")
    ArrayDataset('mnist-10k-subset': 2000 samples of shape (1, 28, 28), float32; 10 classes)

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits". ``torchvision.datasets.MNIST``.
    """
    if split not in ("train", "test"):
        raise ArgumentError(f"mnist: split must be 'train' or 'test', got {split!r}")
    if full or download or root is not None:
        folder = Path(root or os.environ.get("MINIDL_DATA") or Path.home() / ".cache" / "minidl" / "mnist")
        if download:
            download_mnist(folder)
        images, labels = read_mnist(folder, split)
        name = "mnist"
    else:
        with (files("minidl.data") / "files" / "mnist10k.npz").open("rb") as file:
            content = np.load(file, allow_pickle=False)
            part = slice(None, _TRAIN) if split == "train" else slice(_TRAIN, None)
            images, labels = content["images"][part], content["labels"][part]
        name = "mnist-10k-subset"
    images = images[:, None]  # (N, 1, 28, 28)
    if normalize:
        images = np.divide(images, 255, dtype=default_dtype())
    digits = [str(digit) for digit in range(10)]
    return ArrayDataset(images, labels.astype(np.int64), digits, name, transform, target_transform)


def iris() -> ArrayDataset:
    """Return Fisher's irises: 150 flowers of three species, four lengths each.

    Returns
    -------
    ArrayDataset
        ``data`` (150, 4): length and width of sepal and petal, in cm; ``targets`` (150,) int64, in the order of
        the species.

    Examples
    --------
    >>> iris().classes
    ('setosa', 'versicolor', 'virginica')

    References
    ----------
    R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7 (1936).
    ``sklearn.datasets.load_iris``.
    """
    with (files("minidl.data") / "files" / "iris.csv").open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    species = sorted({row[-1] for row in rows})
    data = np.array([row[:-1] for row in rows], default_dtype())  # (150, 4)
    return ArrayDataset(data, [species.index(row[-1]) for row in rows], species, "iris")


def spirals(n: int = 300, classes: int = 3, noise: float = 0.2, seed: int | None = None) -> ArrayDataset:
    r"""Return points on spiral arms, one arm a class: no straight line separates them.

    .. math:: x = r\,(\sin\varphi, \cos\varphi), \quad \varphi = 4 r + 2 \pi k / K + \sigma\varepsilon,
        \quad r \in [0, 1]

    Parameters
    ----------
    n : int
        Points in all.
    classes : int
        The number of arms, K.
    noise : float
        The standard deviation of the angle, in radians.
    seed : int, optional
        Without it, :func:`minidl.manual_seed` decides.

    Returns
    -------
    ArrayDataset
        ``data`` (n, 2), ``targets`` (n,) int64, in random order.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the noise negative.

    Examples
    --------
    >>> spirals(6, classes=2, seed=0).data.shape
    (6, 2)

    References
    ----------
    A. Karpathy, CS231n, "Putting it together: minimal neural network case study".
    """
    rng, labels = _start("spirals", n, classes, noise, seed)
    radius = np.empty(n)
    for k in range(classes):
        radius[labels == k] = np.linspace(0, 1, np.count_nonzero(labels == k))
    angle = 4 * radius + 2 * np.pi * labels / classes + noise * rng.standard_normal(n)
    points = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)  # (n, 2)
    return _finish("spirals", points, labels, [f"arm {k}" for k in range(classes)], rng)


def blobs(
    n: int = 300,
    classes: int = 3,
    features: int = 2,
    spread: float = 1.0,
    centers: Any = None,
    seed: int | None = None,
) -> ArrayDataset:
    r"""Return points in clouds, one cloud a class.

    .. math:: x = c_k + \sigma\varepsilon

    Parameters
    ----------
    n : int
        Points in all.
    classes : int
        The number of clouds.
    features : int
        The number of coordinates, D.
    spread : float
        The standard deviation of a cloud.
    centers : array (classes, features), optional
        Where the clouds are; by default drawn evenly from -10 to 10. Sets ``classes`` and ``features``.
    seed : int, optional
        Without it, :func:`minidl.manual_seed` decides.

    Returns
    -------
    ArrayDataset
        ``data`` (n, features), ``targets`` (n,) int64, in random order.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the spread negative.

    Examples
    --------
    >>> blobs(4, centers=[[0.0, 0.0], [5.0, 5.0]], spread=0, seed=0).data.sum()
    tensor(20.)

    References
    ----------
    ``sklearn.datasets.make_blobs``.
    """
    if centers is not None:
        centers = np.asarray(centers, np.float64)
        if centers.ndim != 2:
            raise ArgumentError(f"blobs: centers must be (classes, features), got shape {centers.shape}")
        classes, features = centers.shape
    rng, labels = _start("blobs", n, classes, spread, seed)
    positive(features, "blobs: features")
    if centers is None:
        centers = rng.uniform(-10, 10, (classes, features))  # (classes, D)
    points = centers[labels] + spread * rng.standard_normal((n, features))  # (n, D)
    return _finish("blobs", points, labels, [f"blob {k}" for k in range(classes)], rng)


def moons(n: int = 200, noise: float = 0.1, seed: int | None = None) -> ArrayDataset:
    r"""Return points on two half circles that interlock.

    .. math:: x_0 = (\cos\varphi, \sin\varphi), \quad x_1 = (1 - \cos\varphi, \tfrac12 - \sin\varphi),
        \quad \varphi \in [0, \pi]

    Parameters
    ----------
    n : int
        Points in all.
    noise : float
        The standard deviation of what is added to each coordinate.
    seed : int, optional
        Without it, :func:`minidl.manual_seed` decides.

    Returns
    -------
    ArrayDataset
        ``data`` (n, 2), ``targets`` (n,) int64, in random order.

    Raises
    ------
    ArgumentError
        If ``n`` is not positive, or the noise negative.

    Examples
    --------
    >>> moons(10, seed=0).targets.sum()
    tensor(5)

    References
    ----------
    ``sklearn.datasets.make_moons``.
    """
    rng, labels = _start("moons", n, 2, noise, seed)
    angle = np.empty(n)
    for k in (0, 1):
        angle[labels == k] = np.linspace(0, np.pi, np.count_nonzero(labels == k))
    sign = 1 - 2 * labels
    points = np.stack([labels + sign * np.cos(angle), labels / 2 + sign * np.sin(angle)], 1)  # (n, 2)
    return _finish("moons", points + noise * rng.standard_normal((n, 2)), labels, ["upper", "lower"], rng)


def circles(n: int = 200, noise: float = 0.05, factor: float = 0.5, seed: int | None = None) -> ArrayDataset:
    r"""Return points on a circle and on a smaller one inside it.

    .. math:: x_0 = (\cos\varphi, \sin\varphi), \quad x_1 = f\,(\cos\varphi, \sin\varphi)

    Parameters
    ----------
    n : int
        Points in all.
    noise : float
        The standard deviation of what is added to each coordinate.
    factor : float
        The radius of the inner circle, f, from 0 to 1.
    seed : int, optional
        Without it, :func:`minidl.manual_seed` decides.

    Returns
    -------
    ArrayDataset
        ``data`` (n, 2), ``targets`` (n,) int64, in random order.

    Raises
    ------
    ArgumentError
        If ``n`` is not positive, the noise negative, or the factor out of range.

    Examples
    --------
    >>> circles(10, seed=0).classes
    ('outer', 'inner')

    References
    ----------
    ``sklearn.datasets.make_circles``.
    """
    rng, labels = _start("circles", n, 2, noise, seed)
    if not 0 <= factor < 1:
        raise ArgumentError(f"circles: factor must be from 0 to below 1, got {factor}")
    angle = np.empty(n)
    for k in (0, 1):
        angle[labels == k] = np.linspace(0, 2 * np.pi, np.count_nonzero(labels == k), endpoint=False)
    radius = np.where(labels == 0, 1.0, factor)[:, None]
    points = radius * np.stack([np.cos(angle), np.sin(angle)], 1)  # (n, 2)
    return _finish("circles", points + noise * rng.standard_normal((n, 2)), labels, ["outer", "inner"], rng)


def _start(name: str, n: int, classes: int, noise: float, seed: int | None) -> tuple[np.random.Generator, np.ndarray]:
    """Check what all made-up data sets take; return the generator and labels (n,) as equal in number as can be."""
    positive(n, f"{name}: n")
    positive(classes, f"{name}: classes")
    if not noise >= 0:
        raise ArgumentError(f"{name}: noise must not be negative, got {noise}")
    return as_generator(None, seed, name), np.arange(n) % classes


def _finish(
    name: str, points: np.ndarray, labels: np.ndarray, classes: Sequence[str], rng: np.random.Generator
) -> ArrayDataset:
    order = rng.permutation(len(labels))
    return ArrayDataset(points[order].astype(default_dtype()), labels[order], classes, name)
