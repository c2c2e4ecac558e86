"""Indexing, read and written, against NumPy; in-place writes and views against PyTorch."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minidl
from minidl.errors import DTypeError, GradError, RangeError, ShapeError
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

MASK = np.array([[True, False, True], [False, True, True]])
ROWS = np.array([1, 0, 1, -1])


def read(index: Any, shape: tuple[int, ...], op: str = "get_item", **more: Any) -> Case:
    return Case(op, lambda x: x[index], [shape], lambda x: x[index], **more)


def write(index: Any, shape: tuple[int, ...], value: tuple[int, ...]) -> Case:
    def expected(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[index] = v
        return x

    return Case("set_item", lambda x, v: minidl.set_item(x, v, index), [shape, value], expected)


CASES = [
    read(1, (3, 2)),
    read(-1, (3,)),
    read((slice(None), 1), (3, 2)),
    read((1, 0), (3, 2)),
    read(slice(4, None, -2), (6,)),
    read((..., None, 0), (2, 3)),
    read((), (2, 3)),
    read(..., ()),
    read(None, ()),
    read(slice(3, 1), (4,)),
    read(slice(None), (0, 2)),
    read(ROWS, (2, 3), "gather_items"),
    read([0, 1, 0], (2, 3), "gather_items"),
    read((slice(None), [2, 0, 2]), (2, 3), "gather_items"),
    read((ROWS, np.array([[0], [2]])), (2, 3), "gather_items"),
    read((ROWS, slice(None), 1), (2, 3, 2), "gather_items"),
    read((slice(None), None, [0, 0]), (2, 3), "gather_items"),
    read(MASK, (2, 3), "gather_items"),
    read((MASK, slice(1)), (2, 3, 2), "gather_items"),
    read((slice(None), np.array([True, False, True])), (2, 3), "gather_items"),
    read(True, (2,), "gather_items"),
    read([], (2, 3), "gather_items"),
    Case("get_item", lambda x: x.select(1, -1), [(2, 3)], None, lambda x: x.select(1, -1)),
    Case("get_item", lambda x: x.narrow(1, -2, 2), [(2, 3)], None, lambda x: x.narrow(1, -2, 2)),
    read(np.array(1), (2, 3), "gather_items"),
    Case(
        "gather_items",
        lambda x: x[minidl.tensor([1, 1, 0]), minidl.tensor([2, 2, 0])],
        [(2, 3)],
        None,
        lambda x: x[torch.tensor([1, 1, 0]), torch.tensor([2, 2, 0])],
    ),
    Case("put_add", lambda x: minidl.put_add(x, (ROWS, [0, 1, 0, 0]), (2, 3)), [(4,)]),
    Case("put_add", lambda x: minidl.put_add(x, (slice(1, 3),), (4, 2)), [(2, 2)]),
    Case("put_add", lambda x: minidl.put_add(x, MASK, (2, 3)), [(4,)]),
    write(1, (3, 2), (2,)),
    write((slice(None), 1), (3, 2), ()),
    write(slice(0, 2), (3, 2), (1, 2)),
    write(..., (3, 2), (1, 1, 3, 2)),
    write([2, 0], (3, 2), (2, 2)),
    write(([2, 0], [1, 1]), (3, 2), (2,)),
    write(MASK, (2, 3), (4,)),
    write(MASK, (2, 3), ()),
    Case("set_item", lambda x: minidl.set_item(x, 5, (0, 1)), [(2, 2)]),
    Case("set_item", lambda x: minidl.set_item(x, [1.0, 2.0], 0), [(2, 2)]),
]

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)


@st.composite
def shapes_and_indices(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    """A shape and an index of any kind that NumPy takes for it."""
    shape = draw(SHAPES)
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return shape, draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "integers":
        return shape, draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(min_dims=0, max_dims=2)))
    if kind == "mask":
        some = shape[: draw(st.integers(1, len(shape)))]
        return shape, draw(hnp.arrays(np.bool_, some))
    first = draw(hnp.arrays(np.int64, draw(st.integers(0, 3)), elements=st.integers(-shape[0], shape[0] - 1)))
    rest = draw(hnp.basic_indices(shape[1:], allow_ellipsis=True)) if len(shape) > 1 else ()
    return shape, (first, *(rest if isinstance(rest, tuple) else (rest,)))


def as_minidl(index: Any) -> Any:
    """Replace the arrays of an index by tensors."""
    if isinstance(index, tuple):
        return tuple(as_minidl(part) for part in index)
    return minidl.tensor(index) if isinstance(index, np.ndarray) else index


@settings(max_examples=50, deadline=None)
@given(shapes_and_indices())
def test_reading_is_numpys(drawn: tuple[tuple[int, ...], Any]) -> None:
    shape, index = drawn
    array = np.arange(float(np.prod(shape))).reshape(shape)
    x = minidl.tensor(array, requires_grad=True)
    y = x[as_minidl(index)]
    np.testing.assert_array_equal(y.numpy(force=True), array[index])
    upstream = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(minidl.tensor(upstream))
    expected = np.zeros(shape)
    np.add.at(expected, index, upstream)
    np.testing.assert_allclose(x.grad.numpy(), expected)


@settings(max_examples=50, deadline=None)
@given(shapes_and_indices())
def test_writing_is_numpys(drawn: tuple[tuple[int, ...], Any]) -> None:
    shape, index = drawn
    array = np.arange(float(np.prod(shape))).reshape(shape)
    region = np.zeros(shape)[index]
    places = np.arange(np.prod(shape)).reshape(shape)[index]
    assume(minidl.get_default_device() == "cpu" or np.unique(places).size == places.size)  # which stays is undefined
    leaf = minidl.tensor(array, requires_grad=True)
    value = minidl.tensor(np.full(region.shape, 7.0), requires_grad=True)
    x = leaf * 1
    x[as_minidl(index)] = value
    expected = array.copy()
    expected[index] = 7.0
    np.testing.assert_array_equal(x.numpy(force=True), expected)
    upstream = np.random.default_rng(0).standard_normal(shape)
    x.backward(minidl.tensor(upstream))
    kept = upstream.copy()
    kept[index] = 0
    np.testing.assert_array_equal(leaf.grad.numpy(), kept)
    np.testing.assert_array_equal(value.grad.numpy(), upstream[index])


def test_one_element_is_a_view_too() -> None:
    x = minidl.zeros(3)
    y = x[1]
    y.fill_(5)
    assert x.tolist() == [0, 5, 0]
    assert x[1].shape == ()


def test_values_are_cast_to_the_dtype_of_what_they_are_written_to() -> None:
    x = minidl.zeros(2, dtype="int32")
    x[0] = 2.9
    x[1:] = minidl.tensor([-1.9])
    assert x.dtype == minidl.int32
    assert x.tolist() == [2, -1]
    y = minidl.zeros(2)
    w = minidl.tensor([1.0], dtype="float64", requires_grad=True)
    y[:1] = w
    assert y.dtype == minidl.float32
    y.sum().backward()
    assert w.grad.dtype == minidl.float64


def test_half_precision_gradients_accumulate() -> None:
    x = minidl.ones(3, dtype="float16", requires_grad=True)
    x[[0, 0, 2]].sum().backward()
    assert x.grad.dtype == minidl.float16
    assert x.grad.tolist() == [2, 0, 1]


def test_an_index_that_changes_afterwards_is_noticed() -> None:
    x = minidl.ones(3, requires_grad=True)
    index = minidl.tensor([0, 1])
    y = x[index]
    index[0] = 2
    with pytest.raises(GradError, match="modified in place afterwards"):
        y.sum().backward()


@pytest.mark.parametrize("module", ["minidl", "torch"])
def test_lists_of_ranges_and_numpy_integers_index(module: str) -> None:
    x = (minidl if module == "minidl" else pytest.importorskip("torch")).arange(6).reshape(2, 3)
    assert x[np.int64(1), [0, 2]].tolist() == [3, 5]
    assert x[:, range(2)].tolist() == [[0, 1], [3, 4]]


# ---------------------------------------------------------------------- writes that a graph records, as PyTorch's


def column(m: Any, w: Any) -> Any:
    y = w * 2
    y[:, 0] += 1
    return y * y


def row_of_a_result(m: Any, w: Any) -> Any:
    y = w * 2
    row = y[0]
    row.mul_(3)
    return y * y + row


def buffer(m: Any, w: Any) -> Any:
    buf = m.zeros(3, 2, dtype=m.float64)
    buf[0] = w[0] * 2
    buf[1:] = w[1:] * w[1:]
    return buf * buf


def buffer_seen_before(m: Any, w: Any) -> Any:
    """A view taken before its base required gradients."""
    buf = m.zeros(3, 2, dtype=m.float64)
    row = buf[1]
    buf[1] = w[0] * 2
    assert row.requires_grad
    return row * row


def chained_views(m: Any, w: Any) -> Any:
    y = w * 1
    a = y[1:]
    b = a[:, 1]
    b.mul_(2)
    a.add_(b[:, None])
    return (y * y).sum() + (b * 3).sum()


def stale_view(m: Any, w: Any) -> Any:
    y = w * 1
    row = y[0]
    y.mul_(w)
    return row * row


def stale_view_written(m: Any, w: Any) -> Any:
    y = w * 1
    row = y[0]
    y.mul_(w)
    row.add_(w[1])
    row[0] = w[2, 1]
    return y * y


def picked(m: Any, w: Any) -> Any:
    y = w * 1
    y[m.tensor([2, 0])] = w[m.tensor([1, 1])] * 3
    y[w > 5] = 0.5
    return y * y


def masked(m: Any, w: Any) -> Any:
    y = w * 1
    y.masked_fill_(w > 3, 0.0)
    return y * w


def loop(m: Any, w: Any) -> Any:
    """A recurrence written into a buffer."""
    states = m.zeros(4, 2, dtype=m.float64)
    for t in range(3):
        states[t + 1] = states[t].clone() * 0.5 + w[t]
    return states * states


def swapped(m: Any, w: Any) -> Any:
    y = w * 1
    y[0], y[1] = y[1].clone(), y[0].clone()
    return y * w


def under_no_grad(m: Any, w: Any) -> Any:
    y = w * 1
    row = y[0]
    with m.no_grad():
        row.mul_(2)
        y[1] = 3.0
    return y * 2


def filled(m: Any, w: Any) -> Any:
    y = w * 1
    y[1].zero_()
    y[:, 1].fill_(4.0)
    return y * y * w


@pytest.mark.parametrize(
    "program",
    [
        column, row_of_a_result, buffer, buffer_seen_before, chained_views, stale_view, stale_view_written,
        picked, masked, loop, swapped, under_no_grad, filled,
    ],
)  # fmt: skip
def test_in_place_is_pytorchs(program: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    start = np.arange(1.0, 7.0).reshape(3, 2)
    mine, theirs = minidl.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    got, want = program(minidl, mine), program(torch, theirs)
    np.testing.assert_allclose(got.numpy(force=True), want.detach().numpy())
    got.sum().backward()
    want.sum().backward()
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy())


def test_writing_through_a_transpose() -> None:
    torch = pytest.importorskip("torch")
    start = np.arange(1.0, 7.0).reshape(3, 2)
    grads = []
    for m in (minidl, torch):
        w = m.tensor(start, requires_grad=True)
        y = w * 1
        y.T[0] = w[:, 1] * 5
        y.unsqueeze(0)[0, 2].copy_(w[0])
        (y * y).sum().backward()
        grads.append(np.asarray(w.grad))
    np.testing.assert_allclose(*grads)


def test_writes_can_be_differentiated_twice() -> None:
    def program(w: Any) -> Any:
        y = w * w
        y[:, 0] *= y[:, 1].clone()
        y[1] = w[0] ** 3
        y[[0, 2]] = y[[1, 1]] * w[2]
        return y

    w = minidl.tensor(np.arange(1.0, 7.0).reshape(3, 2) / 3, requires_grad=True)
    assert minidl.gradcheck(program, w)
    assert minidl.gradgradcheck(program, w)


def test_what_was_saved_and_then_written_is_refused() -> None:
    w = minidl.tensor([1.0, 2.0], requires_grad=True)
    y = w * 1
    z = y * y
    y[0] = 3.0
    with pytest.raises(GradError, match="mul: a tensor it needs for its gradient was modified in place"):
        z.sum().backward()


def test_a_leaf_cannot_be_written_while_recording() -> None:
    w = minidl.ones(3, requires_grad=True)
    with pytest.raises(GradError, match=r"x\[...\] = value: a leaf tensor that requires gradients"):
        w[0] = 2.0
    view = w[1:]
    with pytest.raises(GradError, match="a view of a leaf tensor"):
        view[0] = 2.0
    with minidl.no_grad():
        w[0] = 2.0
    assert w.tolist() == [2, 1, 1]
    assert w.version == 1


def test_read_only_views_are_refused() -> None:
    for x in (minidl.ones(1, 3).expand(2, 3), minidl.ones(4).unfold(0, 2, 1)):
        with pytest.raises(GradError, match="read-only view"):
            x[0] = 1


def test_no_cycle_keeps_what_was_written_alive() -> None:
    w = minidl.ones(3, requires_grad=True)
    y = w * 2
    y[0] = w[1]
    row = y[1:]
    row.mul_(2)
    watch = [weakref.ref(y), weakref.ref(y.grad_fn), weakref.ref(row)]
    gc.disable()
    try:
        del y, row
        assert [reference() for reference in watch] == [None] * 3
    finally:
        gc.enable()


ERRORS = [
    (lambda x: x[2], RangeError, r"getitem: index 2 is out of bounds for axis 0 with size 2; .*shape \(2, 3\)"),
    (lambda x: x[0, 0, 0], RangeError, r"too many indices.*shape \(2, 3\), the index is \[0, 0, 0, ...\]"),
    (lambda x: x.select(1, 3), RangeError, "getitem: index 3"),
    (lambda x: x.narrow(1, 2, 2), RangeError, r"no 2 slices from 2 on in axis 1 of shape \(2, 3\)"),
    (lambda x: x[[0, 5]], RangeError, r"getitem: index 5 is out of bounds.*array of shape \(2,\)"),
    (lambda x: x[np.ones(3, bool)], ShapeError, r"getitem: boolean index did not match.*mask of shape \(3,\)"),
    (lambda x: x[[0, 1], [0, 1, 2]], ShapeError, r"getitem: shape mismatch.*shape \(2, 3\)"),
    (lambda x: x[1.0], DTypeError, r"getitem: cannot index with 1.0 \(float\)"),
    (lambda x: x["a"], DTypeError, "cannot index with 'a'"),
    (lambda x: x[minidl.ones(2)], DTypeError, r"cannot index with a tensor of float32.*index.long\(\)"),
    (lambda x: x[..., ...], RangeError, "single ellipsis"),
    (lambda x: x[::0], RangeError, "slice step cannot be zero"),
    (lambda x: x.__setitem__(2, 1.0), RangeError, r"x\[...\] = value: index 2 is out of bounds"),
    (lambda x: x.__setitem__(0, minidl.ones(2)), ShapeError, r"the value has shape \(2,\), which does not broadcast"),
    (lambda x: x.__setitem__([0, 1], minidl.ones(4, 3)), ShapeError, r"the value has shape \(4, 3\)"),
    (lambda x: x.__setitem__("a", 1.0), DTypeError, r"x\[...\] = value: cannot index with 'a'"),
    (lambda x: x.long().__setitem__(0, float("nan")), DTypeError, "nan cannot be stored in a tensor of int64"),
    (lambda x: minidl.put_add(x, [0, 9], (2, 3)), RangeError, "put_add: index 9 is out of bounds"),
    (lambda x: minidl.put_add(x, [0], (4, 5)), ShapeError, "put_add"),
]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(minidl.ones(2, 3))
