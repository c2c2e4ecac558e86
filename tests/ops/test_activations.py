"""Activations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError, GradError, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    nonzero,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = F = None


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def case(op, name, maker, *args, **kwargs):
    return Case(
        op,
        lambda *x: getattr(minidl, name)(*x, *args, **kwargs),
        [maker] if not isinstance(maker, list) else maker,
        None,
        lambda *x: getattr(F, name)(*x, *args, **kwargs),
    )


CASES = [
    Case("relu", minidl.relu, [nonzero(3, 4)], lambda x: np.maximum(x, 0), lambda x: x.relu()),
    Case("relu", minidl.relu, [nonzero()], lambda x: np.maximum(x, 0)),
    Case("relu", minidl.relu, [(0, 3)], lambda x: np.maximum(x, 0)),
    Case("relu", minidl.relu, [np.array([-1, 2])], lambda x: np.maximum(x, 0), differentiable=False),
    case("leaky_relu", "leaky_relu", nonzero(3, 4)),
    case("leaky_relu", "leaky_relu", nonzero(3, 4), 0.3),
    case("leaky_relu", "leaky_relu", nonzero(3, 4), 1.5),
    case("leaky_relu", "leaky_relu", nonzero(3, 4), -0.5),
    case("prelu", "prelu", [nonzero(5, 3), (3,)]),
    case("prelu", "prelu", [nonzero(2, 3, 4, 2), (3,)]),
    case("prelu", "prelu", [nonzero(2, 3, 4), (1,)]),
    case("prelu", "prelu", [nonzero(4), (1,)]),
    case("prelu", "prelu", [nonzero(), (1,)]),
    case("elu", "elu", nonzero(3, 4)),
    case("elu", "elu", nonzero(3, 4), 0.7),
    case("elu", "selu", nonzero(3, 4)),
    case("elu", "celu", nonzero(3, 4), 1.7),
    case("gelu", "gelu", (3, 4)),
    case("gelu", "gelu", ()),
    case("gelu_tanh", "gelu", (3, 4), approximate="tanh"),
    case("silu", "silu", (3, 4)),
    case("mish", "mish", (3, 4)),
    case("softplus", "softplus", (3, 4)),
    case("softplus", "softplus", (3, 4), 2.0, 1.0),
    case("logsigmoid", "logsigmoid", (3, 4)),
    case("hardtanh", "hardtanh", (5, 6)),
    case("hardtanh", "hardtanh", (5, 6), -0.3, 0.5),
    case("hardtanh", "relu6", (5, 6)),
    case("hardtanh", "hardsigmoid", (5, 6)),
    case("hardtanh", "hardswish", (5, 6)),
    case("div", "softsign", nonzero(3, 4)),
    case("tanh", "tanhshrink", (3, 4)),
    case("clip", "softshrink", (5, 6)),
    case("clip", "softshrink", (5, 6), 0.2),
    case("where", "hardshrink", (5, 6)),
    case("where", "threshold", (5, 6), 0.1, 20.0),
    case("sigmoid", "glu", (3, 4)),
    case("sigmoid", "glu", (4, 3), 0),
    case("softmax", "softmax", (3, 4), dim=-1),
    case("softmax", "softmax", (3, 4, 2), dim=1),
    case("softmax", "softmax", (), dim=0),
    case("softmax", "softmax", (0, 4), dim=1),
    case("softmax", "softmax", (4, 0), dim=1),
    case("softmax", "softmin", (3, 4), dim=0),
    case("log_softmax", "log_softmax", (3, 4), dim=-1),
    case("log_softmax", "log_softmax", (3, 4, 2), dim=1),
    case("log_softmax", "log_softmax", (), dim=0),
    case("log_softmax", "log_softmax", (0, 4), dim=0),
]

EXTREMES = np.array([0.0, 1e4, -1e4, 1.0, -1.0, 1e-4, 3.0, -3.0, 6.0, 20.0, 20.5, 88.0, -88.0, np.nan], "f4")
ELEMENTWISE = [
    ("relu", {}),
    ("leaky_relu", {}),
    ("elu", {}),
    ("selu", {}),
    ("celu", {}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("silu", {}),
    ("mish", {}),
    ("softplus", {}),
    ("softplus", {"beta": 5, "threshold": 10}),
    ("logsigmoid", {}),
    ("hardtanh", {}),
    ("relu6", {}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("softsign", {}),
    ("tanhshrink", {}),
    ("softshrink", {}),
    ("hardshrink", {}),
    ("threshold", {"threshold": 1.0, "value": -7.0}),
]


@pytest.mark.parametrize(("name", "kwargs"), ELEMENTWISE)
def test_extreme_values(name, kwargs):
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    x, theirs = minidl.tensor(EXTREMES, requires_grad=True), torch.tensor(EXTREMES, requires_grad=True)
    y, want = getattr(minidl, name)(x, **kwargs), getattr(F, name)(theirs, **kwargs)
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=2e-6, atol=1e-6)
    assert y.dtype == np.float32
    y.backward(np.ones_like(EXTREMES))
    want.sum().backward()
    assert x.grad.dtype == np.float32
    known = ~np.isnan(EXTREMES)  # which of nan's gradients is let through is nobody's promise
    np.testing.assert_allclose(x.grad.numpy()[known], theirs.grad.numpy()[known], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "relu6", "hardtanh", "elu", "softplus", "logsigmoid"])
def test_infinities(name):
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    values = np.array([np.inf, -np.inf], "f4")
    got = getattr(minidl, name)(minidl.tensor(values)).numpy()
    np.testing.assert_array_equal(got, getattr(F, name)(torch.tensor(values)).numpy())


def test_the_slope_of_relu_at_zero_is_zero():
    x = minidl.tensor([0.0, -0.0], requires_grad=True)
    minidl.relu(x).sum().backward()
    assert x.grad.numpy().tolist() == [0, 0]
    assert minidl.relu(minidl.tensor([3, -4])).dtype == np.int64


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "values",
    [
        [1e4, 0.0, -1e4],
        [-1e4, -1e4, -1e4],
        [3e38, 3e38, -3e38],
        [0.0, -np.inf, 1.0],
        [-np.inf, -np.inf, 5.0],
        [-np.inf, -np.inf, -np.inf],
        [np.inf, 0.0, 1.0],
        [np.nan, 0.0, 1.0],
    ],
)
def test_softmax_of_extreme_values(name, values):
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    x, theirs = minidl.tensor([values], requires_grad=True), torch.tensor([values], requires_grad=True)
    upstream = np.array([[0.5, -1.0, 2.0]], "f4")
    y, want = getattr(minidl, name)(x, dim=1), getattr(F, name)(theirs, dim=1)
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-6)
    y.backward(upstream)
    want.backward(torch.tensor(upstream))
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-5, atol=1e-7)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(-4, 3), st.floats(-1e4, 1e4))
@settings(max_examples=40, deadline=None)
def test_softmax_sums_to_one_wherever_its_input_is(shape, axis, offset):
    axis = axis % len(shape)
    x = (np.random.default_rng(0).standard_normal(shape) + offset).astype("f4")
    y = minidl.softmax(minidl.tensor(x), dim=axis)
    assert y.shape == tuple(shape)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy().sum(axis), 1, rtol=1e-5)
    np.testing.assert_allclose(y.numpy(), softmax(x.astype("f8"), axis), rtol=1e-4)
    np.testing.assert_allclose(np.exp(minidl.log_softmax(minidl.tensor(x), dim=axis).numpy()), y.numpy(), rtol=1e-4)


def test_softmax_arguments():
    x = minidl.tensor([[1, 2], [3, 4]])
    assert minidl.softmax(x, axis=0).dtype == np.float32
    assert x.softmax(0, dtype="float64").dtype == np.float64
    assert minidl.log_softmax(x, 1, dtype="float64").dtype == np.float64
    assert minidl.softmin(x, axis=1, dtype="float64").dtype == np.float64
    np.testing.assert_allclose(minidl.softmax(x).numpy(), softmax(x.numpy().astype("f4")), rtol=1e-6)
    for function in (minidl.softmax, minidl.log_softmax, minidl.softmin):
        with pytest.raises(RangeError, match="softmax: axis 2 is out of range for a tensor with 2 dimensions"):
            function(x, dim=2)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("relu", ()),
        ("leaky_relu", (0.1,)),
        ("elu", (1.0,)),
        ("selu", ()),
        ("celu", (1.0,)),
        ("silu", ()),
        ("mish", ()),
        ("hardtanh", (-1.0, 1.0)),
        ("relu6", ()),
        ("hardsigmoid", ()),
        ("hardswish", ()),
        ("threshold", (0.1, 20.0)),
    ],
)
def test_inplace(name, args):
    values = np.array([-2.0, -0.5, 0.5, 7.0])
    function = getattr(minidl, name)
    leaf = minidl.tensor(values, requires_grad=True)
    x = leaf * 1
    y = function(x, *args, inplace=True)
    assert y is x
    np.testing.assert_array_equal(y.numpy(force=True), function(minidl.tensor(values), *args).numpy(force=True))
    assert minidl.gradcheck(lambda leaf: function(leaf * 1, *args, inplace=True), leaf)
    with pytest.raises(GradError, match="a leaf tensor that requires gradients cannot be changed in place"):
        function(leaf, *args, inplace=True)


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "gelu", "silu", "mish", "softplus", "logsigmoid", "softmax"])
def test_integers_give_floats(name):
    assert getattr(minidl, name)(minidl.tensor([1, -2])).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: minidl.gelu(x, "exact"),
            ArgumentError,
            "gelu: unknown approximate='exact'; expected 'none' or 'tanh'",
        ),
        (lambda x: minidl.celu(x, 0), ArgumentError, "celu: alpha is 0"),
        (lambda x: minidl.softplus(x, 0), ArgumentError, "softplus: beta is 0"),
        (lambda x: minidl.hardtanh(x, 2, 1), ArgumentError, "hardtanh: min_val is 2, max_val 1; expected"),
        (lambda x: minidl.softshrink(x, -1), ArgumentError, "softshrink: lambd is -1, expected at least 0"),
        (lambda x: minidl.glu(x), ShapeError, r"glu: x has shape \(2, 3\); expected an even size along axis 1"),
        (lambda x: minidl.glu(x, 5), RangeError, "glu: axis 5 is out of range"),
        (
            lambda x: minidl.prelu(x, minidl.ones(2)),
            ShapeError,
            r"prelu: weight has shape \(2,\), x \(2, 3\); .* each of the 3 channels",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call(minidl.ones(2, 3))


def test_aliases():
    assert minidl.swish is minidl.silu
