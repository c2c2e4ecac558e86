"""The base class and the list: who is called, when, in what order, and what a resumed training brings back."""

from __future__ import annotations

from typing import Any

import pytest

from minidl.errors import DTypeError, NumericalWarning, StateError
from minidl.training.callbacks import Callback, CallbackList, EarlyStopping, LambdaCallback
from tests.training.callbacks.fakes import FakeTrainer

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]
WITH_NUMBER = [name for name in HOOKS if "epoch" in name or "batch" in name]


class Recorder(Callback):
    """Writes down every hook but the aliases, which would turn up twice."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []


for hook in HOOKS:
    if hook not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, hook, lambda self, *args, hook=hook: self.heard.append((hook, *args)))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_reaches_everyone_in_order(hook: str) -> None:
    first, second, order = Recorder(), Recorder(), []
    aliased = hook.replace("on_batch", "on_train_batch")
    callbacks = CallbackList([first, LambdaCallback(**{aliased: lambda *args: order.append(len(first.heard))}), second])
    arguments = (3, {"loss": 1.0}) if hook in WITH_NUMBER else ({"loss": 1.0},)
    getattr(callbacks, hook)(*arguments)
    assert first.heard == second.heard == [(aliased, *arguments)]
    assert order == [1]


@pytest.mark.parametrize("end", ["begin", "end"])
def test_the_older_names_of_batch_hooks_are_called(end: str) -> None:
    heard = []
    old = type("Old", (Callback,), {f"on_batch_{end}": lambda self, batch, logs=None: heard.append((batch, logs))})
    callbacks = CallbackList([old()])
    assert callbacks.listens(f"on_train_batch_{end}")
    getattr(callbacks, f"on_train_batch_{end}")(7, {"loss": 2.0})
    assert heard == [(7, {"loss": 2.0})]


def test_batch_hooks_are_called_only_where_they_are_overridden() -> None:
    class Loud(Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            raise AssertionError("called")

    quiet = CallbackList([Callback(), EarlyStopping()])
    assert not any(quiet.listens(name) for name in HOOKS if name.startswith(("on_train_batch", "on_test_batch")))
    loud = CallbackList([Callback(), Loud()])
    assert loud.listens("on_test_batch_end")
    assert not loud.listens("on_train_batch_end")
    with pytest.raises(AssertionError, match="called"):
        loud.on_test_batch_end(0)


def test_what_one_writes_into_the_logs_the_next_sees() -> None:
    seen = []
    writer = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=epoch))
    CallbackList([writer, LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))]).on_epoch_end(4, {})
    assert seen == [{"extra": 4}]


def test_trainer_model_and_params_reach_each() -> None:
    trainer, callback, late = FakeTrainer(), Callback(), Callback()
    callbacks = CallbackList(callback, trainer, epochs=3)  # type: ignore[arg-type]
    callbacks.append(late)
    for one in (callback, late, callbacks):
        assert one.trainer is trainer
        assert one.model is trainer.model
        assert one.params == {"epochs": 3}
    callbacks.set_params({"epochs": 4})
    assert callback.params == {"epochs": 4}
    callbacks.set_model("another")
    assert callback.model == "another"


def test_a_callback_whose_init_does_not_call_super_works() -> None:
    class Own(Callback):
        def __init__(self) -> None:
            self.mine = 1

    own = Own()
    assert own.model is None
    CallbackList([own]).on_epoch_end(0, {})
    with pytest.raises(StateError, match="Own: it has no trainer yet; pass it to fit"):
        _ = own.trainer


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"callbacks: expected Callback objects, got 3"):
        CallbackList([3])  # type: ignore[list-item]
    with pytest.raises(DTypeError, match=r"write EarlyStopping\(\.\.\.\), with parentheses"):
        CallbackList([EarlyStopping])  # type: ignore[list-item]


class Counter(Callback):
    """Has a state."""

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Any) -> None:
        self.count = state["count"]


def test_states_come_back_to_whom_they_belong() -> None:
    state = CallbackList([Counter(1), Callback(), Counter(2)]).state_dict()
    assert state == {"Counter:0": {"count": 1}, "Counter:1": {"count": 2}}
    fresh = [Callback(), Counter(), Recorder(), Counter(), Counter()]
    CallbackList(fresh).load_state_dict(state)
    assert [one.count for one in fresh if isinstance(one, Counter)] == [1, 2, 0]


def test_a_state_that_nobody_claims_is_warned_of() -> None:
    callbacks = CallbackList([Counter()])
    with pytest.warns(NumericalWarning, match=r"had callbacks that this one has not: Counter; they are left out"):
        callbacks.load_state_dict({"Counter:0": {"count": 5}, "Counter:1": {"count": 6}})
    assert callbacks.callbacks[0].count == 5  # type: ignore[attr-defined]


def test_close_reaches_everyone_though_one_fails() -> None:
    closed = []

    class Closing(Callback):
        def close(self) -> None:
            closed.append(self)
            raise OSError("the first")

    with pytest.raises(OSError, match="the first"):
        CallbackList([Closing(), Closing()]).close()
    assert len(closed) == 2
