"""What is written for TensorBoard, read back from the event files."""

from __future__ import annotations

import builtins
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.training.callbacks import CallbackList, TensorBoard
from tests.training.callbacks.fakes import FakeTrainer


def events(folder: Path) -> list[tuple[str, int, float]]:
    """Return (tag, step, value) of what the event files of a folder hold; a histogram's value is its count."""
    proto = pytest.importorskip("tensorboardX.proto.event_pb2", reason="tensorboardX is not installed")
    found = []
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        while data:  # a record: length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data)
            event = proto.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                number = value.histo.num if value.HasField("histo") else value.simple_value
                found.append((value.tag, event.step, number))
    return found


def train(board: TensorBoard, epochs: int = 2, steps: int = 4) -> None:
    trainer = FakeTrainer(learning_rate=0.25)
    callbacks = CallbackList([board], trainer)  # type: ignore[arg-type]
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(steps):
            trainer.step += 1
            callbacks.on_train_batch_end(batch, {"loss": float(trainer.step)})
        callbacks.on_test_begin()
        callbacks.on_test_end({"loss": 0.5})
        callbacks.on_epoch_end(epoch, {"loss": 1.0, "matrix": np.ones((2, 2)), "val_loss": 0.5})
    callbacks.on_train_end()
    callbacks.close()


def test_epochs_under_keras_names(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    train(TensorBoard(tmp_path))
    assert events(tmp_path / "train") == [
        (name, epoch, value) for epoch in (0, 1) for name, value in (("epoch_loss", 1.0), ("epoch_learning_rate", 0.25))
    ]
    assert events(tmp_path / "validation") == [
        ("evaluation_loss_vs_iterations", 4, 0.5), ("epoch_loss", 0, 0.5),
        ("evaluation_loss_vs_iterations", 8, 0.5), ("epoch_loss", 1, 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(("freq", "steps"), [("batch", range(1, 9)), (3, (3, 6))])
def test_steps_where_asked_for(tmp_path: Path, freq: Any, steps: Any) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    train(TensorBoard(tmp_path, update_freq=freq))
    found = [event for event in events(tmp_path / "train") if event[0] == "batch_loss"]
    assert found == [("batch_loss", step, float(step)) for step in steps]


def test_weights_and_speed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    train(TensorBoard(tmp_path, histogram_freq=2, write_steps_per_second=True), epochs=3)
    found = events(tmp_path / "train")
    assert [event for event in found if "histogram" in event[0]] == [
        (f"{name}/histogram", epoch, count) for epoch in (0, 2) for name, count in (("weight", 2), ("bias", 1))
    ]
    assert all(value > 0 for tag, _, value in found if tag == "epoch_steps_per_second")


def test_a_resumed_training_goes_on_counting() -> None:
    board = TensorBoard()
    board.load_state_dict({"step": 12})
    board.on_train_batch_end(0)
    assert board.state_dict() == {"step": 13}


@pytest.mark.parametrize("name", ["write_images", "profile_batch", "embeddings_freq", "embeddings_metadata"])
def test_what_is_not_to_be_had(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"TensorBoard: {name} is not to be had"):
        TensorBoard(**{name: 1})  # type: ignore[arg-type]


def test_bad_frequency_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match='update_freq must be "epoch", "batch" or a number of steps, got 0'):
        TensorBoard(update_freq=0)
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="TensorBoard: cannot write into the folder"):
        TensorBoard(tmp_path / "file").on_train_begin()


def test_without_tensorboardx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("tensorboardX"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"not installed: pip install \"minidl\[tensorboard\]\""):
        TensorBoard(tmp_path).on_train_begin()
