"""A process that holds one framework and does as it is told: ``python -m benchmarks.worker FRAMEWORK THREADS DEVICE``.

It reads a request a line, in JSON, and answers each with a line:

    (start)                                  -> {"threads": 2, "seconds": 1.9}
    {"do": "prepare", "row": "002-cnn-step"} -> {"first": 0.8}     the call made, and made once: compile time and all
    {"do": "burst", "seconds": 0.5}          -> {"times": [...]}   seconds of each call
    anything that fails                      -> {"error": "..."}

What a framework prints goes to stderr, so that it cannot come between the answers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from benchmarks import gpu
from benchmarks.catalogue import find
from benchmarks.frameworks import FRAMEWORKS, processors, use_threads
from benchmarks.rows import Call

SHORT = 50e-6  # shorter calls are timed several at once: the clock, and Python's loop, cost a tenth of a microsecond


def clock(call: Call, times: int) -> float:
    """Return the seconds of a call, made so many times."""
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


def burst(call: Call, seconds: float, timed: Callable[[Call, int], float] = clock, least: float = SHORT) -> list[float]:
    """Return the seconds of each call, made for so long, and at least once, after a tenth of the time to warm up."""
    warm = time.perf_counter() + seconds / 10
    while True:
        took = timed(call, 1)
        if time.perf_counter() >= warm:
            break
    together = max(1, int(least / max(took, 1e-8))) if seconds else 1
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        times.append(timed(call, together))
    return times


class Worker:
    """What answers the requests."""

    def __init__(self, framework: str, device: str = "cpu") -> None:
        self.framework = framework
        self.clock, self.least = (gpu.clock(framework), gpu.LEAST) if device == "gpu" else (clock, SHORT)
        self.call: Call = lambda: None

    def prepare(self, row: str) -> dict[str, Any]:
        """Make a row's call, and make it once."""
        self.call = lambda: None  # lets go of the last row's arrays
        self.call = find(row).sides[self.framework]()
        started = time.perf_counter()
        self.call()
        return {"first": time.perf_counter() - started}

    def burst(self, seconds: float) -> dict[str, Any]:
        """Time the row's calls."""
        return {"times": burst(self.call, seconds, self.clock, self.least)}

    def answer(self, line: str) -> dict[str, Any]:
        """Do what a request says."""
        request = json.loads(line)
        try:
            actions: dict[str, Callable[..., dict[str, Any]]] = {"prepare": self.prepare, "burst": self.burst}
            return actions[request.pop("do")](**request)
        except Exception as error:  # whatever it is, it goes into the table, and the other rows are measured
            return {"error": f"{type(error).__name__}: {error}".strip().splitlines()[0]}


def start(framework: str, threads: int, device: str = "cpu") -> dict[str, Any]:
    """Load the framework and say what it is."""
    if hasattr(os, "sched_setaffinity") and threads < processors():
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # JAX and OpenBLAS take all they may use
    started = time.perf_counter()
    package = FRAMEWORKS[framework].load()
    seconds = time.perf_counter() - started
    used = use_threads(framework, package, threads)
    card = {"card": gpu.use(framework)} if device == "gpu" else {}
    return {"threads": used, "seconds": seconds, **card}


def private_stdout() -> TextIO:
    """Return what was stdout, and turn stdout into stderr."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


def main() -> None:
    """Answer until there are no more requests."""
    replies = private_stdout()

    def reply(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=replies, flush=True)

    framework, threads, device = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    reply(start(framework, threads, device))
    worker = Worker(framework, device)
    for line in sys.stdin:
        reply(worker.answer(line))


if __name__ == "__main__":
    main()
