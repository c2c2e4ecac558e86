"""Compiled elementwise gradients against the reference, to the bit: layouts, extremes, threads, margins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import minidl
from minidl.kernels import reference
from minidl.kernels.cpu import elementwise, threads

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(elementwise, "LEAST_WORK", 1)
    yield
    threads.set_num_threads(before)


def drawn(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return normal numbers, among them NaN, infinities and zeros of both signs."""
    x = RNG.standard_normal(shape).astype(dtype)
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).tiny):
        x[RNG.random(shape) < 0.05] = value
    return x


def equal(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(got, expected, strict=True)
    ordinary = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got)[ordinary], np.signbit(expected)[ordinary])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (17,), (3, 0, 2), (5, 7, 11, 13)])
def test_relu_grad(shape: tuple[int, ...], dtype: str) -> None:
    grad, y = drawn(shape, dtype), drawn(shape, dtype)
    with np.errstate(invalid="ignore"):
        expected = reference.relu_grad(grad, y)
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            equal(elementwise.relu_grad(grad, y), np.asarray(expected))


def test_layouts() -> None:
    grad, y = drawn((4, 5, 6, 7), "float32"), drawn((4, 5, 6, 7), "float32")
    with np.errstate(invalid="ignore"):
        expected = reference.relu_grad(grad, y)
        last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (grad, y)]
        assert elementwise.relu_grad(*last).strides == last[0].strides
        flip = (slice(None, None, -1),) * 4
        turned = [np.ascontiguousarray(a[flip])[flip] for a in (grad, y)]
        gaps = [np.repeat(a, 2, axis=3)[..., ::2] for a in (grad, y)]
        fixed = np.broadcast_to(np.float32(2), y.shape)
        for a, b in (last, turned, gaps, (last[0], y), (grad, last[1]), (gaps[0], y), (turned[0], gaps[1])):
            equal(elementwise.relu_grad(a, b), expected)
        equal(elementwise.relu_grad(fixed, y), reference.relu_grad(fixed, y))
        equal(elementwise.relu_grad(grad, fixed), reference.relu_grad(grad, fixed))


def test_neighbours_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = []

    def guarded(like: np.ndarray) -> np.ndarray:
        blocks.append(np.full(like.size + 128, 7777, like.dtype))
        return blocks[-1][64:-64].reshape(like.shape)

    monkeypatch.setattr(elementwise.np, "empty_like", guarded)
    for size in (1, 15, 16, 33, 1000):
        elementwise.relu_grad(np.ones(size, np.float32), np.ones(size, np.float32))
    for block in blocks:
        assert (block[:64] == 7777).all()
        assert (block[-64:] == 7777).all()
        assert (block[64:-64] == 1).all()


def test_through_the_operation() -> None:
    """Large enough to be compiled, first and second derivatives."""
    x = minidl.tensor(RNG.standard_normal((4, 64, 80)).astype("float32"), requires_grad=True)
    (grad,) = minidl.grad((minidl.relu(x) ** 3).sum(), x, create_graph=True)
    (second,) = minidl.grad(grad.sum(), x)
    minidl.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad.array, x.array > 0)
    np.testing.assert_allclose(second.array, np.where(x.array > 0, 6 * x.array, 0), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (17,), (3, 0, 2), (5, 7, 11, 13)])
def test_relu(shape: tuple[int, ...], dtype: str) -> None:
    x = drawn(shape, dtype)
    for view in (x, x.T, x[::-1] if shape else x):
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            np.testing.assert_array_equal(elementwise.relu(view), np.asarray(reference.relu(view)), strict=True)
    assert elementwise.relu(x.T).strides == x.T.strides


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(2, 3, 1, 1), (0, 2, 3, 3), (2, 0, 3, 3), (2, 3, 0, 3), (3, 5, 7, 11), (2, 3, 16, 24)]
)
def test_channel_sums(shape: tuple[int, ...], dtype: str) -> None:
    grad, y = RNG.standard_normal(shape).astype(dtype), RNG.standard_normal(shape).astype(dtype)
    rtol = 1e-4 if dtype == "float32" else 1e-12
    last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (grad, y)]
    bits = set()
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        for g, seen in ((grad, y), last, (grad, last[1]), (grad[:, ::-1], y[:, ::-1])):
            sums = elementwise.channel_sums(g)
            np.testing.assert_allclose(sums, reference.channel_sums(g), rtol=rtol, atol=rtol)
            masked, sums = elementwise.relu_grad_and_sums(g, seen)
            expected, total = reference.relu_grad_and_sums(g, seen)
            np.testing.assert_array_equal(masked, expected)
            np.testing.assert_allclose(sums, total, rtol=rtol, atol=rtol)
        bits.add(elementwise.channel_sums(grad).tobytes() + elementwise.relu_grad_and_sums(grad, y)[1].tobytes())
    assert len(bits) == 1


def test_nan_and_infinity_reach_the_sums_of_their_channel() -> None:
    grad, y = np.ones((2, 4, 3, 5), np.float32), np.ones((2, 4, 3, 5), np.float32)
    grad[1, 0, 2, 3], grad[0, 1, 0, 0], grad[0, 2, 1, 1] = np.nan, np.inf, np.inf
    y[0, 2, 1, 1], y[1, 3, 2, 4] = 0, np.nan  # 0 x inf is nan, and nan is not positive
    _, sums = elementwise.relu_grad_and_sums(grad, y)
    np.testing.assert_array_equal(sums, np.float32([np.nan, np.inf, np.nan, 29]))


def test_neighbours_of_sums_stay_as_they_are() -> None:
    """Guard margins around the arrays."""
    for shape in ((1, 1, 1, 1), (2, 3, 5, 7), (1, 2, 8, 16), (3, 1, 13, 5)):
        size = int(np.prod(shape))
        blocks = [np.full(size + 256, 7777, np.float32) for _ in range(3)]
        grad, y, out = (block[128:-128].reshape(shape) for block in blocks)
        sums = np.full(shape[0] * shape[1] + 256, 7777, np.float32)
        elementwise.plane_sums(0, 1, grad, y, out, sums[128:-128].reshape(shape[:2]))
        assert (sums[128:-128] == 7777 * shape[2] * shape[3]).all()
        for block in (*blocks, sums):
            assert (block[:128] == 7777).all()
            assert (block[-128:] == 7777).all()
