"""Initialisation: bounds, moments, structure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import init

try:
    import torch
except ImportError:
    torch = None


def test_filling_is_in_place_and_counted() -> None:
    x = nn.Parameter(minidl.zeros(3, 4))
    array, version = x.array, x.version
    assert init.uniform_(x, 2, 3) is x
    assert x.array is array
    assert x.version == version + 1
    assert x.requires_grad
    assert x.grad_fn is None


UNIFORM = [
    (init.xavier_uniform_, {}, math.sqrt(6 / 500)),
    (init.xavier_uniform_, {"gain": 2.0}, 2 * math.sqrt(6 / 500)),
    (init.kaiming_uniform_, {}, math.sqrt(6 / 200)),
    (init.kaiming_uniform_, {"mode": "fan_out", "nonlinearity": "relu"}, math.sqrt(6 / 300)),
    (init.kaiming_uniform_, {"a": math.sqrt(5)}, 1 / math.sqrt(200)),  # PyTorch's way to write this bound
    (init.kaiming_uniform_, {"nonlinearity": "tanh"}, 5 / 3 * math.sqrt(3 / 200)),
    (init.uniform_, {"a": -0.5, "b": 0.5}, 0.5),
]
NORMAL = [
    (init.xavier_normal_, {}, math.sqrt(2 / 500)),
    (init.kaiming_normal_, {"mode": "fan_out"}, math.sqrt(2 / 300)),
    (init.kaiming_normal_, {"nonlinearity": "linear"}, 1 / math.sqrt(200)),
    (init.normal_, {"std": 0.3}, 0.3),
]


@pytest.mark.parametrize("shape", [(300, 200), (30, 20, 2, 5)])
@pytest.mark.parametrize(("fill", "kwargs", "bound"), UNIFORM)
def test_uniform_bounds(fill: Any, kwargs: Any, bound: float, shape: Any) -> None:
    w = fill(minidl.empty(shape), **kwargs).numpy()
    if len(shape) == 4 and fill is not init.uniform_:  # fan in 200, fan out 300 as well
        assert init.calculate_fan_in_and_fan_out(minidl.empty(shape)) == (200, 300)
    assert abs(w).max() <= bound * (1 + 1e-6)
    assert abs(w).max() > 0.99 * bound
    assert abs(w.mean()) < 0.05 * bound
    assert abs(w.std() - bound / math.sqrt(3)) < 0.03 * bound


@pytest.mark.parametrize(("fill", "kwargs", "std"), NORMAL)
def test_normal_moments(fill: Any, kwargs: Any, std: float) -> None:
    w = fill(minidl.empty(300, 200), **kwargs).numpy()
    assert abs(w.std() / std - 1) < 0.02
    assert abs(w.mean()) < 0.02 * std
    assert abs((abs(w) > 2 * std).mean() - 0.0455) < 0.005  # normal, not just as wide


def test_trunc_normal() -> None:
    w = init.trunc_normal_(minidl.empty(300, 200), mean=1.0, std=2.0, a=0.0, b=4.0).numpy()
    assert w.min() >= 0
    assert w.max() <= 4
    from_scipy = pytest.importorskip("scipy.stats").truncnorm((0 - 1) / 2, (4 - 1) / 2, 1, 2)
    assert abs(w.mean() - from_scipy.mean()) < 0.02
    assert abs(w.std() - from_scipy.std()) < 0.02
    with pytest.raises(ArgumentError, match=r"trunc_normal_: expected a < b and std > 0"):
        init.trunc_normal_(minidl.empty(2), a=1, b=0)
    with pytest.raises(ArgumentError, match="hardly a draw of"):
        init.trunc_normal_(minidl.empty(2), a=10, b=11)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (4, 2, 3, 3), (20, 2, 3)])
def test_orthogonal(shape: Any) -> None:
    w = init.orthogonal_(minidl.empty(shape, dtype="float64"), gain=2.0).numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-10)
    assert init.orthogonal_(minidl.empty(0, 3)).shape == (0, 3)
    with pytest.raises(ShapeError, match="orthogonal_: expected at least two axes"):
        init.orthogonal_(minidl.empty(3))


def test_constants_eye_dirac_and_sparse() -> None:
    assert init.constant_(minidl.empty(2), 0.5).tolist() == [0.5, 0.5]
    assert init.zeros_(minidl.ones(2)).tolist() == [0, 0]
    assert init.ones_(minidl.zeros(2, dtype="int64")).tolist() == [1, 1]
    np.testing.assert_array_equal(init.eye_(minidl.empty(2, 3)).numpy(), np.eye(2, 3))
    x = minidl.rand(2, 4, 5, 6)
    kernel = init.dirac_(minidl.empty(4, 2, 3, 3), groups=2)
    np.testing.assert_array_equal(minidl.conv2d(x, kernel, padding=1, groups=2).numpy(), x.numpy())
    w = init.sparse_(minidl.empty(10, 7), 0.25, std=1.0).numpy()
    assert ((w == 0).sum(axis=0) == 3).all()
    assert len({tuple(column) for column in (w == 0).T}) > 1
    with pytest.raises(ArgumentError, match="sparsity=2; expected a fraction from 0 to 1"):
        init.sparse_(minidl.empty(2, 2), 2)
    for fill in (init.eye_, lambda x: init.sparse_(x, 0.5)):
        with pytest.raises(ShapeError, match="expected a matrix"):
            fill(minidl.empty(3))
    with pytest.raises(ShapeError, match="dirac_: expected"):
        init.dirac_(minidl.empty(3, 3))


def test_gains_and_fans() -> None:
    for name in [*init.GAINS, "leaky_relu"]:
        ours = init.calculate_gain(name)
        if torch is not None:
            assert ours == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 1.0) == 1.0
    with pytest.raises(ArgumentError, match="unknown nonlinearity 'swish'; expected leaky_relu, linear"):
        init.calculate_gain("swish")
    with pytest.raises(ArgumentError, match="mode='fan_both'; expected 'fan_in' or 'fan_out'"):
        init.kaiming_normal_(minidl.empty(2, 2), mode="fan_both")
    with pytest.raises(ShapeError, match=r"at least two axes .*, this has shape \(3,\)"):
        init.xavier_uniform_(minidl.empty(3))
    with pytest.raises(ArgumentError, match="the lower bound 1 is greater than the upper bound 0"):
        init.uniform_(minidl.empty(3), 1, 0)
    with pytest.raises(ArgumentError, match="the standard deviation must not be negative"):
        init.normal_(minidl.empty(3), 0, -1)


LAYERS = [
    (lambda: nn.Linear(100, 300), 1 / 10),
    (lambda: nn.Conv1d(20, 300, 5), 1 / 10),
    (lambda: nn.Conv2d(8, 300, 5, groups=2), 1 / 10),
    (lambda: nn.ConvTranspose2d(300, 4, 5), 1 / 10),
    (lambda: nn.LSTM(7, 100), 1 / 10),
    (lambda: nn.GRUCell(7, 100), 1 / 10),
]


@pytest.mark.parametrize(("build", "bound"), LAYERS)
def test_layers_start_from_pytorchs_bounds(build: Any, bound: float) -> None:
    for name, x in build().named_parameters():
        w = abs(x.detach().numpy())
        assert w.max() <= bound, name
        if w.size >= 300:
            assert w.max() > 0.97 * bound, name


def test_seeded_layers_repeat() -> None:
    minidl.manual_seed(3)
    first = nn.Linear(4, 4)
    minidl.manual_seed(3)
    second = nn.Linear(4, 4)
    np.testing.assert_array_equal(first.weight.detach().numpy(), second.weight.detach().numpy())


@pytest.mark.parametrize(
    "fill",
    [
        init.uniform_,
        init.normal_,
        init.trunc_normal_,
        init.xavier_uniform_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
        lambda w, generator: init.sparse_(w, 0.5, generator=generator),
    ],
)
def test_a_generator_of_ones_own(fill: Any) -> None:
    """It decides alone, and takes no number from anybody else."""
    minidl.manual_seed(0)
    before = minidl.rand(1).item()
    minidl.manual_seed(0)
    draws = [fill(minidl.empty(4, 6), generator=minidl.Generator().manual_seed(seed)).numpy() for seed in (1, 1, 2)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()
    assert minidl.rand(1).item() == before
