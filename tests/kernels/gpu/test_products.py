"""Matrix products in CUDA C against NumPy's: the one to read, and the bias that joins cuBLAS's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.kernels.gpu import products
from tests.kernels.gpu.harness import RNG, Fault, compare, few_blocks, launches, on_gpu


def check_tiled(rows: int, depth: int, columns: int, dtype: str = "float32") -> None:
    x = RNG.standard_normal((rows, depth)).astype(dtype)
    y = RNG.standard_normal((depth, columns)).astype(dtype)
    compare(products.tiled_matmul, reference.matmul, x, y)


def check_affine(rows: int, depth: int, columns: int, dtype: str = "float32") -> None:
    x = RNG.standard_normal((rows, depth)).astype(dtype)
    weight = RNG.standard_normal((columns, depth)).astype(dtype).T
    bias = RNG.standard_normal(2 * columns).astype(dtype)[::2]
    for relu in (False, True):
        compare(products.affine, reference.affine, x, weight, bias, relu)


sizes = st.integers(0, 40)


@settings(max_examples=30, deadline=None)
@given(
    rows=sizes,
    depth=sizes,
    columns=sizes,
    dtype=st.sampled_from(["float32", "float64"]),
    descending=st.booleans(),
    few=st.booleans(),
)
def test_any_size(rows: int, depth: int, columns: int, dtype: str, descending: bool, few: bool) -> None:
    with launches(descending, few):
        check_tiled(rows, depth, columns, dtype)
        check_affine(rows, depth, columns, dtype)


@pytest.mark.parametrize("descending", [False, True])
def test_several_tiles(descending: bool) -> None:
    with launches(descending, False):
        check_tiled(50, 70, 33)
        check_tiled(16, 32, 48, "float64")


def test_types_that_differ_are_left_to_the_reference() -> None:
    x, weight = on_gpu(np.ones((2, 3), "f4")), on_gpu(np.ones((3, 4), "f8"))
    assert products.affine(x, weight, on_gpu(np.ones(4, "f8"))) is NotImplemented


def tiled() -> None:
    check_tiled(35, 50, 41)


def affine() -> None:
    check_affine(5, 6, 70)
    with few_blocks():
        check_affine(5, 6, 70)


FAULTS = [
    Fault(f"products.cu:{kernel}", old, new, check)
    for kernel, check, changes in (
        (
            "tiled_matmul",
            tiled,
            [
                ("__syncthreads();\n\n        // A row", "// A row"),
                ("__syncthreads();\n    }", "}"),
                ("start + tx < K", "start + tx <= K"),
                ("row < M && start", "start"),
                ("column < N ?", "true ?"),
                ("if (row < M && column < N)", ""),
                ("b[i][tx]", "b[tx][i]"),
                ("start += TILE", "start += TILE + 1"),
            ],
        ),
        (
            "finish_rows",
            affine,
            [("u < U", "u <= U"), ("bias[u]", "bias[n]"), ("n < N", "n < N - 1"), ("relu &&", "")],
        ),
    )
    for old, new in changes
]
