"""Compiled pooling and its gradients are the reference's to the bit: windows, layouts, extremes, threads, margins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import minidl
from minidl.kernels import reference
from minidl.kernels.cpu import pooling, threads

RNG = np.random.default_rng(0)
POISON = 7777.0


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(pooling, "LEAST_WORK", 1)
    yield
    threads.set_num_threads(before)


def random_image(shape: tuple[int, ...], dtype: str, extremes: bool = False) -> np.ndarray:
    """Return an image with many ties, and if ``extremes``, with NaN, infinities and zeros of both signs."""
    x = RNG.integers(-3, 3, shape).astype(dtype)
    if extremes:
        for value in (np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).tiny):
            x[RNG.random(shape) < 0.1] = value
    return x


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``x`` laid out as it is, with channels last, in Fortran order, reversed, with gaps, read-only."""
    gaps = np.full([2 * n for n in x.shape], 99, x.dtype)
    spaced = gaps[(slice(None, None, 2),) * x.ndim]
    spaced[...] = x
    flip = (slice(None, None, -1),) * x.ndim
    fixed = x.copy()
    fixed.flags.writeable = False
    return {
        "planes": x,
        "channels last": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "Fortran": np.asfortranarray(x),
        "reversed": np.ascontiguousarray(x[flip])[flip],
        "gaps": spaced,
        "read-only": fixed,
    }


def windows(image: tuple[int, int], kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, int]:
    """Return how many windows there are."""
    sizes = [(image[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
    return sizes[0], sizes[1]


def equal(got: Any, expected: Any) -> None:
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected, strict=True)
    if got.dtype.kind == "f":
        ordinary = ~np.isnan(got)
        np.testing.assert_array_equal(np.signbit(got[ordinary]), np.signbit(expected[ordinary]))


def check_max(x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any) -> None:
    """Compare largest elements, where they stood, and the gradient."""
    arguments = kernel, stride, padding, dilation, size
    values, indices = pooling.max_pool2d(x, *arguments)
    expected, places = reference.max_pool2d(x, *arguments)
    equal(values, expected)
    equal(indices.astype("int64"), places)
    grad = RNG.standard_normal(values.shape).astype(x.dtype)
    equal(pooling.scatter_planes(grad, indices, x.shape[2:]), reference.scatter_planes(grad, places, x.shape[2:]))


def check_average(x: np.ndarray, kernel: Any, stride: Any, padding: Any, size: Any, *how: Any) -> None:
    """Compare averages and the gradient."""
    y = pooling.avg_pool2d(x, kernel, stride, padding, size, *how)
    equal(y, reference.avg_pool2d(x, kernel, stride, padding, size, *how))
    grad = layouts(RNG.standard_normal(y.shape).astype(x.dtype))[
        "channels last" if y.strides[1] == y.itemsize else "planes"
    ]
    arguments = x.shape[2:], kernel, stride, padding, *how
    equal(pooling.avg_pool2d_grad(grad, *arguments), reference.avg_pool2d_grad(grad, *arguments))


GEOMETRIES = {
    "squares": ((2, 2), (2, 2), (0, 0), (1, 1)),
    "overlapping": ((3, 3), (2, 2), (1, 1), (1, 1)),
    "dense": ((3, 2), (1, 1), (1, 0), (1, 1)),
    "apart": ((2, 1), (3, 4), (0, 0), (1, 1)),
    "dilated": ((2, 3), (2, 1), (1, 1), (3, 2)),
    "one pixel": ((1, 1), (1, 1), (0, 0), (1, 1)),
}
SHAPES = [(2, 3, 26, 26), (1, 67, 7, 9), (3, 2, 5, 71), (2, 1, 4, 4), (1, 1, 13, 1), (0, 2, 4, 4), (2, 0, 4, 4)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_geometries(geometry: Any, dtype: str) -> None:
    kernel, stride, padding, dilation = geometry
    for shape in SHAPES:
        size = windows(shape[2:], *geometry)
        if min(size) < 1:
            continue
        for layout in ("planes", "channels last"):
            check_max(layouts(random_image(shape, dtype, extremes=True))[layout], *geometry, size)
            x = layouts(RNG.standard_normal(shape).astype(dtype))[layout]
            for how in ((True, None), (False, None), (True, 5)):
                if dilation == (1, 1) and (how[0] or all(p < k for p, k in zip(padding, kernel, strict=True))):
                    check_average(x, kernel, stride, padding, size, *how)


@pytest.mark.parametrize("layout", layouts(np.zeros((1, 1, 1, 1))))
def test_layouts(layout: str) -> None:
    x = layouts(random_image((2, 3, 7, 6), "float32", extremes=True))[layout]
    check_max(x, (2, 2), (2, 2), (0, 0), (1, 1), (3, 3))
    check_max(x, (3, 2), (2, 2), (1, 1), (1, 1), windows((7, 6), (3, 2), (2, 2), (1, 1), (1, 1)))
    check_average(layouts(RNG.standard_normal((2, 3, 7, 6)))[layout], (2, 2), (2, 2), (0, 0), (3, 3), True, None)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random(data: Any) -> None:
    pair = lambda low, high: (data.draw(st.integers(low, high)), data.draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, dilation = pair(1, 4), pair(1, 4), pair(1, 3)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    needed = [max(1, dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i]) for i in (0, 1)]
    shape = (*pair(1, 3), *(n + extra for n, extra in zip(needed, pair(0, 19), strict=True)))
    layout = data.draw(st.sampled_from(["planes", "channels last"]))
    ceil = data.draw(st.booleans())
    size = windows(shape[2:], kernel, stride, padding, dilation)
    if ceil:  # a last window that sticks out, if it begins within the image
        size = tuple(n + (n * stride[i] < shape[2 + i] + padding[i]) for i, n in enumerate(size))
    x = layouts(random_image(shape, data.draw(st.sampled_from(["float32", "float64"])), extremes=True))[layout]
    check_max(x, kernel, stride, padding, dilation, size)
    if dilation == (1, 1):
        check_average(layouts(random_image(shape, "float32"))[layout], kernel, stride, padding, size, True, None)


def test_threads_do_not_show() -> None:
    x = RNG.standard_normal((3, 70, 11, 12)).astype("float32")
    for image in (x, layouts(x)["channels last"]):
        results = []
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            values, indices = pooling.max_pool2d(image, (3, 3), (2, 2), (1, 1), (1, 1), (6, 6))
            back = pooling.scatter_planes(values, indices, (11, 12))
            mean = pooling.avg_pool2d(image, (3, 3), (2, 2), (1, 1), (6, 6), True, None)
            mean_back = pooling.avg_pool2d_grad(mean, (11, 12), (3, 3), (2, 2), (1, 1), True, None)
            results.append([a.tobytes() for a in (values, indices, back, mean, mean_back)])
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("last", [False, True])
def test_results_stay_within_their_arrays(last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = []

    def guarded(shape: tuple[int, ...], dtype: Any, last: bool) -> tuple[Any, Any]:
        N, C, H, W = shape
        stored = (N, H, W, C) if last else shape
        block = np.full(int(np.prod(shape)) + 256, POISON).astype(dtype)
        out = block[128:-128].reshape(stored)
        blocks.append(block)
        return out, out.transpose(0, 3, 1, 2) if last else out

    monkeypatch.setattr(pooling, "blank", guarded)
    for shape in ((2, 3, 27, 26), (1, 65, 5, 7), (1, 1, 3, 3)):
        x = layouts(RNG.standard_normal(shape).astype("float32"))["channels last" if last else "planes"]
        for geometry in GEOMETRIES.values():
            size = windows(shape[2:], *geometry)
            if min(size) < 1:
                continue
            check_max(x, *geometry, size)
            if geometry[3] == (1, 1):
                check_average(x, *geometry[:3], size, True, None)
    assert len(blocks) > 20
    for block in blocks:
        margins = np.concatenate([block[:128], block[-128:]])
        assert (margins == np.array(POISON).astype(block.dtype)).all()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("index", [-1, 16, 2**31 - 1])
def test_an_index_outside_of_the_plane_is_refused(index: int, last: bool) -> None:
    indices = np.zeros((2, 3, 2, 2), np.int32)
    indices[1, 2, 0, 1] = index
    if last:
        indices = layouts(indices)["channels last"]
    with pytest.raises(IndexError, match="not in 0 to 15"):
        pooling.scatter_planes(np.ones((2, 3, 2, 2), np.float32), indices, (4, 4))


@pytest.mark.parametrize("size", [(6, 8), (7, 8), (6, 9), (7, 67)])
def test_indices_that_leave_their_squares_are_followed(size: tuple[int, int]) -> None:
    """As those of other windows, or made by hand, may: for what looks like 2 x 2 pooling, too."""
    shape = (2, 3, size[0] // 2, size[1] // 2)
    x = RNG.standard_normal((2, 3, *size)).astype("float32")
    _, indices = pooling.max_pool2d(x, (2, 2), (2, 2), (0, 0), (1, 1), shape[2:])
    grad = RNG.standard_normal(shape).astype("float32")
    for place in (None, (0, 0, 0, 0), (1, 2, 2, shape[3] - 1), (1, 0, 1, 2)):
        moved = indices.copy()
        if place is not None:
            moved[place] = size[0] * size[1] - 1 if place[2] == 0 else 0
        equal(pooling.scatter_planes(grad, moved, size), reference.scatter_planes(grad, moved, size))


def test_through_the_operation() -> None:
    """Large enough to be compiled: values, int64 indices, first and second derivatives."""
    x = minidl.tensor(RNG.standard_normal((8, 4, 24, 26)).astype("float32"), requires_grad=True)
    y, indices = minidl.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert indices.array.dtype == np.int64
    expected = reference.max_pool2d(x.array, (2, 2), (2, 2), (0, 0), (1, 1), (12, 13))
    equal(y.array, expected[0])
    equal(indices.array, expected[1])
    (grad,) = minidl.grad((minidl.nn.functional.max_pool2d(x, 2) ** 2).sum(), x, create_graph=True)
    (second,) = minidl.grad((grad**2).sum(), x)
    chosen = reference.scatter_planes(np.ones_like(expected[0]), expected[1], (24, 26)) != 0
    np.testing.assert_allclose(grad.array, np.where(chosen, 2 * x.array, 0), rtol=1e-6)
    np.testing.assert_allclose(second.array, np.where(chosen, 8 * x.array, 0), rtol=1e-6)


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    x = random_image((3, 5, 11, 14), "float32")
    for kernel, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 0)):
        size = windows((11, 14), (kernel,) * 2, (stride,) * 2, (padding,) * 2, (1, 1))
        values, indices = pooling.max_pool2d(x, (kernel,) * 2, (stride,) * 2, (padding,) * 2, (1, 1), size)
        theirs = torch.nn.functional.max_pool2d(torch.from_numpy(x), kernel, stride, padding, return_indices=True)
        np.testing.assert_array_equal(values, theirs[0].numpy())
        np.testing.assert_array_equal(indices, theirs[1].numpy())
