"""The compiled convolution and its gradients against the reference: geometries, layouts, extremes, threads, margins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from minidl.kernels import reference
from minidl.kernels import settings as settings_of_kernels
from minidl.kernels.cpu import convolution, convolution_filters, convolution_planes, threads

RNG = np.random.default_rng(0)
ONES = ((1, 1), (1, 1))
NONE = ((0, 0), (0, 0))


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two, and compute direct sums; ``test_winograd`` has the others."""
    before = threads.get_num_threads()
    monkeypatch.setattr(settings_of_kernels, "_winograd", False)
    threads.set_num_threads(2)
    for module in (convolution, convolution_filters, convolution_planes):
        monkeypatch.setattr(module, "LEAST_WORK", 1)
    yield
    threads.set_num_threads(before)


class Case:
    """The arrays and arguments of one convolution and of its gradients."""

    def __init__(
        self,
        x: tuple[int, ...],
        weight: tuple[int, ...],
        stride: tuple[int, int] = (1, 1),
        padding: Any = NONE,
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        dtype: str = "f4",
        relu: bool = False,
    ) -> None:
        self.relu = relu
        self.geometry = (stride, padding, dilation, groups)
        self.image, self.kernel = x[2:], weight[2:]
        self.size = tuple(
            (x[i + 2] + sum(padding[i]) - dilation[i] * (weight[i + 2] - 1) - 1) // stride[i] + 1 for i in (0, 1)
        )
        shapes = (x, weight, (weight[0],), (x[0], weight[0], *self.size))
        self.x, self.weight, self.bias, self.grad = (RNG.standard_normal(shape).astype(dtype) for shape in shapes)

    def results(self, compiled: bool) -> list[np.ndarray]:
        """Return the output, and the gradients of the image and of the filters."""
        forward, image, filters = (
            (convolution.conv2d, convolution.conv2d_input_grad, convolution_filters.conv2d_weight_grad)
            if compiled
            else (reference.conv2d, reference.conv2d_input_grad, reference.conv2d_weight_grad)
        )
        return [
            forward(self.x, self.weight, self.bias, *self.geometry, self.size, self.relu),
            image(self.grad, self.weight, self.image, *self.geometry),
            filters(self.x, self.grad, self.kernel, *self.geometry),
        ]

    def check(self) -> None:
        for got, expected in zip(self.results(True), self.results(False), strict=True):
            assert got.shape == expected.shape
            assert got.dtype == expected.dtype
            with np.errstate(all="ignore"):
                finite = expected[np.isfinite(expected)]
                scale = abs(finite).max(initial=1)
            limit = (1e-5 if got.dtype == np.float32 else 1e-13) * float(scale)
            np.testing.assert_allclose(got, expected, rtol=1e-4 if got.dtype == np.float32 else 1e-11, atol=limit)


CASES = {
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1)),
    "document 000, first": ((3, 1, 32, 32), (6, 1, 5, 5)),
    "document 000, second": ((3, 6, 14, 14), (16, 6, 5, 5)),
    "document 002, first": ((3, 1, 28, 28), (32, 1, 3, 3)),
    "document 002, second": ((3, 32, 13, 13), (64, 32, 3, 3)),
    "primes": ((5, 7, 13, 11), (17, 7, 3, 2)),
    "1x1": ((2, 19, 7, 7), (23, 19, 1, 1)),
    "1x1, stride": ((2, 5, 9, 8), (7, 5, 1, 1), (2, 3), ((0, 1), (1, 0))),
    "depthwise": ((2, 13, 17, 17), (13, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 13),
    "depthwise, two each": ((2, 5, 17, 17), (10, 1, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 5),
    "one filter": ((5, 7, 9, 21), (1, 7, 2, 5), (1, 2), ((1, 1), (0, 3)), (2, 1)),
    "groups": ((2, 6, 9, 9), (15, 2, 3, 3), (1, 2), ((1, 2), (0, 1)), (2, 1), 3),
    "many channels": ((2, 500, 9, 9), (37, 500, 3, 3), (1, 1), ((1, 1), (1, 1))),  # more than a block of them
    "more padding than kernel": ((2, 2, 3, 3), (3, 2, 2, 2), (1, 1), ((4, 3), (5, 2))),
    "stride beyond the kernel": ((2, 3, 20, 20), (4, 3, 2, 2), (5, 4), ((1, 0), (0, 2))),
    "pixels behind the last window": ((2, 3, 11, 12), (4, 3, 3, 3), (4, 4)),
    "wide": ((1, 2, 1, 500), (3, 2, 1, 7)),
    "large kernel": ((1, 2, 20, 20), (3, 2, 17, 19)),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("named", CASES)
def test_matches_the_reference(named: str, dtype: str) -> None:
    Case(*CASES[named], dtype=dtype).check()


pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))  # noqa: E731


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rectifies_in_the_store(dtype: str) -> None:
    for named in ("primes", "groups", "many channels", "depthwise, two each", "wide"):
        case = Case(*CASES[named], dtype=dtype)
        plain = case.results(True)[0]
        case.relu = True
        case.check()
        assert case.results(True)[0].tobytes() == np.where(plain < 0, 0, plain).astype(dtype).tobytes()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_matches_the_reference_on_random_geometries(data: st.DataObject) -> None:
    kernel, dilation, stride = data.draw(pairs(1, 4)), data.draw(pairs(1, 3)), data.draw(pairs(1, 4))
    padding = (data.draw(pairs(0, 4)), data.draw(pairs(0, 4)))
    groups, channels, filters = (data.draw(st.integers(1, high)) for high in (3, 5, 20))
    image = []
    for i in (0, 1):
        least = max(1, dilation[i] * (kernel[i] - 1) + 1 - sum(padding[i]))
        image.append(least + data.draw(st.integers(0, 12)))
    x = (data.draw(st.integers(1, 4)), groups * channels, *image)
    weight = (groups * filters, channels, *kernel)
    Case(
        x, weight, stride, padding, dilation, groups, data.draw(st.sampled_from(["f4", "f8"])), data.draw(st.booleans())
    ).check()


def relayouts(a: np.ndarray) -> list[np.ndarray]:
    """Return ``a`` with its channels last in memory, in Fortran order, reversed, with gaps of NaN, and unaligned."""
    gaps = np.full([2 * n for n in a.shape], np.nan, a.dtype)
    spaced = gaps[(slice(None, None, 2),) * a.ndim]
    spaced[...] = a
    flip = (slice(None, None, -1),) * a.ndim
    last = np.ascontiguousarray(np.moveaxis(a, 1, -1))
    records = np.zeros(a.shape, [("flag", "i1"), ("number", a.dtype)])
    records["number"] = a
    reversed_ = np.ascontiguousarray(a[flip])[flip]
    return [np.moveaxis(last, -1, 1), np.asfortranarray(a), reversed_, spaced, records["number"]]


def test_reads_any_strides() -> None:
    case = Case((3, 4, 9, 8), (18, 2, 3, 3), (2, 1), ((1, 0), (1, 2)), (1, 1), 2)
    expected = case.results(True)
    layouts = zip(relayouts(case.x), relayouts(case.weight), relayouts(case.grad), strict=True)
    for case.x, case.weight, case.grad in layouts:
        case.bias = case.bias[::-1].copy()[::-1]
        for got, result in zip(case.results(True), expected, strict=True):
            assert got.tobytes() == result.tobytes()


@pytest.mark.parametrize("named", CASES)
def test_same_bits_on_any_number_of_threads(named: str) -> None:
    arguments = Case(*CASES[named])
    expected = arguments.results(True)
    for count in (1, 3):
        threads.set_num_threads(count)
        for module in (convolution, convolution_filters, convolution_planes):
            module.make_plan.cache_clear()  # a plan that looked at the threads would be kept
        for got, result in zip(arguments.results(True), expected, strict=True):
            assert got.tobytes() == result.tobytes()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_nan_infinity_and_huge_numbers_pass_through() -> None:
    for number, relu in itertools.product((np.nan, np.inf, -np.inf, 1e37), (False, True)):
        case = Case((2, 3, 7, 9), (5, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), relu=relu)
        case.x[1, 2, 3, 4] = number
        case.grad[0, 1, 2, 3] = number
        case.check()
        outputs = case.results(True)
        assert np.isfinite(outputs[0][0]).all()  # the other image
        assert np.isfinite(outputs[1][1]).all()
        if number != 1e37:
            assert not np.isfinite(outputs[2][1]).any()  # the filter of that gradient


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_passes_through_a_depthwise_convolution() -> None:
    for column in range(20):
        case = Case((1, 3, 4, 20), (6, 1, 2, 3), groups=3)
        case.x[0, 1, 2, column] = np.nan
        case.check()
        found = np.isnan(case.results(True)[2])
        assert found[2:4].any()
        assert found[2:4, 0, :, 0].all() == (
            column < 18
        )  # of a window's cells, the first never sees the last two columns
        assert not found[[0, 1, 4, 5]].any()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_an_infinite_weight_meets_the_zeros_around_an_image() -> None:
    case = Case((2, 3, 7, 9), (5, 3, 3, 3), (1, 1), ((1, 1), (1, 1)))
    case.weight[1, 2, 0, 0] = np.inf
    got, expected = case.results(True), case.results(False)
    np.testing.assert_array_equal(np.isnan(got[0]), np.isnan(expected[0]))
    assert np.isnan(got[0][:, 1, 0]).all()
    # the reference multiplies no zeros around the output's gradient; otherwise both agree
    assert not np.isnan(expected[1]).any()
    assert np.isnan(got[1][:, 2, -1]).all()
    np.testing.assert_array_equal(np.isfinite(got[1][:, 2, :-1, :-1]), np.isfinite(expected[1][:, 2, :-1, :-1]))
    np.testing.assert_allclose(got[1][:, :2], expected[1][:, :2], rtol=1e-4, atol=1e-4)


class Guarded:
    """NumPy, whose ``empty`` returns arrays inside larger ones: their margins must stay as they are."""

    MARGIN, POISON = 1024, 1e30

    def __init__(self) -> None:
        self.buffers: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any) -> np.ndarray:
        count = int(np.prod(shape))
        self.buffers.append(np.full(count + 2 * self.MARGIN, self.POISON, dtype))
        return self.buffers[-1][self.MARGIN : self.MARGIN + count].reshape(shape)

    def intact(self) -> bool:
        margins = [(buffer[: self.MARGIN], buffer[-self.MARGIN :]) for buffer in self.buffers]
        return all((margin == margin.dtype.type(self.POISON)).all() for pair in margins for margin in pair)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("named", CASES)
def test_writes_nothing_outside_its_arrays(named: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = Case(*CASES[named], dtype=dtype)
    expected = arguments.results(True)
    guarded = Guarded()
    for module in (convolution, convolution_filters, convolution_planes):
        monkeypatch.setattr(module, "np", guarded)
        monkeypatch.setattr(module, "scratch", guarded.empty)
    for name in ("x", "weight", "bias", "grad"):
        original = getattr(arguments, name)
        setattr(arguments, name, guarded.empty(original.shape, original.dtype))
        getattr(arguments, name)[...] = original
    for got, result in zip(arguments.results(True), expected, strict=True):
        assert got.tobytes() == result.tobytes()  # and nothing that was read outside counts
    assert len(guarded.buffers) >= 10
    assert guarded.intact()


@pytest.mark.parametrize("named", CASES)
def test_matches_pytorch(named: str) -> None:
    torch = pytest.importorskip("torch")
    arguments = Case(*CASES[named])
    stride, padding, dilation, groups = arguments.geometry
    x, weight, bias = (torch.tensor(a, requires_grad=True) for a in (arguments.x, arguments.weight, arguments.bias))
    padded = torch.nn.functional.pad(x, (*padding[1], *padding[0]))
    y = torch.nn.functional.conv2d(padded, weight, bias, stride, 0, dilation, groups)
    y.backward(torch.tensor(arguments.grad))
    for got, expected in zip(arguments.results(True), (y, x.grad, weight.grad), strict=True):
        array = expected.detach().numpy()
        np.testing.assert_allclose(got, array, rtol=1e-4, atol=1e-5 * float(abs(array).max()))
