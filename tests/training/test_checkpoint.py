"""Checkpoints: a training that was cut off anywhere, in any way, ends with the bits of one that was left alone."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import formats, nn, optim
from minidl.backend import is_array, to_numpy
from minidl.data import DataLoader, Dataset, TensorDataset
from minidl.errors import ArgumentError, NumericalWarning, StateError
from minidl.training import CheckpointManager, Trainer
from minidl.training.callbacks import Callback, EarlyStopping
from minidl.training.metrics import Accuracy

N, D, C = 26, 4, 3
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, D)).astype(np.float32), RNG.integers(0, C, N)


class Noise(nn.Module):
    """A layer with a generator of its own, as Keras's Dropout with a seed has."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = minidl.Generator().manual_seed(5)

    def forward(self, x: Any) -> Any:
        return x + 0.1 * minidl.randn(*x.shape, generator=self.rng) if self.training else x


class Jittered(Dataset):
    """Samples that a random transform changes each time."""

    def __init__(self, own: bool) -> None:
        self.rng = minidl.Generator().manual_seed(9) if own else None

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Any:
        return minidl.tensor(X[index]) + 0.1 * minidl.randn(D, generator=self.rng), int(Y[index])


def arrays() -> dict[str, Any]:
    return {"x": X, "y": Y, "batch_size": 6, "validation_split": 0.2}


def generated() -> Any:
    while True:
        for i in range(0, N, 6):
            noise = minidl.randn(len(X[i : i + 6]), D)
            yield minidl.tensor(X[i : i + 6]) + 0.1 * noise, Y[i : i + 6]


SOURCES = {
    "arrays": arrays,
    "arrays in their order": lambda: {"x": X, "y": Y, "batch_size": 6, "shuffle": False},
    "weighted": lambda: {**arrays(), "class_weight": {0: 2.0}},
    "some steps": lambda: {**arrays(), "steps_per_epoch": 3},
    "loader": lambda: {"x": DataLoader(TensorDataset(X, Y), 6, shuffle=True)},
    "loader with a seed": lambda: {"x": DataLoader(TensorDataset(X, Y), 6, shuffle=True, seed=4)},
    "transforms": lambda: {"x": DataLoader(Jittered(own=False), 6, shuffle=True, num_workers=2)},
    "transforms of their own": lambda: {"x": DataLoader(Jittered(own=True), 6, shuffle=True)},
    "validation by a loader": lambda: {
        **arrays(),
        "validation_split": 0.0,
        "validation_data": DataLoader(Jittered(own=True), 6, shuffle=True, seed=4),
    },
    "generator": lambda: {"x": generated(), "steps_per_epoch": 4},
    "function": lambda: {"x": lambda: (batch for batch, _ in zip(generated(), range(4), strict=False))},
}


def trainer(accumulate: int = 1, every: str = "epoch") -> Trainer:
    minidl.manual_seed(0)
    model = nn.Sequential(nn.Linear(D, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), Noise(), nn.Linear(8, C))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    return Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        [Accuracy()],
        scheduler=scheduler,
        schedule_every=every,
        accumulate=accumulate,
    )


def callbacks() -> list[Callback]:
    return [EarlyStopping("loss", patience=1, restore_best_weights=True)]


def train(built: Trainer, source: str, epochs: int = 3, **kwargs: Any) -> Any:
    """Train, and return everything that counts as plain values and bytes."""
    history = built.fit(**SOURCES[source](), epochs=epochs, callbacks=callbacks(), verbose=0, **kwargs)
    state = built.state_dict()
    return flat(
        [state["model"], state["optimizer"], state["scheduler"], state["random"], history.history, state["step"]]
    )


def flat(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {str(key): flat(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [flat(value) for value in tree]
    if hasattr(tree, "numpy"):
        tree = tree.numpy()
    if is_array(tree):
        tree = to_numpy(tree)
    return (tree.dtype.str, tree.shape, tree.tobytes()) if isinstance(tree, np.ndarray) else tree


# ---------------------------------------------------------------------- to the same bits


@pytest.mark.parametrize("source", SOURCES)
def test_resuming_after_any_batch_ends_with_the_same_bits(source: str, tmp_path: Path) -> None:
    whole = train(trainer(), source, 2)
    assert train(trainer(), source, 2, checkpoint=tmp_path / "all", checkpoint_every=1, keep=99) == whole
    files = CheckpointManager(tmp_path / "all").paths()
    assert len(files) > 6
    for file in files:
        folder = tmp_path / file.stem
        folder.mkdir()
        os.link(file, folder / file.name)
        minidl.rand(3)  # another process stands somewhere else
        assert train(trainer(), source, 2, checkpoint=folder, resume=True) == whole, file.name


@pytest.mark.parametrize("source", ["arrays", "loader"])
@pytest.mark.parametrize("every", ["epoch", "step"])
def test_resuming_between_groups_of_accumulated_batches(source: str, every: str, tmp_path: Path) -> None:
    whole = train(trainer(2, every), source)
    assert train(trainer(2, every), source, checkpoint=tmp_path / "all", checkpoint_every=1, keep=99) == whole
    for file in CheckpointManager(tmp_path / "all").paths():
        folder = tmp_path / file.stem
        folder.mkdir()
        os.link(file, folder / file.name)
        assert train(trainer(2, every), source, checkpoint=folder, resume=True) == whole, file.name


def test_callbacks_hear_of_the_epoch_that_is_resumed(tmp_path: Path) -> None:
    """They begin it again, and then everything is put back: what beginning it twice changed, too."""
    begun = []

    class Halves(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.trainer.learning_rate *= 0.5
            begun.append(epoch)

    def rates(**kwargs: Any) -> tuple[list[int], float]:
        begun.clear()
        built = trainer(every="step")
        built.scheduler = None
        built.fit(**arrays(), epochs=3, callbacks=Halves(), verbose=0, **kwargs)
        return list(begun), built.learning_rate

    assert rates(checkpoint=tmp_path, checkpoint_every=3, keep=99) == ([0, 1, 2], 0.05 / 8)
    for path in CheckpointManager(tmp_path).paths()[2:]:
        path.unlink()
    assert CheckpointManager(tmp_path).load()["epoch"] == 1
    assert rates(checkpoint=tmp_path, resume=True) == ([1, 2], 0.05 / 8)


def test_resuming_after_each_epoch_and_after_the_end(tmp_path: Path) -> None:
    whole = train(trainer(), "arrays", epochs=4)
    for epochs in (1, 2, 4, 4):
        found = train(trainer(), "arrays", epochs=epochs, checkpoint=tmp_path, resume=True)
    assert found == whole


def test_resuming_where_training_had_stopped_early(tmp_path: Path) -> None:
    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.trainer.stop_training = epoch == 1

    for _ in range(2):
        history = trainer().fit(X, Y, epochs=5, callbacks=Stop(), checkpoint=tmp_path, resume=True, verbose=0)
        assert history.epoch == [0, 1]


def test_ctrl_c_writes_a_checkpoint_to_resume_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class CtrlC(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.trainer.step == 6:
                signal.raise_signal(signal.SIGINT)

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.trainer.step == 12:
                signal.raise_signal(signal.SIGINT)

    whole = train(trainer(), "arrays")
    for _ in range(2):
        history = trainer().fit(
            **arrays(), epochs=3, callbacks=[*callbacks(), CtrlC()], checkpoint=tmp_path, resume=True, verbose=0
        )
        assert history.interrupted
        assert f"; fit(..., resume=True) goes on from {tmp_path}\n" in capsys.readouterr().err
    assert len(CheckpointManager(tmp_path).paths()) == 3  # that of the first epoch, and two of Ctrl-C
    assert train(trainer(), "arrays", checkpoint=tmp_path, resume=True) == whole


def test_a_fault_in_the_data_leaves_a_checkpoint(tmp_path: Path) -> None:
    def failing() -> Any:
        for number, batch in enumerate(generated()):
            if number == 6:
                raise OSError("the disk is gone")
            yield batch

    whole = train(trainer(), "generator")
    with pytest.raises(OSError, match="the disk is gone"):
        trainer().fit(failing(), steps_per_epoch=4, epochs=3, callbacks=callbacks(), checkpoint=tmp_path, verbose=0)
    assert train(trainer(), "generator", checkpoint=tmp_path, resume=True) == whole


# ---------------------------------------------------------------------- SIGKILL

#: Trains in forked processes, so that importing is paid for once; a step takes a few milliseconds, as does a write.
KILLED = """
import json, os, random, signal, sys, time
import numpy as np, minidl
from minidl import nn, optim
from minidl.data import DataLoader, TensorDataset
from minidl.training import Trainer
from minidl.training.callbacks import LambdaCallback

folder, seed = sys.argv[1], int(sys.argv[2])
X = np.random.default_rng(0).normal(size=(40, 4)).astype("f")
Y = np.random.default_rng(1).integers(0, 3, 40)

def train(kill_in_write=None, **kwargs):
    if kill_in_write is not None:  # between what is written and its new name, or before it is written through
        name, count = kill_in_write
        function, calls = getattr(os, name), []
        def deadly(*args):
            calls.append(args)
            if len(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args)
        setattr(os, name, deadly)
    minidl.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01), accumulate=2)
    loader = DataLoader(TensorDataset(X, Y), 4, shuffle=True)
    slow = LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.004))
    history = trainer.fit(loader, epochs=12, verbose=0, callbacks=slow, **kwargs)
    state = trainer.optimizer.state_dict()["state"]
    arrays = [p.array for p in model.parameters()]
    arrays += [s[key] for s in state.values() for key in ("exp_avg", "exp_avg_sq")]
    return [b"".join(a.tobytes() for a in arrays).hex(), history.history]

def forked(function):
    process = os.fork()
    if process == 0:
        try:
            function()
        finally:
            os._exit(0)
    return process

def finish(name, **kwargs):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(train(**kwargs), file)

chance = random.Random(seed)
resumed = {"checkpoint": os.path.join(folder, "checkpoints"), "checkpoint_every": 2, "keep": 2, "resume": True}
os.waitpid(forked(lambda: finish("alone")), 0)
kills = in_writes = 0
while kills < 20:
    cut = (chance.choice(["replace", "fsync"]), chance.randint(2, 6)) if kills % 2 else None
    process = forked(lambda: train(cut, **resumed))
    if cut is None:
        time.sleep(chance.uniform(0.005, 0.06))
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    if not os.WIFSIGNALED(status):
        sys.exit("it had come to its end after %d kills" % kills)
    kills += 1
    in_writes += any(name.endswith(".partial") for name in os.listdir(resumed["checkpoint"]))
os.waitpid(forked(lambda: finish("killed", **resumed)), 0)
print(kills, in_writes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork and no SIGKILL on this system")
def test_killed_twenty_times_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), "0"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert not found.stderr
    kills, in_writes = map(int, found.stdout.split())
    assert kills == 20
    assert in_writes > 0  # some were killed with a file half written
    assert json.loads((tmp_path / "killed").read_text()) == json.loads((tmp_path / "alone").read_text())
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2  # no half-written file is left


# ---------------------------------------------------------------------- the folder


def test_checkpoints_are_numbered_and_the_last_are_kept(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path / "a" / "b", keep=2)
    assert manager.load() is None
    for number in range(12):
        manager.save({"number": number})
    assert [path.name for path in manager.paths()] == [f"checkpoint-0000{n}.safetensors" for n in (11, 12)]
    (tmp_path / "a" / "b" / "notes.txt").write_text("of the user's")
    assert CheckpointManager(tmp_path / "a" / "b").load() == {"number": 11}
    manager.clear()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["notes.txt"]


def test_a_run_that_starts_anew_is_newer_than_an_old_one_s_files(tmp_path: Path) -> None:
    train(trainer(), "arrays", epochs=5, checkpoint=tmp_path)
    once = train(trainer(), "arrays", epochs=1, checkpoint=tmp_path)
    assert once == train(trainer(), "arrays", epochs=1)
    assert train(trainer(), "arrays", epochs=2, checkpoint=tmp_path, resume=True) == train(
        trainer(), "arrays", epochs=2
    )


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize("damage", [truncated, flipped, lambda content: b""])
def test_a_damaged_checkpoint_is_passed_over(damage: Any, tmp_path: Path) -> None:
    train(trainer(), "arrays", epochs=2, checkpoint=tmp_path)
    newest = CheckpointManager(tmp_path).paths()[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(
        NumericalWarning, match=f"a checkpoint cannot be read, the one before it is taken: .*{newest.name}"
    ):
        found = train(trainer(), "arrays", epochs=3, checkpoint=tmp_path, resume=True)
    assert found == train(trainer(), "arrays", epochs=3)


def test_any_other_file_is_no_checkpoint(tmp_path: Path) -> None:
    formats.save({"weights": np.ones(3)}, tmp_path / "checkpoint-000001.safetensors")
    with pytest.warns(NumericalWarning, match="is no checkpoint"):
        assert CheckpointManager(tmp_path).load() is None


def test_resuming_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    assert train(trainer(), "arrays", checkpoint=tmp_path / "new", resume=True) == train(trainer(), "arrays")


def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    built = trainer()
    with pytest.raises(
        OSError, match=r"checkpoints cannot be written to .*file/inner: Not a directory; choose another"
    ):
        built.fit(X, Y, checkpoint=tmp_path / "file" / "inner", verbose=0)
    assert built.step == 0
    with pytest.raises(ArgumentError, match="batch_size must be"):
        built.fit(X, Y, batch_size=0, checkpoint=tmp_path / "unused", verbose=0)
    built.fit(X, Y, verbose=0)  # what failed above asks nothing of this one
    assert not CheckpointManager(tmp_path / "unused").paths()
    with pytest.raises(ArgumentError, match="keep must be a positive integer, got 0"):
        built.fit(X, Y, checkpoint=tmp_path, keep=0, verbose=0)
    with pytest.raises(ArgumentError, match="checkpoint_every must be a positive integer, got 0"):
        built.fit(X, Y, checkpoint=tmp_path, checkpoint_every=0, verbose=0)


def test_a_full_disk_does_not_stop_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                monkeypatch.setattr(os, "fsync", self.fail)

        @staticmethod
        def fail(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    built = trainer()
    with pytest.warns(NumericalWarning, match="could not be written, training goes on: .*No space left"):
        history = built.fit(X, Y, epochs=3, callbacks=Full(), checkpoint=tmp_path, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000001.safetensors"]
    monkeypatch.undo()
    assert CheckpointManager(tmp_path).load()["epoch"] == 1


# ---------------------------------------------------------------------- what does not fit


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    train(trainer(), "arrays", checkpoint=tmp_path / "epochs")
    train(trainer(), "arrays", checkpoint=tmp_path / "steps", checkpoint_every=3)
    for path in CheckpointManager(tmp_path / "steps").paths()[-1:]:
        path.unlink()  # the one at the very end

    def resumed(folder: str, batch_size: int = 6, **others: Any) -> None:
        built = trainer()
        parts = {name: getattr(built, name) for name in ("model", "loss", "optimizer", "scheduler")}
        other = Trainer(**{**parts, "metrics": [Accuracy()], **others})
        given = {**arrays(), "batch_size": batch_size}
        other.fit(**given, epochs=9, checkpoint=tmp_path / folder, resume=True, verbose=0)

    with pytest.raises(
        StateError, match=r"middle of an epoch of samples 20, batch_size 6, and .* samples 20, batch_size 5"
    ):
        resumed("steps", batch_size=5)
    with pytest.raises(StateError, match="the state does not fit Sequential"):
        resumed("epochs", model=nn.Sequential(nn.Linear(D, C)))
    with pytest.raises(StateError, match="only one of checkpoint and trainer has a scheduler"):
        resumed("epochs", scheduler=None)
    with pytest.raises(StateError, match=r"has the metrics \['accuracy'\], this training \[\]"):
        resumed("steps", metrics=None)
    with pytest.raises(StateError, match="no state of a Trainer"):
        trainer().load_state_dict({"version": 0})


def test_a_generator_that_is_too_short_to_resume(tmp_path: Path) -> None:
    train(trainer(), "generator", epochs=2, checkpoint=tmp_path)
    with pytest.raises(StateError, match="8 batches were trained on before, and the generator given now ended after 1"):
        trainer().fit(iter([(X, Y)]), epochs=9, steps_per_epoch=4, checkpoint=tmp_path, resume=True, verbose=0)


def test_states_by_hand(tmp_path: Path) -> None:
    """A trainer's state can be kept without fit's checkpoints, between two calls of it."""

    def further(built: Trainer) -> Any:
        built.fit(X, Y, initial_epoch=2, epochs=4, verbose=0)
        return flat(built.state_dict())

    built = trainer()
    built.fit(X, Y, epochs=2, verbose=0)
    formats.save(built.state_dict(), tmp_path / "state")
    whole = further(built)
    other = trainer()
    other.load_state_dict(formats.load(tmp_path / "state"))
    assert (other.epoch, other.step) == (2, 2)
    assert further(other) == whole
