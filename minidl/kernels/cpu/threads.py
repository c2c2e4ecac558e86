r"""The threads that kernels run on: kept, asleep when idle, and handed their share in a few microseconds.

A kernel is compiled code that releases the interpreter's lock, takes ``(part, parts, ...)`` and computes the share
``part`` of its independent outputs::

    caller        part 0 ──────────────┐
    worker 1      part 1 ───────────┐  │      run(kernel, 3, x, y)
    worker 2      part 2 ─────────┐ │  │
                                  wait ┴─> done

Why not OpenMP, or Numba's ``parallel=True``: idle threads of such pools spin, and steal the processors from NumPy's
own pool, which spins too; measured on two cores, a region of 16 us took 2,157 right after a matrix product. A
sleeping thread steals nothing, a forked child just makes new ones, and any number of Python threads may call at once:
whoever finds the pool taken does all parts itself. Since every part computes outputs of its own, results do not depend
on the number of threads.
"""

from __future__ import annotations

import os
import threading
from _thread import allocate_lock
from collections.abc import Callable
from typing import Any

from minidl.errors import ArgumentError

__all__ = ["get_num_threads", "parts_for", "run", "set_num_threads"]


class Worker:
    """A thread that sleeps until it is handed a part, and says when it is done."""

    def __init__(self, number: int) -> None:
        self.job: tuple[Callable[..., Any], int, int, tuple[Any, ...]] | None = None
        self.error: BaseException | None = None
        self._wake = allocate_lock()
        self._done = allocate_lock()
        self._wake.acquire()
        self._done.acquire()
        threading.Thread(target=self._work, name=f"minidl-kernels-{number}", daemon=True).start()

    def start(self, kernel: Callable[..., Any], part: int, parts: int, args: tuple[Any, ...]) -> None:
        self.error = None
        self.job = kernel, part, parts, args
        self._wake.release()

    def wait(self) -> None:
        """Return once the part is done, however often Ctrl-C is pressed: it writes into arrays of the caller."""
        interrupt = None
        while self.job is not None:
            try:
                self._done.acquire()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            kernel, part, parts, args = self.job  # type: ignore[misc]
            try:
                kernel(part, parts, *args)
            except BaseException as error:
                self.error = error
            del kernel, args  # a sleeping thread keeps no array alive
            self.job = None
            if self._done.locked():  # (not if the caller saw that the job was gone, and did not wait)
                self._done.release()


def run(kernel: Callable[..., Any], parts: int, *args: Any) -> None:
    """Call ``kernel(part, parts, *args)`` for each part, at the same time where there are threads for it.

    What a kernel raises, the caller gets, after all parts have ended.
    """
    if parts == 1:
        kernel(0, 1, *args)
        return
    if not _taken.acquire(blocking=False):  # another Python thread is using the pool
        for part in range(parts):
            kernel(part, parts, *args)
        return
    try:
        while len(_workers) < parts - 1:
            _workers.append(Worker(len(_workers) + 1))
        workers = _workers[: parts - 1]
        for part, worker in enumerate(workers, 1):
            worker.start(kernel, part, parts, args)
        try:
            kernel(0, parts, *args)
        finally:
            for worker in workers:
                worker.wait()
        for worker in workers:
            if worker.error is not None:
                raise worker.error
    finally:
        _taken.release()


def parts_for(work: float, least: float) -> int:
    """Return in how many parts to cut ``work``, so that each has at least ``least`` of it (both in the same unit).

    Parameters
    ----------
    work : float
        How much there is: floating-point operations, elements or bytes.
    least : float
        How much outweighs waking a thread, about 10 us.

    Returns
    -------
    int
        From 1 to :func:`get_num_threads`.
    """
    return max(1, min(get_num_threads(), int(work // least)))


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
    global _workers, _taken
    _workers, _taken = [], allocate_lock()


_count = 0  # not asked for yet
_workers: list[Worker] = []
_taken = allocate_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
