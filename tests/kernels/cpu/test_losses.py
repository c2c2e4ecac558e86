"""Compiled softmax and cross entropy against the reference: sizes, extremes, threads, margins, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.kernels import reference
from minidl.kernels.cpu import losses, threads

RNG = np.random.default_rng(0)
SHAPES = [(1, 1), (3, 2), (7, 10), (5, 15), (2, 16), (9, 17), (4, 64), (3, 1001)]


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(losses, "LEAST_WORK", 1)
    yield
    threads.set_num_threads(before)


def drawn(shape: tuple[int, ...], dtype: str, size: float = 3.0) -> np.ndarray:
    return (size * RNG.standard_normal(shape)).astype(dtype)


def all_three(module: Any, x: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    each, shares, gradient = module.cross_entropy(x, labels, None, None, 0.0, True)
    assert shares is None
    return [module.softmax(x, 1), module.log_softmax(x, -1), each, gradient]


def check(x: np.ndarray, labels: np.ndarray) -> None:
    exact = all_three(reference, x.astype("float64"), labels)
    for got, expected in zip(all_three(losses, x, labels), exact, strict=True):
        assert got.dtype == x.dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=8 * np.finfo(x.dtype).eps * max(1.0, np.abs(x).max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sizes(shape: tuple[int, int], dtype: str) -> None:
    check(drawn(shape, dtype), RNG.integers(0, shape[1], shape[0]))


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 20), classes=st.integers(1, 70), size=st.sampled_from([0.0, 1.0, 30.0, 1e4]))
def test_any_size(rows: int, classes: int, size: float) -> None:
    check(drawn((rows, classes), "float32", size), RNG.integers(0, classes, rows))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [5, 16, 37])
def test_nan_and_infinities_stay_in_their_row(classes: int, dtype: str) -> None:
    for value in (np.nan, np.inf, -np.inf):
        x, labels = drawn((3, classes), dtype), np.array([1, 2, 0])
        x[1, classes // 2] = value
        x[2] = -np.inf
        with np.errstate(all="ignore"):
            for got, expected in zip(all_three(losses, x, labels), all_three(reference, x, labels), strict=True):
                np.testing.assert_allclose(got, expected, atol=1e-5)  # where one has a nan, so has the other
                assert np.isfinite(got[0]).all()


def test_what_is_masked_has_no_probability_at_all() -> None:
    x = drawn((4, 40), "float32")
    x[:, ::3] = -np.inf
    x[:, 1::3] -= 1000
    p = losses.softmax(x, 1)
    assert (p[:, ::3] == 0).all()
    assert (p[:, 1::3] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def test_other_cases_are_the_reference() -> None:
    x, labels = drawn((6, 5), "float32"), RNG.integers(0, 5, 6)
    counts, weight = labels != 2, np.arange(1, 6, dtype="float32")
    for arguments in ((counts, None, 0.0), (None, weight, 0.0), (None, None, 0.1)):
        for got, expected in zip(
            losses.cross_entropy(x, labels, *arguments, True),
            reference.cross_entropy(x, labels, *arguments, True),
            strict=True,
        ):
            assert (got is None) == (expected is None)
            if got is not None:
                np.testing.assert_array_equal(got, expected)
    for y, axis in ((x, 0), (x.T, 1), (x[:, ::2], 1), (drawn((2, 3, 4), "float32"), 1), (x[:0], 1)):
        np.testing.assert_array_equal(losses.softmax(y, axis), reference.softmax(y, axis))
        np.testing.assert_array_equal(losses.log_softmax(y, axis), reference.log_softmax(y, axis))
    assert losses.cross_entropy(x, labels, None, None, 0.0, False)[2] is None


def test_more_axes() -> None:
    x = drawn((2, 3, 4, 21), "float32")
    np.testing.assert_allclose(losses.softmax(x, 3), reference.softmax(x, 3), atol=1e-6)
    np.testing.assert_allclose(losses.log_softmax(x, -1), reference.log_softmax(x, -1), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_on_any_number_of_threads(dtype: str) -> None:
    x, labels = drawn((101, 33), dtype), RNG.integers(0, 33, 101)
    results = []
    for count in (1, 2, 3):
        minidl.set_num_threads(count)
        results.append(all_three(losses, x, labels))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("classes", [1, 7, 15, 16, 17, 31, 32, 33])
def test_rows_touch_nothing_beside_them(classes: int) -> None:
    margin, shape = 64, (3, classes)
    blocks = [np.full(3 * classes + 2 * margin, np.nan, "float32") for _ in range(2)]
    x, out = (block[margin:-margin].reshape(shape) for block in blocks)
    x[...] = drawn(shape, "float32")
    labels, each = np.zeros(3, np.int64), np.zeros(3, "float32")
    for kind in (losses.SOFTMAX, losses.LOGARITHM, losses.ENTROPY):
        losses.rows_share(0, 1, kind, x, out, labels, each)
        assert np.isfinite(out).all()
        assert np.isfinite(each).all()
        for side in (blocks[1][:margin], blocks[1][-margin:]):
            assert np.isnan(side).all()


def test_the_operations_run_compiled_from_some_size_on(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []
    run = losses.run
    monkeypatch.setattr(
        losses, "run", lambda kernel, parts, kind, *args: kinds.append(kind) or run(kernel, parts, kind, *args)
    )
    for size, expected in ((8, []), (256, [losses.ENTROPY, losses.SOFTMAX, losses.LOGARITHM])):
        kinds.clear()
        x, labels = minidl.randn(size, 64, requires_grad=True), minidl.zeros(size, dtype="int64")
        loss = minidl.cross_entropy(x, labels)
        p, logarithms = minidl.softmax(x, -1), minidl.log_softmax(x, -1)
        assert kinds == expected
        (grad,) = minidl.grad(loss, x)
        wanted = p.detach().numpy() / size
        wanted[:, 0] -= 1 / size
        np.testing.assert_allclose(grad.numpy(), wanted, atol=1e-7)
        np.testing.assert_allclose(logarithms[:, 0].mean().item(), -loss.item(), rtol=1e-5)
