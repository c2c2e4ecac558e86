"""The door: promotion, refusals, devices, and errors that teach."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.autograd import OPERATIONS, Operation
from minidl.backend import devices
from minidl.errors import DeviceError, DTypeError, GradError, MiniDLError, ShapeError

DTYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_python_scalar_never_widens(dtype: str) -> None:
    x = minidl.tensor(np.ones(2, dtype))
    for scalar in (2, 2.0, np.float64(2), np.int64(2), np.float32(2)):
        is_float = isinstance(scalar, (float, np.floating))
        want = dtype
        if is_float and "float" not in dtype:
            want = "float32"
        elif not is_float and dtype == "bool":
            want = "int64"
        assert (x * scalar).dtype == want
        assert (scalar * x).dtype == want


@pytest.mark.parametrize("left", DTYPES)
@pytest.mark.parametrize("right", DTYPES)
def test_promotion_of_two_tensors(left: str, right: str) -> None:
    got = (minidl.tensor(np.ones(2, left)) + minidl.tensor(np.ones(2, right))).dtype
    floats = [d for d in (left, right) if "float" in d]
    want = max(floats, key=lambda d: np.dtype(d).itemsize) if floats else np.result_type(left, right)
    assert got == want


@pytest.mark.parametrize("dtype", DTYPES)
def test_division_leaves_the_integers(dtype: str) -> None:
    x = minidl.tensor(np.ones(2, dtype))
    assert (x / x).dtype == (dtype if "float" in dtype else "float32")


def test_gradients_flow_back_through_a_promotion() -> None:
    x = minidl.tensor(np.ones(2, "float32"), requires_grad=True)
    y = minidl.tensor(np.ones(2, "float64"), requires_grad=True)
    (x * y * 3).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])


def test_lists_and_arrays_are_operands() -> None:
    x = minidl.tensor([1.0, 2.0])
    np.testing.assert_array_equal((x + [1, 2]).numpy(), [2, 4])  # noqa: RUF005  (a sum)
    assert (x + [0.5, 0.5]).dtype == np.float32  # noqa: RUF005
    assert type(np.ones(2, "float32") + x) is minidl.Tensor
    assert type(np.float64(2) * x) is minidl.Tensor


def test_plain_arrays_give_plain_arrays() -> None:
    assert type(minidl.add(np.ones(2), np.ones(2))) is np.ndarray


@pytest.mark.parametrize(
    "wrong", ["text", object(), {"a": 1}, 1j, np.array(["a"]), np.ones(2, complex)], ids=lambda w: type(w).__name__
)
def test_what_is_no_operand_is_refused(wrong: Any) -> None:
    with pytest.raises(DTypeError, match=r"add: argument 'y' is an? .*; expected a Tensor, an array of numbers"):
        minidl.tensor([1.0]) + wrong


def test_shapes_that_do_not_broadcast_are_named() -> None:
    with pytest.raises(ShapeError, match=r"mul: shapes \(2, 3\) and \(2,\) do not broadcast.*reshape, unsqueeze"):
        minidl.ones(2, 3) * minidl.ones(2)


def test_every_error_can_be_caught_as_a_built_in_one() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        minidl.ones(2, 3) * minidl.ones(2)
    with pytest.raises(TypeError, match="expected a Tensor"):
        minidl.ones(2) + "a"
    with pytest.raises(RuntimeError, match="does not require"):
        minidl.ones(2).sum().backward()
    assert issubclass(ShapeError, MiniDLError)


def test_two_operations_cannot_share_a_name() -> None:
    with pytest.raises(TypeError, match="two operations are named 'add'"):

        class Add(Operation):
            pass

    assert OPERATIONS["add"].__module__ == "minidl.ops.arithmetic"


# ---------------------------------------------------------------------- devices, with a stand-in for CuPy


def test_tensors_on_two_devices_are_refused(gpu: minidl.device) -> None:
    near, far = minidl.ones(2, 3, device="cpu"), minidl.ones(2, 3, device=gpu)
    assert str(far.device) == "gpu:0"
    with pytest.raises(
        DeviceError,
        match=r"add: its arguments live on different devices: argument 'x' \(float32\[2, 3\]\) on cpu, "
        r"argument 'y' \(float32\[2, 3\]\) on gpu:0; move them to one, for example x.to\('gpu:0'\)",
    ):
        near + far
    assert str((far + far).device) == "gpu:0"
    assert str((far * 2).device) == "gpu:0"


@pytest.mark.parametrize("host", [[1.0, 2.0], np.array([1.0, 2.0], "f4"), np.float64(2), 3, (1, 2)])
def test_data_of_the_host_goes_to_the_tensors_device(gpu: minidl.device, host: Any) -> None:
    x = minidl.tensor([3.0, 4.0], device=gpu, requires_grad=True)
    for y in (x * host, host * x if not isinstance(host, (list, tuple)) else minidl.mul(host, x)):
        assert (y.device, y.dtype) == (gpu, minidl.float32)
        np.testing.assert_allclose(y.numpy(force=True), np.array([3, 4]) * host)
    (x * host).sum().backward()
    assert x.grad.device == gpu
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(host, 2))


def test_what_may_overlap_in_memory_is_not_written_to(gpu: minidl.device) -> None:
    x = minidl.arange(6, device=gpu)
    for y in (x[:1].expand(3), x.unfold(0, 3, 1), x.reshape(2, 1, 3).expand(2, 4, 3)):
        with pytest.raises(GradError, match="read-only view"):
            y += 1
        with pytest.raises(GradError, match="read-only view"):
            y[0] = 1
    for y in (x.reshape(2, 3).T, x[::-2], x[1::3], x.unfold(0, 3, 3), x.reshape(1, 6).expand(1, 6), x[0]):
        y += 1
        y[...] = 0
    assert x.sum().item() == 0


def test_without_a_gpu_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cupy", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"no GPU can be used.*pip install 'minidl\[gpu-cuda12\]'"):
        minidl.tensor([1.0], device="gpu")
    assert not minidl.backend.is_gpu_available()


def test_unknown_devices_are_named() -> None:
    with pytest.raises(DeviceError, match="unknown device 'tpu'; expected 'cpu', 'gpu'"):
        minidl.tensor([1.0], device="tpu")
