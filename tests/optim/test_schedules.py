"""Schedules: each learning rate is PyTorch's; and closed forms that need no PyTorch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

import minidl
from minidl import optim
from minidl.errors import ArgumentError, DTypeError, NumericalWarning, RangeError, StateError
from minidl.optim import lr_scheduler, schedules

try:
    import torch
except ImportError:
    torch = None

Maker = Callable[[Any, Any], Any]

# each takes the module with the schedules, minidl's or PyTorch's, and the optimizer
SCHEDULES: dict[str, Maker] = {
    "lambda": lambda m, o: m.LambdaLR(o, lambda t: 1 / (1 + t)),
    "lambdas": lambda m, o: m.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 + t]),
    "multiplicative": lambda m, o: m.MultiplicativeLR(o, lambda t: 0.9 + 0.1 / t),
    "step": lambda m, o: m.StepLR(o, 7, gamma=0.5),
    "multistep": lambda m, o: m.MultiStepLR(o, [30, 5, 5, 12], gamma=0.3),
    "constant": lambda m, o: m.ConstantLR(o),
    "constant 0.1": lambda m, o: m.ConstantLR(o, 0.1, 20),
    "linear": lambda m, o: m.LinearLR(o),
    "linear down": lambda m, o: m.LinearLR(o, 1.0, 0.0, 30),
    "exponential": lambda m, o: m.ExponentialLR(o, 0.9),
    "polynomial": lambda m, o: m.PolynomialLR(o, 40, 2.5),
    "polynomial default": lambda m, o: m.PolynomialLR(o),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, 13),
    "cosine above a floor": lambda m, o: m.CosineAnnealingLR(o, 50, eta_min=0.01),
    "restarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 7),
    "longer restarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 4, 3, eta_min=0.02),
    "one cycle": lambda m, o: m.OneCycleLR(o, 1.0, total_steps=61),
    "one cycle of three": lambda m, o: m.OneCycleLR(
        o, [1.0, 0.5], epochs=7, steps_per_epoch=9, three_phase=True, pct_start=0.35, anneal_strategy="linear"
    ),
    "one cycle without momentum": lambda m, o: m.OneCycleLR(o, 0.1, total_steps=70, cycle_momentum=False),
    "chain": lambda m, o: m.ChainedScheduler([m.ConstantLR(o, 0.1, 2), m.ExponentialLR(o, 0.9), m.StepLR(o, 9)]),
    "chain with cosine": lambda m, o: m.ChainedScheduler([m.LinearLR(o, 0.1, 1, 9), m.CosineAnnealingLR(o, 20)]),
    "sequence": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, total_iters=9), m.ExponentialLR(o, 0.9), m.CosineAnnealingLR(o, 11)], [10, 30]
    ),
    "sequence of steps": lambda m, o: m.SequentialLR(o, [m.ConstantLR(o, 0.1), m.MultiStepLR(o, [4])], [6]),
    "sequence with restarts": lambda m, o: m.SequentialLR(o, [m.LinearLR(o), m.CosineAnnealingWarmRestarts(o, 8)], [5]),
}


def optimizer_of(settings: dict[str, Any] | None = None, name: str = "SGD") -> Any:
    a, b = (minidl.ones(1, requires_grad=True) for _ in range(2))
    settings = {"lr": 0.2, **({"momentum": 0.9} if name == "SGD" else {}), **(settings or {})}
    return getattr(optim, name)([{"params": [a]}, {"params": [b], "lr": 0.05}], **settings)


def plain(lr: float = 1.0) -> Any:
    return optim.SGD([minidl.ones(1, requires_grad=True)], lr=lr)


def walk(optimizer: Any, schedule: Any, steps: int) -> list[float]:
    """The first group's learning rate at each epoch, the first included."""
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


# ---------------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_learning_rates_are_pytorchs(name: str, kind: str) -> None:
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    settings = {"lr": 0.2, "momentum": 0.9} if kind == "SGD" else {"lr": 0.2}
    params = [{"params": [torch.ones(1)]}, {"params": [torch.ones(1)], "lr": 0.05}]
    theirs = getattr(torch.optim, kind)(params, **settings)
    mine = optimizer_of(name=kind)
    their_schedule = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    schedule = SCHEDULES[name](lr_scheduler, mine)
    for epoch in range(60):
        for g, h in zip(mine.param_groups, theirs.param_groups, strict=True):
            assert g["lr"] == pytest.approx(h["lr"], rel=1e-9, abs=1e-15), f"epoch {epoch}"
            key = "momentum" if kind == "SGD" else "betas"
            assert g[key] == pytest.approx(h[key], rel=1e-12)
        assert schedule.get_last_lr() == pytest.approx(their_schedule.get_last_lr(), rel=1e-9, abs=1e-15)
        theirs.step()
        mine.step()
        their_schedule.step()
        schedule.step()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "max", "factor": 0.5, "patience": 2},
        {"patience": 1, "threshold": 0.05, "threshold_mode": "abs", "cooldown": 3},
        {"patience": 0, "min_lr": [0.01, 0.04], "mode": "max", "threshold_mode": "abs"},
        {"patience": 0, "eps": 0.01, "factor": 0.5},
    ],
)
def test_plateau_is_pytorchs(settings: dict[str, Any]) -> None:
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    params = [{"params": [torch.ones(1)]}, {"params": [torch.ones(1)], "lr": 0.05}]
    theirs = torch.optim.SGD(params, lr=0.2)
    mine = optimizer_of({"momentum": 0.0})
    their_schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    schedule = schedules.ReduceLROnPlateau(mine, **settings)
    for epoch in range(60):
        metric = 1 + math.sin(epoch / 5) * math.exp(-epoch / 20)
        their_schedule.step(metric)
        schedule.step(metric)
        for g, h in zip(mine.param_groups, theirs.param_groups, strict=True):
            assert g["lr"] == pytest.approx(h["lr"], rel=1e-12)
        assert schedule.num_bad_epochs == their_schedule.num_bad_epochs
        assert schedule.best == their_schedule.best


def test_fractions_of_epochs_are_pytorchs() -> None:
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    theirs = torch.optim.SGD([torch.ones(1)], lr=0.2)
    mine = plain(0.2)
    their_schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, 3, 2)
    schedule = schedules.CosineAnnealingWarmRestarts(mine, 3, 2)
    theirs.step()
    mine.step()
    for epoch in [0.25, 0.5, 2.9, 3.1, 8.5, 9.5, 20.25, None, None, 4, None]:
        their_schedule.step(epoch)
        schedule.step(epoch)
        assert mine.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
        assert schedule.last_epoch == their_schedule.last_epoch


# ---------------------------------------------------------------------- closed forms


@pytest.mark.parametrize(
    ("make", "want"),
    [
        (lambda o: schedules.StepLR(o, 2, 0.5), [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        (lambda o: schedules.MultiStepLR(o, [4, 1], 0.5), [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]),
        (lambda o: schedules.ExponentialLR(o, 0.5), [0.5**t for t in range(7)]),
        (lambda o: schedules.ConstantLR(o, 0.5, 3), [0.5, 0.5, 0.5, 1, 1, 1, 1]),
        (lambda o: schedules.ConstantLR(o, 0.0, 3), [0, 0, 0, 1, 1, 1, 1]),
        (lambda o: schedules.LinearLR(o, 0.5, 1.0, 4), [0.5, 0.625, 0.75, 0.875, 1, 1, 1]),
        (lambda o: schedules.PolynomialLR(o, 4, 2), [1, 0.5625, 0.25, 0.0625, 0, 0, 0]),
        (
            lambda o: schedules.CosineAnnealingLR(o, 4, 0.2),
            [0.2 + 0.4 * (1 + math.cos(math.pi * t / 4)) for t in range(7)],
        ),
        (
            lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2),
            [1, 0.5, 1, 0.5 + 0.25 * math.sqrt(2), 0.5, 0.5 - 0.25 * math.sqrt(2), 1],
        ),
        (lambda o: schedules.LambdaLR(o, lambda t: 1 / (1 + t)), [1 / (1 + t) for t in range(7)]),
        (lambda o: schedules.MultiplicativeLR(o, lambda t: 0.5), [0.5**t for t in range(7)]),
        (
            lambda o: schedules.SequentialLR(
                o, [schedules.LinearLR(o, 0.5, 1, 2), schedules.ExponentialLR(o, 0.5)], [3]
            ),
            [0.5, 0.75, 1, 1, 0.5, 0.25, 0.125],
        ),
        (  # PyTorch has this one too, but warns of its own first step
            lambda o: schedules.SequentialLR(
                o,
                [
                    schedules.ChainedScheduler([schedules.ConstantLR(o, 0.5, 2), schedules.ExponentialLR(o, 0.5)]),
                    schedules.PolynomialLR(o, 2),
                ],
                [4],
            ),
            [0.5, 0.25, 0.25, 0.125, 1, 0.5, 0],
        ),
        (
            lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o, 0.5, 2), schedules.StepLR(o, 3, 0.1)]),
            [0.5, 0.5, 1, 0.1, 0.1, 0.1, 0.01],
        ),
    ],
)
def test_closed_form(make: Maker, want: list[float]) -> None:
    optimizer = plain()
    schedule = make(optimizer)
    assert walk(optimizer, schedule, 6) == pytest.approx(want, abs=1e-15)
    fresh = plain()
    jumped = make(fresh)
    fresh.step()
    if not isinstance(jumped, (schedules.SequentialLR, schedules.ChainedScheduler)):
        jumped.step(4)
        assert jumped.get_last_lr() == pytest.approx([want[4]], abs=1e-15)


def test_one_cycle() -> None:
    optimizer = optim.SGD([minidl.ones(1, requires_grad=True)], lr=0.1, momentum=0.5)
    schedule = schedules.OneCycleLR(optimizer, 1.0, total_steps=11, pct_start=5 / 11, anneal_strategy="linear")
    momentums = []
    lrs = []
    for _ in range(11):
        lrs.append(optimizer.param_groups[0]["lr"])
        momentums.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    assert lrs[:5] == pytest.approx([0.04, 0.28, 0.52, 0.76, 1.0])
    assert lrs[10] == pytest.approx(0.04 / 1e4)
    assert momentums[:5] == pytest.approx([0.95, 0.925, 0.9, 0.875, 0.85])
    assert momentums[10] == pytest.approx(0.95)
    with pytest.raises(RangeError, match="step 12 of a cycle of 11"):
        schedule.step()


def test_one_cycle_that_starts_at_its_peak() -> None:
    optimizer = optim.Adam([minidl.ones(1, requires_grad=True)])
    schedules.OneCycleLR(optimizer, 1.0, total_steps=10, pct_start=0.1)
    assert optimizer.param_groups[0]["lr"] == 1.0
    assert optimizer.param_groups[0]["betas"] == (0.85, 0.999)


def test_plateau() -> None:
    optimizer = plain()
    schedule = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1)
    seen = []
    for loss in [3, 2, 2, 2, 2, 2, 2, minidl.tensor(1.0), 1]:
        schedule.step(loss)
        seen.append(schedule.get_last_lr()[0])
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert schedule.best == 1


def test_a_learning_rate_changed_by_hand_stays_changed() -> None:
    optimizer = plain()
    schedule = schedules.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    optimizer.param_groups[0]["lr"] = 10.0
    schedule.step()
    assert schedule.get_last_lr() == [5.0]


def test_a_schedule_written_as_in_pytorch() -> None:
    class Falling(lr_scheduler.LRScheduler):
        def get_lr(self) -> list[float]:
            return [base / (1 + self.last_epoch) for base in self.base_lrs]

    optimizer = plain()
    schedule = Falling(optimizer)
    assert walk(optimizer, schedule, 3) == [1, 0.5, 1 / 3, 0.25]
    schedule.step(9)
    assert schedule.get_last_lr() == [0.1]
    with pytest.raises(NotImplementedError, match="LRScheduler defines neither"):
        lr_scheduler.LRScheduler(plain())


def test_resuming_at_an_epoch() -> None:
    optimizer = plain()
    with pytest.raises(StateError, match="cannot resume after epoch 3: group 0 of the optimizer has no 'initial_lr'"):
        schedules.StepLR(optimizer, 2, last_epoch=3)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    schedule = schedules.ExponentialLR(optimizer, 0.5, last_epoch=2)
    assert (schedule.last_epoch, schedule.get_last_lr()) == (3, [0.125])


# ---------------------------------------------------------------------- state


@pytest.mark.parametrize("name", SCHEDULES)
def test_state_dict_continues(name: str) -> None:
    optimizer = optimizer_of()
    schedule = SCHEDULES[name](lr_scheduler, optimizer)
    walk(optimizer, schedule, 17)
    saved = json.loads(json.dumps([schedule.state_dict(), optimizer.state_dict()["param_groups"]]))
    want = walk(optimizer, schedule, 30)
    other = optimizer_of()
    resumed = SCHEDULES[name](lr_scheduler, other)
    resumed.load_state_dict(saved[0])
    other.load_state_dict({"state": {}, "param_groups": saved[1]})
    other.step()
    assert walk(other, resumed, 30) == want
    assert resumed.state_dict() == schedule.state_dict()


def test_state_of_a_plateau() -> None:
    optimizer = plain()
    schedule = schedules.ReduceLROnPlateau(optimizer, patience=3)
    for _ in range(3):
        schedule.step(1.0)
    resumed = schedules.ReduceLROnPlateau(plain(), patience=9)
    resumed.load_state_dict(schedule.state_dict())
    resumed.step(1.0)
    resumed.step(1.0)
    assert resumed.get_last_lr() == [0.1]


def test_state_errors() -> None:
    step, cosine = schedules.StepLR(plain(), 2), schedules.CosineAnnealingLR(plain(), 2)
    with pytest.raises(StateError, match="CosineAnnealingLR: the state has no 'T_max'"):
        cosine.load_state_dict(step.state_dict())
    optimizer = plain()
    chain = schedules.ChainedScheduler([schedules.StepLR(optimizer, 2)])
    with pytest.raises(StateError, match="the state is made of 0 schedules, this one of 1"):
        chain.load_state_dict(step.state_dict())


# ---------------------------------------------------------------------- errors


def test_order_of_steps() -> None:
    optimizer = plain()
    schedule = schedules.StepLR(optimizer, 1)
    with pytest.warns(NumericalWarning, match=r"StepLR: step\(\) was called before optimizer.step\(\)"):
        schedule.step()
    schedule.step()  # once is enough


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: schedules.StepLR(o, 0), "StepLR: step_size must be a positive integer, got 0"),
        (lambda o: schedules.CosineAnnealingLR(o, 0), "T_max must be a positive integer"),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 1.5), "T_0 must be a positive integer, got 1.5"),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 1, 0), "T_mult must be a positive integer"),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2).step(-1), "epoch must not be negative"),
        (lambda o: schedules.PolynomialLR(o, 0), "total_iters must be a positive integer"),
        (lambda o: schedules.ConstantLR(o, 1.5), "factor must be between 0 and 1, got 1.5"),
        (lambda o: schedules.LinearLR(o, 0.0), "start_factor must be above 0"),
        (lambda o: schedules.LinearLR(o, 0.5, 2.0), "end_factor between 0 and 1, got 0.5 and 2.0"),
        (lambda o: schedules.LinearLR(o, total_iters=0), "total_iters must be a positive integer"),
        (lambda o: schedules.LambdaLR(o, [abs, abs, abs]), "got 3 values for 1 parameter groups"),
        (lambda o: schedules.OneCycleLR(o, 1.0), "give total_steps, or epochs and steps_per_epoch"),
        (lambda o: schedules.OneCycleLR(o, 1.0, total_steps=-1), "total_steps must be a positive integer"),
        (lambda o: schedules.OneCycleLR(o, 1.0, total_steps=9, pct_start=2.0), "pct_start must be between 0 and 1"),
        (lambda o: schedules.OneCycleLR(o, 1.0, total_steps=9, anneal_strategy="up"), "must be 'cos' or 'linear'"),
        (lambda o: schedules.OneCycleLR(o, [1.0, 2.0], total_steps=9), "got 2 values for 1 parameter groups"),
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), "factor must be below 1"),
        (lambda o: schedules.ReduceLROnPlateau(o, mode="up"), "mode must be 'min' or 'max'"),
        (lambda o: schedules.SequentialLR(o, [], []), "the list of schedules is empty"),
        (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [3]), "1 schedules need 0 milestones, got 1"),
        (lambda o: schedules.ChainedScheduler([schedules.ReduceLROnPlateau(o)]), "needs a metric"),
        (lambda o: schedules.ChainedScheduler([schedules.StepLR(plain(), 1), schedules.StepLR(o, 1)]), "another opt"),
    ],
)
def test_bad_arguments(make: Callable[[Any], Any], message: str) -> None:
    optimizer = plain()
    optimizer.step()
    with pytest.raises(ArgumentError, match=message):
        make(optimizer)


def test_bad_types() -> None:
    with pytest.raises(DTypeError, match=r"StepLR: expected an optimizer of minidl.optim, got int"):
        schedules.StepLR(3, 1)
    with pytest.raises(DTypeError, match="schedule 0 is of type int"):
        schedules.SequentialLR(plain(), [3], [])
    with pytest.raises(ArgumentError, match="Adagrad has no momentum to cycle; pass cycle_momentum=False"):
        schedules.OneCycleLR(optim.Adagrad([minidl.ones(1)]), 1.0, total_steps=3)


def test_the_module_has_both_names() -> None:
    import minidl.optim.lr_scheduler as by_pytorchs_name

    assert by_pytorchs_name.StepLR is schedules.StepLR
    assert by_pytorchs_name.__all__ == schedules.__all__
