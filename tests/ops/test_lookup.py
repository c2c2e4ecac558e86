"""Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import DTypeError, RangeError, ShapeError
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

REPEATED = np.array([[0, 3, 3], [2, 0, 4]])


def gradient(padding_idx: int | None) -> Any:
    """Return a function whose result is linear in its second argument, the upstream gradient."""

    def call(weight: Any, upstream: Any) -> Any:
        with minidl.enable_grad():
            weight = weight.detach()
            weight.requires_grad = True
            y = minidl.embedding(REPEATED, weight, padding_idx)
            return minidl.grad(y, weight, upstream, create_graph=True)

    return call


CASES = [
    Case("embedding", minidl.embedding, [REPEATED, (5, 2)], lambda i, w: w[i], F and F.embedding),
    Case("embedding", lambda w: minidl.embedding(np.int64(2), w), [(5, 2)], lambda w: w[2]),
    Case("embedding", lambda w: minidl.embedding([1, 1], w), [(5, 2)], lambda w: w[[1, 1]]),
    Case("embedding", minidl.embedding, [np.zeros((2, 0), np.int32), (5, 2)], lambda i, w: w[i]),
    Case("embedding_grad", gradient(None), [(5, 2), (2, 3, 2)]),
    Case("embedding_grad", gradient(3), [(5, 2), (2, 3, 2)]),
]


def test_padding_gets_no_gradient() -> None:
    weight = minidl.ones(5, 2, requires_grad=True)
    y = minidl.embedding(minidl.tensor(REPEATED), weight, padding_idx=-2)
    assert y.numpy(force=True).all()
    y.sum().backward()
    assert weight.grad.numpy()[:, 0].tolist() == [2, 0, 1, 0, 1]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda w: minidl.embedding(minidl.tensor([0, 5]), w),
            RangeError,
            r"embedding: index 5 is not in the table, which has 5 rows \(weight of shape \(5, 2\)\): .* 0 to 4",
        ),
        (lambda w: minidl.embedding(minidl.tensor([0, -1]), w), RangeError, "embedding: index -1 is not in the table"),
        (lambda w: minidl.embedding(minidl.tensor([0.0]), w), DTypeError, "must be integers, got float32; .*x.long"),
        (lambda w: minidl.embedding(minidl.tensor([0]), w[0]), ShapeError, r"weight has shape \(2,\); expected \(V, D"),
        (lambda w: minidl.embedding(minidl.tensor([0]), w, 5), RangeError, "padding_idx=5 is not a row"),
    ],
)
def test_errors(call: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call(minidl.ones(5, 2))
