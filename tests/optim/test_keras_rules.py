"""The rules as Keras computes them, Lion and FTRL: their formulas in plain Python, and that blocks change no bit.

Their trajectories beside real Keras's are in tests/keras/test_optimizers.py.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import optim
from minidl.errors import ArgumentError
from minidl.optim import buckets, keras_rules

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("KerasSGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("KerasSGD", {"lr": 0.1, "momentum": 0.9}),
    ("KerasSGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("KerasAdam", {"lr": 0.1, "eps": 0.01}),
    ("KerasAdam", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "amsgrad": True}),
    ("KerasRMSprop", {"lr": 0.1, "eps": 0.01}),
    ("KerasRMSprop", {"lr": 0.1, "eps": 0.01, "momentum": 0.5, "weight_decay": 0.1}),
    ("KerasRMSprop", {"lr": 0.1, "eps": 0.01, "centered": True, "momentum": 0.5}),
    ("KerasAdagrad", {"lr": 0.1, "eps": 0.01, "initial_accumulator_value": 0.1, "weight_decay": 0.1}),
    ("KerasAdamax", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1}),
    ("KerasAdadelta", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1}),
    ("Lion", {"lr": 0.1, "weight_decay": 0.1}),
    ("Ftrl", {"lr": 0.1, "weight_decay": 0.1}),
    ("Ftrl", {"lr": 0.1, "lr_power": -0.75, "l1": 0.3, "l2": 0.2, "l2_shrinkage": 0.1, "beta": 0.4}),
]
IDS = [f"{i}-{name}" for i, (name, _) in enumerate(SETTINGS)]
SHAPES = [(5, 4), (4,), (4, 3), (3,), ()]


def rule(name: str) -> Any:
    return getattr(keras_rules, name, None) or getattr(optim, name)


def rate(step: int, lr: float) -> float:
    """A learning rate that changes: where it stands in a formula shows only then."""
    return lr / (1 + step % 3)


def reference(name: str, p: float, grads: Any, lr: float, **h: Any) -> float:
    """One number through the formulas of the docstrings, in plain Python."""
    m = v = u = a = b = 0.0
    total = h.get("initial_accumulator_value", 0.1)
    largest = 0.0
    eps, decay = h.get("eps", 0.0), h.get("weight_decay", 0.0)
    for t, g in enumerate(grads, 1):
        now = rate(t, lr)
        p *= 1 - now * decay
        if name == "KerasSGD":
            mu = h.get("momentum", 0.0)
            b = mu * b + now * g
            p -= mu * b + now * g if h.get("nesterov") else b
        elif name == "KerasAdam":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            largest = max(largest, v)
            spread = math.sqrt(largest if h.get("amsgrad") else v) + eps
            p -= now * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / spread
        elif name == "KerasRMSprop":
            v = 0.99 * v + 0.01 * g * g
            a = 0.99 * a + 0.01 * g if h.get("centered") else 0.0
            b = h.get("momentum", 0.0) * b + now * g / math.sqrt(v + eps - a * a)
            p -= b
        elif name == "KerasAdagrad":
            total += g * g
            p -= now * g / math.sqrt(total + eps)
        elif name == "KerasAdamax":
            m, u = 0.9 * m + 0.1 * g, max(0.999 * u, abs(g))
            p -= now / (1 - 0.9**t) * m / (u + eps)
        elif name == "KerasAdadelta":
            v = 0.9 * v + 0.1 * g * g
            step = g * math.sqrt(u + eps) / math.sqrt(v + eps)
            u = 0.9 * u + 0.1 * step * step
            p -= now * step
        elif name == "Lion":
            p -= now * math.copysign(1, 0.9 * m + 0.1 * g)
            m = 0.99 * m + 0.01 * g
        else:
            power, l1 = -h.get("lr_power", -0.5), h.get("l1", 0.0)
            before, total = total, total + g * g
            sigma = (total**power - before**power) / now
            u += g + 2 * h.get("l2_shrinkage", 0.0) * p - sigma * p
            below = (h.get("beta", 0.0) + total**power) / now + 2 * h.get("l2", 0.0)
            p = (min(max(u, -l1), l1) - u) / below
    return p


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_formula(name: str, settings: dict[str, Any]) -> None:
    grads = np.random.default_rng(0).standard_normal((12, 3))
    starts = [1.0, -2.0, 0.1]
    w = minidl.tensor(np.array(starts), requires_grad=True)
    optimizer = rule(name)([w], **settings)
    for t, g in enumerate(grads, 1):
        w.grad = minidl.tensor(g)
        optimizer.param_groups[0]["lr"] = rate(t, settings["lr"])
        optimizer.step()
        assert np.array_equal(w.grad.numpy(), g)  # a gradient is not written to
    want = [reference(name, p, list(g), **settings) for p, g in zip(starts, grads.T, strict=True)]
    np.testing.assert_allclose(w.numpy(force=True), want, rtol=1e-12)


def trained(name: str, settings: dict[str, Any], steps: range, optimizer: Any = None, params: Any = None) -> Any:
    if params is None:
        rng = np.random.default_rng(3)
        params = [minidl.tensor(np.asarray(rng.standard_normal(s), "float32"), requires_grad=True) for s in SHAPES]
    optimizer = optimizer or rule(name)(params, **settings)
    for step in steps:
        rng = np.random.default_rng(100 + step)
        for p in params:
            p.grad = minidl.tensor(np.asarray(rng.standard_normal(p.shape), "float32"))
        optimizer.step()
    return optimizer, params


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_blocks_and_buckets_change_no_bit(name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _, together = trained(name, settings, range(6))
    monkeypatch.setattr(buckets, "SMALL", -1)  # nothing is gathered
    _, alone = trained(name, settings, range(6))
    monkeypatch.setattr(buckets, "BLOCK", 3)  # everything is cut
    _, cut = trained(name, settings, range(6))
    for a, b, c in zip(together, alone, cut, strict=True):
        assert a.dtype == "float32"
        assert np.array_equal(a.numpy(force=True), b.numpy(force=True))
        assert np.array_equal(a.numpy(force=True), c.numpy(force=True))


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_state_dict_continues_to_the_same_bits(name: str, settings: dict[str, Any]) -> None:
    optimizer, params = trained(name, settings, range(5))
    saved = copy.deepcopy(optimizer.state_dict())
    others = [minidl.tensor(p.numpy(force=True), requires_grad=True) for p in params]
    resumed = rule(name)(others)
    resumed.load_state_dict(saved)
    trained(name, settings, range(5, 10), optimizer, params)
    trained(name, settings, range(5, 10), resumed, others)
    for p, q in zip(params, others, strict=True):
        assert np.array_equal(p.numpy(force=True), q.numpy(force=True))


def test_ftrl_makes_small_parameters_exactly_zero() -> None:
    w = minidl.tensor([0.3, 0.3], requires_grad=True)
    optimizer = optim.Ftrl([w], lr=0.5, l1=1.0)
    for _ in range(5):
        w.grad = minidl.tensor([-1.0, 0.01])
        optimizer.step()
    assert w.array[1] == 0 < w.array[0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam"])
def test_numbers_after_are_those_of_so_many_steps(name: str) -> None:
    w = minidl.ones(1, requires_grad=True)
    optimizer = getattr(optim, name)([w])
    for step in range(1, 8):
        w.grad = minidl.ones(1)
        optimizer.step()
        state = optimizer.state[w]
        numbers = {key: state[key] for key in optimizer.numbers}
        if name != "SGD":  # which counts steps with momentum only
            assert optimizer.numbers_after(optimizer.param_groups[0], step) == numbers
    after = optimizer.numbers_after(optimizer.param_groups[0], 10**9)
    assert after["step"] == 10**9  # and in no time
    assert 1 - after.get("mu_product", 0.0) == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr_power": 0.5}, "lr_power must be 0 or less, got 0.5"),
        ({"lr_power": float("nan")}, "lr_power must be 0 or less"),
        ({"l1": -1.0}, "l1 must not be negative"),
        ({"l2": -1.0}, "l2 must not be negative"),
        ({"l2_shrinkage": -1.0}, "l2_shrinkage must not be negative"),
        ({"beta": -1.0}, "beta must not be negative"),
    ],
)
def test_bad_hyperparameters_of_ftrl(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        optim.Ftrl([minidl.ones(1, requires_grad=True)], **settings)


def test_ftrl_cannot_stand_still() -> None:
    w = minidl.ones(1, requires_grad=True)
    optimizer = optim.Ftrl([w], lr=0.0)
    w.grad = minidl.ones(1)
    with pytest.raises(ArgumentError, match=r"divides by lr, which must be more than 0, got 0\.0"):
        optimizer.step()
    assert w.array.tolist() == [1.0]


def test_bad_hyperparameters_of_lion() -> None:
    with pytest.raises(ArgumentError, match=r"beta2 must be in \[0.0, 1.0\), got 1.0"):
        optim.Lion([minidl.ones(1, requires_grad=True)], betas=(0.9, 1.0))


@pytest.mark.parametrize("name", ["Lion"])
def test_maximize_goes_uphill(name: str) -> None:
    w = minidl.tensor([1.0], requires_grad=True)
    w.grad = minidl.tensor([2.0])
    rule(name)([w], lr=0.5, maximize=True).step()
    assert w.array.tolist() == [1.5]
