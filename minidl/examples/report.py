"""What the examples print and check beside the training, so that their own pages hold nothing but the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidl.errors import StateError
from minidl.examples.pictures import draw_digits
from minidl.training.callbacks import History, ProgressBar
from minidl.training.metrics import classification_report


class Example(NamedTuple):
    """One example of the documents.

    Attributes
    ----------
    document : str
        The document's number, and the section where it has several examples.
    title : str
    run : callable
        ``run(report, epochs, seed)``.
    epochs, quick : int
        How long it trains, and how long for ``--quick``. Its goals are for ``epochs``.
    needs : tuple of str
        Packages that minidl itself does without: where one is missing, it is left out, unless it is asked for by name.
    """

    document: str
    title: str
    run: Callable[..., None]
    epochs: int = 10
    quick: int = 1
    needs: tuple[str, ...] = ()


@dataclass
class Log:
    """What one training measured.

    Attributes
    ----------
    goal : str
        What ``figure`` should be.
    file : Path
        Where the model is to be saved.
    example, setting : str
        The example's name, and what tells this training from its others, if it has several.
    history : History
        The numbers of each epoch: that of ``fit``, or what a loop written by hand notes here.
    seconds : float
        How long the training took.
    metric, figure : str, float
        What the example is judged by.
    bar : ProgressBar
        What shows a loop written by hand; ``fit`` has its own.
    """

    goal: str
    file: Path
    example: str
    setting: str = ""
    history: History = field(default_factory=History)
    seconds: float = 0.0
    metric: str = ""
    figure: float = float("nan")
    bar: ProgressBar = field(default_factory=ProgressBar)
    _losses: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The example's name, with the setting."""
        return f"{self.example}, {self.setting}" if self.setting else self.example

    # ------------------------------------------------------------------ for a loop written by hand

    def batches(self, loader: Any, epochs: int) -> Iterator[Any]:
        """Yield the batches of an epoch, and show how it goes on, as ``fit`` does."""
        self._losses = []
        self.bar.set_params({"epochs": epochs, "steps": len(loader)})
        self.bar.on_epoch_begin(len(self.history.epoch))
        for i, batch in enumerate(loader):
            yield batch
            self.bar.on_train_batch_end(i, {"loss": self._losses[-1]})

    def loss(self, value: float) -> None:
        """Note the loss of a batch."""
        self._losses.append(value)

    def epoch(self, **figures: float) -> None:
        """Note and show how an epoch went: the mean of its losses, and these figures."""
        logs = {"loss": float(np.mean(self._losses)), **figures}
        self.bar.on_epoch_end(len(self.history.epoch), logs)
        self.history.on_epoch_end(len(self.history.epoch), logs)

    # ------------------------------------------------------------------ after the training

    def result(self, metric: str, figure: float) -> None:
        """Note what the example is judged by."""
        self.metric, self.figure = metric, figure

    def loaded_back(self, before: Any, after: Any) -> None:
        """Check that the model predicts, once saved and loaded, what it did before.

        Raises
        ------
        StateError
            If it does not.
        """
        before, after = np.asarray(before), np.asarray(after)
        if before.shape != after.shape:
            raise StateError(f"{self._otherwise()}: outputs of shape {after.shape}, not {before.shape}")
        if not np.allclose(before, after, rtol=0, atol=1e-6, equal_nan=True):
            raise StateError(f"{self._otherwise()}: outputs are up to {np.abs(before - after).max():.2g} apart")
        print(f"{self.file}: saved and loaded back, and the predictions agree", flush=True)

    def _otherwise(self) -> str:
        return f"{self.name}: loaded back from {self.file}, the model predicts otherwise than when it was saved"


class Report:
    """The trainings of one example, its tables and its picture.

    Parameters
    ----------
    name : str
        The example's.
    out : Path
        The folder for files and pictures; it exists.
    """

    def __init__(self, name: str, out: Path) -> None:
        self.name = name
        self.out = out
        self.logs: list[Log] = []

    @contextmanager
    def training(self, goal: str, file: str, setting: str = "") -> Iterator[Log]:
        """Time the training in the ``with`` block, of which an example may have several, each with a setting."""
        log = Log(goal, self.out / file, self.name, setting)
        if setting:
            print(f"\n{log.name}", flush=True)
        started = time.perf_counter()
        with closing(log.bar):
            yield log
        log.seconds = time.perf_counter() - started
        if log.history.interrupted:  # fit ends quietly at Ctrl-C: nobody wants the other examples then
            raise KeyboardInterrupt
        self.logs.append(log)

    def curves(self) -> dict[str, dict[str, list[Any]]]:
        """Return the numbers of each epoch, by setting."""
        return {log.setting: log.history.history for log in self.logs}

    def digits(self, scores: Any, images: Any, targets: Any) -> None:
        """Show how the last training reads unseen digits: a table of the classes, and a picture with its mistakes.

        Parameters
        ----------
        scores : array (N, 10)
        images : array (N, ...)
        targets : array (N,) of labels
        """
        labels, targets = np.argmax(scores, axis=1), np.asarray(targets).astype(np.int64)
        title = self.logs[-1].name
        print(f"\n{title}: {len(targets):,} unseen digits")
        print(classification_report(labels, targets))
        self.picture((11, 8), lambda figure: draw_digits(figure, self.curves(), title, labels, images, targets))

    def picture(self, size: tuple[float, float], draw: Callable[[Any], None]) -> None:
        """Draw the example's picture, of a width and a height in inches, where matplotlib is installed."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            print("no picture: matplotlib is not installed; pip install 'minidl[viz]' for pictures")
            return
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        path = self.out / f"{self.name}.png"
        figure.savefig(path, dpi=120)
        print(f"picture: {path}", flush=True)


def results(examples: Iterable[tuple[Example, Report]]) -> str:
    """Return the table of what every training reached."""
    rows = [("document", "example", "metric", "figure", "goal", "epochs", "seconds", "file")]
    short = False
    for example, report in examples:
        for log in report.logs:
            trained = f"{len(log.history.epoch):,}" if log.history.epoch else "-"
            if 0 < len(log.history.epoch) < example.epochs:
                short, trained = True, f"{trained} of {example.epochs:,}"
            figure = f"{log.figure:.4f}" if log.figure >= 1e-3 else f"{log.figure:.1e}"
            seconds = f"{log.seconds:.1f}"
            rows.append((example.document, log.name, log.metric, figure, log.goal, trained, seconds, str(log.file)))
    head, *lines = aligned(rows).splitlines()
    note = "\n\nGoals are for all of the epochs: a training of fewer is not expected to reach its goal."
    return "\n".join([head, "-" * max(map(len, lines)), *lines]) + (note if short else "")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
