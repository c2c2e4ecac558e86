r"""The threads that kernels run on: kept, asleep when idle, and woken in a few microseconds.

A kernel is compiled code that releases the interpreter's lock, takes ``(part, parts, ...)`` and computes the share
``part`` of its independent outputs. Whoever is free claims the next part, the caller too::

    caller      part 0 ────────  part 3 ────────── ─┐
    worker 1      part 1 ───────────  part 4 ────── ├─> done       run(kernel, 5, x, y)
    worker 2         part 2 ───────────────────     ┘

A worker that comes too late, because its processor was busy with something else, finds nothing left to claim, and
nobody waits for it.

Why not OpenMP, or Numba's ``parallel=True``: idle threads of such pools spin, and steal the processors from NumPy's
own pool, which spins too; measured on two cores, a region of 16 us took 2,157 right after a matrix product, and a
product of 100 us in NumPy took 24,000 beside another process. A sleeping thread steals nothing, a forked child just
makes new ones, and several Python threads may call at once. Since every part computes outputs of its own, results do
not depend on the number of threads.
"""

from __future__ import annotations

import os
import threading
from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from minidl.errors import ArgumentError

__all__ = ["get_num_threads", "parts_for", "run", "set_num_threads"]


class Job:
    """A kernel's call, part by part."""

    def __init__(self, kernel: Callable[..., Any], parts: int, args: tuple[Any, ...]) -> None:
        self.kernel, self.parts, self.args = kernel, parts, args
        self.unclaimed = iter(range(parts))  # next() is atomic
        self.error: BaseException | None = None
        self._helpers: list[
            None
        ] = []  # one entry for each worker that came, and for each that went: appending is atomic
        self._gone: list[None] = []
        self._signal = allocate_lock()
        self._signal.acquire()

    def work(self) -> None:
        for part in self.unclaimed:
            self.kernel(part, self.parts, *self.args)

    def help(self) -> None:
        """Work as a worker does: it counts itself before it claims a part, so that the caller waits for it."""
        self._helpers.append(None)
        try:
            self.work()
        except BaseException as error:
            self.error = error
        self._gone.append(None)
        with suppress(RuntimeError):  # signalled already
            self._signal.release()

    def wait(self) -> None:
        """Return once nobody works on it, however often Ctrl-C is pressed: kernels write into the caller's arrays."""
        interrupt = None
        while True:
            try:
                for _ in self.unclaimed:  # some are left only after an error
                    pass
                while len(self._gone) < len(self._helpers):
                    self._signal.acquire()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


class Worker:
    """A thread that sleeps until it is offered a job."""

    def __init__(self, number: int) -> None:
        self._job: Job | None = None
        self._wake = allocate_lock()
        self._wake.acquire()
        threading.Thread(target=self._work, name=f"minidl-kernels-{number}", daemon=True).start()

    def offer(self, job: Job) -> None:
        self._job = job  # in place of one that another Python thread offered, and does without its help
        with suppress(RuntimeError):  # awake already
            self._wake.release()

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            job, self._job = self._job, None
            if job is not None:
                job.help()
            del job  # a sleeping thread keeps no array alive


def run(kernel: Callable[..., Any], parts: int, *args: Any) -> None:
    """Call ``kernel(part, parts, *args)`` for each part, at the same time where there are threads for it.

    What a kernel raises, the caller gets, after all that was begun has ended.
    """
    if parts == 1 or get_num_threads() == 1:
        for part in range(parts):
            kernel(part, parts, *args)
        return
    job = Job(kernel, parts, args)
    helpers = min(parts, get_num_threads()) - 1
    while len(_workers) < helpers:
        _workers.append(Worker(len(_workers) + 1))
    for worker in _workers[:helpers]:
        worker.offer(job)
    try:
        job.work()
    finally:
        job.wait()
    if job.error is not None:
        raise job.error


def parts_for(work: float, least: float, each: int = 1) -> int:
    """Return in how many parts to cut ``work``, so that each has at least ``least`` of it (both in the same unit).

    Parameters
    ----------
    work : float
        How much there is: floating-point operations, elements or bytes.
    least : float
        How much outweighs waking a thread, about 15 us.
    each : int
        How many parts there may be for each thread: where cutting costs little, more of them let a thread take over
        from one that is slowed down.

    Returns
    -------
    int
        1 if there is one thread.
    """
    threads = get_num_threads()
    if threads == 1 or work < 2 * least:
        return 1
    return min(threads * each, int(work // least))


def set_num_threads(count: int) -> None:
    """Set on how many threads compiled kernels run, as the environment variable ``MINIDL_NUM_THREADS`` does.

    Results do not depend on it, to the bit. NumPy's own functions have a pool of their own, which it leaves alone:
    see ``OMP_NUM_THREADS``.

    Parameters
    ----------
    count : int
        At least 1. By default, as many as the processors that this process may use.

    Raises
    ------
    ArgumentError
        If it is not an integer from 1 up.

    Examples
    --------
    >>> import minidl
    >>> before = minidl.get_num_threads()
    >>> minidl.set_num_threads(1)
    >>> minidl.get_num_threads()
    1
    >>> minidl.set_num_threads(before)

    References
    ----------
    ``torch.set_num_threads``.
    """
    global _count
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ArgumentError(f"set_num_threads: expected an integer from 1 up, got {count!r}")
    _count = count


def get_num_threads() -> int:
    """Return on how many threads compiled kernels run.

    Returns
    -------
    int

    Raises
    ------
    ArgumentError
        If ``MINIDL_NUM_THREADS`` is set to something else than an integer from 1 up.

    Examples
    --------
    >>> import minidl
    >>> minidl.get_num_threads() >= 1
    True

    References
    ----------
    ``torch.get_num_threads``.
    """
    global _count
    if not _count:
        _count = _default_count()
    return _count


def _default_count() -> int:
    text = os.environ.get("MINIDL_NUM_THREADS", "").strip()
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise ArgumentError(f"MINIDL_NUM_THREADS: expected an integer from 1 up, got {text!r}")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget() -> None:
    """In a forked child, which has none of its parent's threads: start over."""
    _workers.clear()


_count = 0  # not asked for yet
_workers: list[Worker] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
