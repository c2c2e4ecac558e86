"""Datasets: where samples come from, and how datasets are cut and joined."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from minidl._tensor import Tensor
from minidl.autograd import wrap
from minidl.backend import namespace
from minidl.data.samplers import as_generator
from minidl.errors import ArgumentError, DataError, DTypeError, RangeError, ShapeError
from minidl.ops.creation import as_array

__all__ = ["ArrayDataset", "ConcatDataset", "Dataset", "IterableDataset", "Subset", "TensorDataset", "random_split"]


class Dataset:
    """The base of a dataset with samples that are counted and numbered.

    A subclass writes ``__getitem__(index)`` and ``__len__()``. Datasets add up: ``a + b`` is ``ConcatDataset([a, b])``.

    Raises
    ------
    DataError
        If a subclass has not written ``__getitem__``.

    Examples
    --------
    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index, index**2
    ...     def __len__(self):
    ...         return 10
    >>> Squares()[3]
    (3, 9)

    References
    ----------
    ``torch.utils.data.Dataset``.
    """

    def __getitem__(self, index: int) -> Any:
        raise DataError(f"{type(self).__name__}: a dataset must define __getitem__(index), which returns one sample")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])

    def gatherer(self) -> Callable[[np.ndarray], Any] | None:
        """Return a function from indices to a collated batch, or None if samples must be fetched one by one."""
        return None


class IterableDataset(Dataset):
    """The base of a dataset that is a stream: samples come in the order the stream has them.

    A subclass writes ``__iter__()``. It has no length unless it defines ``__len__()``.

    Raises
    ------
    DataError
        If a subclass has not written ``__iter__``.

    Examples
    --------
    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         yield from (3, 2, 1)
    >>> list(Countdown())
    [3, 2, 1]

    References
    ----------
    ``torch.utils.data.IterableDataset``.
    """

    def __iter__(self) -> Iterator[Any]:
        raise DataError(f"{type(self).__name__}: an iterable dataset must define __iter__(), which yields the samples")

    def __getitem__(self, index: int) -> Any:
        raise DTypeError(f"{type(self).__name__}: an iterable dataset has no sample [{index}]; iterate over it")


class TensorDataset(Dataset):
    """Tensors that hold one sample a row: sample ``i`` is ``(tensors[0][i], tensors[1][i], ...)``.

    A :class:`DataLoader` takes a whole batch of rows from it with one index.

    Parameters
    ----------
    *tensors : Tensor or array, each (N, ...)

    Raises
    ------
    ShapeError
        If the first sizes differ, or a tensor has no first axis.
    ArgumentError
        If no tensor is given.

    Examples
    --------
    >>> dataset = TensorDataset([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    >>> len(dataset), dataset[1]
    (2, (tensor([3., 4.]), tensor(1)))

    References
    ----------
    ``torch.utils.data.TensorDataset``.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset: expected at least one tensor")
        arrays = [as_array(x, copy=False) for x in tensors]
        if len({x.shape[:1] for x in arrays}) > 1 or arrays[0].ndim == 0:
            shapes = ", ".join(str(x.shape) for x in arrays)
            raise ShapeError(
                f"{type(self).__name__}: tensors of shapes {shapes}; all need the same first size, the number of "
                "samples (one row a sample)"
            )
        self.tensors: tuple[Tensor, ...] = tuple(
            x if isinstance(x, Tensor) else wrap(array) for x, array in zip(tensors, arrays, strict=True)
        )

    def __len__(self) -> int:
        return self.tensors[0].array.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)) and not -len(self) <= index < len(self):
            raise RangeError(f"{type(self).__name__}: there is no sample {index} among {len(self)}")
        return tuple(wrap(x.array[index, ...]) for x in self.tensors)

    def gatherer(self) -> Callable[[np.ndarray], Any] | None:
        # a subclass that makes its samples differently must be asked for each
        return self._gather if type(self).__getitem__ is TensorDataset.__getitem__ else None

    def _gather(self, indices: np.ndarray) -> list[Tensor]:
        _check_indices(indices, self)
        return [wrap(x.array.take(namespace(x.array).asarray(indices), axis=0)) for x in self.tensors]


class ArrayDataset(TensorDataset):
    """Inputs and targets with the names of the classes: what every function of :mod:`minidl.datasets` returns.

    Parameters
    ----------
    data : Tensor or array (N, ...)
    targets : Tensor or array (N, ...)
    classes : sequence of str
        The name of each class, in the order of the labels.
    name : str
    transform, target_transform : callable, optional
        What to make of one sample's input (a Tensor) and target; called each time that a sample is asked for.

    Attributes
    ----------
    data, targets : Tensor
    classes : tuple of str

    Raises
    ------
    ShapeError
        If ``data`` and ``targets`` do not have the same first size.

    Examples
    --------
    >>> ArrayDataset([[1.0], [2.0]], [0, 1], classes=["low", "high"], name="levels")
    ArrayDataset('levels': 2 samples of shape (1,), float32; 2 classes)
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        classes: Sequence[str] = (),
        name: str = "data",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(data, targets)
        self.classes = tuple(classes)
        self.name = name
        self.transform = transform
        self.target_transform = target_transform

    @property
    def data(self) -> Tensor:
        """The inputs, (N, ...)."""
        return self.tensors[0]

    @property
    def targets(self) -> Tensor:
        """The targets, (N, ...)."""
        return self.tensors[1]

    def __getitem__(self, index: Any) -> Any:
        data, target = super().__getitem__(index)
        if self.transform is not None:
            data = self.transform(data)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return data, target

    def gatherer(self) -> Callable[[np.ndarray], Any] | None:
        plain = self.transform is None and self.target_transform is None
        return self._gather if plain and type(self).__getitem__ is ArrayDataset.__getitem__ else None

    def __repr__(self) -> str:
        classes = f"; {len(self.classes)} classes" if self.classes else ""
        return (
            f"{type(self).__name__}({self.name!r}: {len(self)} samples of shape {self.data.shape[1:]}, "
            f"{self.data.dtype}{classes})"
        )


class Subset(Dataset):
    """Some samples of a dataset, in an order of their own.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        Which samples, by their number in ``dataset``.

    Raises
    ------
    RangeError
        When a sample is asked for that the subset or the dataset does not have.

    Examples
    --------
    >>> Subset(TensorDataset([10, 20, 30]), [2, 0])[0]
    (tensor(30),)

    References
    ----------
    ``torch.utils.data.Subset``.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise RangeError(f"Subset: there is no sample {index} among {len(self)}")
        return self.dataset[self.indices[index]]

    def gatherer(self) -> Callable[[np.ndarray], Any] | None:
        inner = self.dataset.gatherer() if isinstance(self.dataset, Dataset) else None
        if inner is None or type(self).__getitem__ is not Subset.__getitem__:
            return None
        rows = np.asarray(self.indices, np.int64)

        def gather(indices: np.ndarray) -> Any:
            _check_indices(indices, self)
            return inner(rows[indices])

        return gather


class ConcatDataset(Dataset):
    """Datasets one after the other.

    Parameters
    ----------
    datasets : iterable of Dataset

    Raises
    ------
    ArgumentError
        If there is no dataset, or one is a stream (:class:`IterableDataset`).
    RangeError
        When a sample is asked for that is not there.

    Examples
    --------
    >>> both = ConcatDataset([TensorDataset([1, 2]), TensorDataset([3])])
    >>> len(both), both[2]
    (3, (tensor(3),))

    References
    ----------
    ``torch.utils.data.ConcatDataset``.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: expected at least one dataset, got none")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise ArgumentError(
                "ConcatDataset: an IterableDataset has no numbered samples; chain the iterators instead"
            )
        self.ends = list(accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise RangeError(f"ConcatDataset: there is no sample {index} among {len(self)}")
        index %= len(self)
        which = bisect_right(self.ends, index)
        return self.datasets[which][index - (self.ends[which - 1] if which else 0)]


def _check_indices(indices: np.ndarray, dataset: Any) -> None:
    size = len(dataset)
    if indices.size and not (-size <= indices.min() and indices.max() < size):
        wrong = indices[(indices < -size) | (indices >= size)][0]
        raise RangeError(f"{type(dataset).__name__}: there is no sample {wrong} among {size}")


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Any = None, seed: int | None = None
) -> list[Subset]:
    """Cut a dataset at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int, or of float
        The number of samples in each part; or fractions that add up to 1, where what rounding leaves over is dealt out
        to the parts in turn.
    generator : numpy.random.Generator, optional
    seed : int, optional
        Without either, :func:`minidl.manual_seed` decides.

    Returns
    -------
    list of Subset, one for each length

    Raises
    ------
    ArgumentError
        If the lengths do not add up to that of the dataset (or to 1).

    Examples
    --------
    >>> train, test = random_split(TensorDataset(range(10)), [0.8, 0.2], seed=0)
    >>> len(train), len(test)
    (8, 2)

    References
    ----------
    ``torch.utils.data.random_split``.
    """
    total, given = len(dataset), list(lengths)
    if any(length < 0 for length in given):
        raise ArgumentError(f"random_split: lengths must not be negative, got {given}")
    if math.isclose(sum(given), 1):
        counts = [math.floor(total * fraction + 1e-9) for fraction in given]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    elif sum(given) == total and all(isinstance(length, (int, np.integer)) for length in given):
        counts = [int(length) for length in given]
    else:
        raise ArgumentError(
            f"random_split: the lengths {given} add up to {sum(given):g}, but the dataset has {total} samples; "
            "give whole numbers that add up to it, or fractions that add up to 1"
        )
    order = as_generator(generator, seed, "random_split").permutation(total).tolist()
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, accumulate(counts), strict=True)]
