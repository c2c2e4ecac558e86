"""Metrics: how good a model is. Classes are fed batch by batch, functions take everything at once.

All take predictions first and targets second, as losses do, and give plain numbers or NumPy arrays.
"""

from minidl.training.metrics.functions import (
    PrecisionRecallF1,
    accuracy,
    classification_report,
    confusion_matrix,
    precision_recall_f1,
)
from minidl.training.metrics.metric import Metric

__all__ = [
    "Metric",
    "PrecisionRecallF1",
    "accuracy",
    "classification_report",
    "confusion_matrix",
    "precision_recall_f1",
]
