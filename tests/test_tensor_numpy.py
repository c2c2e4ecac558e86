"""What NumPy's own functions and operators give when they meet a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl._tensor_numpy import ELEMENTWISE, REDUCTIONS
from minidl.errors import GradError


def inputs(ufunc: Any) -> list[np.ndarray]:
    """Return arrays that an elementwise function takes, and inside its domain."""
    whole = "shift" in ufunc.__name__ or ufunc.__name__.startswith(("bitwise", "invert"))
    x = np.array([[3, 5], [2, 7]]) if whole else np.array([[0.25, 0.5], [0.75, 0.1]], np.float32)
    if ufunc is np.arccosh:
        x = x + 1
    return [x, x[::-1].copy()][: ufunc.nin]


@pytest.mark.parametrize("ufunc", ELEMENTWISE, ids=lambda ufunc: ufunc.__name__)
def test_elementwise_functions_give_tensors(ufunc: Any) -> None:
    given = inputs(ufunc)
    expected = ufunc(*given)
    for position in range(ufunc.nin):
        mixed: list[Any] = [minidl.tensor(a) if i == position else a for i, a in enumerate(given)]
        result = ufunc(*mixed)
        assert isinstance(result, minidl.Tensor)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda function: function.__name__)
def test_reductions_give_tensors(function: Any, rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 4)).astype(np.float32)
    for arguments in ({}, {"axis": 1}, {"axis": 0, "keepdims": True}):
        result = function(minidl.tensor(a), **arguments)
        assert isinstance(result, minidl.Tensor)
        np.testing.assert_allclose(result.numpy(), function(a, **arguments), rtol=1e-6)
    np.testing.assert_allclose(function(minidl.tensor(a), 1).numpy(), function(a, 1), rtol=1e-6)


def test_gradients_pass_through_numpys_functions() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    factor = np.array([3.0, 4.0], np.float32)
    loss = np.sum(factor * np.square(x) - np.float64(2) / x)
    loss.backward()
    assert loss.dtype == minidl.float32
    np.testing.assert_allclose(x.grad.numpy(), 2 * factor * [1, 2] + 2 / np.array([1, 4]))


def test_the_rest_of_numpy_sees_the_array() -> None:
    x = minidl.tensor([[3.0, 1.0], [2.0, 4.0]], requires_grad=True)
    a = x.detach().numpy()
    for function in (np.std, np.sort, np.linalg.norm, np.ravel, np.shape, np.size, np.cbrt, np.add.reduce, np.median):
        result = function(x)
        assert not isinstance(result, minidl.Tensor)
        assert np.array_equal(result, function(a))
    assert np.concatenate([x, x]).shape == np.vstack((x, a)).shape == (4, 2)
    assert np.sum(x, dtype=np.float64).dtype == np.float64
    assert np.add(x, x, dtype=np.float64).dtype == np.float64
    assert np.allclose(x, a)
    assert np.array_equal(np.where(x > 2, x, 0), np.where(a > 2, a, 0))


def test_writing() -> None:
    x = minidl.tensor([1.0, 2.0])
    a = b = np.ones(2, np.float32)
    a += x
    assert a is b
    assert a.tolist() == [2, 3]
    version = x.version
    assert np.exp(np.zeros(2), out=x) is x
    assert (x.tolist(), x.version, x.dtype) == ([1, 1], version + 1, minidl.float32)
    w = minidl.ones(2, requires_grad=True)
    with pytest.raises(GradError, match="leaf"):
        np.exp(w, out=w)


@pytest.mark.parametrize("scalar", [np.float64(2), np.float32(2), np.int64(2), np.array(2, np.float32)])
def test_scalars_never_widen(scalar: Any) -> None:
    x = minidl.tensor([1.0, 3.0])
    for result in (scalar * x, x * scalar, scalar - x, x / scalar, scalar**x, x // scalar):
        assert isinstance(result, minidl.Tensor)
        assert result.dtype == minidl.float32
    assert (scalar < x).tolist() == [False, True]
