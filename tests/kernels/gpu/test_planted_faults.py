"""Faults planted into every kernel's source, one at a time: each makes the check of that kernel fail."""

from __future__ import annotations

import contextlib

import pytest

from minidl.kernels.gpu import launcher
from tests.cuda_on_cpu.executor import KernelError, kernels_of, thread_order
from tests.kernels.gpu.faults import collect
from tests.kernels.gpu.harness import Fault, change, has_barrier, planted

LEAST = 3  # faults of each kernel
FAULTS = collect()


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{f.kernel.split(':')[1]}: {f.old} -> {f.new or 'nothing'}" for f in FAULTS]
)
def test_a_fault_is_noticed(fault: Fault, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("device") == "gpu":
        pytest.skip("a fault on a GPU may corrupt its memory: they are planted on the CPU")
    noticed = []
    for descending in (False, True):  # a barrier that lacks may not matter in one of the two
        with planted(fault), thread_order(descending), contextlib.suppress(AssertionError, KernelError):
            fault.check()
            continue
        noticed.append(descending)
        break
    assert noticed


def test_every_fault_changes_its_kernel() -> None:
    """A text that is gone from a kernel would otherwise pass for a fault that was noticed."""
    for fault in FAULTS:
        file, name = fault.kernel.split(":")
        source = launcher.read(file)
        assert change(source, name, fault.old, fault.new) != source


def test_every_kernel_has_faults() -> None:
    for path in sorted(launcher.SOURCES.glob("*.cu")):
        source = path.read_text(encoding="utf-8")
        for name in kernels_of(source):
            mine = [fault for fault in FAULTS if fault.kernel == f"{path.name}:{name}"]
            assert len(mine) >= LEAST, f"{path.name}: too few faults are planted into {name}"
            barriers = [fault for fault in mine if "__sync" in fault.old or "__shfl" in fault.old]
            assert barriers or not has_barrier(source, name), f"{path.name}: no barrier of {name} is taken away"
