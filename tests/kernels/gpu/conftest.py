"""Arrays for the GPU's kernels: CuPy's with ``--device=gpu``, else the stand-in's, whose kernels g++ compiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minidl.backend import devices
from tests import stand_in
from tests.cuda_on_cpu import executor


@pytest.fixture(params=[False, True], ids=["ascending", "descending"])
def xp(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that makes arrays; the stand-in runs threads from the first to the last, then the other way round."""
    device = request.config.getoption("device")
    if device == "gpu":
        if request.param:
            pytest.skip("a GPU chooses the order of its threads itself")
        yield devices.cupy()
        return
    if executor.COMPILER is None:
        pytest.skip("g++ is not installed: it runs CUDA C on the CPU")
    if device == "cpu":
        stand_in.install()
        monkeypatch.setattr(devices, "_cupy", None)
    with executor.thread_order(request.param):
        yield devices.cupy()
    if device == "cpu":
        stand_in.uninstall()
