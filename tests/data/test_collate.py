"""Collating: one batch of many samples."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import minidl
from minidl.data import default_collate, default_convert
from minidl.errors import DataError, DTypeError, ShapeError


def test_tensors_and_arrays_are_stacked():
    for make in (minidl.tensor, np.array):
        batch = default_collate([make([1.0, 2.0], dtype=np.float32), make([3.0, 4.0], dtype=np.float32)])
        assert isinstance(batch, minidl.Tensor)
        assert batch.dtype == np.float32
        np.testing.assert_array_equal(batch.numpy(force=True), [[1, 2], [3, 4]])
    assert default_collate([np.uint8(3), np.uint8(4)]).dtype == np.uint8
    assert default_collate([np.array(1.5), np.array(2.5)]).shape == (2,)


@pytest.mark.parametrize(
    ("samples", "dtype"),
    [([1, 2], "int64"), ([1.5, 2.5], "float32"), ([True, False], "bool"), ([1, 2.5], "float32")],
)
def test_numbers(samples, dtype):
    batch = default_collate(samples)
    assert batch.dtype == dtype
    assert batch.array.tolist() == samples


def test_structures():
    Point = namedtuple("Point", "x y")
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([b"a", b"b"]) == [b"a", b"b"]
    x, (y, name) = default_collate([(1, [2.0, "a"]), (3, [4.0, "b"])])
    assert x.array.tolist() == [1, 3]
    assert y.array.tolist() == [2, 4]
    assert name == ["a", "b"]
    point = default_collate([Point(1, 2), Point(3, 4)])
    assert type(point) is Point
    assert point.y.array.tolist() == [2, 4]
    batch = default_collate([OrderedDict(image=np.zeros(2), label=1)] * 3)
    assert list(batch) == ["image", "label"]
    assert batch["image"].shape == (3, 2)
    assert default_collate([()]) == []


def test_floats_of_two_kinds_and_integers_do_not_become_float64():
    mixed = default_collate([np.float32(1), np.int64(2)])
    assert mixed.dtype == np.float32
    stacked = default_collate([np.zeros(2, np.float32), np.zeros(2, np.int64)])
    assert stacked.dtype == np.float32


def test_the_batch_is_a_copy():
    array = np.zeros(2)
    default_collate([array]).array[:] = 1
    assert (array == 0).all()


def test_shape_errors_name_samples_and_shapes():
    samples = [(np.zeros((3, 2)), 0), (np.zeros((3, 2)), 1), (np.zeros((3, 5)), 2)]
    with pytest.raises(ShapeError, match=r"samples 0 and 2 have shapes \(3, 2\) and \(3, 5\) at \[0\].*collate_fn"):
        default_collate(samples)
    with pytest.raises(ShapeError, match="samples 40 and 60 have shapes"):
        default_collate(samples, [40, 50, 60])
    with pytest.raises(ShapeError, match="samples 0 and 1 have 2 and 1 entries"):
        default_collate([(1, 2), (1,)])


def test_other_errors():
    with pytest.raises(DataError, match="no samples"):
        default_collate([])
    with pytest.raises(DataError, match=r"samples 0 and 1 have different keys: \['a'\] and \['b'\]"):
        default_collate([{"a": 1}, {"b": 1}])
    with pytest.raises(DTypeError, match=r"cannot make a batch of object at \['x'\] \(sample 0\)"):
        default_collate([{"x": object()}])
    with pytest.raises(DTypeError, match="cannot make a batch of NoneType"):
        default_collate([None, None])
    for pair in [(1, "a"), (np.zeros(1), None), ({}, []), ((1,), 2)]:
        with pytest.raises(DTypeError, match=r"sample 0 is a .* but sample 1 a .*built alike"):
            default_collate(list(pair))
    with pytest.raises(DTypeError, match="cannot make a tensor of <U1"):
        default_collate([np.array(["a"]), np.array(["b"])])


def test_convert():
    Point = namedtuple("Point", "x y")
    array, text = default_convert((np.ones(2, np.float32), "a"))
    assert isinstance(array, minidl.Tensor)
    assert text == "a"
    assert isinstance(default_convert({"a": np.float32(1)})["a"], minidl.Tensor)
    assert type(default_convert(Point(np.ones(1), 2))) is Point
    assert default_convert(3) == 3
    assert default_convert(np.str_("a")) == "a"
    names = np.array(["a"])
    assert default_convert(names) is names
