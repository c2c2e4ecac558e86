"""What one device wrote, another goes on from: with --device=cpu both are the CPU, otherwise one is the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn, optim
from minidl.training import CheckpointManager, Trainer
from minidl.training.callbacks import EarlyStopping, ModelCheckpoint
from minidl.training.metrics import F1, Accuracy

N, D, C = 20, 4, 3
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, D)).astype(np.float32), RNG.integers(0, C, N)


@pytest.fixture(params=["from the CPU", "to the CPU"])
def way(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The device that writes, and the one that reads."""
    cpu, chosen = minidl.device("cpu"), minidl.get_default_device()
    return (cpu, chosen) if request.param == "from the CPU" else (chosen, cpu)


def trainer(optimizer: str = "Adam") -> Trainer:
    minidl.manual_seed(0)
    model = nn.Sequential(nn.Linear(D, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, C))
    made = getattr(optim, optimizer)(model.parameters(), lr=0.05)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(made, 10)
    metrics = [Accuracy(), F1("macro", num_classes=C)]
    return Trainer(model, nn.CrossEntropyLoss(), made, metrics, scheduler=scheduler, seed=7)


def start(where: Any, optimizer: str = "Adam") -> Trainer:
    """Return a trainer on a device, whose weights are those that the CPU would draw."""
    with minidl.device("cpu"):
        drawn = trainer(optimizer).model.state_dict()
    with where:
        made = trainer(optimizer)
        made.model.load_state_dict(drawn)
    return made


def fit(built: Trainer, **kwargs: Any) -> Any:
    return built.fit(X, Y, batch_size=6, epochs=3, verbose=0, validation_split=0.2, **kwargs)


def assert_equal(one: Trainer, other: Trainer) -> None:
    for p, q in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "RMSprop"])
def test_a_training_cut_off_in_mid_epoch_goes_on_elsewhere(optimizer: str, way: Any, tmp_path: Path) -> None:
    first, second = way
    whole = start(second, optimizer)
    history = fit(whole)
    fit(start(first, optimizer), checkpoint=tmp_path / "all", checkpoint_every=1, keep=99)
    for file in CheckpointManager(tmp_path / "all").paths()[1::2]:
        folder = tmp_path / file.stem
        folder.mkdir()
        (folder / file.name).symlink_to(file)
        resumed = start(second, optimizer)
        again = fit(resumed, checkpoint=folder, resume=True)
        assert_equal(resumed, whole)
        assert all(x.device == second for x in resumed.model.parameters())
        for name, values in history.history.items():
            np.testing.assert_allclose(again.history[name], values, rtol=1e-4, atol=1e-6)


def test_the_file_of_a_callback_is_read_elsewhere(way: Any, tmp_path: Path) -> None:
    first, second = way
    written, path = start(first), tmp_path / "best.safetensors"
    fit(written, callbacks=[ModelCheckpoint(path), EarlyStopping("loss", patience=9, restore_best_weights=True)])
    with second:
        loaded = minidl.load(path)
        read = trainer()
        read.model.load_state_dict(loaded)
    assert all(x.device == second for x in (*read.model.parameters(), *read.model.buffers()))
    assert_equal(read, written)
    expected = written.predict(X, verbose=0)
    np.testing.assert_allclose(read.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)


def test_a_state_by_hand_moves_with_its_optimizer(way: Any, tmp_path: Path) -> None:
    first, second = way
    built = start(first)
    fit(built)
    minidl.save(built.state_dict(), tmp_path / "state")
    other = start(second)
    other.load_state_dict(minidl.load(tmp_path / "state"))
    assert_equal(other, built)
    for one in (built, other):
        one.fit(X, Y, batch_size=6, initial_epoch=3, epochs=5, verbose=0)
    assert_equal(other, built)
