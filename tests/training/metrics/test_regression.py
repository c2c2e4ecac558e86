"""Metrics of numbers, held to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn
from sklearn.metrics.pairwise import paired_cosine_distances

from minidl.errors import ArgumentError, NumericalWarning, ShapeError
from minidl.training import metrics
from tests.training.metrics.splits import batches, fed, weights_of


@settings(max_examples=30, deadline=None)
@given(batches())
def test_errors_of_numbers(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    for shape in [(n,), (n, 3)]:
        x, y = rng.standard_normal(shape), rng.standard_normal(shape)
        for metric, function in [
            (metrics.MeanSquaredError(), sklearn.mean_squared_error),
            (metrics.MeanAbsoluteError(), sklearn.mean_absolute_error),
            (metrics.MeanAbsolutePercentageError(), sklearn.mean_absolute_percentage_error),
        ]:
            expected = pytest.approx(function(y, x, sample_weight=weight), rel=1e-12)
            assert fed(metric, split, x, y, weight) == expected
        root = fed(metrics.RootMeanSquaredError(), split, x, y, weight)
        assert root == pytest.approx(np.sqrt(sklearn.mean_squared_error(y, x, sample_weight=weight)))
    expected = np.average(1 - paired_cosine_distances(x, y), weights=weight)
    assert fed(metrics.CosineSimilarity(), split, x, y, weight) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(batches())
def test_r2(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    if weighted:
        weight += 0.1 * (np.arange(n) < 2)
    y = rng.standard_normal((n, 3)) * [1, 10, 0.1] + [0, 1e6, -5]  # far from zero, where squares would cancel
    x = y + rng.standard_normal((n, 3)) * [0.5, 5, 0.1]
    for average, theirs in [
        (None, "raw_values"),
        ("uniform", "uniform_average"),
        ("variance_weighted", "variance_weighted"),
    ]:
        expected = sklearn.r2_score(y, x, sample_weight=weight, multioutput=theirs)
        np.testing.assert_allclose(fed(metrics.R2(average), split, x, y, weight), expected, rtol=1e-6)
    expected = sklearn.r2_score(y[:, 0], x[:, 0], sample_weight=weight)
    assert fed(metrics.R2(), split, x[:, 0], y[:, 0], weight) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_r2_of_targets_without_variance() -> None:
    for prediction in ([2.0, 2.0], [2.0, 3.0]):
        assert metrics.R2()(prediction, [2.0, 2.0]) == sklearn.r2_score([2.0, 2.0], prediction)
    target, prediction = np.array([[1.0, 2.0], [1.0, 3.0]]), np.array([[1.0, 2.5], [1.5, 3.0]])
    for average, theirs in [("uniform", "uniform_average"), ("variance_weighted", "variance_weighted")]:
        assert metrics.R2(average)(prediction, target) == sklearn.r2_score(target, prediction, multioutput=theirs)
    assert metrics.R2("variance_weighted")([2.0], [2.0]) == 1


def test_r2_survives_batches_of_no_weight() -> None:
    rng = np.random.default_rng(0)
    x, y, weight = rng.random(9), rng.random(9), np.array([0, 0, 0, 1, 2, 3, 0, 0, 0.0])
    split = [slice(0, 3), slice(3, 6), slice(6, 9)]
    expected = sklearn.r2_score(y, x, sample_weight=weight)
    assert fed(metrics.R2(), split, x, y, weight) == pytest.approx(expected)


def test_adjusted_r2() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(8), rng.random(8)
    plain = sklearn.r2_score(y, x)
    assert metrics.R2(num_regressors=3)(x, y) == pytest.approx(1 - (1 - plain) * 7 / 4)
    with pytest.warns(NumericalWarning, match="8 samples are too few to adjust the score for 7 regressors"):
        assert metrics.R2(num_regressors=7)(x, y) == pytest.approx(plain)


def test_float32_is_compared_exactly() -> None:
    x, y = np.float32([16777216.0]), np.array([16777217.0])
    assert metrics.MeanAbsoluteError()(x, y) == 1
    assert metrics.MeanSquaredError()(np.float32([1e30]), np.float32([0])) == pytest.approx(1e60)


def test_integers_do_not_wrap_around() -> None:
    assert metrics.MeanAbsoluteError()(np.uint8([1]), np.uint8([2])) == 1
    assert metrics.MeanSquaredError()(np.int8([100]), np.int8([-100])) == 40000


def test_one_axis_of_one_is_dropped() -> None:
    x, y = np.array([[1.0], [2.0]]), np.array([1.0, 4.0])
    for first, second in ((x, y), (y, x)):
        assert metrics.MeanSquaredError()(first, second) == 2
        assert metrics.MeanAbsolutePercentageError()(x, y) == 0.25
        assert metrics.R2()(first, second) == metrics.R2()(first.ravel(), second.ravel())


def test_errors() -> None:
    with pytest.raises(
        ShapeError, match=r"\(3, 1\) and targets of shape \(3, 2\) do not fit: their shapes must be equal"
    ):
        metrics.MeanSquaredError()(np.zeros((3, 1)), np.zeros((3, 2)))
    with pytest.raises(ShapeError, match=r"cosine_similarity: expected vectors, \(N, D\), got \(3,\)"):
        metrics.CosineSimilarity()(np.zeros(3), np.zeros(3))
    with pytest.raises(ShapeError, match=r"r2: expected numbers \(N,\) or \(N, D\), got \(1, 2, 3\)"):
        metrics.R2()(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))
    with pytest.raises(ArgumentError, match="average must be 'uniform', 'variance_weighted' or None, got 'mean'"):
        metrics.R2("mean")
    with pytest.raises(ArgumentError, match="num_regressors must not be negative, got -1"):
        metrics.R2(num_regressors=-1)
