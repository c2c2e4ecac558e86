"""One training step, and one inference, of each document's network.

Each network is written once in PyTorch's dialect, for minidl and PyTorch, and, where its document is Keras's, once in
Keras's, for minidl.keras and Keras; ``jax_steps.py`` has the same in plain JAX. A training step is forward, loss,
backward and update of one batch that stays the same; an inference is the forward pass alone.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.frameworks import FRAMEWORKS, Dialect
from benchmarks.rows import Call, Row, both

# ------------------------------------------------------------------------------------------- in PyTorch's dialect


class Task(NamedTuple):
    """A network, and all that it takes to train it."""

    model: Any
    criterion: Callable[..., Any]
    optimizer: Any
    x: Any
    y: Any


def cnn_000(lib: Dialect, batch: int) -> Task:
    """Document 000, 4.1: two convolutions, three dense layers, SGD."""
    nn = lib.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 6, 14, 14)
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 16, 5, 5)
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        nn.LogSoftmax(dim=1),
    )
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01)
    return Task(model, lib.F.nll_loss, optimizer, *images(lib, batch, (1, 32, 32)))


def lstm_000(lib: Dialect, batch: int, steps: int = 28, units: int = 128) -> Task:
    """Document 000, 4.2: LSTM(128), dropout, softmax, Adam, on rows of 28 pixels."""

    class Classifier(lib.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lib.nn.LSTM(28, units, batch_first=True)
            self.dropout = lib.nn.Dropout(0.2)
            self.dense = lib.nn.Linear(units, 10)

        def forward(self, x: Any) -> Any:  # (N, T, 28)
            states, _ = self.lstm(x)  # (N, T, units)
            return self.dense(self.dropout(states[:, -1]))

    model = Classifier()
    return Task(model, lib.F.cross_entropy, lib.optim.Adam(model.parameters()), *images(lib, batch, (steps, 28)))


def dense_001(lib: Dialect, batch: int) -> Task:
    """Document 001: dense 2-64-64-1, Adam."""
    nn = lib.nn
    model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    x, y = points(batch)
    return Task(model, lib.F.mse_loss, lib.optim.Adam(model.parameters()), lib.root.tensor(x), lib.root.tensor(y))


def cnn_002(lib: Dialect, batch: int) -> Task:
    """Document 002: two 3x3 convolutions of 32 and 64 filters, two dense layers, Adam."""
    nn = lib.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 32, 13, 13)
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 64, 5, 5)
        *(nn.Flatten(), nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    return Task(model, lib.F.cross_entropy, lib.optim.Adam(model.parameters()), *images(lib, batch, (1, 28, 28)))


def dense_003(lib: Dialect, batch: int, width: int = 128) -> Task:
    """Document 003: dense 784-128-10, Adam."""
    nn = lib.nn
    model = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))
    return Task(model, lib.F.cross_entropy, lib.optim.Adam(model.parameters()), *images(lib, batch, (784,)))


def training(task: Task) -> Call:
    """Return the step: forward, loss, backward, update."""
    model, criterion, optimizer, x, y = task

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def training_side(lib: Dialect, network: Callable[..., Task], *sizes: int) -> Call:
    """Return a network's training step."""
    return training(network(lib, *sizes))


def inference_side(lib: Dialect, network: Callable[..., Task], *sizes: int) -> Call:
    """Return a network's forward pass, without a record of it."""
    task = network(lib, *sizes)
    task.model.eval()
    return lib.root.no_grad()(lambda: task.model(task.x))


# --------------------------------------------------------------------------------------------- in Keras's dialect


def keras_lstm_000(keras: Any) -> Any:
    """Document 000, 4.2."""
    layers = [keras.layers.LSTM(128), keras.layers.Dropout(0.2), keras.layers.Dense(10, activation="softmax")]
    return compiled(keras, (28, 28), layers, "sparse_categorical_crossentropy")


def keras_dense_001(keras: Any) -> Any:
    """Document 001."""
    relu = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
    return compiled(keras, (2,), [*relu, keras.layers.Dense(1)], "mse")


def keras_cnn_002(keras: Any) -> Any:
    """Document 002."""
    K = keras.layers
    layers = [
        *(K.Conv2D(32, (3, 3), activation="relu"), K.MaxPooling2D((2, 2))),
        *(K.Conv2D(64, (3, 3), activation="relu"), K.MaxPooling2D((2, 2))),
        *(K.Flatten(), K.Dense(64, activation="relu"), K.Dense(10, activation="softmax")),
    ]
    return compiled(keras, (28, 28, 1), layers, "sparse_categorical_crossentropy")


def keras_dense_003(keras: Any) -> Any:
    """Document 003."""
    layers = [keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    return compiled(keras, (784,), layers, "sparse_categorical_crossentropy")


def compiled(keras: Any, shape: tuple[int, ...], layers: list[Any], loss: str) -> Any:
    """Return the model of these layers, ready to train as the documents do."""
    model = keras.Sequential([keras.layers.Input(shape), *layers])
    model.compile(optimizer="adam", loss=loss, metrics=[] if loss == "mse" else ["accuracy"])
    return model


def keras_batch(model: Any, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of the shape that a model takes."""
    if model.input_shape == (None, 2):
        return points(batch)
    rng = np.random.default_rng(0)
    return rng.random((batch, *model.input_shape[1:]), np.float32), rng.integers(0, 10, batch)


def keras_training(framework: str, network: Callable[[Any], Any], batch: int) -> Call:
    """Return ``train_on_batch``."""
    model = network(FRAMEWORKS[framework].load())
    return functools.partial(model.train_on_batch, *keras_batch(model, batch))


def keras_inference(framework: str, network: Callable[[Any], Any], batch: int) -> Call:
    """Return ``predict_on_batch``."""
    model = network(FRAMEWORKS[framework].load())
    return functools.partial(model.predict_on_batch, keras_batch(model, batch)[0])


# ---------------------------------------------------------------------------------------------------- in plain JAX


def jax_side(kind: str, network: str, batch: int) -> Call:
    """Return the training step or the inference of ``jax_steps``."""
    jax_steps = importlib.import_module("benchmarks.jax_steps")
    return getattr(jax_steps, kind)(network, batch)


# ------------------------------------------------------------------------------------------------------------ data


def images(lib: Dialect, batch: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return noise in place of images, and classes for them."""
    rng = np.random.default_rng(0)
    return lib.root.tensor(rng.random((batch, *shape), np.float32)), lib.root.tensor(rng.integers(0, 10, batch))


def points(batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return document 001's kind of samples, (N, 2) and (N, 1)."""
    first = np.arange(1, 2 * batch, 2, dtype=np.float32) / batch
    return np.stack([first, first + 1], axis=1), first[:, None] + 0.5


# ------------------------------------------------------------------------------------------------------------ rows

NETWORKS: list[tuple[str, str, Callable[..., Task], Callable[[Any], Any] | None, int, float]] = [
    ("000-cnn", "`000` CNN, batch 32, SGD", cnn_000, None, 32, 2.0),
    ("000-lstm", "`000` LSTM(128), T=28, batch 32, Adam", lstm_000, keras_lstm_000, 32, 2.0),
    ("001-dense-3", "`001` dense 2-64-64-1, batch 3, Adam", dense_001, keras_dense_001, 3, 4.0),
    ("001-dense-32", "`001` dense 2-64-64-1, batch 32, Adam", dense_001, keras_dense_001, 32, 4.0),
    ("002-cnn", "`002` CNN, batch 32, Adam", cnn_002, keras_cnn_002, 32, 2.0),
    ("003-dense", "`003` dense 784-128-10, batch 32, Adam", dense_003, keras_dense_003, 32, 2.0),
]


def rows() -> list[Row]:
    """Return a row for each network's training step, and one for its inference."""
    made = []
    for name, title, network, in_keras, batch, goal in NETWORKS:
        sides = both(training_side, network, batch)
        answers = both(inference_side, network, batch)
        if in_keras is not None:
            for framework in ("minidl.keras", "keras"):
                sides[framework] = functools.partial(keras_training, framework, in_keras, batch)
                answers[framework] = functools.partial(keras_inference, framework, in_keras, batch)
        sides["jax"] = functools.partial(jax_side, "training", network.__name__, batch)
        answers["jax"] = functools.partial(jax_side, "inference", network.__name__, batch)
        made.append(Row(f"{name}-step", f"{title}: a training step", sides, {"torch": goal, "keras": 4.0, "jax": 1.0}))
        made.append(Row(f"{name}-inference", f"{title.rsplit(',', 1)[0]}: inference", answers))
    return made


ROWS = rows()
