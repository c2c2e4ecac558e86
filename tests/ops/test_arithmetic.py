"""Arithmetic: values, gradients, promotion, broadcasting, operators."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minidl
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError
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

CASES = [
    Case("add", lambda x, y: x + y, [(3, 4), (3, 4)], lambda x, y: x + y, lambda x, y: x + y),
    Case("add", lambda x, y: x + y, [(3, 1), (4,)], lambda x, y: x + y, lambda x, y: x + y),
    Case("add", lambda x, y: x + y, [(), (2, 3)], lambda x, y: x + y),
    Case("add", lambda x, y: x + y, [(0, 3), (3,)], lambda x, y: x + y),
    Case("add", lambda x, y: minidl.add(x, y, alpha=2), [(3,), (3,)], lambda x, y: x + 2 * y),
    Case("sub", lambda x, y: x - y, [(3, 1), (4,)], lambda x, y: x - y, lambda x, y: x - y),
    Case("sub", lambda x: 1 - x, [(3, 4)], lambda x: 1 - x),
    Case("sub", lambda x, y: minidl.sub(x, y, alpha=2), [(3,), (3,)], lambda x, y: x - 2 * y),
    Case("mul", lambda x, y: x * y, [(3, 1), (4,)], lambda x, y: x * y, lambda x, y: x * y),
    Case("mul", lambda x: 3 * x, [(3, 4)], lambda x: 3 * x),
    Case("div", lambda x, y: x / y, [(3, 1), nonzero(4)], lambda x, y: x / y, lambda x, y: x / y),
    Case("div", lambda x: 2 / x, [nonzero(3, 4)], lambda x: 2 / x),
    Case("div", lambda x: minidl.reciprocal(x), [nonzero(2, 3)], lambda x: 1 / x, lambda x: x.reciprocal()),
    Case("neg", lambda x: -x, [(3, 4)], lambda x: -x, lambda x: -x),
    Case("neg", lambda x: -x, [()], lambda x: -x),
    Case(
        "floor_divide",
        lambda x, y: x // y,
        [(3, 1), nonzero(4)],
        lambda x, y: x // y,
        lambda x, y: x // y,
        differentiable=False,
    ),
    Case(
        "trunc_divide",
        lambda x, y: minidl.div(x, y, rounding_mode="trunc"),
        [(3, 1), nonzero(4)],
        lambda x, y: np.trunc(x / y),
        differentiable=False,
    ),
    Case("remainder", lambda x, y: x % y, [(3, 1), nonzero(4)], lambda x, y: x % y, lambda x, y: x % y),
    Case("remainder", lambda x: 2 % x, [nonzero(3, 4)], lambda x: 2 % x),
    Case("fmod", minidl.fmod, [(3, 1), nonzero(4)], np.fmod, lambda x, y: x.fmod(y)),
    Case("lerp", minidl.lerp, [(3, 1), (4,), (3, 4)], lambda x, y, w: x + w * (y - x), lambda x, y, w: x.lerp(y, w)),
    Case("lerp", lambda x, y: x.lerp(y, 0.9), [(2, 3), (3,)], lambda x, y: x + 0.9 * (y - x)),
    Case(
        "mul",
        lambda x, y, z: minidl.addcmul(x, y, z, value=2),
        [(3,), (2, 3), (2, 1)],
        lambda x, y, z: x + 2 * y * z,
        lambda x, y, z: x.addcmul(y, z, value=2),
    ),
    Case(
        "div",
        lambda x, y, z: minidl.addcdiv(x, y, z, value=2),
        [(3,), (2, 3), nonzero(2, 1)],
        lambda x, y, z: x + 2 * y / z,
        lambda x, y, z: x.addcdiv(y, z, value=2),
    ),
]

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
IN_PLACE = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ifloordiv,
    operator.imod,
    operator.ipow,
]


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0), st.sampled_from(OPERATORS))
@settings(max_examples=50, deadline=None)
def test_operators_broadcast_as_numpy(shapes, op):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)
    x, y = minidl.tensor(a, requires_grad=True), minidl.tensor(b, requires_grad=True)
    z = op(x, y)
    np.testing.assert_allclose(z.numpy(force=True), op(a, b), rtol=1e-12)
    assert z.shape == shapes.result_shape
    if z.requires_grad:
        z.sum().backward()
        assert x.grad.shape == a.shape
        assert y.grad.shape == b.shape


@pytest.mark.parametrize("op", OPERATORS)
def test_reflected_operators(op):
    values = np.array([[0.5, 1.5], [2.5, 4.0]], "f4")
    x = minidl.tensor(values)
    for number in (3, 2.5, np.float64(1.25), np.float32(1.25), values[:1], [2.0, 3.0]):
        plain = np.asarray(number, "f4")
        for got, want in ((op(number, x), op(plain, values)), (op(x, number), op(values, plain))):
            assert isinstance(got, minidl.Tensor)
            assert got.dtype == np.float32
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)


@pytest.mark.parametrize("op", IN_PLACE)
def test_in_place_operators(op):
    x = minidl.tensor([4.0, 9.0])
    want = np.array([4.0, 9.0])
    before = x
    x = op(x, 2)
    assert x is before
    np.testing.assert_allclose(x.numpy(), op(want, 2))


def test_in_place_operators_are_part_of_the_graph():
    x = minidl.tensor([2.0, 3.0], requires_grad=True)
    y = minidl.tensor([5.0, 7.0], requires_grad=True)
    z = x * 1
    z += y
    z -= 1
    z /= y
    z.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 1 / y.numpy(force=True))
    np.testing.assert_allclose(y.grad.numpy(), -(x.numpy(force=True) - 1) / y.numpy(force=True) ** 2, rtol=1e-6)


DTYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]


def promoted(a: str, b: str) -> str:
    """minidl's rule in words: the wider float, the float of a mixture, what NumPy says of two integers."""
    floats = [d for d in (a, b) if d.startswith("float")]
    if floats:
        return max(floats, key=lambda d: int(d[5:]))
    return str(np.result_type(a, b))


@pytest.mark.parametrize(("a", "b"), [*itertools.product(DTYPES, DTYPES)])
def test_promotion(a, b):
    x, y = minidl.ones(2, dtype=a), minidl.ones(2, dtype=b)
    assert str((x + y).dtype) == promoted(a, b)
    assert str((x * y).dtype) == promoted(a, b)
    quotient = promoted(a, b)
    assert str((x / y).dtype) == (quotient if quotient.startswith("float") else "float32")
    torch = pytest.importorskip("torch")
    theirs = torch.result_type(torch.ones(2, dtype=getattr(torch, a)), torch.ones(2, dtype=getattr(torch, b)))
    assert str((x + y).dtype) == str(theirs).removeprefix("torch.")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [2, 2.5])
def test_numbers_never_widen(dtype, number):
    x = minidl.ones(2, dtype=dtype)
    kind = np.dtype(dtype).kind
    want = dtype if kind == "f" else "float32" if isinstance(number, float) else "int64" if kind == "b" else dtype
    assert str((x + number).dtype) == want
    assert str((number * x).dtype) == want


def test_zero_dimensional_tensors_keep_their_dtype():
    x = minidl.tensor(2.0)
    for y in (x + 1, x * x, x / 3, x**2, -x, x % 2, x // 2):
        assert y.dtype == np.float32
        assert y.shape == ()


def test_division_by_zero_is_silent():
    x = minidl.tensor([1.0, 0.0, -1.0], requires_grad=True)
    y = x / 0.0
    np.testing.assert_array_equal(y.numpy(force=True), [np.inf, np.nan, -np.inf])
    y.sum().backward()
    np.testing.assert_array_equal((x // 0.0).numpy(force=True), [np.inf, np.nan, -np.inf])
    assert np.isnan((x % 0.0).numpy(force=True)).all()


@pytest.mark.parametrize("op", [operator.floordiv, operator.mod, minidl.fmod])
def test_integer_division_by_zero_is_an_error(op):
    x = minidl.tensor([1, 2])
    with pytest.raises(ArgumentError, match="integer division by zero"):
        op(x, minidl.tensor([1, 0]))
    with pytest.raises(ArgumentError, match="integer division by zero"):
        op(x, 0)
    with pytest.raises(ArgumentError, match="integer division by zero"):
        minidl.div(x, 0, rounding_mode="trunc")


def test_integers_stay_integers():
    x = minidl.tensor([7, -7])
    for y, want in [
        (x + 1, [8, -6]),
        (x * 2, [14, -14]),
        (x // 2, [3, -4]),
        (x % 3, [1, 2]),
        (minidl.fmod(x, 3), [1, -1]),
        (minidl.div(x, 2, rounding_mode="floor"), [3, -4]),
        (minidl.div(x, 2, rounding_mode="trunc"), [3, -3]),
        (-x, [-7, 7]),
    ]:
        assert y.dtype == np.int64
        assert y.numpy().tolist() == want


def test_lerp_reaches_its_ends():
    start, end = minidl.tensor([1e8, 0.1]), minidl.tensor([1.0, 1e8])
    np.testing.assert_array_equal(minidl.lerp(start, end, 0.0).numpy(), start.numpy())
    np.testing.assert_array_equal(minidl.lerp(start, end, 1.0).numpy(), end.numpy())


def test_messages():
    x = minidl.ones(2, 3)
    with pytest.raises(ShapeError, match=r"add: shapes \(2, 3\) and \(4,\) do not broadcast"):
        x + minidl.ones(4)
    with pytest.raises(DTypeError, match="add: argument 'y' is a str; expected a Tensor"):
        x + "text"
    with pytest.raises(ArgumentError, match="div: unknown rounding_mode 'ceil'; expected None, 'floor' or 'trunc'"):
        minidl.div(x, 2, rounding_mode="ceil")
    with pytest.raises(DTypeError, match="neg"):
        -minidl.tensor([True])
    with pytest.raises(ArgumentError, match=r"add: cannot take arguments .* 300 out of bounds for int8"):
        minidl.tensor([1], dtype="int8") + 300
    whole = minidl.tensor([1, 2])
    with pytest.raises(DTypeError, match=r"/=: the result is float32, which a tensor of int64 cannot hold in place"):
        whole /= 2
    leaf = minidl.ones(2, requires_grad=True)
    with pytest.raises(GradError, match=r"\+=: a leaf tensor that requires gradients cannot be changed in place"):
        leaf += 1


def test_numpy_and_pytorch_names_are_one():
    assert minidl.subtract is minidl.sub
    assert minidl.multiply is minidl.mul
    assert minidl.divide is minidl.true_divide is minidl.div
    assert minidl.negative is minidl.neg
    assert minidl.mod is minidl.remainder


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "matmul"])
def test_out(name: str, rng: np.random.Generator) -> None:
    function = getattr(minidl, name)
    x, y = (minidl.tensor(rng.standard_normal((3, 3)).astype(np.float32)) for _ in range(2))
    out, expected = minidl.zeros(3, 3), function(x, y)
    version = out.version
    assert function(x, y, out=out) is out
    assert out.version == version + 1
    assert minidl.equal(out, expected)
    assert minidl.equal(function(x.numpy(), y.numpy(), out=minidl.zeros(3, 3)), expected)
    with pytest.raises(ShapeError, match=rf"{name}\(out=\): the result has shape \(3, 3\)"):
        function(x, y, out=minidl.zeros(3))
    with pytest.raises(DTypeError, match=f"{name}: argument 'out' is"):
        function(x, y, out=np.zeros((3, 3)))
