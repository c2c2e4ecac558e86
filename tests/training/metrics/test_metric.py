"""What all metrics have in common: batches, state, reset, errors; and what one writes oneself."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl.errors import DataError, DTypeError, ShapeError, StateError
from minidl.formats import load, save
from minidl.training import metrics

PROBABILITIES = np.array([0.9, 0.2, 0.6, 0.4], np.float32), np.array([1, 0, 0, 1])
SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], np.float32), np.array([1, 2, 2])
ONE_HOT = SCORES[0], np.eye(3)[SCORES[1]]
NUMBERS = np.array([1.0, 2.5, -3.0], np.float32), np.array([1.5, 2.0, -1.0])

EVERY = [
    (metrics.Accuracy(), SCORES),
    (metrics.BinaryAccuracy(), PROBABILITIES),
    (metrics.CategoricalAccuracy(), ONE_HOT),
    (metrics.SparseCategoricalAccuracy(), SCORES),
    (metrics.TopKCategoricalAccuracy(2), ONE_HOT),
    (metrics.SparseTopKCategoricalAccuracy(2), SCORES),
    (metrics.BinaryCounts(), PROBABILITIES),
    (metrics.Precision(), PROBABILITIES),
    (metrics.Recall("macro"), SCORES),
    (metrics.FBeta(2.0, None), ONE_HOT),
    (metrics.F1("weighted"), SCORES),
    (metrics.ConfusionMatrix(3), SCORES),
    (metrics.AUC(), PROBABILITIES),
    (metrics.AveragePrecision(), PROBABILITIES),
    (metrics.BinnedAUC(), PROBABILITIES),
    (metrics.MeanSquaredError(), NUMBERS),
    (metrics.RootMeanSquaredError(), NUMBERS),
    (metrics.MeanAbsoluteError(), NUMBERS),
    (metrics.MeanAbsolutePercentageError(), NUMBERS),
    (metrics.CosineSimilarity(), ONE_HOT),
    (metrics.R2(), NUMBERS),
    (metrics.MeanOf(lambda prediction, target: abs(prediction - target), "error"), NUMBERS),
]
every = pytest.mark.parametrize(("metric", "pair"), EVERY, ids=[type(metric).__name__ for metric, _ in EVERY])


def test_no_metric_is_left_out() -> None:
    bases = {metrics.Metric, metrics.SampleMean, metrics.Mean, metrics.Sum}
    kinds = {x for x in vars(metrics).values() if isinstance(x, type) and issubclass(x, metrics.Metric)}
    assert kinds - bases == {type(metric) for metric, _ in EVERY}


@every
def test_reset_forgets_and_nothing_is_an_error(metric, pair) -> None:
    metric.reset()
    assert not metric.updated
    with pytest.raises(StateError, match=rf"{metric.name}: nothing was accumulated; call update"):
        metric.compute()
    metric.update(*pair)
    assert metric.updated
    before = metric.compute()
    metric.update(*(x[::-1].copy() for x in pair))
    metric.reset()
    metric.update(*pair)
    np.testing.assert_array_equal(metric.compute(), before)


@every
def test_state_goes_through_a_file(metric, pair, tmp_path) -> None:
    metric.reset()
    assert metric.state_dict() == {}
    metric.update(*pair)
    expected = metric.compute()
    save(metric.state_dict(), tmp_path / "state.safetensors")
    metric.reset()
    metric.load_state_dict(load(tmp_path / "state.safetensors"))
    np.testing.assert_array_equal(metric.compute(), expected)
    metric.load_state_dict({})
    assert not metric.updated
    with pytest.raises(StateError, match="it is another metric's"):
        metric.load_state_dict({"something": np.zeros(3)})


@every
def test_a_call_gives_the_batch_and_keeps_it(metric, pair) -> None:
    other = [x[:2][::-1].copy() for x in pair]
    metric.reset()
    alone = metric(*other)
    metric.reset()
    metric.update(*pair)
    np.testing.assert_allclose(metric(*other), alone)
    both = metric.compute()
    metric.reset()
    metric.update(*(np.concatenate([x, y]) for x, y in zip(pair, other, strict=True)))
    np.testing.assert_allclose(both, metric.compute())


@every
def test_a_failed_batch_leaves_the_sums_alone(metric, pair) -> None:
    metric.reset()
    metric.update(*pair)
    before = metric.compute()
    for fail in (metric, metric.update):
        with pytest.raises(ShapeError):
            fail(pair[0], pair[1], sample_weight=np.ones(7))
    np.testing.assert_array_equal(metric.compute(), before)


@every
def test_inputs_need_not_outlive_the_update(metric, pair) -> None:
    metric.reset()
    arrays = [x.copy() for x in pair]
    weight = np.ones(len(pair[0]))
    metric.update(*arrays, weight)
    expected = metric.compute()
    for array in (*arrays, weight):
        array[...] = 0
    np.testing.assert_array_equal(metric.compute(), expected)


@every
def test_gradients_are_not_recorded(metric, pair) -> None:
    metric.reset()
    metric.update(minidl.tensor(pair[0], requires_grad=True), minidl.tensor(pair[1]))
    values = metric.state_dict().values()
    assert all(isinstance(x, (np.ndarray, list)) for x in values)
    assert all(
        np.asarray(x).dtype.kind in "fiu" for value in values for x in (value if type(value) is list else [value])
    )


@every
def test_errors_of_inputs(metric, pair) -> None:
    prediction, target = pair
    if not isinstance(metric, metrics.MeanOf):
        with pytest.raises(ShapeError, match=rf"{metric.name}: predictions of shape .* and targets of .* do not fit"):
            metric.update(prediction, target[:2])
        with pytest.raises(ShapeError, match=rf"{metric.name}: .*each needs an axis of samples"):
            metric.update(1.0, 1.0)
        with pytest.raises(DataError, match=f"{metric.name}: there are no samples"):
            metric.update([], [])
        with pytest.raises(DTypeError, match=rf"{metric.name}: expected a Tensor.*got <U1"):
            metric.update(["a"], ["b"])
        with pytest.raises(ShapeError, match=rf"{metric.name}: the lists are ragged"):
            metric.update([[1, 2], [3]], [1, 2])
    with pytest.raises(ShapeError, match=rf"{metric.name}: sample_weight of shape \(2,\) .*one weight a sample"):
        metric.update(prediction, target, np.ones(2))


def test_names() -> None:
    found = {type(metric).__name__: metric.name for metric, _ in EVERY}
    assert found["AUC"] == "auc"
    assert found["R2"] == "r2"
    assert found["TopKCategoricalAccuracy"] == "top_k_categorical_accuracy"
    assert metrics.F1(name="f").name == "f"
    assert repr(metrics.F1()) == "F1(name='f1')"


def test_sums_that_change_shape() -> None:
    metric = metrics.F1("macro")
    metric.update(np.zeros((2, 3)), [0, 1])
    with pytest.raises(ShapeError, match=r"true_positives have shape \(4,\), those of the batches before \(3,\)"):
        metric.update(np.zeros((2, 4)), [0, 1])
    metric = metrics.AUC()
    metric.update(np.zeros((2, 3)), [0, 1])
    with pytest.raises(ShapeError, match=r"scores have shape \(4,\), those of the batches before \(3,\)"):
        metric.update(np.zeros((2, 4)), [0, 1])


def test_ones_own() -> None:
    class Largest(metrics.Metric):
        accumulators = ("largest",)

        def update(self, prediction, target, sample_weight=None):
            self.accumulate(1, 2)

    metric = Largest()
    with pytest.raises(StateError, match=r"accumulate got 2 values for \('largest',\)"):
        metric.update([0], [0])
    with pytest.raises(NotImplementedError, match="Largest has no compute"):
        metric.compute()
    with pytest.raises(NotImplementedError, match="Metric has no update"):
        metrics.Metric().update([0], [0])
    with pytest.raises(NotImplementedError, match="SampleMean has no values"):
        metrics.SampleMean().update([0], [0])
