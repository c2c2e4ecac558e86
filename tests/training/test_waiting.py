"""Training on a GPU never waits for it: not in a step of any of the documents' networks, and once an epoch for numbers.

CuPy can refuse to wait (``cupyx.allow_synchronize``), and so can the stand-in, which counts besides.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras, nn, optim
from minidl.examples.simple_cnn import SimpleCNN
from minidl.keras.layers import LSTM, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from minidl.nn import functional as F
from minidl.training import Trainer
from minidl.training.metrics import Accuracy
from tests import on_gpu, stand_in

BATCH = 4


@pytest.fixture(scope="module", autouse=True)
def _cupy(request: pytest.FixtureRequest) -> Iterator[None]:
    with on_gpu.found(request.config):
        yield


@pytest.fixture(autouse=True)
def _on_the_gpu(_cupy: None, _device: None) -> None:
    minidl.set_default_device("gpu")


def lstm_classifier() -> keras.Model:
    return keras.Sequential([LSTM(8, input_shape=(5, 6)), Dropout(0.2), Dense(10, activation="softmax")])


def dense_regression() -> keras.Model:
    return keras.Sequential([Dense(64, activation="relu", input_shape=(2,)), Dense(64, activation="relu"), Dense(2)])


def cnn_classifier() -> keras.Model:
    return keras.Sequential(
        [
            Conv2D(4, (3, 3), activation="relu", input_shape=(14, 14, 1)),
            MaxPooling2D((2, 2)),
            Conv2D(6, (3, 3), activation="relu"),
            MaxPooling2D((2, 2)),
            Flatten(),
            Dense(64, activation="relu"),
            Dense(10, activation="softmax"),
        ]
    )


def dense_classifier() -> keras.Model:
    inputs = Input(shape=(36,))
    hidden = Dense(16, activation="relu")(inputs)
    return keras.Sequential([inputs, hidden, Dense(10, activation="softmax")(hidden)])


#: Of documents 000 to 003 (004 serves one of them): network, shape of a sample, loss, whether labels are one-hot.
KERAS: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "000 LSTM": (lstm_classifier, (5, 6), "categorical_crossentropy"),
    "001 dense": (dense_regression, (2,), "mse"),
    "002 CNN": (cnn_classifier, (14, 14, 1), "sparse_categorical_crossentropy"),
    "003 dense": (dense_classifier, (36,), "categorical_crossentropy"),
}


def samples(shape: tuple[int, ...], loss: str, batches: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((BATCH * batches, *shape)).astype("f4"), rng.integers(10, size=BATCH * batches)
    if loss == "mse":
        return x, x
    return x, labels if loss.startswith("sparse") else np.eye(10, dtype="f4")[labels]


def waits(action: Any) -> int:
    """Return how often an action waits for the GPU."""
    before = stand_in.synchronizations.total()
    action()
    return stand_in.synchronizations.total() - before


def allowed(allow: bool) -> Any:
    """Return CuPy's switch that refuses to wait for the GPU."""
    return importlib.import_module("cupyx").allow_synchronize(allow)


class Refusing(keras.callbacks.Callback):
    """Refuses to wait from the beginning of each step to its end."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.switch = allowed(False)
        self.switch.__enter__()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.switch.__exit__(None, None, None)


@pytest.mark.parametrize("name", KERAS)
def test_keras_steps(name: str) -> None:
    make, shape, loss = KERAS[name]
    model = make()
    model.compile(optimizer="adam", loss=loss, metrics=None if loss == "mse" else ["accuracy"])
    refusing = Refusing()
    model.fit(*samples(shape, loss, 3), batch_size=BATCH, epochs=2, verbose=0, callbacks=[refusing])
    assert refusing.switch is not None
    assert all(weight.device.type == "gpu" for weight in model.parameters())


def test_a_step_that_waits_is_noticed() -> None:
    model = dense_regression()

    def reading(wanted: Any, found: Any) -> Any:
        loss = ((found - wanted) ** 2).mean()
        return loss * (1.0 if loss.item() >= 0 else 2.0)

    model.compile(optimizer="adam", loss=reading)
    with pytest.raises(Exception, match=r"(?i)synchroniz|waits"), allowed(True):
        model.fit(*samples((2,), "mse", 1), batch_size=BATCH, verbose=0, callbacks=[Refusing()])


@pytest.mark.parametrize("name", KERAS)
def test_metrics_are_read_once_an_epoch(name: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("device") == "gpu":
        pytest.skip("CuPy can refuse to wait, but does not count")
    make, shape, loss = KERAS[name]
    model = make()
    model.compile(optimizer="adam", loss=loss, metrics=None if loss == "mse" else ["accuracy"])
    few, many = samples(shape, loss, 2), samples(shape, loss, 7)
    model.fit(*few, batch_size=BATCH, verbose=0)
    of_few = waits(lambda: model.fit(*few, batch_size=BATCH, verbose=0))
    assert waits(lambda: model.fit(*many, batch_size=BATCH, verbose=0)) == of_few
    assert waits(lambda: model.fit(*many, batch_size=BATCH, epochs=3, verbose=0)) == 3 * of_few
    assert of_few <= 4


def digits(batches: int) -> tuple[minidl.Tensor, minidl.Tensor]:
    rng = np.random.default_rng(0)
    images = minidl.tensor(rng.standard_normal((BATCH * batches, 1, 32, 32)).astype("f4"))
    return images, minidl.tensor(rng.integers(10, size=BATCH * batches))


@pytest.mark.parametrize("rule", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_a_loop_of_ones_own(rule: str) -> None:
    """Document 000's CNN, in PyTorch's dialect: loss and accuracy add up on the GPU."""
    model = SimpleCNN()
    optimizer = getattr(optim, rule)(model.parameters(), lr=0.01)
    x, y = digits(3)
    total, right = minidl.zeros(()), minidl.zeros((), dtype=minidl.int64)
    with allowed(False):
        for start in range(0, len(x), BATCH):
            images, labels = x[start : start + BATCH], y[start : start + BATCH]
            optimizer.zero_grad()
            outputs = model(images)
            loss = F.nll_loss(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.detach()
            right += (outputs.argmax(1) == labels).sum()
    assert np.isfinite(total.item())
    assert 0 <= right.item() <= len(x)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_trainer(clip: float | None) -> None:
    class Quiet(minidl.training.Callback):
        def on_train_batch_begin(self, *args: Any) -> None:
            self.switch = allowed(False)
            self.switch.__enter__()

        def on_train_batch_end(self, *args: Any) -> None:
            self.switch.__exit__(None, None, None)

    model = SimpleCNN()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics=[Accuracy()], clip_norm=clip)
    x, y = digits(3)
    history = trainer.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, callbacks=[Quiet()])
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 10)),
        lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Softmax(-1), nn.Linear(8, 10), nn.LogSoftmax(-1)),
    ],
)
def test_other_layers(layer: Any) -> None:
    model = layer()
    optimizer = optim.AdamW(model.parameters())
    x, y = minidl.randn(BATCH, 6), minidl.randint(0, 10, (BATCH,))
    with allowed(False):
        for _ in range(2):
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1, ignore_index=3)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_words_through_a_recurrent_layer(kind: str) -> None:
    words, layer, head = nn.Embedding(11, 4, padding_idx=0), getattr(nn, kind)(4, 5, batch_first=True), nn.Linear(5, 2)
    params = [p for module in (words, layer, head) for p in module.parameters()]
    optimizer = optim.Adam(params)
    x, y = minidl.randint(0, 11, (BATCH, 6)), minidl.randint(0, 2, (BATCH,))
    with allowed(False):
        for _ in range(2):
            loss = F.cross_entropy(head(layer(words(x))[0][:, -1]), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
