"""The ratios as bars, and the cost against the size as curves: ``results.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.frameworks import FRAMEWORKS
from benchmarks.report import curves

COLOURS = {"minidl": "#1b6ca8", "minidl.keras": "#7fb2d6", "torch": "#d1495b", "keras": "#8d6a9f", "jax": "#3b8f5a"}


def draw(results: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw the rows into a file."""
    bars = [(entry, pair, ratio) for entry in results if not entry["series"] for pair, ratio in entry["ratios"].items()]
    lines = curves(results)
    height = max(3.0, 0.16 * len(bars) + 1.2, 2.6 * len(lines))
    figure = Figure((15 if bars and lines else 10, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1, bool(bars) + bool(lines) or 1, width_ratios=[3, 2] if bars and lines else None)
    if bars:
        draw_ratios(figure.add_subplot(grid[0, 0]), bars)
    if lines:
        parts = grid[0, -1].subgridspec(len(lines), 1)
        for at, (series, points) in enumerate(lines.items()):
            draw_curve(figure.add_subplot(parts[at, 0]), series, points)
    figure.savefig(file, dpi=110)


def draw_ratios(axes: Axes, bars: Sequence[tuple[dict[str, Any], str, float]]) -> None:
    """One bar a comparison; to the right of 1 minidl is ahead. A goal is a tick across its bar."""
    named: set[str] = set()
    for at, (entry, pair, ratio) in enumerate(bars):
        peer, own = pair.split(" / ")
        label = f"{FRAMEWORKS[peer].label} / {FRAMEWORKS[own].label}"
        hatch = "//" if own == "minidl.keras" else None
        shown = None if label in named else label
        named.add(label)
        axes.barh(at, ratio - 1, left=1, height=0.8, color=COLOURS[peer], hatch=hatch, edgecolor="white", label=shown)
        if peer in entry["goals"]:
            goal = entry["goals"][peer]
            axes.plot([goal, goal], [at - 0.45, at + 0.45], color="black", linewidth=1.5)
    axes.set_yticks(range(len(bars)), [entry["title"].replace("`", "") for entry, _, _ in bars], fontsize=7)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("peer / minidl (a black tick: the goal)")
    axes.legend(fontsize=7, loc="lower right")


def draw_curve(axes: Axes, series: str, points: dict[str, list[tuple[int, float]]]) -> None:
    """The time of one against how many there are."""
    for name, line in points.items():
        sizes, seconds = zip(*line, strict=True)
        axes.plot(sizes, [1e6 * value for value in seconds], "o-", color=COLOURS[name], label=FRAMEWORKS[name].label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(series.replace("`", ""), fontsize=9)
    axes.set_ylabel("us", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)
