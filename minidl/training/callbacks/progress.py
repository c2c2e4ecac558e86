"""The progress bar: a live line in a terminal, a widget in a notebook, a plain line per epoch in a log file."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from minidl.errors import ArgumentError
from minidl.training.callbacks.base import Callback

__all__ = ["ProgbarLogger", "ProgressBar", "format_number", "in_notebook", "say"]

_SILENT, _BAR, _LINES = 0, 1, 2

#: The live line, as tqdm fills it in: with a known number of steps, without one, and around a notebook's widget.
_LIVE = "{desc}  {n_fmt}/{total_fmt} |{bar:12}| [{elapsed}<{remaining}]"
_ENDLESS = "{desc}  {n_fmt}/? [{elapsed}]"
_WIDGET = "{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"


def format_number(value: float) -> str:
    """Return a loss or a metric as people read it: four decimals, or powers of ten up to a thousandth.

    Parameters
    ----------
    value : float

    Returns
    -------
    str

    Examples
    --------
    >>> format_number(0.96501), format_number(0.001)
    ('0.9650', '1.0000e-03')

    References
    ----------
    ``keras.utils.Progbar``.
    """
    return f"{value:.4f}" if abs(value) > 1e-3 or math.isnan(value) else f"{value:.4e}"


def say(message: str) -> None:
    """Print a line; a bar that is on the screen makes room for it.

    Parameters
    ----------
    message : str

    Examples
    --------
    >>> say("Epoch 3: early stopping")
    Epoch 3: early stopping
    """
    tqdm.write(message, file=sys.stdout)


def _pairs(logs: Mapping[str, Any] | None, between: str) -> list[str]:
    """Return ``name value`` of each number in the logs; arrays (a confusion matrix, say) are for the history."""
    return [
        f"{name}{between}{format_number(float(value))}" for name, value in (logs or {}).items() if np.ndim(value) == 0
    ]


def _pace(seconds: float, unit: str = "step") -> str:
    """Return a duration per step in the unit that suits it."""
    for scale, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= scale:
            return f"{seconds / scale:.0f}{name}/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this; nothing is imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config


def _in_terminal() -> bool:
    """Whether standard output is a screen whose cursor can be moved."""
    isatty = getattr(sys.stdout, "isatty", None)
    return isatty is not None and isatty() and os.environ.get("TERM") != "dumb"


class _TextBar(tqdm):
    monitor_interval = 0  # no thread that watches over it: the callback itself says when to draw


def _bar_class() -> type[tqdm]:
    if in_notebook() and importlib.util.find_spec("ipywidgets"):
        return importlib.import_module("tqdm.notebook").tqdm
    return _TextBar


def _checked(verbose: int | str) -> int | str:
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(f'verbose: expected "auto", 0 (silent), 1 (a bar) or 2 (a line an epoch), got {verbose!r}')
    return verbose


class ProgressBar(Callback):
    """Show how an epoch, an evaluation or a prediction goes on.

    In a terminal or a notebook a live bar, and when it is done a line that stays; otherwise (a log file, a pipe)
    exactly one plain line an epoch, without control characters.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}, optional
        0 is silent, 1 a bar where it can be drawn, 2 one line an epoch, ``"auto"`` 1 where a bar can be drawn and
        else 2. What ``fit`` was given if left out.
    interval : float
        Seconds between two drawings; in between a step costs next to nothing, and the loss is not waited for.

    Raises
    ------
    ArgumentError
        If ``verbose`` is none of these.

    Examples
    --------
    >>> bar = ProgressBar(verbose=2)
    >>> bar.set_params({"epochs": 3, "steps": 250})
    >>> bar.on_train_begin()
    >>> bar.on_epoch_begin(0)
    >>> bar.on_train_batch_end(249, {"loss": 0.5})
    >>> bar.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.25})
    Epoch 1/3 - 250/250 - 0s - ...us/step - loss: 0.5000 - val_loss: 0.2500

    References
    ----------
    ``keras.callbacks.ProgbarLogger``.
    """

    def __init__(self, verbose: int | str | None = None, interval: float = 0.1) -> None:
        self._verbose = None if verbose is None else _checked(verbose)
        self._interval = interval
        self._mode = _SILENT
        self._bar: tqdm | None = None
        self._fitting = False  # an evaluation is then the validation of an epoch, and no bar of its own
        self._title = ""
        self._total: int | None = None
        self._first = 0  # the step at which it took up: not 0 where a training resumes in mid-epoch
        self._seen = 0
        self._start = 0.0
        self._due = math.inf  # when to draw next; never, where nothing is drawn

    def set_params(self, params: dict[str, Any]) -> None:
        """Take in ``verbose``, ``epochs`` and ``steps``."""
        super().set_params(params)
        _checked(params.get("verbose", "auto"))

    # ------------------------------------------------------------------ hooks

    def on_train_begin(self, logs: Any = None) -> None:
        """Know that evaluations are validation from now on."""
        self._fitting = True

    def on_train_end(self, logs: Any = None) -> None:
        """Know that evaluations stand on their own from now on."""
        self._fitting = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin an epoch's line."""
        epochs = (self.params or {}).get("epochs")
        self._begin(f"Epoch {epoch + 1}/{epochs}" if epochs else f"Epoch {epoch + 1}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draw, if it is time to."""
        if not self._seen:
            self._first = batch
        self._seen = batch + 1
        if time.monotonic() >= self._due:
            self._draw(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Leave the epoch's finished line."""
        self._finish(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Begin a line, unless this is the validation within an epoch."""
        if not self._fitting:
            self._begin("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draw, if it is time to; within an epoch, that validation goes on."""
        if not self._fitting:
            self.on_train_batch_end(batch, logs)
        elif time.monotonic() >= self._due:
            self._draw(None, f"validating, step {batch + 1}")

    def on_test_end(self, logs: Any = None) -> None:
        """Leave the finished line, unless this was the validation within an epoch."""
        if not self._fitting:
            self._finish(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Begin a line."""
        self._begin("Predict")

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draw, if it is time to; a prediction has no metrics."""
        self.on_train_batch_end(batch)

    def on_predict_end(self, logs: Any = None) -> None:
        """Leave the finished line."""
        self._finish(None)

    def close(self) -> None:
        """Leave the bar as it stands, if training broke off under it."""
        self._fitting, self._due = False, math.inf
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    # ------------------------------------------------------------------ drawing

    def _begin(self, title: str) -> None:
        params = self.params or {}
        verbose = _checked(params.get("verbose", "auto")) if self._verbose is None else self._verbose
        can_draw = verbose in ("auto", 1) and (_in_terminal() or in_notebook())
        self._mode = _SILENT if not verbose else _BAR if can_draw else _LINES
        self._title = title
        self._total = params.get("steps") or self._total  # an epoch of unknown length has told it to the next
        self._first = self._seen = 0
        self._start = time.monotonic()
        self._due = self._start + self._interval if self._mode == _BAR else math.inf

    def _draw(self, logs: Any, note: str = "") -> None:
        """Draw the bar. It is made here, so that a quick epoch makes none and leaves its finished line only."""
        if self._bar is None:
            self._bar = self._new_bar()
        bar, widget = self._bar, not isinstance(self._bar, _TextBar)
        bar.n, bar.total = self._seen, self._total if self._seen <= (self._total or 0) else None
        bar.bar_format = _WIDGET if widget else _LIVE if bar.total else _ENDLESS
        room = math.inf
        if not widget:
            bar.ncols = shutil.get_terminal_size().columns - 1  # the last column would wrap in some terminals
            room = bar.ncols - len(bar.format_meter(**bar.format_dict))
        for pair in [note] if note else _pairs(logs, " "):
            room -= len(pair) + 2
            if room < 0:  # no number is ever cut in two: what does not fit is left to the finished line
                break
            bar.bar_format += "  " + pair.replace("{", "{{").replace("}", "}}")
        bar.refresh()
        self._due = time.monotonic() + self._interval

    def _new_bar(self) -> tqdm:
        # The delay keeps tqdm from drawing before there is something to draw.
        bar = _bar_class()(desc=self._title, total=self._total, initial=self._first, file=sys.stdout, delay=1e-9)
        bar.start_t = time.time() - (time.monotonic() - self._start)
        return bar

    def _finish(self, logs: Any) -> None:
        """Replace the bar by its last line, which wraps where the terminal is narrow: it holds every number."""
        elapsed = time.monotonic() - self._start
        if self._bar is not None:
            self._bar.leave = False
            self._bar.n = self._bar.total or 0  # a widget that is closed short of its end stays, in red
            self._bar.close()
            self._bar = None
        steps = f"{self._seen}/{max(self._total or 0, self._seen)}"
        pace = _pace(elapsed / max(self._seen - self._first, 1))
        if self._mode == _BAR:
            clock = tqdm.format_interval(elapsed)
            say("  ".join([self._title, f"{steps} [{clock}, {pace}]", *_pairs(logs, " ")]))
        elif self._mode == _LINES:
            say(" - ".join([self._title, steps, f"{elapsed:.0f}s", pace, *_pairs(logs, ": ")]))
        self._total, self._due = self._seen or self._total, math.inf


ProgbarLogger = ProgressBar
