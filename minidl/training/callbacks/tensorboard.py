"""The numbers of a training for TensorBoard, which shows them as curves in a browser."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import to_numpy
from minidl.errors import ArgumentError
from minidl.training.callbacks.base import Callback
from minidl.training.callbacks.files import check_folder

if TYPE_CHECKING:
    from os import PathLike

    from tensorboardX import SummaryWriter

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write the loss, the metrics and the learning rate for TensorBoard: ``tensorboard --logdir logs``.

    Needs the extra ``tensorboard`` (the package tensorboardX); TensorFlow is not needed.

    Parameters
    ----------
    log_dir : str or path
        Where to; training's numbers go to ``train`` in it, validation's to ``validation``.
    histogram_freq : int
        After every so many epochs the weights' distributions are written; 0 for never.
    write_graph : bool
        Taken for Keras's sake; there is no graph to write.
    write_images : bool
        Not to be had: must be False.
    write_steps_per_second : bool
        Whether to write how fast training is.
    update_freq : "epoch", "batch" or int
        Whether numbers are written after each epoch only, or also after each step, or after so many.
    profile_batch : int
        Not to be had: must be 0.
    embeddings_freq : int
        Not to be had: must be 0.
    embeddings_metadata : None
        Not to be had.

    Raises
    ------
    ArgumentError
        If something is asked for that is not to be had, or, when training begins, the folder cannot be written to.
    ImportError
        If tensorboardX is missing.

    Examples
    --------
    >>> TensorBoard("logs", write_images=True)
    Traceback (most recent call last):
    ArgumentError: TensorBoard: write_images is not to be had; ...

    References
    ----------
    ``keras.callbacks.TensorBoard``.
    """

    def __init__(
        self,
        log_dir: str | PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        asked = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in asked.items():
            if value:
                raise ArgumentError(f"TensorBoard: {name} is not to be had; leave it out")
        number = isinstance(update_freq, int) and update_freq > 0
        if update_freq not in ("epoch", "batch") and not number:
            raise ArgumentError(
                f'TensorBoard: update_freq must be "epoch", "batch" or a number of steps, got {update_freq!r}'
            )
        self.log_dir = Path(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = update_freq
        self._every = 0 if update_freq == "epoch" else 1 if update_freq == "batch" else int(update_freq)
        self._step = 0
        self._epoch_began = (0, 0.0)  # at which step, and when
        self._writers: dict[str, SummaryWriter] = {}

    # ------------------------------------------------------------------ hooks

    def on_train_begin(self, logs: Any = None) -> None:
        """See that the writer is there, and that the folder can be written to."""
        self._step = 0
        _writer_class()
        check_folder(self.log_dir, "TensorBoard")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember when it began."""
        self._epoch_began = self._step, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step, and write its numbers where that is asked for."""
        self._step += 1
        if self._every and self._step % self._every == 0:
            self._write("train", {f"batch_{name}": value for name, value in (logs or {}).items()}, self._step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the epoch's numbers, training's and validation's."""
        logs = logs or {}
        train = {f"epoch_{name}": value for name, value in logs.items() if not name.startswith("val_")}
        validation = {f"epoch_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
        train["epoch_learning_rate"] = self.trainer.learning_rate
        if self.write_steps_per_second:
            step, start = self._epoch_began
            train["epoch_steps_per_second"] = (self._step - step) / max(time.monotonic() - start, 1e-9)
        self._write("train", train, epoch)
        self._write("validation", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, weight in self.model.state_dict().items():
                self._writer("train").add_histogram(f"{name}/histogram", to_numpy(weight.array), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Any = None) -> None:
        """Write an evaluation's numbers over the steps trained so far."""
        step = getattr(self.trainer, "step", self._step)
        self._write(
            "validation", {f"evaluation_{name}_vs_iterations": value for name, value in (logs or {}).items()}, step
        )

    def on_train_end(self, logs: Any = None) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the steps trained so far."""
        return {"step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting."""
        self._step = state["step"]

    # ------------------------------------------------------------------ writing

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self._writers:
            self._writers[name] = _writer_class()(str(self.log_dir / name))
        return self._writers[name]

    def _write(self, writer: str, values: Mapping[str, Any], step: int) -> None:
        for name, value in values.items():
            if np.ndim(value) == 0:
                self._writer(writer).add_scalar(name, float(value), step)


def _writer_class() -> type[SummaryWriter]:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            'TensorBoard writes with tensorboardX, which is not installed: pip install "minidl[tensorboard]"'
        ) from error
    return SummaryWriter
