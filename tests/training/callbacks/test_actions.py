"""Schedules, NaN, and functions as callbacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl.errors import ArgumentError, DTypeError, StateError
from minidl.training.callbacks import CallbackList, LambdaCallback, LearningRateScheduler, TerminateOnNaN
from tests.training.callbacks.fakes import FakeTrainer


def test_the_schedule_sets_and_logs_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = FakeTrainer(learning_rate=1.0)
    schedule = LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate, verbose=1)
    logs = trainer.drive(schedule, [{"loss": 1.0}] * 3)
    assert [x["learning_rate"] for x in logs] == [1.0, 0.5, 0.25]
    assert capsys.readouterr().out.splitlines()[1] == ("Epoch 2: LearningRateScheduler setting learning rate to 0.5.")


def test_a_schedule_of_the_epoch_alone() -> None:
    trainer = FakeTrainer()
    trainer.drive(LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1)), [{}] * 4)
    assert trainer.learning_rate == 0.25
    trainer.drive(LearningRateScheduler(max), [{}] * 4)  # a built-in that does not tell what it takes: given both
    assert trainer.learning_rate == 3.0


def test_a_type_error_within_the_schedule_is_the_users_own() -> None:
    def schedule(epoch: int, rate: float) -> float:
        return rate + "1"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        FakeTrainer().drive(LearningRateScheduler(schedule), [{}])


@pytest.mark.parametrize(("value", "hint"), [(None, "lack a return"), ("0.1", "'0.1'"), (np.ones(2), "array")])
def test_a_schedule_must_return_a_number(value: Any, hint: str) -> None:
    with pytest.raises(DTypeError, match=f"schedule must return a number, got .*{hint}"):
        FakeTrainer().drive(LearningRateScheduler(lambda epoch, rate: value), [{}])


@pytest.mark.parametrize("value", [1, np.float32(1.0), np.array(1.0)])
def test_numbers_of_any_kind_are_rates(value: Any) -> None:
    trainer = FakeTrainer()
    trainer.drive(LearningRateScheduler(lambda epoch: value), [{}])
    assert type(trainer.learning_rate) is float


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), np.float32("nan")])
def test_nan_stops_training(loss: float, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = FakeTrainer()
    callbacks = CallbackList([TerminateOnNaN()], trainer)  # type: ignore[arg-type]
    callbacks.on_train_batch_end(2, {"loss": 1.0})
    assert not trainer.stop_training
    callbacks.on_train_batch_end(3, {"loss": loss})
    assert trainer.stop_training
    assert capsys.readouterr().out == f"Batch 3: Invalid loss ({float(loss)}), terminating training\n"


def test_nan_raises_if_asked_to() -> None:
    with pytest.raises(StateError, match=r"Batch 3: Invalid loss \(nan\); try a lower learning rate"):
        TerminateOnNaN(raise_error=True).on_train_batch_end(3, {"loss": float("nan")})


def test_lambdas_are_called_and_leave_the_other_hooks_alone() -> None:
    heard: list[Any] = []
    callback = LambdaCallback(
        on_train_begin=lambda logs: heard.append("begin"),
        on_test_batch_end=lambda batch, logs: heard.append(("test", batch)),
    )
    callbacks = CallbackList([callback])
    assert callbacks.listens("on_test_batch_end")
    assert not callbacks.listens("on_train_batch_end")
    callbacks.on_train_begin()
    callbacks.on_epoch_end(0, {})
    callbacks.on_test_batch_end(1)
    assert heard == ["begin", ("test", 1)]


def test_a_hook_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"'on_epoch_ends' is no hook; there are .*on_epoch_end"):
        LambdaCallback(on_epoch_ends=print)
