"""The micro-kernel on its own: each memory layout of the factors, part of a tile, and what it does in the end."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from minidl.kernels.cpu import vectors
from minidl.kernels.cpu.compiler import VECTOR_BYTES, helper
from minidl.kernels.cpu.packing import pack
from minidl.kernels.cpu.vectors import ACCUMULATE, COLUMN_BIAS, RELU, ROW_BIAS, microkernel

RNG = np.random.default_rng(0)
ROWS, VECTORS, DEPTH = 3, 2, 7
TABLE = np.array([5, 40, 11, 90, 33, 60, 2, 77, 1], np.int64)

packed = microkernel(ROWS, VECTORS)
rows_packed = microkernel(ROWS, VECTORS, a="rows")
table_packed = microkernel(ROWS, VECTORS, a="table")
packed_rows = microkernel(ROWS, VECTORS, b="rows")
table_table = microkernel(ROWS, VECTORS, a="table", b="table")


@helper
def run_packed(kc, a, a_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    packed(kc, a, a_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_rows_packed(kc, a, a_at, row, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    rows_packed(kc, a, a_at, row, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_table_packed(kc, a, a_at, t, t_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    table_packed(kc, a, a_at, t, t_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_packed_rows(kc, a, a_at, b, b_at, row, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    packed_rows(kc, a, a_at, b, b_at, row, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_table_table(kc, a, a_at, t, t_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    table_table(kc, a, a_at, t, t_at, b, b_at, t, t_at + 1, c, c_at, c_row, m, n, mode, bias, bias_at)


def columns(dtype: Any) -> int:
    return VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize


def memory(dtype: Any) -> np.ndarray:
    return RNG.standard_normal(4000).astype(dtype)


def check(run: Any, arguments: Any, a: np.ndarray, b: np.ndarray, m: int, n: int, mode: int) -> None:
    """Call the micro-kernel on a poisoned C and compare all of C."""
    dtype, NR = a.dtype, columns(a.dtype)
    c_row = NR + 3
    c = RNG.standard_normal((ROWS + 2, c_row)).astype(dtype)
    bias = RNG.standard_normal(NR + 2).astype(dtype)
    want = c.copy()
    tile = a @ b  # (ROWS, NR)
    inside = want[1 : ROWS + 1, 2 : NR + 2]
    if mode & ACCUMULATE:
        tile = tile + inside
    if mode & ROW_BIAS:
        tile = tile + bias[2 : ROWS + 2, None]
    if mode & COLUMN_BIAS:
        tile = tile + bias[2 : NR + 2]
    if mode & RELU:
        tile = np.where(tile < 0, 0, tile)
    inside[:m, :n] = tile[:m, :n]
    run(*arguments, c.reshape(-1), c_row + 2, c_row, m, n, mode, bias, 2)
    np.testing.assert_allclose(c, want, rtol=2e-5, atol=2e-5)
    untouched = np.ones_like(c, bool)
    untouched[1 : 1 + m, 2 : 2 + n] = False
    assert (c[untouched] == want[untouched]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_mode_and_part_of_a_tile(dtype: str) -> None:
    NR = columns(dtype)
    a, b = memory(dtype), memory(dtype)
    A, B = a[4 : 4 + DEPTH * ROWS].reshape(DEPTH, ROWS).T, b[9 : 9 + DEPTH * NR].reshape(DEPTH, NR)
    modes = [sum(flags) for size in range(5) for flags in itertools.combinations((1, 2, 4, 8), size)]
    for mode in modes:
        for m, n in ((ROWS, NR), (ROWS + 5, NR + 5), (1, NR), (ROWS, 1), (2, NR // 2 + 1), (0, 3), (3, 0)):
            check(run_packed, (DEPTH, a, 4, b, 9), A, B, min(m, ROWS), min(n, NR), mode)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layout(dtype: str) -> None:
    NR = columns(dtype)
    a, b = memory(dtype), memory(dtype)
    packed_a, packed_b = a[4 : 4 + DEPTH * ROWS].reshape(DEPTH, ROWS).T, b[9 : 9 + DEPTH * NR].reshape(DEPTH, NR)
    table_a = np.stack([a[4 + first : 4 + first + DEPTH] for first in TABLE[1 : 1 + ROWS]])
    table_b = np.stack([b[9 + first : 9 + first + NR] for first in TABLE[2 : 2 + DEPTH]])
    rows_a, rows_b = a[4 : 4 + 50 * ROWS].reshape(ROWS, 50)[:, :DEPTH], b[9 : 9 + 100 * DEPTH].reshape(DEPTH, 100)
    for m, n, mode in ((ROWS, NR, 0), (2, NR - 1, ACCUMULATE)):
        check(run_rows_packed, (DEPTH, a, 4, 50, b, 9), rows_a, packed_b, m, n, mode)
        check(run_table_packed, (DEPTH, a, 4, TABLE, 1, b, 9), table_a, packed_b, m, n, mode)
        check(run_packed_rows, (DEPTH, a, 4, b, 9, 100), packed_a, rows_b[:, :NR], m, n, mode)
        check(run_table_table, (DEPTH, a, 4, TABLE, 1, b, 9), table_a, table_b, m, n, mode)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_steps_store_zeros(dtype: str) -> None:
    NR = columns(dtype)
    nothing = np.full((ROWS, 0), 1, dtype), np.full((0, NR), 1, dtype)
    check(run_packed, (0, memory(dtype), 0, memory(dtype), 0), *nothing, ROWS, NR, 0)


def test_nan_passes_through_relu() -> None:
    a, b = np.ones(ROWS, "f4"), np.full(columns("f4"), np.nan, "f4")
    c = np.zeros((ROWS, columns("f4")), "f4")
    run_packed(1, a, 0, b, 0, c.reshape(-1), 0, columns("f4"), ROWS, columns("f4"), RELU, a, 0)
    assert np.isnan(c).all()


@helper
def run_pack(matrix, at, across, along, count, kc, panel, panel_at, width):  # type: ignore[no-untyped-def]
    pack(matrix, at, across, along, count, kc, panel, panel_at, width)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pack(dtype: str) -> None:
    L = VECTOR_BYTES // np.dtype(dtype).itemsize
    matrix = RNG.standard_normal(20_000).astype(dtype)
    for width, kc, (across, along) in itertools.product(
        (1, vectors.ROWS, L, 2 * L), (0, 1, L - 1, L, 2 * L + 3), ((1, 70), (70, 1), (-1, 70), (70, -1), (3, 5), (0, 1))
    ):
        for count in {1, width // 2 + 1, width}:
            panel = np.full(width * kc + 2 * L, 7, dtype)
            run_pack(matrix, 9000, across, along, count, kc, panel, L, width)
            steps, places = np.indices((kc, width))
            want = np.where(places < count, matrix[9000 + places * across + steps * along], 0)
            np.testing.assert_array_equal(panel[L : L + width * kc].reshape(kc, width), want)
            assert (panel[:L] == 7).all()
