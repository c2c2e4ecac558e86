"""The figures that fit reports, beside real Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl import nn, optim
from minidl.training import Trainer
from minidl.training.metrics import SparseCategoricalAccuracy
from tests.keras.yardstick import keras


@pytest.mark.parametrize("weights", [{"sample_weight": np.linspace(0, 2, 50)}, {"class_weight": {0: 2.0, 1: 0.5}}])
def test_weights_count_as_in_keras(weights: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    model = nn.Linear(4, 3)
    trainer = Trainer(
        model,
        nn.CrossEntropyLoss(),
        optim.SGD(model.parameters(), lr=0.1),
        {"accuracy": SparseCategoricalAccuracy()},
        weighted_metrics={"weighted": SparseCategoricalAccuracy()},
    )
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    other.set_weights([model.weight.detach().numpy().T, model.bias.detach().numpy()])
    other.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="weighted")],
    )
    how = {"epochs": 3, "batch_size": 8, "shuffle": False, "validation_split": 0.3, "verbose": 0, **weights}
    found, expected = trainer.fit(x, y, **how).history, other.fit(x, y, **how).history
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
