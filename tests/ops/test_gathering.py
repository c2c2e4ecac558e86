"""Gathering and scattering, masks, triangles, one-hot vectors."""

from __future__ import annotations

from collections.abc import Callable
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
    torch,
)

INDEX = np.array([[0, 2, 2], [1, 0, 1]])
MASK = np.array([[True, False, True], [False, True, True]])
LABELS = np.array([[0, 2], [1, 1]])


def both(op: str, call: Callable[..., Any], *inputs: Any, **more: Any) -> Case:
    """A case in which PyTorch's tensors take the same call."""
    return Case(op, call, list(inputs), None, call, **more)


CASES = [
    both("gather_items", lambda x, i: x.gather(1, i), (2, 4), INDEX),
    both("gather_items", lambda x, i: x.gather(0, i), (3, 5), INDEX),
    both("gather_items", lambda x, i: x.gather(0, i), (3,), np.array([2, 2, 0, 1])),
    both("gather_items", lambda x, i: x.gather(0, i), (), np.array(0)),
    both("gather_items", lambda x, i: x.take_along_dim(i, 1), (2, 4), INDEX),
    both("gather_items", lambda x, i: x.take_along_dim(i, 1), (2, 4), INDEX[:1]),
    both("gather_items", lambda x, i: x.take_along_dim(i, 1), (1, 4), INDEX),
    both("gather_items", lambda x, i: x.take_along_dim(i), (2, 4), np.array([7, 0, 7])),
    both("gather_items", lambda x, i: x.index_select(1, i), (2, 3), np.array([2, 2, 0])),
    both("gather_items", lambda x, i: x.index_select(0, i), (2, 0), np.array([1, 1])),
    both("gather_items", lambda x, i: x.take(i), (2, 3), INDEX),
    Case("gather_items", lambda x: x.take([0, 2, 0], axis=1), [(2, 3)], lambda x: x.take([0, 2, 0], 1)),
    Case("gather_items", lambda x: x.index_select(0, []), [(2, 3)], lambda x: x[:0]),
    both("gather_items", lambda x, m: x.masked_select(m), (2, 3), MASK),
    both("gather_items", lambda x, m: x.masked_select(m), (3,), MASK),
    both("gather_items", lambda x, m: x.masked_select(m), (4, 2, 3), MASK),
    both("set_item", lambda x, i, src: x.scatter(1, i, src), (2, 4), np.array([[0, 2], [3, 0]]), (2, 2)),
    Case(
        "set_item",
        lambda x, src: x.scatter(0, [[0, 2], [2, 1]], src),
        [(3, 3), (2, 3)],
        lambda x, src: np.array(
            [[src[0, 0], x[0, 1], x[0, 2]], [x[1, 0], src[1, 1], x[1, 2]], [src[1, 0], src[0, 1], x[2, 2]]]
        ),
    ),
    both("set_item", lambda x, i: x.scatter(1, i, 2.5), (2, 4), INDEX),
    both("set_item", lambda x, i: x.scatter(1, i, value=2.5), (2, 4), INDEX),
    both("put_add", lambda x, i, src: x.scatter_add(1, i, src), (2, 4), INDEX, (2, 3)),
    Case("put_add", lambda x, src: x.scatter_add(0, [[0, 2], [2, 1]], src), [(3, 3), (2, 3)]),
    both("put_add", lambda x, i, s: x.index_add(1, i, s, alpha=2), (2, 4), np.array([3, 0, 3]), (2, 3)),
    both("masked_fill", lambda x, m: x.masked_fill(m, 3.5), (2, 3), MASK),
    both("masked_fill", lambda x, m: x.masked_fill(m, 3.5), (4, 1, 3), MASK),
    both("masked_fill", lambda x, m, v: x.masked_fill(m, v), (2, 3), MASK, ()),
    both("tril", lambda x: x.tril(), (3, 4)),
    both("tril", lambda x: x.tril(-1), (2, 3, 3)),
    both("triu", lambda x: x.triu(1), (3, 4)),
    both("triu", lambda x: x.triu(diagonal=-1), (2, 4, 3)),
    Case("triu", lambda x: minidl.triu(x, k=1), [(3, 3)], lambda x: np.triu(x, 1)),
    both("nonzero", lambda x: x.nonzero(), np.array([[0.0, 2.0], [3.0, 0.0]]), differentiable=False),
    both("nonzero", lambda x: x.nonzero(as_tuple=True), np.array([[0, 2], [3, 0]]), differentiable=False),
    both("nonzero", lambda x: x.argwhere(), np.array(5), differentiable=False),
    Case("one_hot", lambda x: minidl.one_hot(x), [LABELS], lambda x: np.eye(3, dtype=int)[x], differentiable=False),
    Case("one_hot", lambda x: minidl.one_hot(x, 5), [LABELS], lambda x: np.eye(5, dtype=int)[x], differentiable=False),
    Case("one_hot", lambda x: minidl.one_hot(x, 2), [np.zeros(0, int)], differentiable=False),
]


def test_masked_fill_keeps_the_dtype() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    y = x.masked_fill(minidl.tensor([True, False]), float("-inf"))
    assert y.dtype == minidl.float32
    assert y.tolist() == [float("-inf"), 2.0]
    assert minidl.tensor([1, 2]).masked_fill(minidl.tensor([True, False]), 7).dtype == minidl.int64


def test_in_place_forms() -> None:
    x = minidl.zeros(2, 3)
    x.scatter_(1, minidl.tensor([[2], [0]]), 1.0).scatter_add_(0, minidl.tensor([[1, 1, 1]]), minidl.ones(1, 3))
    assert x.tolist() == [[0, 0, 1], [2, 1, 1]]
    x.masked_fill_(x > 0, 5.0).tril_()
    assert x.tolist() == [[0, 0, 0], [5, 5, 0]]


def test_argsort_and_gather_agree() -> None:
    x = minidl.rand(4, 5)
    order = minidl.tensor(x.numpy().argsort(1))
    np.testing.assert_array_equal(minidl.take_along_axis(x, order, 1).numpy(), np.sort(x.numpy(), 1))


X = np.arange(6.0).reshape(2, 3)

ERRORS = [
    (lambda x: x.gather(1, [[3], [0]]), RangeError, "gather: index 3 is out of bounds for axis 1 with size 3"),
    (lambda x: x.gather(1, [[0.5], [0]]), DTypeError, "gather: the index must hold integers, got float32"),
    (lambda x: x.gather(1, [0]), ShapeError, r"gather: the index has shape \(1,\), the tensor \(2, 3\)"),
    (lambda x: x.gather(1, [[0]] * 3), ShapeError, "none longer than the tensor's but axis 1"),
    (lambda x: x.gather(2, [[0]]), RangeError, "gather: axis 2"),
    (lambda x: x.scatter(1, [[9]], 1.0), RangeError, "scatter: index 9 is out of bounds"),
    (lambda x: x.scatter(1, [[0, 1]], minidl.ones(1, 1)), ShapeError, r"scatter: src has shape \(1, 1\)"),
    (lambda x: x.scatter_add(1, [[9]], minidl.ones(1, 1)), RangeError, "scatter_add: index 9"),
    (lambda x: x.take_along_dim(minidl.tensor([0]), 1), ShapeError, "take_along_axis: indices have shape"),
    (lambda x: x.take_along_dim(minidl.tensor([[0]] * 3), 1), ShapeError, "do not broadcast"),
    (lambda x: x.index_select(0, [[1]]), ShapeError, "index_select: expected a vector"),
    (lambda x: x.index_select(0, [7]), RangeError, r"index_select: index 7 .* shape \(2, 3\)"),
    (lambda x: x.index_add(0, [1], minidl.ones(2, 3)), ShapeError, r"a source of shape \(1, 3\)"),
    (lambda x: x.take([6]), RangeError, "take: index 6"),
    (lambda x: x.masked_fill(minidl.ones(2, 3), 1), DTypeError, "masked_fill: the mask must hold booleans"),
    (lambda x: x.masked_fill(x > 0, minidl.ones(2)), ShapeError, "value must be one number"),
    (lambda x: x.masked_fill(minidl.ones(2).bool(), 1), ShapeError, "masked_fill: shapes"),
    (lambda x: x.masked_select(minidl.ones(2).bool()), ShapeError, r"mask of shape \(2,\) does not broadcast"),
    (lambda x: x[0].tril(), ShapeError, "tril: expected at least two axes"),
    (lambda x: minidl.one_hot(x), DTypeError, "one_hot: the index must hold integers"),
    (lambda x: minidl.one_hot([0, 4], 3), RangeError, "one_hot: labels from 0 to 4 for 3 classes; expected 0 to 2"),
    (lambda x: minidl.one_hot([-1]), RangeError, "labels from -1"),
    (lambda x: minidl.one_hot([]), RangeError, "pass num_classes="),
]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(minidl.tensor(X))
