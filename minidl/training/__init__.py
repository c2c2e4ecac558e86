"""Training: how good a model is, and (above optimisers and data) the loop that makes it better."""

from minidl.training.metrics import (
    PrecisionRecallF1,
    accuracy,
    classification_report,
    confusion_matrix,
    precision_recall_f1,
)

__all__ = [
    "PrecisionRecallF1",
    "accuracy",
    "classification_report",
    "confusion_matrix",
    "precision_recall_f1",
]
