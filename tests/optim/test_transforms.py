"""What happens to gradients before a step, and to parameters after it."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.optim.transforms import GradientSum, ParameterAverage, clip_by_global_norm, clip_by_norm, clip_by_value

SHAPES = [(3, 4), (5,), ()]


def grads(dtype: str, size: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.asarray(size * rng.standard_normal(shape), dtype) for shape in SHAPES]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0.0, 0.01, 1.0, 100.0])
def test_clipping(dtype: str, size: float) -> None:
    given = grads(dtype, size)
    kept = [g.copy() for g in given]
    total = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in given))
    for g, each, together, value in zip(
        given,
        clip_by_norm(given, 0.7),
        clip_by_global_norm(given, 0.7),
        clip_by_value(given, 0.7),
        strict=True,
    ):
        norm = np.sqrt((g.astype("float64") ** 2).sum())
        assert each.dtype == together.dtype == value.dtype == dtype
        tolerance = 1e-6 if dtype == "float32" else 1e-14
        np.testing.assert_allclose(each, g * (0.7 / max(norm, 0.7)), rtol=tolerance)
        np.testing.assert_allclose(together, g * min(1.0, 0.7 / max(total, 1e-30)), rtol=tolerance)
        limit = np.asarray(0.7, dtype)
        np.testing.assert_array_equal(value, np.minimum(np.maximum(g, -limit), limit))
    for g, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(g, before)


def test_a_global_norm_that_is_not_finite_spares_no_gradient() -> None:
    clipped = clip_by_global_norm([np.array([np.inf]), np.array([1.0])], 1.0)
    assert np.isnan(clipped[0]).all()
    assert np.isnan(clipped[1]).all()


def test_gradient_sum() -> None:
    rng = np.random.default_rng(0)
    total = GradientSum([np.zeros((2, 3), "float32")])
    for _ in range(2):
        batches = [rng.standard_normal((2, 3)).astype("float32") for _ in range(3)]
        total.add(0, batches[0])
        total.add(0, batches[1])
        mean = total.mean(0, batches[2], 3)
        assert mean.dtype == "float32"
        np.testing.assert_allclose(mean, np.mean(batches, 0), rtol=1e-5, atol=1e-6)
        total.clear()
    assert not total.arrays[0].any()


def test_parameter_average() -> None:
    p = np.array([1.0, 2.0], "float32")
    average = ParameterAverage([p])
    average.update([p], 0.0)
    np.testing.assert_array_equal(average.arrays[0], p)
    average.update([3 * p], 0.75)
    np.testing.assert_array_equal(average.arrays[0], 1.5 * p)
    q = np.zeros(2, "float32")
    average.copy_to([q])
    np.testing.assert_array_equal(q, 1.5 * p)
    q += 1
    np.testing.assert_array_equal(average.arrays[0], 1.5 * p)  # a copy, not the same memory
