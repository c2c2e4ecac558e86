"""Pooling's kernels in CUDA C: the reference's values, places and gradients to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.kernels.gpu import pooling
from tests.kernels.gpu.harness import RNG, Fault, compare, few_blocks, launches, on_gpu


def random_image(shape: tuple[int, ...], dtype: str, extremes: bool) -> np.ndarray:
    """Return an image with many ties, and if ``extremes``, with NaN, infinities and zeros of both signs."""
    x = RNG.integers(-3, 3, shape).astype(dtype)
    if extremes:
        for value in (np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max):
            x[RNG.random(shape) < 0.2] = value
    return x


def check_max(x: np.ndarray, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """Compare largest elements, where they stood, and the gradient."""
    compare(pooling.max_pool2d, reference.max_pool2d, x, kernel, stride, padding, dilation, size)
    _, indices = reference.max_pool2d(x, kernel, stride, padding, dilation, size)
    grad = RNG.standard_normal((*x.shape[:2], *size)).astype(x.dtype)
    windows = kernel, stride, padding, dilation
    if pooling.reached(x.shape[2:], size, *windows):
        compare(pooling.scatter_planes, reference.scatter_planes, grad, indices, x.shape[2:], windows)
    else:
        assert pooling.scatter_planes(on_gpu(grad), on_gpu(indices), x.shape[2:], windows) is NotImplemented


def check_average(x: np.ndarray, size: Any, kernel: Any, stride: Any, padding: Any) -> None:
    """Compare averages and their gradients, whatever they are divided by."""
    grad = RNG.standard_normal((*x.shape[:2], *size)).astype(x.dtype)
    for count_include_pad, divisor in ((True, None), (False, None), (True, 5)):
        rest = kernel, stride, padding
        compare(pooling.avg_pool2d, reference.avg_pool2d, x, *rest, size, count_include_pad, divisor)
        rest = x.shape[2:], *rest
        compare(pooling.avg_pool2d_grad, reference.avg_pool2d_grad, grad, *rest, count_include_pad, divisor)


@st.composite
def poolings(draw: Any) -> dict[str, Any]:
    """Draw a pooling, and whether its last window may start in what ``ceil_mode`` adds."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, dilation, ceil = pair(1, 4), pair(1, 4), pair(1, 3), draw(st.booleans())
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    least = [max(1, dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i]) for i in (0, 1)]
    image = (least[0] + draw(st.integers(0, 8)), least[1] + draw(st.integers(0, 8)))
    size = []
    for i in (0, 1):
        left = image[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1
        windows = (left + (stride[i] - 1 if ceil else 0)) // stride[i] + 1
        size.append(windows - ((windows - 1) * stride[i] >= image[i] + padding[i]))
    return {
        "shape": (draw(st.integers(0, 2)), draw(st.integers(1, 3)), *image),
        "windows": {"size": (size[0], size[1]), "kernel": kernel, "stride": stride, "padding": padding},
        "dilation": dilation,
    }


@settings(max_examples=60, deadline=None)
@given(
    drawn=poolings(),
    dtype=st.sampled_from(["float32", "float64"]),
    extremes=st.booleans(),
    descending=st.booleans(),
    few=st.booleans(),
)
def test_any_geometry(drawn: dict[str, Any], dtype: str, extremes: bool, descending: bool, few: bool) -> None:
    x = random_image(drawn["shape"], dtype, extremes)
    with launches(descending, few), np.errstate(all="ignore"):
        check_max(x, **drawn["windows"], dilation=drawn["dilation"])
        if drawn["dilation"] == (1, 1):
            check_average(x, **drawn["windows"])


def test_any_layout() -> None:
    x = random_image((2, 6, 7, 3), "f4", False).transpose(0, 3, 1, 2)[:, :, ::-1]
    windows = {"size": (3, 3), "kernel": (2, 3), "stride": (2, 2), "padding": (0, 0)}
    check_max(x, **windows, dilation=(1, 1))
    check_average(x, **windows)


def test_a_window_that_sees_nothing_is_left_to_the_reference() -> None:
    x = random_image((1, 1, 1, 2), "f4", False)
    check_max(x, (1, 2), (2, 1), (1, 1), (1, 0), (3, 1))
    assert not pooling.reached((1, 2), (1, 2), (2, 1), (1, 1), (1, 0), (3, 1))


def test_indices_of_unknown_windows_are_left_to_the_reference() -> None:
    grad, indices = on_gpu(np.ones((1, 1, 2, 2), "f4")), on_gpu(np.zeros((1, 1, 2, 2), "i8"))
    assert pooling.scatter_planes(grad, indices, (3, 3)) is NotImplemented


def test_what_32_bits_do_not_count_is_left_to_the_reference() -> None:
    class Huge:
        shape = (1, 1, 2**16, 2**15)

    pair, size = (1, 1), (2**16, 2**15)
    assert pooling.max_pool2d(Huge, pair, pair, (0, 0), pair, size) is NotImplemented
    assert pooling.scatter_planes(Huge, None, size, (pair, pair, (0, 0), pair)) is NotImplemented
    assert pooling.avg_pool2d(Huge, pair, pair, (0, 0), size, True, None) is NotImplemented
    assert pooling.avg_pool2d_grad(Huge, size, pair, pair, (0, 0), True, None) is NotImplemented


def largest() -> None:
    """Check windows that overlap, of an image with ties and NaN, on grids as they are and on small ones."""
    for _ in range(2):
        x = random_image((2, 3, 9, 7), "f4", False)
        x[:, :, 4, 3] = np.nan
        check_max(x, (5, 4), (3, 3), (2, 2), (1, 1), (1, 1))
        check_max(x, (3, 3), (3, 2), (2, 2), (1, 1), (2, 3))
        check_max(x, (2, 3), (2, 2), (5, 3), (0, 1), (1, 1))
        with few_blocks():
            check_max(np.tile(x, (1, 1, 1, 3)), (5, 21), (3, 3), (2, 1), (1, 1), (1, 1))


def average() -> None:
    """Check averages of windows that overlap, on grids as they are and on small ones."""
    x = RNG.standard_normal((2, 3, 9, 7)).astype("f4")
    check_average(x, (5, 4), (3, 2), (2, 2), (1, 1))
    check_average(x, (4, 3), (3, 3), (2, 3), (0, 1))
    check_average(x, (4, 4), (4, 3), (3, 2), (2, 1))
    with few_blocks():
        check_average(np.tile(x, (1, 1, 1, 3)), (5, 21), (3, 3), (2, 1), (1, 1))


FAULTS = [
    Fault(f"pooling.cu:{kernel}", old, new, check)
    for kernel, check, changes in (
        (
            "max_pool2d",
            largest,
            [
                ("h >= H", "h > H"),
                ("w >= W", "w > W"),
                ("w < 0 ||", ""),
                ("value > largest", "value >= largest"),
                (" || value != value", ""),
                ("p < windows", "p <= windows"),
                ("plane < planes", "plane < planes - 1"),
                ("r < R", "r < R - 1"),
                ("index = (long long)h * W + w", "index = (long long)h * H + w"),
            ],
        ),
        (
            "max_pool2d_grad",
            largest,
            [
                (">= OH", "> OH"),
                (">= OW", "> OW"),
                ("w % stride_w ||", ""),
                ("indices[window] == p", "indices[window] == p + 1"),
                ("p < pixels", "p <= pixels"),
                ("sum +=", "sum ="),
                ("r >= 0", "r > 0"),
            ],
        ),
        (
            "avg_pool2d",
            average,
            [
                ("first_h + R, H", "first_h + R, H + 1"),
                ("max(first_w, 0)", "first_w"),
                ("divisor ? divisor : counted", "counted"),
                ("p < windows", "p <= windows"),
                ("extent(first_w, S, W, left", "extent(first_w, S, W, 0"),
            ],
        ),
        (
            "avg_pool2d_grad",
            average,
            [
                (">= OH", "> OH"),
                ("w < 0 ||", ""),
                ("r < R", "r < R - 1"),
                ("extent(h - top", "extent(h"),
                ("p < pixels", "p <= pixels"),
            ],
        ),
        (
            "extent",
            average,
            [("max(start, 0)", "start"), ("min(stop, length)", "stop"), ("length + padding", "length")],
        ),
    )
    for old, new in changes
]
