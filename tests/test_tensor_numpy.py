"""What NumPy's own functions and operators give when they meet a tensor."""

from __future__ import annotations

from collections.abc import Callable
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


#: Lines as a NumPy user writes them, whose ``np`` is NumPy once and minidl once.
LINES: list[Callable[[Any, Any], Any]] = [
    lambda np, x: np.linspace(start=0, stop=1, num=5),
    lambda np, x: np.logspace(0, 1, num=3),
    lambda np, x: np.arange(start=1, stop=5, step=2),
    lambda np, x: np.full(shape=(2, 3), fill_value=1.5),
    lambda np, x: np.zeros(shape=(2, 3)) + np.ones(shape=3) + np.ones((2, 3)) + np.zeros_like(x[:2, :3]),
    lambda np, x: np.empty(shape=(4, 0)),
    lambda np, x: np.eye(2, M=3) + np.eye(N=2, M=3),
    lambda np, x: np.array([[1, 2], [3, 4]], dtype="float32"),
    lambda np, x: np.asarray([1.5, 2]).astype(np.int32),
    lambda np, x: x[np.newaxis, ..., None],
    lambda np, x: np.std(x, axis=0, ddof=1),
    lambda np, x: np.var(x, axis=(0, 1), ddof=0, keepdims=True),
    lambda np, x: np.sum(x, axis=1, keepdims=True) + np.mean(x, axis=(0, 1)) + np.prod(x, axis=0),
    lambda np, x: np.max(x, axis=1) + np.amin(x, axis=1) + np.sort(x, axis=0)[0, :3],
    lambda np, x: np.argmax(x, axis=1, keepdims=True) + np.argsort(x, axis=1),
    lambda np, x: np.clip(x, -1, 1) + np.maximum(x, 0) + np.minimum(x, 2 * x) + np.absolute(x),
    lambda np, x: np.where(x > 0, np.sqrt(np.abs(x)), np.power(x, 3)),
    lambda np, x: np.pad(x, pad_width=((1, 1), (0, 2)), mode="constant", constant_values=3),
    lambda np, x: np.pad(x, ((1, 1), (0, 2)), mode="reflect") + np.pad(x, ((1, 1), (0, 2)), mode="edge"),
    lambda np, x: np.roll(x, shift=1, axis=1) + np.flip(x, axis=0),
    lambda np, x: np.repeat(x, 2, axis=0),
    lambda np, x: np.repeat(x, repeats=3, axis=1),
    lambda np, x: np.repeat(x, repeats=2),
    lambda np, x: x.repeat(2, axis=1),
    lambda np, x: np.tile(x, (2, 1)),
    lambda np, x: np.moveaxis(np.expand_dims(x, axis=0), source=0, destination=2),
    lambda np, x: np.swapaxes(x, 0, 1) + np.transpose(x) + x.T + x.transpose(1, 0) + x.transpose((1, 0)),
    lambda np, x: np.tril(x, k=1) - np.triu(x, k=-1),
    lambda np, x: np.diag(x, k=1) + np.diagonal(x, offset=1),
    lambda np, x: np.concatenate((x, x), axis=1) + np.hstack((x, x)) + np.stack([x, x], axis=1).reshape((3, 8)),
    lambda np, x: np.split(x, 2, axis=1)[1],
    lambda np, x: np.array_split(x, 3, axis=1)[0],
    lambda np, x: np.take(x, indices=np.array([0, 2]), axis=1),
    lambda np, x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1),
    lambda np, x: np.unique(x > 0, return_counts=True)[1],
    lambda np, x: np.cumsum(x, axis=1) + np.broadcast_to(x[0], (3, 4)),
    lambda np, x: np.any(x > 0, axis=1, keepdims=True) & np.all(x < 9, axis=1, keepdims=True),
    lambda np, x: np.count_nonzero(x > 0, axis=1),
    lambda np, x: np.einsum("ij,kj->ik", x, x) + np.dot(x, x.T) + np.matmul(x, x.T) + np.tensordot(x, x.T, axes=1),
    lambda np, x: np.outer(x[0], x[1]) + np.inner(x[0], x[1]) + np.dot(x[0], x[1]),
    lambda np, x: np.linalg.norm(x, axis=1, keepdims=True),
    lambda np, x: np.isclose(x, x + 1e-9, rtol=1e-5, atol=1e-8, equal_nan=True),
    lambda np, x: np.mod(x, 2) + np.true_divide(x, 2) + np.logaddexp(x, x) + np.sign(x) + np.arctan2(x, x + 5),
    lambda np, x: x.copy().sum(axis=0) + x.mean(axis=0) + x.max(axis=0) + x.std(axis=0, ddof=1) + x.prod(axis=0),
    lambda np, x: x.flatten() + x.ravel() + x.reshape(-1) + x.clip(-1, 1).reshape(12),
    lambda np, x: np.meshgrid(np.arange(2), np.arange(3), indexing="ij")[1],
    lambda np, x: np.sin(np.pi * x) + np.e,
]


@pytest.mark.parametrize("line", range(len(LINES)))
def test_lines_in_numpys_dialect(line: int, rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 4)).astype(np.float32)
    expected, found = LINES[line](np, a), LINES[line](minidl, minidl.tensor(a))
    assert isinstance(found, minidl.Tensor)
    assert found.dtype == (np.float32 if expected.dtype == np.float64 else expected.dtype)  # Python's floats: float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)
