"""Recomputing in backward."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import GradError


def block(x: Any, w: Any) -> Any:
    h = (x * w).exp()
    return h * h + x


def inputs() -> tuple[Any, Any]:
    return (
        minidl.tensor(np.array([0.3, -0.5]), requires_grad=True),
        minidl.tensor(np.array([1.1, 0.7]), requires_grad=True),
    )


def test_same_values_and_gradients() -> None:
    x, w = inputs()
    plain = block(x, w)
    want = minidl.grad(plain.sum(), [x, w])
    y = minidl.checkpoint(block, x, w)
    np.testing.assert_array_equal(y.numpy(force=True), plain.numpy(force=True))
    for g, expected in zip(minidl.grad(y.sum(), [x, w]), want, strict=True):
        np.testing.assert_array_equal(g.numpy(), expected.numpy())


def test_captured_tensors_get_gradients() -> None:
    x, w = inputs()
    minidl.checkpoint(lambda x: block(x, w), x).sum().backward()
    want = minidl.grad(block(x, w).sum(), w)[0]
    np.testing.assert_array_equal(w.grad.numpy(), want.numpy())


def test_both_orders() -> None:
    assert minidl.gradcheck(lambda x, w: minidl.checkpoint(block, x, w), inputs())
    assert minidl.gradgradcheck(lambda x, w: minidl.checkpoint(block, x, w), inputs())


def test_nested_and_in_a_chain() -> None:
    def twice(x: Any, w: Any) -> Any:
        return minidl.checkpoint(block, minidl.checkpoint(block, x, w) * 0.1, w)

    def nested(x: Any, w: Any) -> Any:
        return minidl.checkpoint(twice, x, w)

    assert minidl.gradcheck(nested, inputs())


def test_it_runs_once_more_and_only_in_backward() -> None:
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return (x * x).exp()

    y = minidl.checkpoint(counted, inputs()[0])
    assert len(calls) == 1
    y.sum().backward()
    assert len(calls) == 2


def test_what_is_inside_is_not_kept() -> None:
    watched = []

    def watching(x: Any) -> Any:
        h = x * 2
        watched.append(weakref.ref(h.numpy(force=True)))
        return h * h

    y = minidl.checkpoint(watching, inputs()[0])
    assert watched[0]() is None
    y.sum().backward()


def test_random_numbers_are_repeated() -> None:
    def noisy(x: Any) -> Any:
        return x * minidl.rand(2, dtype="float64") * x

    x = inputs()[0]
    y = minidl.checkpoint(noisy, x)
    after = minidl.rand(1).item()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * y.numpy(force=True) / x.numpy(force=True))
    minidl.manual_seed(0)
    minidl.rand(2, dtype="float64")
    assert minidl.rand(1).item() == after  # the recomputation did not draw from the stream


def test_no_cycle_is_left() -> None:
    gc.collect()
    gc.disable()
    try:
        y = minidl.checkpoint(block, *inputs())
        watched = weakref.ref(y._node)
        del y
        assert watched() is None
    finally:
        gc.enable()


def test_a_function_that_changes_is_refused() -> None:
    calls = []

    def fickle(x: Any) -> Any:
        calls.append(1)
        return x * x if len(calls) == 1 else x * x * x

    with pytest.raises(GradError, match="recorded 1 operations in forward, but 2 or others"):
        minidl.checkpoint(fickle, inputs()[0]).sum().backward()


def test_an_argument_written_to_is_refused() -> None:
    x, w = inputs()
    h = x * 1
    y = minidl.checkpoint(block, h, w)
    with minidl.no_grad():
        h += 1
    with pytest.raises(
        GradError, match=r"a tensor of shape \(2,\) that the function takes or uses was modified in place"
    ):
        y.sum().backward()


def test_without_recording_it_is_a_call() -> None:
    with minidl.no_grad():
        assert not minidl.checkpoint(block, *inputs()).requires_grad


def test_a_parameter_written_to_is_refused() -> None:
    x, w = inputs()
    y = minidl.checkpoint(lambda x: (x * w).exp(), x).sum()
    with minidl.no_grad():
        w += 1
    with pytest.raises(
        GradError, match=r"a tensor of shape \(2,\) that the function takes or uses was modified in place"
    ):
        y.backward()
    y = minidl.checkpoint(lambda x, w: (x * w).exp(), x, w=w).sum()
    with minidl.no_grad():
        w += 1
    with pytest.raises(GradError, match="modified in place"):
        y.backward()


def test_as_many_but_other_operations_are_refused() -> None:
    operations = iter([minidl.exp, minidl.sqrt])
    x, _ = inputs()
    y = minidl.checkpoint(lambda x: next(operations)(x * x), x)
    with pytest.raises(GradError, match="recorded 2 operations in forward, but 2 or others when run again"):
        y.sum().backward()


def test_a_view_that_its_base_left_behind() -> None:
    x, w = inputs()
    base = x * 1
    part = base[:1]
    base *= w
    minidl.checkpoint(lambda part: part.sin() * part, part).sum().backward()
    t = (x * w).numpy(force=True)[0]
    np.testing.assert_allclose(w.grad.numpy(), [(np.cos(t) * t + np.sin(t)) * 0.3, 0])


def test_writes_inside() -> None:
    def func(x: Any) -> Any:
        h = x * 2
        h += x.tanh()
        row = h[None]
        row *= x
        return h.sin() * x

    x, _ = inputs()
    assert minidl.gradcheck(lambda x: minidl.checkpoint(func, x), x)
    assert minidl.gradgradcheck(lambda x: minidl.checkpoint(func, x), x)
