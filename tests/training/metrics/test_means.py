"""Means and sums, held to NumPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

import minidl
from minidl.errors import ArgumentError, DataError, DTypeError, ShapeError
from minidl.nn import functional as F
from minidl.training.metrics import Mean, MeanOf, Sum
from tests.training.metrics.splits import batches, weights_of


@settings(max_examples=30, deadline=None)
@given(batches())
def test_mean_and_sum(drawn) -> None:
    rng, n, split, weighted = drawn
    values, weight = rng.standard_normal((n, 3)).astype(np.float32), weights_of(rng, n, weighted)
    mean, total = Mean(), Sum()
    for part in split:
        for metric in (mean, total):
            metric.update(minidl.tensor(values[part]), None if weight is None else weight[part])
    w = np.ones(n) if weight is None else weight
    assert mean.compute() == pytest.approx(
        np.average(values.mean(axis=1, dtype=float), weights=w), rel=1e-12, abs=1e-14
    )
    assert total.compute() == pytest.approx((values.astype(float) * w[:, None]).sum(), rel=1e-12, abs=1e-14)


def test_weights_of_every_kind() -> None:
    values = np.array([[1.0, 2.0], [3.0, 5.0]])
    assert Mean()(values, [[1, 0], [1, 2]]) == (1 + 3 + 10) / 4
    assert Mean()(values, [[1], [3]]) == (1.5 + 3 * 4) / 4
    assert Mean()(values, 7) == 2.75
    assert Mean()([1.0, 3.0], [[1], [3]]) == 2.5
    assert Mean()(minidl.tensor(2.0), 3) == 2
    assert Mean()(minidl.tensor(2.0), np.array(3.0)) == 2
    assert Sum()(values, 2) == 22
    assert math.isnan(Mean()([1.0], [0.0]))


def test_float32_losses_are_added_in_float64() -> None:
    mean = Mean()
    for _ in range(1000):
        mean.update(minidl.tensor(0.1), 1)
    mean.update(minidl.tensor(1e8), 1)
    assert mean.compute() == pytest.approx((float(np.float32(0.1)) * 1000 + 1e8) / 1001, rel=1e-15)


@settings(max_examples=15, deadline=None)
@given(batches())
def test_mean_of_a_loss(drawn) -> None:
    rng, n, split, weighted = drawn
    x, y = rng.standard_normal((n, 4)).astype(np.float32), rng.integers(0, 4, n)
    weight = weights_of(rng, n, weighted)
    metric = MeanOf(lambda prediction, target: F.cross_entropy(prediction, target, reduction="none"), "loss")
    for part in split:
        metric.update(minidl.tensor(x[part]), minidl.tensor(y[part]), None if weight is None else weight[part])
    each = np.log(np.exp(x).sum(axis=1)) - x[np.arange(n), y]
    assert metric.compute() == pytest.approx(np.average(each, weights=weight), rel=1e-5)


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"mse_loss: the function gave one number for the batch.*reduction='none'"):
        MeanOf(F.mse_loss).update(minidl.ones(3), minidl.ones(3))
    with pytest.raises(ArgumentError, match="MeanOf: expected a function"):
        MeanOf("mse")
    with pytest.raises(DataError, match="mean: there are no values"):
        Mean().update([])
    with pytest.raises(DTypeError, match="mean: expected a Tensor"):
        Mean().update("a")
    with pytest.raises(ShapeError, match=r"sum: sample_weight of shape \(1,\) does not fit values of shape \(2,\)"):
        Sum().update([1.0, 2.0], [1.0])
    with pytest.raises(ShapeError, match=r"sample_weight of shape \(2, 3\) does not fit"):
        Mean().update([1.0, 2.0], np.ones((2, 3)))
