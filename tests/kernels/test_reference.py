"""The reference kernels against loops that spell out the definitions, on odd shapes, strides and both float types."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels import reference as kernels

RNG = np.random.default_rng(0)


def relayouts(a: np.ndarray) -> list[np.ndarray]:
    """Return ``a`` as it is, in Fortran order, reversed in memory, and with gaps."""
    gaps = np.full([2 * n for n in a.shape], np.nan, a.dtype)
    spaced = gaps[(slice(None, None, 2),) * a.ndim]
    spaced[...] = a
    flip = (slice(None, None, -1),) * a.ndim
    return [a, np.asfortranarray(a), np.ascontiguousarray(a[flip])[flip], spaced]


def convolve_by_loops(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, size: Any
) -> np.ndarray:
    """Multiply and add, one product at a time."""
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    y = np.zeros((N, K, *size))
    for n, k, i, j in np.ndindex(N, K, *size):
        first = k // (K // groups) * (C // groups)
        y[n, k, i, j] = bias[k]
        for c, r, s in np.ndindex(C // groups, R, S):
            row = i * stride[0] + r * dilation[0] - padding[0][0]
            column = j * stride[1] + s * dilation[1] - padding[1][0]
            if 0 <= row < H and 0 <= column < W:
                y[n, k, i, j] += weight[k, c, r, s] * x[n, first + c, row, column]
    return y


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    """Draw the shapes and arguments of a small convolution."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups, kernel, dilation, stride = draw(st.integers(1, 2)), pair(1, 3), pair(1, 2), pair(1, 3)
    padding = (pair(0, 2), pair(0, 2))
    size = pair(1, 3)
    extra = pair(0, 2)  # pixels after the last window
    image = [
        max(
            1,
            stride[i] * (size[i] - 1)
            + dilation[i] * (kernel[i] - 1)
            + 1
            + min(extra[i], stride[i] - 1)
            - sum(padding[i]),
        )
        for i in (0, 1)
    ]
    size = tuple((image[i] + sum(padding[i]) - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    shapes = ((draw(st.integers(0, 2)), channels, *image), (filters, channels // groups, *kernel), (filters,))
    return {
        "arrays": [RNG.standard_normal(shape).astype(draw(st.sampled_from(["f4", "f8"]))) for shape in shapes],
        "geometry": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
        "size": size,
    }


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_convolution_and_its_gradients(drawn: dict[str, Any]) -> None:
    geometry, size = drawn["geometry"], drawn["size"]
    dtype = drawn["arrays"][0].dtype
    x, weight, bias = (a.astype(dtype) for a in drawn["arrays"])
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    want = convolve_by_loops(x, weight, bias, size=size, **geometry)
    for a, b in itertools.zip_longest(relayouts(x), relayouts(weight)):
        got = kernels.conv2d(a, b, bias, size=size, **geometry)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
        rectified = kernels.conv2d(a, b, bias, size=size, relu=True, **geometry)
        np.testing.assert_array_equal(rectified, np.where(got < 0, 0, got))

    # the gradients are the transposes: <grad, conv(x, w)> = <conv'(grad, w), x> = <conv''(x, grad), w>
    grad = RNG.standard_normal(want.shape).astype(dtype)
    inner = float((grad * (want - bias.reshape(-1, 1, 1))).sum())
    for g, b, a in zip(relayouts(grad), relayouts(weight), relayouts(x), strict=True):
        grad_x = kernels.conv2d_input_grad(g, b, x.shape[2:], **geometry)
        grad_weight = kernels.conv2d_weight_grad(a, g, weight.shape[2:], **geometry)
        assert (grad_x.shape, grad_x.dtype) == (x.shape, dtype)
        assert (grad_weight.shape, grad_weight.dtype) == (weight.shape, dtype)
        np.testing.assert_allclose((grad_x * x).sum(), inner, rtol=tolerance, atol=100 * tolerance)
        np.testing.assert_allclose((grad_weight * weight).sum(), inner, rtol=tolerance, atol=100 * tolerance)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_max_pooling(dtype: str) -> None:
    x = RNG.integers(-5, 5, (2, 3, 7, 8)).astype(dtype)
    kernel, stride, padding, dilation = (3, 2), (2, 3), (1, 1), (2, 1)
    size = (3, 3)
    want, where = np.zeros((2, 3, *size)), np.zeros((2, 3, *size), int)
    for n, c, i, j in np.ndindex(want.shape):
        cells = [
            (x[n, c, row, column], -(row * 8 + column))
            for row in range(2 * i - 1, 2 * i + 4, 2)
            for column in range(3 * j - 1, 3 * j + 1)
            if 0 <= row < 7 and 0 <= column < 8
        ]
        want[n, c, i, j], where[n, c, i, j] = max(cells)
    for a in relayouts(x) if dtype != "i8" else [x, np.asfortranarray(x)]:
        values, indices = kernels.max_pool2d(a, kernel, stride, padding, dilation, size)
        assert (values.dtype, indices.dtype) == (x.dtype, np.int64)
        np.testing.assert_array_equal(values, want)
        np.testing.assert_array_equal(indices, -where)
        np.testing.assert_array_equal(kernels.gather_planes(a, indices), want)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_scattering_is_the_transpose_of_gathering(dtype: str) -> None:
    x, y = RNG.standard_normal((2, 3, 4, 5)).astype(dtype), RNG.standard_normal((2, 3, 3, 2)).astype(dtype)
    indices = RNG.integers(0, 20, y.shape)
    for a, b, at in zip(relayouts(x), relayouts(y), [indices, np.asfortranarray(indices)] * 2, strict=True):
        scattered = kernels.scatter_planes(b, at, (4, 5))
        assert (scattered.shape, scattered.dtype) == (x.shape, x.dtype)
        np.testing.assert_allclose((scattered * x).sum(), (y * kernels.gather_planes(a, at)).sum(), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("count_include_pad", "divisor"), [(True, None), (False, None), (True, 5)])
def test_average_pooling(dtype: str, count_include_pad: bool, divisor: int | None) -> None:
    x = RNG.standard_normal((2, 3, 7, 8)).astype(dtype)
    kernel, stride, padding = (3, 2), (3, 3), (1, 1)
    size = (3, 3)
    want = np.zeros((2, 3, *size))
    for n, c, i, j in np.ndindex(want.shape):
        rows, columns = range(3 * i - 1, min(3 * i + 2, 8)), range(3 * j - 1, min(3 * j + 1, 9))
        inside = [x[n, c, row, column] for row in rows for column in columns if 0 <= row < 7 and 0 <= column < 8]
        count = divisor or (len(rows) * len(columns) if count_include_pad else max(len(inside), 1))
        want[n, c, i, j] = sum(inside) / count
    grad = RNG.standard_normal(want.shape).astype(dtype)
    for a, g in zip(relayouts(x), relayouts(grad), strict=True):
        y = kernels.avg_pool2d(a, kernel, stride, padding, size, count_include_pad, divisor)
        grad_x = kernels.avg_pool2d_grad(g, (7, 8), kernel, stride, padding, count_include_pad, divisor)
        assert y.dtype == grad_x.dtype == x.dtype
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose((grad_x * x).sum(), (grad * want).sum(), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (7, 5), (9, 2)])
def test_adaptive_pooling(dtype: str, size: tuple[int, int]) -> None:
    x = RNG.integers(-5, 5, (2, 3, 7, 5)).astype(dtype)
    largest, average = np.zeros((2, 3, *size)), np.zeros((2, 3, *size))
    for i, j in np.ndindex(size):
        rows = slice(i * 7 // size[0], int(np.ceil((i + 1) * 7 / size[0])))
        columns = slice(j * 5 // size[1], int(np.ceil((j + 1) * 5 / size[1])))
        largest[:, :, i, j] = x[:, :, rows, columns].max(axis=(2, 3))
        average[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    grad = RNG.standard_normal(average.shape).astype(dtype)
    for a, g in zip(relayouts(x), relayouts(grad), strict=True):
        values, indices = kernels.adaptive_max_pool2d(a, size)
        np.testing.assert_array_equal(values, largest)
        np.testing.assert_array_equal(kernels.gather_planes(x, indices), largest)
        y, grad_x = kernels.adaptive_avg_pool2d(a, size), kernels.adaptive_avg_pool2d_grad(g, (7, 5))
        assert y.dtype == grad_x.dtype == x.dtype
        np.testing.assert_allclose(y, average, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose((grad_x * x).sum(), (grad * average).sum(), rtol=1e-4, atol=1e-4)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def lstm_step(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, g, o = np.split(x + h, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x: np.ndarray, h: np.ndarray, state: np.ndarray) -> np.ndarray:
    (xr, xz, xn), (hr, hz, hn) = np.split(x, 3, axis=1), np.split(h, 3, axis=1)
    z = sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * state


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "relu"])
def test_recurrent_cells(cell: str, masked: bool, reverse: bool, dtype: str) -> None:
    T, N, D, U = 5, 3, 4, 2
    G = {"lstm": 4, "gru": 3}.get(cell, 1) * U
    shapes = [(T, N, D), (N, U), (N, U), (G, D), (G, U), (G,), (G,)]
    arrays = [RNG.standard_normal(shape).astype(dtype) for shape in shapes]
    mask = RNG.random((T, N)) < 0.6 if masked else np.ones((T, N), bool)
    x, h, c, weight_ih, weight_hh, bias_ih, bias_hh = (a.astype("f8") for a in arrays)
    want = np.zeros((T, N, U))
    for t in reversed(range(T)) if reverse else range(T):
        of_x, of_h = x[t] @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
        if cell == "lstm":
            new_h, new_c = lstm_step(of_x, of_h, c)
            c = np.where(mask[t][:, None], new_c, c)
        elif cell == "gru":
            new_h = gru_step(of_x, of_h, h)
        else:
            new_h = np.tanh(of_x + of_h) if cell == "tanh" else np.maximum(of_x + of_h, 0)
        h = want[t] = np.where(mask[t][:, None], new_h, h)
    tolerance = 1e-5 if dtype == "f4" else 1e-12
    for layout in range(4):
        given = [relayouts(a)[layout] for a in arrays]
        if cell != "lstm":
            given[2] = None
        states, cells, gates = kernels.recurrent_forward(*given, mask if masked else None, reverse, cell)
        output, first, last = (states[:-1], -1, 0) if reverse else (states[1:], 0, -1)
        assert states.dtype == gates.dtype == dtype
        np.testing.assert_allclose(output, want, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(states[first], arrays[1])
        if cell == "lstm":
            np.testing.assert_allclose(cells[last], c, rtol=tolerance, atol=tolerance)
            np.testing.assert_array_equal(cells[first], arrays[2])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_adding_rows(dtype: str) -> None:
    indices, rows = RNG.integers(0, 4, (3, 5)), RNG.standard_normal((3, 5, 2)).astype(dtype)
    want = np.zeros((6, 2))
    for i, j in np.ndindex(indices.shape):
        want[indices[i, j]] += rows[i, j]
    for a in relayouts(rows):
        got = kernels.add_rows(a, indices.astype(np.int32), 6)
        assert got.dtype == rows.dtype
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert not kernels.add_rows(rows[:0], indices[:0], 6).any()
