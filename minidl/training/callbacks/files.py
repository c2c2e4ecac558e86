"""Callbacks that write files: the model while it trains, and its numbers as a table.

That a file cannot be written is found out before anything is trained. A disk that fills up later is warned of, and
training goes on: nothing that was trained is lost to it.
"""

from __future__ import annotations

import csv
import errno
import io
import os
import tempfile
from collections.abc import Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, StateError, warn
from minidl.formats import save_safetensors
from minidl.training.callbacks.base import Callback
from minidl.training.callbacks.monitor import Monitor
from minidl.training.callbacks.progress import say

__all__ = ["CSVLogger", "ModelCheckpoint", "check_folder"]


def check_folder(folder: str | os.PathLike[str], who: str) -> None:
    """Make a folder if there is none, and see that files can be written there.

    Parameters
    ----------
    folder : str or path
    who : str
        What the error names.

    Raises
    ------
    ArgumentError
        If they cannot.

    Examples
    --------
    >>> check_folder(tempfile.mkdtemp(), "CSVLogger")
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise ArgumentError(
            f"{who}: cannot write into the folder {os.fspath(folder)!r}: {reason}; nothing was trained yet: choose a "
            "folder that can be written to"
        ) from error


class ModelCheckpoint(Monitor):
    """Save the model while it trains: after every epoch, or only when it is the best so far.

    A model is saved by its own ``save`` and ``save_weights``; one that has none (a plain module) as its ``state_dict``,
    in a ``.safetensors`` file.

    Parameters
    ----------
    filepath : str or path
        May hold ``{epoch}`` (the first is 1), ``{batch}`` if ``save_freq`` is a number, and the names of the logs:
        ``"{epoch:02d}-{val_loss:.2f}.keras"``. Ends in ``.keras`` or ``.h5``, with ``save_weights_only`` in
        ``.weights.h5``, for a plain module in ``.safetensors``.
    monitor : str
        Which number tells the best.
    verbose : {0, 1}
        Whether to say what is saved.
    save_best_only : bool
        Whether to save only what is better than all before.
    save_weights_only : bool
        Whether to save the weights without the architecture.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; ``"auto"`` tells by the metric, or by its name.
    save_freq : "epoch" or int
        After each epoch, or after so many steps.
    initial_value_threshold : float, optional
        What the first value must be better than.

    Raises
    ------
    ArgumentError
        If the file's name has another ending, or cannot be filled in, or its folder cannot be written to.

    Warns
    -----
    NumericalWarning
        If a file cannot be written during training, which goes on; the old file stays.

    Examples
    --------
    >>> best = ModelCheckpoint("best-{epoch}.keras", monitor="val_accuracy", save_best_only=True)
    >>> best.path(epoch=2, batch=None, logs={})
    'best-3.keras'

    References
    ----------
    ``keras.callbacks.ModelCheckpoint``.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = check_save_freq(save_freq, "ModelCheckpoint")
        self._endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        self._check_ending(*self._endings, ".safetensors")
        self._epoch = 0
        self._steps = 0  # since the last file

    def _check_ending(self, *endings: str) -> None:
        if not self.filepath.endswith(endings):
            weights = " with save_weights_only=True" if self.save_weights_only else ""
            raise ArgumentError(
                f"ModelCheckpoint: filepath{weights} must end in {' or '.join(endings)}, got {self.filepath!r}"
            )

    # ------------------------------------------------------------------ hooks

    def on_train_begin(self, logs: Any = None) -> None:
        """See that the files can be written."""
        has_format = hasattr(self.model, "save_weights" if self.save_weights_only else "save")
        self._check_ending(*self._endings if has_format else (".safetensors",))
        # Folders whose names are filled in later cannot be tried; the fixed ones above them can.
        folder = Path(self.filepath.partition("{")[0] + "x").parent
        check_folder(folder, "ModelCheckpoint")
        if Path(self.filepath).is_dir():
            raise ArgumentError(f"ModelCheckpoint: filepath={self.filepath!r} is a folder; give the name of a file")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Know the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save, if the steps since the last time are enough."""
        self._steps += 1
        if self._steps == self.save_freq:
            self._steps = 0
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, if it is to be done by epochs."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and the steps since the last file."""
        return {"best": self.best, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.best, self._steps = state["best"], state["steps"]

    # ------------------------------------------------------------------ saving

    def path(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> str:
        """Return the file's name for an epoch, a step and its logs.

        Raises
        ------
        ArgumentError
            If it names what is not there.
        """
        known = {"epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1}) | dict(logs)
        try:
            return self.filepath.format(**known)
        except KeyError as error:
            problem = f"there is no {error}"
        except (IndexError, ValueError, TypeError, AttributeError) as error:
            problem = str(error)
        raise ArgumentError(
            f"ModelCheckpoint: filepath={self.filepath!r} cannot be filled in: {problem}; "
            f"it may name {', '.join(known)}"
        )

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        path = self.path(epoch, batch, logs or {})
        before = self.best
        if not self._wanted(epoch, logs, path):
            return
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._write(path)
        except OSError as error:
            self.best = before  # what is not on the disk is not the best that was saved
            warn(f"ModelCheckpoint: epoch {epoch + 1} could not be saved, and training goes on: {error}")
            return
        if self.verbose:
            say(f"Epoch {epoch + 1}: finished saving model to {path}")

    def _wanted(self, epoch: int, logs: Any, path: str) -> bool:
        current = self.value(logs, "tell which model is best, and saves each") if self.save_best_only else None
        if current is None:
            if self.verbose:
                say(f"Epoch {epoch + 1}: saving model to {path}")
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        improved = self.improves(current, self.best)
        if self.verbose and improved:
            say(f"Epoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
        elif self.verbose:
            say(f"Epoch {epoch + 1}: {self.monitor} did not improve from {best}")
        if improved:
            self.best = current
        return improved

    def _write(self, path: str) -> None:
        if path.endswith(".safetensors"):
            save_safetensors(self.model.state_dict(), path)
        elif self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)


def check_save_freq(save_freq: str | int, who: str) -> str | int:
    """Return ``save_freq`` if it is ``"epoch"`` or a number of steps; otherwise an ArgumentError.

    Examples
    --------
    >>> check_save_freq(100, "ModelCheckpoint")
    100
    """
    number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
    if save_freq != "epoch" and not number:
        raise ArgumentError(f'{who}: save_freq must be "epoch" or a number of steps of at least 1, got {save_freq!r}')
    return save_freq


class CSVLogger(Callback):
    """Write the loss and the metrics of each epoch to a table of comma-separated values.

    Parameters
    ----------
    filename : str or path
        The table; ``NA`` stands in it where an epoch has no value.
    separator : str
        What stands between two values.
    append : bool
        Whether to go on after what the file holds, and not to begin it anew.

    Raises
    ------
    ArgumentError
        When training begins, if the file cannot be written.

    Warns
    -----
    NumericalWarning
        If a row cannot be written during training, which goes on.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "log.csv"
    >>> log = CSVLogger(path)
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.25})
    >>> log.on_train_end()
    >>> path.read_text()
    'epoch,loss,val_loss\\n0,0.5,0.25\\n'

    References
    ----------
    ``keras.callbacks.CSVLogger``.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: FileIO | None = None
        self._size = 0  # up to where the file is good: what a run that was killed wrote after its checkpoint is not
        self._keys: list[str] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the file. What it holds goes with the first row, so that a training that resumes finds it."""
        self.close()
        check_folder(Path(self.filename).parent, "CSVLogger")
        try:
            self._file = open(self.filename, "ab", buffering=0)  # noqa: SIM115 (it stays open while training goes on)
        except OSError as error:
            raise ArgumentError(
                f"CSVLogger: cannot write the file {self.filename!r}: {error.strerror or error}; nothing was trained "
                "yet: choose a file that can be written to"
            ) from error
        self._size = self._file.tell() if self.append else 0
        self._keys = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a row; before the first, the names."""
        logs = logs or {}
        rows: list[list[Any]] = []
        if self._keys is None:
            self._keys = sorted(logs)
            if not any(key.startswith("val_") for key in self._keys):  # validation may come with a later epoch
                self._keys += [f"val_{key}" for key in self._keys]
            if self._size:
                self._compare_header()
        if not self._size:
            rows.append(["epoch", *self._keys])
        rows.append([epoch, *(_cell(logs.get(key, "NA")) for key in self._keys)])
        try:
            self._write(self._text(rows))
        except OSError as error:
            warn(f"CSVLogger: epoch {epoch + 1} could not be written to {self.filename}, and training goes on: {error}")

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def state_dict(self) -> dict[str, Any]:
        """Return the columns, and how long the file is."""
        return {"keys": self._keys, "size": self._size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after the last row that belongs to the state; rows after it are trained again."""
        there = Path(self.filename).stat().st_size
        self._keys, self._size = state["keys"], min(state["size"], there)

    def _text(self, rows: Iterable[Iterable[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator).writerows(rows)
        return text.getvalue().encode()

    def _write(self, text: bytes) -> None:
        if self._file is None:
            raise StateError("CSVLogger: the file is not open; on_train_begin opens it")
        self._file.truncate(self._size)
        if self._file.write(text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(text)

    def _compare_header(self) -> None:
        with open(self.filename, newline="", encoding="utf-8", errors="replace") as file:
            found = next(csv.reader(file, delimiter=self.separator), [])
        if found != ["epoch", *(self._keys or [])]:
            warn(
                f"CSVLogger: {self.filename} has the columns {', '.join(found)}; the rows appended now have epoch, "
                f"{', '.join(self._keys or [])}"
            )


def _cell(value: Any) -> Any:
    """Return a value as a table holds it; an array as a list in quotes."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
