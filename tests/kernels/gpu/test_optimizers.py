"""The GPU's optimisers against the formulas in NumPy: settings, shapes, layouts, launches, missing gradients."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.kernels.gpu import optimizers
from minidl.optim import SGD, Adam
from tests.kernels.gpu.harness import Fault, few_blocks
from tests.kernels.optimizer_settings import SETTINGS, SHAPES

STEPS = 4


def trained(
    device: str, rule: Any, settings: Any, dtype: str, shapes: Any = SHAPES, missing: bool = False
) -> list[Any]:
    """Return parameters, and what the optimiser keeps of them, after some steps."""
    rng = np.random.default_rng(0)

    def array(shape: Any) -> Any:
        return np.asarray(rng.standard_normal(shape), dtype)

    params = [minidl.tensor(array(shape), device=device, requires_grad=True) for shape in shapes]
    optimizer = rule(params, **settings)
    for step in range(STEPS):
        for k, p in enumerate(params):
            grad = minidl.tensor(array(tuple(p.shape)[::-1]), device=device).permute(*reversed(range(p.ndim)))
            p.grad = None if missing and (step + k) % 3 == 1 else grad
        optimizer.step()
    kept = [x for p in params for _, x in sorted(optimizer.state[p].items()) if not isinstance(x, (int, float))]
    return [p.detach().cpu().numpy() for p in params] + [x if device == "cpu" else x.get() for x in kept]


def check(rule: Any, settings: Any, dtype: str, **kwargs: Any) -> None:
    found, wanted = (trained(device, rule, settings, dtype, **kwargs) for device in ("gpu", "cpu"))
    assert len(found) == len(wanted)
    tolerance = 1e-13 if dtype == "f8" else 2e-5
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_settings(xp: Any, name: str, dtype: str) -> None:
    check(*SETTINGS[name], dtype)


@pytest.mark.parametrize("name", ["adam", "nesterov", "keras momentum", "centered momentum"])
def test_gradients_that_are_missing(xp: Any, name: str) -> None:
    check(*SETTINGS[name], "f8", missing=True)


@pytest.mark.parametrize("shapes", [[(1,)], [()], [(0,)], [(0,), (0, 3)], [(2,), (0,), (3,)], [(257,)] * 3])
def test_few_and_no_elements(xp: Any, shapes: Any) -> None:
    check(Adam, {"weight_decay": 0.1}, "f8", shapes=shapes)


def test_one_launch_a_step(xp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    launches = []
    monkeypatch.setattr(optimizers, "run", lambda name, members, *rest: launches.append((name, len(members.arrays))))
    trained("gpu", Adam, {}, "f4")
    assert launches == [("adam", len(SHAPES))] * STEPS


def test_a_parameter_that_became_infinite_does_not_enter_without_decay(xp: Any) -> None:
    p = minidl.tensor(np.array([np.inf, 1.0], "f4"), device="gpu", requires_grad=True)
    p.grad = minidl.ones(2, device="gpu")
    optimizer = SGD([p], lr=0.5, momentum=0.5)
    optimizer.step()
    assert p.detach().cpu().tolist() == [np.inf, 0.5]
    assert optimizer.state[p]["momentum_buffer"].get().tolist() == [1, 1]


def test_the_table_is_sent_when_an_address_changes(xp: Any) -> None:
    arrays = [xp.arange(3, dtype="f4"), xp.arange(2, dtype="f4")]
    members, grads = optimizers.Members(arrays), [xp.ones(3, "f4"), xp.ones(2, "f4")]
    first = members.table(grads)
    assert members.table(grads) is first
    assert first.get().tolist() == [a.data.ptr for a in (*arrays, *grads)] + [0, 3]
    others = [xp.ones(3, "f4"), grads[1]]
    assert members.table(others).get().tolist()[2] == others[0].data.ptr


def test_neighbours_stay(xp: Any) -> None:
    """The kernel writes through addresses: what lies before and behind a parameter is none of its business."""
    whole = xp.ones(9, "f4")
    members = optimizers.Members([whole[1:4], whole[5:8]])
    optimizers.sgd(members, [xp.ones(3, "f4")] * 2, [], (1.0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0))
    assert whole.get().tolist() == [1, 0.5, 0.5, 0.5, 1, 0.5, 0.5, 0.5, 1]


def check_rules(*names: str) -> None:
    with few_blocks():
        for name in names:
            check(*SETTINGS[name], "f8", shapes=[(3,), (0,), (700,), (2, 3)])


FAULTS = [
    Fault(f"optimizers.cu:{kernel}", old, new, functools.partial(check_rules, *names))
    for kernel, names, changes in (
        (
            "adam",
            ("amsgrad", "keras adam", "uphill"),
            [
                ("EACH(i, size)", "EACH(i, size - 1)"),
                ("EACH(i, size)", "EACH(i, size + 1)"),
                ("v > highest[i]", "v < highest[i]"),
                ("* rest1", "* rest2"),
                ("p * shrink", "p"),
                ("mean[i] = m;", ""),
                ("gradient(of, sign, decay)", "of.g"),
            ],
        ),
        (
            "sgd",
            ("sgd", "dampening", "nesterov"),
            [
                ("EACH(i, size)", "EACH(i, size - 1)"),
                ("step * add", "step"),
                ("keep != 0", "keep == 0"),
                ("velocity[i] = speed;", ""),
                ("nesterov != 0", "nesterov == 0"),
            ],
        ),
        (
            "keras_sgd",
            ("keras sgd", "keras momentum", "keras nesterov"),
            [
                ("EACH(i, size)", "EACH(i, size - 1)"),
                ("p * shrink", "p"),
                ("step + speed * momentum", "step + speed"),
                ("velocity[i] = speed;", ""),
            ],
        ),
        (
            "rmsprop",
            ("rmsprop uphill", "centered momentum", "keras rmsprop momentum"),
            [
                ("EACH(i, size)", "EACH(i, size - 1)"),
                ("v -= m * m;", ""),
                ("if (rate_first)", "if (!rate_first)"),
                ("v += inner;", ""),
                ("velocity[i] = step;", ""),
                ("mean[i] = m;", ""),
                ("* alpha", ""),
            ],
        ),
    )
    for old, new in changes
]
