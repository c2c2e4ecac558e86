"""JSON into arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minidl.serve.decoding import as_array, check_shape, converted, from_json
from minidl.serve.problems import Problem

FLOAT, INT, BYTE = np.dtype("float32"), np.dtype("int64"), np.dtype("uint8")


def problem(call: Any, *args: Any) -> Problem:
    with pytest.raises(Problem) as raised:
        call(*args)
    return raised.value


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b'{"a": 1,}', 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[1, NaN]", 422, "not_finite"),
        (b"[Infinity]", 422, "not_finite"),
        (b"[-Infinity]", 422, "not_finite"),
        (b"[1e999]", 422, "not_finite"),
        (b"[-1e999]", 422, "not_finite"),
        (b"[" * 100_000, 422, "too_deep"),
        (b'{"a":' * 5000, 422, "too_deep"),
    ],
)
def test_what_is_no_json(body: bytes, status: int, code: str) -> None:
    found = problem(from_json, body)
    assert (found.status, found.code) == (status, code)


@pytest.mark.parametrize(
    ("lists", "code", "message"),
    [
        ([[1, 2], [3]], "invalid_input", "x: the lists are ragged"),
        ([1, [2]], "invalid_input", "ragged"),
        ([[1], 2], "invalid_input", "ragged"),
        (["1", "2"], "invalid_input", "numbers alone, and there is a string"),
        ([1, "a"], "invalid_input", "numbers alone, and there is a string"),
        ([1, None], "invalid_input", "numbers alone, and there is null"),
        ([1.5, True], "invalid_input", "numbers alone, and there is a boolean"),
        ([1, {}], "invalid_input", "numbers alone, and there is an object"),
        ("text", "invalid_input", "expected nested lists of numbers, got a string"),
        (None, "invalid_input", "got null"),
        (True, "invalid_input", "got a boolean"),
        ({"a": 1}, "invalid_input", "got an object"),
        ([1e300], "not_finite", "too large for float32"),
        ([-1e39], "not_finite", "too large for float32"),
    ],
)
def test_lists_that_are_no_array(lists: Any, code: str, message: str) -> None:
    found = problem(as_array, lists, FLOAT, "x")
    assert (found.status, found.code) == (422, code)
    assert message in found.message


def test_lists_nested_too_deeply() -> None:
    deep: Any = 1.0
    for _ in range(60):
        deep = [deep]
    assert problem(as_array, deep, FLOAT, "x").code == "too_deep"


def test_a_long_string_among_many_short_ones_takes_no_memory() -> None:
    """As an array of strings it would take the length of the longest for each: 8 GB."""
    assert "a string" in problem(as_array, ["a" * 10_000] + [""] * 200_000, FLOAT, "x").message


@pytest.mark.parametrize(
    ("lists", "dtype"),
    [([1.5], INT), ([2**63], INT), ([-1], BYTE), ([256], BYTE), ([1e19], INT), ([2], np.dtype(bool))],
)
def test_numbers_that_integers_do_not_have(lists: Any, dtype: np.dtype) -> None:
    assert "expected integers from" in problem(as_array, lists, dtype, "x").message


def test_large_integers_are_exact() -> None:
    numbers = [2**53 + 1, -(2**62) - 1, 2**63 - 1]
    assert as_array(numbers, INT, "x").tolist() == numbers


@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=4, max_side=5), elements=st.floats(-1e6, 1e6, width=32)))
def test_lists_come_back_as_the_array_that_they_were(array: np.ndarray) -> None:
    found = as_array(array.tolist(), FLOAT, "x")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_arrays_with_numbers_that_are_none(bad: float) -> None:
    assert problem(converted, np.array([1, bad], np.float32), FLOAT, "x").code == "not_finite"


def test_shapes() -> None:
    check_shape(np.zeros((3, 2)), (None, 2), "x")
    for shape in ((3, 1), (3,), (3, 2, 1), (0, 2)):
        message = problem(check_shape, np.zeros(shape), (None, 2), "x").message
        assert message == f"x: has the shape {shape}; expected (any, 2)"
