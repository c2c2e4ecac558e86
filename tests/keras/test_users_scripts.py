"""What people write with Keras, with the import lines of minidl: each test is a script, read from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl as tf
from minidl import keras
from minidl.data import DataLoader, TensorDataset
from minidl.keras.layers import LSTM, Conv2D, Dense, Dropout, Embedding, Flatten, Input, MaxPooling2D
from minidl.keras.models import Sequential
from minidl.keras.utils import to_categorical

N = 96
rng = np.random.default_rng(0)
X = rng.standard_normal((N, 4))
Y = (X @ [[1.0], [-2.0], [0.5], [0.0]]) + 0.3
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
QUIET: dict[str, Any] = {"verbose": 0}


def classifier() -> Sequential:
    model = Sequential([Input((4,)), Dense(16, activation="relu"), Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# ---------------------------------------------------------------------- in the spirit of the documents


def test_rows_of_a_picture_through_an_lstm() -> None:
    (x_train, labels), _ = tf.keras.datasets.mnist.load_data()
    x_train, y_train = x_train[:192] / 255.0, to_categorical(labels[:192], 10)
    model = Sequential()
    model.add(LSTM(24, input_shape=(28, 28)))
    model.add(Dropout(0.2))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x_train, y_train, epochs=2, batch_size=32, **QUIET)
    assert history.history["loss"][1] < history.history["loss"][0]


def test_a_line_through_six_points() -> None:
    """The first script of many tutorials: samples that are numbers, without an axis of their own."""
    xs = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    model = tf.keras.Sequential([keras.layers.Dense(units=1, input_shape=[1])])
    model.compile(optimizer="sgd", loss="mean_squared_error")
    model.fit(xs, 2 * xs - 1, epochs=500, **QUIET)
    assert model.predict(np.array([10.0]), **QUIET) == pytest.approx(19, abs=0.2)


def test_a_regression_that_is_saved(tmp_path: Path) -> None:
    points = np.array([[1, 2], [3, 4], [5, 6]])
    model = tf.keras.Sequential(
        [tf.keras.layers.Dense(64, activation="relu", input_shape=(2,)), tf.keras.layers.Dense(1)]
    )
    model.compile(optimizer="adam", loss="mse")
    with pytest.warns(tf.errors.NumericalWarning, match=r"\(3, 1\).*\(3, 2\)"):
        model.fit(points, points, epochs=300, **QUIET)
    with pytest.warns(tf.errors.NumericalWarning, match="different shapes"):
        loss = model.evaluate(points, points, **QUIET)
    assert isinstance(loss, float)
    assert 0.25 < loss < 0.3
    model.save(tmp_path / "model.h5")
    again = tf.keras.models.load_model(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.predict(points, **QUIET), model.predict(points, **QUIET))


def test_convolutions() -> None:
    (x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
    x_train, x_test = x_train[:160, ..., None] / 255, x_test[:64, ..., None] / 255
    model = Sequential()
    model.add(Conv2D(8, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train[:160], epochs=3, batch_size=16, **QUIET)
    _, accuracy = model.evaluate(x_test, y_test[:64], **QUIET)
    assert accuracy > 0.6


def test_symbolic_tensors_in_a_sequential(tmp_path: Path) -> None:
    first = Input(shape=(4,))
    hidden = Dense(8, activation="relu")(first)
    last = Dense(3, activation="softmax")(hidden)
    model = Sequential([first, hidden, last])
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, to_categorical(LABELS), epochs=2, batch_size=8, **QUIET)
    model.save(str(tmp_path / "model.h5"))
    assert keras.models.load_model(str(tmp_path / "model.h5")).count_params() == 67


# ---------------------------------------------------------------------- where data comes from


def test_generators_loaders_and_numbered_batches() -> None:
    model = classifier()

    def forever() -> Any:
        while True:
            rows = rng.integers(0, N, 16)
            yield X[rows], LABELS[rows]

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, i: int) -> Any:
            return X[i * 16 : i * 16 + 16], LABELS[i * 16 : i * 16 + 16]

    assert len(model.fit(forever(), steps_per_epoch=5, epochs=3, **QUIET).history["loss"]) == 3
    assert len(model.fit(forever, steps_per_epoch=5, epochs=2, **QUIET).history["loss"]) == 2
    model.fit(Batches(), epochs=2, validation_data=Batches(), **QUIET)
    loader = DataLoader(TensorDataset(tf.tensor(X, dtype=tf.float32), tf.tensor(LABELS)), batch_size=16, shuffle=True)
    model.fit(loader, epochs=2, validation_data=loader, **QUIET)
    model.fit(X, LABELS, epochs=20, **QUIET)
    figures = [model.evaluate(data, return_dict=True, **QUIET) for data in (Batches(), loader)]
    expected = model.evaluate(X, LABELS, return_dict=True, **QUIET)
    for found in figures:
        assert found == pytest.approx(expected, rel=1e-5)
    assert model.predict(Batches(), **QUIET).shape == (N, 3)


def test_data_that_builds_the_model() -> None:
    """Without an input shape, the first batch of whatever comes makes the weights, and is trained on, too."""
    batches = [(X[i : i + 32], Y[i : i + 32]) for i in range(0, N, 32)]
    for data in (iter(batches), lambda: iter(batches), DataLoader(TensorDataset(tf.tensor(X), tf.tensor(Y)), 32)):
        model = Sequential([Dense(1)])
        model.compile("sgd", "mse")
        model.fit(data, **QUIET)
        assert int(model.optimizer.iterations) == 3
        assert model.input_shape == (None, 4)


def test_several_inputs_and_outputs_by_name() -> None:
    title, numbers = Input((5,), dtype="int32", name="title"), Input((4,), name="numbers")
    words = keras.layers.GlobalAveragePooling1D()(Embedding(20, 3)(title))
    both = keras.layers.concatenate([words, numbers])
    outputs = {"kind": Dense(3, activation="softmax")(both), "price": Dense(1)(both)}
    model = keras.Model(inputs={"title": title, "numbers": numbers}, outputs=outputs)
    model.compile(
        "rmsprop",
        loss={"kind": "sparse_categorical_crossentropy", "price": "mse"},
        loss_weights={"kind": 1.0, "price": 0.1},
        metrics={"kind": ["accuracy"], "price": ["mae"]},
    )
    x = {"title": rng.integers(0, 20, (N, 5)), "numbers": X}
    history = model.fit(x, {"kind": LABELS, "price": Y}, epochs=2, validation_split=0.25, **QUIET).history
    names = {"loss", "kind_loss", "price_loss", "kind_accuracy", "price_mae"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert set(model.evaluate(x, {"kind": LABELS, "price": Y}, return_dict=True, **QUIET)) == names
    found = model.predict(x, **QUIET)
    assert {name: y.shape for name, y in found.items()} == {"kind": (N, 3), "price": (N, 1)}


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], LABELS.astype("float32"), LABELS.astype("uint8"), LABELS.tolist()]
)
def test_labels_in_all_forms(labels: Any) -> None:
    keras.utils.set_random_seed(0)
    model = classifier()
    history = model.fit(X, np.asarray(labels) if isinstance(labels, list) else labels, epochs=2, **QUIET).history
    keras.utils.set_random_seed(0)
    assert history == classifier().fit(X, LABELS, epochs=2, **QUIET).history


def test_one_sample() -> None:
    model = classifier()
    assert model.predict(X[:1], **QUIET).shape == (1, 3)
    assert model.predict(np.expand_dims(X[0], 0), **QUIET).dtype == np.float32
    assert model(X[:1]).detach().numpy().shape == (1, 3)
    assert model.predict_on_batch(X[:1]).shape == (1, 3)
    assert isinstance(model(X[:1], training=False), tf.Tensor)


# ---------------------------------------------------------------------- one's own parts


def test_a_loss_a_metric_and_an_activation_of_ones_own() -> None:
    def pinball(y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        return tf.mean(tf.maximum(0.9 * error, -0.1 * error), -1)

    def above(y_true: Any, y_pred: Any) -> Any:
        return (y_pred > y_true).float()

    class Largest(keras.metrics.Metric):
        def __init__(self, name: str = "largest", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.largest = self.add_weight(name="largest", initializer="zeros")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.largest.assign(max(float(self.largest.numpy()), float(abs(y_true - y_pred).max())))

        def result(self) -> Any:
            return self.largest.value

    model = Sequential([Input((4,)), Dense(8, activation=lambda x: tf.sin(x)), Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), pinball, metrics=[above, Largest()])
    history = model.fit(X, Y, epochs=3, **QUIET).history
    assert set(history) == {"loss", "above", "largest"}
    largest = model.evaluate(X, Y, return_dict=True, **QUIET)["largest"]
    assert largest == pytest.approx(np.abs(model.predict(X, **QUIET) - Y).max(), rel=1e-5)


class Linear(keras.layers.Layer):
    """A layer as the guides write it."""

    def __init__(self, units: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)

    def call(self, inputs: Any) -> Any:
        return inputs @ self.w + self.b


class Noisy(keras.layers.Layer):
    """A layer that behaves differently in training."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs + 1.0 if training else inputs


class TwoLayers(keras.Model):
    """A model as the guides write it."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.first, self.drop, self.last = Linear(units), Dropout(0.5), Linear(1)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.last(self.drop(tf.relu(self.first(inputs)), training=training))


def test_layers_and_models_of_ones_own(tmp_path: Path) -> None:
    model = TwoLayers(16)
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.01), loss=keras.losses.MeanSquaredError())
    history = model.fit(X, Y, epochs=5, validation_data=(X, Y), **QUIET).history
    assert history["loss"][-1] < history["loss"][0]
    assert [w.shape for w in model.weights] == [(4, 16), (16,), (16, 1), (1,)]
    assert model(X[:2]).detach().numpy() == pytest.approx(model.predict(X[:2], **QUIET))
    model.save_weights(tmp_path / "own.weights.h5")
    other = TwoLayers(16)
    other.build((None, 4))
    other.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(other.predict(X, **QUIET), model.predict(X, **QUIET))
    model.save(tmp_path / "own.keras")
    loaded = keras.models.load_model(tmp_path / "own.keras", custom_objects={"TwoLayers": TwoLayers, "Linear": Linear})
    np.testing.assert_array_equal(loaded.predict(X, **QUIET), model.predict(X, **QUIET))
    noisy = Sequential([Input((4,)), Noisy()])
    assert (noisy(X, training=True).numpy() - noisy.predict(X, **QUIET)).mean() == pytest.approx(1)


def test_callbacks_of_ones_own() -> None:
    lines: list[str] = []

    class Until(keras.callbacks.Callback):
        def __init__(self, accuracy: float) -> None:
            super().__init__()
            self.accuracy = accuracy

        def on_train_begin(self, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 0.02

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            lines.append(f"{epoch + 1}: {logs['loss']:.3f} {logs.get('accuracy'):.2f}")
            if logs.get("accuracy") > self.accuracy:
                self.model.stop_training = True

    model = classifier()
    history = model.fit(X, LABELS, epochs=200, callbacks=[Until(0.9)], **QUIET)
    assert len(lines) == len(history.epoch) < 200
    assert history.history["accuracy"][-1] > 0.9 >= history.history["accuracy"][-2]
    printed: list[int] = []
    model.fit(
        X, LABELS, 32, 2, 0, [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: printed.append(epoch))]
    )
    assert printed == [0, 1]


def test_a_loop_of_ones_own() -> None:
    model = Sequential([Input((4,)), Dense(1, kernel_regularizer="l2")])
    optimizer, loss = keras.optimizers.Adam(0.05), keras.losses.MeanSquaredError()
    optimizer.build(model.trainable_variables)
    seen = []
    for _ in range(60):
        value = loss(Y, model(X, training=True)) + sum(model.losses)
        optimizer.zero_grad()
        value.backward()
        optimizer.apply([w.grad for w in model.trainable_variables], model.trainable_variables)
        seen.append(value.item())
    assert seen[-1] < 0.3 * seen[0]


# ---------------------------------------------------------------------- what is in a model


def test_layers_by_name_and_their_weights() -> None:
    model = Sequential([Input((4,)), Dense(3, name="hidden"), Dense(2, name="last")])
    kernel, bias = model.get_layer("hidden").get_weights()
    assert (kernel.shape, bias.shape) == ((4, 3), (3,))
    model.get_layer("hidden").set_weights([np.ones((4, 3)), np.zeros(3)])
    part = keras.Model(model.input, model.layers[-2].output)
    np.testing.assert_allclose(part.predict(X, **QUIET), X.sum(1, keepdims=True).repeat(3, 1), rtol=1e-4, atol=1e-5)
    assert model.layers[0] is model.get_layer(index=0)
    assert model.layers[1].kernel.shape == (3, 2)
    assert [w.name for w in model.weights] == ["kernel", "bias", "kernel", "bias"]


def test_transfer_learning() -> None:
    base = classifier()
    base.fit(X, LABELS, epochs=2, **QUIET)
    base.pop()
    base.trainable = False
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Dense(1)(base(inputs, training=False)))
    model.compile("adam", "mse")
    before = base.get_weights()
    model.fit(X, Y, epochs=2, **QUIET)
    for mine, other in zip(base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert len(model.trainable_weights) == 2
    base.trainable = True
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.fit(X, Y, epochs=1, **QUIET)
    assert not np.array_equal(base.get_weights()[0], before[0])


def test_copies() -> None:
    model = classifier()
    model.fit(X, LABELS, **QUIET)
    clone = keras.models.clone_model(model)
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, **QUIET), model.predict(X, **QUIET))
    again = Sequential.from_config(model.get_config())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    assert keras.models.model_from_json(model.to_json()).count_params() == model.count_params()


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Input((28, 28, 1)), Conv2D(32, 3), Flatten(), Dense(10)], name="small")
    model.summary()
    text = capsys.readouterr().out
    for part in ('Model: "small"', "Layer (type)", "Output Shape", "Param #", "(Conv2D)", "(None, 26, 26, 32)"):
        assert part in text
    for part in ("320", "216,330", "Total params: 216,650", "Trainable params: 216,650", "Non-trainable params: 0"):
        assert part in text
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "".join(lines).strip() == text.strip()


STRINGS = [
    {"kernel_initializer": "he_normal", "bias_initializer": "ones", "activation": "elu"},
    {"kernel_initializer": keras.initializers.RandomUniform(-1, 1, seed=3), "activation": keras.activations.swish},
    {"kernel_regularizer": "l1", "bias_regularizer": keras.regularizers.l2(0.1), "activity_regularizer": "l1_l2"},
    {"kernel_constraint": "unit_norm", "bias_constraint": keras.constraints.NonNeg(), "activation": "gelu"},
    {"kernel_initializer": "lecun_uniform", "kernel_regularizer": keras.regularizers.L1L2(l1=1e-5, l2=1e-4)},
    {"activation": tf.tanh, "use_bias": False, "dtype": "float64"},
]


@pytest.mark.parametrize("options", STRINGS, ids=lambda x: ",".join(x))
def test_arguments_by_string_and_object(options: dict[str, Any]) -> None:
    model = Sequential([Input((4,)), Dense(8, **options), Dense(1)])
    model.compile("adam", "mean_absolute_error", metrics=["mse"])
    history = model.fit(X, Y, epochs=8, **QUIET).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("optimizer", ["sgd", "SGD", "adam", "Adam", "rmsprop", "RMSprop", "adagrad", "nadam", "adamw"])
@pytest.mark.parametrize("loss", ["mse", "MSE", "mean_squared_error", "MeanSquaredError", "mae", "huber", "log_cosh"])
def test_optimizers_and_losses_by_string(optimizer: str, loss: str) -> None:
    model = Sequential([Input((4,)), Dense(1)])
    model.compile(optimizer=optimizer, loss=loss, metrics=["mae", "MeanAbsoluteError"])
    history = model.fit(X, Y, epochs=2, **QUIET).history
    assert history["loss"][1] < history["loss"][0]
    assert history["mae"] == pytest.approx(history["MeanAbsoluteError"])


# ---------------------------------------------------------------------- what comes out


def test_the_same_seed_gives_the_same_bits() -> None:
    def run() -> list[np.ndarray]:
        keras.utils.set_random_seed(7)
        model = Sequential([Input((4,)), Dense(16, activation="relu"), Dropout(0.5), Dense(1)])
        model.compile("adam", "mse")
        history = model.fit(X, Y, epochs=3, validation_split=0.2, **QUIET).history
        return [*model.get_weights(), np.array(history["loss"]), np.array(history["val_loss"])]

    for first, second in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_history_and_its_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing to draw with")
    history = classifier().fit(X, LABELS, epochs=3, validation_split=0.25, **QUIET)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.epoch == [0, 1, 2]
    assert history.params["epochs"] == 3
    history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = classifier()
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    best = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), save_best_only=True, monitor="val_accuracy")
    model.fit(X, LABELS, epochs=5, initial_epoch=2, validation_split=0.2, callbacks=[stop, best], **QUIET)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 9
    for one in (model, again):
        keras.utils.set_random_seed(1)
        one.fit(X, LABELS, epochs=1, **QUIET)
    for mine, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-7)
    assert keras.models.load_model(tmp_path / "best.keras").evaluate(X, LABELS, **QUIET)[1] > 0


def test_results_in_all_forms() -> None:
    model = classifier()
    assert model.metrics_names == ["loss", "accuracy"]
    found, named = model.evaluate(X, LABELS, **QUIET), model.evaluate(X, LABELS, return_dict=True, **QUIET)
    assert found == [named["loss"], named["accuracy"]]
    assert all(isinstance(x, float) for x in found)
    np.testing.assert_array_equal(model.predict(X, batch_size=7, **QUIET).argmax(-1).shape, (N,))
    probabilities = model.predict(X, **QUIET)
    assert found[1] == pytest.approx((probabilities.argmax(1) == LABELS).mean())


@pytest.mark.parametrize("verbose", ["auto", 0, 1, 2])
def test_what_is_printed(verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    classifier().fit(X, LABELS, epochs=2, verbose=verbose)
    out = "".join(capsys.readouterr())
    assert ("accuracy" in out) == (verbose != 0)
    assert ("Epoch 1/2" in out or "1/2" in out) == (verbose != 0)
