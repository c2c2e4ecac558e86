"""Callbacks: what is told how a training goes, and may act on it."""

from minidl.training.callbacks.base import Callback, CallbackList

__all__ = ["Callback", "CallbackList"]
