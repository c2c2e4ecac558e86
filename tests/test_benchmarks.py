"""The benchmarks run, and time the same computation in both frameworks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.steps import STEPS, timed


@pytest.mark.parametrize("name", STEPS)
def test_a_step_trains(name: str) -> None:
    step = STEPS[name][1]("minidl")
    first = step().item()
    for _ in range(20):
        last = step().item()
    assert last < first


@pytest.mark.parametrize("name", STEPS)
def test_pytorch_runs_the_same_code(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the other side of the comparison is not installed")
    torch.manual_seed(0)
    assert np.isfinite(STEPS[name][1]("torch")().item())


def test_times_are_microseconds() -> None:
    times = timed(lambda: None, 0.01)
    assert times
    assert 0 <= np.median(times) < 1000
