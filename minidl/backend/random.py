"""Random generators: one seed for all devices, one generator a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend.devices import CPU, Device, cupy

_seed: int | None = None
_generators: dict[Device, Any] = {}


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
    _seed = int(seed)
    _generators.clear()


def generator(device: Device = CPU) -> Any:
    """Return the random generator of ``device`` (``numpy.random.Generator`` or CuPy's)."""
    found = _generators.get(device)
    if found is None:
        xp = np if device.type == "cpu" else cupy()
        found = xp.random.default_rng(_seed)
        _generators[device] = found
    return found


def get_rng_state() -> dict[str, Any]:
    """Return the state of the CPU generator, as plain values that JSON can hold."""
    return generator().bit_generator.state


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the CPU generator back into a state that :func:`get_rng_state` returned."""
    generator().bit_generator.state = state
