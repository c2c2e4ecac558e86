"""Networks in both dialects, large enough that each step runs compiled: what compiles the kernels ahead of a class."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from minidl import keras, nn, ops, optim
from minidl.backend import Device
from minidl.optim.keras_rules import KerasSGD

__all__ = ["warm_up"]

RANDOM = np.random.default_rng(0)
OPTIMIZERS: tuple[Callable[..., optim.Optimizer], ...] = (optim.SGD, optim.Adam, optim.RMSprop, KerasSGD)


def warm_up() -> Iterator[tuple[str, float]]:
    """Train each network for a few steps; yield what it was, and the seconds it took."""
    for name, train in (
        ("convolutions, pooling, dense layers", train_images),
        ("sequences", train_sequences),
        ("Keras's layouts", train_keras),
        ("normalisation, many classes", normalize),
        ("optimizers", step_optimizers),
    ):
        start = time.perf_counter()
        with Device("cpu"):
            train()
        yield name, time.perf_counter() - start


def images(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype("float32")


def classes(count: int) -> np.ndarray:
    return RANDOM.integers(0, 10, count)


def train_images() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3),  # by Winograd's transforms
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(1152, 512),
        nn.ReLU(),
        nn.Linear(512, 10),
    )
    x, labels = ops.tensor(images(64, 1, 28, 28)), ops.tensor(classes(64))
    nn.functional.cross_entropy(model(x), labels).backward()


def train_sequences() -> None:
    for layer in (nn.LSTM(32, 64), nn.GRU(32, 64), nn.RNN(32, 64)):
        output, _ = layer(ops.tensor(images(20, 32, 32)))
        output.sum().backward()


def train_keras() -> None:
    layers = keras.layers
    pictures = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    sequences = keras.Sequential([layers.Input((20, 32)), layers.LSTM(64), layers.Dense(10, activation="softmax")])
    for model, x in ((pictures, images(64, 28, 28, 1)), (sequences, images(64, 20, 32))):
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        model.train_on_batch(x, classes(64))


def normalize() -> None:
    """Take statistics of channels in planes and in rows, and of lines; compare scores of many classes with labels."""
    pictures = ops.tensor(images(32, 16, 8, 8))
    for x in (pictures, ops.tensor(images(32, 8, 8, 16)).permute(0, 3, 1, 2)):
        nn.BatchNorm2d(16)(x).sum().backward()
    scores = ops.tensor(images(64, 512))
    nn.LayerNorm(512)(scores).sum().backward()
    ops.cross_entropy(ops.log_softmax(ops.softmax(scores, 1), 1), ops.tensor(classes(64)))


def step_optimizers() -> None:
    """Let each compiled rule take a step, on one thread and on several."""
    for make in OPTIMIZERS:
        for size in (1, 2**19):
            p = nn.Parameter(np.ones(size, np.float32))
            p.grad = ops.tensor(np.ones(size, np.float32))
            optimizer = make([p], lr=1e-3)
            optimizer.time_lost = math.inf  # as after a training that is long enough for them
            optimizer.step()
