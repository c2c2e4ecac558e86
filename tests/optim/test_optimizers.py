"""Optimisers: every trajectory is PyTorch's; and what a user without PyTorch can check by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import optim
from minidl.backend import is_array, namespace, to_numpy
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError, StateError
from minidl.optim import buckets

try:
    import torch
except ImportError:
    torch = None

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    ("SGD", {"lr": 0.001, "momentum": 0.9, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.0}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.9)}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-4, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"lr": 0.001, "centered": True, "momentum": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.05}),
    ("Adamax", {"betas": (0.7, 0.9), "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.05}),
    ("NAdam", {"betas": (0.7, 0.9), "momentum_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05}),
    ("RAdam", {"betas": (0.7, 0.9), "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
]
IDS = [f"{i}-{name}" for i, (name, _) in enumerate(SETTINGS)]
NAMES = sorted({name for name, _ in SETTINGS})
TOLERANCES = {"NAdam": {"rtol": 1e-6, "atol": 1e-8}}  # PyTorch keeps its product of momentums in float32
SHAPES = [(5, 4), (4,), (4, 3), (3,), ()]


def starts(dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]


def gradients_at(step: int, dtype: str) -> list[np.ndarray]:
    """Gradients that vary in size from step to step and element to element."""
    rng = np.random.default_rng(100 + step)
    return [np.asarray(rng.standard_normal(shape) * 10 ** rng.uniform(-2, 1, shape), dtype) for shape in SHAPES]


def parameters(arrays: list[np.ndarray]) -> list[Any]:
    return [minidl.tensor(a, requires_grad=True) for a in arrays]


def on_host(tree: Any) -> Any:
    """Return a state with NumPy's arrays in place of a GPU's."""
    if isinstance(tree, dict):
        return {key: on_host(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [on_host(value) for value in tree]
    return to_numpy(tree) if is_array(tree) else tree


def train(optimizer: Any, params: list[Any], steps: range, dtype: str = "float64") -> None:
    for step in steps:
        for p, g in zip(params, gradients_at(step, dtype), strict=True):
            p.grad = minidl.tensor(g)
        optimizer.step()


def trajectory(name: str, settings: dict[str, Any], steps: int, dtype: str = "float64") -> list[np.ndarray]:
    params = parameters(starts(dtype))
    train(getattr(optim, name)(params, **settings), params, range(steps), dtype)
    return [p.numpy(force=True) for p in params]


# ---------------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_trajectory_is_pytorchs(name: str, settings: dict[str, Any], dtype: str) -> None:
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    theirs = [torch.tensor(a, requires_grad=True) for a in starts(dtype)]
    optimizer = getattr(torch.optim, name)(theirs, **settings, foreach=False)
    params = parameters(starts(dtype))
    mine = getattr(optim, name)(params, **settings)
    tolerance = TOLERANCES.get(name, {"rtol": 1e-11, "atol": 1e-12})
    if dtype == "float32":
        tolerance = {"rtol": 2e-5, "atol": 2e-6}
    for step in range(50):
        train(mine, params, range(step, step + 1), dtype)
        for p, g in zip(theirs, gradients_at(step, dtype), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        if step not in (0, 1, 5, 10, 20, 49):
            continue
        for p, q in zip(params, theirs, strict=True):
            assert p.dtype == dtype
            np.testing.assert_allclose(p.numpy(force=True), q.detach().numpy(), **tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_pytorchs(name: str) -> None:
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    theirs = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)]).defaults
    mine = getattr(optim, name)([minidl.zeros(1, requires_grad=True)]).defaults
    for key, value in mine.items():
        assert value == theirs.get(key, name == "AdamW"), key


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_continues_from_pytorchs_state(name: str, settings: dict[str, Any]) -> None:
    """A run that PyTorch began is finished here."""
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    theirs = [torch.tensor(a, requires_grad=True) for a in starts("float64")]
    optimizer = getattr(torch.optim, name)(theirs, **settings)
    for step in range(10):
        if step == 5:
            params = parameters([p.detach().numpy() for p in theirs])
            mine = getattr(optim, name)(params)
            mine.load_state_dict(optimizer.state_dict())
        for p, g in zip(theirs, gradients_at(step, "float64"), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
    train(mine, params, range(5, 10))
    for p, q in zip(params, theirs, strict=True):
        tolerance = TOLERANCES.get(name, {"rtol": 1e-11, "atol": 1e-12})
        np.testing.assert_allclose(p.numpy(force=True), q.detach().numpy(), **tolerance)


# ---------------------------------------------------------------------- formulas, written out


def reference(name: str, p: float, grads: list[float], **h: Any) -> float:
    """One number through the formulas of the docstrings, in plain Python."""
    m = v = u = 0.0
    v = h.get("v", 0.0)
    product = 1.0
    for t, g in enumerate(grads, 1):
        lr = h["lr"]
        if name == "SGD":
            m = g if t == 1 else h["momentum"] * m + g
            p -= lr * m
        elif name in ("Adam", "AdamW"):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            p *= 1 - lr * h.get("weight_decay", 0)
            p -= lr * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        elif name == "Adagrad":
            v += g * g
            p -= lr * g / (math.sqrt(v) + 1e-10)
        elif name == "RMSprop":
            v = 0.99 * v + 0.01 * g * g
            p -= lr * g / (math.sqrt(v) + 1e-8)
        elif name == "Adadelta":
            v = 0.9 * v + 0.1 * g * g
            step = g * math.sqrt(u + 1e-6) / math.sqrt(v + 1e-6)
            u = 0.9 * u + 0.1 * step * step
            p -= lr * step
        elif name == "Adamax":
            m, u = 0.9 * m + 0.1 * g, max(0.999 * u, abs(g) + 1e-8)
            p -= lr * m / ((1 - 0.9**t) * u)
        elif name == "NAdam":
            now, ahead = (0.9 * (1 - 0.5 * 0.96 ** (s * 4e-3)) for s in (t, t + 1))
            product *= now
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            mean = ahead * m / (1 - product * ahead) + (1 - now) * g / (1 - product)
            p -= lr * mean / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            end = 2 / 0.001 - 1
            rho = end - 2 * t * 0.999**t / (1 - 0.999**t)
            if rho > 5:
                rect = math.sqrt((rho - 4) * (rho - 2) * end / ((end - 4) * (end - 2) * rho))
                p -= lr * m / (1 - 0.9**t) * rect * math.sqrt(1 - 0.999**t) / (math.sqrt(v) + 1e-8)
            else:
                p -= lr * m / (1 - 0.9**t)
    return p


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("Adam", {"lr": 0.1}),
        ("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
        ("Adagrad", {"lr": 0.1}),
        ("RMSprop", {"lr": 0.1}),
        ("Adadelta", {"lr": 1.0}),
        ("Adamax", {"lr": 0.1}),
        ("NAdam", {"lr": 0.1}),
        ("RAdam", {"lr": 0.1}),
    ],
)
def test_formula(name: str, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    grads = rng.standard_normal((12, 2))
    w = minidl.tensor(np.array([1.0, -2.0]), requires_grad=True)
    optimizer = getattr(optim, name)([w], **settings)
    for g in grads:
        w.grad = minidl.tensor(g)
        optimizer.step()
    want = [reference(name, p, list(g), **settings) for p, g in zip([1.0, -2.0], grads.T, strict=True)]
    np.testing.assert_allclose(w.numpy(force=True), want, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_goes_downhill(name: str) -> None:
    w = minidl.tensor([3.0, -2.0], requires_grad=True)
    optimizer = getattr(optim, name)([w], lr=1.0 if name == "Adadelta" else 0.05)
    first = (w * w).sum().item()
    for _ in range(40):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert (w * w).sum().item() < first


def test_maximize_goes_uphill() -> None:
    w = minidl.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5, maximize=True)
    (w * w).sum().backward()
    optimizer.step()
    assert w.item() == 2.0
    assert w.grad.item() == 2.0  # untouched


def test_names() -> None:
    assert optim.AdaGrad is optim.Adagrad


# ---------------------------------------------------------------------- how parameters are walked over


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_blocks_and_buckets_change_no_bit(name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    together = trajectory(name, settings, 6)
    monkeypatch.setattr(buckets, "SMALL", -1)  # nothing is gathered
    alone = trajectory(name, settings, 6)
    monkeypatch.setattr(buckets, "BLOCK", 3)  # everything is cut
    cut = trajectory(name, settings, 6)
    for a, b, c in zip(together, alone, cut, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


def test_many_parameters_fill_several_buckets() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size) for size in (4000, 4000, 4000, 4000, 30, 50000, 0, 1)]
    for dtype in ("float64", "float32"):
        params = parameters([a.astype(dtype) for a in arrays])
        optimizer = optim.Adam(params, lr=0.1)
        for _ in range(3):
            for p in params:
                p.grad = minidl.tensor(p.numpy(force=True) * 2)
            optimizer.step()
        for p, a in zip(params, arrays, strict=True):
            alone = minidl.tensor(a.astype(dtype), requires_grad=True)
            other = optim.Adam([alone], lr=0.1)
            for _ in range(3):
                alone.grad = minidl.tensor(alone.numpy(force=True) * 2)
                other.step()
            assert np.array_equal(p.numpy(force=True), alone.numpy(force=True))


def test_memory_layout_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    a, g = rng.standard_normal((200, 100)), rng.standard_normal((200, 100))
    want = minidl.tensor(a, requires_grad=True)
    got = minidl.tensor(a, requires_grad=True)
    got.array = namespace(got.array).asfortranarray(got.array)
    mixed = minidl.tensor(a, requires_grad=True)
    for p in (want, got, mixed):
        optimizer = optim.AdamW([p], weight_decay=0.1)
        for step in range(3):
            p.grad = minidl.tensor(g * (step + 1))
            if p is mixed:
                p.grad.array = namespace(p.grad.array).asfortranarray(p.grad.array)
            optimizer.step()
    assert np.array_equal(want.numpy(force=True), got.numpy(force=True))
    assert np.array_equal(want.numpy(force=True), mixed.numpy(force=True))


def test_parameters_without_gradient_are_left_alone() -> None:
    params = parameters(starts("float64"))
    optimizer = optim.Adam(params, lr=0.1)
    for step in range(6):
        grads = gradients_at(step, "float64")
        for i, p in enumerate(params):
            # the first never has one, the second from the third step on, the third misses one step
            p.grad = None if i == 0 or (i == 1 and step < 3) or (i == 2 and step == 4) else minidl.tensor(grads[i])
        optimizer.step()
    assert np.array_equal(params[0].numpy(force=True), starts("float64")[0])
    assert params[0] not in optimizer.state
    assert [optimizer.state[p]["step"] for p in params[1:]] == [3, 5, 6, 6]
    for i, steps in ((1, (3, 4, 5)), (2, (0, 1, 2, 3, 5)), (3, range(6))):
        alone = minidl.tensor(starts("float64")[i], requires_grad=True)
        other = optim.Adam([alone], lr=0.1)
        for step in steps:
            alone.grad = minidl.tensor(gradients_at(step, "float64")[i])
            other.step()
        assert np.array_equal(params[i].numpy(force=True), alone.numpy(force=True))


def test_a_parameter_whose_array_was_replaced() -> None:
    params = parameters(starts("float64"))
    optimizer = optim.Adam(params, lr=0.1)
    train(optimizer, params, range(3))
    for p in params:
        p.array = p.array.astype("float32")  # as model.float() does
    train(optimizer, params, range(3, 5), "float32")
    want = trajectory("Adam", {"lr": 0.1}, 5)
    for p, w in zip(params, want, strict=True):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.numpy(force=True), w, rtol=1e-4)
        assert optimizer.state[p]["exp_avg"].dtype == np.float32
    params[0].array = np.zeros((2, 2), np.float32)
    params[0].grad = None
    params[0].grad = minidl.zeros(2, 2)
    with pytest.raises(ShapeError, match=r"changed from shape \(5, 4\) to \(2, 2\)"):
        optimizer.step()


def test_steps_write_in_place() -> None:
    params = parameters(starts("float64"))
    arrays = [p.array for p in params]
    train(optim.Adam(params), params, range(2))
    assert all(p.array is a for p, a in zip(params, arrays, strict=True))


@pytest.mark.parametrize("sizes", [(3, 3), (5000,)])
def test_a_step_makes_an_older_graph_stale(sizes: tuple[int, ...]) -> None:
    w = minidl.ones(*sizes, requires_grad=True)
    other = minidl.ones(2, requires_grad=True)
    optimizer = optim.SGD([w, other], lr=0.1)
    loss = (w * w).sum() + (other * other).sum()
    loss.backward(retain_graph=True)
    before = w.version, other.version
    optimizer.step()
    assert w.version > before[0]
    assert other.version > before[1]
    with pytest.raises(GradError, match="modified in place"):
        loss.backward()


def test_divergence_is_silent() -> None:
    """inf and nan are the answer, as in PyTorch, not a warning of NumPy's."""
    for name in NAMES:
        w = minidl.tensor([1e38, 1.0], requires_grad=True)
        optimizer = getattr(optim, name)([w], lr=1e38)
        for _ in range(3):
            w.grad = minidl.tensor([1e38, float("inf")])
            optimizer.step()


# ---------------------------------------------------------------------- groups, closures, gradients


def test_groups() -> None:
    a, b = (minidl.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": b}], lr=0.25, momentum=0.9)
    for p in (a, b):
        p.grad = minidl.tensor([1.0])
    optimizer.step()
    assert (a.item(), b.item()) == (0.5, 0.75)
    c = minidl.tensor([1.0], requires_grad=True)
    optimizer.add_param_group({"params": [c], "momentum": 0.0, "name": "late"})
    c.grad = minidl.tensor([1.0])
    optimizer.step()
    assert c.item() == 0.75
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25, 0.25]


def test_hyperparameters_can_be_changed_on_the_way() -> None:
    w = minidl.tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)
    w.grad = minidl.tensor(np.array([1.0]))
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.step()  # the velocity starts with this gradient
    optimizer.step()  # 0.5 * 1 + 1
    np.testing.assert_allclose(w.item(), 1 - 0.5 - 0.25 - 0.25 * 1.5)


def test_named_parameters() -> None:
    a, b = (minidl.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([("weight", a), ("bias", b)], lr=0.1)
    assert optimizer.param_groups[0]["params"] == [a, b]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_closure_is_called_with_gradients_enabled() -> None:
    w = minidl.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with minidl.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert w.item() == 0.5
    assert optimizer.step() is None


def test_zero_grad() -> None:
    w = minidl.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    grad = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.item() == 0.0
    assert grad.item() == 0.0
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is None


def test_repr() -> None:
    text = repr(optim.SGD([minidl.ones(1, requires_grad=True)], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0.0\n    lr: 0.5\n")


# ---------------------------------------------------------------------- state


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_state_dict_continues_to_the_same_bits(name: str, settings: dict[str, Any]) -> None:
    params = parameters(starts("float32"))
    optimizer = getattr(optim, name)(params, **settings)
    train(optimizer, params, range(5), "float32")
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    others = parameters([p.numpy(force=True) for p in params])
    train(optimizer, params, range(5, 10), "float32")
    np.testing.assert_equal(on_host(saved), on_host(kept))  # it is a copy: later steps do not change it
    resumed = getattr(optim, name)(others)
    resumed.load_state_dict(saved)
    train(resumed, others, range(5, 10), "float32")
    np.testing.assert_equal(on_host(saved), on_host(kept))
    for p, q in zip(params, others, strict=True):
        assert np.array_equal(p.numpy(force=True), q.numpy(force=True))
    np.testing.assert_equal(on_host(optimizer.state_dict()), on_host(resumed.state_dict()))


def test_state_dict_has_pytorchs_layout() -> None:
    a, b, c = parameters([np.zeros((2, 3)), np.zeros(3), np.zeros(1)])
    optimizer = optim.Adam([{"params": [a]}, {"params": [b, c], "lr": 0.5}])
    for p in (a, c):
        p.grad = minidl.ones(*p.shape, dtype="float64")
    optimizer.step()
    state = optimizer.state_dict()
    assert sorted(state) == ["param_groups", "state"]
    assert [group["params"] for group in state["param_groups"]] == [[0], [1, 2]]
    assert sorted(state["state"]) == [0, 2]
    assert state["state"][0]["step"] == 1
    assert state["state"][0]["exp_avg"].shape == (2, 3)
    assert type(state["state"][2]["exp_avg_sq"]) is type(c.array)
    as_json = {"state": {str(k): v for k, v in state["state"].items()}, "param_groups": state["param_groups"]}
    optimizer.load_state_dict(as_json)
    assert optimizer.state[c]["step"] == 1


def test_load_state_dict_errors() -> None:
    a, b = parameters([np.zeros((2, 3)), np.zeros(3)])
    optimizer = optim.Adam([a, b])
    a.grad, b.grad = minidl.ones_like(a), minidl.ones_like(b)
    optimizer.step()
    state = optimizer.state_dict()
    with pytest.raises(StateError, match="'state' and 'param_groups'"):
        optimizer.load_state_dict({"state": {}})
    with pytest.raises(StateError, match=r"groups of \[2\] parameters, this optimiser of \[1\]"):
        optim.Adam([a]).load_state_dict(state)
    with pytest.raises(
        StateError, match=r"exp_avg of parameter 0 has shape \(2, 3\) in the state, the parameter \(3,\)"
    ):
        optim.Adam([b, a]).load_state_dict(state)
    state["state"][7] = {}
    with pytest.raises(StateError, match="parameter 7, which is in no group"):
        optimizer.load_state_dict(state)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("SGD", {"lr": -1}, "lr must not be negative, got -1"),
        ("SGD", {"momentum": -0.5}, "momentum must not be negative"),
        ("SGD", {"weight_decay": -0.5}, "weight_decay must not be negative"),
        ("SGD", {"nesterov": True}, "needs momentum > 0 and dampening = 0"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening=0.1"),
        ("Adam", {"betas": (0.9, 1.0)}, r"beta2 must be in \[0.0, 1.0\), got 1.0"),
        ("Adam", {"betas": (-0.1, 0.9)}, "beta1 must be in"),
        ("Adam", {"betas": 0.9}, r"betas must be a pair \(beta1, beta2\), got 0.9"),
        ("Adam", {"eps": -1.0}, "eps must not be negative"),
        ("Adam", {"lr": float("nan")}, "lr must not be negative, got nan"),
        ("Adagrad", {"lr_decay": -1.0}, "lr_decay must not be negative"),
        ("Adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value must not be"),
        ("RMSprop", {"alpha": -1.0}, "alpha must not be negative"),
        ("Adadelta", {"rho": 1.5}, r"rho must be in \[0.0, 1.0\], got 1.5"),
        ("NAdam", {"momentum_decay": -1.0}, "momentum_decay must not be negative"),
    ],
)
def test_bad_hyperparameters(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(optim, name)([minidl.ones(1, requires_grad=True)], **settings)


def test_bad_parameters() -> None:
    w = minidl.ones(2, requires_grad=True)
    with pytest.raises(ArgumentError, match="list of parameters is empty"):
        optim.SGD([])
    with pytest.raises(ArgumentError, match="list of parameters is empty"):
        optim.SGD(p for p in ())
    with pytest.raises(DTypeError, match=r"iterable of tensors, got one Tensor; pass \[x\]"):
        optim.SGD(w)
    with pytest.raises(DTypeError, match="parameter 1 is of type int"):
        optim.SGD([w, 3])
    with pytest.raises(DTypeError, match="a set has none"):
        optim.SGD([{"params": {w}}])
    with pytest.raises(DTypeError, match="all parameters have a name or none"):
        optim.SGD([("w", w), minidl.ones(1)])
    with pytest.raises(GradError, match=r"parameter 0 \(shape \(2,\)\) is no leaf but the result of mul"):
        optim.SGD([w * 2])
    with pytest.raises(ArgumentError, match=r"parameter 1 of group 0 \(shape \(2,\)\) was given before"):
        optim.SGD([w, w])
    with pytest.raises(ArgumentError, match="parameter 0 of group 1"):
        optim.SGD([{"params": [w]}, {"params": [w]}])
    with pytest.raises(DTypeError, match="must be a dict with a key 'params'"):
        optim.SGD([{"param": [w]}])
    with pytest.raises(ArgumentError, match="unknown hyperparameter 'lrr' in a parameter group; it has lr, momentum"):
        optim.SGD([{"params": [w], "lrr": 1}])
    with pytest.raises(DTypeError, match="lr must be a number, got 'fast'"):
        optim.SGD([w], lr="fast")
    bare = optim.Optimizer([w], {"maximize": False})
    w.grad = minidl.ones(2)
    with pytest.raises(NotImplementedError, match="Optimizer has no update"):
        bare.step()


def test_a_module_instead_of_its_parameters() -> None:
    class Model:
        def parameters(self) -> list[Any]:
            return []

    with pytest.raises(DTypeError, match=r"got one Model; pass model.parameters\(\)"):
        optim.SGD(Model())


def test_an_optimizer_of_ones_own() -> None:
    """One method is all that a new optimiser needs."""

    class Sign(optim.Optimizer):
        def __init__(self, params: Any, lr: float = 0.1) -> None:
            super().__init__(params, {"lr": lr, "maximize": False})

        def update(self, group: Any, state: Any, xp: Any, g: Any, slots: Any, t: Any) -> Any:
            return group["lr"] * xp.sign(g)

    v = minidl.tensor([1.0], requires_grad=True)
    w = minidl.tensor([1.0, -1.0], requires_grad=True)
    optimizer = Sign([v, w], lr=0.25)
    ((v * v).sum() + (w * w).sum()).backward()
    optimizer.step()
    assert v.array.tolist() == [0.75]
    assert w.array.tolist() == [0.75, -0.75]
