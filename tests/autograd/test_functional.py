"""Derivatives as functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError


def double(*values: Any, requires_grad: bool = True) -> Any:
    return minidl.tensor(np.array(values), requires_grad=requires_grad)


def test_grad_leaves_grad_alone() -> None:
    x = double(1.0, 2.0)
    (g,) = minidl.grad((x * x).sum(), x)
    assert g.tolist() == [2, 4]
    assert x.grad is None
    assert not g.requires_grad


def test_grad_of_inner_tensors() -> None:
    x = double(1.0, 2.0)
    y = x * 3
    z = (y * y).sum()
    gy, gx = minidl.grad(z, [y, x])
    assert gy.tolist() == [6, 12]
    assert gx.tolist() == [18, 36]


def test_grad_visits_only_what_leads_to_its_inputs() -> None:
    x, w = double(1.0), double(2.0)
    visited = []
    aside = w * 5
    aside.register_hook(lambda g: visited.append("aside"))
    (g,) = minidl.grad((x * 3 + aside * w).sum(), x)
    assert g.item() == 3
    assert visited == []


def test_grad_of_several_outputs_with_factors() -> None:
    x = double(1.0, 2.0)
    (g,) = minidl.grad([x * x, x.sum()], x, [double(1.0, 10.0), None])
    assert g.tolist() == [3, 41]


def test_gradients_do_not_share_memory() -> None:
    x, y = double(1.0), double(2.0)
    gx, gy = minidl.grad((x + y).sum(), [x, y])
    gx.array += 1
    assert gy.item() == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda x: x.detach(),
        lambda x: x.data,
        lambda x: x.array,
        lambda x: x.detach().numpy(),
        lambda x: minidl.from_dlpack(x.detach()),
        lambda x: minidl.as_tensor(x.array),
    ],
)
def test_a_constant_in_the_memory_of_an_input_stays_a_constant(other: Any) -> None:
    x = double(2.0, 3.0)
    for y in (x * other(x), other(x) * x, minidl.addcmul(x * 0, other(x), x)):
        (g,) = minidl.grad(y.sum(), x, create_graph=True)
        assert g.tolist() == [2, 3]
        assert not g.requires_grad or minidl.grad(g.sum(), x)[0].tolist() == [0, 0]
    h = x * 1
    (g,) = minidl.grad((h * h.contiguous() * other(h)).sum(), x, create_graph=True)
    assert g.tolist() == [8, 18]
    assert minidl.grad(g.sum(), x)[0].tolist() == [4, 6]
    assert minidl.hessian(lambda z: (z * other(x)).sum(), x.detach()).tolist() == [[0, 0], [0, 0]]


def test_third_derivative() -> None:
    x = double(2.0)
    y = x * x * x * x
    for want in (32, 48, 48):
        (y,) = minidl.grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(want)


def test_backward_with_create_graph() -> None:
    x = double(3.0)
    (x * x * x).sum().backward(create_graph=True)
    first = x.grad
    assert first.requires_grad
    x.grad = None
    first.sum().backward()
    assert x.grad.item() == 18


def test_unused_inputs() -> None:
    x, y = double(1.0), double(1.0)
    with pytest.raises(GradError, match=r"do not depend on input 2 \(shape \(1,\)\).*allow_unused"):
        minidl.grad(x.sum(), [x, y])
    assert minidl.grad(x.sum(), [x, y], allow_unused=True)[1] is None


def test_inputs_without_gradient() -> None:
    with pytest.raises(GradError, match="input 1 does not require gradients"):
        minidl.grad(double(1.0).sum(), double(1.0, requires_grad=False))


def test_factors_for_each_output() -> None:
    x = double(1.0)
    with pytest.raises(ArgumentError, match="2 outputs but 1 grad_outputs"):
        minidl.grad([x * 1, x * 2], x, [x])


def mixed(x: Any, w: Any) -> Any:
    return (x * w).exp() * x + w


def test_vjp_and_jvp_agree_with_the_jacobian(rng: np.random.Generator) -> None:
    x, w = (minidl.tensor(rng.standard_normal(3)) for _ in range(2))
    jx, jw = minidl.jacobian(mixed, (x, w))
    u, vx, vw = (minidl.tensor(rng.standard_normal(3)) for _ in range(3))
    out, (gx, gw) = minidl.vjp(mixed, (x, w), u)
    np.testing.assert_allclose(gx.numpy(), u.numpy() @ jx.numpy())
    np.testing.assert_allclose(gw.numpy(), u.numpy() @ jw.numpy())
    out, slope = minidl.jvp(mixed, (x, w), (vx, vw))
    np.testing.assert_allclose(slope.numpy(), jx.numpy() @ vx.numpy() + jw.numpy() @ vw.numpy())
    np.testing.assert_allclose(out.numpy(), mixed(x, w).numpy())


def test_jacobian_of_a_matrix_function(rng: np.random.Generator) -> None:
    x = minidl.tensor(rng.standard_normal((2, 3)))
    jac = minidl.jacobian(lambda x: x.sum(axis=1) * 2, x)
    assert jac.shape == (2, 2, 3)
    np.testing.assert_array_equal(jac.numpy(), 2 * np.einsum("ij,k->ijk", np.eye(2), np.ones(3)))


def test_jacobian_of_a_constant_is_zero() -> None:
    jac = minidl.jacobian(lambda x: minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(jac.numpy(), np.zeros((2, 3)))


def test_a_recorded_jacobian_can_be_differentiated() -> None:
    x = double(1.0, 2.0)
    jac = minidl.jacobian(lambda x: x * x * x, x, create_graph=True)
    (g,) = minidl.grad(jac.sum(), x)
    assert g.tolist() == [6, 12]


def test_hessian_of_several_inputs(rng: np.random.Generator) -> None:
    x, w = (minidl.tensor(rng.standard_normal(2)) for _ in range(2))
    (hxx, hxw), (hwx, hww) = minidl.hessian(lambda x, w: (x * x * w).sum(), (x, w))
    np.testing.assert_allclose(hxx.numpy(), np.diag(2 * w.numpy()))
    np.testing.assert_allclose(hxw.numpy(), np.diag(2 * x.numpy()))
    np.testing.assert_allclose(hwx.numpy(), np.diag(2 * x.numpy()))
    np.testing.assert_allclose(hww.numpy(), np.zeros((2, 2)))


def test_hessian_needs_a_scalar() -> None:
    with pytest.raises(ShapeError, match=r"must return a scalar, it returned shape \(2,\)"):
        minidl.hessian(lambda x: x * x, minidl.tensor([1.0, 2.0]))


def test_directions_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"\[\(2,\)\], the directions \[\(3,\)\]"):
        minidl.jvp(lambda x: x, minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 2.0, 3.0]))


def test_inputs_must_be_tensors() -> None:
    with pytest.raises(DTypeError, match="vjp: input 1 is a list; expected a Tensor"):
        minidl.vjp(lambda x: x, ([1.0, 2.0],))


def test_functions_do_not_touch_their_inputs() -> None:
    x = minidl.tensor([1.0, 2.0])
    minidl.jacobian(lambda x: x * x, x)
    assert not x.requires_grad


def test_functions_must_return_a_tensor() -> None:
    x = minidl.tensor([1.0, 2.0])
    with pytest.raises(DTypeError, match="vjp: the function returned a tuple; expected one Tensor"):
        minidl.vjp(lambda x: (x, x), x)
    with pytest.raises(DTypeError, match="jacobian: the function returned a float; expected one Tensor"):
        minidl.jacobian(lambda x: 1.0, x)
    with pytest.raises(ShapeError, match="hessian: the function must return a scalar, it returned a float"):
        minidl.hessian(lambda x: 1.0, x)
    with pytest.raises(DTypeError, match="jvp: direction 1 is a list; expected a Tensor"):
        minidl.jvp(lambda x: x, (x,), ([1.0, 1.0],))
    with pytest.raises(DTypeError, match="grad: expected a Tensor to differentiate, got a float"):
        minidl.grad(1.0, double(1.0))


def test_results_without_gradient_give_zeros() -> None:
    x = minidl.tensor([1.0, -2.0])
    assert minidl.vjp(lambda x: x > 0, x, minidl.ones(2))[1].tolist() == [0, 0]
    assert minidl.jvp(lambda x: x > 0, x, x)[1].tolist() == [0, 0]
    assert minidl.jacobian(lambda x: x > 0, x).tolist() == [[0, 0], [0, 0]]
    assert minidl.hessian(lambda x: (x > 0).sum(), x).tolist() == [[0, 0], [0, 0]]


def test_unused_inputs_and_infinities_give_zeros() -> None:
    x, y = minidl.tensor([1.0]), minidl.tensor([float("inf")])
    assert minidl.vjp(lambda x, y: x * 2, (x, y), minidl.ones(1))[1][1].tolist() == [0]
    assert minidl.jvp(lambda x, y: x * 2 + y, (x, y), (x, x))[1].tolist() == [3]
    assert minidl.hessian(lambda x, y: (x * x).sum(), (x, y))[1][1].tolist() == [[0]]


def test_grad_of_a_view_that_was_left_behind() -> None:
    base = minidl.ones(3)
    part = base[:2]
    base *= double(2.0)[0]
    assert minidl.grad(part.sum(), part)[0].tolist() == [1, 1]


# ---------------------------------------------------------------------- gradcheck


class Tilted(minidl.autograd.Function):
    """Squares, with a gradient off by a factor."""

    factor = 2.0

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad * Tilted.factor * x


def test_gradcheck_sees_a_wrong_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    x = double(1.0, -2.0, 0.5)
    assert minidl.gradcheck(Tilted.apply, x)
    assert minidl.gradgradcheck(Tilted.apply, x)
    monkeypatch.setattr(Tilted, "factor", 2.001)
    assert not minidl.gradcheck(Tilted.apply, x, raise_exception=False)
    with pytest.raises(GradError, match=r"the engine's derivative is .*, the finite difference"):
        minidl.gradcheck(Tilted.apply, x)


def test_gradcheck_wants_float64() -> None:
    with pytest.raises(DTypeError, match=r"need float64 inputs, got float32; use x.double\(\)"):
        minidl.gradcheck(lambda x: x, minidl.tensor([1.0], requires_grad=True))
    with pytest.raises(GradError, match="no input requires gradients"):
        minidl.gradcheck(lambda x: x, minidl.tensor([1.0]))
    with pytest.raises(GradError, match="cut off from its inputs"):
        minidl.gradcheck(lambda x: x.detach(), double(1.0))


def test_gradcheck_takes_one_tensor_twice() -> None:
    x = double(1.0, -2.0)
    assert minidl.gradcheck(lambda x, y: x * x * y, (x, x))
    assert minidl.gradgradcheck(lambda x, y: x * x * y, (x, x))


def test_gradcheck_sees_an_output_that_was_cut_off() -> None:
    x = double(1.0, -2.0)
    assert not minidl.gradcheck(lambda x: (x * x, (x * 2).detach()), x, raise_exception=False)
    assert not minidl.gradcheck(lambda x: x * x.detach(), x, raise_exception=False)
    assert not minidl.gradgradcheck(lambda x: x.detach() * x * x, x, raise_exception=False)
