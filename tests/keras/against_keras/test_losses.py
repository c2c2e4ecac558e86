"""Every loss and optimizer, by its string and as an object: training follows real Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl import keras
from tests.keras.against_keras.twins import fitted, numbers, twins

N = 58
X = numbers(N, 4)
LABELS = np.random.default_rng(2).integers(0, 3, N)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
SIGNS = 2 * ONE_HOT - 1
SHARES = np.random.default_rng(3).dirichlet([1, 1, 1], N).astype("float32")
COUNTS = np.random.default_rng(4).integers(0, 4, (N, 3)).astype("float32")
VALUES = numbers(N, 3)

# the loss, its targets, the activation in front of it, its arguments as an object
LOSSES: list[tuple[str, np.ndarray, str | None, dict[str, Any]]] = [
    ("BinaryCrossentropy", ONE_HOT, "sigmoid", {"label_smoothing": 0.1}),
    ("BinaryFocalCrossentropy", ONE_HOT, "sigmoid", {"gamma": 1.0, "apply_class_balancing": True}),
    ("CategoricalCrossentropy", ONE_HOT, "softmax", {"label_smoothing": 0.1}),
    ("CategoricalFocalCrossentropy", ONE_HOT, "softmax", {"gamma": 1.0}),
    ("CategoricalHinge", ONE_HOT, None, {"reduction": "sum"}),
    ("CosineSimilarity", VALUES, None, {"reduction": "sum"}),
    ("Dice", ONE_HOT, "sigmoid", {"axis": (1,)}),
    ("Hinge", SIGNS, None, {"reduction": "sum"}),
    ("Huber", 2 * VALUES, None, {"delta": 0.5}),
    ("KLDivergence", SHARES, "softmax", {"reduction": "sum"}),
    ("LogCosh", VALUES, None, {"reduction": "sum"}),
    ("MeanAbsoluteError", VALUES, None, {"reduction": "sum"}),
    ("MeanAbsolutePercentageError", 9 + VALUES, None, {"reduction": "sum"}),
    ("MeanSquaredError", VALUES, None, {"reduction": "sum"}),
    ("MeanSquaredLogarithmicError", SHARES, "relu", {"reduction": "sum"}),
    ("Poisson", COUNTS, "softplus", {"reduction": "sum"}),
    ("SparseCategoricalCrossentropy", LABELS, "softmax", {"ignore_class": 1}),
    ("SquaredHinge", SIGNS, None, {"reduction": "sum"}),
    ("Tversky", ONE_HOT, "sigmoid", {"alpha": 0.3, "beta": 0.6}),
]
FROM_LOGITS = ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"]
OPTIMIZERS = ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "Lion"]


def dense(k: Any, activation: str | None) -> Any:
    return k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="tanh"), k.layers.Dense(3, activation=activation)])


@pytest.mark.parametrize("how", ["string", "object"])
@pytest.mark.parametrize(("loss", "y", "activation", "options"), LOSSES, ids=[x[0] for x in LOSSES])
def test_losses(loss: str, y: np.ndarray, activation: str | None, options: dict[str, Any], how: str) -> None:
    def make(k: Any) -> Any:
        model = dense(k, activation)
        name = "huber" if loss == "Huber" else getattr(k.losses, loss)().name
        model.compile(k.optimizers.SGD(0.01), name if how == "string" else getattr(k.losses, loss)(**options))
        return model

    weight = None if how == "string" else np.linspace(0, 2, N, dtype="float32")
    weight = None if loss in ("Dice", "Tversky") else weight  # one number for a whole batch has no weights
    twins(make).agree_on(fitted(X, y, sample_weight=weight))


@pytest.mark.parametrize("loss", FROM_LOGITS)
def test_losses_from_logits(loss: str) -> None:
    y = LABELS if loss.startswith("Sparse") else ONE_HOT

    def make(k: Any) -> Any:
        model = dense(k, None)
        model.compile(k.optimizers.SGD(0.1), getattr(k.losses, loss)(from_logits=True), metrics=["accuracy"])
        return model

    twins(make).agree_on(fitted(X, y))


def test_no_loss_is_left_out() -> None:
    own = {x.__name__ for x in vars(keras.losses).values() if isinstance(x, type) and issubclass(x, keras.losses.Loss)}
    assert own - {"Loss", "LossFunctionWrapper"} == {x[0] for x in LOSSES}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str) -> None:
    """By their strings, with all defaults."""

    def make(k: Any) -> Any:
        model = dense(k, "softmax")
        model.compile(optimizer.lower(), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    twins(make).agree_on(fitted(X, LABELS))


def test_no_optimizer_is_left_out() -> None:
    base = keras.optimizers.Optimizer
    own = {x.__name__ for x in vars(keras.optimizers).values() if isinstance(x, type) and issubclass(x, base)}
    assert own - {"Optimizer"} == set(OPTIMIZERS)


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"global_clipnorm": 0.1},
        {"weight_decay": 0.1},
        {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 4},
        {"use_ema": True, "ema_momentum": 0.5},
        {"gradient_accumulation_steps": 4},
    ],
    ids=str,
)
def test_what_happens_around_a_step(options: dict[str, Any]) -> None:
    def make(k: Any) -> Any:
        model = dense(k, "softmax")
        model.compile(k.optimizers.Adam(0.01, **options), "sparse_categorical_crossentropy")
        return model

    twins(make).agree_on(fitted(X, LABELS))


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.9}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.9, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 9], "values": [0.1, 0.05, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 12, "power": 2.0}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 9, "warmup_target": 0.1, "warmup_steps": 5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 6}),
]


@pytest.mark.parametrize(("schedule", "options"), SCHEDULES, ids=[f"{i}-{x[0]}" for i, x in enumerate(SCHEDULES)])
def test_learning_rate_schedules(schedule: str, options: dict[str, Any]) -> None:
    def make(k: Any) -> Any:
        model = dense(k, "softmax")
        rate = getattr(k.optimizers.schedules, schedule)(**options)
        model.compile(k.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy")
        return model

    def train(model: Any, k: Any) -> Any:
        return fitted(X, LABELS)(model, k), float(model.optimizer.learning_rate), int(model.optimizer.iterations)

    twins(make).agree_on(train)
