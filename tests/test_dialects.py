"""Where the two dialects differ in numbers: README.md has a table, and here is a test for each of its rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import keras, nn, optim
from minidl.keras import layers

README = Path(__file__).parent.parent / "README.md"
BOUND = 1 / np.sqrt(300)  # of PyTorch's uniform weights, for 300 inputs


def built(layer: layers.Layer, *shape: int) -> layers.Layer:
    layer.build((None, *shape))
    return layer


def spread(x: np.ndarray) -> float:
    return float(np.abs(x).max())


def images() -> None:
    assert nn.Conv2d(3, 8, 5)(minidl.zeros(2, 3, 9, 9)).shape == (2, 8, 5, 5)
    assert layers.Conv2D(8, 5)(np.zeros((2, 9, 9, 3))).shape == (2, 5, 5, 8)


def kernels() -> None:
    assert nn.Conv2d(3, 8, 5).weight.shape == (8, 3, 5, 5)
    assert built(layers.Conv2D(8, 5), 9, 9, 3).kernel.shape == (5, 5, 3, 8)


def dense_weights() -> None:
    ours, theirs = nn.Linear(300, 100).weight, built(layers.Dense(100), 300).kernel
    assert (ours.shape, theirs.shape) == ((100, 300), (300, 100))
    assert spread(ours.detach().numpy()) == pytest.approx(BOUND, rel=0.01)
    assert spread(theirs.numpy()) == pytest.approx(np.sqrt(6 / 400), rel=0.01)


def biases() -> None:
    assert 0.5 * BOUND < spread(nn.Linear(300, 100).bias.detach().numpy()) <= BOUND
    assert spread(built(layers.Dense(100), 300).bias.numpy()) == 0


def recurrent_weights() -> None:
    ours = nn.LSTM(4, 300).weight_hh_l0.detach().numpy()
    assert spread(ours) == pytest.approx(BOUND, rel=0.01)
    theirs = built(layers.LSTM(16), 5, 4).recurrent_kernel.numpy()  # (16, 64)
    np.testing.assert_allclose(theirs @ theirs.T, np.eye(16), atol=1e-5)


def lstm_biases() -> None:
    ours = nn.LSTM(4, 3)
    assert ours.bias_ih_l0.shape == ours.bias_hh_l0.shape == (12,)
    assert built(layers.LSTM(3), 5, 4).bias.numpy().tolist() == [0] * 3 + [1] * 3 + [0] * 6


def leaky_relu() -> None:
    assert nn.LeakyReLU()(minidl.tensor([-1.0])).item() == pytest.approx(-0.01)
    assert layers.LeakyReLU()(np.array([-1.0])).item() == pytest.approx(-0.3)


def batch_normalization() -> None:
    x = np.array([[0.0], [2.0]], np.float32)  # mean 1, variance 1 (or 2, divided by n - 1)
    ours, theirs = nn.BatchNorm1d(1), layers.BatchNormalization()
    ours(minidl.tensor(x))
    theirs(x, training=True)
    assert ours.running_mean.item() == pytest.approx(0.1)
    assert ours.running_var.item() == pytest.approx(0.9 + 0.1 * 2)
    assert theirs.moving_mean.item() == pytest.approx(0.01)
    assert theirs.moving_variance.item() == pytest.approx(0.99 + 0.01 * 1)
    assert (ours.eps, theirs.epsilon) == (1e-5, 1e-3)


def cross_entropy() -> None:
    scores, label = np.array([[2.0, 0.0]], np.float32), np.array([1])
    assert nn.CrossEntropyLoss()(minidl.tensor(scores), minidl.tensor(label)).item() == pytest.approx(2.126928)
    sparse = keras.losses.SparseCategoricalCrossentropy()
    assert sparse(label, np.array([[0.75, 0.25]], np.float32)).item() == pytest.approx(-np.log(0.25))
    assert sparse(label, np.array([[1.0, 0.0]], np.float32)).item() == pytest.approx(-np.log(1e-7), rel=1e-4)


def moved(make: Callable[[list[minidl.Tensor]], optim.Optimizer], *gradients: float) -> float:
    """How far a weight of 0 goes under gradients, with an optimizer of PyTorch's dialect."""
    w = minidl.zeros(1, dtype="float64", requires_grad=True)
    optimizer = make([w])
    for gradient in gradients:
        w.grad = minidl.tensor([gradient], dtype="float64")
        optimizer.step()
    return w.item()


def moved_by_keras(optimizer: keras.optimizers.Optimizer, *gradients: float) -> float:
    w = keras.Variable(np.zeros(1), dtype="float64")
    for gradient in gradients:
        optimizer.apply_gradients([(minidl.tensor([gradient], dtype="float64"), w)])
    return w.item()


def adam() -> None:
    g = 1e-6
    assert moved(optim.Adam, g) == pytest.approx(-1e-3 * g / (g + 1e-8))
    root = np.sqrt(1 - 0.999)  # of the correction, which Keras leaves epsilon out of
    assert moved_by_keras(keras.optimizers.Adam(), g) == pytest.approx(-1e-3 * g / (g + 1e-7 / root), rel=1e-5)


def rmsprop() -> None:
    g = 1e-3
    assert moved(optim.RMSprop, g) == pytest.approx(-1e-2 * g / (np.sqrt(0.01 * g**2) + 1e-8))
    assert moved_by_keras(keras.optimizers.RMSprop(), g) == pytest.approx(-1e-3 * g / np.sqrt(0.1 * g**2 + 1e-7))


def momentum() -> None:
    w = minidl.zeros(1, dtype="float64", requires_grad=True)
    ours = optim.SGD([w], lr=0.1, momentum=0.5)
    theirs, v = keras.optimizers.SGD(0.1, momentum=0.5), keras.Variable(np.zeros(1), dtype="float64")
    for lr in (0.1, 0.01):
        ours.param_groups[0]["lr"] = theirs.learning_rate = lr
        w.grad = minidl.ones(1, dtype="float64")
        ours.step()
        theirs.apply_gradients([(minidl.ones(1, dtype="float64"), v)])
    assert w.item() == pytest.approx(-0.1 - 0.01 * 1.5)
    assert v.item() == pytest.approx(-0.1 - (0.5 * 0.1 + 0.01))


def order_of_arguments() -> None:
    prediction, target = minidl.tensor([0.9]), minidl.tensor([1.0])
    expected = pytest.approx(-np.log(0.9), rel=1e-5)
    assert nn.BCELoss()(prediction, target).item() == expected
    assert keras.losses.BinaryCrossentropy()(target, prediction).item() == expected


def modes() -> None:
    x = np.ones((1, 1000), np.float32)
    assert (nn.Dropout(0.5)(minidl.tensor(x)).numpy() == 0).any()
    assert not (layers.Dropout(0.5)(x).numpy() == 0).any()


#: Each row of the table, by what stands in its first cell.
ROWS = {
    "images": images,
    "filters of a convolution": kernels,
    "weights of a dense layer": dense_weights,
    "biases": biases,
    "recurrent weights": recurrent_weights,
    "biases of an LSTM": lstm_biases,
    "`LeakyReLU` below 0": leaky_relu,
    "batch normalisation": batch_normalization,
    "cross entropy": cross_entropy,
    "Adam": adam,
    "RMSprop": rmsprop,
    "momentum of SGD": momentum,
    "arguments of a loss": order_of_arguments,
    "a new model": modes,
}


@pytest.mark.parametrize("row", ROWS)
def test_the_dialects_differ_as_the_table_says(row: str) -> None:
    minidl.manual_seed(0)
    ROWS[row]()


def test_each_row_of_the_table_has_a_test() -> None:
    table = README.read_text(encoding="utf-8").split("| in numbers |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| ([^|]+?) \|", table, re.M) == list(ROWS)
