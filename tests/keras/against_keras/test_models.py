"""Models of every kind: several inputs and outputs, classes of one's own, frozen layers, models within models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.keras.against_keras.twins import numbers, trained, twins

N = 58
ROWS, IMAGES = numbers(N, 4), numbers(N, 5, 5, 2)
LABELS = np.random.default_rng(2).integers(0, 3, N)
VALUES = numbers(N, 2)
WEIGHTS = np.linspace(0, 2, N, dtype="float32")


def two_headed(k: Any, outputs: type = list) -> Any:
    """An image and a row in, a label and two numbers out."""
    image, row = k.Input((5, 5, 2), name="image"), k.Input((4,), name="row")
    seen = k.layers.GlobalAveragePooling2D()(k.layers.Conv2D(3, 2, activation="relu")(image))
    both = k.layers.Concatenate()([seen, k.layers.Dense(3, activation="tanh")(row)])
    label = k.layers.Dense(3, activation="softmax", name="label")(both)
    value = k.layers.Dense(2, name="value")(k.layers.Dropout(0.0)(both))
    return k.Model([image, row], {"label": label, "value": value} if outputs is dict else [label, value])


LOSSES = ["sparse_categorical_crossentropy", "mse"]
TARGETS, BY_NAME = [LABELS, VALUES], {"label": LABELS, "value": VALUES}
FACTORS = {"label": 2.0, "value": 0.5}
NAMED = dict(zip(("label", "value"), LOSSES, strict=True))


@pytest.mark.parametrize(
    ("outputs", "how", "targets", "weights"),
    [
        (list, {"loss": LOSSES}, TARGETS, None),
        (list, {"loss": LOSSES, "loss_weights": [0.2, 3.0], "metrics": [["accuracy"], ["mae", "mse"]]}, TARGETS, None),
        (list, {"loss": NAMED, "loss_weights": FACTORS, "metrics": {"value": ["mae"]}}, TARGETS, None),
        (dict, {"loss": NAMED, "metrics": {"label": ["accuracy"], "value": ["mae"]}}, BY_NAME, None),
        (dict, {"loss": NAMED, "loss_weights": FACTORS}, BY_NAME, None),
        (list, {"loss": LOSSES, "weighted_metrics": [["accuracy"], ["mae"]]}, TARGETS, [WEIGHTS, WEIGHTS[::-1].copy()]),
        (dict, {"loss": NAMED}, BY_NAME, {"label": WEIGHTS, "value": WEIGHTS[::-1].copy()}),
    ],
    ids=["list", "weights", "by name", "dict", "dict with weights", "sample weights", "dict of sample weights"],
)
def test_several_inputs_and_outputs(outputs: type, how: dict[str, Any], targets: Any, weights: Any) -> None:
    def make(k: Any) -> Any:
        model = two_headed(k, outputs)
        model.compile(k.optimizers.SGD(0.05), **how)
        return model

    validation = (
        [IMAGES[:9], ROWS[:9]],
        [t[:9] for t in targets] if outputs is list else {k: t[:9] for k, t in targets.items()},
    )
    twins(make).agree_on(trained([IMAGES, ROWS], targets, sample_weight=weights, validation_data=validation))


def test_inputs_by_name() -> None:
    def make(k: Any) -> Any:
        model = two_headed(k, dict)
        model.compile("sgd", NAMED)
        return model

    twins(make).agree_on(trained({"row": ROWS, "image": IMAGES}, {"value": VALUES, "label": LABELS}))


def test_outputs_under_other_names_than_their_layers() -> None:
    def make(k: Any) -> Any:
        row = k.Input((4,))
        model = k.Model(row, {"a": k.layers.Dense(2)(row), "b": k.layers.Dense(2)(row)})
        model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": ["mae"], "b": ["mse", "mae"]})
        return model

    def do(model: Any, _: Any) -> Any:
        y = {"a": VALUES, "b": 2 * VALUES}
        history = model.fit(ROWS, y, 6, 2, 0, shuffle=False).history
        return history, model.evaluate(ROWS, y, verbose=0, return_dict=True), model.predict(ROWS, verbose=0)

    twins(make).agree_on(do)


def test_one_loss_for_all_outputs() -> None:
    def make(k: Any) -> Any:
        row = k.Input((4,))
        outputs = [k.layers.Dense(2, name=name)(row) for name in ("left", "right")]
        model = k.Model(row, outputs)
        model.compile("sgd", loss=["mse", "mse"], metrics=[["mae"], ["mae"]])
        return model

    twins(make).agree_on(trained(ROWS, [VALUES, 2 * VALUES]))


def test_an_output_without_a_loss() -> None:
    def make(k: Any) -> Any:
        model = two_headed(k)
        model.compile("sgd", loss=["sparse_categorical_crossentropy", None])
        return model

    def do(model: Any, _: Any) -> Any:
        with pytest.warns(UserWarning, match="(?i)gradient.*value/kernel"):
            history = model.fit([IMAGES, ROWS], [LABELS, VALUES], 6, 2, 0, shuffle=False).history
        return history, model.predict([IMAGES, ROWS], verbose=0)

    twins(make).agree_on(do)


def of_ones_own(k: Any) -> Any:
    """A class with layers, a layer of one's own, a loss and a metric."""

    class Scaled(k.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
            self.offset = self.add_weight(shape=(), initializer="zeros", trainable=False, name="offset")
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            self.add_loss(0.01 * (self.scale**2).sum())
            return inputs * self.scale + self.offset

    class Own(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [k.layers.Dense(5, activation="tanh"), k.layers.BatchNormalization()]
            self.scaled = Scaled()
            self.out = k.layers.Dense(2)

        def call(self, inputs: Any, training: bool = False) -> Any:
            x = inputs
            for layer in self.hidden:
                x = layer(x, training=training) if isinstance(layer, k.layers.BatchNormalization) else layer(x)
            return self.out(self.scaled(x))

    class Quartic(k.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return ((y_true - y_pred) ** 4).mean(-1)

    model = Own()
    model(np.zeros((1, 4), "float32"))
    model.compile(k.optimizers.SGD(0.01), Quartic(), metrics=["mae"])
    return model


def test_classes_of_ones_own() -> None:
    twins(of_ones_own).agree_on(trained(ROWS, VALUES, validation_split=0.2))


def test_frozen_layers_and_compiling_again() -> None:
    def make(k: Any) -> Any:
        model = k.Sequential([k.Input((4,))])
        for layer in (
            k.layers.Dense(5, name="base"),
            k.layers.BatchNormalization(name="norm"),
            k.layers.Dense(2, name="head"),
        ):
            model.add(layer)
        model.compile("adam", "mse")
        return model

    def do(model: Any, k: Any) -> Any:
        for name in ("base", "norm"):
            model.get_layer(name).trainable = False
        model.compile(k.optimizers.SGD(0.05, momentum=0.5), "mse")
        before = model.get_layer("base").get_weights()
        frozen = model.fit(ROWS, VALUES, 6, 1, 0, shuffle=False).history
        np.testing.assert_array_equal(before[0], model.get_layer("base").get_weights()[0])
        counts = len(model.trainable_weights), len(model.non_trainable_weights)
        model.trainable = True
        model.compile(k.optimizers.SGD(0.05), "mae")
        return frozen, counts, model.fit(ROWS, VALUES, 6, 1, 0, shuffle=False).history, len(model.trainable_weights)

    twins(make).agree_on(do)


def test_a_frozen_variable_and_a_frozen_model() -> None:
    def make(k: Any) -> Any:
        base = k.Sequential([k.Input((4,)), k.layers.Dense(5), k.layers.BatchNormalization()], name="base")
        base.trainable = False
        row = k.Input((4,))
        model = k.Model(row, k.layers.Dense(2)(base(row, training=False)))
        model.compile("sgd", "mse")
        return model

    twins(make).agree_on(trained(ROWS, VALUES))


def test_a_shared_layer_and_a_model_within() -> None:
    def make(k: Any) -> Any:
        inner = k.Sequential([k.Input((4,)), k.layers.Dense(3, activation="relu"), k.layers.Dense(3)])
        left, right = k.Input((4,)), k.Input((4,))
        shared = k.layers.Dense(2)
        difference = k.layers.Subtract()([shared(inner(left)), shared(inner(right))])
        model = k.Model([left, right], difference)
        model.compile("rmsprop", "huber")
        return model

    twins(make).agree_on(trained([ROWS, ROWS[::-1].copy()], VALUES))


def test_part_of_a_trained_model() -> None:
    """Features of a layer in the middle."""

    def make(k: Any) -> Any:
        model = k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="relu", name="features"), k.layers.Dense(2)])
        model.compile("sgd", "mse")
        return model

    def do(model: Any, k: Any) -> Any:
        model.fit(ROWS, VALUES, 6, 1, 0, shuffle=False)
        part = k.Model(model.inputs, model.layers[-2].output)
        other = k.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
        copy = k.models.clone_model(model)
        copy.set_weights(model.get_weights())
        return part.predict(ROWS, verbose=0), other.predict(ROWS, verbose=0), copy.predict(ROWS, verbose=0)

    twins(make).agree_on(do)


def test_a_model_with_a_train_of_unknown_length() -> None:
    """Sequences of any length through one model."""

    def make(k: Any) -> Any:
        model = k.Sequential(
            [k.Input((None, 2)), k.layers.LSTM(3, return_sequences=True), k.layers.GRU(3), k.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        return model

    def do(model: Any, _: Any) -> Any:
        found = [model.train_on_batch(numbers(3, steps, 2), numbers(3, 1)) for steps in (2, 5, 3)]
        return found, model.predict(numbers(2, 7, 2), verbose=0)

    twins(make).agree_on(do)
