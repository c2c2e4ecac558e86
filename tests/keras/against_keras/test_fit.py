"""What fit, evaluate and predict report and leave behind, with all their arguments: as real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.keras.against_keras.twins import ROUNDING, numbers, trained, twins

N = 50
X = numbers(N, 4)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)  # of 3 classes, that can be learned
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
YES = (LABELS > 0).astype("float32")[:, None]
VALUES = numbers(N, 2)
WEIGHTS = np.linspace(0, 2, N, dtype="float32")


def classifier(k: Any, units: int = 3, activation: str | None = "softmax", **options: Any) -> Any:
    return k.Sequential(
        [k.Input((4,)), k.layers.Dense(6, activation="relu", **options), k.layers.Dense(units, activation=activation)]
    )


def compiled(loss: str = "sparse_categorical_crossentropy", units: int = 3, **how: Any) -> Any:
    """Return a maker of compiled models."""
    options = how.pop("options", None) or (lambda k: {})
    metrics = {key: how.pop(key) for key in ("metrics", "weighted_metrics") if key in how}

    def make(k: Any) -> Any:
        activation = "sigmoid" if units == 1 else "softmax"
        model = classifier(k, units, activation, **options(k))
        made = {key: [x(k) if callable(x) else x for x in value] for key, value in metrics.items()}
        model.compile(k.optimizers.SGD(0.1, momentum=0.9), loss, **made, **how)
        return model

    return make


# ---------------------------------------------------------------------- metrics


@pytest.mark.parametrize(
    ("loss", "y", "units", "metrics"),
    [
        (
            "sparse_categorical_crossentropy",
            LABELS,
            3,
            ["accuracy", lambda k: k.metrics.SparseTopKCategoricalAccuracy(k=2)],
        ),
        ("sparse_categorical_crossentropy", LABELS[:, None], 3, ["acc", "sparse_categorical_accuracy"]),
        ("categorical_crossentropy", ONE_HOT, 3, ["accuracy", "categorical_accuracy", "CategoricalCrossentropy"]),
        ("categorical_crossentropy", ONE_HOT, 3, [lambda k: k.metrics.F1Score(average="macro"), "cosine_similarity"]),
        ("binary_crossentropy", YES, 1, ["accuracy", "AUC", "Precision", "Recall", "bce"]),
        ("binary_crossentropy", YES, 1, [lambda k: k.metrics.BinaryAccuracy(threshold=0.4, name="bold"), "accuracy"]),
        ("mse", YES, 1, ["mae", "R2Score", lambda k: k.metrics.RootMeanSquaredError()]),
    ],
    ids=lambda x: ",".join(getattr(m, "__name__", m) for m in x) if isinstance(x, list) else None,
)
def test_metrics_by_the_shapes_of_targets(loss: str, y: np.ndarray, units: int, metrics: list[Any]) -> None:
    make = compiled(loss, units, metrics=metrics, weighted_metrics=[loss])
    twins(make).agree_on(trained(X, y, validation_split=0.3, sample_weight=WEIGHTS))


def test_metrics_that_are_functions() -> None:
    def off_by(y_true: Any, y_pred: Any) -> Any:
        return abs(y_true - y_pred) * 2

    found = twins(compiled("mse", 1, metrics=[lambda k: off_by])).agree_on(trained(X, YES))
    assert set(found[1]) == {"loss", "off_by"}


def test_metrics_of_one_name() -> None:
    """Real Keras's evaluate lists the first of them twice; minidl's does not."""

    def do(model: Any, _: Any) -> Any:
        history = model.fit(X, LABELS, 6, 2, 0, sample_weight=WEIGHTS, shuffle=False).history
        return history, model.evaluate(X, LABELS, verbose=0, return_dict=True)

    make = compiled(metrics=["accuracy"], weighted_metrics=["accuracy", "accuracy"])
    history, _ = twins(make).agree_on(do)
    assert set(history) == {"loss", "accuracy", "weighted_accuracy", "weighted_accuracy_1"}


# ---------------------------------------------------------------------- the arguments of fit


@pytest.mark.parametrize(
    "how",
    [
        {"class_weight": {0: 2.0, 1: 0.5}},
        {"sample_weight": WEIGHTS, "validation_split": 0.3},
        {"validation_data": (X[:20], LABELS[:20])},
        {"validation_data": (X[:20], LABELS[:20], WEIGHTS[:20]), "validation_batch_size": 7},
        {"validation_data": (X[:20], LABELS[:20]), "validation_freq": 2, "epochs": 4},
        {"validation_split": 0.5, "batch_size": 16, "validation_steps": 1},
        {"batch_size": None},
        {"batch_size": 1000},
        {"initial_epoch": 1, "epochs": 3},
        {"steps_per_epoch": 4, "epochs": 1},
    ],
    ids=lambda how: ",".join(how),
)
def test_arguments_of_fit(how: dict[str, Any]) -> None:
    make = compiled(metrics=["accuracy"], weighted_metrics=["sparse_categorical_crossentropy"])
    twins(make).agree_on(trained(X, LABELS, **how))


def test_one_hot_targets_with_class_weights() -> None:
    twins(compiled("categorical_crossentropy")).agree_on(trained(X, ONE_HOT, class_weight={0: 3.0, 1: 0.1}))


def test_generators() -> None:
    def do(model: Any, k: Any) -> Any:
        def batches(n: int) -> Any:
            for i in range(n):
                rows = slice(5 * i % 45, 5 * i % 45 + 5)
                yield X[rows], LABELS[rows], WEIGHTS[rows]

        class Batches(k.utils.PyDataset):
            def __len__(self) -> int:
                return 5

            def __getitem__(self, index: int) -> Any:
                return X[index * 10 : index * 10 + 10], LABELS[index * 10 : index * 10 + 10]

        history = model.fit(
            batches(20), steps_per_epoch=10, epochs=2, verbose=0, shuffle=False, validation_data=Batches()
        ).history
        again = model.fit(Batches(), epochs=2, shuffle=False, verbose=0).history
        return history, again, model.evaluate(batches(4), steps=4, verbose=0), model.predict(Batches(), verbose=0)

    twins(compiled(metrics=["accuracy"])).agree_on(do)


def test_one_batch_at_a_time() -> None:
    def do(model: Any, _: Any) -> Any:
        found = []
        for i in range(20):
            rows = slice(2 * i, 2 * i + 8)
            found += [model.train_on_batch(X[rows], LABELS[rows], class_weight={1: 0.5}, return_dict=True)]
        model.reset_metrics()
        found += [model.train_on_batch(X[:9], LABELS[:9], sample_weight=WEIGHTS[:9])]
        model.reset_metrics()
        found += [model.test_on_batch(X, LABELS, WEIGHTS), model.test_on_batch(X, LABELS, return_dict=True)]
        return found, model.predict_on_batch(X[:3]), model.evaluate(X, LABELS, return_dict=True, verbose=0)

    twins(compiled(metrics=["accuracy"])).agree_on(do)


# ---------------------------------------------------------------------- regularisers, constraints


@pytest.mark.parametrize(
    "options",
    [
        lambda k: {"kernel_regularizer": "l2", "bias_regularizer": k.regularizers.L1(0.01)},
        lambda k: {"kernel_regularizer": k.regularizers.L1L2(0.01, 0.02), "activity_regularizer": "l2"},
        lambda k: {"kernel_regularizer": k.regularizers.OrthogonalRegularizer(0.05)},
        lambda k: {"kernel_constraint": "non_neg", "bias_constraint": k.constraints.MaxNorm(0.05)},
        lambda k: {"kernel_constraint": k.constraints.UnitNorm(axis=0), "bias_constraint": "max_norm"},
        lambda k: {"kernel_constraint": k.constraints.MinMaxNorm(0.2, 0.6, rate=0.7, axis=0)},
    ],
    ids=["l2,l1", "l1l2,activity", "orthogonal", "non_neg,max_norm", "unit_norm", "min_max_norm"],
)
def test_regularizers_and_constraints(options: Any) -> None:
    twins(compiled(options=options)).agree_on(trained(X, LABELS, validation_split=0.2))


# ---------------------------------------------------------------------- callbacks


def test_early_stopping_restores_the_best_weights() -> None:
    def do(model: Any, k: Any) -> Any:
        stop = k.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True, start_from_epoch=1)
        noise = np.random.default_rng(7).integers(0, 3, 20)  # nothing that could be learned
        history = model.fit(X, LABELS, 6, 30, 0, [stop], validation_data=(X[:20], noise), shuffle=False).history
        assert len(history["loss"]) < 30
        return history, stop.stopped_epoch, stop.best_epoch, float(stop.best)

    twins(compiled(metrics=["accuracy"])).agree_on(do)


def test_reduce_lr_on_plateau_and_schedules_by_epoch() -> None:
    def do(model: Any, k: Any) -> Any:
        callbacks = [
            k.callbacks.LearningRateScheduler(lambda epoch, lr: 0.1 if epoch < 3 else lr),
            k.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=1, min_delta=0.05, min_lr=1e-3),
        ]
        history = model.fit(X, LABELS, 10, 12, 0, callbacks, shuffle=False).history
        return history, float(model.optimizer.learning_rate)

    history, _ = twins(compiled()).agree_on(do)
    assert len(set(history["learning_rate"])) > 2


def test_files_written_in_training(tmp_path: Path) -> None:
    def do(model: Any, k: Any) -> Any:
        folder = tmp_path / k.__name__
        folder.mkdir()
        kept = k.callbacks.ModelCheckpoint(
            str(folder / "{epoch:02d}-{val_loss:.3f}.weights.h5"),
            "val_accuracy",
            save_best_only=True,
            save_weights_only=True,
        )
        table = k.callbacks.CSVLogger(str(folder / "log.csv"))
        model.fit(X, LABELS, 6, 4, 0, [kept, table], validation_split=0.3, shuffle=False)
        names = sorted(path.name for path in folder.iterdir())
        header, *rows = [line.split(",") for line in (folder / "log.csv").read_text().split()]
        model.load_weights(str(folder / names[0]))
        return names, header, [[float(x) for x in row] for row in rows]

    twins(compiled(metrics=["accuracy"])).agree_on(do)


def test_hooks_are_called_in_keras_order() -> None:
    def do(model: Any, k: Any) -> Any:
        seen: list[Any] = []

        class Spy(k.callbacks.Callback):
            pass

        def hook(name: str) -> Any:
            def told(self: Any, *index: Any, logs: Any = None) -> None:
                if index and not isinstance(index[-1], int):
                    *index, logs = index
                seen.append(
                    [
                        name,
                        *map(float, index),
                        {key: float(x) for key, x in sorted((logs or {}).items()) if key != "outputs"},
                    ]
                )

            return told

        for what in ("train", "test", "predict"):
            for when in ("begin", "end"):
                setattr(Spy, f"on_{what}_{when}", hook(f"on_{what}_{when}"))
                setattr(Spy, f"on_{what}_batch_{when}", hook(f"on_{what}_batch_{when}"))
        Spy.on_epoch_begin, Spy.on_epoch_end = hook("on_epoch_begin"), hook("on_epoch_end")
        spy = Spy()
        model.fit(X, LABELS, 20, 2, 0, [spy], validation_split=0.4, shuffle=False)
        model.evaluate(X, LABELS, 30, 0, callbacks=[spy])
        model.predict(X, 30, 0, callbacks=[spy])
        return seen

    twins(compiled(metrics=["accuracy"])).agree_on(do)


def test_stateful_lstm() -> None:
    """The state of one batch is where the next begins, until it is reset; Keras on torch can only predict with one."""
    sequences = numbers(24, 3, 2)

    def make(k: Any) -> Any:
        return k.Sequential([k.Input(batch_shape=(4, 3, 2)), k.layers.LSTM(3, stateful=True), k.layers.Dense(1)])

    def do(model: Any, _: Any) -> Any:
        found = [model.predict(sequences, 4, 0), model.predict(sequences, 4, 0)]
        model.layers[0].reset_state()
        return [*found, model.predict(sequences, 4, 0)]

    first, second, third = twins(make).agree_on(do)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, third)


def test_mixed_numbers() -> None:
    """float64 data, integer data, targets with and without a last axis: all of it trains alike."""

    def do(model: Any, _: Any) -> Any:
        how = {"epochs": 1, "verbose": 0, "shuffle": False, "batch_size": 8}
        found = [model.fit(X.astype("float64"), YES.astype("float64"), **how).history]
        found += [model.fit((10 * X).astype("int64"), YES[:, 0].astype("int32"), **how).history]
        found += [model.fit(X, YES.astype(bool), **how).history]
        return found, model.predict(X[0][None].astype("float64"), verbose=0)

    twins(compiled("binary_crossentropy", 1, metrics=["accuracy"])).agree_on(
        do, 10 * ROUNDING
    )  # inputs of 10 times the size
