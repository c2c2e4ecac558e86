"""Recurrent layers on the GPU against the reference: cells, shapes, masks, directions, layouts, margins."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.backend.devices import cupy
from minidl.kernels import reference
from minidl.kernels.gpu import recurrent
from tests.kernels.gpu.harness import Fault, few_blocks

BLOCKS = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
NAMES = "states", "cells", "gates", "grad_gates", "grad_h", "grad_c"


def results(
    xp: Any, module: Any, cell: str, shape: tuple[int, int, int, int], dtype: str = "f4", reverse: bool = False,
    bias: int = 2, masked: bool = False, seed: int = 0,
) -> list[Any]:  # fmt: skip
    """Return all that the forward and the backward pass of one layer compute, on the host; ``xp`` may be NumPy."""
    rng = np.random.default_rng(seed)
    T, N, D, U = shape
    G = BLOCKS[cell] * U

    def array(*shape: int) -> Any:
        return xp.asarray((rng.standard_normal(shape) / 2).astype(dtype))

    x, h, c = array(N, T, D).transpose(1, 0, 2), array(N, U), array(N, U) if cell == "lstm" else None
    weights = array(D, G).T, array(G, U), array(G) if bias else None, array(G) if bias == 2 else None
    grads = array(1, N, U), array(U, N).T, array(N, U) if cell == "lstm" else None
    how = xp.asarray(rng.random((T, N)) < 0.6) if masked else None, reverse, cell
    states, cells, gates = module.recurrent_forward(x, h, c, *weights, *how)
    grad_output = xp.broadcast_to(grads[0], (T, N, U))
    back = module.recurrent_backward(grad_output, *grads[1:], weights[1], states, cells, gates, *how)
    if xp is not np:
        assert (states.shape, gates.shape) == ((T + 1, N, U), (T, N, back[0].shape[2]))
    found = [states, cells, gates, *back]
    return [a if a is None or xp is np else a.get() for a in found]


def check(xp: Any, *args: Any, **kwargs: Any) -> None:
    found, wanted = results(xp, recurrent, *args, **kwargs), results(np, reference, *args, **kwargs)
    tolerance = 1e-13 if "f8" in (*args, *kwargs.values()) else 2e-5
    for name, a, b in zip(NAMES, found, wanted, strict=True):
        assert (a is None) == (b is None), name
        if b is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("cell", BLOCKS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_cells(xp: Any, cell: str, masked: bool, reverse: bool, dtype: str) -> None:
    check(xp, cell, (4, 3, 5, 7), dtype, reverse, masked=masked)


@pytest.mark.parametrize("cell", BLOCKS)
@pytest.mark.parametrize("bias", [0, 1])
def test_biases(xp: Any, cell: str, bias: int) -> None:
    check(xp, cell, (2, 3, 2, 3), bias=bias)


@pytest.mark.parametrize("cell", BLOCKS)
def test_many_blocks(xp: Any, cell: str) -> None:
    check(xp, cell, (3, 19, 3, 29), masked=True)  # 551 elements of a state: three blocks, the last one not full


@pytest.mark.parametrize("cell", BLOCKS)
@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (2, 0, 3, 4), (1, 1, 1, 1), (3, 2, 0, 4)])
def test_margins(xp: Any, cell: str, shape: tuple[int, int, int, int]) -> None:
    check(xp, cell, shape, masked=True)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(BLOCKS)),
    st.tuples(*(st.integers(1, most) for most in (5, 5, 4, 40))),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_shape(xp: Any, cell: str, shape: Any, reverse: bool, masked: bool, seed: int) -> None:
    check(xp, cell, shape, "f8", reverse, masked=masked, seed=seed)


def test_what_is_given_stays_as_it_was(xp: Any) -> None:
    """The walk back changes its gradients in place, but not those that it was handed."""
    T, N, U = 2, 2, 3
    states, cells, gates = (xp.ones(shape, "f4") for shape in ((T + 1, N, U), (T + 1, N, U), (T, N, 4 * U)))
    given = [xp.ones(shape, "f4") for shape in ((T, N, U), (N, U), (N, U), (4 * U, U))]
    recurrent.recurrent_backward(*given, states, cells, gates, None, False, "lstm")
    assert all((a.get() == 1).all() for a in given)


def check_cell(cell: str) -> None:
    """Check what a fault in a cell's kernels must show in: masked steps, both directions, several blocks and rounds."""
    with few_blocks():
        check(cupy(), cell, (3, 19, 2, 29), "f8", masked=True)
        check(cupy(), cell, (2, 2, 2, 3), "f8", reverse=True)


FAULTS = [
    Fault(f"recurrent.cu:{kernel}", old, new, functools.partial(check_cell, cell))
    for kernel, cell, changes in (
        (
            "lstm_step",
            "lstm",
            [
                ("EACH(at, size)", "EACH(at, size + 1)"),
                ("+ z[0]", "+ z[U]"),
                ("bias[3 * U + u]", "bias[2 * U + u]"),
                ("mask[(long long)t * batch + n]", "mask[n]"),
                ("present ? c : c_before[at]", "c"),
                ("row[0] = i", "row[0] = f"),
            ],
        ),
        (
            "lstm_step_grad",
            "lstm",
            [
                ("EACH(at, size)", "EACH(at, size - 1)"),
                ("grad[block * U] = 0", "grad[block * U] = grad[block * U]"),
                ("block < 4", "block < 3"),
                ("direct[at] = of_h;", ""),
                ("of_c * f", "of_c"),
                ("tanh_c * tanh_c", "tanh_c"),
                ("c_before[at] * f", "c_after[at] * f"),
            ],
        ),
        (
            "gru_step",
            "gru",
            [
                ("EACH(at, size)", "EACH(at, size + 1)"),
                ("bias[3 * U + u]", "bias[u]"),
                ("r * n_of_h", "n_of_h"),
                ("n * 3 * U", "n * 4 * U"),
                ("t * 4 * size", "t * 3 * size"),
            ],
        ),
        (
            "gru_step_grad",
            "gru",
            [
                ("EACH(at, size)", "EACH(at, size - 1)"),
                ("of_h[U] = grad_z", "grad_z"),
                ("passed = total * z", "passed = total"),
                ("passed = total;", "passed = 0;"),
                ("grad_n * r;", "grad_n;"),
            ],
        ),
        (
            "rnn_step",
            "relu",
            [
                ("EACH(at, size)", "EACH(at, size - 1)"),
                ("at % U", "at / U"),
                ("z < 0", "z < 1"),
                (": h_before[at]", ": h"),
            ],
        ),
        (
            "rnn_step_grad",
            "tanh",
            [
                ("EACH(at, size)", "EACH(at, size - 1)"),
                ("1 - h * h", "1 - h"),
                ("present ? grad : (REAL)0", "grad"),
                ("present ? (REAL)0 : total", "0"),
                ("+ direct[at]", ""),
            ],
        ),
    )
    for old, new in changes
]
