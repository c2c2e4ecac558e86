"""The DataLoader: batches of a dataset, shuffled and loaded ahead by threads if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import count, islice
from typing import Any

import numpy as np

from minidl.backend import default_device, is_gpu_available, own_generator
from minidl.data.collate import default_collate, default_convert, pin
from minidl.data.dataset import Dataset, IterableDataset
from minidl.data.samplers import BatchSampler, RandomSampler, SequentialSampler, as_generator, batches, positive
from minidl.data.workers import ordered
from minidl.errors import ArgumentError, DataError, DTypeError

__all__ = ["DataLoader"]

_END = object()  # what a stream gives when it has ended


class DataLoader:
    """Batches of a dataset, anew each time it is iterated over.

    The batches, their order and the random numbers that the dataset's transforms draw are the same for any number of
    workers. Which they are is decided by :func:`minidl.manual_seed`, or by ``seed`` or ``generator`` alone if given;
    each pass over the loader shuffles differently.

    Parameters
    ----------
    dataset : Dataset, or anything with ``__getitem__`` and ``__len__``
        An :class:`IterableDataset` is read in its own order, with workers by one thread that reads ahead.
    batch_size : int or None
        Samples in a batch. None gives the samples one by one, without a batch axis.
    shuffle : bool
        Whether to load the samples in a new random order each time.
    sampler : iterable of int, optional
        Which samples to load, in its order.
    batch_sampler : iterable of lists of int, optional
        Which samples to load together.
    num_workers : int
        Threads that load ahead of the loop; 0 loads each batch when it is asked for.
    collate_fn : callable, optional
        Makes a batch of a list of samples; :func:`default_collate` if left out.
    pin_memory : bool
        Whether batches on the CPU are put into memory from which a GPU copies by itself, so that
        ``x.to("gpu", non_blocking=True)`` returns at once. Without a GPU, no effect.
    drop_last : bool
        Whether to leave out a last batch that is not full.
    timeout : float
        Seconds to wait for a worker's batch; 0 waits for as long as it takes.
    generator : numpy.random.Generator, optional
        What to shuffle with.
    seed : int, optional
        Seeds a generator of the loader's own.
    prefetch_factor : int
        How many batches are loaded ahead for each worker.
    persistent_workers : bool
        Accepted for PyTorch's sake; without effect, since threads start at once.

    Raises
    ------
    ArgumentError
        If a number is out of range, or arguments exclude each other.
    DataError
        If there is no batch to load (an empty dataset, or fewer samples than ``batch_size`` with ``drop_last``), or a
        worker ran into ``timeout``.
    ShapeError
        If samples of different shapes meet in a batch. Like whatever the dataset raises, it says which samples.

    Examples
    --------
    >>> from minidl.data import TensorDataset
    >>> loader = DataLoader(TensorDataset([[1.0], [2.0], [3.0]], [0, 1, 0]), batch_size=2)
    >>> for x, y in loader:
    ...     print(x.shape, y)
    (2, 1) tensor([0, 1])
    (1, 1) tensor([0])
    >>> len(loader)
    2

    References
    ----------
    ``torch.utils.data.DataLoader``.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        *,
        generator: np.random.Generator | None = None,
        seed: int | None = None,
        prefetch_factor: int | None = 2,
        persistent_workers: bool = False,
    ) -> None:
        if isinstance(num_workers, bool) or not isinstance(num_workers, (int, np.integer)) or num_workers < 0:
            raise ArgumentError(f"DataLoader: num_workers must be an integer, 0 or above, got {num_workers!r}")
        if timeout < 0:
            raise ArgumentError(f"DataLoader: timeout must be 0 (wait) or above, in seconds, got {timeout!r}")
        if batch_size is not None:
            positive(batch_size, "DataLoader: batch_size")
        self.generator = None if generator is None and seed is None else as_generator(generator, seed, "DataLoader")
        self.dataset = dataset
        self.streams = isinstance(dataset, IterableDataset)
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.prefetch_factor = positive(
            2 if prefetch_factor is None else prefetch_factor, "DataLoader: prefetch_factor"
        )
        self.persistent_workers = persistent_workers
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._check_exclusive(shuffle, sampler, batch_sampler)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        if batch_sampler is not None:
            self.batch_size = None
        elif not self.streams:
            self.sampler = sampler = self._default_sampler(shuffle) if sampler is None else sampler
            if batch_size is not None:
                self.batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        if not self.streams:
            self._check_not_empty()

    def _check_exclusive(self, shuffle: bool, sampler: Any, batch_sampler: Any) -> None:
        if self.streams and (shuffle or sampler is not None or batch_sampler is not None):
            raise ArgumentError(
                "DataLoader: an IterableDataset comes in its own order; shuffle, sampler and batch_sampler need a "
                "dataset with numbered samples (shuffle in its __iter__ instead)"
            )
        if sampler is not None and shuffle:
            raise ArgumentError("DataLoader: shuffle=True and sampler= both set the order; give one of them")
        if batch_sampler is not None and (shuffle or sampler is not None or self.drop_last or self.batch_size != 1):
            raise ArgumentError(
                "DataLoader: batch_sampler= sets order and batches by itself; give no batch_size, shuffle, sampler or "
                "drop_last with it"
            )
        if self.batch_size is None and self.drop_last:
            raise ArgumentError("DataLoader: drop_last=True needs a batch_size")

    def _default_sampler(self, shuffle: bool) -> Iterable[int]:
        if not hasattr(self.dataset, "__len__") or not hasattr(self.dataset, "__getitem__"):
            raise DTypeError(
                f"DataLoader: {type(self.dataset).__name__} is no dataset: expected __getitem__ and __len__, or an "
                "IterableDataset"
            )
        if len(self.dataset) == 0:
            raise DataError(
                f"DataLoader: the dataset ({type(self.dataset).__name__}) is empty, there is nothing to load"
            )
        return RandomSampler(self.dataset, generator=self.generator) if shuffle else SequentialSampler(self.dataset)

    def _check_not_empty(self) -> None:
        try:
            number = len(self)
        except TypeError:  # a sampler may not know its length
            return
        if number == 0 and self.drop_last:
            raise DataError(
                f"DataLoader: an empty loader: {len(self.sampler)} samples make no batch of {self.batch_size}, and "  # type: ignore[arg-type]
                "drop_last=True leaves out what is less; lower batch_size or keep the last batch"
            )
        if number == 0:
            raise DataError("DataLoader: an empty loader: the sampler gives no samples")

    def __len__(self) -> int:
        """Return the number of batches."""
        if not self.streams:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        samples = len(self.dataset)
        return samples if self.batch_size is None else batches(samples, self.batch_size, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        # every batch gets a generator of its own, so that no number of workers changes what is drawn
        entropy = int(as_generator(self.generator, None, "DataLoader").integers(2**63))
        if self.streams:
            samples = enumerate(iter(self.dataset))
            return self._run(lambda number: self._next(samples, entropy, number), count(), min(self.num_workers, 1))
        gather = self.dataset.gatherer() if isinstance(self.dataset, Dataset) else None
        if gather is not None and self.batch_sampler is not None and self.collate_fn in (None, default_collate):
            return self._run(lambda job: gather(np.asarray(job, np.int64)), self.batch_sampler, self.num_workers)
        jobs = enumerate(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        return self._run(lambda job: self._fetch(job[1], entropy, job[0]), jobs, self.num_workers)

    def _run(self, make: Callable[[Any], Any], jobs: Iterable[Any], workers: int) -> Iterator[Any]:
        place = default_device()  # of the thread that asks: workers are to make batches there, too
        wants_pinned = self.pin_memory and is_gpu_available()

        def call(job: Any) -> Any:
            with place:
                batch = make(job)
                return pin(batch) if wants_pinned and batch is not _END else batch

        if workers:
            made = ordered(call, iter(jobs), workers, self.prefetch_factor * self.num_workers, self.timeout)
        else:
            made = (call(job) for job in jobs)
        with closing(made):
            for batch in made:
                if batch is _END:
                    return
                yield batch

    def _fetch(self, indices: Any, entropy: int, number: int) -> Any:
        """Load the samples called ``indices`` and make batch ``number`` of them."""
        with own_generator(np.random.default_rng((entropy, number))):
            if self.batch_sampler is None:
                return self._collate(self._sample(indices, number), indices)
            return self._collate([self._sample(index, number) for index in indices], indices)

    def _sample(self, index: Any, number: int) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            error.add_note(f"raised while loading sample {index} of {type(self.dataset).__name__} for batch {number}")
            raise

    def _next(self, samples: Iterator[tuple[int, Any]], entropy: int, number: int) -> Any:
        """Read as many samples of a stream as batch ``number`` needs."""
        with own_generator(np.random.default_rng((entropy, number))):
            try:
                found = list(islice(samples, self.batch_size or 1))
            except Exception as error:
                error.add_note(f"raised while reading {type(self.dataset).__name__} for batch {number}")
                raise
            if not found or (self.drop_last and len(found) < (self.batch_size or 1)):
                return _END
            indices, batch = zip(*found, strict=True)
            return self._collate(list(batch), indices) if self.batch_size else self._collate(batch[0], indices[0])

    def _collate(self, batch: Any, indices: Any) -> Any:
        whole = self.batch_size is not None or self.batch_sampler is not None
        if self.collate_fn is None or self.collate_fn is default_collate:
            return default_collate(batch, indices) if whole else default_convert(batch)
        try:
            return self.collate_fn(batch)
        except Exception as error:
            error.add_note(f"raised while collating the samples {indices if whole else [indices]}")
            raise
