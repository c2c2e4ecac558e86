"""What people get wrong with Keras: each mistake is told, with the way out, and costs nothing that was trained."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    GradError,
    MiniDLError,
    NumericalWarning,
    RangeError,
    ShapeError,
    StateError,
)
from minidl.keras import layers
from minidl.keras.layers import Conv2D, Dense, Input

N = 20
rng = np.random.default_rng(0)
X = rng.standard_normal((N, 4)).astype("float32")
Y = rng.standard_normal((N, 1)).astype("float32")
LABELS = rng.integers(0, 3, N)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
QUIET: dict[str, Any] = {"verbose": 0}


def regression() -> keras.Sequential:
    model = keras.Sequential([Input((4,)), Dense(5, activation="tanh", name="hidden"), Dense(1, name="price")])
    model.compile("adam", "mse")
    return model


def classifier(loss: str = "sparse_categorical_crossentropy", **how: Any) -> keras.Sequential:
    model = keras.Sequential([Input((4,)), Dense(5, name="hidden"), Dense(3, activation="softmax")])
    model.compile("adam", loss, **how)
    return model


def two_headed(**how: Any) -> keras.Model:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    both = layers.Concatenate()([a, b])
    model = keras.Model([a, b], [Dense(1, name="p")(both), Dense(3, activation="softmax", name="q")(both)])
    model.compile("adam", how.pop("loss", ["mse", "sparse_categorical_crossentropy"]), **how)
    return model


BOTH, TARGETS = [X, X[:, :3]], [Y, LABELS]


def batches(count: int) -> Iterator[Any]:
    return ((X[:5], Y[:5]) for _ in range(count))


def broken() -> Iterator[Any]:
    yield X[:5], Y[:5]
    raise OSError("the network is gone")


Mistake = tuple[Callable[[], Any], type[Exception], str]

SHAPES: list[Mistake] = [
    (
        lambda: regression().fit(X, np.ones((N, 2, 2)), **QUIET),
        ShapeError,
        r"\(20, 1\) and target \(20, 2, 2\).*last layer",
    ),
    (lambda: classifier().fit(X, ONE_HOT, **QUIET), ShapeError, r"looks one-hot: use categorical_crossentropy"),
    (
        lambda: classifier("categorical_crossentropy").fit(X, LABELS, **QUIET),
        ShapeError,
        r"use sparse_.*to_categorical\(y, 3\)",
    ),
    (
        lambda: classifier("categorical_crossentropy").fit(X, np.eye(4)[LABELS], **QUIET),
        ShapeError,
        "the last layer 4 units",
    ),
    (lambda: classifier().fit(X, LABELS + 1, **QUIET), RangeError, r"label 3 at position \d+ .* 3 classes; .* 0 to 2"),
    (lambda: classifier().fit(X, LABELS - 1, **QUIET), RangeError, r"label -1 .* 0 to 2"),
    (lambda: classifier().fit(X, LABELS + 0.5, **QUIET), DTypeError, "labels are the numbers of classes"),
    (lambda: classifier().fit(X, LABELS.astype(str), **QUIET), DTypeError, "fit: y: cannot make a tensor of <U"),
    (lambda: regression().fit(X[:, :3], Y, **QUIET), ShapeError, r"Sequential\.hidden: .*\(20, 3\).* built for 4"),
    (lambda: regression().evaluate(X[:, :3], Y, **QUIET), ShapeError, r"Sequential\.hidden: .*\(20, 3\).* built for 4"),
    (lambda: regression().predict(X[:, :3], **QUIET), ShapeError, r"Sequential\.hidden: .*\(20, 3\).* built for 4"),
    (
        lambda: regression().fit(X, Y[:-1], **QUIET),
        ShapeError,
        r"different numbers of samples.*x \(20, 4\), y \(19, 1\)",
    ),
    (lambda: regression().fit(X, Y, validation_data=(X, Y[:-1]), **QUIET), ShapeError, r"validation: .*y \(19, 1\)"),
    (lambda: classifier().fit(X, LABELS, sample_weight=np.ones(3), **QUIET), ShapeError, r"sample_weight \(3,\)"),
    (
        lambda: classifier().fit(X, LABELS, sample_weight=np.ones((N, 2)), **QUIET),
        ShapeError,
        r"one weight for each of the 20",
    ),
    (lambda: regression().set_weights([X]), ShapeError, r"expected 4 arrays of the shapes \[\(4, 5\).*got 1"),
    (
        lambda: keras.Sequential([Input((8, 8, 1)), Conv2D(2, 9)]),
        ShapeError,
        r"window of size \(9, 9\).*padding='same'",
    ),
    (lambda: keras.Sequential([Input((4,)), layers.LSTM(3)]), ShapeError, r"expected sequences of shape \(N, T, D\)"),
    (lambda: regression().fit([[1, 2, 3, 4], [1, 2]], Y[:2], **QUIET), ShapeError, "ragged"),
]
INPUTS: list[Mistake] = [
    (
        lambda: two_headed().fit([X], TARGETS, **QUIET),
        ArgumentError,
        r"takes 2 tensors \(a \(None, 4\), b \(None, 3\)\), got 1",
    ),
    (lambda: two_headed().fit(X, TARGETS, **QUIET), ArgumentError, "takes 2 tensors .* got 1"),
    (lambda: two_headed().fit([*BOTH, X], TARGETS, **QUIET), ArgumentError, "takes 2 tensors .* got 3"),
    (
        lambda: two_headed().fit({"a": X, "c": X}, TARGETS, **QUIET),
        ArgumentError,
        r"\['b'\] are missing; .* got \['a', 'c'\]",
    ),
    (lambda: regression().fit([X, X], Y, **QUIET), ArgumentError, "a chain has one input, got 2 tensors"),
    (lambda: two_headed().fit(BOTH, Y, **QUIET), ArgumentError, r"y: the model has 2 outputs, \['p', 'q'\]"),
    (lambda: two_headed().fit(BOTH, [Y], **QUIET), ArgumentError, "y: 1 entries for 2 outputs"),
    (
        lambda: two_headed().fit(BOTH, {"p": Y, "r": Y}, **QUIET),
        ArgumentError,
        r"y: there is no output 'r'; .*\['p', 'q'\]",
    ),
    (
        lambda: two_headed(loss={"p": "mse", "q": "mse"}).fit(BOTH, {"p": Y}, **QUIET),
        ArgumentError,
        "'q' has a loss, but .* no target",
    ),
    (lambda: two_headed(loss={"r": "mse"}).fit(BOTH, TARGETS, **QUIET), ArgumentError, "loss: there is no output 'r'"),
    (lambda: two_headed(loss=["mse"] * 3).fit(BOTH, TARGETS, **QUIET), ArgumentError, "loss: 3 entries for 2 outputs"),
    (lambda: two_headed(loss=[None, None]).fit(BOTH, TARGETS, **QUIET), ArgumentError, "no output has a loss"),
    (
        lambda: two_headed(loss_weights={"r": 1}).fit(BOTH, TARGETS, **QUIET),
        ArgumentError,
        "loss_weights: there is no output 'r'",
    ),
    (lambda: two_headed(metrics={"r": ["mae"]}), ArgumentError, r"metrics: there is no output 'r'; .*\['p', 'q'\]"),
]
NAMES: list[Mistake] = [
    (
        lambda: classifier("mean_sqared_error"),
        ArgumentError,
        "no loss is named 'mean_sqared_error'; did you mean 'mean_squared_error'",
    ),
    (lambda: two_headed(loss=["mse", "mze"]), ArgumentError, "no loss is named 'mze'; did you mean 'mse'"),
    (lambda: regression().compile("adan", "mse"), ArgumentError, "no optimizer is named 'adan'; did you mean 'adam'"),
    (lambda: classifier(metrics=["acuracy"]), ArgumentError, "no metric is named 'acuracy'; did you mean 'accuracy'"),
    (lambda: Dense(3, activation="rellu"), ArgumentError, "no activation is named 'rellu'; did you mean 'relu'"),
    (
        lambda: Dense(3, kernel_initializer="glorot"),
        ArgumentError,
        "no initializer is named 'glorot'; did you mean 'glorot",
    ),
    (lambda: Dense(3, kernel_regularizer="l3"), ArgumentError, "no regularizer is named 'l3'; did you mean 'l"),
    (
        lambda: regression().get_layer("prize"),
        ArgumentError,
        r"no layer is called 'prize'; there are: \['hidden', 'price'\]",
    ),
    (
        lambda: regression().fit(X, Y, batchsize=3),
        ArgumentError,
        "fit: unknown argument 'batchsize'; did you mean 'batch_size'",
    ),
    (
        lambda: regression().fit(X, Y, nb_epoch=3),
        ArgumentError,
        "fit: unknown argument 'nb_epoch'; did you mean 'epochs'",
    ),
    (
        lambda: regression().compile("adam", "mse", metric=[]),
        ArgumentError,
        "unknown argument 'metric'; did you mean 'metrics'",
    ),
    (
        lambda: regression().evaluate(X, Y, batchsize=3),
        ArgumentError,
        "evaluate: unknown argument 'batchsize'; did you mean 'batch_size'",
    ),
    (
        lambda: regression().predict(X, batchsize=3),
        ArgumentError,
        "predict: unknown argument 'batchsize'; did you mean 'batch_size'",
    ),
    (
        lambda: Dense(3, activaton="relu"),
        ArgumentError,
        "Dense: unknown argument 'activaton'; did you mean 'activation'",
    ),
    (lambda: keras.optimizers.Adam(lr=0.1), ArgumentError, "Adam: unknown argument 'lr'; it is called learning_rate"),
    (lambda: regression().compile("adam", 3), DTypeError, "loss: expected a name, a config, or something callable"),
    (lambda: regression().save("model.pkl"), ArgumentError, r"model.pkl'.*\.keras.*\.h5"),
]
NUMBERS: list[Mistake] = [
    (
        lambda: regression().fit(X, Y, batch_size=0, **QUIET),
        ArgumentError,
        "batch_size must be a positive integer, got 0",
    ),
    (
        lambda: regression().predict(X, batch_size=-1, **QUIET),
        ArgumentError,
        "batch_size must be a positive integer, got -1",
    ),
    (
        lambda: regression().fit(X, Y, epochs=-1, **QUIET),
        ArgumentError,
        "epochs must be an integer, 0 or above, got -1",
    ),
    (
        lambda: regression().fit(X, Y, epochs="3", **QUIET),
        ArgumentError,
        "epochs must be an integer, 0 or above, got '3'",
    ),
    (lambda: regression().fit(X, Y, steps_per_epoch=0, **QUIET), ArgumentError, "steps_per_epoch must be a positive"),
    (lambda: regression().fit(X, Y, validation_split=1.5, **QUIET), ArgumentError, "between 0 and 1, got 1.5"),
    (
        lambda: regression().fit(batches(2), validation_split=0.5, **QUIET),
        ArgumentError,
        "cannot be split; pass validation_data=",
    ),
    (lambda: regression().fit(X, Y, verbose=7), ArgumentError, "verbose: expected .* got 7"),
    (lambda: Dense(0), ArgumentError, "units=0; expected a positive integer"),
    (lambda: keras.optimizers.Adam(-1.0), ArgumentError, "learning_rate must be 0 or more, got -1.0"),
    (lambda: keras.utils.to_categorical([0, 3], 2), RangeError, "label 3 is out of range for 2 classes"),
    (
        lambda: classifier().fit(X, LABELS, class_weight=[1, 2], **QUIET),
        DTypeError,
        "class_weight must be a dict of labels",
    ),
    (
        lambda: regression().fit(X, Y, callbacks=[keras.callbacks.EarlyStopping], **QUIET),
        DTypeError,
        "with parentheses",
    ),
]
DATA: list[Mistake] = [
    (lambda: regression().fit(X[:0], Y[:0], **QUIET), DataError, r"there is no data: x \(0, 4\), y \(0, 1\)"),
    (lambda: regression().predict(X[:0], **QUIET), DataError, r"predict: there is no data: x \(0, 4\)"),
    (lambda: regression().evaluate([], [], **QUIET), DataError, "evaluate: there is no data"),
    (lambda: regression().fit(None, Y, **QUIET), DataError, "x is None; pass arrays"),
    (lambda: regression().fit(**QUIET), DataError, "x is None; pass arrays"),
    (lambda: regression().fit(X, **QUIET), DataError, r"no targets .*; pass y, or let the generator yield \(x, y\)"),
    (
        lambda: regression().fit(X, Y, validation_data=X, **QUIET),
        DataError,
        r"no targets .*validation_data is \(x, y\)",
    ),
    (lambda: regression().fit(iter([X]), **QUIET), DataError, r"no targets .* yield \(x, y\)"),
    (lambda: regression().fit(batches(0), **QUIET), DataError, "the generator gave no batches"),
    (lambda: regression().fit(iter([(X, Y, Y, Y)]), **QUIET), DataError, "a batch of 4 entries; expected x,"),
    (
        lambda: regression().fit(batches(3), Y, **QUIET),
        ArgumentError,
        "y= goes with arrays; a generator yields its targets",
    ),
    (lambda: regression().fit("data.csv", Y, **QUIET), DTypeError, "x: cannot make a tensor of a str"),
    (lambda: regression().fit(np.array([[None] * 4] * N), Y, **QUIET), DTypeError, "x: cannot make a tensor of object"),
]
STATES: list[Mistake] = [
    (
        lambda: keras.Sequential([Dense(1)]).fit(X, Y),
        StateError,
        r"fit: .*call compile\(optimizer='adam', loss='mse'\) first",
    ),
    (lambda: keras.Sequential([Dense(1)]).evaluate(X, Y), StateError, "evaluate: .*call compile"),
    (lambda: keras.Sequential([Dense(1)]).train_on_batch(X, Y), StateError, "train_on_batch: .*call compile"),
    (lambda: keras.Sequential().predict(X, **QUIET), StateError, "has no layers yet"),
    (lambda: keras.Sequential([Dense(1)]).count_params(), StateError, "has no weights yet"),
    (lambda: keras.Sequential([Dense(1)]).save("model.h5"), StateError, "has no weights yet"),
    (lambda: keras.Model(Input((4,)), Dense(3)), DTypeError, "outputs must be symbolic tensors"),
    (lambda: Input((4,)) + 1, DTypeError, "has no values yet.*connect symbolic tensors with layers"),
]


def with_loss(loss: Any) -> keras.Sequential:
    model = regression()
    model.compile("sgd", loss)
    return model


OWN: list[Mistake] = [
    (lambda: with_loss(lambda y, p: 3.0).fit(X, Y, **QUIET), GradError, "does not depend on the model's parameters"),
    (
        lambda: with_loss(lambda y, p: np.mean(p.detach().numpy())).fit(X, Y, **QUIET),
        GradError,
        "with minidl's functions",
    ),
]
VALUES = [message for _, _, message in SHAPES if message.startswith("label")]
ALL = [*SHAPES, *INPUTS, *NAMES, *NUMBERS, *DATA, *STATES, *OWN]


@pytest.mark.parametrize(("mistake", "error", "message"), ALL, ids=[f"{i}-{x[2][:40]}" for i, x in enumerate(ALL)])
def test_each_mistake_is_told(mistake: Callable[[], Any], error: type[Exception], message: str) -> None:
    # shapes are looked at everywhere, values of targets on the CPU alone: nobody waits for a GPU
    place = "cpu" if message in VALUES else minidl.get_default_device()
    with minidl.device(place), pytest.raises(error, match=message) as raised:
        mistake()
    assert isinstance(raised.value, MiniDLError)


def test_shapes_that_broadcast_are_warned_of_and_train() -> None:
    with pytest.warns(NumericalWarning, match=r"prediction \(20, 1\) and target \(20, 2\) have different shapes"):
        regression().fit(X, np.ones((N, 2)), **QUIET)


def test_a_metric_that_nobody_measures_is_told() -> None:
    with pytest.warns(NumericalWarning, match="monitor='val_los' is not in the logs.*The logs hold loss"):
        regression().fit(X, Y, epochs=2, callbacks=[keras.callbacks.EarlyStopping("val_los")], **QUIET)


def test_a_model_without_anything_to_train_says_so_and_is_measured() -> None:
    model = regression()
    model.trainable = False
    model.compile("adam", "mse")
    before = model.get_weights()
    with pytest.warns(NumericalWarning, match="nothing to train: all of its parameters are frozen"):
        history = model.fit(X, Y, epochs=2, **QUIET).history
    assert history["loss"][0] == history["loss"][1]
    assert same(before, model.get_weights())


# ---------------------------------------------------------------------- nothing that was trained is lost


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def goes_on(model: keras.Model) -> None:
    """The model can be used, saved and trained."""
    assert all(np.isfinite(w).all() for w in model.get_weights())
    before = model.get_weights()
    assert np.isfinite(model.predict(X, **QUIET)).all()
    model.fit(X, Y, epochs=1, **QUIET)
    assert not same(before, model.get_weights())


@pytest.mark.parametrize(
    "mistake",
    [
        lambda model: model.fit(X[:, :3], Y, **QUIET),
        lambda model: model.fit(X, np.ones((N, 2, 2)), **QUIET),
        lambda model: model.fit(X, Y[:-1], **QUIET),
        lambda model: model.fit(X[:0], Y[:0], **QUIET),
        lambda model: model.set_weights([X]),
        lambda model: model.compile("adan", "mse"),
        lambda model: model.load_weights("missing.weights.h5"),
    ],
)
def test_a_mistake_changes_nothing(mistake: Callable[[Any], Any]) -> None:
    model = regression()
    model.fit(X, Y, **QUIET)
    before, steps = model.get_weights(), int(model.optimizer.iterations)
    with pytest.raises((MiniDLError, OSError)):
        mistake(model)
    assert same(before, model.get_weights())
    assert int(model.optimizer.iterations) == steps
    goes_on(model)


def test_a_mistake_in_the_third_batch_keeps_the_first_two() -> None:
    model, twin = regression(), regression()
    twin.set_weights(model.get_weights())
    good = (X[:5], Y[:5])
    with pytest.raises(ShapeError, match=r"Sequential\.hidden") as raised:
        model.fit(iter([good, good, (X[:5, :3], Y[:5]), good]), **QUIET)
    assert "batch 3 of epoch 1" in "".join(raised.value.__notes__)
    twin.fit(iter([good, good]), **QUIET)
    assert same(model.get_weights(), twin.get_weights())
    goes_on(model)


def test_generators_that_end_early() -> None:
    model = regression()
    with pytest.warns(NumericalWarning, match=r"ended after 1 batches \(2 were expected\) of epoch 2 of 4"):
        history = model.fit(batches(3), steps_per_epoch=2, epochs=4, **QUIET).history
    assert len(history["loss"]) == 2
    assert int(model.optimizer.iterations) == 3
    with pytest.warns(NumericalWarning, match="ended after 2 batches, 5 were expected"):
        assert model.predict(batches(2), steps=5, **QUIET).shape == (10, 1)
    goes_on(model)


def test_a_generator_that_fails() -> None:
    model = regression()
    with pytest.raises(OSError, match="the network is gone") as raised:
        model.fit(broken(), steps_per_epoch=3, **QUIET)
    assert "batch 2 of epoch 1" in "".join(raised.value.__notes__)
    assert int(model.optimizer.iterations) == 1
    goes_on(model)


@pytest.mark.parametrize("normalized", [False, True])
def test_nan_in_the_data(normalized: bool, capsys: pytest.CaptureFixture[str]) -> None:
    model = keras.Sequential([Input((4,)), Dense(5), *([layers.BatchNormalization()] * normalized), Dense(1)])
    model.compile("adam", "mse")
    twin = keras.models.clone_model(model)
    twin.compile("adam", "mse")
    twin.set_weights(model.get_weights())
    x = X.copy()
    x[12] = np.nan
    how = {"batch_size": 5, "shuffle": False, "verbose": 0}
    history = model.fit(x, Y, epochs=3, callbacks=[keras.callbacks.TerminateOnNaN()], **how).history
    assert len(history["loss"]) == 1
    assert "Batch 2: Invalid loss (nan), terminating training" in "".join(capsys.readouterr())
    twin.fit(x[:10], Y[:10], **how)
    assert same(model.get_weights(), twin.get_weights())  # as the last good step left them
    goes_on(model)


def test_a_folder_that_is_missing_or_a_file(tmp_path: Path) -> None:
    model = regression()
    model.fit(X, Y, **QUIET)
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing" / "model.h5", tmp_path / "file" / "model.keras"):
        with pytest.raises(OSError, match=r"cannot write .*model\.(h5|keras).*nothing was written"):
            model.save(path)
    goes_on(model)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.weights.h5", "model.safetensors"])
def test_a_full_disk(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = regression()
    model.fit(X, Y, **QUIET)
    save = model.save if name in ("model.keras", "model.h5") else model.save_weights
    save(tmp_path / name)
    good = (tmp_path / name).read_bytes()
    model.fit(X, Y, **QUIET)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=f"(?s){name}.*[Nn]o space left on device"):
            save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == good  # the file from before is whole
    assert [path.name for path in tmp_path.iterdir()] == [name]
    goes_on(model)


def test_a_full_disk_while_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints that cannot be written are told of, and training goes on; its result is in memory."""
    model = regression()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        fills = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: patch.setattr(os, "fsync", full))
        with pytest.warns(NumericalWarning, match="could not be written, training goes on: .*No space left"):
            history = model.fit(X, Y, epochs=2, callbacks=[fills], checkpoint=tmp_path / "steps", **QUIET)
    assert len(history.epoch) == 2
    goes_on(model)
