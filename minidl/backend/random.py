"""Random generators: one seed for all devices, one generator a device.

The CPU's is NumPy's. A GPU's is two integers kept by the host, a seed and how much of its sequence has been used: the
number at any place of the sequence can be computed by itself (``minidl.kernels.reference.random``), so each thread of a
GPU computes its own, and saving where a GPU is in its sequence never waits for it.
"""

from __future__ import annotations

import operator
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.backend.devices import CPU, Device, check_available, gpu_count, gpu_in_use
from minidl.errors import ArgumentError, DTypeError, StateError

_seed: int | None = None
_generators: dict[Device, Any] = {}


class _Own(threading.local):
    """What this thread draws from instead of the shared generators: one for the CPU, those for GPUs seeded by it."""

    def __init__(self) -> None:
        self.generator: np.random.Generator | None = None
        self.of_gpus: dict[Device, Any] = {}


_own = _Own()


def manual_seed(seed: int) -> None:
    """Seed the random numbers of every device, so that a program repeats exactly.

    Parameters
    ----------
    seed : int
        Any non-negative integer.

    Raises
    ------
    DTypeError
        If it is not an integer.
    ArgumentError
        If it is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.manual_seed(0)
    >>> a = minidl.rand(2)
    >>> minidl.manual_seed(0)
    >>> bool((a == minidl.rand(2)).all())
    True
    """
    global _seed
    try:
        seed = operator.index(seed)
    except TypeError:
        raise DTypeError(f"manual_seed: the seed must be an integer, got {seed!r}") from None
    if seed < 0:
        raise ArgumentError(f"manual_seed: the seed must not be negative, got {seed}")
    if _own.generator is not None:
        _own.generator, _own.of_gpus = np.random.default_rng(seed), {}
        return
    _seed = seed
    _generators.clear()


class Generator(np.random.Generator):
    """A source of random numbers apart from :func:`manual_seed`'s, for what must not depend on other draws.

    Parameters
    ----------
    device : Device or str
        Where it draws. One of the CPU is NumPy's generator too, and what it draws for a GPU is copied there, so that a
        network starts from the same weights on every device. One of a GPU draws for tensors of that GPU alone.

    Raises
    ------
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import minidl
    >>> a = minidl.rand(2, generator=minidl.Generator().manual_seed(0))
    >>> b = minidl.rand(2, generator=minidl.Generator().manual_seed(0))
    >>> minidl.equal(a, b)
    True

    References
    ----------
    ``torch.Generator``, ``numpy.random.Generator``.
    """

    device = CPU

    def __new__(cls, device: Any = CPU) -> Any:
        """Make a :class:`GPUGenerator` where ``device`` is a GPU."""
        place = Device(device)
        check_available(place)
        return super().__new__(cls) if place == CPU else GPUGenerator(place)

    def __init__(self, device: Any = CPU) -> None:
        super().__init__(np.random.PCG64())

    def __reduce__(self) -> Any:
        return _restored, (self.get_state(),)

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from ``seed``, and return the generator."""
        self.bit_generator.state = np.random.PCG64(int(seed)).state
        return self

    def get_state(self) -> dict[str, Any]:
        """Return where in its sequence it is, as plain values that JSON can hold."""
        return self.bit_generator.state  # type: ignore[return-value]

    def set_state(self, state: dict[str, Any]) -> Generator:
        """Return to where :meth:`get_state` was called."""
        self.bit_generator.state = state
        return self


def _restored(state: dict[str, Any]) -> Generator:
    return Generator().set_state(state)


class GPUGenerator:
    """A source of random numbers on one GPU: what ``Generator(device="gpu")`` makes.

    Parameters
    ----------
    device : Device or str
        A GPU.
    seed : int, optional
        One that nobody knows, if left out.
    """

    def __init__(self, device: Any, seed: int | None = None) -> None:
        self.device = Device(device)
        self.manual_seed(secrets.randbits(64) if seed is None else seed)
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return _restored_gpu, (str(self.device), self.get_state())

    def manual_seed(self, seed: int) -> GPUGenerator:
        """Start anew from ``seed``, and return the generator."""
        self.seed = int(seed) if seed < 2**64 else int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
        self.offset = 0
        return self

    def initial_seed(self) -> int:
        """Return the seed that it started from."""
        return self.seed

    def get_state(self) -> dict[str, int]:
        """Return where in its sequence it is, as plain values that JSON can hold. Nothing waits for the GPU."""
        return {"seed": self.seed, "offset": self.offset}

    def set_state(self, state: dict[str, int]) -> GPUGenerator:
        """Return to where :meth:`get_state` was called."""
        if not isinstance(state, dict) or state.keys() != {"seed", "offset"}:
            raise StateError(f"the random state of a GPU has a seed and an offset, got {state!r}")
        self.seed, self.offset = int(state["seed"]), int(state["offset"])
        return self

    def take(self, count: int) -> tuple[int, int]:
        """Return the seed and the place of the next ``count`` blocks of four 32-bit numbers, which are used then."""
        with self._lock:
            offset, self.offset = self.offset, (self.offset + count) % 2**64
        return self.seed, offset


def _restored_gpu(device: str, state: dict[str, int]) -> GPUGenerator:
    return GPUGenerator(device).set_state(state)


def generator(device: Device = CPU) -> Any:
    """Return the random generator of ``device``: ``numpy.random.Generator``, or :class:`GPUGenerator`."""
    if _own.generator is not None:
        if device.type == "gpu" and device not in _own.of_gpus:
            _own.of_gpus[device] = GPUGenerator(device, int(_own.generator.integers(2**63)))
        return _own.generator if device.type == "cpu" else _own.of_gpus[device]
    found = _generators.get(device)
    if found is None:
        found = np.random.default_rng(_seed) if device.type == "cpu" else GPUGenerator(device, _seed)
        found = _generators.setdefault(device, found)
    return found


def philox_state(device: Device, count: int) -> tuple[int, int]:
    """Return the seed and the offset of the next ``count`` blocks of a GPU's random numbers, and move on past them.

    A block is what one evaluation of Philox4x32-10 gives: four 32-bit numbers, of the key ``seed`` and the 128-bit
    counter ``offset + i`` for block i. All on the host: no GPU is waited for.

    Parameters
    ----------
    device : Device
        A GPU.
    count : int
        How many blocks a kernel will use.

    Returns
    -------
    (int, int), both below 2**64
    """
    return generator(device).take(count)


@contextmanager
def own_generator(rng: np.random.Generator) -> Iterator[None]:
    """Let this thread's random numbers, seeding included, come from and concern ``rng`` alone.

    A data loader gives each batch a generator of its own, so that neither the number of worker threads nor their
    timing changes what random transforms do.
    """
    before = _own.generator, _own.of_gpus
    _own.generator, _own.of_gpus = rng, {}
    try:
        yield
    finally:
        _own.generator, _own.of_gpus = before


def get_rng_state() -> dict[str, Any]:
    """Return where in their sequence the CPU's random numbers are, as plain values that JSON can hold.

    Returns
    -------
    dict

    Examples
    --------
    >>> import minidl
    >>> state = minidl.get_rng_state()
    >>> a = minidl.rand(2, device="cpu")
    >>> minidl.set_rng_state(state)
    >>> minidl.equal(a, minidl.rand(2, device="cpu"))
    True

    References
    ----------
    ``torch.get_rng_state``.
    """
    return generator().bit_generator.state


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the CPU's random numbers back to where :func:`get_rng_state` was called.

    Parameters
    ----------
    state : dict

    Examples
    --------
    >>> import minidl
    >>> minidl.set_rng_state(minidl.get_rng_state())

    References
    ----------
    ``torch.set_rng_state``.
    """
    generator().bit_generator.state = state


def rng_states() -> dict[str, Any]:
    """Return where the random numbers of every device are, by the device's name; JSON can hold it.

    Of the GPUs only once one was touched: asking for them would load CuPy.
    """
    gpus = [Device("gpu", i) for i in range(gpu_count())] if gpu_in_use() else []
    return {"cpu": get_rng_state(), **{str(gpu): generator(gpu).get_state() for gpu in gpus}}


def set_rng_states(states: dict[str, Any]) -> None:
    """Put the random numbers of the devices named back to where :func:`rng_states` was called."""
    for name, state in states.items():
        if name == "cpu":
            set_rng_state(state)
        else:
            generator(Device(name)).set_state(state)
