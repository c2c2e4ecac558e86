"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl.autograd import OPERATIONS
from minidl.errors import ArgumentError, DTypeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    test_dtype_is_kept,
    test_gradients,
    test_second_gradients,
)


def seeded(function: Any, *args: Any, **kwargs: Any) -> Any:
    def call(x: Any) -> Any:
        minidl.manual_seed(3)
        return function(x, *args, **kwargs)

    return call


CASES = [
    Case("dropout", lambda x: OPERATIONS["dropout"].apply(x, p=0.3, key=(7, 2)), [(4, 5)]),
    Case("mul", seeded(minidl.dropout, 0.3), [(4, 5)]),
    Case("mul", seeded(minidl.dropout, 1), [(4, 5)]),
    Case("mul", seeded(minidl.dropout), [()]),
    Case("mul", seeded(minidl.dropout, 0.3, shape=(None, 1)), [(4, 5)]),
    Case("mul", seeded(minidl.dropout), [(0, 2)]),
    Case("mul", seeded(minidl.dropout2d, 0.3), [(4, 3, 2, 2)]),
    Case("mul", seeded(minidl.dropout1d, 0.3), [(4, 2)]),
    Case("mul", seeded(minidl.alpha_dropout, 0.3), [(4, 5)]),
]


def test_the_share_that_is_dropped_is_p_and_the_mean_stays() -> None:
    y = minidl.dropout(minidl.ones(100, 100), 0.25).numpy()
    assert y.dtype == np.float32
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}


def test_the_gradient_passes_where_the_value_did() -> None:
    x = minidl.ones(50, requires_grad=True)
    y = minidl.dropout(x, 0.5)
    y.sum().backward()
    assert (x.grad.numpy() == y.numpy(force=True)).all()


def test_it_repeats_with_the_seed_and_only_then() -> None:
    x = minidl.ones(100)
    call = seeded(minidl.dropout)
    assert (call(x).numpy() == call(x).numpy()).all()
    assert (minidl.dropout(x).numpy() != minidl.dropout(x).numpy()).any()


@pytest.mark.parametrize("function", [minidl.dropout, minidl.dropout1d, minidl.alpha_dropout])
def test_in_evaluation_and_with_p_0_the_input_itself_comes_back(function: Any) -> None:
    x = minidl.ones(2, 3)
    assert function(x, 0.5, training=False) is x
    assert function(x, 0.0) is x


@pytest.mark.parametrize("function", [minidl.dropout, minidl.alpha_dropout])
def test_p_1_drops_everything(function: Any) -> None:
    assert not function(minidl.ones(10), 1.0).numpy().any()


def test_whole_channels_are_dropped() -> None:
    y = minidl.dropout2d(minidl.ones(20, 10, 3, 3), 0.5).numpy().reshape(200, 9)
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0, 2}
    y = minidl.dropout1d(minidl.ones(10, 30), 0.5).numpy()
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0, 2}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    y = minidl.alpha_dropout(minidl.randn(300, 300), 0.3).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


def test_a_mask_of_its_own_shape_drops_together() -> None:
    y = minidl.dropout(minidl.ones(4, 100), 0.5, shape=(1, None)).numpy()
    assert (y == y[0]).all()
    assert 0 < (y == 0).sum() < y.size


def test_a_generator_repeats() -> None:
    x = minidl.ones(50)
    first = minidl.dropout(x, generator=minidl.Generator().manual_seed(1))
    assert minidl.equal(first, minidl.dropout(x, generator=minidl.Generator().manual_seed(1)))
    assert not minidl.equal(first, minidl.dropout(x, generator=minidl.Generator().manual_seed(2)))


@pytest.mark.parametrize("function", [minidl.dropout, minidl.dropout1d, minidl.alpha_dropout])
def test_in_place(function: Any) -> None:
    x = minidl.ones(10, 20)
    y = function(x, 0.5, inplace=True)
    assert y is x
    assert (x.numpy() != 1).any()
    assert x.version == 1


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: minidl.dropout(x, 1.5), ArgumentError, "dropout: p=1.5 must be a probability, from 0 to 1"),
        (lambda x: minidl.dropout(x, -0.1, training=False), ArgumentError, "p=-0.1 must be a probability"),
        (lambda x: minidl.dropout(x, float("nan")), ArgumentError, "p=nan must be a probability"),
        (lambda x: minidl.dropout(x, shape=(3,)), ShapeError, r"mask of shape \(3,\) does not fit .* shape \(2, 3\)"),
        (lambda x: minidl.dropout(x, shape=(2, 2)), ShapeError, r"mask of shape \(2, 2\) does not fit"),
        (lambda x: minidl.alpha_dropout(x, 2), ArgumentError, "alpha_dropout: p=2 must be a probability"),
        (lambda x: minidl.dropout(x.long()), DTypeError, "expected a float tensor, got int64"),
        (lambda x: minidl.dropout2d(x), ShapeError, r"dropout2d: the input has shape \(2, 3\); expected \(N, C, H, W"),
        (lambda x: minidl.dropout1d(x[0]), ShapeError, r"dropout1d: the input has shape \(3,\); expected \(N, C, L"),
    ],
)
def test_errors(call: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call(minidl.ones(2, 3))
