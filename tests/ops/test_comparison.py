"""Comparisons and logic."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minidl
from minidl.errors import DTypeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

WHOLE = np.array([[0, 1, 2], [1, 1, 3]])
OTHER = np.array([1, 1, 2])
MASK = np.array([[True, False, True], [False, False, True]])
ROW = np.array([True, True, False])
SPECIAL = np.array([0.0, np.nan, np.inf, -np.inf, 1e4])

COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

CASES = [
    *(Case(name, op, [WHOLE, OTHER], op, op, differentiable=False) for name, op in COMPARISONS.items()),
    *(Case(name, op, [(3, 1), (4,)], op, op, differentiable=False) for name, op in COMPARISONS.items()),
    *(Case(name, op, [SPECIAL, SPECIAL], op, op, differentiable=False) for name, op in COMPARISONS.items()),
    Case("isnan", minidl.isnan, [SPECIAL], np.isnan, lambda x: x.isnan(), differentiable=False),
    Case("isinf", minidl.isinf, [SPECIAL], np.isinf, lambda x: x.isinf(), differentiable=False),
    Case("isfinite", minidl.isfinite, [SPECIAL], np.isfinite, lambda x: x.isfinite(), differentiable=False),
    Case(
        "isclose",
        lambda x: minidl.isclose(x, x * 1.001, rtol=1e-2),
        [(3, 4)],
        lambda x: np.isclose(x, x * 1.001, rtol=1e-2),
        differentiable=False,
    ),
    Case(
        "logical_and",
        minidl.logical_and,
        [WHOLE, OTHER],
        np.logical_and,
        lambda x, y: x.logical_and(y),
        differentiable=False,
    ),
    Case("logical_or", minidl.logical_or, [WHOLE, MASK], np.logical_or, differentiable=False),
    Case("logical_xor", minidl.logical_xor, [(3, 4), (4,)], np.logical_xor, differentiable=False),
    Case("logical_not", minidl.logical_not, [WHOLE], np.logical_not, differentiable=False),
    Case("bitwise_and", operator.and_, [WHOLE, OTHER], operator.and_, operator.and_, differentiable=False),
    Case("bitwise_and", operator.and_, [MASK, ROW], operator.and_, operator.and_, differentiable=False),
    Case("bitwise_or", operator.or_, [WHOLE, OTHER], operator.or_, operator.or_, differentiable=False),
    Case("bitwise_or", operator.or_, [MASK, ROW], operator.or_, operator.or_, differentiable=False),
    Case("bitwise_xor", operator.xor, [WHOLE, OTHER], operator.xor, operator.xor, differentiable=False),
    Case("bitwise_xor", operator.xor, [MASK, ROW], operator.xor, operator.xor, differentiable=False),
    Case("bitwise_left_shift", lambda x: x << 2, [WHOLE], lambda x: x << 2, lambda x: x << 2, differentiable=False),
    Case("bitwise_left_shift", lambda x: x << abs(x), [WHOLE], lambda x: x << abs(x), differentiable=False),
    Case("bitwise_right_shift", lambda x: x >> 1, [WHOLE], lambda x: x >> 1, lambda x: x >> 1, differentiable=False),
    Case("bitwise_right_shift", lambda x: 9 >> abs(x), [WHOLE], lambda x: 9 >> abs(x), differentiable=False),
    Case("bitwise_not", operator.invert, [WHOLE], operator.invert, operator.invert, differentiable=False),
    Case("bitwise_not", operator.invert, [MASK], operator.invert, operator.invert, differentiable=False),
]


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0), st.sampled_from([*COMPARISONS]))
@settings(max_examples=40, deadline=None)
def test_comparisons_broadcast_as_numpy(shapes, name):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 3, shape).astype("f4") for shape in shapes.input_shapes)
    got = getattr(minidl, name)(minidl.tensor(a), minidl.tensor(b))
    assert got.dtype == bool
    assert got.shape == shapes.result_shape
    np.testing.assert_array_equal(got.numpy(), COMPARISONS[name](a, b))


def test_equality_with_what_is_no_number_is_pythons():
    x = minidl.tensor([1.0, 2.0])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "text") is False
    assert (x == None) is False  # noqa: E711
    assert x not in [None, "text"]
    assert (x == [1.0, 3.0]).numpy().tolist() == [True, False]
    assert (np.array([1.0, 3.0]) == x).numpy().tolist() == [True, False]
    assert (np.float32(2) < x).numpy().tolist() == [False, False]
    assert (x > 1).numpy().tolist() == [False, True]
    assert len({x, x}) == 1
    with pytest.raises(DTypeError, match="lt: argument 'y' is a str"):
        minidl.lt(x, "text")


def test_comparison_happens_in_the_common_dtype():
    assert (minidl.tensor([16777217]) == minidl.tensor([16777216.0])).numpy().tolist() == [True]  # as in PyTorch
    assert (minidl.tensor([0.1]) == 0.1).numpy().tolist() == [True]
    assert (minidl.tensor([1, 2]) > 1.5).numpy().tolist() == [False, True]


def test_equal_and_close():
    x = minidl.tensor([1.0, np.nan, np.inf])
    assert not minidl.equal(x, x)
    assert minidl.equal(minidl.tensor([1, 2]), minidl.tensor([1.0, 2.0]))
    assert minidl.array_equal(minidl.tensor([1, 2]), [1, 2])
    assert not minidl.equal(minidl.tensor([1, 2]), minidl.tensor([[1, 2]]))
    assert minidl.allclose(x, x, equal_nan=True)
    assert not minidl.allclose(x, x)
    assert minidl.isclose(x, x + 1e-9, equal_nan=True).numpy().tolist() == [True, True, True]
    assert type(minidl.allclose(x, x)) is bool
    assert type(x.equal(x)) is bool


def test_bits_of_floats():
    x = minidl.ones(2)
    for call in (lambda: x & x, lambda: x | True, lambda: 1 ^ x, lambda: ~x):
        with pytest.raises(DTypeError, match=r"expected integers or booleans, got (int and )?float32"):
            call()


def test_bits_in_place_and_with_numbers():
    x = minidl.tensor([True, False])
    x &= True
    x |= minidl.tensor([False, True])
    x ^= True
    assert x.numpy().tolist() == [False, False]
    assert (6 & minidl.tensor([3, 5])).numpy().tolist() == [2, 4]
    assert (1 | minidl.tensor([2])).numpy().tolist() == [3]
    assert (1 ^ minidl.tensor([3])).numpy().tolist() == [2]


def test_shapes_that_do_not_broadcast():
    with pytest.raises(ShapeError, match=r"lt: shapes \(2,\) and \(3,\) do not broadcast"):
        minidl.lt(minidl.ones(2), minidl.ones(3))
    with pytest.raises(ShapeError, match=r"bitwise_and: shapes \(2,\) and \(3,\) do not broadcast"):
        minidl.ones(2, dtype="bool") & minidl.ones(3, dtype="bool")
