"""Adding rows on the GPU against the reference, to the bit: repeats, portions, shapes, indices out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.backend.devices import cupy
from minidl.kernels import reference
from minidl.kernels.gpu import scatter
from tests.kernels.gpu.harness import Fault, few_blocks

RNG = np.random.default_rng(0)


def check(xp: Any, shape: tuple[int, ...], columns: int, length: int, dtype: str = "f4", of: str = "i8") -> None:
    # of sizes so different that another order of adding gives other bits
    rows = (RNG.standard_normal((*shape, columns)) * 10.0 ** RNG.integers(-4, 4, (*shape, 1))).astype(dtype)
    indices = (RNG.integers(length, size=shape) * (RNG.random(shape) < 0.6)).astype(of)  # many zeros
    found = scatter.add_rows(xp.asarray(rows), xp.asarray(indices), length)
    wanted = reference.add_rows(rows, indices, length)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found.get(), wanted)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (5, 6), (2, 3, 4), (90,)])
@pytest.mark.parametrize(("columns", "length"), [(1, 5), (3, 2), (13, 40), (1, 1)])
def test_shapes(xp: Any, shape: Any, columns: int, length: int, dtype: str) -> None:
    check(xp, shape, columns, length, dtype)


@pytest.mark.parametrize("of", ["i4", "u1", "i8"])
def test_indices_of_any_integers(xp: Any, of: str) -> None:
    check(xp, (40,), 2, 9, of=of)
    check(xp, (40,), 2, 300, of="u2" if of == "u1" else of)
    table = scatter.add_rows(xp.ones((2, 1), "f4"), xp.asarray(np.array([255, 3], "u1")), 300)
    assert table.get().ravel().nonzero()[0].tolist() == [3, 255]


@pytest.mark.parametrize("portion", [1, 3, 40, 41])
def test_portions(xp: Any, portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scatter, "PORTION", portion)
    check(xp, (41,), 3, 6)


def test_many_blocks(xp: Any) -> None:
    check(xp, (150,), 5, 30)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 200), st.integers(0, 9), st.integers(1, 50))
def test_any_shape(xp: Any, count: int, columns: int, length: int) -> None:
    check(xp, (count,), columns, length)


def test_indices_out_of_range_wrap_around(xp: Any) -> None:
    """As they do where they are looked up: nobody checks them, because that would be to wait for the GPU."""
    table = scatter.add_rows(xp.ones((3, 1), "f4"), xp.asarray(np.array([-1, 4, 3])), 4)
    assert table.get().ravel().tolist() == [1, 0, 0, 2]


def check_rounds() -> None:
    with few_blocks():
        check(cupy(), (300,), 7, 9)
        check(cupy(), (130,), 1, 3, "f8")


FAULTS = [
    Fault(f"scatter.cu:{kernel}", old, new, check_rounds)
    for kernel, changes in (
        (
            "sort_indices",
            [
                ("m < count", "m <= count"),
                ("k < count", "k < count - 1"),
                ("k < m", "k > m"),
                ("other == own && k < m", "k < m"),
                ("order[place] = m", "order[place] = place"),
            ],
        ),
        (
            "add_runs",
            [
                ("i < size", "i <= size"),
                ("first > 0 && sorted[first - 1] == row", "false"),
                ("sorted[first - 1]", "sorted[first + 1]"),
                ("k < count", "k <= count"),
                ("sorted[k] == row", "sorted[k] >= row"),
                ("i % columns", "i / columns"),
            ],
        ),
    )
    for old, new in changes
]
