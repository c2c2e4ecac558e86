"""CuPy for tests of kernels, whatever ``--device`` is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minidl.backend import devices
from tests import on_gpu
from tests.cuda_on_cpu import executor


@pytest.fixture(scope="module", autouse=True)
def _cupy(request: pytest.FixtureRequest) -> Iterator[None]:
    with on_gpu.found(request.config):
        yield


@pytest.fixture(params=[False, True], ids=["ascending", "descending"])
def xp(request: pytest.FixtureRequest) -> Iterator[Any]:
    """CuPy, for tests whose kernels run from the first thread to the last, then the other way round."""
    if request.config.getoption("device") == "gpu" and request.param:
        pytest.skip("a GPU chooses the order of its threads itself")
    with executor.thread_order(request.param):
        yield devices.cupy()
