"""Two pretend GPUs, for tests of what minidl does with GPUs on machines that have none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import minidl
from minidl import gpu
from minidl.backend import devices, random
from tests import stand_in
from tests.stand_in import runtime


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let CuPy be the stand-in during a test, and everything about GPUs be as before after it."""
    installed = stand_in.installed()
    stand_in.install()
    for owner, name, value in [
        (devices, "_cupy", None),
        (devices, "_count", 0),
        (devices, "_current", 0),
        (devices, "_default", devices.CPU),
        (random, "_generators", {}),
        (gpu, "_peaks", {}),
        (runtime, "allocators", [runtime.malloc]),
        (runtime, "compute_types", {}),
    ]:
        monkeypatch.setattr(owner, name, value)
    devices._in_flight.clear()
    runtime.synchronizations.clear()
    minidl.zeros(0, device="gpu")
    yield
    monkeypatch.undo()
    if not installed:
        stand_in.uninstall()
