"""Scratch space, and the switch of the C library's heap."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from minidl.kernels.cpu import memory

FLOAT32, FLOAT64 = np.dtype("f4"), np.dtype("f8")


def test_scratch_is_kept_and_grows() -> None:
    first = memory.scratch(100, FLOAT32)
    assert memory.scratch(1000, FLOAT32) is first
    larger = memory.scratch(first.size + 1, FLOAT32)
    assert larger is not first
    assert larger.size > first.size
    assert memory.scratch(10, FLOAT64).dtype == FLOAT64


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_scratch_begins_at_a_cache_line(dtype: np.dtype) -> None:
    for size in (1, 10_000, 100_001, 300_003):
        buffer = memory.scratch(size, dtype)
        assert buffer.ctypes.data % memory.ALIGNMENT == 0
        assert buffer.flags.c_contiguous


def test_each_thread_has_its_own() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(memory.scratch(10, FLOAT32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(found[0], memory.scratch(10, FLOAT32))


@pytest.mark.parametrize("value", ["0", " 0 "])
def test_the_switch(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MINIDL_KEEP_MEMORY", value)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("the heap was touched"))
    assert memory.keep_memory.__wrapped__() is False


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIDL_KEEP_MEMORY", raising=False)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_memory.__wrapped__() is False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_a_fresh_array_costs_no_page_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.delenv("MINIDL_KEEP_MEMORY", raising=False)
    if not memory.keep_memory.__wrapped__():
        pytest.skip("not glibc")
    np.ones(2**22)  # 32 MB, once
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(5):
        np.ones(2**22)
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before < 2**22 * 8 // 4096  # not even one array's
