"""Sorting, selecting by rank, and counting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    distinct,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
    torch,
)

inf, nan = float("inf"), float("nan")
INTEGERS = np.array([[3, 1, 2, 3], [0, 3, 1, 1]])


def both(op: str, call: Any, *inputs: Any, expected: Any = None, differentiable: bool = True) -> Case:
    """A case whose call is spelled as PyTorch spells it."""

    def theirs(*xs: Any) -> Any:
        found = call(*xs)
        return tuple(found) if isinstance(found, tuple) else found

    return Case(op, call, list(inputs), expected, theirs, differentiable)


CASES = [
    both("take_along", lambda x: x.sort(), distinct(3, 5), expected=lambda x: (np.sort(x), np.argsort(x))),
    both("take_along", lambda x: x.sort(0, descending=True), distinct(3, 5)),
    both("take_along", lambda x: x.sort(1, True), distinct(2, 4, 3)),
    both("take_along", lambda x: x.sort(dim=-2, stable=True), distinct(2, 4, 3)),
    both("take_along", lambda x: x.sort(), distinct()),
    both("take_along", lambda x: x.sort(0), distinct(0, 3)),
    both("take_along", lambda x: x.topk(2), distinct(3, 5)),
    both("take_along", lambda x: x.topk(2, 0), distinct(4, 3)),
    both("take_along", lambda x: x.topk(3, 1, False), distinct(2, 5, 3)),
    both("take_along", lambda x: x.topk(5), distinct(2, 5)),
    both("take_along", lambda x: x.topk(5, largest=False), distinct(2, 5)),
    both("take_along", lambda x: x.topk(0), distinct(2, 5)),
    both("take_along", lambda x: x.kthvalue(2), distinct(3, 5)),
    both("take_along", lambda x: x.kthvalue(4, 0, True), distinct(4, 3)),
    Case("take_along", lambda x: x.sort(axis=0), [distinct(3, 5)], lambda x: np.sort(x, axis=0)),
    Case("take_along", lambda x: x.sort(axis=None), [distinct(3, 5)], lambda x: np.sort(x, axis=None)),
    both("argsort", lambda x: x.argsort(), distinct(3, 5), expected=np.argsort, differentiable=False),
    both("argsort", lambda x: x.argsort(0, True), distinct(3, 5), differentiable=False),
    both("argsort", lambda x: x.argsort(stable=True), INTEGERS, differentiable=False),
    both("argsort", lambda x: x.argsort(descending=True, stable=True), INTEGERS, differentiable=False),
    both("argsort", lambda x: x.argsort(), distinct(), differentiable=False),
    both("argtopk", lambda x: x.topk(2).indices, distinct(3, 5), differentiable=False),
    both("unique", lambda x: x.unique(), INTEGERS, expected=np.unique, differentiable=False),
    both("unique", lambda x: x.unique(True, True, True), INTEGERS, differentiable=False),
    both("unique", lambda x: x.unique(return_counts=True), INTEGERS, differentiable=False),
    both("unique", lambda x: x.unique(return_inverse=True), np.zeros((0,)), differentiable=False),
    both("unique", lambda x: x.unique(dim=1, return_inverse=True), INTEGERS, differentiable=False),
    Case(
        "searchsorted",
        lambda b, v: minidl.searchsorted(b, v),
        [np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [3.0, 9.0]])],
        np.searchsorted,
        lambda b, v: torch.searchsorted(b, v),
        differentiable=False,
    ),
    Case(
        "searchsorted",
        lambda b, v: minidl.searchsorted(b, v, right=True),
        [np.array([[1.0, 2.0, 2.0], [4.0, 5.0, 6.0]]), np.array([[2.0], [4.5]])],
        lambda b, v: np.array([[3], [1]]),
        lambda b, v: torch.searchsorted(b, v, right=True),
        differentiable=False,
    ),
    Case(
        "searchsorted",
        lambda b, v: minidl.searchsorted(b, v),
        [np.array([[1.0, 2.0, 2.0], [4.0, 5.0, 6.0]]), np.array([[2.0, 0.0], [4.5, 9.0]])],
        lambda b, v: np.array([[1, 0], [1, 3]]),
        differentiable=False,
    ),
    both("bincount", lambda x: x.bincount(), INTEGERS[0], expected=np.bincount, differentiable=False),
    both("bincount", lambda x: x.bincount(minlength=6), INTEGERS[0], differentiable=False),
    both("bincount", lambda x: x.bincount(), np.zeros(0, np.int64), differentiable=False),
    both("bincount", lambda x, w: x.bincount(w), INTEGERS[0], (4,), differentiable=False),
    both("histc", lambda x: x.histc(4, min=-1, max=1), (20,), differentiable=False),
    both("histc", lambda x: x.histc(bins=5), (4, 5), differentiable=False),
    both("histc", lambda x: x.histc(4), np.full(3, 2.0), differentiable=False),
    both("histc", lambda x: x.histc(4), np.zeros(0), differentiable=False),
]


@given(
    values=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    descending=st.booleans(),
    k=st.integers(0, 12),
)
@settings(max_examples=50, deadline=None)
def test_equal_elements(values: list[int], descending: bool, k: int) -> None:
    x = minidl.tensor(values, dtype="float32")
    found = x.sort(descending=descending, stable=True)
    order = sorted(range(len(values)), key=lambda i: -values[i] if descending else values[i])
    assert found.indices.numpy().tolist() == order
    assert found.values.numpy().tolist() == [values[i] for i in order]
    k = min(k, len(values))
    top = x.topk(k, largest=descending)
    assert top.values.numpy().tolist() == found.values.numpy().tolist()[:k]
    assert [values[i] for i in top.indices.numpy()] == top.values.numpy().tolist()
    assert len(set(top.indices.numpy().tolist())) == k
    unsorted = x.topk(k, largest=descending, sorted=False)
    assert sorted(unsorted.values.numpy().tolist(), reverse=descending) == top.values.numpy().tolist()


def test_two_dialects_of_sort() -> None:
    x = minidl.tensor([[3.0, 1.0], [2.0, 4.0]])
    found = x.sort()
    assert found.values.numpy().tolist() == [[1, 3], [2, 4]]
    assert found.indices.numpy().tolist() == [[1, 0], [0, 1]]
    assert minidl.sort(x, 0).values.numpy().tolist() == [[2, 1], [3, 4]]
    assert minidl.sort(x, dim=0).indices.numpy().tolist() == [[1, 0], [0, 1]]
    assert minidl.sort(x, axis=0).numpy().tolist() == [[2, 1], [3, 4]]
    assert minidl.sort(x, axis=None).numpy().tolist() == [1, 2, 3, 4]
    assert minidl.sort(x, axis=-1, descending=True).numpy().tolist() == [[3, 1], [4, 2]]


def test_gradients_follow_each_element() -> None:
    x = minidl.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.sort().values * minidl.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.numpy().tolist() == [100, 1, 10]
    assert not x.sort().indices.requires_grad


def test_nan_counts_as_the_largest() -> None:
    x = minidl.tensor([1.0, nan, 2.0, -inf, inf])
    assert x.argsort().numpy().tolist() == [3, 0, 2, 4, 1]
    assert x.argsort(descending=True).numpy().tolist() == [1, 4, 2, 0, 3]
    assert x.topk(2).indices.numpy().tolist() == [1, 4]
    assert x.topk(2, largest=False).indices.numpy().tolist() == [3, 0]
    assert x.kthvalue(4).indices.item() == 4
    assert np.isnan(x.kthvalue(5).values.item())
    assert minidl.tensor([nan, nan, 1.0]).unique().shape == (3,)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16", "float64"])
def test_every_dtype_sorts_both_ways(dtype: str) -> None:
    values = np.array([0, 1, 127, 3]).astype(dtype)
    x = minidl.tensor(values)
    assert x.sort().values.dtype == values.dtype
    np.testing.assert_array_equal(x.sort().values.numpy(), np.sort(values))
    np.testing.assert_array_equal(x.sort(descending=True).values.numpy(), np.sort(values)[::-1])
    np.testing.assert_array_equal(x.topk(4).values.numpy(), np.sort(values)[::-1])


def test_scalars() -> None:
    x = minidl.tensor(2.0)
    assert x.sort().values.shape == x.sort().indices.shape == x.argsort().shape == x.kthvalue(1).values.shape == ()
    assert x.unique().numpy().tolist() == [2]
    assert minidl.searchsorted(minidl.tensor([1.0, 2.0]), 2.0).item() == 1
    assert minidl.searchsorted(minidl.tensor([1.0, 2.0]), 2.0, side="right", out_int32=True).item() == 2


def test_types_of_counts() -> None:
    x = minidl.tensor([0, 1, 1])
    assert x.bincount().dtype == np.int64
    assert x.bincount(minidl.tensor([0.5, 1.0, 1.0])).dtype == np.float32
    assert x.unique(return_counts=True)[1].dtype == np.int64
    assert minidl.tensor([1.0]).histc(2).dtype == np.float32
    found = minidl.searchsorted(minidl.tensor([1.0]), minidl.tensor([1.0]), out_int32=True)
    assert found.dtype == np.int32


def test_errors_say_what_was_asked_of_what() -> None:
    x = minidl.zeros(2, 3)
    with pytest.raises(RangeError, match=r"topk: k=4 of 3 elements along the axis of shape \(2, 3\); choose 0 to 3"):
        x.topk(4)
    with pytest.raises(DTypeError, match=r"topk: k must be an int, got 1\.5"):
        x.topk(1.5)
    with pytest.raises(RangeError, match=r"kthvalue: k=0 of 3 elements .* choose 1 to 3"):
        x.kthvalue(0)
    for call in (lambda: x.sort(2), lambda: x.argsort(2), lambda: x.topk(1, 2), lambda: x.unique(dim=2)):
        with pytest.raises(RangeError, match="axis 2 is out of range for a tensor with 2 dimensions"):
            call()
    with pytest.raises(ShapeError, match=r"bincount: expected one axis, with weights as long, got shape \(2, 3\)"):
        x.bincount()
    with pytest.raises(ShapeError, match=r"got shape \(2,\) and weights \(3,\)"):
        minidl.tensor([1, 2]).bincount(minidl.zeros(3))
    with pytest.raises(DTypeError, match="bincount: expected integers, got float32"):
        minidl.tensor([1.0]).bincount()
    with pytest.raises(RangeError, match="must not be negative, the least is -1"):
        minidl.tensor([-1, 2]).bincount()
    with pytest.raises(ArgumentError, match="minlength must not be negative"):
        minidl.tensor([1, 2]).bincount(minlength=-1)
    with pytest.raises(ArgumentError, match="histc: bins must be at least 1, got 0"):
        x.histc(0)
    with pytest.raises(ArgumentError, match="histc: min must not be above max, got min=2 and max=1"):
        x.histc(3, 2, 1)
    with pytest.raises(RangeError, match=r"reach from 1\.0 to inf; give a finite min and max"):
        minidl.tensor([1.0, inf]).histc()
    with pytest.raises(ArgumentError, match="side must be 'left' or 'right' and agree with right=False, got 'up'"):
        minidl.searchsorted(minidl.ones(2), 1.0, side="up")
    with pytest.raises(ShapeError, match=r"searchsorted: boundaries \(2, 3\) and values \(3,\)"):
        minidl.searchsorted(x, minidl.zeros(3))
