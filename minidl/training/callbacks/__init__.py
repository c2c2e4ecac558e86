"""Callbacks: what is told how a training goes, and may act on it."""

from minidl.training.callbacks.base import Callback, CallbackList
from minidl.training.callbacks.history import History
from minidl.training.callbacks.progress import ProgbarLogger, ProgressBar

__all__ = ["Callback", "CallbackList", "History", "ProgbarLogger", "ProgressBar"]
