"""Functions that users write."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.autograd import Function
from minidl.errors import DTypeError, GradError


class Scale(Function):
    """x * k with a number in between, as PyTorch's documentation writes it."""

    @staticmethod
    def forward(ctx: Any, x: Any, k: float, y: Any) -> Any:
        ctx.k = k
        ctx.save_for_backward(x, y)
        assert not minidl.is_grad_enabled()
        return x * y * k

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        assert ctx.needs_input_grad[1] is False
        return grad * y * ctx.k, None, grad * x * ctx.k


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved_tensors
        return grad * y


class SumAndSign(Function):
    """Two outputs, one without gradient."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        sign = x * 0 + 1
        ctx.mark_non_differentiable(sign)
        return x.sum(), sign

    @staticmethod
    def backward(ctx: Any, grad: Any, grad_sign: Any) -> Any:
        assert grad_sign.tolist() == [0, 0]
        return grad * minidl.ones(2, dtype="float64")


def double(*values: float) -> Any:
    return minidl.tensor(np.array(values), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "count"), [(lambda x, y: Scale.apply(x, 3.0, y), 2), (Exp.apply, 1)], ids=["Scale", "Exp"]
)
def test_both_orders(call: Any, count: int) -> None:
    inputs = (double(0.5, -1.0), double(2.0, 3.0))[:count]
    assert minidl.gradcheck(call, inputs)
    assert minidl.gradgradcheck(call, inputs)


def test_several_outputs() -> None:
    x = double(1.0, 2.0)
    total, sign = SumAndSign.apply(x)
    assert total.requires_grad
    assert not sign.requires_grad
    total.backward()
    assert x.grad.tolist() == [1, 1]


def test_without_tensors_it_is_just_called() -> None:
    class Add(Function):
        @staticmethod
        def forward(ctx: Any, a: int, b: int) -> int:
            return a + b

    assert Add.apply(1, 2) == 3


def test_no_cycle_is_left() -> None:
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(double(1.0))
        watched = weakref.ref(y._node)
        del y
        assert watched() is None
    finally:
        gc.enable()


def test_repr_names_it() -> None:
    assert "grad_fn=<Exp backward>" in repr(Exp.apply(double(1.0)))


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        @minidl.autograd.once_differentiable
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2

    x = double(1.0)
    Once.apply(x).backward()
    assert x.grad.item() == 2
    with pytest.raises(GradError, match="cannot be differentiated twice"):
        minidl.grad(Once.apply(x), x, create_graph=True)


def test_what_is_missing_is_named() -> None:
    class Empty(Function):
        pass

    class NoBackward(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    with pytest.raises(NotImplementedError, match="static method forward"):
        Empty.apply(double(1.0))
    with pytest.raises(GradError, match="static method backward"):
        NoBackward.apply(double(1.0)).backward()


def test_wrong_returns_are_named() -> None:
    class Wrong(Function):
        gives: Any = None

        @staticmethod
        def forward(ctx: Any, x: Any, k: Any) -> Any:
            return x * 2 if k else 5

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return Wrong.gives

    with pytest.raises(DTypeError, match="Wrong: forward returned a int; expected a Tensor"):
        Wrong.apply(double(1.0), 0)
    Wrong.gives = (None,)
    with pytest.raises(GradError, match="Wrong: backward returned 1 gradients for 2 arguments"):
        Wrong.apply(double(1.0), 1).backward()
    Wrong.gives = (3.0, None)
    with pytest.raises(DTypeError, match="Wrong: backward returned a float for argument 1"):
        Wrong.apply(double(1.0), 1).backward()


def test_save_for_backward_takes_tensors() -> None:
    class Saves(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(3)
            return x

    with pytest.raises(DTypeError, match=r"argument 1 is a int.*ctx.name = value"):
        Saves.apply(double(1.0))


def test_a_saved_tensor_is_guarded() -> None:
    x = double(1.0)
    y = x * 1
    z = Scale.apply(y, 2.0, y)
    with minidl.no_grad():
        y += 1
    with pytest.raises(GradError, match=r"Scale: a tensor it needs.*modified in place"):
        z.backward()


class Same(Function):
    """Returns its argument, or a view of it."""

    @staticmethod
    def forward(ctx: Any, x: Any, view: bool) -> Any:
        y = x[...] if view else x
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved_tensors
        return grad * y, None


@pytest.mark.parametrize("view", [False, True])
def test_what_returns_its_argument_does_not_share_it(view: bool) -> None:
    x = double(1.0, 2.0)
    h = x * 1
    y = Same.apply(h, view)
    y += 10
    assert h.tolist() == [1, 2]
    h += 1
    assert y.tolist() == [11, 12]
    (g,) = minidl.grad(Same.apply(x, view).sum(), x)
    assert g.tolist() == [1, 2]


class Squares(Function):
    """The form in which a context is set up apart from forward."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x * x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (x,) = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x * grad


def test_setup_context() -> None:
    x = double(1.0, 2.0)
    assert Squares.apply(x.detach()).tolist() == [1, 4]
    assert minidl.gradcheck(Squares.apply, x)
    assert minidl.gradgradcheck(Squares.apply, x)


def test_a_gradient_does_not_share_memory_with_what_backward_returned() -> None:
    class First(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(y)
            return (x * y).sum()

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return ctx.saved_tensors[0], None  # right for an upstream gradient of 1

    x, y = double(1.0, 2.0), minidl.tensor(np.array([3.0, 4.0]))
    First.apply(x, y).backward()
    First.apply(x, y).backward()
    assert x.grad.tolist() == [6, 8]
    assert y.tolist() == [3, 4]


def test_a_forward_that_writes_to_what_is_differentiated_is_refused() -> None:
    class Add(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, count: Any) -> Any:
            count += 1  # a statistic may change
            x += 1
            return x

    x, count = double(1.0) * 1, minidl.zeros(1)
    with pytest.raises(GradError, match="Add: forward wrote to its argument 1 in place, which requires gradients"):
        Add.apply(x, count)
    assert Add.apply(minidl.zeros(1), count).tolist() == [1]
    assert count.tolist() == [2]


def test_the_users_own_exceptions_come_through() -> None:
    class Fails(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            raise ValueError("operands could not be broadcast, says the user")

    with pytest.raises(ValueError, match="says the user") as caught:
        Fails.apply(double(1.0))
    assert type(caught.value) is ValueError
    assert minidl.is_grad_enabled()
