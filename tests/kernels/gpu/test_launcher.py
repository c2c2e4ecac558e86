"""How a kernel is called: its source is read, its arguments are made what the source says, and the rest is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl.backend import devices
from minidl.errors import ArgumentError, DeviceError, DTypeError, ShapeError
from minidl.kernels.gpu import launcher
from minidl.kernels.gpu.launcher import Kernel, Parameter, countable, grid, parameters, plane_grid
from tests.kernels.gpu.harness import on_gpu

SOURCE = """
// extern "C" __global__ void all(int not_this)
#define TWO 2
extern "C" __global__ void __launch_bounds__(32 * TWO, 4) all(
    const REAL* __restrict__ x, /* , */ REAL *y, const long long* at, unsigned char* flags,
    REAL a, int n, long long m, unsigned long long seed, unsigned int low, bool yes, double exact)
{
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] = (x ? x[i] : (REAL)0) * a + (REAL)(yes ? exact : 0);
        if (at) y[i] += (REAL)(at[i] + m) + (REAL)(seed >> 40) + (REAL)low;
        flags[i] = 1;
    }
}
extern "C" __global__ void shared_sum(const REAL* x, REAL* y)
{
    extern __shared__ REAL held[];
    held[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) for (int i = 0; i < blockDim.x; i++) *y += held[i];
}
"""


@pytest.fixture(autouse=True)
def _source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "read", lambda file: SOURCE)


def arguments(dtype: str = "float32", **changes: Any) -> list[Any]:
    """Return what ``all`` takes."""
    x = np.arange(5, dtype=dtype)
    given: dict[str, Any] = {"x": x, "y": np.zeros_like(x), "at": x.astype("i8"), "flags": np.zeros(5, "u1")}
    given |= {"a": 2, "n": 5, "m": 2**40, "seed": 2**63, "low": 2**32 - 1, "yes": True, "exact": 0.5}
    return [on_gpu(value) for value in (given | changes).values()]


def test_a_parameter_list() -> None:
    assert parameters(SOURCE, "all") == (
        Parameter("REAL", True, "x"),
        Parameter("REAL", True, "y"),
        Parameter("long long", True, "at"),
        Parameter("unsigned char", True, "flags"),
        Parameter("REAL", False, "a"),
        Parameter("int", False, "n"),
        Parameter("long long", False, "m"),
        Parameter("unsigned long long", False, "seed"),
        Parameter("unsigned int", False, "low"),
        Parameter("bool", False, "yes"),
        Parameter("double", False, "exact"),
    )
    with pytest.raises(ArgumentError, match=r"no kernel 'some' in this source: expected `__global__ void some\("):
        parameters(SOURCE, "some")
    with pytest.raises(
        ArgumentError, match=r"kernel wrong: parameter `const half\* x` has a type that is none of float"
    ):
        parameters('extern "C" __global__ void wrong(int n, const half* x) {}', "wrong")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_become_what_the_kernel_reads(dtype: str) -> None:
    kernel, args = Kernel("a.cu", "all"), arguments(dtype)
    kernel(1, 32, *args)
    want = np.arange(5) * 2 + 0.5 + np.arange(5) + 2.0**40 + 2.0**23 + 2.0**32 - 1
    np.testing.assert_allclose(args[1].get(), want.astype(dtype), rtol=1e-6)
    assert args[3].get().all()
    kernel(1, 32, *arguments(dtype, n=np.int64(3), a=np.float64(1), exact=1))  # whatever their types are


def test_none_is_a_null_pointer() -> None:
    args = arguments("float64", x=None, at=None)
    Kernel("a.cu", "all")((1, 1, 1), (32,), *args)
    np.testing.assert_array_equal(args[1].get(), np.full(5, 0.5))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": np.zeros(5, "f8")}, DTypeError, "kernel all, parameter y: expected an array of float64, got float32"),
        ({"at": np.zeros(5, "i4")}, DTypeError, r"parameter at: expected an array of int64, got int32; cast it with"),
        (
            {"y": np.zeros((5, 2), "f4")[:, 0]},
            ShapeError,
            r"parameter y: .* shape \(5,\) with strides \(8,\) is not C-",
        ),
        ({"x": 3}, DTypeError, "parameter x: expected a CuPy array or None, got int"),
        ({"n": 2**31}, ArgumentError, "parameter n: 2147483648 is no int32"),
        ({"low": -1}, ArgumentError, "parameter low: -1 is no uint32"),
        ({"n": None}, ArgumentError, "parameter n: None is no int32"),
        ({"a": "much"}, ArgumentError, "parameter a: 'much' is no float32"),
    ],
)
def test_what_does_not_fit_is_refused(changes: Any, error: type[Exception], message: str) -> None:
    args = arguments(**changes)
    if "y" in changes:
        args[1] = devices.cupy().zeros((5, 2), "float32")[:, 0]
    with pytest.raises(error, match=message):
        Kernel("a.cu", "all")(1, 32, *args)


def test_numpy_arrays_and_missing_arguments_are_refused() -> None:
    args = arguments()
    with pytest.raises(DTypeError, match="parameter flags: expected a CuPy array or None, got ndarray"):
        Kernel("a.cu", "all")(1, 32, *args[:3], np.zeros(5, "u1"), *args[4:])
    with pytest.raises(ArgumentError, match="kernel all: 10 arguments for 11 parameters"):
        Kernel("a.cu", "all")(1, 32, *args[:-1])
    with pytest.raises(DTypeError, match="kernel all: REAL is float16; expected float32 or float64"):
        Kernel("a.cu", "all")(1, 32, *args, dtype="float16")


def test_shared_memory_that_the_launch_sizes() -> None:
    x, y = on_gpu(np.arange(40, dtype="f4")), on_gpu(np.zeros(1, "f4"))
    Kernel("a.cu", "shared_sum")(1, 40, x, y, shared=160)
    assert y.get() == 780


def test_each_type_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    raw = devices.cupy().RawKernel
    monkeypatch.setattr(
        devices.cupy(), "RawKernel", lambda *args, **kwargs: (made.append(kwargs["options"]), raw(*args, **kwargs))[1]
    )
    kernel = Kernel("a.cu", "all")
    for dtype in ("float32", "float64") * 2:
        kernel(1, 32, *arguments(dtype))
    assert made == [("-DREAL=float",), ("-DREAL=double",)]


def test_it_runs_where_its_arrays_are() -> None:
    module = devices.cupy()
    if module.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")
    with module.cuda.Device(1):
        there = arguments()
    Kernel("a.cu", "all")(1, 32, *there)
    assert there[3].get().all()
    there[1] = arguments()[1]
    with pytest.raises(DeviceError, match=r"parameter y: this array is on gpu:0, another on gpu:1; move one with .to"):
        Kernel("a.cu", "all")(1, 32, *there)


def test_grids() -> None:
    assert [grid(n) for n in (0, 1, 256, 257, 2**40)] == [1, 1, 1, 2, launcher.MOST_BLOCKS]
    assert grid(100, 32) == 4
    assert plane_grid(3, 25) == ((3, 1), 32)
    assert plane_grid(3, 784) == ((3, 4), 256)
    assert plane_grid(2**40, 2**31 - 1) == ((launcher.MOST_BLOCKS, launcher.MOST_ROWS), 256)
    assert countable(3, 2**31 - 1)
    assert not countable(3, 2**31)
