"""Shapes, joining and cutting; casts, and writes through views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.autograd import OPERATIONS
from minidl.autograd.inplace import scatter_view
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
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

CASES = [
    Case("broadcast_to", lambda x: x.broadcast_to(2, 3, 4), [(3, 1)], lambda x: np.broadcast_to(x, (2, 3, 4))),
    Case("broadcast_to", lambda x: x.expand(-1, 4), [(3, 1)], None, lambda x: x.expand(-1, 4)),
    Case("broadcast_to", lambda x: x.expand(2, -1, 4), [(3, 1)], None, lambda x: x.expand(2, -1, 4)),
    Case("broadcast_to", lambda x: x.expand(0, 3), [(1, 3)], lambda x: np.zeros((0, 3))),
    Case("reshape", lambda x: x.reshape(4, -1), [(2, 6)], lambda x: x.reshape(4, 3), lambda x: x.reshape(4, 3)),
    Case("reshape", lambda x: x.reshape(()), [(1, 1)], lambda x: x.reshape(())),
    Case("reshape", lambda x: x.reshape(0, 5), [(3, 0)], lambda x: x.reshape(0, 5)),
    Case("reshape", lambda x: x.view((6,)), [(2, 3)], lambda x: x.reshape(6)),
    Case("reshape", lambda x: x.ravel(), [(2, 3)], lambda x: x.ravel()),
    Case("reshape", lambda x: x.ravel(), [(2, 0)], lambda x: x.ravel()),
    Case("reshape", lambda x: x.flatten(1, 2), [(2, 3, 4, 5)], None, lambda x: x.flatten(1, 2)),
    Case("reshape", lambda x: x.flatten(), [()], None, lambda x: x.flatten()),
    Case("reshape", lambda x: x.unflatten(1, (2, -1)), [(2, 6)], None, lambda x: x.unflatten(1, (2, -1))),
    Case("reshape", lambda x: x.squeeze(), [(1, 3, 1)], lambda x: x.squeeze(), lambda x: x.squeeze()),
    Case("reshape", lambda x: x.squeeze(dim=0), [(1, 3, 1)], lambda x: x[0], lambda x: x.squeeze(0)),
    Case("reshape", lambda x: x.squeeze(1), [(1, 3, 1)], None, lambda x: x.squeeze(1)),
    Case("reshape", lambda x: x.unsqueeze(-1), [(2, 3)], lambda x: x[..., None], lambda x: x.unsqueeze(-1)),
    Case("reshape", lambda x: minidl.expand_dims(x, axis=(0, 2)), [(2, 3)], lambda x: np.expand_dims(x, (0, 2))),
    Case("reshape", lambda x: x.view_as(minidl.ones(6)), [(2, 3)], lambda x: x.reshape(6)),
    Case("reshape", lambda x: minidl.atleast_3d(x), [(3,)], np.atleast_3d),
    Case("reshape", lambda x: minidl.atleast_3d(x), [(2, 3)], np.atleast_3d),
    Case("reshape", lambda x: minidl.atleast_2d(x), [()], np.atleast_2d),
    Case("permute", lambda x: x.permute(2, 0, 1), [(2, 3, 4)], None, lambda x: x.permute(2, 0, 1)),
    Case("permute", lambda x: x.transpose(0, 2), [(2, 3, 4)], None, lambda x: x.transpose(0, 2)),
    Case("permute", lambda x: x.transpose(), [(2, 3, 4)], lambda x: x.transpose()),
    Case("permute", lambda x: x.transpose((1, 2, 0)), [(2, 3, 4)], lambda x: x.transpose(1, 2, 0)),
    Case("permute", lambda x: x.transpose(1, 2, 0), [(2, 3, 4)], lambda x: x.transpose(1, 2, 0)),
    Case("permute", lambda x: x.transpose(dim0=-1, dim1=0), [(2, 3)], lambda x: x.T),
    Case("permute", lambda x: x.T, [(2, 3)], lambda x: x.T, lambda x: x.T),
    Case("permute", lambda x: x.mT, [(5, 2, 3)], None, lambda x: x.mT),
    Case("permute", lambda x: x.t(), [(2, 3)], lambda x: x.T),
    Case("permute", lambda x: x.swapaxes(0, -1), [(2, 3, 0)], lambda x: x.swapaxes(0, -1)),
    Case("permute", lambda x: x.movedim((0, 1), (-1, 0)), [(2, 3, 4)], lambda x: np.moveaxis(x, (0, 1), (-1, 0))),
    Case("permute", lambda x: minidl.moveaxis(x, 2, 0), [(2, 3, 4)], lambda x: np.moveaxis(x, 2, 0)),
    Case("permute", lambda x: x.permute(()), [()], lambda x: x),
    Case(
        "concat",
        lambda x, y: minidl.cat((x, y, x), dim=1),
        [(2, 3), (2, 1)],
        lambda x, y: np.concatenate((x, y, x), 1),
        lambda x, y: torch.cat((x, y, x), 1),
    ),
    Case("concat", lambda x, y: minidl.concatenate([x, y]), [(0, 3), (2, 3)], lambda x, y: y),
    Case("concat", lambda x: minidl.concat([x]), [(3,)], lambda x: x),
    Case("concat", lambda x, y: minidl.vstack((x, y)), [(3,), (2, 3)], lambda x, y: np.vstack((x, y))),
    Case("concat", lambda x, y: minidl.hstack((x, y)), [(2, 3), (2, 1)], lambda x, y: np.hstack((x, y))),
    Case("concat", lambda x, y: minidl.hstack((x, y)), [(3,), ()], lambda x, y: np.hstack((x, y))),
    Case(
        "stack",
        lambda x, y: minidl.stack([x, y], dim=-1),
        [(2, 3), (2, 3)],
        lambda x, y: np.stack([x, y], -1),
        lambda x, y: torch.stack([x, y], -1),
    ),
    Case("stack", lambda x, y: minidl.stack([x, y]), [(), ()], lambda x, y: np.stack([x, y])),
    Case("split", lambda x: x.split(2), [(5, 3)], lambda x: np.split(x, [2, 4]), lambda x: x.split(2)),
    Case("split", lambda x: x.split([1, 0, 2], dim=1), [(2, 3)], None, lambda x: x.split([1, 0, 2], 1)),
    Case("split", lambda x: x.chunk(3), [(7,)], None, lambda x: x.chunk(3)),
    Case("split", lambda x: x.chunk(2, dim=-1), [(2, 0)], None, lambda x: x.chunk(2, -1)),
    Case("split", lambda x: x.tensor_split(3), [(7, 2)], lambda x: np.array_split(x, 3), lambda x: x.tensor_split(3)),
    Case("split", lambda x: x.unbind(1), [(2, 3)], lambda x: list(x.T), lambda x: x.unbind(1)),
    Case("split", lambda x: tuple(x), [(3,)], lambda x: list(x)),
    Case("split", lambda x: x.split(2)[1], [(5, 3)], lambda x: x[2:4]),
    Case("get_item", lambda x: x.tensor_split([1, 9, -1]), [(5,)], lambda x: np.split(x, [1, 9, -1])),
    Case("cast", lambda x: OPERATIONS["cast"].apply(x, dtype=x.dtype), [(3,)], lambda x: x),
    Case("clone", lambda x: x.clone(), [(2, 3)], lambda x: x, lambda x: x.clone()),
    Case("clone", lambda x: x.T.contiguous(), [(2, 3)], lambda x: x.T),
    Case("to_device", lambda x: OPERATIONS["to_device"].apply(x, device=minidl.device("cpu")), [(2,)]),
]


def through_view(take: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the operation that replaces the region which ``take`` views."""

    def call(x: Any, value: Any) -> Any:
        return scatter_view(x, value, take(x.detach())._view)

    return call


CASES += [
    Case("scatter_view", through_view(lambda x: x[1:]), [(3, 2), (2, 2)], lambda x, v: np.concatenate((x[:1], v))),
    Case("scatter_view", through_view(lambda x: x.T[0]), [(3, 2), (3,)], lambda x, v: np.stack((v, x[:, 1]), 1)),
    Case("scatter_view", through_view(lambda x: x.split(2)[1]), [(3,), (1,)], lambda x, v: np.append(x[:2], v)),
]


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("int32", "float32"), ("bool", "int64"), ("uint8", "int8")])
def test_joining_promotes(dtypes: tuple[str, str]) -> None:
    x, y = (minidl.ones(2, dtype=dtype) for dtype in dtypes)
    expected = (x + y).dtype
    assert minidl.concat([x, y]).dtype == expected
    assert minidl.stack([x, y]).dtype == expected


def test_casting_moves_gradients_back() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    y = x.double() * 2
    assert y.dtype == minidl.float64
    y.sum().backward()
    assert x.grad.dtype == minidl.float32
    assert x.grad.tolist() == [2.0, 2.0]
    assert x.float() is x


@pytest.mark.parametrize(
    "take",
    [
        lambda x: x.T,
        lambda x: x.permute(1, 0),
        lambda x: x.flatten(),
        lambda x: x.view(3, 2),
        lambda x: x.unsqueeze(0),
        lambda x: x.squeeze(),
        lambda x: x.expand(2, 2, 3),
        lambda x: x[0],
        lambda x: x[0, 1],
        lambda x: x[..., None],
        lambda x: x[:, ::-1],
        lambda x: x.split(1)[1],
        lambda x: x.unbind(1)[0],
        lambda x: x.diagonal(),
        lambda x: x.unfold(1, 2, 1),
        lambda x: x.T.reshape(1, 3, 2)[0].diagonal(),
        lambda x: next(iter(x)),
    ],
)
def test_views_share_memory_and_version(take: Callable[[Any], Any]) -> None:
    for x in (minidl.arange(6).reshape(2, 3), minidl.from_dlpack(np.arange(6).reshape(2, 3))):
        y = take(x)
        assert np.shares_memory(x.array, y.array)
        x.mul_(2)
        assert y.version == x.version == 1
        np.testing.assert_array_equal(y.numpy(), take(x).numpy())


@pytest.mark.parametrize("take", [lambda x: x[[0]], lambda x: x.flip(0), lambda x: x.clone(), lambda x: x.T.flatten()])
def test_copies_share_neither(take: Callable[[Any], Any]) -> None:
    x = minidl.arange(6).reshape(2, 3)
    y = take(x)
    assert not np.shares_memory(x.array, y.array)
    y.zero_()
    assert x.version == 0
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.usefixtures("cpu")
def test_a_write_through_a_reshape_of_a_base_in_another_order() -> None:
    """The base lies in memory column by column: what was a view of it is a copy of its gradient."""
    x = minidl.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = x.T * 2  # (3, 2), in the memory order of x.T
    flat = y.T.reshape(-1)  # a view
    assert np.shares_memory(y.array, flat.array)
    flat[:2] = 7.0
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.numpy(force=True).T.ravel(), [7, 7, 4, 6, 8, 10])
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0, 16], [24, 32, 40]])


def test_results_that_nothing_used_get_no_gradient() -> None:
    x = minidl.tensor(np.arange(6.0), requires_grad=True)
    a, b, c = x.split(2)
    (b * minidl.tensor([1.0, 2.0])).sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 2, 0, 0]
    assert a.grad_fn is c.grad_fn
    assert [y.output_nr for y in (a, b, c)] == [0, 1, 2]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.data())
def test_movedim_and_permute_are_numpys(shape: list[int], data: st.DataObject) -> None:
    x = minidl.rand(shape)
    n = len(shape)
    order = data.draw(st.permutations(range(n)))
    np.testing.assert_array_equal(x.permute(order).numpy(), x.numpy().transpose(order))
    k = data.draw(st.integers(1, n))
    source, destination = order[:k], data.draw(st.permutations(range(n)))[:k]
    np.testing.assert_array_equal(x.movedim(source, destination).numpy(), np.moveaxis(x.numpy(), source, destination))


ERRORS = [
    (lambda x: x.reshape(4), ShapeError, r"reshape: a tensor of shape \(2, 3\) has 6 elements"),
    (lambda x: x.reshape(-1, 4), ShapeError, "not a multiple of 4"),
    (lambda x: x.reshape(-1, -1), ShapeError, "at most one size may be -1"),
    (lambda x: x.reshape(2.0), DTypeError, "sizes must be integers"),
    (lambda x: x.broadcast_to(2, 4), ShapeError, r"shape \(2, 3\) does not broadcast to \(2, 4\)"),
    (lambda x: x.expand(-1, -1, -1), ShapeError, r"expand: -1 keeps an axis"),
    (lambda x: x.flatten(1, 0), ArgumentError, "start_dim 1 comes after end_dim 0"),
    (lambda x: x.flatten(2), RangeError, "flatten: axis 2 is out of range for a tensor with 2 dimensions"),
    (lambda x: x.unflatten(1, (2, 2)), ShapeError, r"axis 1 of shape \(2, 3\) has size 3"),
    (lambda x: x.unflatten(1, (2, -1)), ShapeError, "does not split into"),
    (lambda x: x.squeeze(4), RangeError, "squeeze: axis 4"),
    (lambda x: x.unsqueeze(5), RangeError, "unsqueeze: axis 5"),
    (lambda x: x.permute(0, 0), ArgumentError, "name each of them once"),
    (lambda x: x.permute(0), ArgumentError, "has 2 axes"),
    (lambda x: x.transpose(0, 2), RangeError, "swapaxes: axis 2"),
    (lambda x: x.movedim((0, 1), 0), ArgumentError, "movedim: 2 axes"),
    (lambda x: x[None].t(), ShapeError, "t: expected at most two axes"),
    (lambda x: x[0].mT, ShapeError, "matrix_transpose: expected at least two axes"),
    (lambda x: minidl.concat([]), ArgumentError, "concat: expected at least one tensor"),
    (lambda x: minidl.concat(3), ArgumentError, "concat: expected a sequence"),
    (lambda x: minidl.concat([x, [1.0]]), DTypeError, "concat: item 1 is list"),
    (lambda x: minidl.concat([x, x[:, :2]]), ShapeError, r"tensor 1 has shape \(2, 2\), the first \(2, 3\)"),
    (lambda x: minidl.concat([x, x[0]]), ShapeError, "they may differ along axis 0 only"),
    (lambda x: minidl.concat([x.sum()]), ShapeError, "use stack"),
    (lambda x: minidl.stack([x, x[0]]), ShapeError, r"stack: tensor 1 has shape \(3,\)"),
    (lambda x: minidl.stack([x], 4), RangeError, "stack: axis 4"),
    (lambda x: x.split(0), ArgumentError, "at least 1, got 0"),
    (lambda x: x.split([1, 2]), ShapeError, r"sizes \(1, 2\) add up to 3, axis 0 of shape \(2, 3\) has size 2"),
    (lambda x: x.split([-1, 3]), ArgumentError, "must not be negative"),
    (lambda x: x.chunk(0), ArgumentError, "chunk: the number of pieces"),
    (lambda x: x.tensor_split(0), ArgumentError, "tensor_split: the number of pieces"),
    (lambda x: x.sum().unbind(), ShapeError, "unbind: a tensor without axes"),
    (lambda x: minidl.broadcast_tensors(x, minidl.ones(2)), ShapeError, r"shapes \(2, 3\) and \(2,\) do not broadcast"),
    (lambda x: x.sum(dim=1, axis=1), ArgumentError, "are one argument"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(minidl.ones(2, 3))
