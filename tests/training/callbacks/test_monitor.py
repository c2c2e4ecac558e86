"""Early stopping and lowered learning rates: real Keras's decisions, from the same logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl import nn
from minidl.errors import ArgumentError, NumericalWarning
from minidl.training.callbacks import EarlyStopping, Monitor, ReduceLROnPlateau
from tests.training.callbacks.fakes import FakeTrainer

# Sixteenths: exact in float32, in which Keras compares.
NUMBERS = st.integers(0, 32).map(lambda n: n / 16)
SEQUENCES = st.lists(NUMBERS | st.just(float("nan")), min_size=1, max_size=12)


def losses(*values: float) -> list[dict[str, float]]:
    return [{"val_loss": value} for value in values]


class FakeKerasModel:
    """What Keras's callbacks ask of a model; its weights are the number of the epoch."""

    def __init__(self) -> None:
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=0.5)
        self.weights = [np.zeros(1)]

    def get_weights(self) -> list[np.ndarray]:
        return [self.weights[0].copy()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weights = weights


class OneNumber(nn.Module):
    """A model with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(minidl.zeros(1))


@settings(deadline=None, max_examples=150)
@given(
    values=SEQUENCES,
    min_delta=st.sampled_from([0, 0.0625, 0.25, -0.25]),
    patience=st.integers(0, 3),
    mode=st.sampled_from(["min", "max", "auto"]),
    baseline=st.none() | NUMBERS,
    restore=st.booleans(),
    start=st.integers(0, 3),
)
def test_early_stopping_decides_as_keras_does(values: list[float], restore: bool, start: int, **arguments: Any) -> None:
    from tests.keras.yardstick import keras

    arguments |= {"restore_best_weights": restore, "start_from_epoch": start}
    theirs, ours = keras.callbacks.EarlyStopping(**arguments), EarlyStopping(**arguments)
    reference = FakeKerasModel()
    trainer = FakeTrainer(OneNumber())
    theirs.set_model(reference)
    ours.set_trainer(trainer)  # type: ignore[arg-type]
    theirs.on_train_begin()
    ours.on_train_begin()
    for epoch, logs in enumerate(losses(*values)):
        reference.weights[0][...] = epoch
        trainer.model.load_state_dict({"weight": np.array([epoch], "float32")})
        theirs.on_epoch_end(epoch, logs)
        ours.on_epoch_end(epoch, logs)
        assert trainer.stop_training == reference.stop_training
        assert (ours.wait, ours.stopped_epoch, ours.best_epoch) == (
            theirs.wait,
            theirs.stopped_epoch,
            theirs.best_epoch,
        )
        assert ours.best == theirs.best or np.isnan(ours.best) == np.isnan(theirs.best)
        if trainer.stop_training:
            break
    theirs.on_train_end()
    ours.on_train_end()
    assert trainer.model.weight.item() == reference.weights[0].item()


@settings(deadline=None, max_examples=150)
@given(
    values=SEQUENCES,
    factor=st.sampled_from([0.5, 0.25]),
    patience=st.integers(0, 3),
    mode=st.sampled_from(["min", "max", "auto"]),
    min_delta=st.sampled_from([0, 0.0625, 0.25]),
    cooldown=st.integers(0, 2),
    min_lr=st.sampled_from([0.0, 0.0625, 0.1]),
)
def test_learning_rates_fall_as_in_keras(values: list[float], **arguments: Any) -> None:
    from tests.keras.yardstick import keras

    theirs, ours = keras.callbacks.ReduceLROnPlateau(**arguments), ReduceLROnPlateau(**arguments)
    reference, trainer = FakeKerasModel(), FakeTrainer()
    theirs.set_model(reference)
    ours.set_trainer(trainer)  # type: ignore[arg-type]
    theirs.on_train_begin()
    ours.on_train_begin()
    for epoch, logs in enumerate(losses(*values)):
        their_logs, our_logs = dict(logs), dict(logs)
        theirs.on_epoch_end(epoch, their_logs)
        ours.on_epoch_end(epoch, our_logs)
        assert trainer.learning_rate == reference.optimizer.learning_rate
        assert our_logs["learning_rate"] == their_logs["learning_rate"]
        assert (ours.wait, ours.cooldown_counter) == (theirs.wait, theirs.cooldown_counter)


@settings(deadline=None, max_examples=50)
@given(values=SEQUENCES, cut=st.integers(0, 12), patience=st.integers(0, 3))
def test_a_resumed_early_stopping_decides_as_one_left_alone(values: list[float], cut: int, patience: int) -> None:
    epochs, cut = losses(*values), min(cut, len(values))
    whole = EarlyStopping(patience=patience)
    alone = FakeTrainer()
    alone.drive(whole, epochs)

    first, trainer = EarlyStopping(patience=patience), FakeTrainer()
    trainer.drive(first, epochs[:cut])
    if not trainer.stop_training:
        second = EarlyStopping(patience=patience)
        second.set_trainer(trainer)  # type: ignore[arg-type]
        second.on_train_begin()
        second.load_state_dict(first.state_dict())
        trainer.go_on(second, epochs[cut:], cut)
        first = second
    assert trainer.stop_training == alone.stop_training
    assert repr(first.state_dict()) == repr(whole.state_dict())  # repr: NaN equals itself there


def test_a_resumed_plateau_goes_on_waiting() -> None:
    first, trainer = ReduceLROnPlateau(factor=0.5, patience=2, cooldown=2), FakeTrainer()
    trainer.drive(first, losses(1.0, 1.0))
    second = ReduceLROnPlateau(factor=0.5, patience=2, cooldown=2)
    second.load_state_dict(first.state_dict())
    second.set_trainer(trainer)  # type: ignore[arg-type]
    second.on_epoch_end(2, {"val_loss": 1.0})
    assert trainer.learning_rate == 0.25
    assert second.in_cooldown()


def test_best_weights_survive_a_checkpoint(tmp_path: Any) -> None:
    model = OneNumber()
    first, trainer = EarlyStopping(patience=3, restore_best_weights=True), FakeTrainer(model)
    first.set_trainer(trainer)  # type: ignore[arg-type]
    first.on_train_begin()
    model.load_state_dict({"weight": np.array([7.0], "float32")})
    first.on_epoch_end(0, {"val_loss": 0.5})
    minidl.save(first.state_dict(), tmp_path / "state.safetensors")
    model.load_state_dict({"weight": np.array([8.0], "float32")})
    second = EarlyStopping(patience=3, restore_best_weights=True)
    second.set_trainer(trainer)  # type: ignore[arg-type]
    second.on_train_begin()
    second.load_state_dict(minidl.load(tmp_path / "state.safetensors"))
    second.on_train_end()
    assert model.weight.item() == 7.0


def test_early_stopping_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    FakeTrainer().drive(EarlyStopping(patience=1, verbose=1, restore_best_weights=True), losses(0.5, 0.25, 0.75, 0.75))
    assert capsys.readouterr().out == (
        "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    )


def test_plateau_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    FakeTrainer().drive(ReduceLROnPlateau(patience=1, factor=0.5, verbose=1), losses(0.5, 0.5))
    assert capsys.readouterr().out == "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.\n"


# ---------------------------------------------------------------------- which way is better


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("loss", False), ("val_loss", False), ("val_mae", False), ("output_loss", False), ("mean_squared_error", False),
        ("val_binary_crossentropy", False), ("accuracy", True), ("val_acc", True), ("sparse_top_k_accuracy", True),
        ("val_auc", True), ("f1_score", True), ("val_dense_1_accuracy", True), ("cosine_similarity", True),
    ],
)  # fmt: skip
def test_the_name_tells_which_way_is_better(name: str, higher: bool) -> None:
    assert Monitor(name).improves(0.75, 0.5) == higher


def test_a_metrics_own_direction_comes_first() -> None:
    watch = Monitor("val_error_of_mine")
    watch.set_trainer(FakeTrainer(metrics=[SimpleNamespace(name="error_of_mine", direction="max")]))  # type: ignore[arg-type]
    assert watch.improves(0.75, 0.5)


@pytest.mark.parametrize("name", ["thing", "accuracy_loss"])
def test_a_name_that_does_not_tell_is_an_error(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"monitor='{name}': its name does not tell whether higher is better"):
        EarlyStopping(name).improves(1.0, 2.0)
    assert EarlyStopping(name, mode="max").improves(2.0, 1.0)


def test_bad_arguments() -> None:
    with pytest.raises(ArgumentError, match='EarlyStopping: mode must be "auto", "min" or "max", got \'up\''):
        EarlyStopping(mode="up")
    with pytest.raises(ArgumentError, match="factor must be below 1"):
        ReduceLROnPlateau(factor=1.0)


def test_a_name_that_is_not_there_is_warned_of_once() -> None:
    trainer = FakeTrainer()
    with pytest.warns(NumericalWarning) as caught:
        trainer.drive(EarlyStopping(), [{"loss": 1.0, "accuracy": 0.5}] * 3)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "monitor='val_loss' is not in the logs, so that it cannot stop training" in message
    assert "pass validation data to fit" in message
    assert message.endswith("The logs hold loss, accuracy")
    assert not trainer.stop_training


def test_an_array_cannot_be_watched() -> None:
    with pytest.warns(NumericalWarning, match=r"is an array of shape \(2,\), not a number"):
        FakeTrainer().drive(ReduceLROnPlateau("f1"), [{"f1": np.ones(2)}])
