"""Elementwise kernels in CUDA C, and sums over channels, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.kernels.gpu import elementwise
from tests.kernels.gpu.harness import RNG, Fault, compare, few_blocks, launches, on_gpu

EXTREMES = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1, -1])


def sample(shape: tuple[int, ...], dtype: str, extremes: bool = False) -> np.ndarray:
    """Return random numbers, some of them extreme if wanted."""
    x = RNG.standard_normal(shape).astype(dtype)
    if extremes:
        at = RNG.random(shape) < 0.3
        x[at] = RNG.choice(EXTREMES, at.sum())
    return x


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 9), st.integers(0, 9)),
    dtype=st.sampled_from(["float32", "float64"]),
    extremes=st.booleans(),
    descending=st.booleans(),
    few=st.booleans(),
)
def test_against_the_reference(shape: tuple[int, ...], dtype: str, extremes: bool, descending: bool, few: bool) -> None:
    x, y = sample(shape, dtype, extremes), sample(shape, dtype, extremes)
    with launches(descending, few), np.errstate(all="ignore"):
        compare(elementwise.relu, reference.relu, x)
        compare(elementwise.relu_grad, reference.relu_grad, x, y)
        compare(elementwise.channel_sums, reference.channel_sums, x)
        compare(elementwise.relu_grad_and_sums, reference.relu_grad_and_sums, x, y)


def check_sums() -> None:
    """Check channels of several parts, and planes smaller and larger than a block."""
    for shape in ((7, 3, 5, 5), (130, 2, 3, 43), (3, 2, 17, 17), (70, 3, 16, 16)):
        x, y = sample(shape, "float64"), sample(shape, "float64")
        compare(elementwise.channel_sums, reference.channel_sums, x)
        compare(elementwise.relu_grad_and_sums, reference.relu_grad_and_sums, x, y)


@pytest.mark.parametrize("descending", [False, True])
def test_sums_in_parts(descending: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with launches(descending, False):
        check_sums()
        monkeypatch.setattr(elementwise, "LEAST_ELEMENTS", 10)
        check_sums()


def test_any_layout() -> None:
    x = sample((2, 5, 6, 3), "float32").transpose(0, 3, 1, 2)
    assert elementwise.relu(on_gpu(x[:, :, ::-1])) is NotImplemented
    compare(elementwise.relu_grad, reference.relu_grad, x, x[::-1])
    compare(elementwise.relu_grad_and_sums, reference.relu_grad_and_sums, x, x[::-1])


def check_each() -> None:
    x, y = (sample((4, 5, 9, 9), "float32", extremes=True) for _ in range(2))
    with np.errstate(all="ignore"), few_blocks():
        compare(elementwise.relu, reference.relu, x)
        compare(elementwise.relu_grad, reference.relu_grad, x, y)


FAULTS = [
    Fault(f"elementwise.cu:{kernel}", old, new, check)
    for kernel, check, changes in (
        (
            "relu",
            check_each,
            [
                ("i < size", "i <= size"),
                ("value < 0 ? (REAL)0 : value", "value > 0 ? value : (REAL)0"),
                ("i += step", "i += step + 1"),
            ],
        ),
        (
            "relu_grad",
            check_each,
            [
                ("i < size", "i <= size"),
                ("grad[i] * (REAL)(y[i] > 0)", "y[i] > 0 ? grad[i] : (REAL)0"),
                ("y[i] > 0", "y[i] >= 0"),
            ],
        ),
        (
            "channel_sums",
            check_sums,
            [
                ("__syncthreads();", ""),
                ("n < N", "n <= N"),
                ("half > 0", "half > 1"),
                ("p >= pixels", "p > pixels"),
                ("y[i] > 0", "y[i] < 0"),
                ("n += parts", "n += 1"),
            ],
        ),
    )
    for old, new in changes
]
