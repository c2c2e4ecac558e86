"""Measure rows: a process for each framework, in turns, and never two at once.

A framework's threads go on spinning for a while after their work, and would take the processor from whoever comes
next: where the system can stop a process, a worker is stopped whenever it is not its turn.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.frameworks import FRAMEWORKS
from benchmarks.rows import Row

ROOT = Path(__file__).parents[1]
STOPS = hasattr(signal, "SIGSTOP")


class BenchmarkError(RuntimeError):
    """A framework could not run a row."""


@dataclass(frozen=True)
class Settings:
    """How long and how often to measure."""

    rounds: int = 7
    seconds: float = 0.5
    threads: int = 2
    quick: bool = False
    timeout: float = 600.0
    device: str = "cpu"


class Process:
    """The far end of the pipes to ``worker.py``."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], timeout: float) -> None:
        self.timeout = timeout
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        self.hello = self._read()
        self._pause()

    @classmethod
    def of(cls, framework: str, settings: Settings) -> Process:
        """Start a framework's worker."""
        command = [sys.executable, "-m", "benchmarks.worker", framework, str(settings.threads), settings.device]
        return cls(command, FRAMEWORKS[framework].environment, settings.timeout)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        try:
            if STOPS:
                self.process.send_signal(signal.SIGCONT)
            print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
        except OSError as error:
            raise BenchmarkError(f"the process ended (status {self.process.wait()})") from error
        answer = self._read()
        self._pause()
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()  # type: ignore[union-attr]
            except OSError:  # what it had not read yet
                continue

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(self.timeout, give_up)
        timer.start()
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        timer.cancel()
        if not line:
            status = self.process.wait()
            self.close()
            raise BenchmarkError(
                f"no answer within {self.timeout:g} s" if late.is_set() else f"the process ended (status {status})"
            )
        answer = json.loads(line)
        if "error" in answer:
            self._pause()
            raise BenchmarkError(answer["error"])
        return answer

    def _pause(self) -> None:
        if STOPS:
            self.process.send_signal(signal.SIGSTOP)


def summary(bursts: Sequence[Sequence[float]], first: float) -> dict[str, Any]:
    """Return the median of the bursts' medians, and their quartiles; in seconds, as are all times."""
    medians = [statistics.median(times) for times in bursts]
    low, _, high = statistics.quantiles(medians, n=4, method="inclusive") if len(medians) > 1 else medians * 3
    return {
        "value": statistics.median(medians),
        "low": low,
        "high": high,
        "least": min(min(times) for times in bursts),
        "calls": sum(len(times) for times in bursts),
        "bursts": medians,
        "first": first,
    }


def measure(row: Row, workers: Mapping[str, Process], settings: Settings) -> tuple[dict[str, Any], dict[str, str]]:
    """Return each framework's figures for a row, and why others have none."""
    results, failed = {}, {}
    first: dict[str, float] = {}
    bursts: dict[str, list[list[float]]] = {}
    for name in row.sides:
        if name in workers:
            try:
                first[name] = workers[name].ask("prepare", row=row.name)["first"]
                bursts[name] = []
            except BenchmarkError as error:
                failed[name] = str(error)
    for turn in range(settings.rounds):
        for name in in_turn(list(bursts), turn):
            try:
                bursts[name].append(workers[name].ask("burst", seconds=settings.seconds)["times"])
            except BenchmarkError as error:
                failed[name] = str(error)
                del bursts[name]
    for name, taken in bursts.items():
        results[name] = summary(taken, first[name])
    return results, failed


def measure_processes(row: Row, names: Sequence[str], settings: Settings) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the figures of a row whose every value takes a process of its own."""
    values: dict[str, list[list[float]]] = {name: [] for name in row.sides if name in names}
    failed = {}
    for turn in range(1 if settings.quick else min(settings.rounds, 3)):
        for name in in_turn(list(values), turn):
            try:
                values[name].append([row.sides[name](settings.quick)])
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
                del values[name]
    return {name: summary(taken, taken[0][0]) for name, taken in values.items()}, failed


def in_turn(names: list[str], turn: int) -> list[str]:
    """Return the names in an order that lets none always go after the same one."""
    start = turn % len(names) if names else 0
    rotated = names[start:] + names[:start]
    return rotated[::-1] if turn % 2 else rotated
