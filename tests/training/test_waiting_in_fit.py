"""Nobody waits for the GPU inside a step: the stand-in raises if a step of training, or of evaluation, does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras, nn, optim
from minidl.examples.simple_cnn import SimpleCNN
from minidl.training import Trainer
from minidl.training.callbacks import Callback
from minidl.training.metrics import F1, Accuracy, ConfusionMatrix
from tests.stand_in import synchronizations

pytestmark = pytest.mark.skipif(
    "minidl.get_default_device() == 'cpu'", reason="the CPU is never waited for: --device=strict counts"
)
K = keras.layers
RNG = np.random.default_rng(0)
STEPS = 3
Network = Callable[[], tuple[Any, np.ndarray, np.ndarray]]


def compiled(layers: list[Any], loss: str, optimizer: Any = "adam", **kwargs: Any) -> Any:
    model = keras.Sequential(layers)
    model.compile(optimizer, loss, **kwargs)
    return model


def images(*shape: int) -> np.ndarray:
    return RNG.random((2, *shape), np.float32)


def simple_cnn() -> tuple[Any, np.ndarray, np.ndarray]:
    model = SimpleCNN()
    metrics = [Accuracy(), F1("macro", num_classes=10), ConfusionMatrix(num_classes=10)]
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    trainer = Trainer(model, nn.NLLLoss(), optimizer, metrics, clip_norm=1.0, accumulate=2)
    return trainer, images(1, 32, 32), RNG.integers(0, 10, 2)


def lstm_classifier() -> tuple[Any, np.ndarray, np.ndarray]:
    layers = [K.Input((7, 6)), K.LSTM(5), K.Dropout(0.2), K.Dense(10, activation="softmax")]
    labels = keras.utils.to_categorical(RNG.integers(0, 10, 2), 10)
    return compiled(layers, "categorical_crossentropy", metrics=["accuracy"]), images(7, 6), labels


def dense_regression() -> tuple[Any, np.ndarray, np.ndarray]:
    layers = [K.Input((2,)), K.Dense(8, "relu", kernel_regularizer="l2"), K.Dense(1)]
    return compiled(layers, "mse", metrics=["mae", "r2_score"]), images(2), images(1)


def cnn_classifier() -> tuple[Any, np.ndarray, np.ndarray]:
    layers = [K.Input((10, 10, 1)), K.Conv2D(4, 3, activation="relu"), K.MaxPooling2D(), K.BatchNormalization()]
    layers += [K.Flatten(), K.Dropout(0.5, seed=1), K.Dense(10, activation="softmax")]
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 100), global_clipnorm=1.0)
    top = keras.metrics.SparseTopKCategoricalAccuracy(3)
    model = compiled(layers, "sparse_categorical_crossentropy", optimizer, metrics=["accuracy", top])
    return model, images(10, 10, 1), RNG.integers(0, 10, 2)


def masked() -> tuple[Any, np.ndarray, np.ndarray]:
    layers = [K.Input((6, 3)), K.Bidirectional(K.GRU(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.2))]
    layers += [K.GlobalAveragePooling1D(), K.Dense(1, "sigmoid")]
    metrics = ["accuracy", keras.metrics.AUC(), keras.metrics.Precision()]
    optimizer = keras.optimizers.RMSprop(clipnorm=1.0, use_ema=True, ema_overwrite_frequency=2)
    model = compiled(layers, "binary_crossentropy", optimizer, weighted_metrics=metrics)
    return model, images(6, 3), RNG.integers(0, 2, (2, 1))


NETWORKS: list[Network] = [simple_cnn, lstm_classifier, dense_regression, cnn_classifier, masked]


class Count(Callback):
    """Notes how often the host waited for the device between the begin and the end of each batch."""

    def __init__(self) -> None:
        self.waits: list[dict[str, int]] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        synchronizations.clear()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.waits.append(dict(synchronizations))

    on_test_batch_begin, on_test_batch_end = on_train_batch_begin, on_train_batch_end


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_a_step_waits_for_nothing(network: Network, weighted: bool) -> None:
    model, x, y = network()
    x, y = (np.concatenate([a] * STEPS) for a in (x, y))
    weights = {"sample_weight": RNG.random(len(x), np.float32), "class_weight": {0: 2.0, 1: 0.5}} if weighted else {}
    if weighted and y.ndim > 1 and y.dtype.kind == "f" and y.shape[1] == 1:
        del weights["class_weight"]  # of a regression
    count = Count()
    model.fit(x, y, batch_size=2, epochs=2, validation_data=(x, y), callbacks=[count], verbose=0, **weights)
    assert count.waits == [{}] * (2 * 2 * STEPS)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_an_epoch_waits_as_often_whatever_its_length(network: Network) -> None:
    """The loss and the metrics are read once; the bar draws by the clock, and here it has no time to."""

    def waits(steps: int) -> int:
        model, x, y = network()
        x, y = (np.concatenate([a] * steps) for a in (x, y))
        model.fit(x, y, batch_size=2, verbose=2)
        synchronizations.clear()
        model.fit(x, y, batch_size=2, verbose=2)
        return synchronizations.total()

    assert 0 < waits(2) == waits(6)


def test_data_of_a_generator_is_weighed_without_waiting() -> None:
    model, x, y = cnn_classifier()
    placed = minidl.tensor(x), minidl.tensor(y)
    count = Count()
    model.fit((placed for _ in range(STEPS)), class_weight={3: 2.0}, callbacks=[count], verbose=0)
    assert count.waits == [{}] * STEPS


def test_the_stand_in_would_have_noticed() -> None:
    model, x, y = dense_regression()

    def careless(target: Any, prediction: Any) -> Any:
        loss = ((target - prediction) ** 2).mean()
        return loss if loss.item() >= 0 else -loss

    model.compile("sgd", careless)
    count = Count()
    model.fit(x, y, batch_size=2, callbacks=[count], verbose=0)
    assert count.waits == [{"item": 1}]
