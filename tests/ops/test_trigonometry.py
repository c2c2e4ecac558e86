"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl.errors import ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    nonzero,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
    unit,
)

NUMPY = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
}
NAMES = ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"]


def case(name, maker):
    def theirs(x):
        return getattr(x, name)()

    return Case(name, getattr(minidl, name), [maker], getattr(np, NUMPY.get(name, name)), theirs)


CASES = [
    *(case(name, unit(3, 4)) for name in NAMES if name != "acosh"),
    *(case(name, unit()) for name in NAMES if name != "acosh"),
    Case("acosh", lambda x: minidl.acosh(x + 1), [unit(3, 4)], lambda x: np.arccosh(x + 1), lambda x: (x + 1).acosh()),
    Case("atan2", minidl.atan2, [nonzero(3, 1), nonzero(4)], np.arctan2, lambda y, x: y.atan2(x)),
    Case("atan2", lambda y: minidl.atan2(y, -2), [(3, 4)], lambda y: np.arctan2(y, -2)),
]

EXTREMES = np.array([0.0, 1e4, -1e4, 1.0, -1.0, 1e-4, np.inf, -np.inf, np.nan, 88.0, -88.0, 1e-30], "f4")


@pytest.mark.parametrize("name", NAMES)
def test_extreme_values(name):
    torch = pytest.importorskip("torch")
    x, theirs = minidl.tensor(EXTREMES, requires_grad=True), torch.tensor(EXTREMES, requires_grad=True)
    y, want = getattr(minidl, name)(x), getattr(torch, name)(theirs)
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert y.dtype == np.float32
    y.backward(np.ones_like(EXTREMES))
    want.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_integers_give_floats(name):
    assert getattr(minidl.tensor([1, 1]), name)().dtype == np.float32


def test_atan2_of_extreme_values():
    torch = pytest.importorskip("torch")
    ys, xs = (g.ravel().astype("f4") for g in np.meshgrid([0.0, -0.0, 1e4, -1e4, np.inf], [0.0, -0.0, 1.0, -np.inf]))
    got = minidl.atan2(minidl.tensor(ys), minidl.tensor(xs)).numpy()
    np.testing.assert_allclose(got, torch.atan2(torch.tensor(ys), torch.tensor(xs)).numpy(), rtol=1e-6)
    with pytest.raises(ShapeError, match=r"atan2: shapes \(2,\) and \(3,\) do not broadcast"):
        minidl.atan2(minidl.ones(2), minidl.ones(3))


@pytest.mark.parametrize(("short", "long"), [*NUMPY.items(), ("atan2", "arctan2")])
def test_aliases(short, long):
    assert getattr(minidl, long) is getattr(minidl, short)
    assert getattr(minidl.Tensor, long) is getattr(minidl.Tensor, short)
