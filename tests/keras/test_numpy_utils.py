"""Labels one-hot, vectors of length 1, sequences of one length, seeds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError

utils = keras.utils


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 2, 1], None), ([[0], [2]], 4), ([[0, 1], [2, 1]], None), (np.array([1.0, 0.0]), 2), (1, 3), ([3], 10)],
)
def test_to_categorical_is_keras_s(labels: Any, classes: int | None) -> None:
    from tests.keras.yardstick import keras as real

    got, want = utils.to_categorical(labels, classes), real.utils.to_categorical(labels, classes)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype
    tensor = utils.to_categorical(minidl.tensor(labels), classes)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor.numpy(), want)


def test_labels_that_cannot_be() -> None:
    with pytest.raises(
        RangeError, match="to_categorical: label 3 is out of range for 3 classes; labels count from 0 to 2"
    ):
        utils.to_categorical([0, 3], 3)
    with pytest.raises(RangeError, match="label -1 is out of range"):
        utils.to_categorical([0, -1])
    with pytest.raises(DTypeError, match="expected labels, which are whole numbers, got float64"):
        utils.to_categorical([0.5])
    assert utils.to_categorical([], 3).shape == (0, 3)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, -1])
def test_normalize_is_keras_s(order: int, axis: int) -> None:
    from tests.keras.yardstick import keras as real

    x = np.random.default_rng(0).standard_normal((3, 4))
    x[1] = 0
    want = real.utils.normalize(x[[0, 2]], 1, order)
    np.testing.assert_allclose(utils.normalize(x[[0, 2]], 1, order), want)
    got = utils.normalize(x, axis, order)
    np.testing.assert_allclose(np.linalg.norm(got[[0, 2]] if axis == -1 else got, order, axis), 1)
    assert not got[1].any()
    np.testing.assert_allclose(utils.normalize(minidl.tensor(x), axis, order).numpy(), got, atol=1e-12)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 1, 2, 5])
def test_pad_sequences_is_keras_s(padding: str, truncating: str, maxlen: int | None) -> None:
    from tests.keras.yardstick import keras as real

    for sequences in ([[1], [2, 3], [], [4, 5, 6]], [np.ones((2, 3)), np.zeros((1, 3))]):
        settings: dict[str, Any] = {"padding": padding, "truncating": truncating, "maxlen": maxlen, "value": 7}
        got = utils.pad_sequences(sequences, **settings)
        want = real.utils.pad_sequences(sequences, **settings)
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype == np.int32


def test_sequences_that_cannot_be_padded() -> None:
    with pytest.raises(ArgumentError, match="pad_sequences: padding must be 'pre' or 'post', got 'left'"):
        utils.pad_sequences([[1]], padding="left")
    with pytest.raises(ArgumentError, match="truncating must be"):
        utils.pad_sequences([[1]], truncating="left")
    with pytest.raises(ShapeError, match="element 1 is no sequence, but a int: 2"):
        utils.pad_sequences([[1], 2])
    with pytest.raises(ShapeError, match=r"elements have shape \(3,\), but those of sequence 1 \(2,\)"):
        utils.pad_sequences([np.ones((2, 3)), np.ones((1, 2))])


def test_set_random_seed() -> None:
    def draw() -> tuple[float, ...]:
        return minidl.rand(1).item(), float(np.random.rand()), random.random()

    utils.set_random_seed(3)
    first = draw()
    utils.set_random_seed(3)
    assert draw() == first
    assert draw() != first
    with pytest.raises(DTypeError, match="the seed must be an integer, got 'a'"):
        utils.set_random_seed("a")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"must be less than 2\*\*32"):
        utils.set_random_seed(2**40)
