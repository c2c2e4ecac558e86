"""What a compiled model does with single batches: it trains what the optimizer was built for, in the modes it had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl import keras, nn
from minidl.errors import StateError

X, Y = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2), np.ones((4, 1), np.float32)


def compiled(*layers: Any) -> Any:
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def test_a_variable_that_the_optimizer_was_not_built_for_is_refused() -> None:
    frozen = keras.layers.Dense(2, trainable=False)
    model = compiled(frozen)
    model.train_on_batch(X, Y)
    kernel = frozen.kernel.numpy()
    frozen.trainable = True
    with pytest.raises(StateError, match="it was built for other variables"):
        model.train_on_batch(X, Y)
    frozen.trainable = False
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(frozen.kernel.numpy(), kernel)
    model.add(keras.layers.Dense(1))
    with pytest.raises(StateError, match="it was built for other variables"):
        model.train_on_batch(X, Y)


def test_a_variable_that_is_frozen_between_steps_stays_as_it_is() -> None:
    first = keras.layers.Dense(2)
    model = compiled(first)
    model.train_on_batch(X, Y)
    first.trainable = False
    kernel = first.kernel.numpy()
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(first.kernel.numpy(), kernel)


class Watcher(keras.layers.Layer):
    """Notes the modes it and a module of the other dialect within it are in when it is called."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = nn.Dropout(0.0)
        self.seen: list[tuple[bool, bool, bool]] = []

    def call(self, inputs: Any, training: bool = False) -> Any:
        self.seen.append((training, self.training, self.inner.training))
        return inputs


def test_every_module_is_in_the_mode_of_the_step_and_back_in_its_own_after_it() -> None:
    watcher = Watcher()
    model = compiled(watcher)
    watcher.seen.clear()
    assert not model.training
    assert watcher.inner.training
    model.train_on_batch(X, Y)
    model.test_on_batch(X, Y)
    model.predict_on_batch(X)
    watcher.inner = nn.Dropout(0.5)
    model.test_on_batch(X, Y)
    assert watcher.seen == [(True,) * 3, (False,) * 3, (False,) * 3, (False,) * 3]
    assert not model.training
    assert watcher.inner.training


@pytest.mark.parametrize("loss", ["mse", "mae", keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError("sum")])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3), (5, 2, 3)])
def test_the_loss_of_a_step_is_the_mean_of_its_values(loss: Any, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    target, prediction = rng.standard_normal((2, *shape)).astype(np.float32)
    given = keras.losses.as_loss(loss)
    each = np.abs(target - prediction)
    each = each if "absolute" in given.name or given.name == "mae" else each**2
    expected = each.mean(-1).sum() if given.reduction == "sum" else each.mean()
    assert given(target, prediction).item() == pytest.approx(expected, rel=1e-6)
    ones = np.ones(shape[:-1] or (1,), np.float32)
    if len(shape) > 1:  # with weights, by way of the values
        assert given(target, prediction, ones).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("settings", [{}, {"from_logits": True}, {"ignore_class": 1}, {"axis": 1}])
@pytest.mark.parametrize("batch", [(6,), (5, 4), (5, 2, 3)])
def test_the_loss_of_labels_is_the_mean_of_its_values(settings: dict[str, Any], batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    prediction = np.moveaxis(rng.dirichlet(np.ones(3), batch), -1, settings.get("axis", -1))
    labels = rng.integers(0, 3, batch)
    values = keras.losses.sparse_categorical_crossentropy(labels, prediction, **settings).numpy()
    expected = values[labels != settings["ignore_class"]].mean() if "ignore_class" in settings else values.mean()
    assert keras.losses.SparseCategoricalCrossentropy(**settings)(labels, prediction).item() == pytest.approx(expected)
