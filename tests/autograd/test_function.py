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
