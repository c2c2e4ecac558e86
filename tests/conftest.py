"""What every test needs: the same random numbers each run, and cases handed to the checks that take them."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Iterator

# The matrices of tests are small, and the pools of NumPy and PyTorch in one process steal each other's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

import minidl
from minidl.backend import devices, random
from tests import stand_in
from tests.cuda_on_cpu import executor
from tests.stand_in import runtime


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        default="cpu",
        choices=["cpu", "strict", "gpu"],
        help="where tests create their tensors: on the CPU, on a strict stand-in for CuPy, or on a GPU",
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite out among up to four processes; what is named by hand runs in this one."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return min(4, os.cpu_count() or 1) if whole else 0


def pytest_configure(config: pytest.Config) -> None:
    """Choose the device before the tests are collected: some make tensors as they are imported."""
    if config.getoption("device") == "strict":
        stand_in.install()
        if executor.COMPILER is None:
            os.environ["MINIDL_KERNELS"] = "reference"  # no g++, which runs CUDA C on the CPU
    minidl.set_default_device(default_device(config))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # so a shell starts what it runs in the background; tests press Ctrl-C, in this process and in new ones
        signal.signal(signal.SIGINT, signal.default_int_handler)


def default_device(config: pytest.Config) -> str:
    return "cpu" if config.getoption("device") == "cpu" else "gpu"


@pytest.fixture(autouse=True)
def _device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test starts on the device that was asked for, and leaves it so to the examples in docstrings."""
    minidl.set_default_device(default_device(request.config))
    yield
    minidl.set_default_device(default_device(request.config))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    minidl.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> Iterator[minidl.device]:
    """A GPU beside the CPU, for tests of both: the stand-in's if the tests run on the CPU."""
    with contextlib.nullcontext() if default_device(request.config) == "gpu" else stand_in.in_use():
        yield minidl.device("gpu:0")


@pytest.fixture
def cpu() -> Iterator[None]:
    """For tests of what only the CPU has: memory shared with NumPy, and checks of values, which a GPU is spared."""
    with minidl.device("cpu"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for, and on a GPU what is about the CPU alone."""
    for item in items:
        marker = item.get_closest_marker("cpu_only")
        if marker and config.getoption("device") != "cpu":
            item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))
    if not config.getoption("markexpr"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long; run it with: pytest -m slow"))


def pytest_collection_finish() -> None:
    """Spare every later collection of garbage the modules and tests themselves, which stay to the end."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a check that takes ``case`` once for each of its module's CASES."""
    if "case" in metafunc.fixturenames and hasattr(metafunc.module, "CASES"):
        cases = metafunc.module.CASES
        metafunc.parametrize("case", cases, ids=[f"{i}-{case.op}" for i, case in enumerate(cases)])


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two pretend GPUs: CuPy is the stand-in during a test; everything about GPUs is as before after it."""
    installed = stand_in.installed()
    stand_in.install()
    for owner, name, value in [
        (devices, "_cupy", None),
        (devices, "_count", 0),
        (devices, "_current", 0),
        (devices, "_default", devices.CPU),
        (random, "_generators", {}),
        (minidl.gpu, "_peaks", {}),
        (runtime, "allocators", [runtime.malloc]),
        (runtime, "compute_types", {}),
    ]:
        monkeypatch.setattr(owner, name, value)
    devices._in_flight.clear()
    runtime.synchronizations.clear()
    for pool in runtime.pools:
        pool.free_all_blocks()  # arrays of other tests may have filled more than a GPU has
    minidl.zeros(0, device="gpu")
    yield
    monkeypatch.undo()
    if not installed:
        stand_in.uninstall()
