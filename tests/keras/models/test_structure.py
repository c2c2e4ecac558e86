"""Models as chains, graphs and classes: what they are made of, their configs, their tables, their errors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, DTypeError, FormatError, ShapeError, StateError
from minidl.keras import layers


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)


def rebuilt(model: keras.Model) -> keras.Model:
    """A model with the same structure, through JSON, and the same weights."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    again = keras.saving.deserialize_keras_object(config)
    again.set_weights(model.get_weights())
    return again


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


# ---------------------------------------------------------------------- Sequential


def chain() -> list[Any]:
    return [layers.Dense(4, activation="relu"), layers.Dense(2)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.Sequential([keras.Input((3,)), *chain()]),
        lambda: keras.Sequential([layers.InputLayer((3,)), *chain()]),
        lambda: keras.Sequential([layers.Dense(4, activation="relu", input_shape=(3,)), layers.Dense(2)]),
        lambda: keras.Sequential([layers.Dense(4, activation="relu", input_dim=3), layers.Dense(2)]),
    ],
    ids=["Input", "InputLayer", "input_shape", "input_dim"],
)
def test_a_chain_is_built_as_soon_as_its_input_shape_is_known(make: Any) -> None:
    model = make()
    assert model.built
    assert [w.shape for w in model.weights] == [(3, 4), (4,), (4, 2), (2,)]
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    assert [w.path for w in model.weights][:2] == ["sequential/dense/kernel", "sequential/dense/bias"]
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]


def test_a_chain_without_input_shape_waits_for_data() -> None:
    model = keras.Sequential(chain())
    assert not model.built
    assert model.weights == []
    with pytest.raises(StateError, match="has no input: it is not built yet"):
        _ = model.input_shape
    assert model(np.ones((5, 3))).shape == (5, 2)
    assert model.input_shape == (None, 3)
    assert next(w.path for w in model.weights) == "sequential/dense/kernel"


def test_a_chain_can_be_built_for_a_shape() -> None:
    model = keras.Sequential(chain())
    model.build((None, 7))
    assert model.count_params() == 7 * 4 + 4 + 4 * 2 + 2
    with pytest.raises(StateError, match="has no layers yet"):
        keras.Sequential().build((None, 7))


def test_add_and_pop() -> None:
    model = keras.Sequential([keras.Input((3,))])
    model.add(layers.Dense(4))
    assert model.output_shape == (None, 4)
    model.add(layers.Dense(5))
    assert model.output_shape == (None, 5)
    assert model.pop().units == 5
    assert model.output_shape == (None, 4)
    assert model(np.ones((1, 3))).shape == (1, 4)
    model.pop()
    with pytest.raises(StateError, match="has no layer to take off"):
        model.pop()


def test_a_layer_that_does_not_fit_is_not_added() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    with pytest.raises(ShapeError, match="conv2d"):
        model.add(layers.Conv2D(2, 3))
    assert len(model.layers) == 1
    assert model(np.ones((1, 3))).shape == (1, 4)


def test_a_build_that_fails_leaves_the_layers() -> None:
    model = keras.Sequential([layers.Dense(4), layers.Conv2D(2, 3)])
    with pytest.raises(ShapeError):
        model.build((None, 3))
    assert len(model.layers) == 2
    assert not model.built


def test_what_a_sequential_does_not_take() -> None:
    with pytest.raises(DTypeError, match="expected a layer, got a str: 'Dense'; a Sequential takes layers"):
        keras.Sequential(["Dense"])
    with pytest.raises(ArgumentError, match="a layer is called 'a' already"):
        keras.Sequential([layers.Dense(1, name="a"), layers.Dense(2, name="a")])
    shared = layers.Dense(3)
    with pytest.raises(ArgumentError, match="it is the same layer, which a chain holds once"):
        keras.Sequential([shared, shared])
    with pytest.raises(ArgumentError, match="an Input stands at the front, not after 'dense"):
        keras.Sequential([layers.Dense(3), keras.Input((3,))])


def test_symbolic_tensors_that_form_a_chain_are_the_model() -> None:
    """Document 003: real Keras 3 refuses this."""
    input_layer = keras.Input(shape=(5,))
    hidden_layer = layers.Dense(4, activation="relu")(input_layer)
    output_layer = layers.Dense(3, activation="softmax")(hidden_layer)
    expected = keras.Model(input_layer, output_layer)
    x = np.random.default_rng(0).random((6, 5), np.float32)
    for tensors in (
        [input_layer, hidden_layer, output_layer],
        [input_layer, output_layer],  # what lies between belongs to the chain
        [output_layer],
        [hidden_layer, output_layer],
    ):
        model = keras.Sequential(tensors)
        assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
        same(model(x), expected(x))


def test_symbolic_tensors_that_form_no_chain() -> None:
    x, other = keras.Input((5,)), keras.Input((5,))
    a, b = layers.Dense(4)(x), layers.Dense(4)(other)
    with pytest.raises(ArgumentError, match=r"do not form one chain: .* does not come from what stands before it"):
        keras.Sequential([x, a, b])
    with pytest.raises(ArgumentError, match=r"'add' has 2 inputs\. A Sequential takes layers.*keras\.Model\(inputs"):
        keras.Sequential([x, layers.Add()([a, b])])
    with pytest.raises(ArgumentError, match="do not form one chain"):
        keras.Sequential([b, a])


def test_a_chain_of_models() -> None:
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4)], name="inner")
    model = keras.Sequential([inner, layers.Dense(2)])
    assert model.built
    assert next(w.path for w in model.weights) == "inner/dense/kernel"
    x = np.ones((2, 3), np.float32)
    same(model(x), model.layers[1](inner(x)))
    same(rebuilt(model)(x), model(x))


# ---------------------------------------------------------------------- graphs


def branches() -> keras.Model:
    image, words = keras.Input((6,), name="image"), keras.Input((4,), name="words")
    shared = layers.Dense(4, name="shared")
    left = shared(layers.Dense(4, name="narrow")(image))
    right = shared(words)
    both = layers.Concatenate(name="both")([left, right])
    return keras.Model(
        [image, words], {"label": layers.Dense(3, name="label")(both), "score": layers.Add(name="score")([left, right])}
    )


def test_a_graph_with_branches_and_a_shared_layer() -> None:
    model = branches()
    assert model.input_names == ["image", "words"]
    assert model.output_names == ["label", "score"]
    assert model.output_shape == {"label": (None, 3), "score": (None, 4)}
    rng = np.random.default_rng(0)
    image, words = rng.random((2, 6), np.float32), rng.random((2, 4), np.float32)
    outputs = model([image, words])
    narrow, shared = (model.get_layer(name) for name in ("narrow", "shared"))
    same(outputs["score"], shared(narrow(image)) + shared(words))
    named = model({"words": words, "image": image})
    same(named["label"], outputs["label"])
    same(rebuilt(model)([image, words])["label"], outputs["label"])
    assert len(model.weights) == 6  # the shared layer's once


def test_a_model_is_a_layer() -> None:
    inner = branches()
    a, b = keras.Input((6,)), keras.Input((4,))
    outer = keras.Model([a, b], inner([a, b])["label"])
    assert outer.output_shape == (None, 3)
    x = [np.ones((2, 6), np.float32), np.ones((2, 4), np.float32)]
    same(outer(x), inner(x)["label"])
    again = rebuilt(outer)
    same(again(x), outer(x))
    assert inner.compute_output_shape([(7, 6), (7, 4)]) == {"label": (7, 3), "score": (7, 4)}


def test_part_of_a_graph() -> None:
    x = keras.Input((3,))
    hidden = layers.Dense(4)(x)
    out = layers.Dense(2)(hidden)
    whole, first, last = keras.Model(x, out), keras.Model(x, hidden), keras.Model(hidden, out)
    data = np.ones((2, 3), np.float32)
    same(last(first(data)), whole(data))
    assert [layer.name for layer in last.layers if layer.weights] == ["dense_1"]


def test_graphs_that_do_not_hang_together() -> None:
    x, other = keras.Input((3,), name="x"), keras.Input((3,), name="other")
    y = layers.Add()([layers.Dense(3)(x), other])
    with pytest.raises(ArgumentError, match=r"depend on 'other', which is not among the inputs \['x'\]"):
        keras.Model(x, y)
    with pytest.raises(ArgumentError, match=r"give inputs and outputs, or .* neither"):
        keras.Model(x)
    with pytest.raises(DTypeError, match="outputs must be symbolic tensors"):
        keras.Model(x, layers.Dense(3))
    with pytest.raises(ArgumentError, match="two layers are called 'twin'"):
        keras.Model(x, layers.Dense(3, name="twin")(layers.Dense(3, name="twin")(x)))


def test_inputs_that_do_not_fit() -> None:
    model = branches()
    with pytest.raises(
        ArgumentError, match=r"the model takes 2 tensors \(image \(None, 6\), words \(None, 4\)\), got 1"
    ):
        model(np.ones((2, 6)))
    with pytest.raises(ArgumentError, match=r"\['words'\] are missing"):
        model({"image": np.ones((2, 6))})
    with pytest.raises(ShapeError, match=r"input words: expected the shape \(None, 4\), got \(2, 5\)"):
        model([np.ones((2, 6)), np.ones((2, 5))])


def test_a_long_chain_needs_no_recursion() -> None:
    x = y = keras.Input((1,))
    for _ in range(1500):
        y = layers.Activation("linear")(y)
    assert keras.Model(x, y).output_shape == (None, 1)


def test_layers_by_name_and_index() -> None:
    model = keras.Sequential([keras.Input((3,)), *chain()])
    assert model.get_layer("dense_1") is model.get_layer(index=1) is model.layers[-1]
    with pytest.raises(ArgumentError, match=r"no layer is called 'conv'; there are: \['dense', 'dense_1'\]"):
        model.get_layer("conv")
    with pytest.raises(ArgumentError, match="there are 2 layers, and none has the index 2"):
        model.get_layer(index=2)
    with pytest.raises(ArgumentError, match="either a name or an index"):
        model.get_layer()


def test_configs_that_lie_are_refused() -> None:
    config = branches().get_config()
    for change in (
        lambda c: c["layers"][-1]["inbound_nodes"][0]["args"][0][0]["config"].update(keras_history=["gone", 0, 0]),
        lambda c: c["layers"][-1]["inbound_nodes"][0]["args"][0][0]["config"].update(keras_history=["shared", 0, 9]),
        lambda c: c["output_layers"].update(label=["label", 7, 0]),
        lambda c: c["layers"][2].update(class_name="Destroy"),
    ):
        broken = json.loads(json.dumps(config))
        change(broken)
        with pytest.raises(FormatError, match="config"):
            keras.Model.from_config(broken)


# ---------------------------------------------------------------------- classes of one's own


class Own(keras.Model):
    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units)
        self.drop = layers.Dropout(0.5)
        self.out = layers.Dense(2)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.out(self.drop(self.hidden(inputs), training=training))


def test_a_subclass_is_built_by_its_first_call_or_by_build() -> None:
    model = Own()
    assert not model.built
    model(np.ones((1, 3)))
    assert [layer.name for layer in model.layers] == ["dense", "dropout", "dense_1"]
    assert len(model.weights) == 4
    other = Own()
    other.build((None, 3))
    assert [w.shape for w in other.weights] == [w.shape for w in model.weights]
    x = np.ones((64, 3), np.float32)
    same(model(x), model(x))
    assert not np.array_equal(model(x, training=True).detach().numpy(), model(x).detach().numpy())


def test_a_subclass_is_made_again_from_its_arguments() -> None:
    assert Own.from_config(Own(7).get_config()).hidden.units == 7
    with pytest.raises(NotImplementedError, match="Model has no call"):
        keras.Model()(np.ones((1, 3)))


def test_a_subclass_with_inputs_and_outputs() -> None:
    class Graphed(keras.Model):
        def __init__(self) -> None:
            x = keras.Input((3,))
            super().__init__(inputs=x, outputs=layers.Dense(2)(x))

    assert Graphed()(np.ones((1, 3))).shape == (1, 2)


# ---------------------------------------------------------------------- tables


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(32, 3), layers.Flatten(), layers.Dense(10)])
    model.layers[0].trainable = False
    model.summary(show_trainable=True)
    printed = capsys.readouterr().out
    assert 'Model: "sequential"' in printed
    for row in (
        "│ conv2d (Conv2D)   │ (None, 26, 26, 32) │     320 │ N         │",
        "│ flatten (Flatten) │ (None, 21632)      │       0 │ -         │",
        "│ dense (Dense)     │ (None, 10)         │ 216,330 │ Y         │",
    ):
        assert row in printed
    assert " Total params: 216,650 (846.29 KB)\n Trainable params: 216,330 (845.04 KB)" in printed
    assert " Non-trainable params: 320 (1.25 KB)" in printed
    lines: list[str] = []
    branches().summary(print_fn=lines.append)
    assert "Connected to" in lines[0]
    assert "narrow[0], words[0]" in lines[0]
    keras.Sequential(chain()).summary(print_fn=lines.append)
    assert "? (not built)" in lines[1]
    with pytest.raises(ArgumentError, match="layer_range must be the names of two layers"):
        model.summary(layer_range=["dense", "gone"])


def test_its_parameters_are_those_of_any_module() -> None:
    model = keras.Sequential([keras.Input((3,)), *chain()])
    assert list(model.state_dict()) == ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    assert [p.shape for p in model.parameters()] == [w.shape for w in model.weights]
    optimizer = minidl.optim.SGD(model.parameters(), lr=0.1)
    model(np.ones((2, 3))).sum().backward()
    before = model.get_weights()
    optimizer.step()
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_errors_name_the_layer_in_the_model() -> None:
    model = keras.Sequential([keras.Input((3,)), *chain()], name="net")
    with pytest.raises(ShapeError, match=r"dense: "):
        model(np.ones((2, 4)))
