"""CuPy for tests of kernels, whatever ``--device`` is: the real one with ``--device=gpu``, else the stand-in's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minidl.backend import devices
from tests import stand_in
from tests.cuda_on_cpu import executor


@pytest.fixture(scope="module", autouse=True)
def _cupy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have minidl find the stand-in for the time of a module, unless it found CuPy before."""
    if request.config.getoption("device") != "gpu" and executor.COMPILER is None:
        pytest.skip("g++ is not installed: it runs CUDA C on the CPU")
    if request.config.getoption("device") != "cpu":
        yield
        return
    with stand_in.in_use():
        yield


@pytest.fixture(params=[False, True], ids=["ascending", "descending"])
def xp(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The module that makes arrays; the stand-in runs threads from the first to the last, then the other way round."""
    if request.config.getoption("device") != "gpu":
        with executor.thread_order(request.param):
            yield devices.cupy()
    elif request.param:
        pytest.skip("a GPU chooses the order of its threads itself")
    else:
        yield devices.cupy()
