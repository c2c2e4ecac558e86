"""Metrics of classifiers: accuracy, confusion matrix, precision, recall, F1.

All take predictions first and targets second, as losses do, and give plain numbers or NumPy arrays. Predictions are
labels, or scores (logits or probabilities) with one more axis, the classes, of which the largest wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.autograd import Variable
from minidl.backend import to_numpy
from minidl.errors import ArgumentError, DataError, DTypeError, RangeError, ShapeError

__all__ = ["PrecisionRecallF1", "accuracy", "classification_report", "confusion_matrix", "precision_recall_f1"]


class PrecisionRecallF1(NamedTuple):
    """What :func:`precision_recall_f1` returns: an array (C,) each, or a number each if averaged."""

    precision: Any
    recall: Any
    f1: Any
    support: Any


def accuracy(predictions: Any, targets: Any) -> float:
    r"""Return the share of predictions that are right.

    .. math:: \frac{1}{N} \sum_i [\hat y_i = y_i]

    Parameters
    ----------
    predictions : Tensor or array (N,) of labels, or (N, C) of scores
        Further axes may follow: (N, ...) or (N, C, ...).
    targets : Tensor or array (N,) of labels, or (N, ...)

    Returns
    -------
    float, from 0 to 1

    Raises
    ------
    ShapeError
        If the shapes don't fit each other.
    DTypeError
        If labels are not integers.
    DataError
        If there are no samples.

    Examples
    --------
    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5

    References
    ----------
    ``sklearn.metrics.accuracy_score``.
    """
    predicted, true = _labels(predictions, targets, "accuracy")
    return float((predicted == true).mean())


def confusion_matrix(
    predictions: Any, targets: Any, num_classes: int | None = None, normalize: str | None = None
) -> np.ndarray:
    r"""Count how often each class was taken for each class.

    .. math:: M_{ab} = \sum_i [y_i = a]\,[\hat y_i = b]

    Parameters
    ----------
    predictions : Tensor or array (N,) of labels, or (N, C) of scores
    targets : Tensor or array (N,) of labels
    num_classes : int, optional
        The classes are 0 to ``num_classes - 1``; if left out, the labels that occur, in ascending order.
    normalize : {"true", "pred", "all"}, optional
        Divide by the sum of each row (true class), each column (predicted class), or by N.

    Returns
    -------
    array (C, C)
        A row for each true class, a column for each predicted one; int64, or float64 if normalized.

    Raises
    ------
    ShapeError
        If the shapes don't fit each other.
    DTypeError
        If labels are not integers.
    RangeError
        If a label is not below ``num_classes``.
    ArgumentError
        If ``normalize`` is unknown.
    DataError
        If there are no samples.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1])
    array([[1, 1],
           [0, 1]])

    References
    ----------
    ``sklearn.metrics.confusion_matrix`` (which takes the targets first).
    """
    if normalize not in (None, "true", "pred", "all"):
        raise ArgumentError(f"confusion_matrix: normalize must be 'true', 'pred', 'all' or None, got {normalize!r}")
    _, matrix = _confusion(predictions, targets, num_classes, "confusion_matrix")
    if normalize is None:
        return matrix
    axis = {"true": (1,), "pred": (0,), "all": (0, 1)}[normalize]
    return _divide(matrix, matrix.sum(axis=axis, keepdims=True))


def precision_recall_f1(
    predictions: Any, targets: Any, average: str | None = None, num_classes: int | None = None
) -> PrecisionRecallF1:
    r"""Return precision, recall and their harmonic mean, for each class or averaged.

    .. math:: P = \frac{TP}{TP + FP}, \quad R = \frac{TP}{TP + FN}, \quad F_1 = \frac{2 P R}{P + R}

    A quotient with nothing below the line (a class that was never predicted, or never occurred) counts as 0.

    Parameters
    ----------
    predictions : Tensor or array (N,) of labels, or (N, C) of scores
    targets : Tensor or array (N,) of labels
    average : {"micro", "macro", "weighted"}, optional
        ``"micro"`` counts over all classes before it divides, ``"macro"`` takes the mean over classes, ``"weighted"``
        the mean weighted by how often each class occurs; None gives each class by itself.
    num_classes : int, optional
        As for :func:`confusion_matrix`.

    Returns
    -------
    PrecisionRecallF1
        ``(precision, recall, f1, support)``: arrays (C,), or floats with the support (N) an int. Support is how often
        each class occurs among the targets.

    Raises
    ------
    ShapeError
        If the shapes don't fit each other.
    DTypeError
        If labels are not integers.
    RangeError
        If a label is not below ``num_classes``.
    ArgumentError
        If ``average`` is unknown.
    DataError
        If there are no samples.

    Examples
    --------
    >>> precision, recall, f1, support = precision_recall_f1([0, 1, 1], [0, 0, 1])
    >>> precision, recall
    (array([1. , 0.5]), array([0.5, 1. ]))

    References
    ----------
    ``sklearn.metrics.precision_recall_fscore_support`` with ``zero_division=0``.
    """
    if average not in (None, "micro", "macro", "weighted"):
        raise ArgumentError(
            f"precision_recall_f1: average must be 'micro', 'macro', 'weighted' or None, got {average!r}"
        )
    _, matrix = _confusion(predictions, targets, num_classes, "precision_recall_f1")
    return _scores(matrix, average)


def classification_report(
    predictions: Any,
    targets: Any,
    classes: Sequence[str] | None = None,
    num_classes: int | None = None,
    digits: int = 2,
) -> str:
    r"""Return a table to print: precision, recall and F1 of each class, the accuracy, and averages.

    .. math:: P = \frac{TP}{TP + FP}, \quad R = \frac{TP}{TP + FN}, \quad F_1 = \frac{2 P R}{P + R}

    Parameters
    ----------
    predictions : Tensor or array (N,) of labels, or (N, C) of scores
    targets : Tensor or array (N,) of labels
    classes : sequence of str, optional
        The name of each class 0, 1, ...
    num_classes : int, optional
        As for :func:`confusion_matrix`; the number of names, if there are names.
    digits : int
        Decimal places.

    Returns
    -------
    str

    Raises
    ------
    ShapeError
        If the shapes don't fit each other.
    DTypeError
        If labels are not integers.
    RangeError
        If a label is not below the number of classes.
    ArgumentError
        If ``num_classes`` is not the number of names.
    DataError
        If there are no samples.

    Examples
    --------
    >>> print(classification_report([0, 1, 1, 1], [0, 0, 1, 1], classes=["cat", "dog"]))
                  precision    recall  f1-score   support
    <BLANKLINE>
             cat       1.00      0.50      0.67         2
             dog       0.67      1.00      0.80         2
    <BLANKLINE>
        accuracy                           0.75         4
       macro avg       0.83      0.75      0.73         4
    weighted avg       0.83      0.75      0.73         4
    <BLANKLINE>

    References
    ----------
    ``sklearn.metrics.classification_report``.
    """
    if classes is not None:
        if num_classes not in (None, len(classes)):
            raise ArgumentError(f"classification_report: {len(classes)} names for num_classes={num_classes}")
        num_classes = len(classes)
    labels, matrix = _confusion(predictions, targets, num_classes, "classification_report")
    names = [str(name) for name in (labels if classes is None else classes)]
    total = int(matrix.sum())
    width = max(*map(len, names), len("weighted avg"), digits)

    def line(name: str, scores: Sequence[float], support: int) -> str:
        return f"{name:>{width}s} " + "".join(f" {score:>9.{digits}f}" for score in scores) + f" {support:>9d}\n"

    heads = ("precision", "recall", "f1-score", "support")
    table = " " * width + " " + "".join(f" {head:>9s}" for head in heads)
    table += "\n\n" + "".join(line(name, row[:3], row[3]) for name, *row in zip(names, *_scores(matrix), strict=True))
    right = float(np.trace(matrix)) / total
    table += f"\n{'accuracy':>{width}s} " + " " * 20 + f" {right:>9.{digits}f} {total:>9d}\n"
    for average in ("macro", "weighted"):
        table += line(f"{average} avg", _scores(matrix, average)[:3], total)
    return table


def _scores(matrix: np.ndarray, average: str | None = None) -> PrecisionRecallF1:
    right, predicted, support = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)  # (C,)
    if average == "micro":
        right, predicted, support = (x.sum(keepdims=True) for x in (right, predicted, support))  # (1,)
    scores = _divide(right, predicted), _divide(right, support), _divide(2 * right, predicted + support)
    if average is None:
        return PrecisionRecallF1(*scores, support)
    weights = support if average == "weighted" else np.ones(len(support))
    precision, recall, f1 = (float(np.average(x, weights=weights)) for x in scores)
    return PrecisionRecallF1(precision, recall, f1, int(support.sum()))


def _divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``x / y`` in float64, 0 where ``y`` is 0."""
    return np.where(y == 0, 0.0, x / np.where(y == 0, 1, y))


def _confusion(predictions: Any, targets: Any, num_classes: int | None, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of the classes (C,), and the counts (C, C): true class, predicted class."""
    predicted, true = (x.ravel() for x in _labels(predictions, targets, name))
    if num_classes is None:
        labels, index = np.unique(np.concatenate([predicted, true]), return_inverse=True)
        predicted, true = index[: len(predicted)], index[len(predicted) :]
    else:
        labels = np.arange(num_classes)
        for what, values in ("prediction", predicted), ("target", true):
            if values.min() < 0 or values.max() >= num_classes:
                wrong = values[(values < 0) | (values >= num_classes)][0]
                raise RangeError(f"{name}: there is a {what} {wrong}, but labels must be 0 to {num_classes - 1}")
    size = len(labels)
    return labels, np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)


def _labels(predictions: Any, targets: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and targets as labels of one shape."""
    predicted, true = _plain(predictions), _plain(targets)
    shapes = f"predictions of shape {predicted.shape} and targets of shape {true.shape}"
    if predicted.ndim == true.ndim + 1 and predicted.ndim > 1:
        if predicted.shape[1] < 2:
            raise ShapeError(
                f"{name}: {shapes}: one score a sample has no largest class; compare it to a threshold and take off "
                "the axis, (scores > 0.5)[:, 0]"
            )
        if predicted.shape[:1] + predicted.shape[2:] == true.shape:
            predicted = predicted.argmax(axis=1)  # (N, ...)
    if predicted.shape != true.shape or true.ndim == 0:
        raise ShapeError(
            f"{name}: {shapes} do not fit: expected predictions (N,) of labels or (N, C) of scores first, then targets "
            "(N,) of labels"
        )
    if true.size == 0:
        raise DataError(f"{name}: there are no samples")
    return _whole(predicted, "predictions", name), _whole(true, "targets", name)


def _plain(x: Any) -> np.ndarray:
    return to_numpy(x.array) if isinstance(x, Variable) else np.asarray(x)


def _whole(labels: np.ndarray, what: str, name: str) -> np.ndarray:
    """Return labels as int64; floats are taken if they are whole."""
    if labels.dtype.kind in "iub" or (
        labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.floor(labels)).all()
    ):
        return labels.astype(np.int64)
    raise DTypeError(
        f"{name}: {what} must be labels, whole numbers; got {labels.dtype} that are not: turn scores (N, C) into "
        "labels with argmax, probabilities (N,) with p > 0.5"
    )
