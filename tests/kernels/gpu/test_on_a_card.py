"""The checks that find each planted fault, on a real GPU: the same shapes, compared with the same references.

``pytest --device=gpu`` runs the whole suite there; this file runs wherever a GPU is found.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from minidl.backend import devices
from minidl.errors import DeviceError
from tests.kernels.gpu.faults import collect

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def _cupy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Find the real CuPy, or skip with what is missing."""
    if request.config.getoption("device") == "strict":
        pytest.skip("--device=strict: a stand-in is no GPU")
    before = devices._cupy, devices._count
    try:
        devices.cupy()
    except DeviceError as error:
        pytest.skip(str(error))
    yield
    if request.config.getoption("device") == "cpu":
        devices._cupy, devices._count = before


def checks() -> dict[str, Callable[[], None]]:
    """Return one check for each kernel that has faults."""
    return {fault.kernel: fault.check for fault in collect()}


CHECKS = checks()


@pytest.mark.parametrize("kernel", CHECKS)
def test_kernel(kernel: str) -> None:
    assert not sys.modules["cupy"].__version__.endswith("stand.in")
    CHECKS[kernel]()
