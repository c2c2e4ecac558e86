"""Classification metrics, held to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError, DataError, DTypeError, RangeError, ShapeError
from minidl.training import accuracy, classification_report, confusion_matrix, precision_recall_f1

labels = st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5)), min_size=1, max_size=40).map(
    lambda pairs: tuple(np.array(x) for x in zip(*pairs, strict=True))
)
EVERY = [accuracy, confusion_matrix, precision_recall_f1, classification_report]


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=25, deadline=None)
@given(labels)
def test_equal_to_scikit_learn(pair):
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, true = pair
    assert accuracy(predicted, true) == pytest.approx(sklearn.accuracy_score(true, predicted))
    np.testing.assert_array_equal(confusion_matrix(predicted, true), sklearn.confusion_matrix(true, predicted))
    for normalize in ("true", "pred", "all"):
        np.testing.assert_allclose(
            confusion_matrix(predicted, true, normalize=normalize),
            sklearn.confusion_matrix(true, predicted, normalize=normalize),
        )
    for average in (None, "micro", "macro", "weighted"):
        expected = sklearn.precision_recall_fscore_support(true, predicted, average=average, zero_division=0)
        found = precision_recall_f1(predicted, true, average)
        for a, b in zip(found[:3], expected[:3], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
        np.testing.assert_array_equal(found.support, len(true) if average else expected[3])
    if (predicted == true).any():  # otherwise scikit-learn prints the support with a decimal place
        report = sklearn.classification_report(true, predicted, zero_division=0)
        assert classification_report(predicted, true) == report


@settings(max_examples=25, deadline=None)
@given(labels)
def test_equal_to_scikit_learn_with_a_number_of_classes(pair):
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, true = (np.maximum(x, 0) for x in pair)
    known = {"labels": range(7)}
    np.testing.assert_array_equal(
        confusion_matrix(predicted, true, 7), sklearn.confusion_matrix(true, predicted, **known)
    )
    for average in (None, "micro", "macro", "weighted"):
        expected = sklearn.precision_recall_fscore_support(true, predicted, average=average, zero_division=0, **known)
        found = precision_recall_f1(predicted, true, average, num_classes=7)
        for a, b in zip(found[:3], expected[:3], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    predicted[0] = true[0]  # with nothing right, scikit-learn prints the support with a decimal place
    names = ["a", "a class with a long name", "c", "d", "e", "f", "g"]
    expected = sklearn.classification_report(
        true, predicted, target_names=names, digits=4, zero_division=0, labels=range(7)
    )
    assert classification_report(predicted, true, classes=names, digits=4) == expected


def test_by_hand():
    predicted, true = [0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 0, 3]
    assert accuracy(predicted, true) == 0.5
    assert confusion_matrix(predicted, true).tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    precision, recall, f1, support = precision_recall_f1(predicted, true)
    np.testing.assert_allclose(precision, [1 / 2, 2 / 3, 0, 0])
    np.testing.assert_allclose(recall, [1 / 2, 2 / 3, 0, 0])  # classes 2 and 3: nothing to divide by counts as 0
    np.testing.assert_allclose(f1, [1 / 2, 2 / 3, 0, 0])
    assert support.tolist() == [2, 3, 0, 1]
    assert precision_recall_f1(predicted, true, "micro")[:3] == (0.5, 0.5, 0.5)
    assert precision_recall_f1(predicted, true, "macro").f1 == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert precision_recall_f1(predicted, true, "weighted").f1 == pytest.approx((1 + 2) / 6)
    assert confusion_matrix(predicted, true, normalize="true")[1].tolist() == pytest.approx([1 / 3, 2 / 3, 0, 0])
    assert confusion_matrix(predicted, true, normalize="pred")[:, 1].tolist() == pytest.approx([1 / 3, 2 / 3, 0, 0])


def test_results_are_plain():
    assert type(accuracy([1], [1])) is float
    matrix = confusion_matrix(minidl.tensor([1, 0]), minidl.tensor([1, 1]))
    assert type(matrix) is np.ndarray
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[0, 0], [1, 1]]  # rows are the true classes
    averaged = precision_recall_f1([0, 1], [0, 0], "macro")
    assert [type(x) for x in averaged] == [float, float, float, int]
    assert averaged.support == 2


@pytest.mark.parametrize("make", [np.array, minidl.tensor, list])
def test_scores_are_taken_by_their_largest(make):
    scores = make([[0.1, 0.7, 0.2], [0.9, 0.0, 0.1], [0.3, 0.3, 0.4]])
    assert accuracy(scores, make([1, 0, 0])) == pytest.approx(2 / 3)
    assert confusion_matrix(scores, make([1, 0, 0])).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_pixels():
    rng = np.random.default_rng(0)
    scores, true = rng.random((2, 4, 5, 6)), rng.integers(0, 4, (2, 5, 6))  # (N, C, H, W), (N, H, W)
    assert accuracy(scores, true) == (scores.argmax(1) == true).mean()
    assert confusion_matrix(scores, true).sum() == 60


def test_booleans_and_whole_floats_are_labels():
    assert accuracy(np.array([True, False]), [1, 1]) == 0.5
    assert accuracy([1.0, 0.0], np.array([1, 0])) == 1
    assert confusion_matrix(np.array([0.9, 0.2]) > 0.5, [1, 1]).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("metric", EVERY)
def test_errors(metric):
    name = metric.__name__
    with pytest.raises(
        ShapeError, match=rf"{name}: predictions of shape \(3,\) and targets of shape \(2,\) do not fit"
    ):
        metric([1, 2, 3], [1, 2])
    with pytest.raises(ShapeError, match=r"targets of shape \(3, 2\) do not fit: expected predictions .* first"):
        metric([0, 1, 1], [[0.1, 0.9], [0.4, 0.6], [0.3, 0.7]])
    with pytest.raises(ShapeError, match=r"predictions of shape \(4, 2\) and targets of shape \(3,\)"):
        metric(np.zeros((4, 2)), [0, 1, 1])
    with pytest.raises(ShapeError, match=r"one score a sample has no largest class.*> 0\.5"):
        metric([[0.3], [0.8]], [0, 1])
    with pytest.raises(ShapeError, match="do not fit"):
        metric(1, 1)
    with pytest.raises(DataError, match=f"{name}: there are no samples"):
        metric([], [])
    with pytest.raises(DTypeError, match=f"{name}: predictions must be labels.*argmax"):
        metric([0.3, 0.8], [0, 1])
    with pytest.raises(DTypeError, match="targets must be labels"):
        metric([0, 1], [0.5, np.inf])
    with pytest.raises(DTypeError, match="predictions must be labels, whole numbers; got <U1"):
        metric(["a"], [0])


def test_errors_of_arguments():
    for metric in (confusion_matrix, precision_recall_f1, classification_report):
        with pytest.raises(RangeError, match="there is a target 3, but labels must be 0 to 2"):
            metric([0, 1], [0, 3], num_classes=3)
        with pytest.raises(RangeError, match="there is a prediction -1, but labels must be 0 to 2"):
            metric([0, -1], [0, 2], num_classes=3)
    with pytest.raises(ArgumentError, match="normalize must be"):
        confusion_matrix([0], [0], normalize="rows")
    with pytest.raises(ArgumentError, match="average must be"):
        precision_recall_f1([0], [0], average="binary")
    with pytest.raises(ArgumentError, match="2 names for num_classes=3"):
        classification_report([0], [0], classes=["a", "b"], num_classes=3)
