"""Streaming accuracies, held to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

import minidl
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
from minidl.training import metrics
from tests.training.metrics.splits import FORMS, batches, fed, weights_of

forms = st.sampled_from(list(FORMS))


@settings(max_examples=30, deadline=None)
@given(batches(), forms)
def test_equal_to_scikit_learn(drawn, form) -> None:
    rng, n, split, weighted = drawn
    weight = weights_of(rng, n, weighted)
    scores, labels = rng.permuted(np.tile(np.arange(5.0), (n, 1)), axis=1), rng.integers(0, 5, n)
    one_hot, found = np.eye(5)[labels], scores.argmax(axis=1)
    expected = pytest.approx(sklearn.accuracy_score(labels, found, sample_weight=weight))
    assert fed(metrics.Accuracy(), split, found, labels, weight, form=form) == expected
    assert fed(metrics.Accuracy(), split, scores, labels, weight, form=form) == expected
    assert fed(metrics.SparseCategoricalAccuracy(), split, scores, labels, weight, form=form) == expected
    assert fed(metrics.SparseCategoricalAccuracy(-1), split, scores, labels[:, None], weight, form=form) == expected
    assert fed(metrics.CategoricalAccuracy(), split, scores, one_hot, weight, form=form) == expected
    for k in (1, 2, 4):
        expected = pytest.approx(
            sklearn.top_k_accuracy_score(labels, scores, k=k, labels=range(5), sample_weight=weight)
        )
        assert fed(metrics.SparseTopKCategoricalAccuracy(k), split, scores, labels, weight, form=form) == expected
        assert fed(metrics.TopKCategoricalAccuracy(k), split, scores, one_hot, weight, form=form) == expected
    chances, truth = rng.random(n), rng.integers(0, 2, n)
    for threshold in (0.5, 0.2):
        expected = pytest.approx(sklearn.accuracy_score(truth, chances > threshold, sample_weight=weight))
        assert fed(metrics.BinaryAccuracy(threshold), split, chances, truth, weight, form=form) == expected
        assert fed(metrics.BinaryAccuracy(threshold), split, chances[:, None], truth, weight, form=form) == expected


def test_more_axes() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((2, 4, 3, 5)), rng.integers(0, 4, (2, 3, 5))  # (N, C, H, W), (N, H, W)
    share = (scores.argmax(1) == labels).mean()
    assert metrics.Accuracy()(scores, labels) == pytest.approx(share)
    assert metrics.SparseCategoricalAccuracy()(scores, labels) == pytest.approx(share)
    last = np.moveaxis(scores, 1, -1)
    assert metrics.SparseCategoricalAccuracy(axis=-1)(last, labels) == pytest.approx(share)
    assert metrics.CategoricalAccuracy(axis=-1)(last, np.eye(4)[labels]) == pytest.approx(share)
    weight = rng.random((2, 3, 5))
    expected = np.average(scores.argmax(1) == labels, weights=weight)
    assert metrics.SparseCategoricalAccuracy()(scores, labels, weight) == pytest.approx(expected)
    rank = (last > np.take_along_axis(last, labels[..., None], -1)).sum(-1)
    assert metrics.SparseTopKCategoricalAccuracy(2)(scores, labels) == pytest.approx((rank < 2).mean())


def test_nan_is_never_right() -> None:
    scores = [[np.nan, 1.0, 0.0], [0.0, np.nan, 1.0]]
    assert metrics.SparseTopKCategoricalAccuracy(2)(scores, [0, 1]) == 0
    assert metrics.BinaryAccuracy()([np.nan, np.nan], [1, 1]) == 0


def test_ties_at_the_top() -> None:
    assert metrics.SparseCategoricalAccuracy()([[0.5, 0.5]], [0]) == 1
    assert metrics.SparseCategoricalAccuracy()([[0.5, 0.5]], [1]) == 0
    assert metrics.SparseTopKCategoricalAccuracy(1)([[0.5, 0.5]], [1]) == 1


@pytest.mark.parametrize("kind", [metrics.SparseCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy])
def test_errors_of_labels(kind) -> None:
    scores = np.zeros((3, 4))
    with pytest.raises(RangeError, match=r"there is a target 4, but labels must be 0 to 3; subtract 1"):
        kind()(scores, [0, 4, 1])
    with pytest.raises(RangeError, match="there is a target -1"):
        kind()(minidl.tensor(scores, device="cpu"), minidl.tensor([0, -1, 1], device="cpu"))
    with pytest.raises(DTypeError, match=r"targets must be labels, whole numbers; found 0\.5"):
        kind()(scores, [0, 0.5, 1])
    with pytest.raises(
        ShapeError, match=r"\(3, 4\) and targets of shape \(3, 4\) do not fit: expected a label .*\(3,\)"
    ):
        kind()(scores, scores)
    with pytest.raises(ShapeError, match=r"scores of shape \(3,\) have no classes along axis 1"):
        kind()(np.zeros(3), [0, 1, 0])
    assert kind()(scores, [0.0, 0.0, 0.0]) == 1  # whole floats are labels


@pytest.mark.parametrize("kind", [metrics.SparseCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy])
@pytest.mark.parametrize("wrong", [-1, 4])
def test_a_wrong_label_is_never_counted_in_silence(kind, wrong: int) -> None:
    """It is an error where looking is free; on a GPU, which nobody waits for, the result shows it."""
    scores, labels = minidl.zeros(3, 4), minidl.tensor([0, wrong, 1])
    if labels.device == "cpu":
        with pytest.raises(RangeError, match=f"there is a target {wrong}"):
            kind()(scores, labels)
    else:
        assert np.isnan(kind()(scores, labels))


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"one-hot targets have the shape of the scores; labels are for Sparse"):
        metrics.CategoricalAccuracy()(np.zeros((3, 4)), [0, 1, 2])
    for k in (0, 1.5, None):
        with pytest.raises(ArgumentError, match="k must be a positive integer"):
            metrics.TopKCategoricalAccuracy(k)
    with pytest.raises(
        ShapeError, match=r"\(2, 3\) and targets of shape \(2,\) do not fit: their shapes must be equal"
    ):
        metrics.BinaryAccuracy()(np.zeros((2, 3)), [0, 1])
    with pytest.raises(RangeError, match="there is a target 2, but labels must be 0 to 1"):
        metrics.Accuracy()([[0.1, 0.9]], [2])
