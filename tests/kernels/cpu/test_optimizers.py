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
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(optimizers, "LEAST_WORK", 1)
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


def test_neighbours_stay_as_they_are() -> None:
    """Guard margins around the arrays."""
    for size in (1, 15, 16, 17, 1000):
        blocks = [np.full(size + 128, 7777, np.float32) for _ in range(5)]
        p, g, *slots = (block[64:-64] for block in blocks)
        for array in (p, g, *slots):
            array[...] = 1
        optimizers.adam(p, g, slots, (1.0, 0.0, 1.0, 0.1, 0.9, 0.1, 1e-8, 0.1))
        optimizers.sgd(p, g, slots[:1], (1.0, 0.0, 1.0, 0.1, 0.9, 1.0, 1.0, 0.0))
        optimizers.keras_sgd(p, g, slots[:1], (1.0, 0.0, 1.0, 0.1, 0.9, 1.0))
        optimizers.rmsprop(p, g, slots, (1.0, 0.0, 1.0, 0.9, 0.1, 0.0, 1e-8, 0.1, 0.9, 1.0, 0.0))
        for block in blocks:
            assert (block[:64] == 7777).all()
            assert (block[-64:] == 7777).all()
            assert (block[64:-64] != 7777).all()
