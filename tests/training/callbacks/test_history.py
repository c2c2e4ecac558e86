"""What the history holds, shows and draws."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import StateError
from minidl.training.callbacks import History
from tests.training.callbacks.fakes import FakeTrainer

EPOCHS = [
    {"loss": 1.0, "accuracy": 0.5},
    {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.75, "val_accuracy": 0.625},  # validation_freq=2
    {"loss": 0.25, "accuracy": 0.875},
    {"loss": 0.125, "accuracy": 1.0, "val_loss": 0.5, "val_accuracy": 0.75},
]


def trained(epochs: Any = EPOCHS, first: int = 0) -> History:
    history = History()
    FakeTrainer().drive(history, epochs, first)
    return history


def test_values_epoch_by_epoch() -> None:
    history = trained(first=3)
    assert history.epoch == [3, 4, 5, 6]
    assert history.history == {
        "loss": [1.0, 0.5, 0.25, 0.125],
        "accuracy": [0.5, 0.75, 0.875, 1.0],
        "val_loss": [0.75, 0.5],
        "val_accuracy": [0.625, 0.75],
    }


def test_the_order_and_content_are_keras_own() -> None:
    from tests.keras.yardstick import keras

    theirs = keras.callbacks.History()
    theirs.set_model(type("Model", (), {})())
    theirs.on_train_begin()
    for epoch, logs in enumerate(EPOCHS):
        theirs.on_epoch_end(epoch, logs)
    ours = trained()
    assert list(ours.history.items()) == list(theirs.history.items())
    assert ours.epoch == theirs.epoch


def test_it_tells_what_it_holds() -> None:
    assert repr(History()) == "History of 0 epochs"
    assert repr(trained([{"loss": 2.0, "matrix": np.ones((2, 2))}])) == "History of 1 epoch: loss 2.0000 -> 2.0000"
    assert "val_loss 0.7500 -> 0.5000" in repr(trained())


def test_a_resumed_history_is_that_of_a_training_left_alone(tmp_path: Path) -> None:
    minidl.save(trained(EPOCHS[:2]).state_dict(), tmp_path / "state.safetensors")
    history = History()
    history.on_train_begin()
    history.load_state_dict(minidl.load(tmp_path / "state.safetensors"))
    FakeTrainer().go_on(history, EPOCHS[2:], 2)
    assert history.state_dict() == trained().state_dict()


def test_a_second_training_begins_anew() -> None:
    history = trained()
    FakeTrainer().drive(history, EPOCHS[:1])
    assert history.epoch == [0]
    assert history.history["loss"] == [1.0]


def test_the_picture_has_a_panel_a_metric_and_both_curves() -> None:
    pytest.importorskip("matplotlib", reason="draws")
    figure = trained().plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    loss = figure.axes[0]
    assert loss.get_xlabel() == "epoch"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    training, validation = loss.get_lines()
    np.testing.assert_array_equal(training.get_xydata(), [[1, 1.0], [2, 0.5], [3, 0.25], [4, 0.125]])
    np.testing.assert_array_equal(validation.get_xydata(), [[2, 0.75], [4, 0.5]])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_epochs_are_whole_numbers(count: int) -> None:
    pytest.importorskip("matplotlib", reason="draws")
    figure = trained([{"loss": 1.0 / (1 + epoch)} for epoch in range(count)]).plot()
    figure.canvas.draw()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_many_metrics_arrays_among_them_and_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws")
    logs = {f"metric_{i}": i / 8 for i in range(7)} | {"matrix": np.ones((2, 2))}
    figure = trained([logs] * 3).plot(tmp_path / "history.png")
    assert len(figure.axes) == 7
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_a_window_shows_it_where_pyplot_is_in_use() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="draws")
    figure = trained().plot()
    assert pyplot.fignum_exists(figure.number)
    pyplot.close(figure)


def test_nothing_to_draw() -> None:
    pytest.importorskip("matplotlib", reason="draws")
    with pytest.raises(StateError, match="no epoch was trained yet; call fit first"):
        History().plot()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"not installed: pip install \"minidl\[viz\]\""):
        trained().plot()
