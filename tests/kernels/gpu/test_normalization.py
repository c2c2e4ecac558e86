"""Batch and layer normalisation on the GPU against the reference: shapes, layouts, what may be missing, large means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.backend.devices import cupy
from minidl.kernels import reference
from minidl.kernels.gpu import normalization
from tests.kernels.gpu.harness import Fault, few_blocks

RNG = np.random.default_rng(0)
TOLERANCE = {"f4": 2e-5, "f8": 1e-12}


def check(xp: Any, shape: tuple[int, ...], dtype: str = "f8", affine: bool = True) -> None:
    x = (RNG.standard_normal(shape[::-1]) + 1).astype(dtype).T  # not C-contiguous
    grad = RNG.standard_normal(shape).astype(dtype)
    weight, bias = (RNG.uniform(0.5, 2, shape[1]).astype(dtype) if affine else None for _ in range(2))

    def on(place: Any) -> list[Any]:
        module = normalization if place is xp else reference
        given = [None if a is None else place.asarray(a) for a in (x, weight, bias, grad)]
        y, means, variances = module.batch_norm(*given[:3], 1e-5)
        grads = module.batch_norm_grad(given[3], given[0], means, 1 / place.sqrt(variances + 1e-5), given[1])
        return [y, means, variances, *grads]

    for found, wanted in zip(on(xp), on(np), strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(found.get(), wanted, rtol=TOLERANCE[dtype] * 10, atol=TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 6), (3, 2, 5, 7), (40, 2, 5, 5), (2, 1), (1, 3, 4)])
@pytest.mark.parametrize("affine", [False, True])
def test_shapes(xp: Any, shape: tuple[int, ...], dtype: str, affine: bool) -> None:
    check(xp, shape, dtype, affine)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (40, 33)])
def test_rows(xp: Any, shape: tuple[int, int], affine: bool) -> None:
    x, grad = RNG.standard_normal((2, *shape))
    weight, bias = RNG.uniform(0.5, 2, (2, shape[1])) if affine else (None, None)

    def on(place: Any) -> list[Any]:
        module = normalization if place is xp else reference
        given = [None if a is None else place.asarray(a) for a in (x, weight, bias, grad)]
        y, means, variances = module.layer_norm(*given[:3], 1e-5)
        return [y, means, variances, *module.layer_norm_grad(given[3], given[0], means, variances + 1, given[1])]

    for found, wanted in zip(on(xp), on(np), strict=True):
        np.testing.assert_allclose(found.get(), wanted, rtol=1e-10, atol=1e-10)


def test_a_large_mean_cancels_nothing(xp: Any) -> None:
    x = xp.asarray(np.full((64, 1), 1e4, "f4") + np.arange(64, dtype="f4")[:, None] % 2)
    assert normalization.batch_norm(x, None, None, 0.0)[2].get().tolist() == [0.25]


def test_no_elements(xp: Any) -> None:
    assert normalization.batch_norm(xp.zeros((0, 3), "f4"), None, None, 1e-5) is NotImplemented
    assert normalization.layer_norm(xp.zeros((0, 3), "f4"), None, None, 1e-5) is NotImplemented


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(st.integers(1, 30), st.integers(1, 5), st.integers(1, 40)), st.booleans())
def test_any_shape(xp: Any, shape: tuple[int, ...], affine: bool) -> None:
    if shape[0] * shape[2] > 1:
        check(xp, shape, "f8", affine)


def check_channels() -> None:
    with few_blocks():
        check(cupy(), (130, 5, 7))
        check(cupy(), (9, 3), affine=False)


FAULTS = [
    Fault(f"normalization.cu:{function}", old, new, check_channels)
    for function, changes in (
        (
            "block_sum",
            [("    __syncthreads();\n    REAL", "    REAL"), ("lanes > 0", "lanes > 1")],
        ),
        (
            "batch_norm",
            [
                ("EACH(i, count)", "EACH(i, count - 1)"),
                ("c < channels", "c <= channels"),
                ("bias[c]", "bias[0]"),
                ("block_sum(squares)", "squares"),
                ("variances[c] = variance;", ""),
            ],
        ),
        (
            "batch_norm_grad",
            [
                ("EACH(i, count)", "EACH(i, count + 1)"),
                ("c += gridDim.x", "c += gridDim.x + 1"),
                ("product = block_sum(product);", ""),
                ("- sum / count", ""),
                ("weight[c]", "(REAL)1"),
            ],
        ),
    )
    for old, new in changes
]
