"""Batches: what a training loop takes from arrays, loaders, datasets and generators, all in one form.

A source gives the batches of epoch ``e`` from batch ``b`` on. Which they are depends on the data, the seed, ``e`` and
``b`` alone, never on what else drew random numbers meanwhile: so a training that resumes sees what it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from minidl.autograd import Variable, wrap
from minidl.backend import (
    CPU,
    Device,
    default_dtype,
    device_of,
    gpu_in_use,
    is_array,
    namespace,
    own_generator,
    to_device,
)
from minidl.data import DataLoader, Dataset, IterableDataset
from minidl.errors import ArgumentError, DataError, DTypeError, ShapeError, StateError
from minidl.ops.creation import as_array
from minidl.training.structure import is_leaf, leaves, mapped
from minidl.training.weights import class_weights, combined

_END = object()

#: The dtypes of arrays that need no preparation.
_AS_THEY_ARE = frozenset(map(np.dtype, ("float32", "int64", "int32", "uint8")))


class Batch(NamedTuple):
    """One batch: inputs, targets (or None), the weight of each sample (or None), and how many samples there are."""

    x: Any
    y: Any
    weight: Any
    size: int


def plain(x: Any, name: str, what: str = "") -> Any:
    """Return one array of data as the engine wants it: what is NumPy's own float64 in the default float dtype.

    Raises
    ------
    DTypeError
        If it holds anything but numbers.
    """
    if isinstance(x, Variable):
        return x.array
    if type(x) is np.ndarray and x.dtype in _AS_THEY_ARE:
        return x
    # what is on the host stays there: a GPU gets it a batch at a time
    array = as_array(x, device=device_of(x), copy=False, name=f"{name}: {what}" if what else name)
    return array.astype(default_dtype()) if array.dtype == np.float64 else array


def unpack(batch: Any, name: str) -> tuple[Any, Any, Any]:
    """Return what a loader or a generator yields as inputs, targets and weights."""
    if isinstance(batch, (list, tuple)) and not is_leaf(batch):
        if not 1 <= len(batch) <= 3:
            raise DataError(
                f"{name}: a batch of {len(batch)} entries; expected x, (x, y) or (x, y, sample_weight); several inputs "
                "go into a tuple of their own, ((x1, x2), y)"
            )
        return (*batch, None, None)[:3]
    return batch, None, None


# ---------------------------------------------------------------------- sources


class Source:
    """Where batches come from. Subclasses say how in :meth:`epoch`.

    Attributes
    ----------
    steps : int or None
        Batches in an epoch, if known.
    seed : int or None
        Decides, with the number of the epoch, what is shuffled how.
    once : bool
        Whether it can be gone through only once.
    """

    steps: int | None = None
    seed: int | None = None
    once = False

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch, from batch ``start`` on."""
        raise NotImplementedError

    def state_dict(self, started: bool) -> dict[str, Any]:
        """Return what :meth:`epoch` needs in another process; ``started``: for the epoch that is under way."""
        return {"seed": self.seed, "signature": self.signature()}

    def load_state_dict(self, state: Mapping[str, Any], started: bool) -> None:
        """Stand where :meth:`state_dict` was called.

        Raises
        ------
        StateError
            If an epoch is to be continued in the middle, but its batches would be others.
        """
        if started and dict(state["signature"]) != self.signature():
            raise StateError(
                f"resume: the checkpoint stands in the middle of an epoch of {_described(state['signature'])}, and "
                f"this training has {_described(self.signature())}; resume with the same data and batch_size"
            )
        self.seed = state["seed"]

    def signature(self) -> dict[str, Any]:
        """Return what must be the same for the batches to be."""
        return {}


def _described(signature: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in signature.items()) or "batches that are not counted"


class Arrays(Source):
    """Batches that are rows of arrays, in their order or shuffled.

    Parameters
    ----------
    x, y, weight : arrays, or lists, tuples and dicts of arrays, or None
        Each (N, ...).
    batch_size : int
    shuffle : bool
    seed : int or None
    device : Device
        Where batches are wanted.
    name : str
        What to call it in errors.
    """

    def __init__(
        self, x: Any, y: Any, weight: Any, batch_size: int, shuffle: bool, seed: int | None, device: Device, name: str
    ) -> None:
        self.samples = _count({"x": x, "y": y, "sample_weight": weight}, name)
        self.batch_size = batch_size
        self.steps = math.ceil(self.samples / batch_size)
        self.shuffle = shuffle
        self.seed = seed
        self._x, self._y, self._weight = (_picker(part, device) for part in (x, y, weight))

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        order = np.random.default_rng((self.seed or 0, number)).permutation(self.samples) if self.shuffle else None
        size, pick_x, pick_y, pick_weight = self.batch_size, self._x, self._y, self._weight
        for first in range(start * size, self.samples, size):
            last = min(first + size, self.samples)
            rows = slice(first, last) if order is None else order[first:last]
            yield Batch(pick_x(rows), pick_y(rows), pick_weight(rows), last - first)

    def signature(self) -> dict[str, Any]:
        return {"samples": self.samples, "batch_size": self.batch_size}


def _picker(held: Any, device: Device) -> Callable[[Any], Any]:
    """Return a function from rows (a slice, or indices) to tensors on ``device``, nested as ``held`` is."""
    if held is None:
        return lambda rows: None
    if isinstance(held, Mapping):
        named = {key: _picker(part, device) for key, part in held.items()}
        return lambda rows: {key: pick(rows) for key, pick in named.items()}
    if isinstance(held, (list, tuple)):
        several, kind = [_picker(part, device) for part in held], list if isinstance(held, list) else tuple
        return lambda rows: kind(pick(rows) for pick in several)
    return _Rows(held, device)


class _Rows:
    """The rows of one array."""

    def __init__(self, array: Any, device: Device) -> None:
        self.array = array
        self.xp = namespace(array)
        self.device = None if device_of(array) == device else device

    def __call__(self, rows: Any) -> Any:
        # a slice is a view: nothing is copied
        part = self.array[rows] if type(rows) is slice else self.array.take(self.xp.asarray(rows), axis=0)
        return wrap(part if self.device is None else to_device(part, self.device))


class _Stream(Source):
    """What the sources of ready-made batches share."""

    def __init__(self, seed: int | None, class_weight: Any, device: Device, name: str) -> None:
        self.seed = seed
        self.class_weight = class_weight
        self.device = device
        self.name = name

    def _batch(self, given: Any) -> Batch:
        x, y, weight = (mapped(self._tensor, part) for part in unpack(given, self.name))
        size = _count({"x": x, "y": y, "sample_weight": weight}, self.name)
        if self.class_weight is not None:
            weight = wrap(combined(class_weights(y, self.class_weight, self.name), weight))
        return Batch(x, y, weight, size)

    def _tensor(self, x: Any) -> Any:
        if isinstance(x, Variable) and (self.device == CPU or device_of(x.array) == self.device):
            return x
        # a loader with pin_memory makes each batch anew: nobody writes to it while the GPU copies
        return wrap(to_device(plain(x, self.name), self.device, non_blocking=True))

    def _drawn(self, batches: Iterable[Any], rng: np.random.Generator | None) -> Iterator[Any]:
        """Yield what ``batches`` has, with random numbers drawn from ``rng`` alone."""
        if rng is None:
            yield from batches
            return
        with own_generator(rng):
            iterator = iter(batches)
        while True:
            with own_generator(rng):
                given = next(iterator, _END)
            if given is _END:
                return
            yield given

    def _generator(self, number: int) -> np.random.Generator | None:
        return None if self.seed is None else np.random.default_rng((self.seed, number))


class Loader(_Stream):
    """The batches of a DataLoader, or of anything else that can be iterated over again.

    What shuffles without a generator of its own draws from one that seed and epoch decide. The states of those that
    the loader, its samplers or its dataset hold are part of the source's.
    """

    def __init__(self, loader: Any, seed: int | None, class_weight: Any, device: Device, name: str) -> None:
        super().__init__(seed, class_weight, device, name)
        self.loader = loader
        try:
            self.steps = len(loader)
        except TypeError:
            self.steps = None
        self._at_start: dict[str, Any] = {}

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        self._at_start = self._random_states()
        given = self.loader() if callable(self.loader) and not hasattr(self.loader, "__iter__") else self.loader
        drawn = self._drawn(given, self._generator(number))
        for _ in range(start):  # at once: whoever wants no further batch must leave the generators behind them too
            next(drawn, None)
        return self._batches(drawn)

    def _batches(self, drawn: Iterator[Any]) -> Iterator[Batch]:
        for batch in drawn:
            yield self._batch(batch)

    def state_dict(self, started: bool) -> dict[str, Any]:
        random = self._at_start if started else self._random_states()
        return {**super().state_dict(started), "random": random}

    def load_state_dict(self, state: Mapping[str, Any], started: bool) -> None:
        super().load_state_dict(state, started)
        found = self._generators()
        for name, value in state["random"].items():
            if name in found:
                found[name].bit_generator.state = value

    def signature(self) -> dict[str, Any]:
        return {} if self.steps is None else {"batches": self.steps}

    def _generators(self) -> dict[str, np.random.Generator]:
        batch_sampler = getattr(self.loader, "batch_sampler", None)
        holders = {
            "loader": self.loader,
            "sampler": getattr(self.loader, "sampler", None),
            "batch_sampler": batch_sampler,
            "batch_sampler.sampler": getattr(batch_sampler, "sampler", None),
            "dataset": getattr(self.loader, "dataset", None),
        }
        return {
            f"{holder}.{key}": value
            for holder, held in holders.items()
            for key, value in getattr(held, "__dict__", {}).items()
            if isinstance(value, np.random.Generator)
        }

    def _random_states(self) -> dict[str, Any]:
        return {name: rng.bit_generator.state for name, rng in self._generators().items()}


class Once(_Stream):
    """The batches of an iterator: each epoch goes on where the one before stopped.

    To resume, it takes an iterator that starts from the beginning, and passes over what was trained on before.
    """

    once = True

    def __init__(self, iterator: Any, seed: int | None, class_weight: Any, device: Device, name: str) -> None:
        super().__init__(seed, class_weight, device, name)
        self._iterator = iterator
        self._given: Iterator[Any] | None = None
        self.taken = 0

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        while (given := self._next()) is not _END:
            self.taken += 1
            yield self._batch(given)

    def _next(self) -> Any:
        if self._given is None:
            self._given = self._drawn(self._iterator, self._generator(0))
        return next(self._given, _END)

    def state_dict(self, started: bool) -> dict[str, Any]:
        return {**super().state_dict(started), "taken": self.taken}

    def load_state_dict(self, state: Mapping[str, Any], started: bool) -> None:
        super().load_state_dict(state, started)
        for done in range(self.taken, state["taken"]):
            if self._next() is _END:
                raise StateError(
                    f"resume: {state['taken']} batches were trained on before, and the generator given now ended "
                    f"after {done}; give one that starts from the beginning and yields the same batches"
                )
        self.taken = state["taken"]


class _Numbered:
    """Batches with numbers, as in Keras's PyDataset: iterated over in their order."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return (self.batches[i] for i in range(len(self.batches)))


def make_source(
    x: Any,
    y: Any = None,
    weight: Any = None,
    *,
    name: str,
    batch_size: int | None = None,
    default_size: int = 32,
    shuffle: bool = False,
    seed: int | None = None,
    class_weight: Mapping[int, float] | None = None,
    device: Device = CPU,
) -> Source:
    """Return the source of what a user passes to ``fit``, ``evaluate`` or ``predict``.

    Raises
    ------
    DataError, ShapeError
        If there is nothing in it, or lengths differ.
    DTypeError
        If it is nothing that batches can be made of, or holds other things than numbers.
    ArgumentError
        If arguments exclude each other.
    """
    if batch_size is not None and (
        isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size <= 0
    ):
        raise ArgumentError(f"{name}: batch_size must be a positive integer, got {batch_size!r}")
    if x is None:
        raise DataError(f"{name}: there is no data: x is None; pass arrays, a DataLoader, a Dataset or a generator")
    if is_data(x):
        x, y, weight = as_data(x, y, weight, name)
        if class_weight is not None:
            weight = combined(class_weights(y, class_weight, name), weight)
        return Arrays(x, y, weight, int(batch_size or default_size), shuffle, seed, device, name)
    for given, what in ((y, "y"), (weight, "sample_weight")):
        if given is not None:
            raise ArgumentError(
                f"{name}: {what}= goes with arrays; a {type(x).__name__} yields its targets itself: (x, y) or "
                "(x, y, sample_weight)"
            )
    if isinstance(x, Dataset) and not isinstance(x, IterableDataset):
        x = DataLoader(x, int(batch_size or default_size), shuffle)
    elif isinstance(x, IterableDataset):
        x = DataLoader(x, int(batch_size or default_size))
    elif batch_size is not None:
        raise ArgumentError(
            f"{name}: batch_size= goes with arrays; a {type(x).__name__} yields batches of its own size"
        )
    if isinstance(x, Iterator):
        return Once(x, seed, class_weight, device, name)
    if not hasattr(x, "__iter__") and hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        x = _Numbered(x)
    if not hasattr(x, "__iter__") and not callable(x):
        raise DTypeError(
            f"{name}: cannot take batches from a {type(x).__name__}; expected arrays or tensors (or lists, tuples and "
            "dicts of them), a DataLoader, a Dataset, or a generator of batches"
        )
    return Loader(x, seed, class_weight, device, name)


def single(
    x: Any,
    y: Any = None,
    weight: Any = None,
    *,
    name: str,
    class_weight: Mapping[int, float] | None = None,
    device: Device = CPU,
) -> Batch:
    """Return all of the data as one batch; of a loader or a generator, the first one.

    Raises
    ------
    As :func:`make_source`.
    """
    here = not gpu_in_use()
    if here and type(x) is type(y) is np.ndarray and weight is None and class_weight is None:  # most often
        kept = x.dtype in _AS_THEY_ARE and y.dtype in _AS_THEY_ARE
        if kept and x.ndim and y.ndim and len(x) == len(y) > 0:
            return Batch(wrap(x[...]), wrap(y[...]), None, len(x))  # no two tensors have one array object
    if x is None or not is_data(x):
        return next(make_source(x, y, weight, name=name, class_weight=class_weight, device=device).epoch(0))
    x, y, weight = as_data(x, y, weight, name)
    if class_weight is not None:
        weight = combined(class_weights(y, class_weight, name), weight)
    size = _count({"x": x, "y": y, "sample_weight": weight}, name)

    def placed(array: Any) -> Any:
        return wrap(array[...] if here else to_device(array[...], device))

    return Batch(mapped(placed, x), mapped(placed, y), None if weight is None else mapped(placed, weight), size)


def is_data(x: Any) -> bool:
    """Whether ``x`` holds the samples themselves: arrays, tensors, nested lists of numbers, or several of these."""
    if isinstance(x, (Variable, Mapping, list, tuple, int, float, str)) or is_array(x):
        return True
    return hasattr(x, "__array__") and not isinstance(x, Dataset)


def as_data(x: Any, y: Any, weight: Any, name: str) -> tuple[Any, Any, Any]:
    """Return inputs, targets and weights as (nested) arrays."""

    def arrays(what: str, part: Any) -> Any:
        return None if part is None else mapped(lambda array: plain(array, name, what), part)

    return arrays("x", x), arrays("y", y), arrays("sample_weight", weight)


def split(x: Any, y: Any, weight: Any, share: float, name: str) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Return (x, y, weight) of the first samples and of the last ``share``, in the order they came in.

    Raises
    ------
    ArgumentError
        If ``share`` is no share, leaves no sample on one side, or ``x`` is nothing that could be split.
    """
    if not 0 < share < 1:
        raise ArgumentError(f"{name}: validation_split must be between 0 and 1, got {share!r}")
    if not is_data(x):
        raise ArgumentError(
            f"{name}: validation_split= needs arrays, a {type(x).__name__} cannot be split; pass validation_data="
        )
    data = as_data(x, y, weight, name)
    samples = _count(dict(zip(("x", "y", "sample_weight"), data, strict=True)), name)
    at = math.floor(samples * (1 - share))
    if at in (0, samples):
        raise ArgumentError(
            f"{name}: validation_split={share} of {samples} samples leaves {at} for training and {samples - at} for "
            "validation; both need some"
        )
    first, last = (tuple(mapped(lambda a, s=s: a[s], part) for part in data) for s in (slice(at), slice(at, None)))  # type: ignore[misc]
    return first, last


def _count(parts: Mapping[str, Any], name: str) -> int:
    """Return how many samples all arrays have.

    Raises
    ------
    ShapeError
        If they differ.
    DataError
        If there are none.
    """
    shapes = {
        where: array.shape for what, part in parts.items() if part is not None for where, array in leaves(part, what)
    }
    sizes = {shape[0] if shape else None for shape in shapes.values()}
    size = sizes.pop() if len(sizes) == 1 else None
    if size:
        return size
    listed = ", ".join(f"{where} {tuple(shape)}" for where, shape in shapes.items())
    if not shapes:
        raise DataError(f"{name}: there is no data: x has no arrays")
    if () in shapes.values():
        raise ShapeError(f"{name}: each array needs an axis of samples, its first, even of one; got {listed}")
    if size == 0:
        raise DataError(f"{name}: there is no data: {listed}")
    raise ShapeError(
        f"{name}: the arrays have different numbers of samples, their first sizes: {listed}; all need the same"
    )
