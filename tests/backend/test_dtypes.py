"""Element types and the promotion rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl.backend import as_dtype, common_dtype, default_dtype, set_default_dtype
from minidl.errors import DTypeError


@pytest.mark.parametrize(
    ("given", "want"),
    [("float32", "f4"), (np.float64, "f8"), (float, "f4"), (int, "i8"), (bool, "?"), (np.dtype("u1"), "u1")],
)
def test_every_spelling_of_a_dtype(given: Any, want: str) -> None:
    assert as_dtype(given) == np.dtype(want)


@pytest.mark.parametrize("given", ["float128", "complex64", complex, str, "nonsense", None, object()])
def test_other_dtypes_are_refused(given: Any) -> None:
    with pytest.raises(DTypeError, match=r"unknown dtype .*; minidl has float16, float32"):
        as_dtype(given)


def test_an_integer_takes_the_dtype_of_the_float_it_meets() -> None:
    assert common_dtype([np.dtype("i8"), np.dtype("f4")]) == np.float32
    assert common_dtype([np.dtype("i8"), np.dtype("f2")]) == np.float16


def test_integers_never_become_floats_by_themselves() -> None:
    assert common_dtype([np.dtype("u8"), np.dtype("i8")]) == np.int64


def test_scalars() -> None:
    assert common_dtype([np.dtype("f4")], [2.0]) == np.float32
    assert common_dtype([np.dtype("i4")], [2.0]) == np.float32
    assert common_dtype([np.dtype("i4")], [2]) == np.int32
    assert common_dtype([np.dtype("?")], [2]) == np.int64
    assert common_dtype([np.dtype("?")], [True]) == np.bool_
    assert common_dtype([], [2]) == np.int64


def test_the_default_dtype_can_be_changed() -> None:
    try:
        set_default_dtype("float64")
        assert default_dtype() == np.float64
        assert as_dtype(float) == np.float64
    finally:
        set_default_dtype("float32")
    with pytest.raises(DTypeError, match="expected float16, float32 or float64, got int32"):
        set_default_dtype("int32")
