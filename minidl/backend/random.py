"""Random generators: one seed for all devices, one generator a device."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.backend.devices import CPU, Device, cupy

_seed: int | None = None
_generators: dict[Device, Any] = {}


class _Own(threading.local):
    """The generator that this thread draws from instead of the CPU's shared one."""

    generator: np.random.Generator | None = None


_own = _Own()


def manual_seed(seed: int) -> None:
    """Seed the random numbers of every device, so that a program repeats exactly.

    Parameters
    ----------
    seed : int
        Any non-negative integer.

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
    if _own.generator is not None:
        _own.generator = np.random.default_rng(int(seed))
        return
    _seed = int(seed)
    _generators.clear()


def generator(device: Device = CPU) -> Any:
    """Return the random generator of ``device`` (``numpy.random.Generator`` or CuPy's)."""
    if _own.generator is not None and device.type == "cpu":
        return _own.generator
    found = _generators.get(device)
    if found is None:
        xp = np if device.type == "cpu" else cupy()
        found = xp.random.default_rng(_seed)
        _generators[device] = found
    return found


@contextmanager
def own_generator(rng: np.random.Generator) -> Iterator[None]:
    """Let this thread's CPU random numbers, seeding included, come from and concern ``rng`` alone.

    A data loader gives each batch a generator of its own, so that neither the number of worker threads nor their
    timing changes what random transforms do.
    """
    before = _own.generator
    _own.generator = rng
    try:
        yield
    finally:
        _own.generator = before


def get_rng_state() -> dict[str, Any]:
    """Return the state of the CPU generator, as plain values that JSON can hold."""
    return generator().bit_generator.state


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the CPU generator back into a state that :func:`get_rng_state` returned."""
    generator().bit_generator.state = state
