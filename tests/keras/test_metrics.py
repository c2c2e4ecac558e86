"""Keras's metrics, held to real Keras's: numbers, names, configs."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DTypeError, FormatError, NumericalWarning, RangeError, ShapeError, StateError
from minidl.formats import load, save
from minidl.keras import metrics
from minidl.keras.metrics.by_shape import ByShape
from tests.keras.yardstick import keras

N = 24


def inputs(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions of a kind: (N, ...)."""
    chances = rng.random((N, 4)).astype(np.float32)
    shares = chances / chances.sum(axis=1, keepdims=True)
    labels = rng.integers(0, 4, N)
    return {
        "labels": lambda: (labels, rng.integers(0, 4, N)),
        "binary": lambda: (rng.integers(0, 2, N), chances[:, 0]),
        "column": lambda: (rng.integers(0, 2, N), chances[:, :1]),
        "multilabel": lambda: (rng.integers(0, 2, (N, 4)), chances),
        "one hot": lambda: (np.eye(4, dtype=np.float32)[labels], shares),
        "sparse": lambda: (labels, shares),
        "sparse column": lambda: (labels[:, None], shares),
        "ids": lambda: (labels, np.argsort(-shares, axis=1).astype(np.float32)),
        "sequence": lambda: (rng.integers(0, 4, (N, 3)), rng.random((N, 3, 4)).astype(np.float32)),
        "numbers": lambda: (rng.standard_normal((N, 3)).astype(np.float32), chances[:, :3]),
        "positive": lambda: (rng.random((N, 3)).astype(np.float32) + 0.1, chances[:, :3] + 0.1),
        "vector": lambda: (rng.standard_normal(N).astype(np.float32), rng.standard_normal((N, 1)).astype(np.float32)),
        "logits": lambda: (rng.integers(0, 2, (N, 4)), rng.standard_normal((N, 4)).astype(np.float32) * 3),
        "sparse logits": lambda: (labels, rng.standard_normal((N, 4)).astype(np.float32)),
    }[kind]()


SPACED = [0.1, 0.35, 0.6]  # not even: Keras has another way for those
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("Accuracy", {}, "labels"),
    ("BinaryAccuracy", {}, "binary"),
    ("BinaryAccuracy", {"threshold": 0.3}, "column"),
    ("BinaryAccuracy", {}, "multilabel"),
    ("CategoricalAccuracy", {}, "one hot"),
    ("SparseCategoricalAccuracy", {}, "sparse"),
    ("SparseCategoricalAccuracy", {}, "sparse column"),
    ("SparseCategoricalAccuracy", {}, "sequence"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one hot"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "sparse"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "sequence"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "ids"),
    *[
        (name, options, kind)
        for name in ("Precision", "Recall")
        for options, kind in [
            ({}, "binary"),
            ({}, "column"),
            ({}, "multilabel"),
            ({"thresholds": 0.7}, "binary"),
            ({"thresholds": SPACED}, "multilabel"),
            ({"thresholds": [0.0, 0.5, 1.0]}, "binary"),
            ({"class_id": 2}, "multilabel"),
            ({"top_k": 2}, "multilabel"),
            ({"top_k": 2, "class_id": 1, "thresholds": 0.4}, "multilabel"),
        ]
    ],
    *[
        (name, options, kind)
        for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives")
        for options, kind in [({}, "binary"), ({"thresholds": SPACED}, "multilabel"), ({"thresholds": 0.3}, "column")]
    ],
    *[
        (name, {argument: value, **options}, kind)
        for name, argument in [
            ("SensitivityAtSpecificity", "specificity"),
            ("SpecificityAtSensitivity", "sensitivity"),
            ("PrecisionAtRecall", "recall"),
            ("RecallAtPrecision", "precision"),
        ]
        for value, options, kind in [
            (0.5, {}, "binary"),
            (0.8, {"num_thresholds": 20}, "column"),
            (0.6, {"class_id": 1}, "multilabel"),
            (0.4, {"num_thresholds": 1}, "binary"),
        ]
    ],
    *[
        ("AUC", {"curve": curve, "summation_method": how, **options}, kind)
        for curve in ("ROC", "PR", "PRGAIN")
        for how in ("interpolation", "minoring", "majoring")
        for options, kind in [({}, "binary"), ({"num_thresholds": 7, "multi_label": True}, "multilabel")]
    ],
    ("AUC", {"curve": "pr"}, "column"),
    ("AUC", {"thresholds": SPACED}, "multilabel"),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, "binary"),
    ("AUC", {"from_logits": True}, "logits"),
    ("AUC", {"from_logits": True, "multi_label": True, "num_labels": 4}, "logits"),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 0.0, 2.0, 0.5]}, "multilabel"),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 0.0, 2.0, 0.5], "curve": "PR"}, "multilabel"),
    ("AUC", {"label_weights": [1.0, 0.0, 2.0, 0.5]}, "multilabel"),
    *[
        ("FBetaScore", {"average": average, "beta": beta, "threshold": threshold}, kind)
        for average in (None, "micro", "macro", "weighted")
        for beta, threshold, kind in [(0.5, None, "one hot"), (2.0, 0.4, "multilabel")]
    ],
    ("F1Score", {}, "one hot"),
    ("F1Score", {"average": "macro", "threshold": 0.4}, "multilabel"),
    *[("R2Score", {"class_aggregation": how}, "numbers") for how in (None, "uniform_average")],
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "numbers"),
    *[
        (name, {}, kind)
        for name in ("MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "LogCoshError")
        for kind in ("numbers", "vector")
    ],
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "numbers"),
    ("CosineSimilarity", {"axis": 1}, "numbers"),
    ("Poisson", {}, "positive"),
    ("KLDivergence", {}, "one hot"),
    ("Hinge", {}, "multilabel"),
    ("SquaredHinge", {}, "multilabel"),
    ("CategoricalHinge", {}, "one hot"),
    ("BinaryCrossentropy", {}, "multilabel"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("CategoricalCrossentropy", {}, "one hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one hot"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "sparse logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "sparse"),
]
IDS = [f"{name}-{kind}-{i}" for i, (name, _, kind) in enumerate(CASES)]
cases = pytest.mark.parametrize(("name", "options", "kind"), CASES, ids=IDS)


def theirs(result: Any) -> np.ndarray:
    return keras.ops.convert_to_tensor(result).detach().numpy()


@cases
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_numbers(name, options, kind, weighted) -> None:
    rng = np.random.default_rng(len(name) + len(kind) + weighted)
    y_true, y_pred = inputs(kind, rng)
    weight = rng.integers(0, 4, N).astype(np.float32) / 2 if weighted else None
    mine, real = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for part in (slice(0, 5), slice(5, N)):
        batch = y_true[part], y_pred[part], None if weight is None else weight[part]
        real.update_state(*(None if x is None else keras.ops.convert_to_tensor(x) for x in batch))
        mine.update_state(*(None if x is None else minidl.tensor(x) for x in batch))
        np.testing.assert_allclose(mine.result().numpy(), theirs(real.result()), rtol=2e-5, atol=2e-6)
        assert mine.result().dtype == np.float32
    looped = getattr(metrics, name)(**options)  # as the training loop does it: predictions first
    looped.update(y_pred, y_true, weight)
    np.testing.assert_allclose(looped.compute(), theirs(real.result()), rtol=2e-5, atol=2e-6)


@cases
def test_arguments_and_configs(name, options, kind) -> None:
    mine, real = getattr(metrics, name), getattr(keras.metrics, name)
    signature, expected = inspect.signature(mine), inspect.signature(real)
    assert list(signature.parameters) == list(expected.parameters)
    for key, parameter in expected.parameters.items():
        assert signature.parameters[key].default == parameter.default, key
    config, theirs = (kind(**options, name="m").get_config() for kind in (mine, real))
    if name == "CosineSimilarity":  # Keras forgets its axis
        theirs["axis"] = options.get("axis", -1)
    if name == "SparseTopKCategoricalAccuracy":  # which Keras writes only if it is True
        theirs.setdefault("from_sorted_ids", False)
    if theirs.get("label_weights") is not None:  # a tensor, in Keras
        theirs["label_weights"] = theirs["label_weights"].tolist()
    assert config == theirs
    assert mine.from_config(json.loads(json.dumps(config))).get_config() == config
    assert real.from_config(config).name == "m"
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(mine(**options)))))
    assert type(again) is mine
    assert again.get_config().keys() == config.keys()
    names = [kind(**options).name.rstrip("_0123456789") for kind in (mine, real)]  # some are counted up
    assert names[0] == names[1]


def test_no_metric_is_left_out() -> None:
    functions = {name for name, x in vars(keras.metrics).items() if inspect.isfunction(x)}
    correlations = {"pearson_correlation", "concordance_correlation"}
    assert {name for name in functions if not hasattr(metrics, name)} == correlations
    names = {
        name
        for name, x in vars(keras.metrics).items()
        if isinstance(x, type) and issubclass(x, keras.metrics.Metric) and name != "Metric"
    }
    left_out = {x for x in names if "IoU" in x} | {"PearsonCorrelation", "ConcordanceCorrelation"}
    assert {name for name in names if not hasattr(metrics, name)} == left_out
    tested = {name for name, _, _ in CASES}
    assert names - left_out - tested == {"Mean", "Sum", "MeanMetricWrapper"}


UNTOLD = ("F1Score", "FBetaScore", "R2Score")  # have none in Keras either: nobody told how many classes there are


@pytest.mark.parametrize(("name", "options", "kind"), [case for case in CASES if case[0] not in UNTOLD])
def test_result_before_the_first_batch_and_after_reset(name, options, kind) -> None:
    metric, thresholds = getattr(metrics, name)(**options), options.get("thresholds")
    shape = (len(thresholds),) if isinstance(thresholds, list) and name != "AUC" else ()
    np.testing.assert_array_equal(metric.result().numpy(), np.zeros(shape))
    metric(*inputs(kind, np.random.default_rng(0)))
    metric.reset_state()
    np.testing.assert_array_equal(metric.result().numpy(), np.zeros(shape))
    if name != "AUC":  # Keras has an area, or none, over nothing
        np.testing.assert_array_equal(theirs(getattr(keras.metrics, name)(**options).result()), np.zeros(shape))


@cases
def test_state_goes_through_a_file(name, options, kind, tmp_path) -> None:
    y_true, y_pred = inputs(kind, np.random.default_rng(0))
    metric, other = getattr(metrics, name)(**options), getattr(metrics, name)(**options)
    metric.update_state(y_true, y_pred)
    save(metric.state_dict(), tmp_path / "state.safetensors")
    other.load_state_dict(load(tmp_path / "state.safetensors"))
    for each in (metric, other):
        each.update_state(y_true[:5], y_pred[:5])
    np.testing.assert_array_equal(other.compute(), metric.compute())


# ------------------------------------------------------------------ the reductions


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_reductions(name) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4, 3, 2)).astype(np.float32)
    for weight in (None, rng.random(4), rng.random((4, 3)), rng.random((4, 3, 2)), 2.0, np.zeros(4)):
        weight = None if weight is None else np.asarray(weight, np.float32)
        mine, real = getattr(metrics, name)(), getattr(keras.metrics, name)()
        for part in (values, values * 2):
            tensors = [None if x is None else keras.ops.convert_to_tensor(x) for x in (part, weight)]
            expected = theirs(real(*tensors))
            np.testing.assert_allclose(mine(part, weight).numpy(), expected, rtol=1e-5, atol=1e-6)
        assert mine.get_config() == real.get_config()
    mine(3.0)
    mine.reset_state()
    assert float(mine.result()) == 0


def squared_difference(y_true: Any, y_pred: Any, power: float = 2.0) -> Any:
    return abs(y_true - y_pred) ** power


def mean_difference(y_true: Any, y_pred: Any) -> Any:
    return abs(y_true - y_pred).mean()


def test_functions_of_ones_own() -> None:
    y_true, y_pred = inputs("numbers", np.random.default_rng(0))
    for fn, options in [(squared_difference, {"power": 3.0}), (mean_difference, {})]:
        mine = metrics.MeanMetricWrapper(fn, name="own", **options)
        real = keras.metrics.MeanMetricWrapper(fn, name="own", **options)
        for part in (slice(0, 5), slice(5, N)):
            real.update_state(*(keras.ops.convert_to_tensor(x[part]) for x in (y_true, y_pred)))
            mine.update_state(y_true[part], y_pred[part])
        assert float(mine.result()) == pytest.approx(float(real.result()), rel=1e-5)
    config = metrics.serialize(metrics.MeanMetricWrapper(squared_difference, name="own", power=3.0))
    again = metrics.deserialize(json.loads(json.dumps(config)), {"squared_difference": squared_difference})
    assert again._fn is squared_difference
    assert again._fn_kwargs == {"power": 3.0}
    with pytest.raises(FormatError, match=r"squared_difference.* is not a function that minidl knows"):
        metrics.deserialize(config)


def test_gradients_are_not_recorded() -> None:
    kept = []

    def fn(y_true: Any, y_pred: Any) -> Any:
        kept.append(y_true - y_pred)
        return abs(kept[-1])

    metrics.MeanMetricWrapper(fn).update(minidl.ones(3, requires_grad=True), minidl.ones(3))
    assert not kept[0].requires_grad


class TotalError(metrics.Metric):
    """As Keras's guide writes one."""

    def __init__(self, name: str = "total_error", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_weight(name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total.assign_add(abs(y_true - y_pred).sum())
        self.count.assign_sub(-1)

    def result(self) -> Any:
        return {"total": self.total, "mean": self.total / self.count}


def test_a_metric_of_ones_own(tmp_path) -> None:
    metric = TotalError()
    metric.update(minidl.tensor([1.0, 2.0]), [1.0, 4.0])
    metric.update(minidl.tensor([1.0, 2.0]), [1.0, 6.0])
    assert metric.compute() == {"total": 6.0, "mean": 3.0}
    assert [variable.name for variable in metric.variables] == ["total", "count"]
    assert not any(variable.trainable for variable in metric.variables)
    save(metric.state_dict(), tmp_path / "state.safetensors")
    other = TotalError()
    other.load_state_dict(load(tmp_path / "state.safetensors"))
    assert other.compute() == metric.compute()
    metric.reset()
    assert float(metric.total) == 0
    with pytest.raises(StateError, match="total_error: a state of 1 variables for one that has 2"):
        metric.load_state_dict({"0": np.zeros(())})
    with pytest.raises(NotImplementedError, match="Metric has no update_state"):
        metrics.Metric().update([1], [1])
    with pytest.raises(NotImplementedError, match="Metric has no result"):
        metrics.Metric().compute()


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name", ["mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "bce", "BCE", "auc", "AUC", "f1_score"]
)
def test_aliases(name) -> None:
    assert type(metrics.get(name)).__name__ == type(keras.metrics.get(name)).__name__
    assert metrics.as_metric(name).name == name


def test_every_name_that_keras_knows() -> None:
    names = keras.src.metrics.ALL_OBJECTS_DICT
    arguments = {"MeanMetricWrapper", "SensitivityAtSpecificity", "SpecificityAtSensitivity"}
    for name, kind in names.items():
        if not hasattr(metrics, kind.__name__) or kind.__name__ in arguments or "At" in kind.__name__:
            continue
        assert type(metrics.get(name)).__name__ == kind.__name__


def test_get() -> None:
    metric = metrics.Precision()
    assert metrics.get(metric) is metric
    assert metrics.get(None) is None
    assert type(metrics.get(metrics.Recall)) is metrics.Recall
    assert metrics.get(squared_difference) is squared_difference
    assert metrics.get({"class_name": "TopKCategoricalAccuracy", "config": {"k": 3}}).k == 3
    with pytest.raises(ArgumentError, match=r"no metric is named 'acuracy'; did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(DTypeError, match="metric: expected a name, a config, or something callable, got a int"):
        metrics.get(3)


def test_as_metric() -> None:
    assert metrics.as_metric(squared_difference).name == "squared_difference"
    metric = metrics.Precision(name="p")
    assert metrics.as_metric(metric) is metric
    assert metric.name == "p"
    mine = minidl.training.metrics.F1()
    assert metrics.as_metric(mine) is mine


@pytest.mark.parametrize(
    ("target", "prediction", "kind"),
    [
        ((8,), (8, 1), "Binary"),
        ((8, 1), (8, 1), "Binary"),
        ((8, 5, 1), (8, 5, 1), "Binary"),
        ((8,), (8, 4), "SparseCategorical"),
        ((8, 1), (8, 4), "SparseCategorical"),
        ((8, 5), (8, 5, 4), "SparseCategorical"),
        ((8, 4), (8, 4), "Categorical"),
        ((8, 5, 4), (8, 5, 4), "Categorical"),
    ],
)
def test_what_shapes_call_for(target, prediction, kind) -> None:
    assert metrics.accuracy_for(target, prediction).__name__ == f"{kind}Accuracy"
    assert metrics.crossentropy_for(target, prediction).__name__ == f"{kind}Crossentropy"
    real = keras.src.trainers.compile_utils.get_metric("accuracy", np.zeros(target), np.zeros(prediction))
    assert type(real).__name__ == f"{kind}Accuracy"


@pytest.mark.parametrize("kind", ["column", "sparse", "one hot"])
@pytest.mark.parametrize("name", ["accuracy", "acc", "crossentropy", "ce"])
def test_by_shape(name, kind, tmp_path) -> None:
    y_true, y_pred = inputs(kind, np.random.default_rng(0))
    metric = metrics.as_metric(name)
    assert isinstance(metric, ByShape)
    assert metric.name == name
    assert metric.compute() == 0
    assert metric.state_dict() == {}
    metric.update(y_pred, y_true)
    pick = metrics.accuracy_for if name.startswith("acc") else metrics.crossentropy_for
    expected = pick(y_true.shape, y_pred.shape)()
    expected.update(y_pred, y_true)
    assert metric.compute() == expected.compute()
    save(metric.state_dict(), tmp_path / "state.safetensors")
    other = metrics.as_metric(name)
    other.load_state_dict(load(tmp_path / "state.safetensors"))
    assert other.compute() == metric.compute()
    other.reset()
    assert other.compute() == 0
    other.load_state_dict({})
    with pytest.raises(StateError, match=f"{name}: expected a state of 'kind' and 'sums'"):
        other.load_state_dict({"total": np.zeros(())})


# ------------------------------------------------------------------ errors


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"Precision: thresholds must be from 0 to 1, got 1\.5"):
        metrics.Precision(thresholds=1.5)
    with pytest.raises(ArgumentError, match=r"TruePositives: thresholds must be from 0 to 1, got \[0\.5, None\]"):
        metrics.TruePositives(thresholds=[0.5, None])
    with pytest.raises(ShapeError, match=r"class_id=4 needs targets and predictions \(N, C\), C above it"):
        metrics.Recall(class_id=4, name="r")(np.zeros((2, 4)), np.zeros((2, 4)))
    with pytest.raises(ArgumentError, match="SensitivityAtSpecificity: specificity must be from 0 to 1, got 2"):
        metrics.SensitivityAtSpecificity(2)
    with pytest.raises(ArgumentError, match="PrecisionAtRecall: num_thresholds must be at least 1, got 0"):
        metrics.PrecisionAtRecall(0.5, num_thresholds=0)
    with pytest.raises(ArgumentError, match="AUC: num_labels is needed only with multi_label=True"):
        metrics.AUC(num_labels=3)
    with pytest.raises(ShapeError, match=r"auc: expected predictions \(N, 3\), got \(2, 4\)"):
        metrics.AUC(num_labels=3, multi_label=True, name="auc")(np.zeros((2, 4)), np.zeros((2, 4)))
    with pytest.raises(ArgumentError, match="f1_score: average must be 'micro', 'macro', 'weighted' or None"):
        metrics.F1Score(average="binary")
    with pytest.raises(ArgumentError, match="f1_score: threshold must be above 0 and at most 1, got 0"):
        metrics.F1Score(threshold=0)
    with pytest.raises(ArgumentError, match="r2_score: class_aggregation must be"):
        metrics.R2Score("mean")
    with pytest.raises(ArgumentError, match="MeanMetricWrapper: expected a function"):
        metrics.MeanMetricWrapper("mse")
    wrong = "sparse_categorical_accuracy: there is a target 9, but labels must be 0 to 3"
    with minidl.device("cpu"), pytest.raises(RangeError, match=wrong):
        metrics.SparseCategoricalAccuracy()([9], [[0.1, 0.2, 0.3, 0.4]])
    with pytest.raises(ShapeError, match=r"categorical_accuracy: .*do not fit"):
        metrics.CategoricalAccuracy()([1], [[0.1, 0.2]])
    with pytest.warns(NumericalWarning, match="r2_score: 2 samples are too few"):
        metrics.R2Score(num_regressors=5)([[1.0], [2.0]], [[1.0], [3.0]])
