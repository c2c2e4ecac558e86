"""Saving and loading: names of files, what can be saved, what is refused and how the errors say so."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras, nn
from minidl.errors import ArgumentError, FormatError, NumericalWarning, StateError
from minidl.formats.hdf5 import Group, read_hdf5, write_hdf5
from tests.keras.saving.cases import assert_predicts_like, nested, rezipped, samples, stir, zip_member


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)


def small(units: int = 3) -> Any:
    k = keras.layers
    return keras.Sequential([keras.Input((4,)), k.Dense(5, "relu"), k.BatchNormalization(), k.Dense(units)])


# ---------------------------------------------------------------------- which file


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.keras"])
def test_whole_models(name: str, tmp_path: Path) -> None:
    model = small()
    stir(model)
    model.save(tmp_path / name)
    for path in (tmp_path / name, str(tmp_path / name)):
        assert_predicts_like(keras.models.load_model(path), model, samples(model), exactly=True)
    assert_predicts_like(keras.models.load_model(path, untrusted=True), model, samples(model), exactly=True)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.safetensors", "w.h5", "w.keras", "whole.h5"])
def test_weights_alone(name: str, tmp_path: Path) -> None:
    model, other = small(), nested(keras)
    stir(model)
    path = tmp_path / name
    model.save(path) if name in ("w.keras", "whole.h5") else model.save_weights(path)
    keras.utils.clear_session()
    same = small()
    for untrusted in (False, True):
        same.set_weights([np.zeros_like(w) for w in same.get_weights()])
        same.load_weights(path, untrusted=untrusted)
        assert_predicts_like(same, model, samples(model), exactly=True)
    before = other.get_weights()
    with pytest.raises(FormatError, match=str(path)):
        other.load_weights(path)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_name_says_the_format(tmp_path: Path) -> None:
    for name in ("model", "model.pt", "model.pb"):
        with pytest.raises(
            ArgumentError, match=r"save: .*how the name ends; expected one of \.keras \(Keras 3's format\)"
        ):
            small().save(tmp_path / name)
        with pytest.raises(ArgumentError, match=r"load_model: .*expected one of"):
            keras.models.load_model(tmp_path / name)
        with pytest.raises(ArgumentError, match=r"save_weights: .*expected one of \.weights\.h5"):
            small().save_weights(tmp_path / name)
    with pytest.raises(ArgumentError, match="expected the path of a file, got a int"):
        small().save(3)
    with pytest.raises(ArgumentError, match="zipped=False"):
        small().save(tmp_path / "m.keras", zipped=False)
    with pytest.raises(ArgumentError, match="never runs code from a file"):
        keras.models.load_model(tmp_path / "m.keras", safe_mode=False)


def test_what_was_there_stays(tmp_path: Path) -> None:
    for name in ("m.h5", "m.keras", "m.weights.h5", "m.safetensors"):
        path = tmp_path / name
        path.write_bytes(b"old")
        with pytest.raises(FileExistsError, match="overwrite=False"):
            keras.models.save_model(small(), path, overwrite=False)
        assert path.read_bytes() == b"old"
        keras.models.save_model(small(), path)
        assert path.read_bytes() != b"old"
        with pytest.raises(OSError, match=r"the folder .* does not exist"):
            keras.models.save_model(small(), tmp_path / "none" / name)
    assert sorted(os.listdir(tmp_path)) == ["m.h5", "m.keras", "m.safetensors", "m.weights.h5"]
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(OSError, match="a folder of that name"):
        small().save(tmp_path / "folder.keras")
    with pytest.raises(FileNotFoundError):
        keras.models.load_model(tmp_path / "missing.keras")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot write"):
        small().save(tmp_path / "m.h5")


# ---------------------------------------------------------------------- which model


def test_unbuilt(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(2)])
    for name in ("m.h5", "m.keras", "m.weights.h5"):
        with pytest.raises(StateError, match="has no weights yet"):
            keras.models.save_model(model, tmp_path / name)
    small().save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(StateError, match="has no weights yet; build it first"):
        model.load_weights(tmp_path / "w.weights.h5")


class Twice(keras.layers.Layer):
    """A layer that holds others, in each way that there is."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.zed = keras.layers.Dense(units)
        self._hidden = keras.layers.Dense(units)
        self.many = [keras.layers.Dense(units), [keras.layers.Dense(units)]]
        self.named = {"x": keras.layers.Dense(units)}

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(self.units,), name="scale", initializer="ones")
        self.count = self.add_weight(shape=(), name="count", initializer="zeros", trainable=False)
        self.offset = self.add_weight(shape=(self.units,), name="offset", initializer="zeros")

    def call(self, x: Any) -> Any:
        for layer in (self.zed, self._hidden, self.many[0], self.many[1][0], self.named["x"]):
            x = layer(x)
        return x * self.scale + self.offset


class Own(keras.Model):
    def __init__(self, width: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.out = keras.layers.Dense(2)
        self.first = Twice(width)

    def call(self, x: Any) -> Any:
        return self.out(self.first(x))


def test_custom_layers(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), Twice(3), Twice(3, trainable=False)])
    stir(model)
    for name in ("m.h5", "m.keras"):
        path = tmp_path / name
        model.save(path)
        with pytest.raises(FormatError, match=rf"{path}.*Twice is not a class .*custom_objects=\{{'Twice': Twice\}}"):
            keras.models.load_model(path)
        again = keras.models.load_model(path, custom_objects={"Twice": Twice})
        assert_predicts_like(again, model, samples(model), exactly=True)
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_subclassed_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Own(4)
    model.compile("adam", "mse")
    x, y = np.ones((2, 3), "float32"), np.ones((2, 2), "float32")
    model.train_on_batch(x, y)
    with pytest.raises(ArgumentError, match=r"a call of its own, which an \.h5 file cannot describe; .*weights\.h5"):
        model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    with pytest.raises(FormatError, match="Own is not a class"):
        keras.models.load_model(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", {"Own": Own})
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    model.save_weights(tmp_path / "m.weights.h5")
    groups = read_hdf5(tmp_path / "m.weights.h5")
    # as Keras 3.15 lays it out: attributes by name, private ones last, "layers" among them, each layer once
    assert set(groups.members) == {"first", "layers", "vars"}
    assert set(groups.get("first").members) == {"_hidden", "many", "named", "vars", "zed"}
    assert groups.get("first/many/container/dense/vars/0").shape == (4, 4)
    assert groups.get("layers/dense/vars/1").shape == (2,)
    assert [groups.get(f"first/vars/{i}").shape for i in range(3)] == [(4,), (4,), ()]
    other = Own(4)
    other(x)
    other.load_weights(tmp_path / "m.weights.h5")
    assert_predicts_like(other, model, x, exactly=True)


def test_two_weights_of_one_name(tmp_path: Path) -> None:
    class Same(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            for _ in range(2):
                self.add_weight(shape=(1,), name="w")

        def call(self, x: Any) -> Any:
            return x

    model = keras.Sequential([keras.Input((3,)), Same()])
    with pytest.raises(ArgumentError, match="two weights of 'same' are called 'sequential/same/w'"):
        model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")


# ---------------------------------------------------------------------- weights that do not fit


def test_nothing_is_half_loaded(tmp_path: Path) -> None:
    wide, model = small(4), small()
    for name in ("w.weights.h5", "w.h5"):
        wide.save_weights(tmp_path / name)
        before = model.get_weights()
        with pytest.raises(FormatError, match=rf"{name}.*kernel: shape \(5, 4\) in the file, \(5, 3\) in the model"):
            model.load_weights(tmp_path / name)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        with pytest.warns(UserWarning, match=r"left out: .*: shape") as caught:
            model.load_weights(tmp_path / name, skip_mismatch=True)
        assert len(caught) == 2
        np.testing.assert_array_equal(model.layers[0].get_weights()[0], wide.layers[0].get_weights()[0])


def test_by_name(tmp_path: Path) -> None:
    k = keras.layers
    source = keras.Sequential([keras.Input((4,)), k.Dense(4, name="a"), k.Dense(4, name="b")])
    target = keras.Sequential([keras.Input((4,)), k.Dense(4, name="b"), k.Dense(4, name="c")])
    kept = target.layers[1].get_weights()[0]
    source.save_weights(tmp_path / "w.h5")
    target.load_weights(tmp_path / "w.h5", by_name=True)
    np.testing.assert_array_equal(target.layers[0].get_weights()[0], source.layers[1].get_weights()[0])
    np.testing.assert_array_equal(target.layers[1].get_weights()[0], kept)
    source.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ArgumentError, match="by_name=True is for"):
        target.load_weights(tmp_path / "w.weights.h5", by_name=True)


def test_long_lists_of_names_are_split(tmp_path: Path) -> None:
    k = keras.layers
    names = [f"{'long' * 500}_{i}" for i in range(40)]  # more bytes than one attribute can have
    model = keras.Sequential([keras.Input((1,)), *(k.Dense(1, name=name) for name in names)])
    model.save(tmp_path / "m.h5")
    assert [layer.name for layer in keras.models.load_model(tmp_path / "m.h5").layers] == names


# ---------------------------------------------------------------------- files that mean harm


def h5_with(model: Any, path: Path, config: Any) -> None:
    """Save a model, its config replaced (a str: as it is)."""
    model.save(path)
    root = read_hdf5(path)
    root.attributes["model_config"] = config if isinstance(config, str) else json.dumps(config)
    write_hdf5(root, path)


def layer(name: str, /, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "config": config}


HARM = [
    (layer("Dense", units=10**12), r"asks for a weight of shape \(4, 1000000000000\), but there are only \d+ numbers"),
    (layer("Dense", units="many"), "units"),
    (layer("Dense", units=3, activation={"class_name": "__lambda__", "config": {"value": "x"}}), "holds code"),
    (layer("Lambda", function="x"), "holds code"),
    (layer("os.system", command="ls"), "is not a class that minidl knows"),
    (layer("Dense", units=3, kernel_initializer={"module": "os", "class_name": "remove", "config": {}}), "not a class"),
    (layer("Embedding", input_dim=10**9, output_dim=10**9), "asks for a weight"),
    (layer("LSTM", units=10**9), "LSTM"),
    (layer("Dense", units=3, surprise=1), "unknown argument 'surprise'"),
]


@pytest.mark.parametrize(("bad", "message"), HARM)
def test_configs_that_mean_harm(bad: Any, message: str, tmp_path: Path) -> None:
    config = layer("Sequential", name="m", layers=[layer("InputLayer", batch_shape=[None, 4]), bad])
    path = tmp_path / "m.h5"
    h5_with(small(), path, config)
    with pytest.raises(FormatError, match=message) as caught:
        keras.models.load_model(path)
    assert str(path) in str(caught.value)
    small().save(tmp_path / "m.keras")
    modern = {**config, "module": "keras"}
    modern["config"]["layers"] = [{"module": "keras.layers", **x} for x in config["config"]["layers"]]
    (tmp_path / "m.keras").write_bytes(rezipped(tmp_path / "m.keras", config_json=json.dumps(modern).encode()))
    with pytest.raises(FormatError, match=message):
        keras.models.load_model(tmp_path / "m.keras")


def test_shapes_that_nothing_is_made_of(tmp_path: Path) -> None:
    """A config may speak of shapes that no memory could hold: nothing of that size is made."""
    huge = [
        [layer("InputLayer", batch_shape=[None, 10**6, 10**6, 4]), layer("Permute", dims=[3, 2, 1])],
        [layer("InputLayer", batch_shape=[None, 10**12]), layer("Reshape", target_shape=[10**6, 10**6]), layer("ReLU")],
        [layer("InputLayer", batch_shape=[None, 9, 9, 1]), layer("ZeroPadding2D", padding=10**9), layer("Flatten")],
        [layer("InputLayer", batch_shape=[None, 9, 9, 1]), layer("UpSampling2D", size=10**9), layer("MaxPooling2D")],
        [layer("InputLayer", batch_shape=[None, 4]), layer("RepeatVector", n=10**15)],
        [layer("InputLayer", batch_shape=[None, 10**9, 2]), layer("Bidirectional", layer=layer("LSTM", units=10**6))],
        [
            layer("InputLayer", batch_shape=[None, 10**9, 2]),
            layer("TimeDistributed", layer=layer("Dense", units=10**9)),
        ],
        [layer("InputLayer", batch_shape=[None, 10**9]), layer("Normalization"), layer("LayerNormalization")],
        [layer("InputLayer", batch_shape=[None, 10**5, 10**5]), layer("Twice", units=1)],
    ]
    for layers in huge:
        h5_with(small(), tmp_path / "m.h5", layer("Sequential", name="m", layers=layers))
        with pytest.raises(FormatError):
            keras.models.load_model(tmp_path / "m.h5", {"Twice": Twice})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10**5, "nested more than"),
        ("{}", "class_name"),
        ("null", "class_name"),
        ('{"class_name": "Dense", "config": {"units": 3}}', "is no model"),
        ('{"class_name": "Sequential", "config": {"layers": 3}}', "Sequential"),
        ('{"class_name": "Sequential", "config": NaN}', "NaN is not JSON"),
        ('{"class_name": "Functional", "config": {"layers": [], "input_layers": [], "output_layers": []}}', "symbolic"),
    ],
)
def test_configs_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    h5_with(small(), tmp_path / "m.h5", text)
    with pytest.raises(FormatError, match=message):
        keras.models.load_model(tmp_path / "m.h5")


def test_layers_in_a_circle(tmp_path: Path) -> None:
    def call(of: str) -> list[Any]:
        reference = {"class_name": "__keras_tensor__", "config": {"keras_history": [of, 0, 0]}}
        return [{"args": [reference], "kwargs": {}}]

    layers = [
        {**layer("InputLayer", batch_shape=[None, 4], name="x"), "name": "x", "inbound_nodes": []},
        {**layer("ReLU", name="a"), "name": "a", "inbound_nodes": call("b")},
        {**layer("ReLU", name="b"), "name": "b", "inbound_nodes": call("a")},
    ]
    config = layer("Functional", name="m", layers=layers, input_layers=["x", 0, 0], output_layers=["b", 0, 0])
    h5_with(small(), tmp_path / "m.h5", config)
    with pytest.raises(FormatError, match="the inputs of a, b are missing, or go in a circle"):
        keras.models.load_model(tmp_path / "m.h5")


def test_files_with_parts_missing(tmp_path: Path) -> None:
    model = small()
    model.compile("adam", "mse")
    path = tmp_path / "m.h5"

    def refused(change: Any, message: str) -> None:
        model.save(path)
        root = read_hdf5(path)
        change(root)
        write_hdf5(root, path)
        with pytest.raises(FormatError, match=message):
            keras.models.load_model(path)

    refused(lambda root: root.attributes.pop("model_config"), "holds no model")
    refused(lambda root: root.members.pop("model_weights"), "holds no model")
    refused(lambda root: root.get("model_weights").attributes.pop("layer_names"), "layer_names")
    refused(lambda root: root.get("model_weights").members.pop("dense"), "lists 'dense', and there is no such group")
    refused(lambda root: root.get("model_weights/dense").members.clear(), "no such array")
    refused(
        lambda root: root.put("model_weights/dense/sequential/dense/kernel", np.zeros((5, 4), "f")), r"shape \(5, 4\)"
    )
    refused(lambda root: root.put("model_weights/dense/sequential/dense/bias", np.zeros(5, "i4")), "int32 in the file")
    refused(lambda root: root.put("optimizer_weights/adam/iteration", np.asarray(-3, "i4")), "-3 steps taken")
    refused(lambda root: root.put("optimizer_weights/adam/learning_rate", np.asarray(np.nan, "f")), "learning_rate")
    refused(lambda root: root.attributes.update(training_config="{}"), "optimizer_config")
    refused(lambda root: root.put("model_weights/top_level_model_weights", Group({"weight_names": ["x"]})), "'x'")
    model.save(tmp_path / "m.keras")
    whole = (tmp_path / "m.keras").read_bytes()
    weights = read_hdf5(zip_member(tmp_path / "m.keras", "model.weights.h5"))
    del weights.members["layers"].members["dense_1"]
    write_hdf5(weights, tmp_path / "w.h5")
    (tmp_path / "m.keras").write_bytes(rezipped(tmp_path / "m.keras", model_h5=(tmp_path / "w.h5").read_bytes()))
    with pytest.raises(FormatError, match=r"m\.keras: model\.weights\.h5: layers/dense_1/vars: missing from the file"):
        keras.models.load_model(tmp_path / "m.keras")
    for untrusted in (False, True):
        (tmp_path / "m.keras").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FormatError, match=r"m\.keras"):
            keras.models.load_model(tmp_path / "m.keras", untrusted=untrusted)


# ---------------------------------------------------------------------- files of Keras 2


def older_file(path: Path, state_names: list[str] | None = None) -> dict[str, np.ndarray]:
    """Write what tf.keras 2 wrote for a convolutional network: no modules, ``batch_input_shape``, ``lr``, ``:0``."""
    rng = np.random.default_rng(0)
    zeros = {"class_name": "Zeros", "config": {"dtype": "float32"}}
    glorot = {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}
    common = {"trainable": True, "dtype": "float32"}
    kernel = {"use_bias": True, "kernel_initializer": glorot, "bias_initializer": zeros, "kernel_regularizer": None}
    conv = {"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_last"}
    layers = [
        layer("Conv2D", name="conv", batch_input_shape=[None, 6, 6, 1], activation="relu", **common, **kernel, **conv),
        layer("BatchNormalization", name="norm", axis=[3], momentum=0.99, epsilon=0.001, **common),
        layer("LeakyReLU", name="leaky", alpha=0.2, **common),
        layer("Reshape", name="rows", target_shape=[4, 8], **common),
        layer("LSTM", name="lstm", units=3, implementation=2, time_major=False, unit_forget_bias=True, **common),
        layer("Dense", name="dense", units=2, activation="softmax", **common, **kernel),
    ]
    shapes = {
        "conv/kernel:0": (3, 3, 1, 2), "conv/bias:0": (2,),
        "norm/gamma:0": (2,), "norm/beta:0": (2,), "norm/moving_mean:0": (2,), "norm/moving_variance:0": (2,),
        "lstm/lstm_cell/kernel:0": (8, 12), "lstm/lstm_cell/recurrent_kernel:0": (3, 12),
        "lstm/lstm_cell/bias:0": (12,),
        "dense/kernel:0": (3, 2), "dense/bias:0": (2,),
    }  # fmt: skip
    arrays = {name: rng.uniform(0.1, 0.5, shape).astype("float32") for name, shape in shapes.items()}
    weights = Group({"layer_names": [x["config"]["name"] for x in layers], "backend": "tensorflow"})
    for name in weights.attributes["layer_names"]:
        own = [weight for weight in arrays if weight.startswith(f"{name}/")]
        weights.put(name, Group({"weight_names": own}))
        for weight in own:
            weights.put(f"{name}/{weight}", arrays[weight])
    metric = layer("MeanMetricWrapper", name="accuracy", dtype="float32", fn="categorical_accuracy")
    adam = {
        "name": "Adam",
        "lr": 0.02,
        "decay": 0.0,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-07,
        "amsgrad": False,
    }
    training = {
        "loss": layer("CategoricalCrossentropy", reduction="auto", name="categorical_crossentropy", from_logits=False),
        "metrics": [[metric]],
        "weighted_metrics": None,
        "loss_weights": None,
        "optimizer_config": layer("Custom>Adam", **adam),
    }
    root = Group({"keras_version": "2.4.0", "backend": "tensorflow", "training_config": json.dumps(training)})
    root.attributes["model_config"] = json.dumps(layer("Sequential", name="sequential", layers=layers))
    root.put("model_weights", weights)
    trained = [name for name in arrays if "moving" not in name]
    order = state_names or [f"Adam/{name[:-2]}/{slot}:0" for slot in "mv" for name in trained]
    state = Group({"weight_names": ["Adam/iter:0", *order]})
    state.put("Adam/iter:0", np.asarray(7, "int64"))
    for name in order:
        array = arrays[name.removeprefix("Adam/").rpartition("/")[0] + ":0"]
        state.put(name, array * (0.1 if "/m" in name else 0.01))
    root.put("optimizer_weights", state)
    write_hdf5(root, path)
    return arrays


def test_a_file_of_keras_2(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    arrays = older_file(path)
    model = keras.models.load_model(path)
    for layer_of_model, name in zip(model.layers, ["conv", "norm", "leaky", "rows", "lstm", "dense"], strict=True):
        own = [array for weight, array in arrays.items() if weight.startswith(f"{name}/")]
        for a, b in zip(layer_of_model.get_weights(), own, strict=True):
            np.testing.assert_array_equal(a, b)
    assert model.layers[2].negative_slope == 0.2
    assert model.input_shape == (None, 6, 6, 1)
    assert model.optimizer.learning_rate == pytest.approx(0.02)
    assert model.optimizer.iterations == 7
    state = {x.path: x.value for x in model.optimizer.variables}
    np.testing.assert_array_equal(
        state["Adam/sequential_dense_bias_momentum"], arrays["dense/bias:0"] * np.float32(0.1)
    )
    np.testing.assert_array_equal(
        state["Adam/sequential_dense_bias_velocity"], arrays["dense/bias:0"] * np.float32(0.01)
    )
    logs = model.evaluate(np.ones((2, 6, 6, 1), "float32"), np.eye(2, dtype="float32"), verbose=0, return_dict=True)
    assert len(logs) == 2


def test_an_optimizer_state_in_an_order_that_is_not_known(tmp_path: Path) -> None:
    names = ["conv/kernel", "conv/bias", "norm/gamma", "norm/beta", "lstm/lstm_cell/kernel"]
    names += ["lstm/lstm_cell/recurrent_kernel", "lstm/lstm_cell/bias", "dense/kernel", "dense/bias"]
    older_file(tmp_path / "old.h5", [f"Adam/{name}/{slot}:0" for slot in ("mean", "square") for name in names])
    with pytest.warns(NumericalWarning, match="the optimizer starts afresh"):
        model = keras.models.load_model(tmp_path / "old.h5")
    assert model.optimizer.iterations == 0


def test_keras_2_graphs(tmp_path: Path) -> None:
    def node(name: str, *inputs: str, **config: Any) -> dict[str, Any]:
        kind = config.pop("kind")
        calls = [[[x, 0, 0, {}] for x in inputs]] if inputs else []
        return {**layer(kind, name=name, **config), "name": name, "inbound_nodes": calls}

    layers = [
        node("x", kind="InputLayer", batch_input_shape=[None, 4], dtype="float32", sparse=False),
        node("a", "x", kind="Dense", units=3),
        node("b", "x", kind="Dense", units=3),
        node("sum", "a", "b", kind="Add"),
    ]
    config = layer("Model", name="m", layers=layers, input_layers=[["x", 0, 0]], output_layers=[["sum", 0, 0]])
    k = keras.layers
    x = keras.Input((4,))
    model = keras.Model(x, k.Add()([k.Dense(3)(x), k.Dense(3)(x)]))
    h5_with(model, tmp_path / "m.h5", config)
    assert_predicts_like(keras.models.load_model(tmp_path / "m.h5"), model, samples(model), exactly=True)


# ---------------------------------------------------------------------- from PyTorch's dialect


def test_weights_of_pytorchs_dialect(tmp_path: Path) -> None:
    k = keras.layers
    source = nn.Sequential(
        nn.Conv2d(3, 4, (3, 2)), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5),
        nn.BatchNorm1d(24), nn.Linear(24, 5), nn.Tanh(), nn.Linear(5, 2),
    )  # fmt: skip
    for buffer in source.buffers():
        if buffer.array.dtype.kind == "f":
            buffer.add_(minidl.tensor(np.random.default_rng(0).uniform(0.1, 0.5, buffer.shape), dtype=buffer.dtype))
    model = keras.Sequential([
        keras.Input((8, 5, 3)), k.Conv2D(4, (3, 2)), k.BatchNormalization(epsilon=1e-5), k.ReLU(), k.MaxPooling2D(),
        k.Flatten(), k.Dropout(0.5), k.BatchNormalization(epsilon=1e-5), k.Dense(5, "tanh"), k.Dense(2),
    ])  # fmt: skip
    minidl.save(source.state_dict(), tmp_path / "w.safetensors")
    keras.saving.load_torch_state_dict(model, minidl.load(tmp_path / "w.safetensors"))
    images = np.random.default_rng(1).normal(size=(2, 3, 8, 5)).astype("float32")
    expected = source.eval()(minidl.tensor(images)).detach().numpy()
    np.testing.assert_allclose(model.predict(images.transpose(0, 2, 3, 1), verbose=0), expected, atol=1e-5)


def test_an_lstm_of_pytorchs_dialect() -> None:
    source, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(20, 2)
    state = {f"lstm.{key}": x for key, x in source.state_dict().items()}
    state |= {f"head.{key}": x for key, x in head.state_dict().items()}
    k = keras.layers
    model = keras.Sequential([keras.Input((5, 3)), k.LSTM(4, return_sequences=True), k.Flatten(), k.Dense(2)])
    keras.saving.load_torch_state_dict(model, state)
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")
    expected = head(source(minidl.tensor(x))[0].reshape(2, 20)).detach().numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


def test_weights_of_another_pytorch_model() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    before = model.get_weights()
    for source, message in (
        (nn.Linear(4, 2), r"shape \(4, 2\) in the file, \(4, 3\) in the model"),
        (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), "2 modules with weights"),
        (nn.Linear(4, 3, bias=False), "there is no 'bias' in the state"),
    ):
        with pytest.raises(StateError, match=message):
            keras.saving.load_torch_state_dict(model, source.state_dict())
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    recurrent = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2)])
    with pytest.raises(StateError, match="one layer and one direction"):
        keras.saving.load_torch_state_dict(recurrent, nn.LSTM(3, 2, num_layers=2).state_dict())
    with pytest.raises(ArgumentError, match="there is no rule for this layer"):
        keras.saving.load_torch_state_dict(
            keras.Sequential([keras.Input((4,)), keras.layers.PReLU()]), nn.PReLU(4).state_dict()
        )
    with pytest.raises(StateError, match="has no weights yet"):
        keras.saving.load_torch_state_dict(keras.Sequential([keras.layers.Dense(3)]), {})


def test_clone_and_json() -> None:
    model = nested(keras)
    for again in (keras.models.clone_model(model), keras.models.model_from_json(model.to_json())):
        again.set_weights(model.get_weights())
        assert_predicts_like(again, model, samples(model), exactly=True)


def test_a_copy_of_a_file_is_the_file(tmp_path: Path) -> None:
    """Saved twice, a model gives the same bytes, apart from the date in a .keras file."""
    model = small()
    for name in ("m.h5", "m.weights.h5", "m.safetensors"):
        keras.models.save_model(model, tmp_path / name)
        shutil.copy(tmp_path / name, tmp_path / f"first {name}")
        keras.models.save_model(model, tmp_path / name)
        assert (tmp_path / name).read_bytes() == (tmp_path / f"first {name}").read_bytes()
