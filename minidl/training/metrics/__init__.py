"""Metrics: how good a model is. Classes are fed batch by batch, functions take everything at once.

All take predictions first and targets second, as losses do, and give plain numbers or NumPy arrays.
"""

from minidl.training.metrics.accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from minidl.training.metrics.counts import F1, BinaryCounts, ConfusionMatrix, Counts, FBeta, Precision, Recall
from minidl.training.metrics.functions import (
    PrecisionRecallF1,
    accuracy,
    classification_report,
    confusion_matrix,
    precision_recall_f1,
)
from minidl.training.metrics.means import Mean, MeanOf, SampleMean, Sum
from minidl.training.metrics.metric import Metric

__all__ = [
    "F1",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCounts",
    "CategoricalAccuracy",
    "ConfusionMatrix",
    "Counts",
    "FBeta",
    "Mean",
    "MeanOf",
    "Metric",
    "Precision",
    "PrecisionRecallF1",
    "Recall",
    "SampleMean",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "accuracy",
    "classification_report",
    "confusion_matrix",
    "precision_recall_f1",
]
