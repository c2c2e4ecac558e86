"""Winograd's convolution against the reference in float64: accuracy, geometries, layouts, threads, margins, setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from minidl.errors import ArgumentError
from minidl.kernels import reference, use_winograd, uses_winograd
from minidl.kernels import settings as setting
from minidl.kernels.cpu import convolution, convolution_filters, threads, winograd, winograd_filters
from tests.kernels.cpu.test_convolution import Guarded, relayouts

RNG = np.random.default_rng(0)
ONE = (1, 1)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two, and take the transforms wherever they can be taken."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    for name in ("LEAST_WORK", "LEAST_POINTS", "LEAST_CHANNELS", "LEAST_TILES", "MANY_TILES"):
        monkeypatch.setattr(winograd, name, 1)
    for name in ("LEAST_WORK", "LEAST_CHANNELS", "LEAST_TILES"):
        monkeypatch.setattr(winograd_filters, name, 1)
    monkeypatch.setattr(winograd_filters, "FILTERS_A_TILE", 2**20)
    monkeypatch.setattr(setting, "_winograd", True)
    yield
    threads.set_num_threads(before)


class Case:
    """The arrays of one convolution with 3 x 3 filters, and of its gradients."""

    def __init__(self, x: tuple[int, ...], filters: int, padding: Any = ((0, 0), (0, 0)), relu: bool = False) -> None:
        self.padding, self.relu, self.image = padding, relu, x[2:]
        self.size = tuple(x[i + 2] + sum(padding[i]) - 2 for i in (0, 1))
        shapes = (x, (filters, x[1], 3, 3), (filters,), (x[0], filters, *self.size))
        self.x, self.weight, self.bias, self.grad = (RNG.standard_normal(shape).astype("f4") for shape in shapes)

    def results(self, kernels: Any = None, dtype: str = "f4") -> list[np.ndarray]:
        """Return the output, and the gradients of the image and of the filters."""
        filters = kernels or convolution_filters
        kernels = kernels or convolution
        x, weight, bias, grad = (a.astype(dtype, copy=False) for a in (self.x, self.weight, self.bias, self.grad))
        geometry = (ONE, self.padding, ONE, 1)
        return [
            kernels.conv2d(x, weight, bias, *geometry, self.size, self.relu),
            kernels.conv2d_input_grad(grad, weight, self.image, *geometry),
            filters.conv2d_weight_grad(x, grad, (3, 3), *geometry),
        ]

    def check(self) -> None:
        for got, want in zip(self.results(), self.results(reference, "f8"), strict=True):
            assert (got.shape, got.dtype) == (want.shape, np.float32)
            np.testing.assert_allclose(got, want, rtol=0, atol=8e-6 * abs(want).max(initial=1))


CASES: dict[str, tuple[Any, ...]] = {
    "one pixel": ((1, 1, 3, 3), 1),
    "document 002": ((3, 32, 13, 13), 64),
    "primes": ((5, 17, 13, 11), 37, ((1, 0), (2, 1))),
    "whole tiles": ((2, 16, 8, 12), 32, ((1, 1), (1, 1)), True),
    "more padding than kernel": ((2, 2, 3, 3), 3, ((4, 3), (5, 2))),
    "wide": ((1, 2, 3, 500), 3),
    "high": ((1, 2, 500, 3), 35),
    "many channels": ((2, 530, 6, 5), 18, ((1, 1), (1, 1))),
}


@pytest.mark.parametrize("named", CASES)
def test_matches_the_reference(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for module, name in ((convolution, "convolve_3x3"), (winograd_filters, "weight_grad_3x3")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, real=real: called.append(1) or real(*args))
    Case(*CASES[named]).check()
    assert len(called) == 3


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_matches_the_reference_on_random_geometries(data: st.DataObject) -> None:
    pair = st.tuples(st.integers(0, 4), st.integers(0, 4))
    padding = (data.draw(pair), data.draw(pair))
    image = [max(1, 3 - sum(padding[i])) + data.draw(st.integers(0, 20)) for i in (0, 1)]
    images, channels, filters = (data.draw(st.integers(1, high)) for high in (4, 40, 70))
    Case((images, channels, *image), filters, padding, data.draw(st.booleans())).check()


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_errors_are_as_small_as_documented(channels: int) -> None:
    case = Case((2, channels, 14, 14), 32)
    case.bias[...] = 0
    use_winograd(False)
    direct = case.results()
    use_winograd(True)
    limits = 2e-7 * np.sqrt(channels), 2e-7 * np.sqrt(32), 1e-6
    truth = case.results(reference, "f8")
    for got, other, want, limit in zip(case.results(), direct, truth, limits, strict=True):
        error, of_direct = (np.sqrt(np.square(a - want).mean() / np.square(want).mean()) for a in (got, other))
        assert error < limit
        assert error < 5 * of_direct


def test_reads_any_strides() -> None:
    case = Case((3, 20, 9, 8), 18, ((1, 0), (1, 2)))
    expected = case.results()
    layouts = zip(relayouts(case.x), relayouts(case.weight), relayouts(case.grad), strict=True)
    for case.x, case.weight, case.grad in layouts:
        case.bias = case.bias[::-1].copy()[::-1]
        for got, result in zip(case.results(), expected, strict=True):
            assert got.tobytes() == result.tobytes()


@pytest.mark.parametrize("named", CASES)
def test_same_bits_on_any_number_of_threads(named: str) -> None:
    case = Case(*CASES[named])
    expected = case.results()
    for count in (1, 3):
        threads.set_num_threads(count)
        for module in (winograd, winograd_filters):
            module.make_plan.cache_clear()  # a plan that looked at the threads would be kept
        for got, result in zip(case.results(), expected, strict=True):
            assert got.tobytes() == result.tobytes()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_spread_to_the_tiles_that_see_them_and_no_further(number: float) -> None:
    case = Case((2, 17, 14, 14), 18, relu=bool(np.isnan(number)))
    before = case.results()[0]
    case.x[1, 3, 5, 9] = number
    after = case.results()[0]
    # Row 5 is the last that the tile of rows 0-3 sees, and so part of row 3 alone, and the second of that of rows 4-7;
    # columns likewise. Windows that see the pixel are rows 3-5, columns 7-9.
    assert not np.isfinite(after[1, :, 3:8, 7:12]).any()
    after[1, :, 3:8, 7:12] = before[1, :, 3:8, 7:12]
    assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize("named", CASES)
def test_writes_nothing_outside_its_arrays(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(*CASES[named])
    expected = case.results()
    guarded = Guarded()
    for module in (winograd, winograd_filters):
        monkeypatch.setattr(module, "np", guarded)
        monkeypatch.setattr(module, "scratch", guarded.empty)
    for name in ("x", "weight", "bias", "grad"):
        original = getattr(case, name)
        setattr(case, name, guarded.empty(original.shape, original.dtype))
        getattr(case, name)[...] = original
    for got, result in zip(case.results(), expected, strict=True):
        assert got.tobytes() == result.tobytes()  # and nothing that was read outside counts
    assert len(guarded.buffers) == 10
    assert guarded.intact()


def test_leaves_other_convolutions_alone() -> None:
    x, weight = np.zeros((2, 20, 9, 9), "f4"), np.zeros((20, 20, 3, 3), "f4")
    assert winograd.pays(x, weight, ONE, ONE, 1, (7, 7))
    assert not winograd.pays(x.astype("f8"), weight.astype("f8"), ONE, ONE, 1, (7, 7))
    assert not winograd.pays(x, weight, (2, 1), ONE, 1, (4, 7))
    assert not winograd.pays(x, weight, ONE, (1, 2), 1, (7, 5))
    assert not winograd.pays(x, weight[:, :10], ONE, ONE, 2, (7, 7))
    assert not winograd.pays(x, weight[..., :2], ONE, ONE, 1, (7, 8))
    assert not winograd.pays(x[:0], weight, ONE, ONE, 1, (7, 7))
    grad = np.zeros((2, 20, 7, 7), "f4")
    assert winograd_filters.pays(x, grad, (3, 3), ONE, ONE, 1)
    assert not winograd_filters.pays(x.astype("f8"), grad.astype("f8"), (3, 3), ONE, ONE, 1)
    assert not winograd_filters.pays(x, grad[..., :4], (3, 3), (1, 2), ONE, 1)
    assert not winograd_filters.pays(x, grad[..., :5], (3, 3), ONE, (1, 2), 1)
    assert not winograd_filters.pays(x, grad, (3, 3), ONE, ONE, 2)
    assert not winograd_filters.pays(x, grad[:, :, :4], (3, 6), ONE, ONE, 1)
    assert not winograd_filters.pays(x[:0], grad[:0], (3, 3), ONE, ONE, 1)


def test_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case((2, 20, 9, 9), 20)
    fast = case.results()
    use_winograd(False)
    direct = case.results()
    assert all((a != b).any() for a, b in zip(fast, direct, strict=True))
    for text, wanted in (("", True), (" 1 ", True), ("0", False)):
        monkeypatch.setenv("MINIDL_WINOGRAD", text)
        monkeypatch.setattr(setting, "_winograd", None)
        assert uses_winograd() is wanted
    monkeypatch.setenv("MINIDL_WINOGRAD", "no")
    monkeypatch.setattr(setting, "_winograd", None)
    with pytest.raises(ArgumentError, match="MINIDL_WINOGRAD: expected 0 or 1, got 'no'"):
        uses_winograd()
    with pytest.raises(ArgumentError, match="use_winograd: expected True or False, got 1"):
        use_winograd(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("size", [(13, 13), (9, 30), (4, 5)])
def test_a_window_of_zeros_gives_its_bias(size: tuple[int, int], padding: int, relu: bool) -> None:
    """To the bit, as the direct sum does: what a ReLU lets through of an image's background hangs on it."""
    H, W = size
    x = RNG.standard_normal((7, 20, H, W)).astype("float32")
    for n in range(len(x)):  # some pixels, lines and columns, and one whole image, in all channels
        x[n, :, RNG.random((H, W)) < 0.1 * n] = 0
        x[n, :, RNG.integers(H) :] = 0
        x[n, :, :, : RNG.integers(W)] = 0
    x[3], x[2, 19, H // 2, W // 2] = 0, 1e-30  # and a number that one channel alone has
    weight, bias = RNG.standard_normal((40, 20, 3, 3)).astype("float32"), RNG.standard_normal(40).astype("float32")
    sides = ((padding, padding),) * 2
    out = H + 2 * padding - 2, W + 2 * padding - 2
    wanted = reference.conv2d((x != 0).astype("f4"), np.ones((1, 20, 3, 3), "f4"), None, (1, 1), sides, (1, 1), 1, out)
    blank = np.broadcast_to(wanted == 0, (7, 40, *out))
    assert blank.any()
    for values in (bias, np.zeros(40, "float32"), None):
        for workers in (1, 2, 3):
            threads.set_num_threads(workers)
            y = winograd.convolve_3x3(x, weight, False, values, (padding, padding), out, relu)
            expected = np.zeros(40) if values is None else values
            expected = np.broadcast_to(np.maximum(expected, 0 if relu else -np.inf)[:, None, None], y.shape)
            np.testing.assert_array_equal(y[blank], expected[blank])
            direct = reference.conv2d(x, weight, values, (1, 1), sides, (1, 1), 1, out, relu)
            np.testing.assert_allclose(y, direct, rtol=0, atol=1e-4)
