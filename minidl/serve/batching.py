"""Micro-batching: requests that are in flight together share a forward pass.

Requests wait in a queue; one thread takes what has gathered, runs the model on all of it, and hands each request its
own rows. While it computes (compiled kernels and NumPy's products release the interpreter's lock) the event loop goes
on reading requests, and so the next batch gathers by itself::

    event loop   a ──┐   b c d ──┐       e f g h i ──┐
    thread           └─ [a] ─────┴─ [b c d] ─────────┴─ [e f g h i]

Only when the thread is idle may it be worth waiting for company, and then for ``max_wait`` at most. Someone who was
alone last time is expected to be alone again, and does not wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from minidl.errors import ArgumentError
from minidl.serve.problems import overloaded

Arrays = list[np.ndarray]


class Item(NamedTuple):
    """What one request wants computed."""

    arrays: Arrays
    rows: int
    kind: tuple[object, ...]  # dtypes and shapes of a row: only the same can share a batch
    arrived: float
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Arrays]


class Batcher:
    """The queue, and the thread that empties it.

    Parameters
    ----------
    run : callable
        Takes a list of arrays (N, ...), returns a list of arrays (N, ...). Called in the thread alone.
    max_batch : int
        Rows in a batch; 1 switches batching off.
    max_wait : float
        Seconds.
    max_queue : int
        Rows that may wait.
    waiting, ran : callable, optional
        Told the rows that wait, each time that they change; told rows and seconds of each batch.
    """

    def __init__(
        self,
        run: Callable[[Arrays], Arrays],
        max_batch: int = 32,
        max_wait: float = 0.002,
        max_queue: int = 1024,
        waiting: Callable[[int], None] = lambda rows: None,
        ran: Callable[[int, float], None] = lambda rows, seconds: None,
    ) -> None:
        for name, value, least in (("max_batch", max_batch, 1), ("max_wait", max_wait, 0), ("max_queue", max_queue, 1)):
            if not value >= least:
                raise ArgumentError(f"serve: {name}: expected at least {least}, got {value!r}")
        self.run = run
        self.max_batch, self.max_wait, self.max_queue = max_batch, max_wait, max_queue
        self._waiting, self._ran = waiting, ran
        self._queue: deque[Item] = deque()
        self._rows = 0
        self._had_company = False
        self._closed = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    async def submit(self, arrays: Arrays) -> Arrays:
        """Return the outputs for some rows.

        Parameters
        ----------
        arrays : list of array (N, ...)

        Raises
        ------
        Problem
            503 if too many rows wait already.
        """
        rows = len(arrays[0])
        kind = tuple((x.dtype, x.shape[1:]) for x in arrays)
        loop = asyncio.get_running_loop()
        item = Item(arrays, rows, kind, time.monotonic(), loop, loop.create_future())
        with self._change:
            if self._rows and self._rows + rows > self.max_queue:
                raise overloaded(f"{self._rows} samples are waiting already; try again in a second")
            self._queue.append(item)
            self._count(rows)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="minidl-forward", daemon=True)
                self._thread.start()
            self._change.notify()
        return await item.answer

    def close(self) -> None:
        """Compute what waits, and end the thread; a later :meth:`submit` starts another."""
        with self._change:
            thread, self._closed = self._thread, True
            self._change.notify()
        if thread is not None:
            thread.join()
        with self._change:
            self._thread, self._closed = None, False

    # ------------------------------------------------------------------ in the thread

    def _work(self) -> None:
        while True:
            batch = self._next()
            if not batch:
                return
            self._answer(batch)
            del batch  # a thread that sleeps keeps no image alive

    def _next(self) -> list[Item]:
        """Wait for a batch and take it off the queue; an empty one is the end."""
        with self._change:
            while not self._queue:
                if self._closed:
                    return []
                self._change.wait()
            if self._had_company:
                until = self._queue[0].arrived + self.max_wait
                while self._rows < self.max_batch and not self._closed:
                    left = until - time.monotonic()
                    if left <= 0:
                        break
                    self._change.wait(left)
            batch = self._take()
            self._had_company = len(batch) > 1 or bool(self._queue)
            return batch

    def _take(self) -> list[Item]:
        """Take the first item, and those like it that fit in with it, in order."""
        first = self._queue[0]
        taken: list[Item] = []
        left: list[Item] = []
        rows = 0
        for item in self._queue:
            if item is first or (item.kind == first.kind and rows + item.rows <= self.max_batch):
                taken.append(item)
                rows += item.rows
            else:
                left.append(item)
        self._queue = deque(left)
        self._count(-rows)
        return taken

    def _count(self, rows: int) -> None:
        self._rows += rows
        self._waiting(self._rows)

    def _answer(self, batch: Sequence[Item]) -> None:
        batch = [item for item in batch if not item.answer.cancelled()]  # those whose client or time is gone
        if not batch:
            return
        try:
            results: list[Arrays | Exception] = list(self._outputs(batch))
        except Exception as error:
            if len(batch) == 1:
                results = [error]
            else:  # one of them is to blame, and the others shall not suffer for it
                results = []
                for item in batch:
                    try:
                        results += self._outputs([item])
                    except Exception as own:
                        results.append(own)
        answers = [(item.answer, result) for item, result in zip(batch, results, strict=True)]
        for loop in {item.loop for item in batch}:
            of_loop = [pair for pair, item in zip(answers, batch, strict=True) if item.loop is loop]
            try:
                loop.call_soon_threadsafe(_deliver, of_loop)  # one waking of the loop for the whole batch
            except RuntimeError:  # the loop was closed meanwhile, and nobody waits any more
                continue

    def _outputs(self, batch: Sequence[Item]) -> list[Arrays]:
        """Run the model on items together, in pieces of ``max_batch`` rows, and cut the outputs apart again."""
        columns = zip(*(item.arrays for item in batch), strict=True)
        arrays = [column[0] if len(column) == 1 else np.concatenate(column) for column in columns]
        rows = len(arrays[0])
        pieces = []
        for start in range(0, rows, self.max_batch):
            piece = [x[start : start + self.max_batch] for x in arrays]
            started = time.perf_counter()
            pieces.append(self.run(piece))
            self._ran(len(piece[0]), time.perf_counter() - started)
        outputs = pieces[0] if len(pieces) == 1 else [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        ends = np.cumsum([item.rows for item in batch])
        return [[y[end - item.rows : end] for y in outputs] for item, end in zip(batch, ends.tolist(), strict=True)]


def _deliver(answers: Sequence[tuple[asyncio.Future[Arrays], Arrays | Exception]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
