"""Random generators: one seed for all devices, one generator a device."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.backend.devices import CPU, Device, cupy
from minidl.errors import ArgumentError, DeviceError, DTypeError

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
        _own.generator = np.random.default_rng(seed)
        return
    _seed = seed
    _generators.clear()


class Generator(np.random.Generator):
    """A source of random numbers apart from :func:`manual_seed`'s, for what must not depend on other draws.

    Parameters
    ----------
    device : Device or str
        ``"cpu"``: what is drawn for a GPU is copied there.

    Raises
    ------
    DeviceError
        If ``device`` is a GPU.

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

    def __init__(self, device: Any = CPU) -> None:
        if Device(device) != CPU:
            raise DeviceError(
                f"Generator: draws on the CPU, got device {str(device)!r}; its numbers are copied to a GPU"
            )
        super().__init__(np.random.PCG64())

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
    """Return where in their sequence the CPU's random numbers are, as plain values that JSON can hold.

    Returns
    -------
    dict

    Examples
    --------
    >>> import minidl
    >>> state = minidl.get_rng_state()
    >>> a = minidl.rand(2)
    >>> minidl.set_rng_state(state)
    >>> minidl.equal(a, minidl.rand(2))
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
