"""What :mod:`minidl.gpu` says of two pretend GPUs, and without any."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl import gpu
from minidl.errors import ArgumentError, DeviceError, StateError
from tests.stand_in import runtime


def test_which_gpus_there_are(gpus: None) -> None:
    assert gpu.is_available()
    assert gpu.device_count() == 2
    assert gpu.get_device_name() == gpu.get_device_name("cuda:1") == gpu.get_device_name(1) == "stand-in"
    assert gpu.get_device_capability(minidl.device("gpu:1")) == (9, 0)
    for ask in (gpu.get_device_name, gpu.get_device_capability, gpu.set_device, gpu.mem_get_info, gpu.synchronize):
        with pytest.raises(DeviceError, match="there is no gpu:2: the GPUs that can be used here are gpu:0 to gpu:1"):
            ask(2)
        with pytest.raises(DeviceError, match=r"expected a GPU, got 'cpu'; give 'gpu', 'gpu:N' or N"):
            ask("cpu")


def test_cuda_is_gpu_under_another_name() -> None:
    assert minidl.cuda.__all__ == gpu.__all__
    assert all(getattr(minidl.cuda, name) is getattr(gpu, name) for name in gpu.__all__)


def test_the_current_gpu(gpus: None) -> None:
    assert gpu.current_device() == 0
    gpu.set_device("gpu:1")
    assert gpu.current_device() == 1
    assert minidl.device("gpu") == minidl.device("cuda") == "gpu:1"
    assert minidl.zeros(2, device="cuda").device == "gpu:1"
    assert minidl.zeros(2).cuda().device == "gpu:1"
    assert minidl.zeros(2, device="gpu:0").device == "gpu:0"
    assert minidl.zeros(2).device == "cpu"


def test_waiting(gpus: None) -> None:
    runtime.synchronizations.clear()
    gpu.synchronize()
    gpu.synchronize("gpu:1")
    assert sum(runtime.synchronizations.values()) == 2


def test_memory(gpus: None) -> None:
    before = gpu.memory_allocated()
    x = minidl.zeros(1000, device="gpu")
    assert gpu.memory_allocated() - before == 4096  # blocks of 512
    assert gpu.memory_reserved() >= gpu.memory_allocated()
    other = gpu.memory_allocated(1)
    y = minidl.zeros(10, device="gpu:1")
    assert gpu.memory_allocated("gpu:1") - other == 512
    assert gpu.memory_allocated() - before == 4096
    del x, y
    assert gpu.memory_allocated() == before
    assert gpu.memory_reserved() >= before + 4096
    gpu.empty_cache()
    assert gpu.memory_reserved() == gpu.memory_allocated()
    free, total = gpu.mem_get_info()
    assert 0 < free <= total


def test_the_peak_of_memory(gpus: None) -> None:
    with pytest.raises(StateError, match=r"max_memory_allocated: nothing was counted on gpu:0 yet, .* call minidl.gpu"):
        gpu.max_memory_allocated()
    gpu.reset_peak_memory_stats()
    before = gpu.memory_allocated()
    assert gpu.max_memory_allocated() == before
    x = minidl.zeros(1000, device="gpu")
    y = x + 1
    del x
    assert gpu.max_memory_allocated() - before == 8192
    assert gpu.memory_allocated() - before == 4096
    assert gpu.max_memory_reserved() >= gpu.max_memory_allocated()
    gpu.reset_peak_memory_stats()
    assert gpu.max_memory_allocated() - before == 4096
    with pytest.raises(StateError, match="max_memory_reserved: nothing was counted on gpu:1"):
        gpu.max_memory_reserved(1)
    gpu.reset_peak_memory_stats(1)
    z = minidl.zeros(1000, device="gpu:1")
    assert gpu.max_memory_allocated(1) >= 4096
    assert gpu.max_memory_allocated() - before == 4096
    assert len(runtime.allocators) == 1  # counted once, however often it is reset
    del y, z


def test_tf32_is_off_unless_it_is_wanted(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUPY_TF32", raising=False)
    assert not gpu.uses_tf32()
    assert runtime.compute_types == {}  # as CuPy has it
    gpu.use_tf32(True)
    assert gpu.uses_tf32()
    assert runtime.compute_types == {np.dtype("float32"): runtime.PRODUCTS["COMPUTE_TYPE_TF32"]}
    gpu.use_tf32(False)
    assert not gpu.uses_tf32()
    assert runtime.compute_types == {np.dtype("float32"): runtime.PRODUCTS["COMPUTE_TYPE_DEFAULT"]}
    with pytest.raises(ArgumentError, match="use_tf32: expected True or False, got 1"):
        gpu.use_tf32(1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "used"), [("1", True), ("0", False), ("", False)])
def test_the_environment_says_whether_tf32_is_used(text: str, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPY_TF32", text)
    assert gpu.uses_tf32() is used


def test_cupy_has_what_the_tf32_switch_calls() -> None:
    pytest.importorskip("cupy._core", reason="CuPy is not installed: nothing to compare with", exc_type=ImportError)
    products = pytest.importorskip("cupy._core._routines_linalg")
    for name in runtime.PRODUCTS:
        assert hasattr(products, name)
    assert runtime.PRODUCTS["COMPUTE_TYPE_TF32"] == products.COMPUTE_TYPE_TF32


@pytest.mark.cpu_only(reason="says what is so where no GPU was touched")
def test_without_a_gpu_questions_are_answered_and_orders_refused() -> None:
    assert gpu.memory_allocated() == gpu.memory_reserved() == 0
    gpu.synchronize()
    gpu.empty_cache()
    if not gpu.is_available():
        assert gpu.device_count() == 0
        assert gpu.get_rng_state_all() == []
        for ask in (gpu.get_device_name, gpu.mem_get_info, gpu.reset_peak_memory_stats, gpu.set_device):
            with pytest.raises(DeviceError, match="no GPU can be used"):
                ask(0)
