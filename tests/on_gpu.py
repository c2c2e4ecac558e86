"""A GPU for tests that are about one, whatever ``--device`` is: the stand-in, unless the real one was asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests import stand_in
from tests.cuda_on_cpu import executor


@contextlib.contextmanager
def found(config: pytest.Config) -> Iterator[None]:
    """Have minidl find the stand-in for a while, unless it found CuPy before."""
    device = config.getoption("device")
    if device != "gpu" and executor.COMPILER is None:
        pytest.skip("g++ is not installed: it runs CUDA C on the CPU")
    with stand_in.in_use() if device == "cpu" else contextlib.nullcontext():
        yield
