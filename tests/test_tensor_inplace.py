"""In-place methods and operators: the values, the graph, and what cannot be written."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minidl
from minidl._tensor_inplace import InPlace
from minidl.errors import DTypeError, GradError, ShapeError

MODULES = ["activations", "arithmetic", "elementwise", "powers", "selection", "trigonometry"]


def takes_one_argument(name: str) -> bool:
    function = getattr(minidl, name.removesuffix("_"), None)
    if name.startswith("_") or function is None or function.__module__.split(".")[-1] not in MODULES:
        return False
    return sum(p.default is p.empty for p in inspect.signature(function).parameters.values()) == 1


ONE_ARGUMENT = [name for name in vars(InPlace) if takes_one_argument(name)]


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_in_place_is_out_of_place_written_back(name):
    values = np.array([[0.2, 0.5, 0.7], [0.1, 0.3, 0.9]])
    arguments = (0.3, 0.6) if name in ("clip_", "clamp_") else ()
    x = minidl.tensor(values)
    want = getattr(x, name[:-1])(*arguments)
    assert getattr(x, name)(*arguments) is x
    np.testing.assert_array_equal(x.numpy(), want.numpy().astype(float))


def test_there_are_many():
    assert {"relu_", "exp_", "sqrt_", "abs_", "clamp_", "sigmoid_", "tanh_", "neg_", "round_"} <= set(ONE_ARGUMENT)


@pytest.mark.parametrize(
    "write",
    [
        lambda h, y: h.mul_(y),
        lambda h, y: h.div_(y),
        lambda h, y: h.pow_(y),
        lambda h, y: h.add_(y, alpha=3),
        lambda h, y: h.sub_(y),
        lambda h, y: h.lerp_(y, 0.3),
        lambda h, y: h.fmod_(y),
        lambda h, y: h.atan2_(y),
        lambda h, y: h.pow_(2).mul_(y),
        lambda h, y: h.sqrt_().log_().mul_(y),
        lambda h, y: h.clamp_(0.6, 1.5).sin_().mul_(y),
        lambda h, y: h.mul_(h).mul_(y),
    ],
)
def test_gradients_through_writes(write, rng):
    x = minidl.tensor(rng.uniform(0.5, 2, (2, 3)), requires_grad=True)
    y = minidl.tensor(rng.uniform(0.5, 2, 3), requires_grad=True)

    def func(x, y):
        return write(x * 1, y)

    def func_of_a_view(x, y):
        base = x * 1
        write(base[0], y)
        return base * base

    for f in (func, func_of_a_view):
        assert minidl.gradcheck(f, (x, y))
        assert minidl.gradgradcheck(f, (x, y))


def test_what_somebody_else_saved_must_not_be_overwritten():
    x = minidl.ones(3, requires_grad=True)
    h = x * 2
    y = h * h
    h += 1
    with pytest.raises(GradError, match="mul: a tensor it needs for its gradient was modified in place"):
        y.sum().backward()


@pytest.mark.parametrize("target", [np.s_[1], np.s_[:, 2], np.s_[::-1, 1], np.s_[1:3]])
@pytest.mark.parametrize("source", [np.s_[0], np.s_[2], np.s_[:, 2], np.s_[:, 1], np.s_[2, ::-1]])
def test_a_part_is_written_over_another(target, source):
    values = np.arange(9.0).reshape(3, 3)
    x = minidl.tensor(values)
    x[target] = x[source]
    values[target] = values[source].copy()
    np.testing.assert_array_equal(x.numpy(), values)


def test_what_does_not_fit():
    x = minidl.ones(3)
    with pytest.raises(ShapeError, match=r"add_: the result has shape \(2, 3\), which does not fit in place"):
        x.add_(minidl.ones(2, 3))
    with pytest.raises(DTypeError, match="exp_: the result is float32, which a tensor of int64 cannot hold in place"):
        minidl.tensor([1, 2]).exp_()
    with pytest.raises(GradError, match="relu_: a leaf tensor that requires gradients cannot be changed in place"):
        minidl.ones(3, requires_grad=True).relu_()
    with minidl.no_grad():
        assert minidl.ones(3, requires_grad=True).mul_(2).numpy(force=True).tolist() == [2, 2, 2]
    x += minidl.ones(3, dtype="float64")
    assert x.dtype == np.float32


def test_names():
    assert minidl.Tensor.add_.__name__ == "add_"
    assert "minidl.clip" in minidl.Tensor.clamp_.__doc__
