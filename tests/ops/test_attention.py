"""Attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DTypeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

try:
    import torch.nn.functional as F
except ImportError:
    F = None

attention = minidl.scaled_dot_product_attention
MASK = np.array([[True, False, True, True, False], [True] * 5, [False] * 5])


def case(q: Any, k: Any, v: Any, mask: Any = None, **kwargs: Any) -> Case:
    return Case(
        "matmul",
        lambda *a: attention(*a, **kwargs),
        [q, k, v, *([] if mask is None else [mask])],
        torch=lambda *a: F.scaled_dot_product_attention(*a, **kwargs),
    )


CASES = [
    case((3, 4), (5, 4), (5, 2)),
    case((2, 3, 4), (2, 5, 4), (2, 5, 2)),
    case((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), MASK),
    case((2, 3, 4), (2, 5, 4), (2, 5, 2), np.broadcast_to(MASK, (2, 3, 5)).copy()),
    case((2, 3, 4), (2, 5, 4), (2, 5, 2), (3, 5)),
    case((2, 3, 4), (2, 5, 4), (2, 5, 2), is_causal=True),
    case((2, 5, 4), (2, 3, 4), (2, 3, 2), is_causal=True),
    case((2, 3, 4), (2, 5, 4), (2, 5, 2), scale=2.0),
]


def test_a_query_that_may_look_nowhere_gets_zeros_and_no_nan() -> None:
    q, k, v = (minidl.randn(3, 2, requires_grad=True) for _ in range(3))
    y = attention(q, k, v, minidl.zeros(3, 3).bool())
    y.sum().backward()
    assert not y.numpy(force=True).any()
    assert not any(np.isnan(x.grad.numpy()).any() for x in (q, k, v))


def test_weights_are_dropped() -> None:
    q, v = minidl.zeros(4, 2), minidl.ones(50, 1)
    y = attention(q, minidl.zeros(50, 2), v, dropout_p=0.5)
    assert len(set(y.numpy().ravel().tolist())) > 1
    assert abs(y.numpy().mean() - 1) < 0.3


def ones(*shape: int) -> Any:
    return minidl.ones(*shape)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: attention(ones(3, 4), ones(5, 3), ones(5, 2)),
            ShapeError,
            r"query \(3, 4\), key \(5, 3\), value \(5, 2\): query and key must agree in their last axis",
        ),
        (lambda: attention(ones(3, 4), ones(5, 4), ones(4, 2)), ShapeError, "key and value in the one before it"),
        (lambda: attention(ones(4), ones(5, 4), ones(5, 2)), ShapeError, r"expected query \(\.\.\., L, D\)"),
        (
            lambda: attention(ones(3, 4), ones(5, 4), ones(5, 2), ones(3, 5).bool(), is_causal=True),
            ArgumentError,
            "give it or attn_mask, not both",
        ),
        (
            lambda: attention(ones(3, 4), ones(5, 4), ones(5, 2), ones(3, 5).long()),
            DTypeError,
            "attn_mask must hold booleans or floats, got int64",
        ),
    ],
)
def test_errors(call: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call()
