"""The micro-kernel on its own: each memory layout of the factors, part of a tile, and what it does in the end."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from minidl.kernels.cpu import vectors
from minidl.kernels.cpu.compiler import VECTOR_BYTES, helper
from minidl.kernels.cpu.packing import pack
from minidl.kernels.cpu.vectors import ACCUMULATE, COLUMN_BIAS, CONTINUE, RELU, ROW_BIAS, microkernel

RNG = np.random.default_rng(0)
ROWS, VECTORS, DEPTH = 3, 2, 7

packed = microkernel(ROWS, VECTORS)
rows_packed = microkernel(ROWS, VECTORS, a="rows")
strided_packed = microkernel(ROWS, VECTORS, a="strided")
packed_rows = microkernel(ROWS, VECTORS, b="rows")


@helper
def run_packed(kc, a, a_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    packed(kc, a, a_at, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_rows_packed(kc, a, a_at, row, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    rows_packed(kc, a, a_at, row, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_strided_packed(kc, a, a_at, row, step, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    strided_packed(kc, a, a_at, row, step, b, b_at, c, c_at, c_row, m, n, mode, bias, bias_at)


@helper
def run_packed_rows(kc, a, a_at, b, b_at, row, c, c_at, c_row, m, n, mode, bias, bias_at):  # type: ignore[no-untyped-def]
    packed_rows(kc, a, a_at, b, b_at, row, c, c_at, c_row, m, n, mode, bias, bias_at)


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
    if mode & (ACCUMULATE | CONTINUE):
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
    modes += [CONTINUE | mode for mode in modes if not mode & ACCUMULATE]
    for mode in modes:
        for m, n in ((ROWS, NR), (ROWS + 5, NR + 5), (1, NR), (ROWS, 1), (2, NR // 2 + 1), (0, 3), (3, 0)):
            check(run_packed, (DEPTH, a, 4, b, 9), A, B, min(m, ROWS), min(n, NR), mode)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layout(dtype: str) -> None:
    NR = columns(dtype)
    a, b = memory(dtype), memory(dtype)
    packed_a, packed_b = a[4 : 4 + DEPTH * ROWS].reshape(DEPTH, ROWS).T, b[9 : 9 + DEPTH * NR].reshape(DEPTH, NR)
    rows_a, rows_b = a[4 : 4 + 50 * ROWS].reshape(ROWS, 50)[:, :DEPTH], b[9 : 9 + 100 * DEPTH].reshape(DEPTH, 100)
    for m, n, mode in ((ROWS, NR, 0), (2, NR - 1, ACCUMULATE)):
        check(run_rows_packed, (DEPTH, a, 4, 50, b, 9), rows_a, packed_b, m, n, mode)
        check(run_strided_packed, (DEPTH, a, 4, 50, 1, b, 9), rows_a, packed_b, m, n, mode)
        check(run_strided_packed, (DEPTH, a, 4, 1, ROWS, b, 9), packed_a, packed_b, m, n, mode)
        check(run_strided_packed, (DEPTH, a, 4 + 50 * (ROWS - 1), -50, 1, b, 9), rows_a[::-1], packed_b, m, n, mode)
        check(run_packed_rows, (DEPTH, a, 4, b, 9, 100), packed_a, rows_b[:, :NR], m, n, mode)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sum_that_continues_has_the_bits_of_one_in_one_go(dtype: str) -> None:
    NR = columns(dtype)
    a, b = memory(dtype), memory(dtype)
    whole, parts = np.zeros((ROWS, NR), dtype), np.zeros((ROWS, NR), dtype)
    run_packed(40, a, 0, b, 0, whole.reshape(-1), 0, NR, ROWS, NR, 0, a, 0)
    for first, last, mode in ((0, 7, 0), (7, 8, CONTINUE), (8, 40, CONTINUE)):
        at = first * ROWS, first * NR
        run_packed(last - first, a, at[0], b, at[1], parts.reshape(-1), 0, NR, ROWS, NR, mode, a, 0)
    assert parts.tobytes() == whole.tobytes()


def test_rows_that_are_not_there_are_not_read() -> None:
    """Rows a page and more apart: beyond the last one is memory that the process hasn't got."""
    a, b, c = np.ones((2, 4), "f4"), np.ones(4 * columns("f4"), "f4"), np.zeros((ROWS, columns("f4")), "f4")
    run_strided_packed(4, a.reshape(-1), 0, 2**50, 1, b, 0, c.reshape(-1), 0, columns("f4"), 1, columns("f4"), 0, a, 0)
    assert (c[0] == 4).all()
    assert (c[1:] == 0).all()


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
