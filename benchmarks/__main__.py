"""Time what minidl does beside what its peers do: each in a process of its own, in turns of short bursts.

A peer that is not installed is left out, and named. The table is printed; `RESULTS.md`, `results.json` and
`results.png` are written too, and rows that were not measured this time keep their last figures there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import catalogue, gpu, harness, report
from benchmarks.frameworks import FRAMEWORKS, processors


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="rows or groups to measure, * for any part")
    made.add_argument("--list", action="store_true", help="print the names of the rows, and end")
    made.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS), metavar="NAME")
    made.add_argument("--rounds", type=int, default=7, help="bursts of each framework (default: 7)")
    made.add_argument("--seconds", type=float, default=0.5, help="time of a burst (default: 0.5)")
    made.add_argument("--threads", type=int, default=processors(), help="of each framework (default: one a processor)")
    made.add_argument("--out", type=Path, help="where to write (default: beside this file; with --quick nowhere)")
    made.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where to measure (default: cpu)")
    made.add_argument(
        "--quick", action="store_true", help="run each row once, to see that it runs; the times say little"
    )
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    command = parser()
    arguments = command.parse_args(argv)
    if arguments.rounds < 1 or arguments.seconds < 0 or arguments.threads < 1:
        command.error("expected --rounds and --threads of at least 1, and --seconds of at least 0")
    try:
        chosen = catalogue.select(arguments.rows, arguments.device)
    except ValueError as error:
        command.error(str(error))
    if arguments.list:
        print("\n".join(f"{row.name:28} {row.title}" for rows in chosen.values() for row in rows))
        return
    lacking = gpu.missing() if arguments.device == "gpu" else ""
    if lacking:
        print(f"nothing was measured: {lacking}")
        return
    rounds, seconds = (1, 0.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    settings = harness.Settings(rounds, seconds, arguments.threads, arguments.quick, device=arguments.device)
    place, results = run(chosen, arguments.frameworks, settings)
    folder = arguments.out or (None if arguments.quick else Path(__file__).parent)
    if folder is not None:
        rows = report.write(folder, place, results)
        if importlib.util.find_spec("matplotlib") is None:
            print("no picture: matplotlib is not installed (pip install 'minidl[bench]')")
        else:
            importlib.import_module("benchmarks.picture").draw(rows, folder / "results.png")
        print(f"written to {folder.resolve()}")


def run(
    chosen: dict[str, list[catalogue.Row]], frameworks: Sequence[str], settings: harness.Settings
) -> tuple[dict[str, Any], list[report.Result]]:
    """Measure the rows, a group at a time; return the environment and each row's entry."""
    present, missing = available([name for name in frameworks if settings.device in FRAMEWORKS[name].devices])
    hellos: dict[str, dict[str, Any]] = {}
    results = []
    for group, rows in chosen.items():
        with contextlib.ExitStack() as stack:
            workers = {}
            if any(row.unit == "time" for row in rows):
                workers = start(stack, needed(rows, present), settings, missing)
                hellos |= {name: worker.hello for name, worker in workers.items()}
            for row in rows:
                progress(row.name)
                if row.unit == "time":
                    figures, failed = harness.measure(row, workers, settings)
                else:
                    figures, failed = harness.measure_processes(row, present, settings)
                results.append(report.result(row, group, 0, figures, failed))
        progress("")
        print(f"\n{catalogue.GROUPS[group][0]}\n\n{report.table(results[-len(rows) :])}", flush=True)
    shown = {"rounds": settings.rounds, "seconds": settings.seconds}
    place = report.environment(present, hellos, missing, shown)
    print(f"\n{report.described(place)}")
    for entry in results:
        for name, reason in entry["skipped"].items():
            print(f"could not run: {entry['name']}, {FRAMEWORKS[name].label}: {reason}")
    return place, results


def available(frameworks: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the frameworks that are installed, and why others are left out."""
    reasons = {name: FRAMEWORKS[name].missing() for name in frameworks}
    missing = {name: reason for name, reason in reasons.items() if reason}
    return [name for name in frameworks if name not in missing], missing


def needed(rows: Sequence[catalogue.Row], present: Sequence[str]) -> list[str]:
    """Return which frameworks have a side in any of the rows."""
    return [name for name in present if any(name in row.sides for row in rows)]


def start(
    stack: contextlib.ExitStack, names: Sequence[str], settings: harness.Settings, missing: dict[str, str]
) -> dict[str, harness.Process]:
    """Start a worker for each framework; one that cannot load is left out, and named."""
    workers = {}
    for name in names:
        try:
            workers[name] = stack.enter_context(harness.Process.of(name, settings))
        except harness.BenchmarkError as error:
            missing[name] = f"its process did not start: {error}"
    return workers


def progress(name: str) -> None:
    """Show on a terminal which row is being measured."""
    if sys.stderr.isatty():
        print(f"\r\033[K{name}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
