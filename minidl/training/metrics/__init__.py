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
from minidl.training.metrics.curves import AUC, AveragePrecision, BinnedAUC
from minidl.training.metrics.functions import (
    PrecisionRecallF1,
    accuracy,
    classification_report,
    confusion_matrix,
    precision_recall_f1,
)
from minidl.training.metrics.means import Mean, MeanOf, SampleMean, Sum
from minidl.training.metrics.metric import Metric
from minidl.training.metrics.regression import (
    R2,
    CosineSimilarity,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    RootMeanSquaredError,
)

__all__ = [
    "AUC",
    "F1",
    "R2",
    "Accuracy",
    "AveragePrecision",
    "BinaryAccuracy",
    "BinaryCounts",
    "BinnedAUC",
    "CategoricalAccuracy",
    "ConfusionMatrix",
    "CosineSimilarity",
    "Counts",
    "FBeta",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanOf",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "PrecisionRecallF1",
    "Recall",
    "RootMeanSquaredError",
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
