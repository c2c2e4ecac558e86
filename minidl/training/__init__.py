"""Training: how good a model is, and (above optimisers and data) the loop that makes it better."""

from minidl.training import callbacks, metrics
from minidl.training.callbacks import Callback, History
from minidl.training.checkpoint import CheckpointManager
from minidl.training.metrics import (
    PrecisionRecallF1,
    accuracy,
    classification_report,
    confusion_matrix,
    precision_recall_f1,
)
from minidl.training.trainer import Trainer

__all__ = [
    "Callback",
    "CheckpointManager",
    "History",
    "PrecisionRecallF1",
    "Trainer",
    "accuracy",
    "callbacks",
    "classification_report",
    "confusion_matrix",
    "metrics",
    "precision_recall_f1",
]
