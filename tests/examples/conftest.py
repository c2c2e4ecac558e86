"""A hundred digits in place of ten thousand: enough to see an example through."""

from __future__ import annotations

from typing import Any

import pytest

from minidl.data import TensorDataset
from minidl.examples import simple_cnn
from minidl.keras.datasets import mnist

TRAIN, TEST = 64, 40
STEPS = TRAIN // 32


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the examples see the first digits of each split."""
    digits, load_data = simple_cnn.digits, mnist.load_data

    def few(split: str) -> TensorDataset:
        return TensorDataset(*digits(split)[: TRAIN if split == "train" else TEST])

    def few_for_keras() -> Any:
        (x_train, y_train), (x_test, y_test) = load_data()
        return (x_train[:TRAIN], y_train[:TRAIN]), (x_test[:TEST], y_test[:TEST])

    monkeypatch.setattr(simple_cnn, "digits", few)
    monkeypatch.setattr(mnist, "load_data", few_for_keras)
