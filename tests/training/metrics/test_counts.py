"""Streaming precision, recall, F-scores and confusion matrices, held to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn

from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
from minidl.training import metrics
from tests.training.metrics.splits import batches, fed, weights_of

SCORES = [
    (metrics.Precision, {}, sklearn.precision_score, {}),
    (metrics.Recall, {}, sklearn.recall_score, {}),
    (metrics.F1, {}, sklearn.f1_score, {}),
    (metrics.FBeta, {"beta": 2.0}, sklearn.fbeta_score, {"beta": 2.0}),
    (metrics.FBeta, {"beta": 0.5}, sklearn.fbeta_score, {"beta": 0.5}),
]
scores_of = pytest.mark.parametrize(("kind", "own", "function", "theirs"), SCORES)


@scores_of
@settings(max_examples=12, deadline=None)
@given(batches())
def test_classes(kind, own, function, theirs, drawn) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    scores, labels = rng.random((n, 4)), rng.integers(0, 4, n)
    found = scores.argmax(axis=1)
    for average in (None, "micro", "macro", "weighted"):
        expected = function(
            labels, found, average=average, labels=range(4), sample_weight=weight, zero_division=0, **theirs
        )
        for metric, prediction, target in [
            (kind(average=average, **own), scores, labels),
            (kind(average=average, num_classes=4, **own), found, labels),
            (kind(average=average, **own), scores, np.eye(4, dtype=int)[labels]),
        ]:
            np.testing.assert_allclose(fed(metric, split, prediction, target, weight), expected, atol=1e-12)


@scores_of
@settings(max_examples=12, deadline=None)
@given(batches())
def test_two_classes_and_many_labels(kind, own, function, theirs, drawn) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    chances, truth = rng.random((n, 3)), rng.integers(0, 2, (n, 3))
    options = {"sample_weight": weight, "zero_division": 0, **theirs}
    expected = [function(truth[:, 0], chances[:, 0] > t, **options) for t in (0.7, 0.1, 0.5)]
    several = fed(kind(threshold=[0.7, 0.1, 0.5], **own), split, chances[:, 0], truth[:, 0], weight)
    np.testing.assert_allclose(several, expected, atol=1e-12)
    one = fed(kind(**own), split, chances[:, :1], truth[:, 0], weight)
    assert type(one) is float
    assert one == pytest.approx(expected[2], abs=1e-12)
    for average in (None, "micro", "macro", "weighted"):
        expected = function(truth, chances > 0.4, average=average, **options)
        found = fed(kind(average=average, threshold=0.4, **own), split, chances, truth, weight)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(batches())
def test_confusion_matrix(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    scores, labels = rng.random((n, 4)), rng.integers(0, 4, n)
    found = scores.argmax(axis=1)
    for normalize in (None, "true", "pred", "all"):
        expected = sklearn.confusion_matrix(labels, found, labels=range(4), sample_weight=weight, normalize=normalize)
        for prediction in (scores, found):
            matrix = fed(metrics.ConfusionMatrix(4, normalize), split, prediction, labels, weight)
            np.testing.assert_allclose(matrix, expected, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(batches())
def test_counts_at_thresholds(drawn) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    w = np.ones((n, 1)) if weight is None else weight[:, None]
    scores, truth = rng.integers(0, 6, (n, 2)) / 5, rng.integers(0, 2, (n, 2))
    thresholds = [0.6, 0.0, 1.0, 0.6, 0.3]  # in no order, one twice, some met exactly
    for per_label in (False, True):
        counts = fed(metrics.BinaryCounts(thresholds, per_label), split, scores, truth, weight)
        for t, threshold in enumerate(thresholds):
            above = scores > threshold
            for found, part in zip(counts, [above & (truth == 1), above & (truth == 0)], strict=False):
                np.testing.assert_allclose(found[t], (w * part).sum(axis=0 if per_label else None), atol=1e-12)
            below = [~above & (truth == 0), ~above & (truth == 1)]
            for found, part in zip(counts[2:], below, strict=True):
                np.testing.assert_allclose(found[t], (w * part).sum(axis=0 if per_label else None), atol=1e-12)


def test_what_is_not_there_is_exactly_zero() -> None:
    """Were the misses a difference of rounded sums, a trace would be left, and a rate of traces is anything."""
    weight = np.full(1001, 0.1)
    counts = metrics.BinaryCounts([0.0])(np.linspace(0.1, 1, 1001), np.ones(1001), weight)
    assert counts.false_negatives[0] == 0
    assert counts.false_positives[0] == 0


def test_thresholds_are_met_in_the_scores_precision() -> None:
    assert metrics.Precision(threshold=0.3)(np.float32([0.3, 0.4]), [0, 1]) == 1
    assert metrics.BinaryCounts(0.5)([np.nan, 1.0], [1, 1]).true_positives == 1


def test_pixels_and_their_weights() -> None:
    rng = np.random.default_rng(0)
    scores, labels, weight = rng.random((2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5)), rng.random((2, 4, 5))
    options = {"average": "macro", "sample_weight": weight.ravel()}
    expected = sklearn.f1_score(labels.ravel(), scores.argmax(1).ravel(), **options)
    assert metrics.F1("macro")(scores, labels, weight) == pytest.approx(expected)
    indicators = np.moveaxis(np.eye(3)[labels], -1, 1)
    assert metrics.F1("macro")(scores, indicators, weight[:, None]) == pytest.approx(expected)
    assert metrics.F1("macro", axis=-1)(np.moveaxis(scores, 1, -1), labels, weight) == pytest.approx(expected)


def test_epsilon() -> None:
    assert metrics.FBeta(epsilon=1.0)([1.0], [1]) == pytest.approx(2 * 0.25 / 2)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="f1: average must be 'binary', 'micro', 'macro', 'weighted' or None"):
        metrics.F1("mean")
    with pytest.raises(ArgumentError, match="several thresholds are for average='binary', got average='macro'"):
        metrics.Recall("macro", threshold=[0.1, 0.2])
    with pytest.raises(ArgumentError, match="beta must be positive, got 0"):
        metrics.FBeta(0)
    with pytest.raises(RangeError, match="precision: targets must be 0 or 1, found 2; compare them"):
        metrics.Precision()([0.1, 0.9], [0, 2])
    with pytest.raises(RangeError, match="targets must be 0 or 1, found -1"):
        metrics.F1("macro")(np.zeros((2, 2)), [[1, -1], [0, 1]])
    with pytest.raises(ArgumentError, match="labels don't tell how many classes there are; give num_classes="):
        metrics.F1("macro")([0, 1], [0, 1])
    with pytest.raises(ShapeError, match="with a threshold, each needs an axis of classes"):
        metrics.F1("macro", threshold=0.5)([0.1, 0.9], [0, 1])
    with pytest.raises(ShapeError, match="num_classes=4, but axis 1 has 3 scores"):
        metrics.F1("macro", num_classes=4)(np.zeros((2, 3)), [0, 1])
    with pytest.raises(RangeError, match="there is a prediction 3, but labels must be 0 to 2"):
        metrics.ConfusionMatrix(3)([3, 0], [0, 1])
    with pytest.raises(RangeError, match="there is a target 3, but labels must be 0 to 2"):
        metrics.ConfusionMatrix(3)([0, 0], [0, 3])
    with pytest.raises(DTypeError, match=r"predictions must be labels, whole numbers; found 0\.5"):
        metrics.ConfusionMatrix(3)([0.5, 0], [0, 1])
    with pytest.raises(ArgumentError, match="num_classes must be a positive integer, got 0"):
        metrics.ConfusionMatrix(0)
    with pytest.raises(ArgumentError, match="normalize must be"):
        metrics.ConfusionMatrix(2, "rows")
    with pytest.raises(ShapeError, match=r"labels counted by themselves need scores \(N, L\), got \(2,\)"):
        metrics.BinaryCounts(per_label=True)([0.1, 0.2], [0, 1])
    with pytest.raises(NotImplementedError, match="PrecisionRecall has no score"):
        metrics.counts.PrecisionRecall()([1.0], [1])
