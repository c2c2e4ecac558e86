"""What the examples draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: The numbers of a training, a list an epoch, by name: ``loss``, ``val_loss``, ...
Curves = Mapping[str, Sequence[float]]


def draw_digits(
    figure: Any, settings: Mapping[str, Curves], title: str, predictions: np.ndarray, images: Any, targets: np.ndarray
) -> None:
    """Draw the curves of each setting, and below them images that the last one got wrong."""
    curves, mistakes = figure.subfigures(2, 1, height_ratios=(4, 5), hspace=0.04)
    draw_curves(curves, settings)
    draw_mistakes(mistakes, title, predictions, images, targets)


def draw_curves(figure: Any, settings: Mapping[str, Curves]) -> None:
    """Draw loss and accuracy over the epochs: a colour a setting, dashes for the samples that it was trained with."""
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        lowest = 1.0
        for i, (setting, curves) in enumerate(settings.items()):
            kinds = {metric: ("training", "--", 0.6), f"val_{metric}": ("unseen", "-", 1.0)}
            for name in filter(curves.__contains__, kinds):
                kind, line, alpha = kinds[name]
                values, last = curves[name], f"{curves[name][-1]:.3f}"
                label = f"{setting}, {kind}: {last}" if setting else f"{kind} digits: {last}"
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, line, color=f"C{i}", alpha=alpha, marker="o", markersize=4, label=label)
                lowest = min(lowest, *values)
        axes.set(title=metric, xlabel="epoch")
        axes.set_ylim(*((0, None) if metric == "loss" else (math.floor(10 * lowest) / 10, 1.01)))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.legend()


def draw_mistakes(figure: Any, title: str, predictions: np.ndarray, images: Any, targets: np.ndarray) -> None:
    """Draw images with a wrong prediction, three rows of ten, each under what it was taken for and what it is."""
    wrong = np.flatnonzero(predictions != targets)
    grid = figure.subplots(3, 10).ravel()
    shown = wrong[: len(grid)]
    figure.suptitle(
        f"{title}: {len(wrong)} mistakes in {len(targets):,} unseen digits, here {len(shown)} of them\n"
        "predicted (true)",
        fontsize="medium",
    )
    side = math.isqrt(np.asarray(images[0]).size)
    for axes in grid:
        axes.axis("off")
    for axes, i in zip(grid, shown, strict=False):
        axes.imshow(np.reshape(images[i], (side, side)), cmap="gray_r")
        axes.set_title(f"{predictions[i]} ({targets[i]})", fontsize="small", pad=3)


def draw_regression(
    figure: Any,
    settings: Mapping[str, Curves],
    predictions: Mapping[str, np.ndarray],
    targets: np.ndarray,
    floor: float,
) -> None:
    """Draw the losses with the least that one output can reach, and what each network answers beside the targets."""
    left, right = figure.subplots(1, 2)
    for i, (setting, curves) in enumerate(settings.items()):
        losses = curves["loss"]
        left.semilogy(range(1, len(losses) + 1), losses, color=f"C{i}", label=f"{setting}: {losses[-1]:.2g}")
    left.axhline(floor, color="black", linestyle=":", label=f"{floor}: the least that one output can reach")
    left.set(title="loss", xlabel="epoch")
    samples = np.arange(1, len(targets) + 1)
    for column, values in enumerate(targets.T):
        label = "the two targets" if column == 0 else None
        right.scatter(samples, values, s=90, facecolors="none", edgecolors="black", label=label)
    for i, (setting, answers) in enumerate(predictions.items()):
        for column, values in enumerate(answers.T):
            marker = {"marker": "x", "label": setting if column == 0 else None, "color": f"C{i}"}
            right.scatter(samples, values, **marker)
    right.set(title="what it answers", xlabel="sample", xticks=samples)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
