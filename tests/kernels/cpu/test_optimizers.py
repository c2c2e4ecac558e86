"""Compiled optimisers against NumPy's steps, to the bit: settings, shapes, extremes, threads, the switch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import minidl
from minidl import optim
from minidl.kernels.cpu import optimizers, threads
from minidl.optim import optimizer as shared
from minidl.optim.keras_rules import KerasAdagrad, KerasAdam, KerasRMSprop, KerasSGD
from tests.kernels.optimizer_settings import SETTINGS, SHAPES

NEVER, ALWAYS, LATER = 1e9, 0.0, 30e-6


@pytest.fixture(autouse=True)
def many_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two, and read gradients of some 20 elements where they lie."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(optimizers, "LEAST_WORK", 1)
    monkeypatch.setattr(optimizers, "SMALL", 20)
    yield
    threads.set_num_threads(before)


def trained(
    monkeypatch: Any, rule: Any, settings: Any, dtype: str, loading: float, extremes: bool = False
) -> list[bytes]:
    """Return parameters and state, as bytes, after a few steps."""
    monkeypatch.setattr(shared, "LOADING", loading)
    monkeypatch.setattr(shared, "LOADED", loading)
    rng = np.random.default_rng(0)
    params = [minidl.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in SHAPES]
    optimizer = rule(params, **settings)
    for _ in range(5):
        for p in params:
            grad = rng.standard_normal(p.shape) * 10 ** rng.uniform(-6, 3)
            if extremes and grad.size:
                hit = rng.random(grad.shape)
                grad = np.where(hit < 0.2, rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, 1e-40]), grad)
            p.grad = minidl.tensor(grad.astype(dtype))
        optimizer.step()
    slots = [x for p in params for x in optimizer.state[p].values() if isinstance(x, np.ndarray)]
    # all NaN are made the same: which of two operands' a sum hands on is not defined
    return [np.where(np.isnan(a), np.nan, a).tobytes() for a in [p.array for p in params] + slots]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SETTINGS)
def test_bits(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never compiled, always, or from some step on: the same bits."""
    expected = trained(monkeypatch, *SETTINGS[name], dtype, NEVER)
    assert trained(monkeypatch, *SETTINGS[name], dtype, ALWAYS) == expected
    assert trained(monkeypatch, *SETTINGS[name], dtype, LATER) == expected
    threads.set_num_threads(1)
    assert trained(monkeypatch, *SETTINGS[name], dtype, ALWAYS) == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_extremes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(monkeypatch, *SETTINGS[name], "float32", NEVER, extremes=True)
    assert trained(monkeypatch, *SETTINGS[name], "float32", ALWAYS, extremes=True) == expected


def test_other_rules_are_not_taken_for_the_compiled_ones() -> None:
    assert KerasSGD.compiled != optim.SGD.compiled  # its formula is not SGD's
    assert KerasAdagrad.compiled is None
    assert optim.AdamW.compiled == KerasAdam.compiled == "adam"

    class Mine(optim.Adam):
        def update(self, group: Any, state: Any, xp: Any, g: Any, slots: Any, t: Any) -> Any:
            return g * 2

    assert Mine.compiled is None


def test_strided_and_read_only_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LOADING", ALWAYS)
    monkeypatch.setattr(shared, "LOADED", ALWAYS)
    for array in (np.ones((90, 100), np.float32).T, np.ones((200, 100), np.float32)[::2], np.ones(20, "f4")[::-1]):
        p = minidl.tensor([0.0], requires_grad=True)
        p.array = array
        p.grad = minidl.ones(*array.shape)
        optim.SGD([p], lr=0.25).step()
        np.testing.assert_array_equal(p.array, 0.75)
    fixed = minidl.tensor([1.0] * 5000, requires_grad=True)
    fixed.array.flags.writeable = False
    fixed.grad = minidl.ones(5000)
    with pytest.raises(ValueError, match="read-only"):
        optim.SGD([fixed], lr=0.25).step()


def test_a_short_training_does_not_load_numba() -> None:
    program = (
        "import sys, minidl\n"
        "p = minidl.zeros(4417, requires_grad=True)\n"
        "optimizer = minidl.optim.Adam([p])\n"
        "p.grad = minidl.ones(4417)\n"
        "for _ in range(1000): optimizer.step()\n"
        "print('numba' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("when", [ALWAYS, NEVER])
@pytest.mark.parametrize(
    ("rule", "settings", "slot", "kept"),
    [
        (optim.Adam, {}, "exp_avg", 0.9),
        (optim.SGD, {"momentum": 0.9}, "momentum_buffer", 0.9),
        (KerasSGD, {"momentum": 0.9}, "momentum_buffer", 0.9),
        (optim.RMSprop, {"alpha": 0.9, "centered": True}, "grad_avg", 0.9),
        (KerasRMSprop, {"alpha": 0.8, "momentum": 0.5}, "square_avg", 0.8),
    ],
)
def test_moments_too_small_for_normal_numbers_become_zero(
    rule: Any, settings: Any, slot: str, kept: float, when: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a unit that has died: denormals would make each later step ten times as slow, compiled or not."""
    monkeypatch.setattr(shared, "LOADING", when)
    monkeypatch.setattr(shared, "LOADED", when)
    p = minidl.tensor([1.0] * 64, requires_grad=True)
    optimizer = rule([p], lr=0.1, **settings)
    p.grad = minidl.ones(64) * (1e-16 if slot == "square_avg" else 1e-30)
    optimizer.step()
    p.grad = minidl.zeros(64)
    before = optimizer.state[p][slot][0]
    while before > 2e-38:  # smaller by some share each step
        optimizer.step()
        before, last = optimizer.state[p][slot][0], before
        assert before == pytest.approx(kept * last, rel=1e-6)
    for _ in range(200):
        optimizer.step()
    assert not any(x.any() for x in optimizer.state[p].values() if isinstance(x, np.ndarray))


def test_a_long_training_goes_on_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    run = optimizers.run
    monkeypatch.setattr(optimizers, "run", lambda kernel, *args: ran.append(kernel) or run(kernel, *args))
    monkeypatch.setattr(shared, "LOADING", 1e-4)
    monkeypatch.setattr(shared, "LOADED", 1e-4)
    params = [minidl.ones(size, requires_grad=True) for size in (30, 7)]
    for p in params:
        p.grad = minidl.ones(*p.shape)
    optimizer = optim.Adam(params, lr=0.5)
    steps = 0
    while not ran:
        optimizer.step()
        steps += 1
        assert steps < 100
    assert steps > 1
    assert ran == [optimizers.adam_share]  # both in one call
    for p in params:
        assert optimizer.state[p]["step"] == steps
        np.testing.assert_allclose(p.array, 1 - 0.5 * steps, rtol=1e-4)  # a gradient that stays moves it by the rate


def test_gradients_of_any_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels read a gradient by its address, in the parameter's order."""
    monkeypatch.setattr(shared, "LOADING", ALWAYS)
    monkeypatch.setattr(shared, "LOADED", ALWAYS)
    values = np.arange(600, dtype=np.float32).reshape(20, 30)
    spread = np.zeros((20, 60), np.float32)
    spread[:, ::2] = values
    for grad in (np.asfortranarray(values), spread[:, ::2], values[::-1, ::-1]):
        params = [minidl.zeros(5, requires_grad=True), minidl.zeros(20, 30, requires_grad=True)]
        optimizer = optim.SGD(params, lr=1.0, momentum=0.5)
        for step in range(2):
            params[0].grad, params[1].grad = minidl.ones(5), minidl.from_numpy(grad)
            optimizer.step()
            np.testing.assert_array_equal(params[0].array, -1.0 if step == 0 else -2.5)
            np.testing.assert_array_equal(params[1].array, -grad if step == 0 else -2.5 * grad)


def test_a_gradient_that_is_missing_leaves_its_parameter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(loading: float) -> list[np.ndarray]:
        monkeypatch.setattr(shared, "LOADING", loading)
        monkeypatch.setattr(shared, "LOADED", loading)
        params = [minidl.ones(size, requires_grad=True) for size in (3, 5000, 4)]
        optimizer = optim.Adam(params, lr=0.1)
        for present in ((0, 1, 2), (1, 2), (0, 2), (0, 1, 2)):
            for i, p in enumerate(params):
                p.grad = minidl.full(p.shape, i + 1.0) if i in present else None
            optimizer.step()
        assert [optimizer.state[p]["step"] for p in params] == [3, 3, 4]
        return [p.array.copy() for p in params]

    for compiled, plain in zip(steps(ALWAYS), steps(NEVER), strict=True):
        np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_neighbours_stay_as_they_are(count: int) -> None:
    """Guard margins around the arrays, and the parameters' own parts alone between them."""

    def guarded(size: int) -> tuple[np.ndarray, np.ndarray]:
        block = np.full(size + 128, 7777, np.float32)
        block[64:-64] = 1
        return block, block[64:-64]

    for size in (0, 1, 15, 16, 17, 1000):
        params = [guarded(size + 7 * i) for i in range(count)]
        grads = [guarded(size + 7 * i) for i in range(count)]
        members = optimizers.Members([p for _, p in params])
        slots = [guarded(members.size) for _ in range(3)]
        mine, state = [g for _, g in grads], [slot for _, slot in slots]
        optimizers.adam(members, mine, state, (1.0, 0.0, 1.0, 0.1, 0.9, 0.1, 1e-8, 0.1))
        optimizers.sgd(members, mine, state[:1], (1.0, 0.0, 1.0, 0.1, 0.9, 1.0, 1.0, 0.0))
        optimizers.keras_sgd(members, mine, state[:1], (1.0, 0.0, 1.0, 0.1, 0.9, 1.0))
        optimizers.rmsprop(members, mine, state, (1.0, 0.0, 1.0, 0.9, 0.1, 0.0, 1e-8, 0.1, 0.9, 1.0, 0.0))
        for block, inner in (*params, *grads, *slots):
            assert (block[:64] == 7777).all()
            assert (block[-64:] == 7777).all()
            assert (inner != 7777).all()
        for _, p in params:
            assert (p != 1).all()
        for _, g in grads:
            assert (g == 1).all()
