"""Worker threads that load batches ahead of the loop that uses them.

Threads, not processes: NumPy, file reading and decompression let go of the interpreter's lock, nothing has to be
pickled, and a process forked after OpenMP started may abort.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from minidl.errors import DataError

PREFIX = "minidl-loader"


class Task:
    """One call to make in a worker, and what came of it."""

    __slots__ = ("argument", "done", "error", "value")

    def __init__(self, argument: Any) -> None:
        self.argument = argument
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.value: Any = None

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised, with the worker's traceback."""
        if self.error is None:
            return self.value
        try:
            raise self.error
        finally:
            self.error = None  # the traceback holds this frame: without this line the two would keep each other alive


def _work(call: Callable[[Any], Any], tasks: SimpleQueue[Task | None]) -> None:
    while (task := tasks.get()) is not None:
        try:
            task.value = call(task.argument)
        except BaseException as error:
            task.error = error
        task.done.set()
        del task  # while waiting for the next one, keep no batch alive


def ordered(
    call: Callable[[Any], Any], arguments: Iterator[Any], workers: int, ahead: int, timeout: float = 0
) -> Generator[Any, None, None]:
    """Yield ``call(argument)`` for each argument, in their order, computed by threads at most ``ahead`` results early.

    The arguments are drawn in the caller's thread. However the loop ends (with the last argument, by an error, by
    ``break``), the threads are told to stop and waited for.

    Parameters
    ----------
    call : callable
    arguments : iterator
    workers : int
        The number of threads.
    ahead : int
        How many calls may be started before their results are asked for.
    timeout : float
        Seconds to wait for one result; 0 waits for as long as it takes.

    Raises
    ------
    DataError
        If a result takes longer than ``timeout``. That thread can't be stopped: it ends with what it is doing.
    """
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    threads = [
        threading.Thread(target=_work, args=(call, tasks), name=f"{PREFIX}-{i}", daemon=True) for i in range(workers)
    ]
    pending: deque[Task] = deque()

    def start_another() -> None:
        for argument in arguments:
            task = Task(argument)
            pending.append(task)
            tasks.put(task)
            return

    stuck = False
    try:
        for thread in threads:
            thread.start()
        for _ in range(ahead):
            start_another()
        number = 0
        while pending:
            task = pending.popleft()
            if not task.done.wait(timeout or None):
                stuck = True
                raise DataError(
                    f"DataLoader: batch {number} was not there after timeout={timeout:g} seconds; raise the timeout, "
                    "or find what the dataset waits for"
                )
            result = task.result()
            start_another()
            yield result
            number += 1
    finally:
        with suppress(Empty):
            while True:
                tasks.get_nowait()  # nobody wants these any more
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            # a generator nobody holds may be closed by the garbage collector, which may run in one of its own workers
            if not stuck and thread.is_alive() and thread is not threading.current_thread():
                thread.join()
