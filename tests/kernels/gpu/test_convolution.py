"""Convolution's kernels in CUDA C against the reference, each way it can be computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.kernels.gpu import convolution
from tests.kernels.gpu.harness import RNG, Fault, compare, few_blocks, launches

WAYS = ("direct", "tiled", "unfolded")


@contextlib.contextmanager
def taking(way: str, block_bytes: int = 2**28) -> Iterator[None]:
    """Compute every convolution in one way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "MOST_DIRECT", 10**9 if way == "direct" else 0)
        patch.setattr(convolution, "MOST_WEIGHTS", 10**9 if way == "direct" else 0)
        patch.setattr(convolution, "MOST_TILED", 10**9 if way == "tiled" else 0)
        patch.setattr(convolution, "BLOCK_BYTES", block_bytes)
        yield


def check(
    sizes: tuple[int, int, int],
    image: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    dtype: str,
) -> None:
    """Compare a convolution of ``sizes`` (N, C, K) and its two gradients with the reference's."""
    N, C, K = sizes
    size = [(image[i] + sum(padding[i]) - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
    size = (size[0], size[1])
    x = RNG.standard_normal((N, C, *image)).astype(dtype)
    weight = RNG.standard_normal((K, C // groups, *kernel)).astype(dtype)
    bias = RNG.standard_normal(K).astype(dtype)
    grad = RNG.standard_normal((N, K, *size)).astype(dtype)
    geometry = stride, padding, dilation, groups
    compare(convolution.conv2d, reference.conv2d, x, weight, bias, *geometry, size)
    compare(convolution.conv2d, reference.conv2d, x, weight, bias, *geometry, size, True)
    compare(convolution.conv2d, reference.conv2d, x, weight, None, *geometry, size, N % 2 == 0)
    compare(convolution.conv2d_input_grad, reference.conv2d_input_grad, grad, weight, image, *geometry)
    compare(convolution.conv2d_weight_grad, reference.conv2d_weight_grad, x, grad, kernel, *geometry)


@st.composite
def shapes(draw: Any) -> dict[str, Any]:
    """Draw a small convolution: all strides, paddings, dilations and groups, images without a pixel to spare."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups, kernel, stride, dilation = draw(st.integers(1, 3)), pair(1, 4), pair(1, 3), pair(1, 3)
    padding = (pair(0, 3), pair(0, 3))
    reach = [dilation[i] * (kernel[i] - 1) + 1 - sum(padding[i]) for i in (0, 1)]
    image = (max(1, reach[0] + draw(st.integers(0, 9))), max(1, reach[1] + draw(st.integers(0, 9))))
    return {
        "sizes": (draw(st.integers(0, 3)), groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 6))),
        "image": image,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "dtype": draw(st.sampled_from(["float32", "float64"])),
    }


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=20, deadline=None)
@given(drawn=shapes(), descending=st.booleans(), few=st.booleans())
def test_any_geometry(way: str, drawn: dict[str, Any], descending: bool, few: bool) -> None:
    with taking(way), launches(descending, few):
        check(**drawn)


# Beyond one tile of filters, pixels and depth in each direction.
LARGE = {
    "sizes": (3, 6, 70),
    "image": (9, 8),
    "kernel": (3, 3),
    "stride": (1, 1),
    "padding": ((1, 1), (1, 0)),
    "dilation": (1, 1),
    "groups": 2,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("descending", [False, True])
def test_several_tiles(way: str, dtype: str, descending: bool) -> None:
    with taking(way, block_bytes=1), launches(descending, False):
        check(**LARGE, dtype=dtype)
    with taking(way), launches(descending, True):
        check(**LARGE | {"stride": (2, 1), "dilation": (1, 2)}, dtype=dtype)


def test_one_pixel_kernels_multiply_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    point = LARGE | {"kernel": (1, 1), "padding": ((0, 0), (0, 0)), "dtype": "float32"}
    for name in ("im2col", "col2im", "tiled", "direct"):
        monkeypatch.setattr(convolution, name, None)
    for groups in (1, 2):
        check(**point | {"groups": groups})


def test_each_size_goes_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    went = []
    for name in ("direct", "tiled", "im2col", "col2im", "input_grad_direct", "weight_grad_direct"):
        kernel = getattr(convolution, name)
        monkeypatch.setattr(
            convolution, name, lambda *args, name=name, kernel=kernel, **kwargs: (went.append(name), kernel(*args))[1]
        )
    for sizes, groups, ways in (
        ((2, 4, 4), 4, {"direct", "input_grad_direct", "weight_grad_direct"}),
        ((2, 6, 16), 1, {"tiled", "im2col", "input_grad_direct"}),
        ((2, 16, 16), 1, {"tiled", "im2col"}),
        ((2, 40, 40), 1, {"im2col", "col2im"}),
    ):
        went.clear()
        check(**LARGE | {"sizes": sizes, "groups": groups, "dtype": "float32"})
        assert set(went) == ways


def test_any_layout() -> None:
    x = RNG.standard_normal((2, 5, 6, 3)).astype("f4").transpose(0, 3, 1, 2)
    weight = RNG.standard_normal((3, 3, 5, 3)).astype("f4").transpose(3, 1, 2, 0)[..., ::-1]
    bias = RNG.standard_normal(6).astype("f4")[::2]
    rest = (1, 1), ((1, 1), (1, 1)), (1, 1), 1, (3, 6)
    for way in WAYS:
        with taking(way):
            compare(convolution.conv2d, reference.conv2d, x, weight, bias, *rest)


def test_nan_goes_through_relu() -> None:
    x, weight = np.full((1, 2, 3, 3), np.nan, "f4"), np.ones((5, 2, 1, 1), "f4")
    for way in WAYS:
        with taking(way):
            rest = (1, 1), ((0, 0), (0, 0)), (1, 1), 1, (3, 3), True
            compare(convolution.conv2d, reference.conv2d, x, weight, None, *rest)


def test_what_32_bits_do_not_count_is_left_to_the_reference() -> None:
    class Huge:
        shape = (1, 1, 2**16, 2**15)

    geometry = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    weight = np.zeros((1, 1, 1, 1))
    assert convolution.conv2d(Huge, weight, None, *geometry, (1, 1)) is NotImplemented
    assert convolution.conv2d_input_grad(Huge, weight, (1, 1), *geometry) is NotImplemented
    assert convolution.conv2d_weight_grad(Huge, weight, (1, 1), *geometry) is NotImplemented


# More than a tile of filters and of depth, more pixels than a small block has threads, windows over each edge.
ODD = {
    "sizes": (2, 6, 66),
    "image": (7, 13),
    "kernel": (3, 2),
    "stride": (2, 1),
    "padding": ((2, 1), (1, 2)),
    "dilation": (1, 2),
    "groups": 2,
    "dtype": "float32",
}
EDGES = ODD | {"padding": ((1, 2), (2, 0))}


def checks(way: str) -> Any:
    """Return a check of one way, on grids as they are and on small ones."""

    def run() -> None:
        with taking(way):
            check(**ODD)
            with few_blocks():
                check(**EDGES)

    return run


IM2COL, COL2IM, FINISH = "convolution.cu:im2col", "convolution.cu:col2im", "convolution.cu:finish"
DIRECT, TILED = "convolution.cu:conv2d_direct", "convolution.cu:conv2d_tiled"
INPUT, WEIGHT = "convolution.cu:conv2d_input_grad_direct", "convolution.cu:conv2d_weight_grad_direct"
FAULTS = [
    Fault(kernel, old, new, checks(way))
    for way, kernel, changes in (
        (
            "unfolded",
            IM2COL,
            [
                ("h < H", "h <= H"),
                ("w < W", "w <= W"),
                ("w >= 0 &&", ""),
                ("p < pixels", "p <= pixels"),
                ("plane < planes", "plane < planes - 1"),
                ("plane % C", "plane / C"),
                ("r * dilation_h", "r * dilation_w"),
                ("c * R * S * row_step", "c * row_step"),
                ("p += gridDim.y * blockDim.x", "p += blockDim.x * gridDim.x"),
            ],
        ),
        (
            "unfolded",
            COL2IM,
            [
                (">= OH", "> OH"),
                (">= OW", "> OW"),
                ("h % stride_h ||", ""),
                ("w < 0 ||", ""),
                ("sum += ", "sum = "),
                ("p < pixels", "p <= pixels"),
                ("r * S + s", "r * R + s"),
            ],
        ),
        (
            "unfolded",
            FINISH,
            [("p < pixels", "p <= pixels"), ("plane % K", "plane / K"), ("value < 0", "value > 0"), ("relu &&", "")],
        ),
        (
            "direct",
            DIRECT,
            [
                ("h < H", "h <= H"),
                ("w >= 0 &&", ""),
                ("k / filters", "k % filters"),
                ("c < channels", "c <= channels"),
                ("s < S", "s < S - 1"),
                ("sum += added", "sum -= added"),
            ],
        ),
        (
            "direct",
            INPUT,
            [
                ("c / channels", "c % channels"),
                ("k < first + filters", "k <= first + filters"),
                (">= OW", "> OW"),
                ("p % W", "p / W"),
                ("h % stride_h ||", ""),
            ],
        ),
        (
            "direct",
            WEIGHT,
            [
                ("__syncthreads();", ""),
                ("half > 0", "half > 1"),
                ("n < N", "n <= N"),
                ("h < H", "h <= H"),
                ("k / filters * channels", "0"),
                ("threadIdx.x < half", "threadIdx.x <= half"),
            ],
        ),
        (
            "tiled",
            TILED,
            [
                ("__syncthreads();  // the tables", "// the tables"),
                ("__syncthreads();  // the tiles", "// the tiles"),
                ("&& start + d < depth;", ";"),
                ("first_k + k < filters &&", ""),
                ("exists && start", "start"),
                ("h < H", "h <= H"),
                ("place >= 0", "true"),
                ("k >= filters", "k > filters"),
                ("+ 8 * i]", "+ 4 * i]"),
                ("start += TILE_DEPTH", "start += TILE_DEPTH + 1"),
                ("group * channels", "group"),
            ],
        ),
    )
    for old, new in changes
]
