"""Softmax and cross entropy on the GPU against the reference: axes, shapes, extremes, labels, weights, smoothing."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.backend.devices import cupy
from minidl.kernels import reference
from minidl.kernels.gpu import losses
from tests.kernels.gpu.harness import Fault, few_blocks

RNG = np.random.default_rng(0)
TOLERANCE = {"f4": 2e-6, "f8": 1e-14}
#: Few classes, an inner axis, or many in a row: a thread or a warp a line; the last ones are not full.
SHAPES = [
    ((5, 7), 1),
    ((300, 3), 1),
    ((3, 4, 5), 1),
    ((2, 70, 6), 1),
    ((4, 64), 1),
    ((9, 101), -1),
    ((7,), 0),
    ((6, 2), 0),
]
PAIRS = [("softmax", "softmax_grad"), ("log_softmax", "log_softmax_grad")]


def same(found: Any, wanted: Any, dtype: str) -> None:
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.get(), wanted, rtol=TOLERANCE[dtype] * 10, atol=TOLERANCE[dtype])


def check_softmax(xp: Any, function: str, rule: str, shape: Any, axis: int, dtype: str) -> None:
    x = (RNG.standard_normal(shape[::-1]) * 3).astype(dtype).T  # not C-contiguous
    y = getattr(reference, function)(x, axis)
    same(getattr(losses, function)(xp.asarray(x), axis), y, dtype)
    grad = RNG.standard_normal(shape).astype(dtype)
    same(getattr(losses, rule)(xp.asarray(grad), xp.asarray(y), axis), getattr(reference, rule)(grad, y, axis), dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize(("function", "rule"), PAIRS)
def test_softmax(xp: Any, function: str, rule: str, shape: Any, axis: int, dtype: str) -> None:
    check_softmax(xp, function, rule, shape, axis, dtype)


@pytest.mark.parametrize("classes", [4, 80])
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_extremes(xp: Any, classes: int, function: str) -> None:
    x = np.zeros((6, classes), "f4")
    x[0, 1], x[1, 2], x[2, :], x[3, 0], x[4, 3], x[5, 1] = 1e38, -np.inf, -np.inf, np.nan, np.inf, np.nan
    with np.errstate(all="ignore"):
        same(getattr(losses, function)(xp.asarray(x), 1), getattr(reference, function)(x, 1), "f4")


def test_no_elements_and_no_axes(xp: Any) -> None:
    assert losses.softmax(xp.zeros((0, 3), "f4"), 1).shape == (0, 3)
    assert losses.softmax_grad(xp.zeros((2, 0), "f4"), xp.zeros((2, 0), "f4"), 1).shape == (2, 0)
    assert losses.log_softmax(xp.zeros((), "f4"), -1) is NotImplemented
    found, shares, gradient = losses.cross_entropy(xp.zeros((0, 3), "f4"), xp.zeros(0, "i8"), None, None, 0.0, True)
    assert (found.shape, shares, gradient.shape) == ((0,), None, (0, 3))


def check_cross_entropy(
    xp: Any, shape: Any, dtype: str, weighted: bool, ignoring: bool, smoothing: float, graded: bool = True
) -> None:
    classes, spots = shape[1], (shape[0], *shape[2:])
    x = (RNG.standard_normal(shape) * 3).astype(dtype)
    labels = RNG.integers(classes, size=spots)
    weight = RNG.uniform(0.1, 2, classes).astype(dtype) if weighted else None
    counts = RNG.random(spots) < 0.7 if ignoring else None
    here = [None if a is None else xp.asarray(a) for a in (x, labels, counts, weight)]
    if ignoring:  # whatever stands there
        here[1] = xp.where(here[2], here[1], -100)
    found = losses.cross_entropy(*here, smoothing, graded)
    wanted = reference.cross_entropy(x, labels, counts, weight, smoothing, graded)
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            same(a, b, dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(5, 10), (300, 3), (2, 3, 4, 5), (3, 70, 2), (6, 64), (5, 101), (1, 1)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("ignoring", "smoothing"), [(False, 0.0), (True, 0.0), (False, 0.3), (True, 0.3)])
def test_cross_entropy(xp: Any, shape: Any, dtype: str, weighted: bool, ignoring: bool, smoothing: float) -> None:
    check_cross_entropy(xp, shape, dtype, weighted, ignoring, smoothing)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 140), st.integers(1, 3)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.booleans(),
)
def test_any_shape(xp: Any, shape: Any, weighted: bool, ignoring: bool, smoothing: float, graded: bool) -> None:
    check_cross_entropy(xp, shape[: 3 if shape[2] > 1 else 2], "f8", weighted, ignoring, smoothing, graded)


@pytest.mark.parametrize("classes", [5, 90])
@pytest.mark.parametrize("module", [losses, reference])
def test_labels_that_are_no_class(xp: Any, classes: int, module: Any) -> None:
    """Nobody looks at them, to not wait for the GPU; so they must not pass for right, nor spoil their neighbours."""
    x = xp.asarray(RNG.standard_normal((4, classes)).astype("f4"))
    labels = xp.asarray(np.array([1, -1, classes, 0], "i4"))
    found, _, gradient = module.cross_entropy(x, labels, None, None, 0.0, True)
    assert np.isnan(found.get()).tolist() == [False, True, True, False]
    assert np.isnan(gradient.get()).all(1).tolist() == [False, True, True, False]
    counts = xp.asarray(np.array([True, False, False, True]))
    found, shares, gradient = module.cross_entropy(x, labels, counts, None, 0.0, True)
    assert found.get()[1:3].tolist() == [0, 0] == shares.get()[1:3].tolist()
    assert not gradient.get()[1:3].any()
    assert np.isfinite(gradient.get()).all()


def check_axis(*shapes: Any) -> None:
    """Check both functions along axis 1, in several rounds of a small grid."""
    with few_blocks():
        for shape in shapes:
            for function, rule in PAIRS:
                check_softmax(cupy(), function, rule, shape, 1, "f8")


def check_labels(*shapes: Any) -> None:
    with few_blocks():
        for shape in shapes:
            check_cross_entropy(cupy(), shape, "f8", True, True, 0.3)
            check_cross_entropy(cupy(), shape, "f8", False, False, 0.0)
            check_cross_entropy(cupy(), shape, "f8", True, False, 0.0, graded=False)


LINES = (700, 3), (3, 4, 5)
ROWS = (29, 101), (5, 64)
FAULTS = [
    Fault(f"softmax.cu:{kernel}", old, new, functools.partial(check, *shapes))
    for kernel, check, shapes, changes in (
        (
            "softmax_lines",
            check_axis,
            LINES,
            [
                ("line < lines", "line <= lines"),
                ("c * inner] - top);", "c * inner]);"),
                ("line % inner", "0"),
                ("line / inner", "line"),
                ("z - log_total", "z"),
            ],
        ),
        (
            "softmax_rows",
            check_axis,
            ROWS,
            [
                ("row < rows", "row <= rows"),
                ("threadIdx.x % 32", "threadIdx.x % 31"),
                ("total = warp_sum(total);", ""),
                ("top = warp_max(top);", ""),
                ("row += warps", "row += warps + 1"),
                ("exp(z) / total", "exp(z)"),
            ],
        ),
        (
            "softmax_grad_lines",
            check_axis,
            LINES,
            [
                ("line < lines", "line < lines - 1"),
                ("c < classes", "c <= classes"),
                ("c * inner", "c"),
                ("logarithm ? grad[at] : ", ""),
                ("- exp(y[at]) * total", "- total"),
            ],
        ),
        (
            "softmax_grad_rows",
            check_axis,
            ROWS,
            [
                ("row < rows", "row <= rows"),
                ("c < classes", "c < classes - 1"),
                ("total = warp_sum(total);", ""),
                ("grad[at] - total", "grad[at] + total"),
            ],
        ),
        (
            "cross_entropy_lines",
            check_labels,
            LINES,
            [
                ("line < lines", "line <= lines"),
                ("c < classes", "c <= classes"),
                ("of.label * inner", "of.label"),
                ("weights += w;", ""),
                ("smooth += w *", "smooth +="),
                ("of.own + of.each * weights", "of.own"),
            ],
        ),
        (
            "cross_entropy_rows",
            check_labels,
            ROWS,
            [
                ("row < rows", "row <= rows"),
                ("lane == 0", "lane == 1 && row % 2"),
                ("total = warp_sum(total);", ""),
                ("smooth = warp_sum(smooth);", ""),
                ("weights = warp_sum(weights);", ""),
                ("total += exp(of_x[c] - top)", "total += exp(of_x[c])"),
                ("weight ? weight[c] : (REAL)1, c)", "(REAL)1, c)"),
            ],
        ),
    )
    for old, new in changes
]
