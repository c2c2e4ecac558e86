"""Time a training step of each model in minidl and in PyTorch, in turns, and print the table of ``RESULTS.md``."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.steps import STEPS

FRAMEWORKS = ("minidl", "torch")


def measure(name: str, framework: str, seconds: float) -> list[float]:
    """Return the times of single steps, in microseconds, taken in a process that holds one framework alone."""
    command = [sys.executable, "-m", "benchmarks.steps", name, framework, str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout)


def processor() -> str:
    """Return the processor's name and how many of it there are."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which steps (default: all): {', '.join(STEPS)}")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each framework (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="time of a turn (default: 3)")
    arguments = parser.parse_args()
    print(f"{processor()}; {platform.system()} {platform.machine()}; Python {platform.python_version()}; ", end="")
    print("; ".join(f"{name} {metadata.version(name)}" for name in ("numpy", *FRAMEWORKS)))
    print("\n| step | minidl | PyTorch | PyTorch / minidl |\n|---|---|---|---|")
    for name in arguments.names or STEPS:
        rounds: dict[str, list[float]] = {framework: [] for framework in FRAMEWORKS}
        for turn in range(arguments.rounds):
            for framework in FRAMEWORKS[:: 1 if turn % 2 else -1]:  # neither always runs second
                rounds[framework].append(statistics.median(measure(name, framework, arguments.seconds)))
        cells = [f"{statistics.median(us):,.0f} us ({min(us):,.0f}-{max(us):,.0f})" for us in rounds.values()]
        ratio = statistics.median(rounds["torch"]) / statistics.median(rounds["minidl"])
        print(f"| {STEPS[name][0]} | {cells[0]} | {cells[1]} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
