"""Callbacks: what is told how a training goes, and may act on it."""

from minidl.training.callbacks.actions import LambdaCallback, LearningRateScheduler, TerminateOnNaN
from minidl.training.callbacks.backup import BackupAndRestore
from minidl.training.callbacks.base import Callback, CallbackList
from minidl.training.callbacks.files import CSVLogger, ModelCheckpoint
from minidl.training.callbacks.history import History
from minidl.training.callbacks.monitor import EarlyStopping, Monitor, ReduceLROnPlateau
from minidl.training.callbacks.progress import ProgbarLogger, ProgressBar
from minidl.training.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Monitor",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
