"""What the examples print and draw while they train, so that their own pages hold nothing but the training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from minidl._tensor import Tensor
from minidl.training.metrics import classification_report


class Example(NamedTuple):
    """One example of the documents: what it shows, and ``run(report, epochs, seed)``."""

    title: str
    run: Callable[..., None]
    epochs: int = 10


@dataclass
class Log:
    """What one training run measured, epoch by epoch.

    Attributes
    ----------
    name : str
        The setting it was trained with.
    goal : float
        The accuracy to reach in as many epochs as the example has.
    losses, accuracies, seconds : list of float
        One an epoch: mean loss of its batches, accuracy on unseen data, time of training alone.
    predictions : numpy.ndarray
        The labels predicted after the last epoch.
    """

    name: str
    epochs: int
    goal: float
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    predictions: Any = None
    _batch_losses: list[float] = field(default_factory=list)

    def batches(self, loader: Any) -> Iterator[Any]:
        """Yield the batches of one epoch behind a progress bar, and time them."""
        self._batch_losses = []
        number = len(self.losses) + 1
        # a bar in a terminal and in a notebook; nothing in a log file
        silent = not sys.stderr.isatty() and "ipykernel" not in sys.modules
        started = time.perf_counter()
        yield from tqdm(loader, f"epoch {number}/{self.epochs}", leave=False, disable=silent, unit="batch")
        self.seconds.append(time.perf_counter() - started)

    def loss(self, value: float) -> None:
        """Note the loss of one batch."""
        self._batch_losses.append(value)

    def epoch(self, predictions: Sequence[Tensor], targets: Tensor) -> None:
        """Note and print how an epoch went, given the labels predicted for unseen data, batch by batch."""
        self.predictions = np.concatenate([labels.numpy() for labels in predictions])
        self.losses.append(float(np.mean(self._batch_losses)))
        self.accuracies.append(float((self.predictions == targets.numpy()).mean()))
        print(
            f"epoch {len(self.losses):>2}/{self.epochs}  loss {self.losses[-1]:.4f}  "
            f"accuracy {self.accuracies[-1]:.4f}  {self.seconds[-1]:.1f} s",
            flush=True,
        )


class Report:
    """The runs of one example, its tables and its picture.

    Parameters
    ----------
    name : str
        The example's.
    out : Path
        The folder that pictures are written to; it is made if need be.
    full : int
        How many epochs the example's goals are for.
    """

    def __init__(self, name: str, out: Path, full: int) -> None:
        self.name = name
        self.out = out
        self.full = full
        self.logs: list[Log] = []

    def start(self, name: str, epochs: int, goal: float) -> Log:
        """Begin a run."""
        print(f"\n{self.name}: {name}", flush=True)
        self.logs.append(Log(name, epochs, goal))
        return self.logs[-1]

    def classes(self, targets: Tensor) -> None:
        """Print precision, recall and F1 of each class, for the last run."""
        last = self.logs[-1]
        print(f"\n{self.name}: {last.name}, on {targets.shape[0]:,} unseen samples")
        print(classification_report(last.predictions, targets))

    def picture(self, images: Tensor, targets: Tensor) -> None:
        """Draw the curves of every run, and the images (N, 1, H, W) that the last one got wrong."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            print("no picture: matplotlib is not installed; pip install 'minidl[viz]' for pictures")
            return
        figure = Figure(figsize=(11, 8), layout="constrained")
        halves: Any = figure.subfigures(2, 1, height_ratios=(4, 5), hspace=0.04)
        draw_curves(halves[0], self.logs)
        draw_mistakes(halves[1], self.logs[-1], images.numpy(), targets.numpy())
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{self.name}.png"
        figure.savefig(path, dpi=120)
        print(f"picture: {path}")


def draw_curves(figure: Any, logs: Iterable[Log]) -> None:
    """Draw loss and accuracy over the epochs, a colour a run."""
    left, right = figure.subplots(1, 2)
    for log in logs:
        epochs = range(1, len(log.losses) + 1)
        left.plot(epochs, log.losses, marker="o", markersize=4, label=log.name)
        right.plot(epochs, log.accuracies, marker="o", markersize=4, label=f"{log.name}: {log.accuracies[-1]:.3f}")
    left.set(title="training loss", xlabel="epoch", ylim=(0, None))
    right.set(title="accuracy on unseen data", xlabel="epoch", ylim=(0, 1.02))
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)


def draw_mistakes(figure: Any, log: Log, images: np.ndarray, targets: np.ndarray) -> None:
    """Draw images with a wrong prediction, three rows of ten, each under what it was taken for and what it is."""
    wrong = np.flatnonzero(log.predictions != targets)
    grid = figure.subplots(3, 10).ravel()
    shown = wrong[: len(grid)]
    figure.suptitle(
        f"{log.name}: {len(wrong)} mistakes in {len(targets):,} unseen samples, here {len(shown)} of them\n"
        "predicted (true)",
        fontsize="medium",
    )
    for axes in grid:
        axes.axis("off")
    for axes, i in zip(grid, shown, strict=False):
        axes.imshow(images[i, 0], cmap="gray_r")
        axes.set_title(f"{log.predictions[i]} ({targets[i]})", fontsize="small", pad=3)


def results(reports: Iterable[Report]) -> str:
    """Return the table of what every run reached."""
    rows = [("example", "setting", "epochs", "loss", "accuracy", "goal", "time")]
    for report in reports:
        for log in report.logs:
            rows.append(
                (
                    report.name,
                    log.name,
                    str(len(log.losses)),
                    f"{log.losses[-1]:.4f}",
                    f"{log.accuracies[-1]:.4f}",
                    f"{log.goal:.2f} in {report.full} epochs",
                    f"{sum(log.seconds):.0f} s",
                )
            )
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines with aligned columns, a rule below the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])
