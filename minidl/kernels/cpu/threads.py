"""On how many threads kernels run. What they run on, and how they share their work, is in ``pool``."""

from __future__ import annotations

import os

from minidl.errors import ArgumentError

__all__ = ["get_num_threads", "parts_for", "set_num_threads"]


def parts_for(work: float, least: float, each: int = 1) -> int:
    """Return in how many parts to cut ``work``, so that each has at least ``least`` of it (both in the same unit).

    Parameters
    ----------
    work : float
        How much there is: floating-point operations, elements or bytes.
    least : float
        How much outweighs handing a part to another thread, 5 to 15 us.
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


_count = 0  # not asked for yet
