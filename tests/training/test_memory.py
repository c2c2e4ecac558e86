"""Memory: a thousand steps with compiled kernels take no more of it than the first few did."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import minidl
from minidl import keras
from minidl.kernels.cpu import convolution, optimizers, recurrent
from minidl.optim import optimizer as shared

STEPS = 1000
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _on_the_cpu() -> Iterator[None]:
    with minidl.device("cpu"):  # whose kernels and memory this is about
        yield


def resident() -> int:
    """Return how many bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def images() -> tuple[Any, Any]:
    """Return a small relative of document 002's network, large enough that its kernels run compiled."""
    K = keras.layers
    layers = [
        *(K.Input((10, 10, 8)), K.Conv2D(16, 3, activation="relu"), K.MaxPooling2D()),
        *(K.Flatten(), K.Dense(32, activation="relu"), K.Dropout(0.2), K.Dense(4, activation="softmax")),
    ]
    return keras.Sequential(layers), RNG.random((16, 10, 10, 8), np.float32)


def sequences() -> tuple[Any, Any]:
    K = keras.layers
    return keras.Sequential([K.Input((4, 8)), K.LSTM(32), K.Dense(4, "softmax")]), RNG.random((16, 4, 8), np.float32)


@pytest.mark.parametrize(
    ("network", "optimizer", "kernels"),
    [
        (images, "adam", (convolution, optimizers)),
        (sequences, "rmsprop", (recurrent, optimizers)),
    ],
    ids=["images", "sequences"],
)
def test_a_training_does_not_grow(
    network: Callable[[], tuple[Any, Any]], optimizer: str, kernels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LOADING", 0.0)
    monkeypatch.setattr(shared, "LOADED", 0.0)
    model, x = network()
    y = RNG.integers(0, 4, len(x))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def train(steps: int) -> None:
        for _ in range(steps):
            model.train_on_batch(x, y)

    train(50)
    for module in kernels:
        assert any(kernel.signatures for kernel in vars(module).values() if hasattr(kernel, "signatures")), module
    gc.collect()
    tracemalloc.start()
    train(20)
    gc.collect()
    before, known = tracemalloc.get_traced_memory()[0], tracemalloc.take_snapshot()
    train(150)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    top = tracemalloc.take_snapshot().compare_to(known, "lineno")[:3]
    tracemalloc.stop()
    assert grown < 150 * 20, top  # one number kept from each step would be 24 bytes
    if not sys.platform.startswith("linux"):
        return
    held = resident()
    train(STEPS)
    gc.collect()
    assert resident() - held < 4 * 2**20  # one array of a batch a step would be 50 MB and more


def test_a_fit_does_not_grow() -> None:
    model, x = images()
    y = RNG.integers(0, 4, len(x))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=4, epochs=5, verbose=0)
    gc.collect()
    tracemalloc.start()
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    model.fit(x, y, batch_size=4, epochs=10, verbose=0)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000  # the history of ten epochs; a batch of images is 12,800
