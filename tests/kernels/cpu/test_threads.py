"""The thread pool: every part once, errors, Ctrl-C, several callers, fork, and what sets its size."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import minidl
from minidl.errors import ArgumentError
from minidl.kernels.cpu import threads


@pytest.fixture(autouse=True)
def _count() -> Iterator[None]:
    before = minidl.get_num_threads()
    yield
    minidl.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_each_part_is_done_once(count: int, parts: int) -> None:
    minidl.set_num_threads(count)
    for _ in range(20):
        done: list[tuple[int, int]] = []
        threads.run(lambda part, parts, out: out.append((part, parts)), parts, done)
        assert sorted(done) == [(part, parts) for part in range(parts)]


def test_other_threads_help() -> None:
    minidl.set_num_threads(2)
    who: set[str] = set()

    def slow(part: int, parts: int) -> None:
        who.add(threading.current_thread().name)
        time.sleep(0.02)

    threads.run(slow, 10)
    assert len(who) == 2
    assert "minidl-kernels-1" in who


def test_one_thread_starts_none() -> None:
    program = "import minidl, threading\nfrom minidl.kernels.cpu import threads\nminidl.set_num_threads(1)\n"
    program += "threads.run(lambda part, parts: None, 3)\nprint(threading.active_count())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "1\n"


def test_an_error_reaches_the_caller_and_the_pool_survives() -> None:
    minidl.set_num_threads(2)
    started = threading.Event()

    def fail(part: int, parts: int, where: str) -> None:
        if (threading.current_thread() is threading.main_thread()) == (where == "caller"):
            started.set()
            raise ValueError(where)
        started.wait(10)

    for where in ("caller", "worker", "caller"):
        started.clear()
        with pytest.raises(ValueError, match=where):
            threads.run(fail, 2, where)
    done: list[int] = []
    threads.run(lambda part, parts: done.append(part), 4)
    assert sorted(done) == [0, 1, 2, 3]


def test_an_interrupt_waits_for_parts_that_write() -> None:
    minidl.set_num_threads(2)
    begun, ended = [], []

    def slow(part: int, parts: int) -> None:
        if threading.current_thread() is threading.main_thread():
            while not begun:
                time.sleep(0.001)
            raise KeyboardInterrupt
        begun.append(part)
        time.sleep(0.1)
        ended.append(part)

    with pytest.raises(KeyboardInterrupt):
        threads.run(slow, 2)
    assert begun == ended


def test_several_callers_at_once() -> None:
    minidl.set_num_threads(3)
    failures: list[Any] = []

    def caller(number: int) -> None:
        for turn in range(200):
            done: list[int] = []
            threads.run(lambda part, parts, out: out.append(part), 1 + (number + turn) % 6, done)
            if sorted(done) != list(range(1 + (number + turn) % 6)):
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


def test_no_array_outlives_its_call() -> None:
    minidl.set_num_threads(2)

    class Held:
        alive = 0

        def __init__(self) -> None:
            Held.alive += 1

        def __del__(self) -> None:
            Held.alive -= 1

    threads.run(lambda part, parts, held: time.sleep(0.01), 4, Held())
    deadline = time.monotonic() + 5
    while Held.alive and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not Held.alive


def test_parts_for() -> None:
    minidl.set_num_threads(4)
    assert [threads.parts_for(work, 10) for work in (0, 9, 19, 20, 35, 1e9)] == [1, 1, 1, 2, 3, 4]
    assert [threads.parts_for(work, 10, each=2) for work in (19, 65, 1e9)] == [1, 6, 8]
    minidl.set_num_threads(1)
    assert threads.parts_for(1e9, 10, each=4) == 1


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True, None])
def test_a_wrong_count_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"set_num_threads: expected an integer from 1 up"):
        minidl.set_num_threads(wrong)


@pytest.mark.parametrize(("text", "count"), [("3", 3), (" 2 ", 2), ("", None)])
def test_the_environment_sets_the_count(monkeypatch: pytest.MonkeyPatch, text: str, count: int | None) -> None:
    monkeypatch.setenv("MINIDL_NUM_THREADS", text)
    monkeypatch.setattr(threads, "_count", 0)
    assert minidl.get_num_threads() == (count or threads._default_count())


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_a_wrong_environment_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MINIDL_NUM_THREADS", text)
    monkeypatch.setattr(threads, "_count", 0)
    with pytest.raises(ArgumentError, match=r"MINIDL_NUM_THREADS: expected an integer from 1 up"):
        minidl.get_num_threads()
    monkeypatch.undo()
