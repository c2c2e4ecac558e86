"""The callbacks within real trainings: what they do, and that a training cut off anywhere goes on to the same bits."""

from __future__ import annotations

import io
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError
from minidl.formats import load_safetensors
from minidl.training import Trainer
from minidl.training.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
    progress,
)

RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]]) + RNG.normal(size=(40, 1))).astype("float32")
VALIDATION = X[:8], Y[:8] + 1


def make_trainer(rate: float = 0.05) -> Trainer:
    minidl.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.ReLU(), nn.Linear(4, 1))
    return Trainer(model, nn.MSELoss(), minidl.optim.Adam(model.parameters(), lr=rate), seed=5)


def weights(trainer: Trainer) -> bytes:
    return b"".join(x.numpy().tobytes() for x in trainer.model.state_dict().values())


def fit(trainer: Trainer, callbacks: Any, epochs: int = 6, **arguments: Any) -> History:
    arguments = {"verbose": 0, "validation_data": VALIDATION, **arguments}
    return trainer.fit(X, Y, batch_size=8, epochs=epochs, callbacks=callbacks, **arguments)


def test_early_stopping_leaves_the_best_weights(tmp_path: Path) -> None:
    trainer = make_trainer(rate=0.5)
    callbacks = [
        EarlyStopping(patience=2, restore_best_weights=True),
        ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True),
    ]
    history = fit(trainer, callbacks, epochs=50)
    curve = history.history["val_loss"]
    assert len(curve) < 50
    assert len(curve) == int(np.argmin(curve)) + 3
    assert trainer.evaluate(*VALIDATION, verbose=0)["loss"] == min(curve)
    best = load_safetensors(tmp_path / "best.safetensors")
    assert weights(trainer) == b"".join(best[name].numpy().tobytes() for name in trainer.model.state_dict())


def test_learning_rates_reach_the_optimizer_and_the_history() -> None:
    trainer = make_trainer()
    history = fit(trainer, LearningRateScheduler(lambda epoch: 0.1 / 2**epoch), epochs=3)
    assert history.history["learning_rate"] == [0.1, 0.05, 0.025]
    assert trainer.optimizer.param_groups[0]["lr"] == 0.025
    trainer = make_trainer()
    history = fit(trainer, ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9), epochs=4)
    assert history.history["learning_rate"] == [0.05, 0.05, 0.025, 0.0125]


def test_nan_ends_training_in_good_order(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = make_trainer()
    ended: list[Any] = []
    bad = X.copy()
    bad[5] = np.nan
    callbacks = [TerminateOnNaN(), LambdaCallback(on_train_end=ended.append)]
    history = trainer.fit(bad, Y, batch_size=8, epochs=5, shuffle=False, verbose=0, callbacks=callbacks)
    assert capsys.readouterr().out == "Batch 0: Invalid loss (nan), terminating training\n"
    assert len(history.epoch) == len(ended) == 1


def test_the_log_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.training.callbacks.test_progress import redirect

    log = io.StringIO()
    redirect(monkeypatch, log)
    trainer = make_trainer()
    fit(trainer, None, epochs=2, verbose=1)
    trainer.evaluate(X, Y, batch_size=8)
    trainer.predict(X, batch_size=8)
    patterns = [
        r"Epoch 1/2 - 5/5 - \ds - \d+[mu]?s/step - loss: \d\.\d{4} - val_loss: \d\.\d{4}",
        r"Epoch 2/2 - 5/5 - \ds - \d+[mu]?s/step - loss: \d\.\d{4} - val_loss: \d\.\d{4}",
        r"Evaluate - 5/5 - \ds - \d+[mu]?s/step - loss: \d\.\d{4}",
        r"Predict - 5/5 - \ds - \d+[mu]?s/step",
    ]
    lines = log.getvalue().splitlines()
    assert len(lines) == len(patterns)
    assert all(map(re.fullmatch, patterns, lines))


def test_the_bar_of_a_training_that_fails_leaves_the_terminal_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.training.callbacks.test_progress import Terminal, redirect

    screen = Terminal()
    redirect(monkeypatch, screen)
    monkeypatch.setenv("TERM", "xterm")
    bar = progress.ProgressBar(interval=0.0)

    def fail(batch: int, logs: Any) -> None:
        if batch == 3:
            raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError, match="the user's own"):
        fit(make_trainer(), [bar, LambdaCallback(on_train_batch_end=fail)], verbose=1)
    assert screen.getvalue().endswith("\n")
    assert screen.screen()[0].startswith("Epoch 1/6  4/5 |")


def test_bad_arguments_are_found_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for callback in (
        ModelCheckpoint(tmp_path / "file" / "m.safetensors"),
        CSVLogger(tmp_path / "file" / "log.csv"),
        BackupAndRestore(tmp_path / "file"),
    ):
        trainer = make_trainer()
        before = weights(trainer)
        with pytest.raises(ArgumentError, match="cannot write into the folder"):
            fit(trainer, callback)
        assert weights(trainer) == before
        assert trainer.step == 0


# ---------------------------------------------------------------------- cut off


class CutOff(Callback):
    """The power fails after a number of steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after -= 1
        if self.after == 0:
            raise SystemExit


def all_of_them(folder: Path) -> list[Callback]:
    """Return callbacks that have a state, in a folder of their own."""
    return [
        EarlyStopping(patience=6, restore_best_weights=True),
        ReduceLROnPlateau(patience=0, factor=0.5, cooldown=1, min_delta=0.5),
        LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        CSVLogger(folder / "log.csv"),
        ModelCheckpoint(folder / "{epoch}-{batch}.safetensors", save_freq=3),
    ]


@pytest.mark.parametrize("freq", ["epoch", 1, 3])
@pytest.mark.parametrize("after", [2, 7, 10, 19])
def test_a_training_cut_off_goes_on_to_the_same_bits(tmp_path: Path, freq: Any, after: int) -> None:
    alone, cut = tmp_path / "alone", tmp_path / "cut"
    whole = make_trainer()
    history = fit(whole, all_of_them(alone))
    with pytest.raises(SystemExit):
        fit(make_trainer(), [*all_of_them(cut), BackupAndRestore(tmp_path / "backup", freq), CutOff(after)])
    assert (tmp_path / "backup").exists() or after < 5
    minidl.manual_seed(99)
    resumed = make_trainer()
    again = fit(resumed, [*all_of_them(cut), BackupAndRestore(tmp_path / "backup", freq)])
    assert weights(resumed) == weights(whole)
    assert again.history == history.history
    assert again.epoch == history.epoch
    assert (cut / "log.csv").read_bytes() == (alone / "log.csv").read_bytes()
    saved = sorted(path.name for path in alone.glob("*.safetensors"))
    assert sorted(path.name for path in cut.glob("*.safetensors")) == saved
    assert all((cut / name).read_bytes() == (alone / name).read_bytes() for name in saved)
    assert not (tmp_path / "backup").exists()


def test_backups_that_stay(tmp_path: Path) -> None:
    fit(make_trainer(), BackupAndRestore(tmp_path / "b", double_checkpoint=True, delete_checkpoint=False), epochs=4)
    assert len(list((tmp_path / "b").glob("checkpoint-*"))) == 2
    trainer = make_trainer()
    history = fit(trainer, BackupAndRestore(tmp_path / "b"), epochs=5)
    assert history.epoch == [0, 1, 2, 3, 4]
    assert trainer.step == 25


def test_ctrl_c_keeps_the_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = make_trainer()
    fit(whole, None, epochs=3)

    def interrupt(batch: int, logs: Any) -> None:
        if trainer.step == 8:
            signal.raise_signal(signal.SIGINT)

    trainer = make_trainer()
    history = fit(trainer, [BackupAndRestore(tmp_path / "b"), LambdaCallback(on_train_batch_end=interrupt)], epochs=3)
    assert history.interrupted
    assert list((tmp_path / "b").glob("checkpoint-*"))
    assert "interrupted after" in capsys.readouterr().err
    resumed = make_trainer()
    fit(resumed, BackupAndRestore(tmp_path / "b"), epochs=3)
    assert weights(resumed) == weights(whole)


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    fit(make_trainer(), BackupAndRestore(tmp_path), epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_bad_backups() -> None:
    with pytest.raises(ArgumentError, match="backup_dir is empty"):
        BackupAndRestore("")
    with pytest.raises(ArgumentError, match="BackupAndRestore: save_freq must be"):
        BackupAndRestore("b", save_freq=0)
