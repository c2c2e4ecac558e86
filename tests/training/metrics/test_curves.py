"""Areas under curves, held to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn

from minidl.errors import ArgumentError, DataError, NumericalWarning, RangeError, ShapeError
from minidl.training import metrics
from tests.training.metrics.splits import batches, fed, weights_of


def area_under_precision(truth: np.ndarray, scores: np.ndarray, sample_weight: np.ndarray | None) -> float:
    precision, recall, _ = sklearn.precision_recall_curve(truth, scores, sample_weight=sample_weight)
    return sklearn.auc(recall, precision)


@settings(max_examples=30, deadline=None)
@given(batches())
def test_exact_areas(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = None if not weighted else weights_of(rng, n, True) + 0.5 * (np.arange(n) < 2)
    scores, truth = rng.integers(0, 8, n) / 7, rng.integers(0, 2, n)  # with ties
    truth[:2] = 0, 1
    for metric, function in [
        (metrics.AUC(), sklearn.roc_auc_score),
        (metrics.AUC("PR"), area_under_precision),
        (metrics.AveragePrecision(), sklearn.average_precision_score),
    ]:
        expected = function(truth, scores, sample_weight=weight)
        assert fed(metric, split, scores, truth, weight) == pytest.approx(expected, abs=1e-12)
        assert fed(metric, split, scores[:, None], truth, weight, form="tensor") == pytest.approx(expected, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(batches())
def test_exact_areas_of_several_labels(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = rng.random(n) + 0.1 if weighted else None
    scores, truth = rng.random((n, 3)), rng.integers(0, 2, (n, 3))
    truth[:2] = [[0, 1, 1], [1, 0, 0]]
    for average in (None, "macro", "micro", "weighted"):
        for kind, function in [
            (metrics.AUC, sklearn.roc_auc_score),
            (metrics.AveragePrecision, sklearn.average_precision_score),
        ]:
            expected = function(truth, scores, average=average, sample_weight=weight)
            np.testing.assert_allclose(fed(kind(average=average), split, scores, truth, weight), expected)


def test_each_class_against_all_others() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((30, 3)), rng.integers(0, 3, 30)
    chances = scores / scores.sum(axis=1, keepdims=True)
    for average in ("macro", "weighted"):
        expected = sklearn.roc_auc_score(labels, chances, multi_class="ovr", average=average)
        assert metrics.AUC(average=average)(chances, labels) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(batches())
def test_binned_areas_are_exact_where_scores_lie_between_the_thresholds(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = rng.random(n) + 0.1 if weighted else None
    scores, truth = (rng.integers(0, 10, n) + 0.5) / 10, rng.integers(0, 2, n)
    truth[:2] = 0, 1
    expected = sklearn.roc_auc_score(truth, scores, sample_weight=weight)
    assert fed(metrics.BinnedAUC(11), split, scores, truth, weight) == pytest.approx(expected)
    inner = metrics.BinnedAUC(thresholds=np.arange(9, 0, -1) / 10)
    assert fed(inner, split, scores, truth, weight) == pytest.approx(expected)
    low, middle, high = (
        fed(metrics.BinnedAUC(11, summation=how), split, scores, truth, weight)
        for how in ("minoring", "interpolation", "majoring")
    )
    assert low <= middle <= high


def test_binned_areas_of_several_labels() -> None:
    rng = np.random.default_rng(0)
    scores, truth, weight = rng.random((20, 3)), rng.integers(0, 2, (20, 3)), rng.random(20)
    each = [metrics.BinnedAUC(50)(scores[:, i], truth[:, i], weight) for i in range(3)]
    assert metrics.BinnedAUC(50, per_label=True)(scores, truth, weight) == pytest.approx(np.mean(each))
    weighed = metrics.BinnedAUC(50, per_label=True, label_weights=[1, 2, 0])(scores, truth, weight)
    assert weighed == pytest.approx((each[0] + 2 * each[1]) / 3)
    flat = metrics.BinnedAUC(50)(scores, truth, weight[:, None] * [1, 2, 0])
    assert metrics.BinnedAUC(50, label_weights=[1, 2, 0])(scores, truth, weight) == pytest.approx(flat)


def test_many_thresholds_come_near_the_exact_area() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    scores = np.clip(0.3 * truth + 0.7 * rng.random(2000), 0, 1)
    for curve in ("ROC", "PR"):
        exact, binned = metrics.AUC(curve)(scores, truth), metrics.BinnedAUC(1000, curve)(scores, truth)
        assert binned == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("target", [0, 1])
def test_one_class_has_no_area(target) -> None:
    with pytest.warns(NumericalWarning, match="auc: all samples are of one class"):
        assert np.isnan(metrics.AUC()([0.1, 0.9], [target, target]))
    if target == 0:
        with pytest.warns(NumericalWarning, match="average_precision: all samples are of one class"):
            assert np.isnan(metrics.AveragePrecision()([0.1, 0.9], [0, 0]))
    else:
        assert metrics.AveragePrecision()([0.1, 0.9], [1, 1]) == 1


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="auc: curve must be 'ROC' or 'PR', got 'roc'"):
        metrics.AUC("roc")
    with pytest.raises(ArgumentError, match="average must be 'micro', 'macro', 'weighted' or None, got 'binary'"):
        metrics.AUC(average="binary")
    with pytest.raises(DataError, match="1 of the scores are nan"):
        metrics.AUC()([0.1, np.nan], [0, 1])
    with pytest.raises(RangeError, match="targets must be 0 or 1, found 2"):
        metrics.AUC()([0.1, 0.2], [0, 2])
    with pytest.raises(RangeError, match="there is a target 3, but labels must be 0 to 1"):
        metrics.AUC()([[0.1, 0.2]], [3])
    with pytest.raises(ShapeError, match=r"expected scores \(N,\) or \(N, L\), got \(1, 2, 3\)"):
        metrics.AUC()(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))
    with pytest.raises(ArgumentError, match="num_thresholds must be at least 2, got 1"):
        metrics.BinnedAUC(1)
    with pytest.raises(ArgumentError, match="curve must be 'ROC', 'PR' or 'PRGAIN', got 'roc'"):
        metrics.BinnedAUC(curve="roc")
    with pytest.raises(ShapeError, match=r"binned_auc: 2 label_weights need predictions \(N, 2\), got \(1, 3\)"):
        metrics.BinnedAUC(label_weights=[1, 2])([[0.1, 0.2, 0.3]], [[0, 1, 0]])
    with pytest.raises(ArgumentError, match="summation must be"):
        metrics.BinnedAUC(summation="sum")
    with pytest.raises(RangeError, match=r"thresholds must be from 0 to 1, got \[0\.5, 2\]"):
        metrics.BinnedAUC(thresholds=[0.5, 2])
    with pytest.raises(NotImplementedError, match="Area has no area"):
        metrics.curves.Area()([0.1, 0.2], [0, 1])
