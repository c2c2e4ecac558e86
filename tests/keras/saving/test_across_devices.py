"""A model's file is the same on every device: with --device=cpu both are the CPU, otherwise one is the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from tests.keras.saving.cases import GRAPHS, assert_predicts_like, chain, samples, stir

LAYERS = ["BatchNormalization", "Bidirectional", "Conv2D", "Embedding", "GRU", "LSTM", "Normalization", "PReLU"]


@pytest.fixture(params=["from the CPU", "to the CPU"])
def way(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The device that writes, and the one that reads."""
    cpu, chosen = minidl.device("cpu"), minidl.get_default_device()
    return (cpu, chosen) if request.param == "from the CPU" else (chosen, cpu)


@pytest.mark.parametrize("ending", ["h5", "keras"])
@pytest.mark.parametrize("name", [*LAYERS, *GRAPHS])
def test_a_model_is_read_elsewhere(name: str, ending: str, way: Any, tmp_path: Path) -> None:
    first, second = way
    with first:
        model = GRAPHS[name](keras) if name in GRAPHS else chain(keras, name)
        stir(model)
        model.save(tmp_path / f"model.{ending}")
    with second:
        loaded = keras.models.load_model(tmp_path / f"model.{ending}")
    assert all(x.device == second for x in loaded.weights)
    assert_predicts_like(loaded, model, samples(model))


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_training_goes_on_elsewhere(ending: str, way: Any, tmp_path: Path) -> None:
    first, second = way
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 6)).astype("float32"), rng.integers(0, 3, 16)
    with first:
        layers = [keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.BatchNormalization()]
        model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=2, batch_size=4, verbose=0)
        model.save(tmp_path / f"model.{ending}")
    with second:
        loaded = keras.models.load_model(tmp_path / f"model.{ending}")
    for one in (model, loaded):  # each where its weights are, whatever the default device
        one.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    assert_predicts_like(loaded, model, x)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-7, err_msg=a.path)


def test_weights_alone_and_by_hand(way: Any, tmp_path: Path) -> None:
    first, second = way
    with first:
        model = chain(keras, "Dense")
        model.save_weights(tmp_path / "w.weights.h5")
    with second:
        loaded, copied = chain(keras, "Dense"), chain(keras, "Dense")
    loaded.load_weights(tmp_path / "w.weights.h5")
    copied.set_weights(model.get_weights())
    for other in (loaded, copied):
        assert all(x.device == second for x in other.weights)
        assert_predicts_like(other, model, samples(model))
