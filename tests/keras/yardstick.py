"""Real Keras, on PyTorch, to compare with: the one place that imports it."""

from __future__ import annotations

import os
import warnings

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="PyTorch is not installed: Keras has nothing to run on")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras's own, while it is imported
    keras = pytest.importorskip("keras", reason="Keras is not installed: nothing to compare with")

__all__ = ["keras", "torch"]
