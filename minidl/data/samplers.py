"""Samplers: in which order a loader asks a dataset for its samples, and how it groups them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np

from minidl import backend
from minidl.autograd import Variable
from minidl.errors import ArgumentError, DataError, DTypeError

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


def as_generator(generator: Any, seed: int | None, name: str) -> np.random.Generator:
    """Return the generator to draw from: the one given, a new one with ``seed``, or else minidl's own.

    Raises
    ------
    ArgumentError
        If both are given.
    DTypeError
        If ``generator`` is no generator.
    """
    if generator is not None and seed is not None:
        raise ArgumentError(f"{name}: generator= and seed= both say where random numbers come from; give one of them")
    if seed is not None:
        return np.random.default_rng(seed)
    if generator is None:
        return backend.generator()
    if not isinstance(generator, np.random.Generator):
        raise DTypeError(
            f"{name}: generator= must be a minidl.Generator (or NumPy's), got {type(generator).__name__}; "
            "for a number write seed="
        )
    return generator


def positive(value: Any, what: str) -> int:
    """Return ``value`` if it is an integer above 0.

    Raises
    ------
    ArgumentError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ArgumentError(f"{what} must be a positive integer, got {value!r}")
    return int(value)


class Sampler:
    """The base of a sampler: iterating over it gives the indices of samples, in the order they are to be loaded.

    A subclass writes ``__iter__()``, and ``__len__()`` if the loader is to have a length.

    Examples
    --------
    >>> class Backwards(Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    >>> list(Backwards())
    [2, 1, 0]

    References
    ----------
    ``torch.utils.data.Sampler``.
    """

    def __iter__(self) -> Iterator[Any]:
        raise DataError(f"{type(self).__name__}: a sampler must define __iter__(), which yields indices of samples")


class SequentialSampler(Sampler):
    """All samples, in the dataset's order.

    Parameters
    ----------
    data_source : sized
        The dataset, of which only the length is used.

    Examples
    --------
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]

    References
    ----------
    ``torch.utils.data.SequentialSampler``.
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """All samples, in a new random order each time; or as many as wanted.

    Parameters
    ----------
    data_source : sized
        The dataset, of which only the length is used.
    replacement : bool
        Whether each draw is from all samples, so that one may come twice.
    num_samples : int, optional
        How many to draw: the length of the dataset if left out. Without replacement, a number above that
        goes through the dataset again, in another order.
    generator : numpy.random.Generator, optional
        Without it, :func:`minidl.manual_seed` decides.

    Raises
    ------
    DataError
        If the dataset is empty.
    ArgumentError
        If ``num_samples`` is not a positive integer.

    Examples
    --------
    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]

    References
    ----------
    ``torch.utils.data.RandomSampler``.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        if num_samples is not None:
            positive(num_samples, "RandomSampler: num_samples")
        if not len(data_source):
            raise DataError("RandomSampler: the dataset is empty, there is nothing to draw from")
        if generator is not None:
            as_generator(generator, None, "RandomSampler")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many samples are drawn."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        rng = as_generator(self.generator, None, "RandomSampler")
        size, wanted = len(self.data_source), self.num_samples
        if self.replacement:
            yield from rng.integers(size, size=wanted).tolist()
            return
        for start in range(0, wanted, size):
            yield from rng.permutation(size)[: wanted - start].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The samples named, in a new random order each time.

    Parameters
    ----------
    indices : sequence of int
    generator : numpy.random.Generator, optional
        Without it, :func:`minidl.manual_seed` decides.

    Examples
    --------
    >>> sorted(SubsetRandomSampler([4, 2]))
    [2, 4]

    References
    ----------
    ``torch.utils.data.SubsetRandomSampler``.
    """

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        if generator is not None:
            as_generator(generator, None, "SubsetRandomSampler")
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = as_generator(self.generator, None, "SubsetRandomSampler").permutation(len(self.indices))
        return (self.indices[i] for i in order.tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    r"""Samples drawn with the probabilities that their weights give: rare classes can be shown as often as common ones.

    .. math:: P(i) = w_i / \sum_j w_j

    Parameters
    ----------
    weights : sequence of float (N,)
        Not negative; they need not add up to 1.
    num_samples : int
        How many to draw.
    replacement : bool
        Whether a sample may be drawn twice.
    generator : numpy.random.Generator, optional
        Without it, :func:`minidl.manual_seed` decides.

    Raises
    ------
    ArgumentError
        If a weight is negative or not finite, all are zero, or more samples are wanted without replacement than have
        a weight above zero.

    Examples
    --------
    >>> list(WeightedRandomSampler([0.0, 1.0, 0.0], num_samples=3))
    [1, 1, 1]

    References
    ----------
    ``torch.utils.data.WeightedRandomSampler``.
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: Any = None) -> None:
        positive(num_samples, "WeightedRandomSampler: num_samples")
        if generator is not None:
            as_generator(generator, None, "WeightedRandomSampler")
        array = weights.array if isinstance(weights, Variable) else np.asarray(weights)
        self.weights = backend.to_numpy(array).astype(np.float64)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ArgumentError("WeightedRandomSampler: weights must be one row of finite numbers, none below 0")
        if not self.weights.any():
            raise ArgumentError("WeightedRandomSampler: all weights are zero, nothing can be drawn")
        possible = int(np.count_nonzero(self.weights))
        if not replacement and num_samples > possible:
            raise ArgumentError(
                f"WeightedRandomSampler: {num_samples} samples without replacement out of {possible} with a weight "
                "above 0; draw fewer, or with replacement=True"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        rng = as_generator(self.generator, None, "WeightedRandomSampler")
        p = self.weights / self.weights.sum()
        return iter(rng.choice(len(p), self.num_samples, self.replacement, p).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """The indices that another sampler gives, in lists of ``batch_size``.

    Parameters
    ----------
    sampler : iterable of int
    batch_size : int
    drop_last : bool
        Whether to leave out a last batch that is not full.

    Raises
    ------
    ArgumentError
        If ``batch_size`` is not a positive integer.

    Examples
    --------
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]

    References
    ----------
    ``torch.utils.data.BatchSampler``.
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = positive(batch_size, "BatchSampler: batch_size")
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        return batches(len(self.sampler), self.batch_size, self.drop_last)  # type: ignore[arg-type]


def batches(samples: int, batch_size: int, drop_last: bool) -> int:
    """Return how many batches a number of samples makes."""
    return samples // batch_size if drop_last else math.ceil(samples / batch_size)
