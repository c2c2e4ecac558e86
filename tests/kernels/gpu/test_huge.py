"""The last elements of arrays of more than 2^31: places in memory take 64 bits, and grids more than 65535 planes.

The arrays take no memory but where something is written. Of each launch, only the last blocks run.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minidl.backend.devices import cupy
from minidl.kernels.gpu import launcher
from minidl.kernels.gpu.launcher import BLOCK, Kernel, plane_grid
from tests.cuda_on_cpu.executor import only_the_last_blocks
from tests.kernels.gpu.harness import Fault
from tests.stand_in.arrays import ndarray

NORESERVE = 0x4000  # Linux's MAP_NORESERVE, which Python does not name
SIDE = 16
PIXELS = SIDE * SIDE
PLANES = 2**31 // PIXELS + 1
LAST = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype("f4")  # of the last plane
ONE, NONE = (1, 1), (0, 0)
SAME = (SIDE, SIDE, *ONE, SIDE, SIDE, *ONE, *NONE)  # windows of one pixel: H W R S OH OW stride padding


def huge(elements: int = PLANES * PIXELS, dtype: str = "f4") -> Any:
    """Return an array on the device whose memory is not there yet."""
    size = elements * np.dtype(dtype).itemsize
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
    return ndarray._of(np.frombuffer(memory, dtype, elements))


def image() -> Any:
    """Return planes of which the last holds something."""
    x = huge()
    x[-PIXELS:] = cupy().asarray(LAST.ravel())
    return x


def end(array: Any) -> np.ndarray:
    """Return the last plane."""
    return array[-PIXELS:].get().reshape(SIDE, SIDE)


def small(values: list[float]) -> Any:
    return cupy().asarray(np.array(values, "f4"))


@contextlib.contextmanager
def last_blocks(count: int = 1) -> Iterator[None]:
    """Have a block for each plane, or for each 256 elements, and run the last ones."""
    with pytest.MonkeyPatch.context() as patch, only_the_last_blocks(count):
        patch.setattr(launcher, "MOST_BLOCKS", 2**31 - 1)
        yield


def relu() -> None:
    x, y = image(), huge()
    Kernel("elementwise.cu", "relu")(x.size // BLOCK, BLOCK, x, y, x.size)
    np.testing.assert_array_equal(end(y), np.maximum(LAST, 0))


def relu_grad() -> None:
    x, y = image(), huge()
    Kernel("elementwise.cu", "relu_grad")(x.size // BLOCK, BLOCK, x, x, y, x.size)
    np.testing.assert_array_equal(end(y), np.maximum(LAST, 0))


def channel_sums() -> None:
    sums = huge(PLANES)
    Kernel("elementwise.cu", "channel_sums")(PLANES, BLOCK, image(), None, None, sums, PLANES, 1, PIXELS, PLANES)
    np.testing.assert_allclose(sums[-1:].get(), LAST.sum(), rtol=1e-5)


def max_pool2d() -> None:
    x, y, places = image(), huge(), huge(dtype="i8")
    Kernel("pooling.cu", "max_pool2d")(*plane_grid(PLANES, PIXELS), x, y, places, PLANES, *SAME, *ONE)
    np.testing.assert_array_equal(end(y), LAST)
    np.testing.assert_array_equal(places[-PIXELS:].get(), np.arange(PIXELS))


def max_pool2d_grad() -> None:
    x, y, places = image(), huge(), huge(dtype="i8")
    places[-PIXELS:] = cupy().asarray(np.arange(PIXELS))
    Kernel("pooling.cu", "max_pool2d_grad")(*plane_grid(PLANES, PIXELS), x, places, y, PLANES, *SAME, *ONE)
    np.testing.assert_array_equal(end(y), LAST)


def avg_pool2d() -> None:
    x, y = image(), huge()
    Kernel("pooling.cu", "avg_pool2d")(*plane_grid(PLANES, PIXELS), x, y, PLANES, *SAME, True, 0)
    np.testing.assert_array_equal(end(y), LAST)


def avg_pool2d_grad() -> None:
    x, y = image(), huge()
    Kernel("pooling.cu", "avg_pool2d_grad")(*plane_grid(PLANES, PIXELS), x, y, PLANES, *SAME, True, 0)
    np.testing.assert_array_equal(end(y), LAST)


def im2col() -> None:
    x, y = image(), huge()  # one image of many channels: its rows lie far apart
    Kernel("convolution.cu", "im2col")(*plane_grid(PLANES, PIXELS), x, y, PLANES, PLANES, *SAME, *ONE, 1, PIXELS)
    np.testing.assert_array_equal(end(y), LAST)


def col2im() -> None:
    x, y = image(), huge()
    Kernel("convolution.cu", "col2im")(*plane_grid(PLANES, PIXELS), x, y, PLANES, *SAME, *ONE)
    np.testing.assert_array_equal(end(y), LAST)


def finish() -> None:
    y = image()
    Kernel("convolution.cu", "finish")(*plane_grid(PLANES, PIXELS), y, small([1]), PLANES, 1, PIXELS, False)
    np.testing.assert_array_equal(end(y), LAST + 1)


def direct() -> None:
    x, y, weight = image(), huge(), small([2])
    kernel = Kernel("convolution.cu", "conv2d_direct")
    kernel(*plane_grid(PLANES, PIXELS), x, weight, None, y, PLANES, 1, 1, *SAME, *ONE, 1, False)
    np.testing.assert_array_equal(end(y), 2 * LAST)


def input_grad_direct() -> None:
    x, y, weight = image(), huge(), small([2])
    kernel = Kernel("convolution.cu", "conv2d_input_grad_direct")
    kernel(*plane_grid(PLANES, PIXELS), x, weight, y, PLANES, 1, 1, *SAME, *ONE, 1)
    np.testing.assert_array_equal(end(y), 2 * LAST)


def tiled() -> None:
    x, y, weight = image(), huge(), small([2])
    kernel, tiles = Kernel("convolution.cu", "conv2d_tiled"), PLANES * PIXELS // 64
    with only_the_last_blocks(4):
        kernel(tiles, 128, x, weight, None, y, PLANES, 1, 1, *SAME, *ONE, 1, False)
    np.testing.assert_array_equal(end(y), 2 * LAST)


def finish_rows() -> None:
    y, rows = image(), PLANES * SIDE
    Kernel("products.cu", "finish_rows")(*plane_grid(rows, SIDE), y, small([1] * SIDE), rows, SIDE, False)
    np.testing.assert_array_equal(end(y)[-1], LAST[-1] + 1)


def tiled_matmul() -> None:
    rows = 2**20 - 16  # 65535 tiles: a grid's second axis ends there
    depth = 2**31 // rows + 9  # more than 2^31 elements
    x, product = huge(rows * depth), huge(rows * 16)
    x[-16:] = small([*range(16)])  # of the last row
    ones = cupy().asarray(np.ones((depth, 16), "f4"))
    Kernel("products.cu", "tiled_matmul")((1, 65535), (16, 16), x, ones, product, rows, 16, depth)
    np.testing.assert_array_equal(product[-32:].get(), [0] * 16 + [120] * 16)


CHECKS = [relu, relu_grad, channel_sums, max_pool2d, max_pool2d_grad, avg_pool2d, avg_pool2d_grad]
CHECKS += [im2col, col2im, finish, direct, input_grad_direct, tiled, finish_rows, tiled_matmul]


@pytest.mark.skipif(sys.platform != "linux", reason="memory that is not there until it is written to: Linux's")
@pytest.mark.parametrize("check", CHECKS)
def test_the_last_blocks(check: Callable[[], None], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("device") == "gpu":
        pytest.skip("a GPU runs all blocks")
    with last_blocks():
        check()


def of_last_blocks(check: Callable[[], None]) -> Callable[[], None]:
    """Return a check of the last blocks alone."""

    def run() -> None:
        with last_blocks():
            check()

    return run


FAULTS = [
    Fault(kernel, old, new, of_last_blocks(check))
    for check, kernel, old, new in (
        (relu, "elementwise.cu:relu", "long long i = (long long)blockIdx.x", "int i = (int)blockIdx.x"),
        (channel_sums, "elementwise.cu:channel_sums", "long long i =", "int i ="),
        (max_pool2d, "pooling.cu:max_pool2d", "x + plane * H * W", "x + (int)plane * H * W"),
        (max_pool2d_grad, "pooling.cu:max_pool2d_grad", "long long first = plane", "int first = (int)plane"),
        (avg_pool2d, "pooling.cu:avg_pool2d", "x + plane * H * W", "x + (int)plane * H * W"),
        (im2col, "convolution.cu:im2col", "c * R * S * row_step", "(int)c * R * S * (int)row_step"),
        (col2im, "convolution.cu:col2im", "x[plane * pixels", "x[(int)plane * (int)pixels"),
        (direct, "convolution.cu:conv2d_direct", "y[plane * pixels", "y[(int)plane * (int)pixels"),
        (tiled, "convolution.cu:conv2d_tiled", "(long long)blockIdx.x * TILE_PIXELS", "(int)blockIdx.x * TILE_PIXELS"),
        (finish_rows, "products.cu:finish_rows", "y[n * U + u] + bias", "y[(int)n * U + u] + bias"),
        (tiled_matmul, "products.cu:tiled_matmul", "A[row * K", "A[(int)row * K"),
    )
]
