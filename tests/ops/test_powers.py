"""Powers, roots, exponentials and logarithms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError
from tests.ops.harness import (  # noqa: F401
    Case,
    nonzero,
    positive,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

CASES = [
    Case("pow", lambda x, y: x**y, [positive(3, 1), (4,)], lambda x, y: x**y, lambda x, y: x**y),
    Case("pow", lambda x: x**2, [(3, 4)], lambda x: x**2, lambda x: x**2),
    Case("pow", lambda x: x**3, [(3, 4)], lambda x: x**3, lambda x: x**3),
    Case("pow", lambda x: x**1, [(3, 4)], lambda x: x**1, lambda x: x**1),
    Case("pow", lambda x: x**-2, [nonzero(3, 4)], lambda x: x**-2.0, lambda x: x**-2),
    Case("pow", lambda x: x**1.7, [positive(3, 4)], lambda x: x**1.7, lambda x: x**1.7),
    Case("pow", lambda x: 2**x, [(3, 4)], lambda x: 2**x, lambda x: 2**x),
    Case("pow", lambda x: 0.5**x, [()], lambda x: 0.5**x),
    Case("pow", minidl.square, [(2, 3)], np.square, lambda x: x.square()),
    Case("sqrt", minidl.sqrt, [positive(3, 4)], np.sqrt, lambda x: x.sqrt()),
    Case("sqrt", lambda x: x**0.5, [positive(3)], np.sqrt, lambda x: x**0.5),
    Case("rsqrt", minidl.rsqrt, [positive(3, 4)], lambda x: x**-0.5, lambda x: x.rsqrt()),
    Case("exp", minidl.exp, [(3, 4)], np.exp, lambda x: x.exp()),
    Case("exp", minidl.exp, [()], np.exp),
    Case("exp", minidl.exp, [(0, 3)], np.exp),
    Case("expm1", minidl.expm1, [(3, 4)], np.expm1, lambda x: x.expm1()),
    Case("log", minidl.log, [positive(3, 4)], np.log, lambda x: x.log()),
    Case("log1p", minidl.log1p, [positive(3, 4)], np.log1p, lambda x: x.log1p()),
    Case("log2", minidl.log2, [positive(3, 4)], np.log2, lambda x: x.log2()),
    Case("log10", minidl.log10, [positive(3, 4)], np.log10, lambda x: x.log10()),
    Case("logaddexp", minidl.logaddexp, [(3, 1), (4,)], np.logaddexp, lambda x, y: x.logaddexp(y)),
]

EXTREMES = np.array([0.0, 1e4, -1e4, 1.0, -1.0, 1e-4, np.inf, -np.inf, np.nan, 88.0, -88.0, 1e-30], "f4")


@pytest.mark.parametrize("name", ["square", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "log2", "log10"])
def test_extreme_values(name):
    torch = pytest.importorskip("torch")
    x = minidl.tensor(EXTREMES, requires_grad=True)
    theirs = torch.tensor(EXTREMES, requires_grad=True)
    y, want = getattr(minidl, name)(x), getattr(torch, name)(theirs)
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-6)
    y.backward(np.ones_like(EXTREMES))
    want.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-5)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, 1.5, 0.0, 2.0, -0.5])
def test_powers_of_extreme_values(exponent):
    torch = pytest.importorskip("torch")
    values = np.array([0.0, 1.0, -1.0, -2.0, 1e4, -1e4, 0.3, np.inf, np.nan], "f4")
    x = minidl.tensor(values, requires_grad=True)
    theirs = torch.tensor(values, requires_grad=True)
    y, want = x**exponent, theirs**exponent
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-6)
    assert y.dtype == np.float32
    y.backward(np.ones_like(values))
    want.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-5)


def test_gradients_of_tensor_powers_at_the_edges():
    torch = pytest.importorskip("torch")
    bases, exponents = (g.ravel() for g in np.meshgrid([-2.0, -1.0, 0.0, 0.5, 2.0], [-2.0, -1.0, 0.0, 1.0, 2.0, 0.5]))
    x, y = minidl.tensor(bases, requires_grad=True), minidl.tensor(exponents, requires_grad=True)
    a, b = torch.tensor(bases, requires_grad=True), torch.tensor(exponents, requires_grad=True)
    z, want = x**y, a**b
    np.testing.assert_allclose(z.numpy(force=True), want.detach().numpy())
    z.backward(np.ones_like(bases))
    want.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), a.grad.numpy())
    np.testing.assert_allclose(y.grad.numpy(), b.grad.numpy())


@pytest.mark.parametrize("base", [0, 2, 0.5, 1])
def test_number_to_the_power_of_a_tensor(base):
    torch = pytest.importorskip("torch")
    values = np.array([-1.0, 0.0, 1.0, 2.5], "f4")
    y, theirs = minidl.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    z, want = base**y, base**theirs
    np.testing.assert_allclose(z.numpy(force=True), want.detach().numpy(), rtol=1e-6)
    z.backward(np.ones_like(values))
    want.sum().backward()
    assert y.grad.dtype == np.float32
    np.testing.assert_allclose(y.grad.numpy(), theirs.grad.numpy(), rtol=1e-6)


@pytest.mark.usefixtures("cpu")
def test_powers_of_integers():
    x = minidl.tensor([2, -3])
    assert (x**2).dtype == np.int64
    assert (x**3).numpy().tolist() == [8, -27]
    assert (x**0.5).dtype == np.float32
    for call in (lambda: x**-1, lambda: 2 ** minidl.tensor([-1]), lambda: x ** minidl.tensor([1, -1])):
        with pytest.raises(ArgumentError, match="pow: integers to negative powers are no integers; convert the base"):
            call()
    np.testing.assert_allclose((x.astype("float32") ** -1).numpy(), [0.5, -1 / 3], rtol=1e-6)


@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "log2", "log10"])
def test_integers_give_floats(name):
    assert getattr(minidl, name)(minidl.tensor([1, 2])).dtype == np.float32
    assert getattr(minidl.tensor([True, True]), name)().dtype == np.float32
    assert getattr(minidl, name)(minidl.ones(2, dtype="float16")).dtype == np.float16


def test_logaddexp_of_infinities():
    x = minidl.tensor([-np.inf, 0.0, 1e4, -1e4], requires_grad=True)
    y = minidl.tensor([-np.inf, -np.inf, -1e4, -1e4], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z = minidl.logaddexp(x, y)
        z.backward(np.ones(4, "f4"))
    np.testing.assert_allclose(z.numpy(force=True), [-np.inf, 0, 1e4, -1e4 + np.log(2)])
    np.testing.assert_allclose(x.grad.numpy(), [0, 1, 1, 0.5], rtol=1e-3)
    np.testing.assert_allclose(y.grad.numpy(), [0, 0, 0, 0.5], rtol=1e-3)


def test_aliases():
    assert minidl.power is minidl.pow
