"""The pool: every part once, errors, several callers, sleep, fork, and arguments of every kind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import minidl
from minidl.kernels.cpu import pool
from minidl.kernels.cpu.compiler import kernel
from minidl.kernels.cpu.pool import run, shared_out


@kernel
def count(part, parts, done):  # type: ignore[no-untyped-def]
    """Count each part in a place of its own."""
    if shared_out(part, parts):
        return
    done[part] += parts


@kernel
def add_up(part, parts, x, numbers, nothing, scale, flag, out):  # type: ignore[no-untyped-def]
    """Use arguments of every kind, after a while."""
    if shared_out(part, parts):
        return
    total = 0.0
    for _ in range(2000):
        for i in range(part, x.shape[0], parts):
            total += x[i, 0]
    out[part, 0] = total / 2000 * scale + numbers[0] * numbers[1][1] if flag and nothing is None else -1.0


@kernel
def meet(part, parts, arrived):  # type: ignore[no-untyped-def]
    """Wait until all parts have begun, or for very long."""
    if shared_out(part, parts):
        return
    pool.add(arrived, 0, 1)
    for _ in range(10**8):
        if pool.look(arrived, 0) >= parts:
            break
        pool.pause()
    else:
        pool.add(arrived, 1, 1)


@kernel
def fail(part, parts, where, done):  # type: ignore[no-untyped-def]
    """Raise in one part."""
    if shared_out(part, parts):
        return
    if part == where:
        raise MemoryError("no room")
    done[part] = 1


@pytest.fixture(autouse=True)
def _count() -> Iterator[None]:
    before = minidl.get_num_threads()
    yield
    minidl.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_each_part_is_done_once(threads: int, parts: int) -> None:
    minidl.set_num_threads(threads)
    done = np.zeros(parts, np.int64)
    for turn in range(1, 201):
        run(count, parts, done)
        assert (done == turn * parts).all()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_arguments_of_every_kind(threads: int) -> None:
    minidl.set_num_threads(threads)
    x = np.arange(60.0).reshape(12, 5).T[::-1].T[::2]  # strided
    out = np.zeros((3, 2))[:, ::2]
    run(add_up, 3, x, (2, (3, 4)), None, 0.5, True, out)
    np.testing.assert_allclose(out[:, 0], [x[part::3, 0].sum() / 2 + 8 for part in range(3)])


def test_threads_run_at_the_same_time() -> None:
    """Also after they have slept."""
    minidl.set_num_threads(3)
    for pause in (0, 0, 0.05, 0.2):
        time.sleep(pause)
        arrived = np.zeros(16, np.int64)
        run(meet, 3, arrived.ctypes.data)
        assert arrived[:2].tolist() == [3, 0]


def test_fewer_threads_than_before() -> None:
    done = np.zeros(64, np.int64)
    for turn, threads in enumerate([4, 2, 3, 1, 4] * 20):
        minidl.set_num_threads(threads)
        run(count, 64, done)
        assert (done == 64 * (turn + 1)).all()
    assert sum(thread.name.startswith("minidl-kernels-") for thread in threading.enumerate()) >= 3


def test_one_thread_starts_none() -> None:
    program = (
        "import minidl, threading, numpy as np\nfrom minidl.kernels.cpu import gemm\nminidl.set_num_threads(1)\n"
        "a = np.ones((300, 300), 'f4')\ngemm.matmul(a, a)\nprint(threading.active_count())"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("where", [0, 5, 11])
def test_an_error_reaches_the_caller_and_the_pool_survives(threads: int, where: int) -> None:
    minidl.set_num_threads(threads)
    done = np.zeros(12)
    with pytest.raises(MemoryError):
        run(fail, 12, where, done)
    done[:] = 0
    run(fail, 12, -1, done)
    assert done.all()


def test_several_callers_at_once() -> None:
    minidl.set_num_threads(3)
    failures: list[Any] = []

    def caller(number: int) -> None:
        for turn in range(500):
            parts = 2 + (number + turn) % 6
            done = np.zeros(parts, np.int64)
            run(count, parts, done)
            if (done != parts).any():
                failures.append((number, turn, done))

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(5)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes() -> None:
    program = """
import os, minidl, numpy as np
from minidl.kernels.cpu import gemm
minidl.set_num_threads(2)
a = np.ones((300, 300), "f4")
gemm.matmul(a, a)
child = os.fork()
if not child:
    os._exit(0 if gemm.matmul(a, a)[299, 299] == 300 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), gemm.matmul(a, a)[0, 0])
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout == "0 300.0\n", result.stderr


def test_a_process_ends_while_threads_wait() -> None:
    program = (
        "import minidl, numpy as np\nfrom minidl.kernels.cpu import gemm\nminidl.set_num_threads(4)\n"
        "a = np.ones((300, 300), 'f4')\nfor _ in range(20): gemm.matmul(a, a)\nprint('done')"
    )
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_idle_threads_use_no_processor() -> None:
    minidl.set_num_threads(3)
    run(count, 8, np.zeros(8, np.int64))
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_without_the_system_s_threads_the_caller_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, say."""
    monkeypatch.setattr(pool, "_pool", None)
    monkeypatch.setattr(pool.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(TypeError))
    minidl.set_num_threads(2)
    done = np.zeros(5, np.int64)
    run(count, 5, done)
    assert (done == 5).all()


def test_a_kernel_that_does_not_share_its_parts_out_is_refused() -> None:
    with pytest.raises(TypeError, match="kernel alone: begin it with `if shared_out"):

        @kernel
        def alone(part: int, parts: int) -> None:
            pass
