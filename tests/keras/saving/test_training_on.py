"""Training goes on from a file: the state of the optimizer, the loss and the metrics come back with the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from minidl import keras
from tests.keras.saving.cases import branched, samples
from tests.keras.yardstick import keras as real

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
legacy = pytest.importorskip("keras.src.legacy.saving.legacy_h5_format", reason="Keras is not installed")

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adam": {"amsgrad": True},
    "AdamW": {"weight_decay": 0.01},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adagrad": {},
    "Nadam": {},
    "Lion": {"clipnorm": 1.0},
}


def compiled(k: Any, name: str, **changes: Any) -> Any:
    x = k.Input((6,))
    hidden = k.layers.BatchNormalization()(k.layers.Dense(5, activation="tanh")(x))
    frozen = k.layers.Dense(4, trainable=False)(hidden)
    model = k.Model(x, k.layers.Dense(2)(frozen))
    optimizer = getattr(k.optimizers, name)(**{"learning_rate": 0.01, **OPTIMIZERS[name], **changes})
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(16, 6)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")


def steps(model: Any, data: Any, count: int = 3) -> np.ndarray:
    """Losses and metrics of some steps."""
    return np.array([[float(x) for x in model.train_on_batch(*data)] for _ in range(count)])


def loaded_by_keras(path: Path) -> Any:
    """What Keras loads; from an .h5 file with the optimizer's state, which Keras 3.15 itself fails to put back.

    (It builds the optimizer for ``model._trainable_variables``, an empty list for a model of layers.)
    """
    model = real.models.load_model(path)
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            state = [np.asarray(x) for x in legacy.load_optimizer_weights_from_hdf5_group(file)]
        config = model.optimizer.get_config()
        optimizer = type(model.optimizer).from_config(config)
        model.compile(optimizer, "mse", metrics=["mae"])
        optimizer.build(model.trainable_variables)
        optimizer.set_weights(state)
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_from_minidl_and_back(name: str, suffix: str, data: Any, tmp_path: Path) -> None:
    path = tmp_path / f"model.{suffix}"
    model = compiled(keras, name)
    steps(model, data)
    model.save(path)
    same = keras.models.load_model(path)
    theirs = loaded_by_keras(path)
    losses = steps(model, data)
    np.testing.assert_array_equal(steps(same, data), losses)
    for a, b in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(steps(theirs, data), losses, rtol=2e-5)
    theirs.save(path)
    ours = keras.models.load_model(path)
    assert ours.optimizer.iterations == 6
    np.testing.assert_allclose(steps(ours, data), steps(theirs, data), rtol=5e-5)


def test_a_schedule_and_a_moving_average_come_back(data: Any, tmp_path: Path) -> None:
    def schedule(k: Any) -> Any:
        return k.optimizers.schedules.ExponentialDecay(0.05, decay_steps=2, decay_rate=0.5)

    for suffix in ("h5", "keras"):
        path = tmp_path / f"model.{suffix}"
        model = compiled(keras, "Adam", learning_rate=schedule(keras), use_ema=True)
        steps(model, data)
        model.save(path)
        same, theirs = keras.models.load_model(path), loaded_by_keras(path)
        losses = steps(model, data)
        np.testing.assert_array_equal(steps(same, data), losses)
        np.testing.assert_allclose(steps(theirs, data), losses, rtol=2e-5)


def test_compiled_but_not_trained_yet(data: Any, tmp_path: Path) -> None:
    for suffix in ("h5", "keras"):
        path = tmp_path / f"model.{suffix}"
        theirs = compiled(real, "Adam", learning_rate=0.03)
        theirs.save(path)
        ours = keras.models.load_model(path)
        assert ours.optimizer.learning_rate == pytest.approx(0.03)
        ours.save(path)
        np.testing.assert_allclose(steps(keras.models.load_model(path), data), steps(theirs, data), rtol=2e-5)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_several_outputs(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{suffix}"
    model = branched(keras)
    model.compile("adam", {"first": "mse", "second": "mae"}, loss_weights={"first": 1.0, "second": 0.5})
    x, y = samples(model, 4), [np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")]
    model.train_on_batch(x, y)
    model.save(path)
    same = keras.models.load_model(path)
    theirs = real.models.load_model(path)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert same.evaluate(x, y, verbose=0, return_dict=True) == expected
    assert theirs.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    losses = [same.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(3)]
    assert losses == [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(3)]


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_losses_and_metrics_as_objects(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{suffix}"
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile("sgd", loss, metrics=["accuracy", keras.metrics.Precision(thresholds=0.4), "mse"])
    x, y = samples(model, 8), np.eye(3, dtype="float32")[np.arange(8) % 3]
    expected = model.evaluate(x, y, verbose=0)
    model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path).evaluate(x, y, verbose=0), expected)
    np.testing.assert_allclose(real.models.load_model(path).evaluate(x, y, verbose=0), expected, rtol=1e-5)


def test_short_names_of_losses_are_written_in_full(tmp_path: Path) -> None:
    """Keras cannot reload an .h5 file whose loss is called "mse": it takes the name for that of a metric."""
    for short in ("mse", "MAE", "kld", "bce"):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
        model.compile("sgd", short, metrics=[short])
        model.save(tmp_path / "model.h5")
        x, y = samples(model), np.ones((3, 1), "float32")
        expected = model.evaluate(x, y, verbose=0)
        np.testing.assert_allclose(
            real.models.load_model(tmp_path / "model.h5").evaluate(x, y, verbose=0), expected, rtol=1e-5
        )
        np.testing.assert_array_equal(
            keras.models.load_model(tmp_path / "model.h5").evaluate(x, y, verbose=0), expected
        )


def test_compile_false(data: Any, tmp_path: Path) -> None:
    for suffix in ("h5", "keras"):
        path = tmp_path / f"model.{suffix}"
        model = compiled(keras, "Adam")
        model.save(path)
        assert not keras.models.load_model(path, compile=False).compiled
        model.save(path, include_optimizer=False)
        assert not keras.models.load_model(path).compiled
        assert not real.models.load_model(path).compiled
