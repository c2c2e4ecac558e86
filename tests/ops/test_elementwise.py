"""Absolute value, rounding, the sigmoid, the error function."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minidl
from minidl.errors import DTypeError
from tests.ops.harness import (  # noqa: F401
    Case,
    nonzero,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

SPECIAL = np.array([0.5, np.nan, np.inf, -np.inf, -2.0])
HALVES = np.array([-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 7.3])


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[float])(x)


CASES = [
    Case("abs", abs, [nonzero(3, 4)], np.abs, lambda x: x.abs()),
    Case("abs", minidl.abs, [np.array([-2, 3])], np.abs, differentiable=False),
    Case("sign", minidl.sign, [np.array([-2.0, 0.0, 3.0])], np.sign, lambda x: x.sign(), differentiable=False),
    Case("sigmoid", minidl.sigmoid, [(3, 4)], lambda x: 1 / (1 + np.exp(-x)), lambda x: x.sigmoid()),
    Case("sigmoid", minidl.sigmoid, [()], lambda x: 1 / (1 + np.exp(-x))),
    Case("sigmoid", minidl.sigmoid, [(0, 2)], lambda x: 1 / (1 + np.exp(-x))),
    Case("erf", minidl.erf, [(3, 4)], erf, lambda x: x.erf()),
    Case("erf", minidl.erf, [()], erf),
    Case("erf", minidl.erf, [(0, 2)], None, lambda x: x.erf()),
    Case("round", minidl.round, [HALVES], np.round, lambda x: x.round(), differentiable=False),
    Case("round", lambda x: minidl.round(x, decimals=2), [(3, 4)], lambda x: np.round(x, 2), differentiable=False),
    Case("floor", minidl.floor, [HALVES], np.floor, lambda x: x.floor(), differentiable=False),
    Case("ceil", minidl.ceil, [HALVES], np.ceil, lambda x: x.ceil(), differentiable=False),
    Case("trunc", minidl.trunc, [HALVES], np.trunc, lambda x: x.trunc(), differentiable=False),
    Case("nan_to_num", minidl.nan_to_num, [(3, 4)], np.nan_to_num, lambda x: x.nan_to_num()),
    Case(
        "nan_to_num",
        lambda x: minidl.nan_to_num(x, 1.0, 2.0, 3.0),
        [SPECIAL],
        lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0),
        lambda x: x.nan_to_num(1.0, 2.0, 3.0),
        differentiable=False,
    ),
]

EXTREMES = np.array([0.0, -0.0, 1e4, -1e4, 1.0, -1.0, 1e-4, np.inf, -np.inf, np.nan, 88.0, -88.0, -20.0, 1e-30], "f4")


@pytest.mark.parametrize("name", ["abs", "sigmoid", "erf", "nan_to_num"])
def test_extreme_values(name):
    torch = pytest.importorskip("torch")
    x, theirs = minidl.tensor(EXTREMES, requires_grad=True), torch.tensor(EXTREMES, requires_grad=True)
    y, want = getattr(minidl, name)(x), getattr(torch, name)(theirs)
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-6)
    assert y.dtype == np.float32
    y.backward(np.ones_like(EXTREMES))
    want.sum().backward()
    known = ~np.isnan(EXTREMES)  # PyTorch's slope of abs at nan is 0
    np.testing.assert_allclose(x.grad.numpy()[known], theirs.grad.numpy()[known], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "trunc", "round"])
def test_extreme_values_without_gradients(name):
    torch = pytest.importorskip("torch")
    y = getattr(minidl, name)(minidl.tensor(EXTREMES, requires_grad=True))
    got, want = y.numpy(), getattr(torch, name)(torch.tensor(EXTREMES)).numpy()
    known = ~np.isnan(EXTREMES)  # PyTorch's sign of nan is 0
    np.testing.assert_array_equal(got[known], want[known])
    assert not y.requires_grad


def test_erf_is_correct_to_the_last_digits():
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(-7, 7, 100_001), np.logspace(-300, 1, 10_001), [0.0, -0.0, np.inf, -np.inf]])
    want = special.erf(x)
    np.testing.assert_allclose(minidl.erf(minidl.tensor(x)).numpy(), want, rtol=1e-15, atol=0)
    small = x.astype("f4")
    want = special.erf(small.astype("f8"))
    got = minidl.erf(minidl.tensor(small)).numpy()
    assert got.dtype == np.float32
    ulps = np.abs(got - want) / np.spacing(np.abs(want).astype("f4"))
    assert ulps.max() < 1
    assert np.signbit(minidl.erf(minidl.tensor(-0.0)).numpy())


def test_erf_of_many_elements_is_computed_block_by_block():
    x = np.random.default_rng(0).standard_normal((101, 211))
    want = np.array([[math.erf(value) for value in row] for row in x])
    np.testing.assert_allclose(minidl.erf(minidl.tensor(x)).numpy(), want, rtol=1e-15)
    np.testing.assert_allclose(minidl.erf(minidl.tensor(x.astype("f4")).T).numpy(), want.T, rtol=1e-6)


def test_sigmoid_keeps_its_digits_far_out():
    x = np.array([-80.0, -40.0, -20.0, 20.0], "f4")
    got = minidl.sigmoid(minidl.tensor(x)).numpy()
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-x.astype("f8"))), rtol=1e-5)


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "abs", "sign", "nan_to_num"])
def test_integers_stay_integers(name):
    x = minidl.tensor([-3, 5])
    y = getattr(minidl, name)(x)
    assert y.dtype == np.int64
    assert y.array is not x.array
    assert abs(y).numpy().tolist() == ([1, 1] if name == "sign" else [3, 5])


@pytest.mark.parametrize("name", ["sigmoid", "erf"])
def test_integers_give_floats(name):
    assert getattr(minidl, name)(minidl.tensor([1, 2])).dtype == np.float32
    assert getattr(minidl, name)(minidl.ones(2, dtype="float16")).dtype == np.float16


def test_rounding():
    x = minidl.tensor([1.2345, -2.5])
    assert round(x, 2).numpy().tolist() == [np.float32(1.23), -2.5]
    assert round(x).numpy().tolist() == [1, -2]
    assert minidl.round(minidl.tensor([1234.0]), decimals=-2).numpy().tolist() == [1200]
    with pytest.raises(DTypeError, match="round: decimals must be an integer, got"):
        minidl.round(x, 1.5)


def test_sign_of_a_boolean():
    with pytest.raises(DTypeError, match="sign"):
        minidl.sign(minidl.tensor([True]))


def test_aliases():
    assert minidl.absolute is minidl.abs
    assert minidl.fix is minidl.trunc
