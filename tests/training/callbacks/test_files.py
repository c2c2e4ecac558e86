"""Models and tables that are written while a model trains: names, decisions, bad folders, full disks."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.errors import ArgumentError, NumericalWarning, StateError
from minidl.formats import load_safetensors
from minidl.training.callbacks import CallbackList, CSVLogger, ModelCheckpoint
from minidl.training.callbacks.files import check_folder
from tests.training.callbacks.fakes import FakeTrainer


class Saving:
    """A model with a file format of its own: writes down what it is asked to save."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.fails = False

    def save(self, path: str, overwrite: bool = True) -> None:
        if self.fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.saved.append(os.path.basename(path))

    def save_weights(self, path: str, overwrite: bool = True) -> None:
        self.save(path)


def drive_batches(callback: ModelCheckpoint, trainer: Any, epochs: int, steps: int) -> None:
    """Lead a checkpoint through steps and epochs."""
    callbacks = CallbackList([callback], trainer)
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(steps):
            callbacks.on_train_batch_end(batch, {"loss": 1.0 / (1 + epoch * steps + batch)})
        callbacks.on_epoch_end(epoch, {"loss": 1.0 / (1 + epoch)})


# ---------------------------------------------------------------------- ModelCheckpoint


def test_each_epoch_is_saved_under_its_name(tmp_path: Path) -> None:
    trainer = FakeTrainer(Saving())
    checkpoint = ModelCheckpoint(tmp_path / "runs" / "{epoch:02d}-{val_loss:.2f}.keras")
    trainer.drive(checkpoint, [{"val_loss": 0.5}, {"val_loss": 0.25}])
    assert trainer.model.saved == ["01-0.50.keras", "02-0.25.keras"]


def test_a_plain_module_is_saved_as_safetensors(tmp_path: Path) -> None:
    trainer = FakeTrainer()
    trainer.drive(ModelCheckpoint(tmp_path / "model-{epoch}.safetensors"), [{}])
    loaded = load_safetensors(tmp_path / "model-1.safetensors")
    np.testing.assert_array_equal(loaded["weight"].numpy(), trainer.model.weight.detach().numpy())


def test_weights_only(tmp_path: Path) -> None:
    trainer = FakeTrainer(Saving())
    trainer.drive(ModelCheckpoint(tmp_path / "w.weights.h5", save_weights_only=True), [{}])
    assert trainer.model.saved == ["w.weights.h5"]


SIXTEENTHS = st.integers(0, 32).map(lambda n: n / 16)


@settings(deadline=None, max_examples=100)
@given(
    values=st.lists(SIXTEENTHS | st.just(float("nan")), min_size=1, max_size=10),
    best_only=st.booleans(),
    mode=st.sampled_from(["min", "max", "auto"]),
    threshold=st.none() | SIXTEENTHS,
    freq=st.sampled_from(["epoch", 1, 2, 3, 5]),
    steps=st.integers(1, 4),
)
def test_what_is_saved_is_what_keras_saves(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], best_only: bool, mode: str, threshold: float | None,
    freq: Any, steps: int,
) -> None:  # fmt: skip
    from tests.keras.yardstick import keras

    folder = tmp_path_factory.getbasetemp()
    arguments = {"save_best_only": best_only, "mode": mode, "initial_value_threshold": threshold, "save_freq": freq}
    name = str(folder / ("{epoch}.keras" if freq == "epoch" else "{epoch}-{batch}.keras"))
    theirs, ours = keras.callbacks.ModelCheckpoint(name, **arguments), ModelCheckpoint(name, **arguments)
    reference, trainer = Saving(), FakeTrainer(Saving())
    theirs.set_model(reference)
    theirs._set_monitor_op()  # Keras sets it at the end of the first epoch, and fails at a batch before that
    ours.set_trainer(trainer)  # type: ignore[arg-type]
    for callback in (theirs, ours):
        callback.on_train_begin()
        for epoch, value in enumerate(values):
            callback.on_epoch_begin(epoch)
            for batch in range(steps):
                callback.on_train_batch_end(batch, {"val_loss": value + batch / 8})
            callback.on_epoch_end(epoch, {"val_loss": value})
    assert trainer.model.saved == reference.saved


def test_messages_are_keras_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer, path = FakeTrainer(Saving()), tmp_path / "m.keras"
    trainer.drive(ModelCheckpoint(path, save_best_only=True, verbose=1), [{"val_loss": 0.5}, {"val_loss": 0.75}])
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1: val_loss improved from None to 0.50000, saving model to {path}",
        f"Epoch 1: finished saving model to {path}",
        "Epoch 2: val_loss did not improve from 0.50000",
    ]
    trainer.drive(ModelCheckpoint(path, verbose=1), [{}])
    assert capsys.readouterr().out.splitlines()[0] == f"Epoch 1: saving model to {path}"


def test_steps_are_counted_over_epochs_and_over_a_resumed_training(tmp_path: Path) -> None:
    name, trainer = tmp_path / "{epoch}-{batch}.keras", FakeTrainer(Saving())
    drive_batches(ModelCheckpoint(name, save_freq=5), trainer, epochs=4, steps=4)
    alone, trainer.model.saved = trainer.model.saved, []
    assert alone == ["2-1.keras", "3-2.keras", "4-3.keras"]
    first, second = ModelCheckpoint(name, save_freq=5), ModelCheckpoint(name, save_freq=5)
    drive_batches(first, trainer, epochs=2, steps=4)
    second.set_trainer(trainer)  # type: ignore[arg-type]
    second.on_train_begin()
    second.load_state_dict(first.state_dict())
    for epoch in (2, 3):
        second.on_epoch_begin(epoch)
        for batch in range(4):
            second.on_train_batch_end(batch, {})
    assert trainer.model.saved == alone


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("{epoch}-{val_acc:.2f}", "there is no 'val_acc'; it may name epoch, loss, val_loss"),
        ("{}", "Replacement index 0 out of range"),
        ("{loss:q}", "Unknown format code 'q'"),
        ("{loss.nothing}", "no attribute 'nothing'"),
    ],
)
def test_a_name_that_cannot_be_filled_in(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ArgumentError, match=rf"ModelCheckpoint: filepath=.* cannot be filled in: .*{problem}"):
        FakeTrainer(Saving()).drive(ModelCheckpoint(tmp_path / f"{name}.keras"), [{"loss": 1.0, "val_loss": 2.0}])


@pytest.mark.parametrize(
    ("name", "weights_only", "expected"),
    [("m.pt", False, r"must end in .keras or .h5 or .safetensors"), ("m.h5", True, r"must end in .weights.h5 or")],
)
def test_an_ending_that_no_format_has(name: str, weights_only: bool, expected: str) -> None:
    with pytest.raises(ArgumentError, match=expected):
        ModelCheckpoint(name, save_weights_only=weights_only)


def test_an_ending_that_this_model_cannot_write_is_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"must end in .safetensors, got '.*m.keras'"):
        FakeTrainer().drive(ModelCheckpoint(tmp_path / "m.keras"), [])
    with pytest.raises(ArgumentError, match=r"must end in .keras or .h5, got '.*m.safetensors'"):
        FakeTrainer(Saving()).drive(ModelCheckpoint(tmp_path / "m.safetensors"), [])


@pytest.mark.parametrize("freq", [0, -1, True, 1.5, "batch"])
def test_a_frequency_that_is_none(freq: Any) -> None:
    with pytest.raises(ArgumentError, match='save_freq must be "epoch" or a number of steps of at least 1'):
        ModelCheckpoint("m.keras", save_freq=freq)


@pytest.mark.parametrize("inner", ["m.safetensors", "deeper/{epoch}/m.safetensors"])
def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path: Path, inner: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArgumentError, match=r"ModelCheckpoint: cannot write into the folder .*nothing was trained yet"):
        FakeTrainer().drive(ModelCheckpoint(tmp_path / "file" / inner), [])


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(ArgumentError, match="is a folder; give the name of a file"):
        FakeTrainer().drive(ModelCheckpoint(tmp_path / "m.safetensors"), [])


def test_a_full_disk_is_no_end_of_training(tmp_path: Path) -> None:
    trainer = FakeTrainer(Saving())
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.keras", save_best_only=True)
    checkpoint.set_trainer(trainer)  # type: ignore[arg-type]
    checkpoint.on_train_begin()
    checkpoint.on_epoch_end(0, {"val_loss": 0.5})
    trainer.model.fails = True
    with pytest.warns(NumericalWarning, match="epoch 2 could not be saved, and training goes on: .*No space left"):
        checkpoint.on_epoch_end(1, {"val_loss": 0.25})
    trainer.model.fails = False
    checkpoint.on_epoch_end(2, {"val_loss": 0.4})  # better than the best that is on the disk
    assert trainer.model.saved == ["1.keras", "3.keras"]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, path = FakeTrainer(), tmp_path / "m.safetensors"
    checkpoint = ModelCheckpoint(path)
    trainer.drive(checkpoint, [{}])
    before = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    trainer.model.weight.detach().fill_(3.0)
    with pytest.warns(NumericalWarning, match="could not be saved"):
        checkpoint.on_epoch_end(1, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_best_only_without_its_number_saves_each_and_says_why(tmp_path: Path) -> None:
    trainer = FakeTrainer(Saving())
    with pytest.warns(NumericalWarning, match="cannot tell which model is best, and saves each"):
        trainer.drive(ModelCheckpoint(tmp_path / "{epoch}.keras", save_best_only=True), [{"loss": 1.0}] * 2)
    assert trainer.model.saved == ["1.keras", "2.keras"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ArgumentError, match="Permission denied"):
        check_folder(tmp_path, "CSVLogger")


# ---------------------------------------------------------------------- CSVLogger

LOGS = [{"loss": 0.5, "acc": 0.25, "f1": np.array([1.0, 2.0])}, {"loss": 0.25, "val_loss": 3.0}]


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("append", [False, True])
def test_the_table_is_keras_table(tmp_path: Path, separator: str, append: bool) -> None:
    from tests.keras.yardstick import keras

    for path in (tmp_path / "theirs.csv", tmp_path / "ours.csv"):
        path.write_bytes(b"epoch,loss\r\n0,1.0\r\n" if append else b"old")
    theirs = keras.callbacks.CSVLogger(str(tmp_path / "theirs.csv"), separator, append)
    theirs.on_train_begin()
    for epoch, logs in enumerate(LOGS):
        theirs.on_epoch_end(epoch, logs)
    theirs.on_train_end()
    ours = CSVLogger(tmp_path / "ours.csv", separator, append)
    if append:
        with pytest.warns(
            NumericalWarning, match="has the columns epoch,? ?loss; the rows appended now have epoch, acc"
        ):
            FakeTrainer().drive(ours, LOGS)
    else:
        FakeTrainer().drive(ours, LOGS)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()


def test_columns_of_a_later_validation_are_there(tmp_path: Path) -> None:
    FakeTrainer().drive(CSVLogger(tmp_path / "log.csv"), [{"loss": 0.5}, {"loss": 0.25, "val_loss": 0.125}])
    with open(tmp_path / "log.csv", newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "loss", "val_loss"], ["0", "0.5", "NA"], ["1", "0.25", "0.125"]]


@pytest.mark.parametrize("append", [False, True])
def test_a_resumed_training_leaves_the_table_of_one_left_alone(tmp_path: Path, append: bool) -> None:
    epochs = [{"loss": 1.0 / (1 + epoch)} for epoch in range(5)]
    path, alone = tmp_path / "log.csv", tmp_path / "alone.csv"
    FakeTrainer().drive(CSVLogger(alone, append=append), epochs)
    first = CSVLogger(path, append=append)
    first.on_train_begin()
    for epoch in range(4):
        first.on_epoch_end(epoch, epochs[epoch])
        if epoch == 2:
            state = first.state_dict()  # the checkpoint; the fourth epoch is lost, but for its row
    first.close()
    second = CSVLogger(path, append=append)
    second.on_train_begin()
    second.load_state_dict(state)
    FakeTrainer().go_on(second, epochs[3:], 3)
    assert path.read_bytes() == alone.read_bytes()


def test_a_table_that_was_removed_in_between_is_begun_again(tmp_path: Path) -> None:
    first = CSVLogger(tmp_path / "log.csv")
    FakeTrainer().drive(first, [{"loss": 1.0}])
    os.unlink(tmp_path / "log.csv")
    second = CSVLogger(tmp_path / "log.csv")
    second.on_train_begin()
    second.load_state_dict(first.state_dict())
    FakeTrainer().go_on(second, [{"loss": 0.5}], 1)
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,loss,val_loss", "1,0.5,NA"]


def test_a_table_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"CSVLogger: cannot write the file .*nothing was trained yet"):
        CSVLogger(tmp_path).on_train_begin()
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=r"CSVLogger: cannot write into the folder"):
        CSVLogger(tmp_path / "file" / "log.csv").on_train_begin()


class FullDisk:
    """A file that takes the first few bytes of what is written."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, text: bytes) -> int:
        return self.file.write(text[: self.room])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_full_disk_costs_the_table_a_row(tmp_path: Path) -> None:
    log = CSVLogger(tmp_path / "log.csv")
    log.on_train_begin()
    log.on_epoch_end(0, {"loss": 0.5})
    whole = log._file
    log._file = FullDisk(whole, 2)  # type: ignore[assignment]
    with pytest.warns(
        NumericalWarning, match=r"epoch 2 could not be written to .*log.csv, and training goes on: .*space"
    ):
        log.on_epoch_end(1, {"loss": 0.25})
    log._file = whole
    log.on_epoch_end(2, {"loss": 0.125})
    log.on_train_end()
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,loss,val_loss", "0,0.5,NA", "2,0.125,NA"]


def test_a_row_without_a_file_is_an_error() -> None:
    with pytest.raises(StateError, match="the file is not open; on_train_begin opens it"):
        CSVLogger("log.csv").on_epoch_end(0, {"loss": 0.5})
