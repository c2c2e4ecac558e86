"""Micro-batching: who shares a forward pass, and who does not suffer for whom."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.serve.batching import Batcher
from minidl.serve.problems import Problem
from tests.serve.live import run


class Recorder:
    """Doubles what it gets, and remembers the batches; refuses negative numbers."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.seconds = seconds
        self.go, self.begun = threading.Event(), threading.Event()
        self.go.set()

    async def has_begun(self) -> None:
        """Wait until a forward pass has."""
        assert await asyncio.to_thread(self.begun.wait, 10)

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        self.begun.set()
        assert self.go.wait(10)
        time.sleep(self.seconds)
        self.batches.append(len(arrays[0]))
        self.threads.add(threading.current_thread().name)
        if (arrays[0] < 0).any():
            raise ValueError("negative")
        return [2 * arrays[0], arrays[0].sum(axis=tuple(range(1, arrays[0].ndim)))]


def row(*values: float) -> list[np.ndarray]:
    return [np.array([values], np.float32)]


async def together(batcher: Batcher, *items: list[np.ndarray]) -> list[Any]:
    return await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)


def test_what_waits_runs_together_and_everybody_gets_their_own() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=8)
    recorder.go.clear()

    async def scenario() -> list[Any]:
        first = asyncio.create_task(batcher.submit(row(-0.0)))
        await recorder.has_begun()
        others = asyncio.create_task(together(batcher, *(row(i, i + 0.5) for i in range(20))))
        await asyncio.sleep(0.05)
        recorder.go.set()
        await first
        return await others

    answers = run(scenario())
    batcher.close()
    assert recorder.batches == [1, 8, 8, 4]
    assert recorder.threads == {"minidl-forward"}
    for i, (doubled, summed) in enumerate(answers):
        np.testing.assert_array_equal(doubled, [[2 * i, 2 * i + 1]])
        np.testing.assert_array_equal(summed, [2 * i + 0.5])


def test_one_that_fails_fails_alone() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=8)
    recorder.go.clear()

    async def scenario() -> list[Any]:
        task = asyncio.create_task(together(batcher, row(1), row(2), row(-3), row(4)))
        await asyncio.sleep(0.05)
        recorder.go.set()
        return await task

    answers = run(scenario())
    batcher.close()
    assert isinstance(answers[2], ValueError)
    assert [float(answers[i][1][0]) for i in (0, 1, 3)] == [1, 2, 4]


def test_other_shapes_do_not_share_a_batch() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=8)
    recorder.go.clear()

    async def scenario() -> list[Any]:
        first = asyncio.create_task(batcher.submit(row(0)))
        await recorder.has_begun()
        task = asyncio.create_task(together(batcher, row(1), row(1, 2), row(3), row(3, 4)))
        await asyncio.sleep(0.05)
        recorder.go.set()
        await first
        return await task

    answers = run(scenario())
    batcher.close()
    assert recorder.batches == [1, 2, 2]
    assert [float(answer[1][0]) for answer in answers] == [1, 3, 3, 7]


def test_a_batch_of_one_is_the_off_switch() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=1)
    answers = run(together(batcher, *(row(i) for i in range(6))))
    batcher.close()
    assert recorder.batches == [1] * 6
    assert [float(answer[1][0]) for answer in answers] == list(range(6))


def test_a_request_of_many_rows_is_computed_in_pieces() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=4)
    rows = np.arange(10, dtype=np.float32)[:, None]
    doubled, _ = run(batcher.submit([rows]))
    batcher.close()
    assert recorder.batches == [4, 4, 2]
    np.testing.assert_array_equal(doubled, 2 * rows)


def test_the_queue_has_an_end() -> None:
    recorder, waiting = Recorder(), []
    batcher = Batcher(recorder, max_batch=1, max_queue=3, waiting=waiting.append)
    recorder.go.clear()

    async def scenario() -> tuple[list[Any], list[Any]]:
        first = asyncio.create_task(batcher.submit(row(0)))
        await recorder.has_begun()
        waits = asyncio.create_task(together(batcher, *(row(i) for i in range(3))))
        await asyncio.sleep(0.05)
        refused = await together(batcher, row(9), row(9))
        recorder.go.set()
        return [await first, *await waits], refused

    answers, refused = run(scenario())
    batcher.close()
    assert all(isinstance(answer, list) for answer in answers)
    for problem in refused:
        assert isinstance(problem, Problem)
        assert (problem.status, dict(problem.headers)) == (503, {b"retry-after": b"1"})
    assert max(waiting) == 3
    assert waiting[-1] == 0


def test_a_request_larger_than_the_queue_is_computed_if_nobody_waits() -> None:
    batcher = Batcher(Recorder(), max_batch=4, max_queue=2)
    (doubled, _) = run(batcher.submit([np.ones((9, 1), np.float32)]))
    batcher.close()
    assert doubled.shape == (9, 1)


def test_who_gave_up_is_not_computed() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=4)
    recorder.go.clear()

    async def scenario() -> Any:
        first = asyncio.create_task(batcher.submit(row(0)))
        await recorder.has_begun()
        gone = asyncio.create_task(batcher.submit(row(-1)))
        stays = asyncio.create_task(batcher.submit(row(2)))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0)
        recorder.go.set()
        await first
        return await stays

    run(scenario())
    batcher.close()
    assert recorder.batches == [1, 1]


def test_the_event_loop_goes_on_during_a_forward_pass() -> None:
    batcher = Batcher(Recorder(seconds=0.3))

    async def scenario() -> int:
        task = asyncio.create_task(batcher.submit(row(1)))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks

    assert run(scenario()) > 3  # were it blocked, there would be one
    batcher.close()


def test_closing_computes_what_waits_and_can_be_undone() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_batch=2, max_wait=0.5)

    async def scenario() -> list[Any]:
        answers = await together(batcher, row(1), row(2), row(3))
        task = asyncio.create_task(together(batcher, row(4)))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(batcher.close)
        return answers + await task + await together(batcher, row(5))

    assert [float(answer[1][0]) for answer in run(scenario())] == [1, 2, 3, 4, 5]
    batcher.close()


@pytest.mark.parametrize(("name", "value"), [("max_batch", 0), ("max_wait", -1), ("max_queue", 0)])
def test_sizes_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: expected at least"):
        Batcher(Recorder(), **{name: value})
