"""A training that was cut off goes on where it was: checkpoints, as a callback."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from minidl.errors import ArgumentError
from minidl.training.callbacks.base import Callback
from minidl.training.callbacks.files import check_folder, check_save_freq
from minidl.training.checkpoint import CheckpointManager

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Write checkpoints while a model trains; the same ``fit`` called again goes on from the last one.

    It ends with the bits of a training that was never cut off: weights, optimiser, random numbers, history and the
    other callbacks are all in it. What ``fit(checkpoint=backup_dir, resume=True)`` does, and then it cleans up.

    Parameters
    ----------
    backup_dir : str or path
        The checkpoints' own folder.
    save_freq : "epoch" or int
        After each epoch, or after so many steps.
    double_checkpoint : bool
        Whether to keep two, in case the disk damages one.
    delete_checkpoint : bool
        Whether to remove them when training has come to its end; one that Ctrl-C or an error broke off has not.

    Raises
    ------
    ArgumentError
        If ``save_freq`` is none; or, when training begins, if the folder cannot be written to.

    Examples
    --------
    >>> backup = BackupAndRestore("backup", save_freq=100)

    References
    ----------
    ``keras.callbacks.BackupAndRestore``.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ArgumentError("BackupAndRestore: backup_dir is empty; give the name of a folder")
        self.backup_dir = backup_dir
        self.save_freq = check_save_freq(save_freq, "BackupAndRestore")
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._checkpoints: CheckpointManager | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Have the trainer go on from the last checkpoint, if there is one, and write the next."""
        check_folder(self.backup_dir, "BackupAndRestore")
        every = None if self.save_freq == "epoch" else int(self.save_freq)
        self._checkpoints = self.trainer.back_up(
            self.backup_dir, every, keep=2 if self.double_checkpoint else 1, resume=True
        )

    def on_train_end(self, logs: Any = None) -> None:
        """Remove the checkpoints, and the folder if nothing else is in it."""
        if self._checkpoints is None or not self.delete_checkpoint or self.trainer.history.interrupted:
            return
        self._checkpoints.clear()
        with suppress(OSError):
            self._checkpoints.directory.rmdir()
