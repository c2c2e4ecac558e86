"""Files both ways: what minidl saves Keras loads, what Keras saves minidl loads, and both predict the same."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl import keras
from tests.keras.saving.cases import (
    CHAINS,
    GRAPHS,
    assert_predicts_like,
    chain,
    predicted,
    samples,
    stir,
    zip_member,
)
from tests.keras.yardstick import keras as real

naming = pytest.importorskip("keras.src.utils.naming", reason="Keras is not installed")

FORMATS = ("h5", "keras")

# What Keras does with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    keras.utils.clear_session()
    naming.reset_uids()  # real.utils.clear_session() also collects garbage, which takes half a second


def made(k: Any, case: str) -> Any:
    return GRAPHS[case](k) if case in GRAPHS else chain(k, case)


WHICH = [*CHAINS, *GRAPHS]


def test_every_layer_is_in_the_cases() -> None:
    classes = {
        c.__name__ for c in vars(keras.layers).values() if inspect.isclass(c) and issubclass(c, keras.layers.Layer)
    }
    merges = {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"}  # in `branched`
    assert classes - {"Layer", "InputLayer", "Lambda"} - merges == {name.split()[0] for name in CHAINS}


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("suffix", FORMATS)
def test_keras_loads_what_minidl_saved(which: str, suffix: str, tmp_path: Path) -> None:
    model = made(keras, which)
    stir(model)
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    x = samples(model)
    assert_predicts_like(real.models.load_model(path), model, x)
    again = keras.models.load_model(path)
    assert_predicts_like(again, model, x, exactly=True)
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("suffix", FORMATS)
def test_minidl_loads_what_keras_saved(which: str, suffix: str, tmp_path: Path) -> None:
    theirs = made(real, which)
    stir(theirs)
    path = tmp_path / f"model.{suffix}"
    theirs.save(path)
    model = keras.models.load_model(path)
    assert_predicts_like(model, theirs, samples(theirs))
    assert [layer.trainable for layer in model.layers] == [layer.trainable for layer in theirs.layers]
    own = made(keras, which)
    theirs.save_weights(tmp_path / "w.weights.h5")
    own.load_weights(tmp_path / "w.weights.h5")
    assert_predicts_like(own, theirs, samples(theirs))
    own.save_weights(tmp_path / "own.weights.h5")
    theirs.set_weights([np.zeros_like(w) for w in theirs.get_weights()])
    theirs.load_weights(tmp_path / "own.weights.h5")
    assert_predicts_like(theirs, own, samples(theirs))


def layout(group: Any) -> Any:
    """Everything about an HDF5 file but values: groups, attributes, dtypes, shapes."""
    attributes = {}
    for name, value in group.attrs.items():
        if name.endswith("_config"):
            value = None  # compared by itself
        elif name in ("backend", "keras_version"):
            value = "text"
        elif isinstance(value, np.ndarray):
            value = (
                value.dtype.kind if not len(value) else "text",
                [x if isinstance(x, str) else x.decode() for x in value],
            )
        attributes[name] = value
    members = {name: layout(x) if isinstance(x, h5py.Group) else (x.shape, x.dtype.name) for name, x in group.items()}
    return attributes, members


@pytest.mark.parametrize("which", WHICH)
def test_layout_is_that_of_keras(which: str, tmp_path: Path) -> None:
    ours, theirs = made(keras, which), made(real, which)
    found = {}
    for whose, model in (("ours", ours), ("theirs", theirs)):
        model.compile("rmsprop", "mean_squared_error", metrics=["mean_absolute_error"])
        model.optimizer.build(model.trainable_variables)
        model.save(tmp_path / f"{whose}.keras")  # first: Keras's .h5 takes the optimizer out of the compile config
        model.save(tmp_path / f"{whose}.h5")
        with h5py.File(tmp_path / f"{whose}.h5") as file:
            older = layout(file), json.loads(file.attrs["model_config"]), json.loads(file.attrs["training_config"])
        (tmp_path / "w.h5").write_bytes(zip_member(tmp_path / f"{whose}.keras", "model.weights.h5"))
        with h5py.File(tmp_path / "w.h5") as file:
            newer = layout(file), json.loads(zip_member(tmp_path / f"{whose}.keras", "config.json"))
        found[whose] = (*older, *newer)
    for ours_part, theirs_part in zip(found["ours"], found["theirs"], strict=True):
        assert plain(ours_part) == plain(theirs_part)


def plain(config: Any) -> Any:
    """A config without what Keras writes for its own use, or leaves out."""
    if isinstance(config, (list, tuple)):
        return [plain(x) for x in config]
    if isinstance(config, float):
        return float(np.float32(config))
    if not isinstance(config, dict):
        return config
    left_out = {"shared_object_id", "build_config", "compile_config"}
    found = {key: plain(value) for key, value in config.items() if key not in left_out}
    if found.get("class_name") == "Functional":
        found["config"].pop("dtype", None)
        found["registered_name"] = None
    if found.get("kwargs") == {"mask": None}:
        found["kwargs"] = {}
    return found


# ---------------------------------------------------------------------- made by hypothesis


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[str, dict[str, Any]]]]:
    """The shape of a sample, and layers that fit one after the other."""
    rank = draw(st.sampled_from([1, 2, 3]))
    shape = tuple(draw(st.lists(st.integers(4, 7), min_size=rank, max_size=rank)))
    activation = st.sampled_from([None, "relu", "tanh", "sigmoid", "softplus", "gelu", "selu"])
    layers: list[tuple[str, dict[str, Any]]] = []
    for _ in range(draw(st.integers(1, 5))):
        anywhere = ["Dense", "BatchNormalization", "LayerNormalization", "Dropout", "LeakyReLU", "Rescaling", "Flatten"]
        special = {2: ["LSTM", "GRU", "Conv1D", "GlobalAveragePooling1D"], 3: ["Conv2D", "GlobalMaxPooling2D"]}.get(
            rank, []
        )
        name = draw(st.sampled_from(anywhere + special))
        config: dict[str, Any] = {}
        if name == "Dense":
            config = {"units": draw(st.integers(1, 6)), "activation": draw(activation), "use_bias": draw(st.booleans())}
        elif name == "Dropout":
            config = {"rate": draw(st.sampled_from([0.0, 0.25, 0.5]))}
        elif name == "Rescaling":
            config = {"scale": draw(st.sampled_from([0.5, 2.0])), "offset": draw(st.sampled_from([0.0, -1.0]))}
        elif name in ("Conv1D", "Conv2D"):
            config = {"filters": draw(st.integers(1, 4)), "kernel_size": draw(st.integers(1, 3)), "padding": "same"}
        elif name in ("LSTM", "GRU"):
            config = {"units": draw(st.integers(1, 5)), "return_sequences": draw(st.booleans())}
            rank = 2 if config["return_sequences"] else 1
        if name.startswith(("Flatten", "Global")):
            rank = 1
        layers.append((name, config))
    return shape, layers


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(made_up=chains())
def test_any_chain_goes_both_ways(suffix: str, tmp_path: Path, made_up: Any) -> None:
    shape, parts = made_up
    path = tmp_path / f"model.{suffix}"

    def build(k: Any) -> Any:
        return k.Sequential([k.Input(shape), *(getattr(k.layers, name)(**config) for name, config in parts)])

    ours = build(keras)
    ours.save(path)
    x = samples(ours)
    theirs = real.models.load_model(path)
    assert_predicts_like(theirs, ours, x)
    theirs.save(path)
    assert_predicts_like(keras.models.load_model(path), ours, x)
    assert all(np.isfinite(y).all() for y in predicted(ours, x))
