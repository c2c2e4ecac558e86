"""The Tensor: conversions, copies, hooks, versions, and what Python's own functions ask of it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.backend import is_gpu_available
from minidl.errors import DeviceError, DTypeError, GradError, RangeError, ShapeError


def test_python_numbers() -> None:
    x = minidl.tensor([[2.5]])
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert isinstance(x.item(), float)
    assert minidl.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert minidl.tensor(3).tolist() == 3
    assert [10, 20, 30][minidl.tensor(1)] == 20
    assert list(range(minidl.tensor([2]))) == [0, 1]
    assert f"{minidl.tensor(3.14159):.2f}" == "3.14"
    assert f"{minidl.tensor(7):>4d}" == "   7"
    assert f"{minidl.tensor([1.0])}" == "tensor([1.])"
    assert f"{minidl.tensor(1.5)} {minidl.tensor(2)} {minidl.tensor(True)}" == "1.5 2 True"


def test_the_class_makes_floats() -> None:
    for data in ([1, 2], np.array([1, 2]), minidl.tensor([1, 2]), [True, 2]):
        assert repr(minidl.Tensor(data)) == "tensor([1., 2.])"
    assert minidl.Tensor(2, 3).shape == minidl.Tensor(*minidl.ones(2, 3).shape).shape == (2, 3)
    assert minidl.Tensor(4).shape == (4,)
    assert minidl.Tensor().shape == (0,)
    assert minidl.Tensor([1], dtype="int8", device="cpu").dtype == minidl.int8
    assert minidl.Tensor(2, requires_grad=True).requires_grad
    x = minidl.ones(2)
    minidl.Tensor(x)[0] = 5
    assert x.tolist() == [1, 1]
    with pytest.raises(ShapeError, match="empty: sizes must not be negative"):
        minidl.Tensor(-1)


def test_types_by_pytorchs_old_names() -> None:
    x = minidl.LongTensor([1.5, 2])
    assert (x.dtype, x.tolist()) == (minidl.int64, [1, 2])
    assert minidl.FloatTensor(2, 3).shape == (2, 3)
    assert isinstance(x, minidl.LongTensor)
    assert not isinstance(x, minidl.FloatTensor)
    assert not isinstance([1], minidl.LongTensor)
    assert x.type(minidl.FloatTensor).dtype == minidl.float32
    assert x.to(minidl.DoubleTensor).dtype == minidl.float64
    assert repr(minidl.BoolTensor) == "<tensors of bool>"


def test_python_containers() -> None:
    x = minidl.arange(6).reshape(2, 3)
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[0, 1, 2], [3, 4, 5]]
    assert 5 in x
    assert 7 not in x
    assert minidl.tensor(2) in x
    a, b = minidl.tensor([1.0, 2.0], requires_grad=True) * 2
    assert a.requires_grad
    assert (a.item(), b.item()) == (2.0, 4.0)
    assert list(minidl.zeros(0, 3)) == []
    assert reversed(x).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert len({x, x, minidl.arange(6)}) == 2


def test_numpy_shares_memory() -> None:
    x = minidl.zeros(2, device="cpu")
    array = x.numpy()
    array[0] = 1
    np.asarray(x)[1] = 2
    assert x.tolist() == [1, 2]
    assert np.array(x) is not x.array
    assert np.asarray(x, dtype="f8").dtype == np.float64
    w = minidl.ones(2, device="cpu", requires_grad=True)
    with pytest.raises(GradError, match=r"use x.detach\(\).numpy\(\)"):
        w.numpy()
    assert w.numpy(force=True).tolist() == [1, 1]
    assert np.asarray(w).tolist() == [1, 1]
    assert np.shares_memory(w.detach().numpy(), w.array)


@pytest.mark.parametrize(
    ("method", "dtype"),
    [
        ("float", "float32"), ("double", "float64"), ("half", "float16"), ("long", "int64"), ("int", "int32"),
        ("short", "int16"), ("bool", "bool"),
    ],
)  # fmt: skip
def test_dtype_methods(method: str, dtype: str) -> None:
    x = getattr(minidl.tensor([0.0, 1.5]), method)()
    assert x.dtype == dtype
    assert getattr(minidl, method if method != "long" else "int64") == dtype


def test_bytes_by_pytorchs_names() -> None:
    assert minidl.tensor([1.5]).byte().dtype == minidl.uint8
    assert minidl.tensor([1.5]).char().dtype == minidl.int8


def test_numbers_beyond_a_dtype_convert_without_a_warning() -> None:
    x = minidl.tensor([float("nan"), 1e30])
    assert x.half().tolist()[1] == float("inf")
    assert x.long().dtype == minidl.int64


def test_to() -> None:
    x = minidl.ones(2, device="cpu", requires_grad=True)
    assert x.to("cpu") is x
    assert x.to(minidl.float32) is x
    assert x.to(device="cpu", dtype="float32", non_blocking=True) is x
    assert x.to("cpu", minidl.float64).dtype == minidl.float64
    assert x.to("float16").dtype == minidl.float16
    assert x.to(minidl.arange(1)).dtype == minidl.int64
    assert x.to(minidl.device("cpu"), copy=True) is not x
    assert x.cpu() is x
    assert x.type() == "float32"
    assert x.type(minidl.int32).dtype == x.type_as(minidl.zeros(1, dtype="int32")).dtype == minidl.int32
    assert x.astype("int8").dtype == minidl.int8
    with pytest.raises(DTypeError, match="unknown dtype 'cpux'"):
        x.to("cpux")


@pytest.mark.skipif(is_gpu_available(), reason="a GPU can be used here")
@pytest.mark.parametrize("call", [lambda x: x.to("cuda:1"), lambda x: x.cuda(), lambda x: x.gpu(1)])
def test_without_a_gpu(call: Callable[[Any], Any]) -> None:
    with pytest.raises(DeviceError, match="no GPU can be used"):
        call(minidl.ones(2))


def test_what_it_is() -> None:
    x = minidl.zeros(2, 3)
    assert x.size() == x.shape == (2, 3)
    assert x.size(-1) == x.size(dim=1) == 3
    assert x.dim() == x.ndimension() == x.ndim == 2
    assert x.numel() == x.nelement() == minidl.numel(x) == 6
    assert x.element_size() == x.itemsize == 4
    assert x.nbytes == 24
    assert x.stride() == (3, 1)
    assert x.T.stride(0) == 1
    assert x.is_contiguous()
    assert not x.T.is_contiguous()
    assert x.T.contiguous().is_contiguous()
    assert x.contiguous() is x
    assert x.is_floating_point()
    assert not x.cpu().is_cuda
    assert x.cpu().device == "cpu"
    assert x.device == minidl.get_default_device()
    assert minidl.is_tensor(x)
    assert not minidl.is_tensor(x.numpy())


def test_deepcopy_and_pickle_of_leaves() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    for copied in (copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x))):
        assert copied.tolist() == [1, 2]
        assert copied.requires_grad
        assert copied.is_leaf
        assert type(copied) is minidl.Tensor
    copied = copy.deepcopy([x, x])
    assert copied[0] is copied[1]
    assert copied[0].grad.tolist() == [2, 4]
    assert not np.shares_memory(copied[0].array, x.array)
    assert np.shares_memory(copy.copy(x).array, x.array)
    copy.copy(x).detach()[0] = 1
    assert x.version == 1
    assert type(pickle.loads(pickle.dumps(nn.Parameter([1.0])))) is nn.Parameter
    with pytest.raises(GradError, match=r"copy.deepcopy: only a leaf .* the result of mul"):
        copy.deepcopy(x * 2)
    with pytest.raises(GradError, match=r"pickling: .* use x.detach\(\).clone\(\)"):
        pickle.dumps(x * 2)


def test_leaves_and_results() -> None:
    x = minidl.ones(2, requires_grad=True)
    y = x * 2
    assert x.is_leaf
    assert not y.is_leaf
    assert x.grad_fn is None
    assert repr(y.grad_fn) == "<mul backward>"
    assert minidl.ones(2).requires_grad_().requires_grad
    assert not x.detach().requires_grad
    with pytest.raises(GradError, match="only a leaf can be switched off"):
        y.requires_grad = False
    assert y.detach_().is_leaf
    with pytest.raises(GradError, match="a view cannot be cut off"):
        (x * 2)[0].detach_()
    with pytest.raises(GradError, match="only float tensors"):
        minidl.arange(2).requires_grad_()


def test_grad_must_fit() -> None:
    x = minidl.ones(2)
    x.grad = minidl.zeros(2)
    x.grad = None
    with pytest.raises(ShapeError, match=r"a gradient of shape \(3,\) for a tensor of shape \(2,\)"):
        x.grad = minidl.zeros(3)
    with pytest.raises(DTypeError, match="expected a Tensor or None, got list"):
        x.grad = [0.0, 0.0]


def test_data_has_a_version_of_its_own() -> None:
    x = minidl.ones(2, requires_grad=True)
    y = x * x
    x.data.mul_(3)
    assert x.tolist() == [3, 3]
    assert x.version == x._version == 0
    y.sum().backward()  # nobody noticed
    x.data = minidl.tensor([5.0, 6.0])
    assert x.tolist() == [5, 6]
    assert x.requires_grad
    with pytest.raises(DTypeError, match="data: expected a Tensor"):
        x.data = [1.0]
    with pytest.raises(GradError, match="only float tensors"):
        x.data = minidl.arange(2)


def test_detach_shares_the_version() -> None:
    x = minidl.ones(2, requires_grad=True)
    y = x * x
    x.detach().mul_(3)
    with pytest.raises(GradError, match="modified in place"):
        y.sum().backward()


def test_hooks() -> None:
    seen: list[float] = []
    x = minidl.tensor(3.0, requires_grad=True)
    y = x * 2
    with y.register_hook(lambda grad: grad * 10):
        handle = x.register_hook(lambda grad: seen.append(grad.item()))
        y.retain_grad()
        y.retain_grad()
        assert y.retains_grad
        y.backward(retain_graph=True)
    assert seen == [20.0]
    assert x.grad.item() == 20.0
    handle.remove()
    handle.remove()
    y.backward()
    assert seen == [20.0]
    assert x.grad.item() == 22.0
    with pytest.raises(GradError, match="register_hook: the tensor does not require gradients"):
        minidl.ones(2).register_hook(print)
    with pytest.raises(GradError, match="retain_grad: the tensor does not require gradients"):
        minidl.ones(2).retain_grad()


def test_retained_gradients_accumulate_and_stay_what_they_were() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.retain_grad()
    assert y.grad is None
    (y * y).sum().backward(retain_graph=True)
    first = y.grad
    assert first.tolist() == [6, 12]
    (y * y).sum().backward()
    assert y.grad.tolist() == [12, 24]
    assert first.tolist() == [6, 12]
    x.retain_grad()  # nothing to do for a leaf
    assert not x.retains_grad


def test_hooks_on_views_of_what_was_written() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    part = y[:1]
    y.mul_(2)
    part.retain_grad()
    (part * 5).sum().backward()
    assert part.grad.tolist() == [5]
    assert x.grad.tolist() == [10, 0]


def test_fills() -> None:
    x = minidl.empty(2, 3)
    assert x.fill_(2.5) is x
    assert x.tolist() == [[2.5] * 3] * 2
    assert x.zero_().sum().item() == 0
    assert x.copy_(minidl.tensor([1, 2, 3])).tolist() == [[1, 2, 3]] * 2
    assert x.version == 3
    assert ((x.uniform_(2, 3) >= 2) & (x < 3)).all()
    w = minidl.ones(3, requires_grad=True)
    y = w * 2
    y.normal_()
    y.sum().backward()
    assert w.grad.tolist() == [0, 0, 0]
    with minidl.no_grad():
        w.uniform_()
    with pytest.raises(GradError, match="a leaf tensor"):
        w.zero_()


def test_inference_tensors() -> None:
    with minidl.inference_mode():
        x = minidl.ones(2)
    assert x.is_inference()
    assert x._version == 0
    with pytest.raises(GradError, match="made in inference mode"):
        x.requires_grad = True


ERRORS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda x: x.item(), ShapeError, r"item: the tensor has 6 elements \(shape \(2, 3\)\), expected one"),
    (lambda x: bool(x), ShapeError, r"use x.any\(\) or x.all\(\)"),
    (lambda x: bool(x[:0]), ShapeError, "0 elements"),
    (lambda x: float(x), ShapeError, "expected one"),
    (lambda x: [1, 2][x[0, 0]], DTypeError, "only an integer tensor of one element"),
    (lambda x: len(x.sum()), DTypeError, r"len: a tensor without axes \(shape \(\)\) has no length"),
    (lambda x: list(x.sum()), DTypeError, r"cannot be iterated over; use x.item\(\)"),
    (lambda x: f"{x:.2f}", DTypeError, r"formatted with '.2f', this one has shape \(2, 3\)"),
    (lambda x: x.size(2), RangeError, "size: axis 2"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(minidl.ones(2, 3))
