"""Compiled batch and layer normalisation against the reference in doubles: sizes, extremes, threads, margins."""

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
from minidl.kernels.cpu import normalization, threads

RNG = np.random.default_rng(0)
SHAPES = [
    (1, 1),
    (5, 3),
    (300, 1),
    (700, 37),
    (2, 3, 1),
    (3, 2, 17),
    (1, 5, 64),
    (4, 3, 7, 5),
    (2, 17, 13, 11),
    (1, 1, 9000),
]


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(normalization, "LEAST_WORK", 1)
    yield
    threads.set_num_threads(before)


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """Return x in another order of memory."""
    if layout == "last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if layout == "gaps":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    return x


def drawn(shape: tuple[int, ...], dtype: str, mean: float = 1.0) -> tuple[Any, ...]:
    """Return an input, a factor and an offset for each channel, and a gradient."""
    x, grad = (RNG.standard_normal(shape) for _ in range(2))
    weight, bias = (RNG.standard_normal(shape[1]) for _ in range(2))
    return tuple(a.astype(dtype) for a in (2 * x + mean, weight, bias, grad))


def forward_and_back(module: Any, x: Any, weight: Any, bias: Any, grad: Any, eps: float = 1e-3) -> list[Any]:
    y, mean, var = module.batch_norm(x, weight, bias, eps)
    return [y, mean, var, *module.batch_norm_grad(grad, x, mean, 1 / np.sqrt(var + x.dtype.type(eps)), weight)]


def check(x: Any, weight: Any, bias: Any, grad: Any) -> None:
    """Hold the kernels to the reference in double precision: they may err as it does in single, and not more."""
    got = forward_and_back(normalization, x, weight, bias, grad)
    plain = forward_and_back(reference, x, weight, bias, grad)
    exact = forward_and_back(reference, *(None if a is None else a.astype("float64") for a in (x, weight, bias, grad)))
    for a, b, c in zip(got, plain, exact, strict=True):
        assert a.dtype == x.dtype
        assert a.shape == b.shape
        least = 40 * np.finfo(x.dtype).eps * max(1.0, np.abs(c).max(), np.abs(x).max())
        np.testing.assert_allclose(a, c, rtol=0, atol=max(least, 3 * np.abs(b - c).max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["first", "last", "gaps"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sizes_and_layouts(shape: tuple[int, ...], layout: str, dtype: str) -> None:
    x, weight, bias, grad = drawn(shape, dtype)
    x = laid_out(x, layout)
    for g in (grad, laid_out(grad, layout), laid_out(grad, "last")):
        check(x, weight, bias, g)
    check(x, None, None, grad)
    check(x, weight, None, grad)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 40), *[st.integers(1, 20)] * 2),
    flat=st.booleans(),
    layout=st.sampled_from(["first", "last"]),
    mean=st.sampled_from([0.0, 1.0, -30.0]),
)
def test_any_size(shape: tuple[int, ...], flat: bool, layout: str, mean: float) -> None:
    x, weight, bias, grad = drawn((shape[0] * shape[2], shape[1]) if flat else shape, "float32", mean)
    check(laid_out(x, layout), weight, bias, grad)


@pytest.mark.parametrize("layout", ["first", "last"])
def test_a_mean_far_from_zero_does_not_cancel(layout: str) -> None:
    x = laid_out(drawn((64, 3, 20, 20), "float32", 3e5)[0], layout)
    for step in (0, 1):  # with 1, each image has a mean of its own
        x = x + step * np.arange(64, dtype="float32").reshape(-1, 1, 1, 1)
        _, mean, var = normalization.batch_norm(x, None, None, 1e-5)
        expected = x.astype("float64")
        np.testing.assert_allclose(var, expected.var(axis=(0, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(mean, expected.mean(axis=(0, 2, 3)), rtol=1e-7)


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_stay_in_their_channel(value: float, layout: str) -> None:
    x, weight, bias, grad = drawn((4, 5, 6, 7), "float32")
    x = laid_out(x, layout)
    x[2, 3, 1, 1] = value
    with np.errstate(all="ignore"):
        got = forward_and_back(normalization, x, weight, bias, grad)
        expected = forward_and_back(reference, x, weight, bias, grad)
    clean = [0, 1, 2, 4]
    for a, b in zip((got[0], got[3]), (expected[0], expected[3]), strict=True):
        assert np.isfinite(a[:, clean]).all()
        np.testing.assert_allclose(a[:, clean], b[:, clean], atol=1e-5)
        assert np.isnan(a[:, 3]).any()
    assert not np.isfinite(got[1][3])
    assert np.isnan(got[2][3])


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_on_any_number_of_threads(dtype: str, layout: str) -> None:
    x, weight, bias, grad = drawn((3, 11, 31, 29), dtype)
    x = laid_out(x, layout)
    results = []
    for count in (1, 2, 3):
        minidl.set_num_threads(count)
        results.append(forward_and_back(normalization, x, weight, bias, grad))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def guarded(a: np.ndarray, margin: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy of an array between margins of NaN, and the whole block."""
    block = np.full(a.size + 2 * margin, np.nan, a.dtype)
    block[margin:-margin] = a.reshape(-1)
    return block[margin:-margin].reshape(a.shape), block


@pytest.mark.parametrize("pixels", [1, 15, 16, 17, 63, 64, 65, 100])
def test_planes_touch_nothing_beside_them(pixels: int) -> None:
    x, weight, bias, grad = drawn((3, 2, pixels), "float32")
    (x, _), (grad, _) = guarded(x), guarded(grad)
    out, block = guarded(np.zeros_like(x))
    mean, var, of_weight, of_bias = np.zeros((4, 2), "float32")
    normalization.norm_planes(0, 1, x, out, weight, bias, 1e-3, mean, var)
    np.testing.assert_allclose(out, reference.batch_norm(x, weight, bias, 1e-3)[0], atol=1e-4)
    normalization.grad_planes(0, 1, grad, x, mean, 1 / np.sqrt(var + 1), weight, out, of_weight, of_bias)
    assert np.isfinite(out).all()
    assert np.isnan(block[:64]).all()
    assert np.isnan(block[-64:]).all()


def test_layers_run_compiled_from_some_size_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    run = normalization.run
    monkeypatch.setattr(normalization, "run", lambda kernel, *args: ran.append(kernel) or run(kernel, *args))
    for shape, expected in (
        ((2, 3, 8, 8), []),
        ((32, 8, 16, 16), [normalization.norm_planes, normalization.grad_planes]),
    ):
        for layer in (minidl.nn.BatchNorm2d(shape[1]), minidl.nn.GroupNorm(1, shape[1])):
            ran.clear()
            layer(minidl.randn(*shape, requires_grad=True)).sum().backward()
            assert ran == expected
        ran.clear()
        minidl.nn.LayerNorm(shape[1:])(minidl.randn(*shape, requires_grad=True)).sum().backward()
        assert ran == ([normalization.norm_lines, normalization.grad_lines] if expected else [])


# ---------------------------------------------------------------------- layer normalisation

ROWS = [(1, 1), (5, 3), (1, 17), (300, 1), (64, 37), (200, 64), (3, 9000), (129, 100)]


def layer_and_back(module: Any, x: Any, weight: Any, bias: Any, grad: Any) -> list[Any]:
    y, mean, var = module.layer_norm(x, weight, bias, 1e-3)
    return [y, mean, var, *module.layer_norm_grad(grad, x, mean, 1 / np.sqrt(var + x.dtype.type(1e-3)), weight)]


def drawn_rows(shape: tuple[int, int], dtype: str, mean: float = 1.0) -> tuple[Any, ...]:
    """Return rows, a factor and an offset for each column, and a gradient."""
    arrays = (2 * RNG.standard_normal(shape) + mean, *RNG.standard_normal((2, shape[1])), RNG.standard_normal(shape))
    return tuple(a.astype(dtype) for a in arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_rows(shape: tuple[int, int], dtype: str) -> None:
    x, weight, bias, grad = drawn_rows(shape, dtype)
    spread = np.repeat(x, 2, axis=1)[:, ::2]
    for case in ((x, weight, bias, grad), (spread, weight[::-1], None, grad.copy("F")), (x[::-1], None, bias, grad)):
        got, plain = (layer_and_back(module, *case) for module in (normalization, reference))
        exact = layer_and_back(reference, *(None if a is None else a.astype("float64") for a in case))
        for a, b, c in zip(got, plain, exact, strict=True):
            assert (a.dtype, a.shape) == (x.dtype, b.shape)
            least = 40 * np.finfo(x.dtype).eps * max(1.0, np.abs(c).max(), np.abs(x).max())
            np.testing.assert_allclose(a, c, rtol=0, atol=max(least, 3 * np.abs(b - c).max()))


def test_rows_far_from_zero() -> None:
    x = drawn_rows((9, 700), "float32", 3e5)[0]
    _, mean, var = normalization.layer_norm(x, None, None, 1e-5)
    np.testing.assert_allclose(var, x.astype("float64").var(axis=1), rtol=1e-5)
    np.testing.assert_allclose(mean, x.astype("float64").mean(axis=1), rtol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_stay_in_their_row(value: float) -> None:
    x, weight, bias, grad = drawn_rows((6, 50), "float32")
    x[2, 3] = value
    with np.errstate(all="ignore"):
        got, expected = (layer_and_back(module, x, weight, bias, grad) for module in (normalization, reference))
    clean = [0, 1, 3, 4, 5]
    for a, b in zip((got[0], got[3]), (expected[0], expected[3]), strict=True):
        np.testing.assert_allclose(a[clean], b[clean], atol=1e-5)
        assert np.isnan(a[2]).any()
    assert np.isnan(got[4]).all()


def test_rows_have_the_same_bits_on_any_number_of_threads() -> None:
    rows = drawn_rows((333, 65), "float32")
    results = []
    for count in (1, 2, 3):
        minidl.set_num_threads(count)
        results.append(layer_and_back(normalization, *rows))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 65])
def test_rows_touch_nothing_beside_them(columns: int) -> None:
    x, weight, bias, grad = drawn_rows((5, columns), "float32")
    (x, _), (grad, _), (weight, _), (bias, _) = map(guarded, (x, grad, weight, bias))
    (out, block), (of_weight, sums) = guarded(np.zeros_like(x)), guarded(np.zeros((2, columns), "float32"))
    of_bias, mean, var = np.zeros_like(of_weight), *np.zeros((2, 5), "float32")
    normalization.norm_lines(0, 1, x, out, weight, bias, 1e-3, mean, var)
    np.testing.assert_allclose(out, reference.layer_norm(x, weight, bias, 1e-3)[0], atol=1e-4)
    normalization.grad_lines(0, 1, 3, grad, x, mean, 1 / np.sqrt(var + 1), weight, out, of_weight, of_bias)
    for whole in (out, of_weight, of_bias):
        assert np.isfinite(whole).all()
    for margins in (block, sums):
        assert np.isnan(margins[:64]).all()
        assert np.isnan(margins[-64:]).all()
