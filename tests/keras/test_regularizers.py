"""Regularisers and constraints: Keras's values, slopes, configs and names."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, ShapeError, StateError
from minidl.keras import constraints, regularizers

W = np.random.default_rng(0).standard_normal((4, 3))
W[1, 2] = 0.0

REGULARIZERS: list[tuple[str, dict[str, Any]]] = [
    ("L1", {"l1": 0.3}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {"l1": 0.3, "l2": 0.2}),
    ("L1L2", {"l2": 0.2}),
    ("L1L2", {}),
    ("OrthogonalRegularizer", {"factor": 0.3}),
    ("OrthogonalRegularizer", {"factor": 0.3, "mode": "columns"}),
]
CONSTRAINTS: list[tuple[str, dict[str, Any]]] = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 1.0, "axis": 1}),
    ("MaxNorm", {"max_value": 0.5, "axis": [0, 1]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 1.5, "max_value": 1.8, "rate": 0.3, "axis": 1}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": 1}),
    ("NonNeg", {}),
]


@pytest.mark.parametrize(("name", "settings"), REGULARIZERS)
def test_regularizers_are_keras_s(name: str, settings: dict[str, Any]) -> None:
    from tests.keras.yardstick import keras as real
    from tests.keras.yardstick import torch

    mine, theirs = getattr(regularizers, name)(**settings), getattr(real.regularizers, name)(**settings)
    w = minidl.tensor(W, requires_grad=True)
    t = torch.tensor(W, requires_grad=True)
    got, want = mine(w), theirs(t)
    assert got.shape == ()
    np.testing.assert_allclose(got.item(), want.item(), rtol=1e-6)
    if want.requires_grad:
        got.backward()
        want.backward()
        np.testing.assert_allclose(w.grad.numpy(), t.grad.numpy(), rtol=1e-6, atol=1e-7)  # theirs has a float32 factor
    assert mine(minidl.tensor(W.astype("f4"))).dtype == np.float32
    config, wanted = mine.get_config(), theirs.get_config()
    assert type(mine).from_config(config).get_config() == config
    assert list(config) == list(wanted)
    assert config.pop("mode", None) == wanted.pop("mode", None)
    assert config == pytest.approx(wanted, rel=1e-6)  # some of theirs went through float32
    assert type(regularizers.deserialize(real.regularizers.serialize(theirs))) is type(mine)


@pytest.mark.parametrize(("name", "settings"), CONSTRAINTS)
def test_constraints_are_keras_s(name: str, settings: dict[str, Any]) -> None:
    from tests.keras.yardstick import keras as real

    mine, theirs = getattr(constraints, name)(**settings), getattr(real.constraints, name)(**settings)
    got = mine(minidl.tensor(W.astype("f4")))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), theirs(W.astype("f4")).detach().numpy(), rtol=1e-5, atol=1e-7)
    assert mine.get_config() == theirs.get_config()
    assert constraints.serialize(mine) == real.constraints.serialize(theirs)
    assert constraints.deserialize(real.constraints.serialize(theirs)).get_config() == mine.get_config()
    assert list(inspect.signature(type(mine)).parameters) == list(inspect.signature(type(theirs)).parameters)
    assert type(mine)().get_config() == type(theirs)().get_config()


def test_names() -> None:
    assert regularizers.l2(0.1).get_config() == {"l2": 0.1}
    assert type(regularizers.get("l1_l2")) is type(regularizers.get("l1l2")) is regularizers.l1_l2 is regularizers.L1L2
    assert type(regularizers.get("orthogonal_regularizer")) is regularizers.OrthogonalRegularizer
    assert regularizers.get("l1").l1 == 0.01
    assert regularizers.get(None) is constraints.get(None) is None
    assert type(constraints.get("MaxNorm")) is type(constraints.get("max_norm")) is constraints.max_norm
    assert type(constraints.get("non_neg")) is constraints.NonNeg
    with pytest.raises(ArgumentError, match="regularizer: no regularizer is named 'l3'; did you mean"):
        regularizers.get("l3")
    with pytest.raises(ArgumentError, match="constraint: no constraint is named 'maxnrm'; did you mean 'max_norm'"):
        constraints.get("maxnrm")


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.1"])
def test_factors_that_cannot_be(value: Any) -> None:
    for make in (regularizers.L1, regularizers.L2, regularizers.L1L2, regularizers.OrthogonalRegularizer):
        with pytest.raises(ArgumentError, match=f"{make.__name__}: .* must be a finite number, not negative; got"):
            make(value)


def test_other_errors() -> None:
    with pytest.raises(ArgumentError, match="mode must be 'rows' or 'columns', got 'diagonal'"):
        regularizers.OrthogonalRegularizer(mode="diagonal")
    with pytest.raises(ShapeError, match=r"OrthogonalRegularizer: expected a matrix, got shape \(3,\)"):
        regularizers.OrthogonalRegularizer()(minidl.ones(3))
    with pytest.raises(StateError, match="Regularizer: define get_config"):
        regularizers.Regularizer().get_config()
    assert regularizers.Regularizer()(3) == 0
    assert keras.constraints.Constraint()(3) == 3
