"""Keras's optimisers: every trajectory is real Keras's, and so is what they keep, write and refuse."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras as ours
from minidl.errors import (
    ArgumentError,
    DTypeError,
    FormatError,
    GradError,
    NumericalWarning,
    ShapeError,
    StateError,
)
from tests.keras.yardstick import keras, torch

# Keras's own variables, as NumPy 2.4 sees them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:keras")

NAMES = ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion", "Ftrl"]
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"learning_rate": 0.05, "nesterov": True}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    ("Adam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-2}),
    ("Adam", {"learning_rate": 0.05, "amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.1}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("Adamax", {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-2, "weight_decay": 0.1}),
    ("Nadam", {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-2, "weight_decay": 0.1}),
    ("Lion", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1}),
    ("Ftrl", {"learning_rate": 0.1, "weight_decay": 0.1}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.75,
            "l1_regularization_strength": 0.3,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.4,
        },
    ),
]
IDS = [f"{i}-{name}" for i, (name, _) in enumerate(SETTINGS)]

# What happens around a step, whatever the rule.
AROUND: list[dict[str, Any]] = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.2},
    {"global_clipnorm": 0.7},
    {"clipnorm": 0.0},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.5, "weight_decay": 0.1},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    {"weight_decay": 0.1, "global_clipnorm": 0.7},
]

SHAPES = {"dense/kernel": (4, 3), "dense/bias": (3,), "top/scale": ()}
TOLERANCES = {"float32": {"rtol": 3e-5, "atol": 3e-6}, "float64": {"rtol": 1e-10, "atol": 1e-12}}


def starts(dtype: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {path: np.asarray(rng.standard_normal(shape), dtype) for path, shape in SHAPES.items()}


def gradients(step: int, dtype: str) -> list[np.ndarray]:
    """Gradients that vary in size from step to step and element to element."""
    rng = np.random.default_rng(100 + step)
    return [np.asarray(rng.standard_normal(s) * 10 ** rng.uniform(-2, 1, s), dtype) for s in SHAPES.values()]


def variables(dtype: str = "float32") -> list[Any]:
    return [ours.Variable(a, name=path.split("/")[-1], path=path) for path, a in starts(dtype).items()]


def their_variables(dtype: str = "float32") -> list[Any]:
    found = []
    for path, a in starts(dtype).items():
        with keras.name_scope(path.rpartition("/")[0]):
            found.append(keras.Variable(a, dtype=dtype, name=path.split("/")[-1]))
    return found


def take(optimizer: Any, params: list[Any], steps: range, dtype: str = "float32") -> None:
    """Let one of minidl's take steps, as a training loop would."""
    optimizer.build(params)
    for step in steps:
        for p, g in zip(params, gradients(step, dtype), strict=True):
            p.grad = minidl.tensor(g)
        optimizer.step()
        optimizer.zero_grad()


def take_theirs(optimizer: Any, params: list[Any], steps: range, dtype: str = "float32") -> None:
    for step in steps:
        optimizer.apply([torch.tensor(g) for g in gradients(step, dtype)], params)


def assert_same(mine: list[Any], theirs: list[Any], dtype: str, **tolerance: float) -> None:
    for p, q in zip(mine, theirs, strict=True):
        assert p.array.dtype == dtype
        np.testing.assert_allclose(p.numpy(), q.numpy(), **(tolerance or TOLERANCES[dtype]))


def assert_same_state(mine: Any, theirs: Any, dtype: str, **tolerance: float) -> None:
    assert len(mine.variables) == len(theirs.variables)
    for own, other in zip(mine.variables, theirs.variables, strict=True):
        value = other.numpy()
        # Keras's one variable without a name is counted up, and has a scope only if the first step made it
        assert own.path == other.path or own.path == "variable" == other.name.partition("_")[0]
        assert own.value.dtype == value.dtype
        assert own.shape == value.shape
        np.testing.assert_allclose(own.numpy(), value, **(tolerance or TOLERANCES[dtype]), err_msg=own.path)


@pytest.fixture
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    """The default dtype of both: numbers such as a learning rate are rounded to it."""
    before = keras.config.floatx(), str(minidl.get_default_dtype())
    keras.config.set_floatx(request.param)
    minidl.set_default_dtype(request.param)
    yield request.param
    keras.config.set_floatx(before[0])
    minidl.set_default_dtype(before[1])


# ---------------------------------------------------------------------- trajectories


@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=IDS)
def test_trajectory_is_keras(name: str, settings: dict[str, Any], dtype: str) -> None:
    mine, theirs = variables(dtype), their_variables(dtype)
    own = getattr(ours.optimizers, name)(**settings, name="o")
    other = getattr(keras.optimizers, name)(**settings, name="o")
    for step in range(25):
        take(own, mine, range(step, step + 1), dtype)
        take_theirs(other, theirs, range(step, step + 1), dtype)
        if step in (0, 1, 5, 24):
            assert_same(mine, theirs, dtype)
    assert_same_state(own, other, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("settings", AROUND, ids=str)
def test_what_happens_around_a_step(name: str, settings: dict[str, Any], dtype: str) -> None:
    tolerance = dict(TOLERANCES[dtype])
    if dtype == "float64" and {"clipnorm", "global_clipnorm"} & settings.keys():
        tolerance = {"rtol": 1e-6, "atol": 1e-8}  # Keras scales with a factor in float32
    mine, theirs = variables(dtype), their_variables(dtype)
    own = getattr(ours.optimizers, name)(0.02, **settings, name="o")
    other = getattr(keras.optimizers, name)(0.02, **settings, name="o")
    for step in range(20):
        take(own, mine, range(step, step + 1), dtype)
        take_theirs(other, theirs, range(step, step + 1), dtype)
        assert_same(mine, theirs, dtype, **tolerance)
        assert own.iterations == int(other.iterations)
    assert_same_state(own, other, dtype, **tolerance)
    own.finalize_variable_values(mine)
    other.finalize_variable_values(theirs)
    assert_same(mine, theirs, dtype, **tolerance)


def test_a_gradient_is_not_changed_by_clipping() -> None:
    params = variables()
    optimizer = ours.optimizers.SGD(0.1, clipnorm=0.1, gradient_accumulation_steps=2)
    optimizer.build(params)
    for step in range(2):
        given = [minidl.tensor(g) for g in gradients(step, "float32")]
        for p, g in zip(params, given, strict=True):
            p.grad = g
        optimizer.step()
        for p, g, before in zip(params, given, gradients(step, "float32"), strict=True):
            assert p.grad is g
            np.testing.assert_array_equal(g.numpy(), before)


@pytest.mark.parametrize("by", ["var_list", "var_names", "both"])
def test_exclude_from_weight_decay(by: str) -> None:
    mine, theirs = variables(), their_variables()
    own, other = ours.optimizers.AdamW(0.1, 0.5, name="o"), keras.optimizers.AdamW(0.1, 0.5, name="o")
    for optimizer, params in ((own, mine), (other, theirs)):
        optimizer.exclude_from_weight_decay(
            var_list=[params[2]] if by != "var_names" else None,
            var_names=["bias", "gamma"] if by != "var_list" else None,
        )
    take(own, mine, range(10))
    take_theirs(other, theirs, range(10))
    assert_same(mine, theirs, "float32")
    assert_same_state(own, other, "float32")
    with pytest.raises(StateError, match="comes too late"):
        own.exclude_from_weight_decay(var_names=["bias"])


def test_constraints_follow_each_step() -> None:
    mine, theirs = variables(), their_variables()
    mine[0].constraint = ours.constraints.NonNeg()
    theirs[0].constraint = keras.constraints.NonNeg()
    own, other = ours.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
    take(own, mine, range(5))
    take_theirs(other, theirs, range(5))
    assert_same(mine, theirs, "float32")
    assert (mine[0].array >= 0).all()
    assert (mine[1].array < 0).any()


@pytest.mark.parametrize("name", ["Adam", "Nadam", "SGD"])
def test_a_variable_without_gradient_for_some_steps(name: str) -> None:
    """Keras corrects the bias of all variables by one count of steps, also of those that were left out."""
    mine, theirs = variables(), their_variables()
    own = getattr(ours.optimizers, name)(0.01, name="o")
    other = getattr(keras.optimizers, name)(0.01, name="o")
    own.build(mine)
    for step in range(12):
        grads = gradients(step, "float32")
        left_out = 1 if step < 6 else 0 if step < 8 else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that gradients are missing, which both say
            own.apply([None if i == left_out else g for i, g in enumerate(grads)], mine)
            other.apply([None if i == left_out else torch.tensor(g) for i, g in enumerate(grads)], theirs)
        assert_same(mine, theirs, "float32")
    assert_same_state(own, other, "float32")


# ---------------------------------------------------------------------- apply


def test_apply_gradients() -> None:
    mine, theirs = variables(), their_variables()
    own, other = ours.optimizers.Adam(0.1), keras.optimizers.Adam(0.1)
    kept = minidl.ones(4, 3)
    mine[0].grad = kept
    for step in range(5):
        grads = gradients(step, "float32")
        as_given = [minidl.tensor(grads[0]), grads[1], grads[2].item()]  # tensor, array, number
        assert own.apply_gradients(zip(as_given, mine, strict=True)) == step + 1
        other.apply_gradients(zip([torch.tensor(g) for g in grads], theirs, strict=True))
    assert_same(mine, theirs, "float32")
    assert mine[0].grad is kept  # what backward left there is not touched
    own.apply(gradients(5, "float32"))  # without variables: those of before
    own.apply([])
    assert own.iterations == 6


def test_apply_to_some_of_the_variables() -> None:
    params = variables()
    optimizer = ours.optimizers.SGD(0.1)
    optimizer.build(params)
    before = [p.numpy() for p in params]
    optimizer.apply([np.ones(3)], [params[1]])
    np.testing.assert_array_equal(params[0].numpy(), before[0])
    np.testing.assert_allclose(params[1].numpy(), before[1] - 0.1, rtol=1e-6)


def test_errors_of_apply_and_step() -> None:
    params = variables()
    optimizer = ours.optimizers.SGD(0.1, name="mine")
    with pytest.raises(StateError, match=r"mine: it has no variables yet; call build"):
        optimizer.step()
    with pytest.raises(StateError, match="pass trainable_variables"):
        optimizer.apply([np.ones(3)])
    with pytest.raises(ArgumentError, match=r"mine.apply: 2 gradients for 3 variables"):
        optimizer.apply([np.ones(3)] * 2, params)
    with pytest.raises(ShapeError, match=r"gradient of dense/bias has shape \(4,\), the variable \(3,\)"):
        optimizer.apply([None, np.ones(4), None], params)
    with pytest.raises(GradError, match=r"no variable has a gradient; call loss.backward"):
        optimizer.step()
    with pytest.raises(GradError, match="no variable has a gradient"):
        optimizer.apply([None] * 3, params)
    with pytest.raises(StateError, match="built for other variables"):
        optimizer.build(variables())
    with pytest.raises(StateError, match="built for other variables"):
        optimizer.apply([np.ones(3)], [ours.Variable(np.ones(3))])
    optimizer.build(params[:2])  # some of its own: nothing new
    assert optimizer.iterations == 0
    np.testing.assert_array_equal(params[0].numpy(), starts("float32")["dense/kernel"])


def test_missing_gradients_are_told_once() -> None:
    params = variables()
    optimizer = ours.optimizers.SGD(0.1, name="mine")
    optimizer.build(params)
    params[0].grad = minidl.ones(4, 3)
    with pytest.warns(NumericalWarning, match="mine: no gradient for dense/bias, top/scale: the loss does not depend"):
        optimizer.step()
    optimizer.step()  # a warning would be an error here


def test_frozen_variables_are_not_missed() -> None:
    params = variables()
    optimizer = ours.optimizers.SGD(0.1)
    optimizer.build(params)
    params[1].trainable = params[2].trainable = False
    params[0].grad = minidl.ones(4, 3)
    optimizer.step()
    assert optimizer.iterations == 1


def test_no_variables_at_all() -> None:
    optimizer = ours.optimizers.Adam()
    optimizer.build([])
    optimizer.step()
    optimizer.zero_grad()
    assert optimizer.iterations == 0
    assert len(optimizer.variables) == 2


def test_zero_grad() -> None:
    params = variables()
    optimizer = ours.optimizers.SGD()
    optimizer.build(params)
    params[0].grad = minidl.ones(4, 3)
    optimizer.zero_grad(set_to_none=False)
    assert not params[0].grad.array.any()
    optimizer.zero_grad()
    assert params[0].grad is None


# ---------------------------------------------------------------------- the learning rate

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5], "values": [0.1, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 10, 20], "values": [0.1, 0.05, 0.03, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 13}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 13, "end_learning_rate": 0.02, "power": 2.0, "cycle": True},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 30, "alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 9},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "warmup_steps": 9}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 1.0, "m_mul": 0.9, "alpha": 0.1},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 1.5, "m_mul": 0.7}),
]
SCHEDULE_IDS = [f"{i}-{name}" for i, (name, _) in enumerate(SCHEDULES)]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES, ids=SCHEDULE_IDS)
def test_schedules_are_keras(name: str, arguments: dict[str, Any]) -> None:
    own = getattr(ours.optimizers.schedules, name)(**arguments)
    other = getattr(keras.optimizers.schedules, name)(**arguments)
    for step in [*range(60), 100, 1000, 12345]:
        assert isinstance(own(step), float)
        if name == "CosineDecayRestarts" and step == 12345:
            continue  # the logarithm of Keras's is off by more than the cosine allows, in float32
        np.testing.assert_allclose(own(step), float(other(step)), rtol=2e-4, atol=2e-6, err_msg=str(step))
    assert own.get_config() == other.get_config()
    assert list(own.get_config()) == list(other.get_config())
    again = ours.optimizers.schedules.deserialize(ours.optimizers.schedules.serialize(own))
    assert (type(again), again.get_config()) == (type(own), own.get_config())
    assert repr(own).startswith(f"{name}(")
    written = ours.optimizers.schedules.serialize(own)
    assert written == keras.optimizers.schedules.serialize(other)
    assert keras.optimizers.schedules.deserialize(written).get_config() == own.get_config()


def test_restarts_come_when_they_should() -> None:
    schedule = ours.optimizers.schedules.CosineDecayRestarts(1.0, 1, t_mul=3.0)
    starts, period = [0], 1
    while starts[-1] < 10**6:
        starts.append(starts[-1] + period)
        period *= 3
    for start in starts:
        assert schedule(start) == 1.0  # with a logarithm, 3^5 would round down


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam"])
def test_trajectory_along_a_schedule(name: str) -> None:
    def make(module: Any) -> Any:
        extra = {} if name == "Adam" else {"momentum": 0.9}
        rate = module.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)
        return getattr(module.optimizers, name)(rate, **extra, weight_decay=0.1, name="o")

    mine, theirs = variables(), their_variables()
    own, other = make(ours), make(keras)
    for step in range(20):
        np.testing.assert_allclose(own.learning_rate, float(other.learning_rate), rtol=1e-6)
        take(own, mine, range(step, step + 1))
        take_theirs(other, theirs, range(step, step + 1))
    assert_same(mine, theirs, "float32")
    assert_same_state(own, other, "float32")


def test_a_schedule_counts_batches_where_gradients_are_accumulated() -> None:
    def make(module: Any) -> Any:
        rate = module.optimizers.schedules.PiecewiseConstantDecay([4], [0.1, 0.01])
        return module.optimizers.SGD(rate, gradient_accumulation_steps=2, name="o")

    mine, theirs = variables(), their_variables()
    own, other = make(ours), make(keras)
    take(own, mine, range(10))
    take_theirs(other, theirs, range(10))
    assert_same(mine, theirs, "float32")
    assert (own.iterations, own.learning_rate) == (5, 0.01)


def test_the_learning_rate_can_be_set() -> None:
    mine, theirs = variables(), their_variables()
    own, other = ours.optimizers.SGD(0.1, momentum=0.9, name="o"), keras.optimizers.SGD(0.1, momentum=0.9, name="o")
    for step in range(10):
        if step == 5:
            own.learning_rate = other.learning_rate = 0.003
        take(own, mine, range(step, step + 1))
        take_theirs(other, theirs, range(step, step + 1))
    assert own.learning_rate == 0.003
    assert_same(mine, theirs, "float32")
    assert_same_state(own, other, "float32")


def test_what_a_learning_rate_may_be() -> None:
    assert ours.optimizers.SGD(1).learning_rate == 1.0
    assert ours.optimizers.SGD(np.float32(0.5)).learning_rate == 0.5
    assert ours.optimizers.SGD(minidl.tensor(0.5)).learning_rate == 0.5
    rates = iter([0.5, 0.25])
    params = variables()
    before = params[1].numpy()
    optimizer = ours.optimizers.SGD(lambda: next(rates))
    optimizer.build(params)
    optimizer.apply([None, np.ones(3), None][1:2], [params[1]])
    optimizer.apply([np.ones(3)], [params[1]])
    np.testing.assert_allclose(params[1].numpy(), before - 0.75, rtol=1e-6)
    optimizer.learning_rate = 0.125  # a callable gives way to a number
    assert optimizer.learning_rate == 0.125
    optimizer.learning_rate = ours.optimizers.schedules.ExponentialDecay(1.0, 2, 0.25)
    assert optimizer.learning_rate == 0.25
    with pytest.raises(DTypeError, match=r"follows ExponentialDecay, so it cannot be set to 0.1"):
        optimizer.learning_rate = 0.1
    for bad in ("fast", None, True):
        with pytest.raises(DTypeError, match="learning_rate must be a number, got"):
            ours.optimizers.SGD(bad)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ArgumentError, match=r"SGD: learning_rate must be 0 or more, got"):
            ours.optimizers.SGD(bad)


def test_errors_of_schedules() -> None:
    schedules = ours.optimizers.schedules
    for make in (schedules.ExponentialDecay, schedules.InverseTimeDecay):
        with pytest.raises(ArgumentError, match="decay_steps must be more than 0, got 0"):
            make(0.1, 0, 0.5)
    with pytest.raises(ArgumentError, match="decay_steps must be more than 0"):
        schedules.PolynomialDecay(0.1, -1)
    with pytest.raises(ArgumentError, match="decay_steps must be more than 0"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(ArgumentError, match="first_decay_steps must be more than 0"):
        schedules.CosineDecayRestarts(0.1, 0)
    with pytest.raises(ArgumentError, match=r"t_mul must be 1 or more, got 0.5"):
        schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5)
    with pytest.raises(ArgumentError, match="3 values need 2 boundaries between them, got 1"):
        schedules.PiecewiseConstantDecay([1], [0.1, 0.2, 0.3])
    with pytest.raises(ArgumentError, match="boundaries must ascend"):
        schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3])
    with pytest.raises(DTypeError, match="initial_learning_rate must be a number, got 'fast'"):
        schedules.ExponentialDecay("fast", 1, 0.5)
    with pytest.raises(NotImplementedError, match="has no __call__"):
        schedules.LearningRateSchedule()(0)
    with pytest.raises(NotImplementedError, match="has no get_config"):
        schedules.LearningRateSchedule().get_config()


# ---------------------------------------------------------------------- state

STATEFUL = [
    *SETTINGS,
    ("Adam", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4}),
    ("SGD", {"gradient_accumulation_steps": 3, "momentum": 0.9}),
    ("Nadam", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}),
    ("Adam", {"learning_rate": 1 / 3}),  # no float32, which files hold
]


def carried(kind: str, source: Any, target: Any) -> None:
    """Take a state from one optimiser to another in one of the ways there are."""
    if kind == "state_dict":
        target.load_state_dict(source.state_dict())
    elif kind == "weights":
        target.set_weights(source.variables)
    else:
        store: dict[str, Any] = {}
        source.save_own_variables(store)
        target.load_own_variables(dict(reversed(store.items())))  # in any order


@pytest.mark.parametrize("kind", ["state_dict", "weights", "store"])
@pytest.mark.parametrize(("name", "settings"), STATEFUL, ids=lambda x: x if isinstance(x, str) else "")
def test_training_goes_on_to_the_same_bits(name: str, settings: dict[str, Any], kind: str) -> None:
    mine, resumed = variables(), variables()
    own = getattr(ours.optimizers, name)(**settings)
    take(own, mine, range(7))
    for p, q in zip(mine, resumed, strict=True):
        q.assign(p.numpy())
    other = getattr(ours.optimizers, name)(**settings)
    other.build(resumed)
    carried(kind, own, other)
    held = [x.value.copy() for x in other.variables]
    take(own, mine, range(7, 14))
    np.testing.assert_equal([x.value for x in other.variables], held)  # nothing is shared
    take(other, resumed, range(7, 14))
    for p, q in zip(mine, resumed, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    for x, y in zip(own.variables, other.variables, strict=True):
        np.testing.assert_array_equal(x.value, y.value)
    assert np.float32(own.learning_rate) == np.float32(other.learning_rate)


@pytest.mark.parametrize(("name", "settings"), STATEFUL, ids=lambda x: x if isinstance(x, str) else "")
def test_goes_on_from_keras_state_and_keras_from_minidls(name: str, settings: dict[str, Any]) -> None:
    def make(module: Any) -> Any:
        return getattr(module.optimizers, name)(**settings, name="o")

    mine, theirs = variables(), their_variables()
    own, other = make(ours), make(keras)
    other.build(theirs)
    take_theirs(other, theirs, range(7))
    own.build(mine)
    own.set_weights([v.numpy() for v in other.variables])
    for p, q in zip(mine, theirs, strict=True):
        p.assign(q.numpy())
    take_theirs(other, theirs, range(7, 14))
    take(own, mine, range(7, 14))
    assert_same(mine, theirs, "float32")
    assert_same_state(own, other, "float32")

    again, params = make(keras), their_variables()
    again.build(params)
    again.set_weights([x.value for x in own.variables])
    for p, q in zip(params, mine, strict=True):
        p.assign(q.numpy())
    take_theirs(again, params, range(14, 20))
    take(own, mine, range(14, 20))
    assert_same(mine, params, "float32")
    assert_same_state(own, again, "float32")


def test_a_state_before_the_first_step() -> None:
    own, other = ours.optimizers.Adagrad(name="o"), keras.optimizers.Adagrad(name="o")
    own.build(variables())
    other.build(their_variables())
    assert_same_state(own, other, "float32")
    momentum = ours.optimizers.SGD(momentum=0.9)
    momentum.build(variables())
    assert not any(np.signbit(x.value).any() for x in momentum.variables)  # 0, not -0


def test_a_learning_rate_is_read_as_it_was_written() -> None:
    own, other = ours.optimizers.Adam(0.001), ours.optimizers.Adam(0.5)
    for optimizer in (own, other):
        optimizer.build(variables())
    other.set_weights(own.variables)
    assert other.learning_rate == 0.001  # not 0.0010000000474974513
    other.learning_rate = 1 / 3
    own.load_state_dict(other.state_dict())
    assert own.learning_rate == 1 / 3


def test_names_of_variables() -> None:
    optimizer = ours.optimizers.Adam(name="o")
    assert [(x.path, x.name) for x in optimizer.variables] == [
        ("o/iteration", "iteration"),
        ("o/learning_rate", "learning_rate"),
    ]
    optimizer.build([("a/b", minidl.ones(1, requires_grad=True)), ("c", minidl.ones(1, requires_grad=True))])
    assert [x.name for x in optimizer.variables[2:]] == ["a_b_momentum", "a_b_velocity", "c_momentum", "c_velocity"]
    unnamed = ours.optimizers.SGD(momentum=0.5, name="o")
    unnamed.build([minidl.ones(1, requires_grad=True)])
    assert unnamed.variables[-1].path == "o/variable_0_momentum"


def test_errors_of_states() -> None:
    own = ours.optimizers.Adam(name="o")
    own.build(variables())
    values = [x.value for x in own.variables]
    with pytest.raises(StateError, match=r"8 arrays for 2 variables; .*this one is not built yet"):
        ours.optimizers.Adam().set_weights(values)
    with pytest.raises(StateError, match=r"7 arrays for 8 variables; they are of another optimizer or model$"):
        own.set_weights(values[:-1])
    values[3] = values[3].T
    with pytest.raises(StateError, match=r"o/dense_kernel_velocity has shape \(4, 3\), and was given .* \(3, 4\)"):
        own.set_weights(values)
    with pytest.raises(StateError, match=r"expected the variables '0', '1', ..., got '1'"):
        own.load_own_variables({"1": np.ones(1)})
    with pytest.raises(StateError, match="keys 'learning_rate' and 'variables'"):
        own.load_state_dict({"variables": []})


def test_files_of_keras(tmp_path: Path) -> None:
    """What stands in files that real Keras writes is what ``variables`` lists."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: files cannot be looked into")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="d")], name="m")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, name="o"), loss="mean_squared_error")
    rng = np.random.default_rng(0)
    model.fit(rng.standard_normal((8, 3)), rng.standard_normal((8, 2)), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that .h5 is a legacy format
        model.save(tmp_path / "x.h5")
    own = ours.optimizers.SGD(0.1, momentum=0.9, name="o")
    own.build([ours.Variable(v.numpy(), name=v.name, path=v.path) for v in model.trainable_variables])
    with h5py.File(tmp_path / "x.h5") as file:
        group = file["optimizer_weights"]
        names = [name if isinstance(name, str) else name.decode() for name in group.attrs["weight_names"]]
        assert names == [x.path for x in own.variables]
        own.set_weights([group[name][()] for name in names])
        for name, x in zip(names, own.variables, strict=True):
            assert group[name].dtype == x.value.dtype
            np.testing.assert_array_equal(group[name][()], x.value)
    assert own.iterations == 1


# ---------------------------------------------------------------------- names and configs


@pytest.mark.parametrize("name", [*NAMES, "Optimizer"])
def test_signatures_are_keras(name: str) -> None:
    """Arguments, their order and defaults; what all share stands in the base alone."""

    def parameters(cls: Any) -> dict[str, Any]:
        found = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {p.name: p.default for p in found if p.kind is p.POSITIONAL_OR_KEYWORD}

    own = parameters(getattr(ours.optimizers, name))
    base = parameters(ours.optimizers.Optimizer)
    theirs = keras.src.optimizers.base_optimizer.BaseOptimizer if name == "Optimizer" else None
    want = parameters(theirs or getattr(keras.optimizers, name))
    if name != "Optimizer":
        own |= {key: value for key, value in base.items() if key not in own}
    assert list(own.items()) == list(want.items())


def test_arguments_by_position() -> None:
    own = ours.optimizers.SGD(0.1, 0.9, True, 0.01, 1.0)
    other = keras.optimizers.SGD(0.1, 0.9, True, 0.01, 1.0)
    assert (own.weight_decay, own.clipnorm) == (other.weight_decay, other.clipnorm) == (0.01, 1.0)
    own = ours.optimizers.AdamW(0.1, 0.2, 0.8, 0.9, 1e-3, True, 1.0)
    other = keras.optimizers.AdamW(0.1, 0.2, 0.8, 0.9, 1e-3, True, 1.0)
    assert {**own.get_config(), "name": "", "learning_rate": 0} == {
        **other.get_config(),
        "name": "",
        "learning_rate": 0,
    }


def settled(config: dict[str, Any]) -> dict[str, Any]:
    """A config with its learning rate in float32, which Keras rounds it to."""
    rate = config["learning_rate"]
    return {**config, "learning_rate": rate if isinstance(rate, dict) else float(np.float32(rate))}


CONFIGS = [
    *SETTINGS,
    *(("Adam", settings) for settings in AROUND),
    ("SGD", {"learning_rate": "schedule"}),
]


@pytest.mark.parametrize(("name", "settings"), CONFIGS, ids=lambda x: x if isinstance(x, str) else "")
def test_configs_are_keras(name: str, settings: dict[str, Any]) -> None:
    def make(module: Any) -> Any:
        arguments = dict(settings)
        if arguments.get("learning_rate") == "schedule":
            arguments["learning_rate"] = module.optimizers.schedules.CosineDecay(0.1, 100)
        return getattr(module.optimizers, name)(**arguments, name="o")

    own, other = make(ours), make(keras)
    assert list(own.get_config()) == list(other.get_config())
    assert settled(own.get_config()) == settled(other.get_config())

    written = ours.optimizers.serialize(own)
    assert written["module"] == "keras.optimizers"
    theirs = keras.optimizers.deserialize(copy.deepcopy(written))  # which puts objects into the config it is given
    assert isinstance(theirs, getattr(keras.optimizers, name))
    assert settled(theirs.get_config()) == settled(own.get_config())

    for given in (
        keras.optimizers.serialize(other),  # module: keras.src.backend.torch.optimizers...
        {"class_name": name, "config": other.get_config()},  # as .h5 files have it
        {"class_name": name.lower(), "config": other.get_config()},
        written,
    ):
        again = ours.optimizers.deserialize(given)
        assert type(again) is type(own)
        assert settled(again.get_config()) == settled(own.get_config())
    assert settled(type(own).from_config(own.get_config()).get_config()) == settled(own.get_config())


def test_a_schedule_of_the_users_own() -> None:
    class Constant(ours.optimizers.schedules.LearningRateSchedule):
        def __init__(self, value: float) -> None:
            self.value = value

        def __call__(self, step: Any) -> float:
            return self.value

        def get_config(self) -> dict[str, Any]:
            return {"value": self.value}

    optimizer = ours.optimizers.SGD(Constant(0.25))
    again = ours.optimizers.SGD.from_config(optimizer.get_config(), custom_objects={"Constant": Constant})
    assert again.learning_rate == 0.25


@pytest.mark.parametrize("name", NAMES)
def test_get_by_name(name: str) -> None:
    for given in (name, name.lower(), name.upper(), getattr(ours.optimizers, name)):
        found = ours.optimizers.get(given)
        assert type(found) is getattr(ours.optimizers, name)
    assert type(keras.optimizers.get(name.lower())).__name__ == name  # the names are Keras's


def test_get() -> None:
    optimizer = ours.optimizers.Adam()
    assert ours.optimizers.get(optimizer) is optimizer
    assert ours.optimizers.get(None) is None
    assert ours.optimizers.get({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum == 0.5
    with pytest.raises(ArgumentError, match="no optimizer is named 'adan'; did you mean 'adam'"):
        ours.optimizers.get("adan")
    for bad in (3, minidl.optim.SGD([minidl.ones(1, requires_grad=True)]), ours.optimizers.Optimizer):
        with pytest.raises((DTypeError, TypeError)):
            ours.optimizers.get(bad)
    with pytest.raises(DTypeError, match="expected a name such as 'adam', a config, or an optimizer"):
        ours.optimizers.get(3)


def test_names() -> None:
    ours.utils.clear_session()
    assert [ours.optimizers.get(name).name for name in ("adam", "adam", "adamw", "rmsprop")] == [
        "adam",
        "adam_1",
        "adam_w",
        "rm_sprop",
    ]


def test_repr() -> None:
    assert repr(ours.optimizers.Lion(0.1)) == "Lion(learning_rate=0.1, beta_1=0.9, beta_2=0.99)"


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("SGD", {"lr": 0.1}, "SGD: unknown argument 'lr'; it is called learning_rate"),
        ("Adam", {"speed": 1}, "Adam: unknown argument 'speed'"),
        ("Adam", {"decay": 0.1}, r"decay=0.1 is Keras 2's; pass learning_rate=.*InverseTimeDecay"),
        ("Adam", {"clipnorm": 1.0, "clipvalue": 2.0}, "only one of .* got clipnorm=1.0 and clipvalue=2.0"),
        ("Adam", {"clipnorm": -1.0}, "clipnorm must be 0 or more, got -1.0"),
        ("Adam", {"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ("Adam", {"use_ema": True, "ema_momentum": 1.5}, r"ema_momentum must be in \[0, 1.0\], got 1.5"),
        (
            "Adam",
            {"use_ema": True, "ema_overwrite_frequency": 0},
            "ema_overwrite_frequency must be an int of at least 1",
        ),
        ("Adam", {"gradient_accumulation_steps": 1}, "gradient_accumulation_steps must be an int of at least 2"),
        ("Adam", {"gradient_accumulation_steps": 2.5}, "gradient_accumulation_steps must be an int"),
        ("Adam", {"loss_scale_factor": 128.0}, "loss_scale_factor must be None, got 128.0"),
        ("Adam", {"name": "a/b"}, "has no '/' in it"),
        ("Adam", {"beta_1": 1.0}, r"Adam: beta_1 must be in \[0, 1.0\), got 1.0"),
        ("Adam", {"epsilon": -1e-7}, "Adam: epsilon must be 0 or more"),
        ("AdamW", {"weight_decay": None}, "AdamW: weight_decay must be a number, got None"),
        ("AdamW", {"beta_2": -0.1}, "AdamW: beta_2 must be in"),
        ("SGD", {"momentum": 1.5}, r"SGD: momentum must be in \[0, 1.0\], got 1.5"),
        ("RMSprop", {"rho": 1.5}, r"RMSprop: rho must be in \[0, 1.0\]"),
        ("RMSprop", {"momentum": -0.5}, "RMSprop: momentum must be 0 or more"),
        ("Adadelta", {"rho": -0.5}, "Adadelta: rho must be in"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value must be 0 or more"),
        ("Lion", {"beta_1": 0.0}, "Lion: beta_1 must be more than 0"),
        ("Ftrl", {"learning_rate_power": 0.5}, "Ftrl: learning_rate_power must be 0 or less, got 0.5"),
        ("Ftrl", {"l1_regularization_strength": -1.0}, "l1_regularization_strength must be 0 or more"),
        ("Ftrl", {"beta": -1.0}, "Ftrl: beta must be 0 or more"),
    ],
)
def test_bad_arguments(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(ours.optimizers, name)(**arguments)


def test_numbers_are_numbers() -> None:
    with pytest.raises(DTypeError, match=r"Adam: beta_1 must be a number, got '0.9'"):
        ours.optimizers.Adam(beta_1="0.9")


def test_configs_of_keras_2() -> None:
    optimizer = ours.optimizers.deserialize(
        {
            "class_name": "Adam",
            "config": {"learning_rate": 0.5, "decay": 0.0, "jit_compile": False, "is_legacy_optimizer": False},
        }
    )
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "Adam", "config": {"lr": 0.1}}, "config of Adam: .*unknown argument 'lr'"),
        ({"class_name": "Adam", "config": {"learning_rate": "fast"}}, "config of Adam: .*must be a number"),
        ({"class_name": "Adan", "config": {}}, "Adan is not a class that minidl knows"),
        (
            {"class_name": "Adam", "config": {"learning_rate": {"class_name": "Decay", "config": {}}}},
            "Decay is not a class",
        ),
        (
            {"module": "keras.src.backend.torch.optimizers.torch_x", "class_name": "Dense", "config": {}},
            "Dense is not a",
        ),
    ],
)
def test_bad_configs(config: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        ours.optimizers.deserialize(config)


def test_an_optimizer_without_a_rule() -> None:
    with pytest.raises(NotImplementedError, match="Optimizer has no rule"):
        ours.optimizers.Optimizer(0.1).build(variables())


# ---------------------------------------------------------------------- in training


def losses(optimizer: Any, steps: int) -> Iterator[float]:
    rng = np.random.default_rng(0)
    x = minidl.tensor(rng.standard_normal((32, 4)).astype("float32"))
    y = x @ minidl.tensor(rng.standard_normal((4, 3)).astype("float32"))
    w, b = variables()[:2]
    optimizer.build([w, b])
    for _ in range(steps):
        loss = ((x @ w + b - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@pytest.mark.parametrize("name", NAMES)
def test_goes_downhill(name: str) -> None:
    rate = {"Adadelta": 100.0, "SGD": 0.1, "Lion": 0.03, "Adagrad": 0.3, "Ftrl": 0.3}.get(name, 0.03)
    found = list(losses(getattr(ours.optimizers, name)(rate), 60))
    assert found[-1] < 0.3 * found[0]


def test_fit_ends_with_the_averages() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 4)).astype("float32"), rng.standard_normal((32, 3)).astype("float32")
    models = []
    for module in (ours, keras):
        model = module.Sequential([module.Input((4,)), module.layers.Dense(3)])
        model.set_weights([starts("float32")["dense/kernel"], starts("float32")["dense/bias"]])
        model.compile(module.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8), loss="mean_squared_error")
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        models.append(model)
    for own, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(models[0].get_weights()[0], models[0].optimizer.variables[2].value)


@pytest.mark.parametrize("name", NAMES)
def test_fit_is_keras(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 4)).astype("float32"), rng.standard_normal((24, 3)).astype("float32")
    models = []
    for module in (ours, keras):
        model = module.Sequential([module.Input((4,)), module.layers.Dense(3)])
        model.set_weights([starts("float32")["dense/kernel"], starts("float32")["dense/bias"]])
        model.compile(getattr(module.optimizers, name)(clipnorm=1.0, name="o"), loss="mean_squared_error")
        model.fit(x, y, batch_size=8, epochs=7, shuffle=False, verbose=0)
        models.append(model)
    for own, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=3e-5, atol=3e-6)
    assert models[0].optimizer.iterations == 21
