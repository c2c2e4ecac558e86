"""Choosing between values: maximum, minimum, clip, where."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DTypeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    distinct,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

MASK = np.array([[True, False, True, False], [False, False, True, True], [True, True, True, True]])

CASES = [
    Case("maximum", minidl.maximum, [(3, 1), (4,)], np.maximum, lambda x, y: x.maximum(y)),
    Case("maximum", lambda x: minidl.maximum(x, 0.01), [distinct(3, 4)], lambda x: np.maximum(x, 0.01)),
    Case("minimum", minidl.minimum, [(3, 1), (4,)], np.minimum, lambda x, y: x.minimum(y)),
    Case("minimum", lambda x: minidl.minimum(0.01, x), [distinct(3, 4)], lambda x: np.minimum(x, 0.01)),
    Case(
        "clip", lambda x: x.clip(-0.2, 0.4), [distinct(3, 4)], lambda x: x.clip(-0.2, 0.4), lambda x: x.clamp(-0.2, 0.4)
    ),
    Case("clip", lambda x: x.clamp(min=0.01), [distinct(3, 4)], lambda x: x.clip(0.01), lambda x: x.clamp(min=0.01)),
    Case("clip", lambda x: x.clamp_max(0.01), [distinct(3, 4)], lambda x: x.clip(None, 0.01)),
    Case("clip", lambda x: x.clamp_min(0.01), [()], lambda x: x.clip(0.01)),
    Case("clip", minidl.clip, [(3, 4), (4,), (3, 1)], None, lambda x, low, high: x.clamp(low, high)),
    Case("clip", lambda x, low: x.clip(low), [(3, 4), (4,)], np.maximum, lambda x, low: x.clamp(low)),
    Case("clip", lambda x, high: x.clip(None, high), [(3, 4), (4,)], np.minimum, lambda x, high: x.clamp(None, high)),
    Case("where", lambda x, y: minidl.where(MASK, x, y), [(3, 4), (4,)], lambda x, y: np.where(MASK, x, y)),
    Case(
        "where",
        lambda c, x, y: minidl.where(c, x, y),
        [MASK, (3, 1), ()],
        np.where,
        lambda c, x, y: c.where(c, c) if False else x.where(c, y),
    ),
    Case("where", lambda c, x: x.where(c, 0), [MASK, (4,)], lambda c, x: np.where(c, x, 0)),
]


def test_ties_share_the_gradient():
    for op in (minidl.maximum, minidl.minimum):
        x = minidl.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = minidl.tensor([1.0, 3.0, 2.0], requires_grad=True)
        op(x, y).sum().backward()
        first = [0.5, 0, 1] if op is minidl.maximum else [0.5, 1, 0]
        assert x.grad.numpy().tolist() == first
        assert y.grad.numpy().tolist() == [0.5, 1 - first[1], 1 - first[2]]
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (None, 1), (-1, None), (1, -1)])
def test_clip_at_its_limits_as_pytorch(low, high):
    torch = pytest.importorskip("torch")
    values = np.array([-np.inf, -1e4, -1, 0, 1, 1e4, np.inf, np.nan], "f4")
    x, theirs = minidl.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    y, want = minidl.clamp(x, low, high), torch.clamp(theirs, low, high)
    np.testing.assert_array_equal(y.numpy(force=True), want.detach().numpy())
    y.backward(np.ones_like(values))
    want.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), theirs.grad.numpy())


@pytest.mark.parametrize("with_low", [True, False])
def test_clip_gradients_of_tensor_limits_as_pytorch(with_low):
    torch = pytest.importorskip("torch")
    x, low, high = (g.ravel() for g in np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 0.5], [-0.5, 0.0, 1.0]))
    mine = [minidl.tensor(a, requires_grad=True) for a in (x, low, high)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, low, high)]
    y = minidl.clip(mine[0], mine[1] if with_low else None, mine[2])
    want = torch.clamp(theirs[0], theirs[1] if with_low else None, theirs[2])
    np.testing.assert_array_equal(y.numpy(force=True), want.detach().numpy())
    y.backward(np.ones_like(x))
    want.sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        if b.grad is not None:
            np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_clip_arguments():
    x = minidl.tensor([1, 5])
    assert minidl.clip(x, a_min=2, a_max=4).numpy().tolist() == [2, 4]
    assert minidl.clip(x, 2).dtype == np.int64
    assert minidl.clip(x, 1.5).dtype == np.float32
    assert x.clamp_(max=3).numpy().tolist() == [1, 3]
    with pytest.raises(ArgumentError, match="clip: both limits are None; give min, max or both"):
        minidl.clip(x)
    with pytest.raises(ArgumentError, match="a_min= and min= are one argument"):
        minidl.clip(x, min=1, a_min=1)
    assert minidl.clamp is minidl.clip


def test_where_of_numbers():
    mask = minidl.tensor([True, False])
    assert minidl.where(mask, 1.0, 0.0).dtype == np.float32
    assert minidl.where(mask, 1, 0).dtype == np.int64
    assert minidl.where(mask, True, False).dtype == bool
    assert minidl.where(mask, 1, 0.5).numpy().tolist() == [1, 0.5]
    assert minidl.where(True, minidl.tensor([1.0]), 2).numpy().tolist() == [1]


def test_where_keeps_what_is_not_chosen_out():
    x = minidl.tensor([0.0, 4.0], requires_grad=True)
    y = minidl.where(x > 0, x, 1.0)
    y.sum().backward()
    assert x.grad.numpy().tolist() == [0, 1]
    z = minidl.where(minidl.tensor([True, False]), minidl.tensor([1.0, np.inf], requires_grad=True), 0.0)
    assert z.numpy(force=True).tolist() == [1, 0]


def test_where_of_one_argument():
    rows, columns = minidl.where(minidl.tensor([[0, 3], [4, 0]]))
    assert rows.numpy().tolist() == [0, 1]
    assert columns.numpy().tolist() == [1, 0]
    assert isinstance(rows, minidl.Tensor)


def test_where_messages():
    x = minidl.ones(2)
    with pytest.raises(DTypeError, match="where: the condition is float32, expected bool; write a comparison"):
        minidl.where(x, x, x)
    with pytest.raises(ArgumentError, match="where: got one of x and y; pass both"):
        minidl.where(x > 0, x)
    with pytest.raises(ShapeError, match=r"where: shapes \(3,\) and \(2,\) and \(2,\) do not broadcast"):
        minidl.where(minidl.ones(3) > 0, x, x)
