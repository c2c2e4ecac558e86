"""What the executor computes, and what it refuses: a fault that a GPU would hide ends in an error or wrong numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cuda_on_cpu import executor
from tests.cuda_on_cpu.executor import KernelError, RawKernel, thread_order

pytestmark = pytest.mark.skipif(executor.COMPILER is None, reason="g++ is not installed: it runs CUDA C on the CPU")

SOURCE = """
__device__ int next_to(int i, int n) {
    __syncthreads();
    return (i + 1) % n;
}

// Each block turns its part by one, through shared memory.
extern "C" __global__ void __launch_bounds__(64) turn(const REAL* __restrict__ x, REAL* y, int n)
{
    __shared__ REAL held[64];
    extern __shared__ int places[];
    const int t = threadIdx.x, first = blockIdx.x * blockDim.x;
    if (first + t < n) held[t] = x[first + t];
    places[t] = t;
    const int last = min(n - first, (int)blockDim.x);
    const int from = next_to(places[t], last);
    if (first + t < n) y[first + t] = held[places[from]];
}

extern "C" __global__ void warp_sums(const REAL* x, REAL* y, bool all)
{
    REAL sum = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int by = 16; by; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
    if (all) sum = __shfl_sync(~0u, sum, 0);
    y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

extern "C" __global__ void fill(REAL* x, long long n, REAL value)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = value;
}

extern "C" __global__ void square(const int* x, int* y) { y[threadIdx.x] = x[threadIdx.x] * x[threadIdx.x]; }
"""


def kernel(name: str, source: str = SOURCE, real: str = "float") -> RawKernel:
    return RawKernel(source, name, (f"-DREAL={real}",))


def turn(source: str = SOURCE, block: int = 32, shared: int = 128) -> None:
    """Turn 100 numbers in blocks of 32 and compare."""
    x, y = np.arange(100, dtype="f4"), np.full(100, -1, "f4")
    kernel("turn", source)((4,), (block,), (x, y, np.int32(100)), shared_mem=shared)
    want = np.concatenate([np.roll(part, -1) for part in np.split(x, [32, 64, 96])])
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("descending", [False, True])
def test_barriers_and_shared_memory(descending: bool) -> None:
    with thread_order(descending):
        turn()
    assert RawKernel.descending is False


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("descending", [False, True])
def test_shuffles(real: str, descending: bool) -> None:
    x = np.arange(128, dtype={"float": "f4", "double": "f8"}[real])
    y = np.empty_like(x)
    with thread_order(descending):
        kernel("warp_sums", real=real)((2, 1), (64,), (x, y, np.bool_(True)))
        np.testing.assert_array_equal(y, np.repeat(x.reshape(4, 32).sum(1), 32))
        kernel("warp_sums", real=real)((2, 1), (64,), (x, y, np.bool_(False)))
        np.testing.assert_array_equal(y[::32], x.reshape(4, 32).sum(1))


def test_only_kernels_that_wait_run_on_fibers() -> None:
    assert {name: kernel(name).uses_fibers for name in executor.kernels_of(SOURCE)} == {
        "turn": True,  # in the function that it calls
        "warp_sums": True,
        "fill": False,
        "square": False,
    }


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("__syncthreads();", "", "an index past"),  # the poison is no place
        ("held[t] = x[first + t];", "held[t ^ 1] = x[first + t];", None),
        ("held[64]", "held[31]", "an index past the end of an array"),
        ("if (first + t < n) held", "if (first + t <= n) held", "an illegal memory access by thread"),
        ("if (first + t < n) y", "if (first + t <= n) y", "an illegal memory access by thread"),
        ("y[first + t] =", "y[first + t - 1] =", "a write before the start of an array"),
        (
            "places[t] = t;",
            "places[t] = t; if (t > 27) return;",
            "divergent barrier: 28 of 32 threads .* 4 have returned",
        ),
        ("__syncthreads();", "if (i > 3)\n__syncthreads();\nelse\n__syncthreads();", "wait at lines"),
        ("places[t] = t;", "places[t + 1] = t;", "an illegal memory access"),
        ("% n;", "% (n - n);", "division by zero|integer overflow"),
    ],
)
def test_planted_faults(old: str, new: str, error: str | None, descending: bool) -> None:
    assert old in SOURCE
    with thread_order(descending), pytest.raises(KernelError if error else AssertionError, match=error):
        turn(SOURCE.replace(old, new))


def test_a_shuffle_from_a_thread_that_is_not_there() -> None:
    x = np.zeros(20, "f4")
    with pytest.raises(KernelError, match="a shuffle from a thread that is not there"):
        kernel("warp_sums")((1,), (20,), (x, x.copy(), np.bool_(True)))


def test_an_overflow() -> None:
    x = np.full(1, 50000, "i4")
    with pytest.raises(KernelError, match="integer overflow"):
        kernel("square")((1,), (1,), (x, x.copy()))


X = np.zeros((4, 6), "f4")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((X, np.int64(24)), "2 arguments for 3 parameters"),
        ((X, 24, 1.0), r"parameter value: a number of float32 is read, CuPy would pass float64"),
        ((X, np.int32(24), np.float32(1)), "parameter n: a number of int64 is read, CuPy would pass int32"),
        ((X.astype("f8"), 24, np.float32(1)), r"parameter x: REAL\* reads float32, the array has float64"),
        ((X[:, ::2], 12, np.float32(1)), "parameter x: the array is not C-contiguous"),
        ((3, 24, np.float32(1)), "parameter x: 3 for a pointer"),
        ((X, X, np.float32(1)), "parameter n: an array for a number"),
        ((np.uint64(0), 24, np.float32(1)), "an illegal memory access"),  # None, as the launcher passes it
    ],
)
def test_arguments_that_cuda_would_misread(args: Any, error: str) -> None:
    with pytest.raises(KernelError, match=error):
        kernel("fill")((1,), (32,), args)


def test_arrays_that_overlap() -> None:
    x, n = np.zeros(100, "f4"), np.int32(50)
    with pytest.raises(KernelError, match="overlap in part"):
        kernel("turn")((2,), (32,), (x[:50], x[25:75], n), shared_mem=128)
    kernel("warp_sums")((1,), (32,), (x[:32], x[:32], np.bool_(True)))  # in place


@pytest.mark.parametrize(
    ("grid", "block", "shared", "error"),
    [
        ((1, 65536), (1,), 0, "a grid of"),
        ((0,), (1,), 0, "a grid of"),
        ((1,), (1, 1, 65), 0, "a block of"),
        ((1,), (65,), 0, "a block of .* this kernel takes 64"),
        ((1,), (32,), 48 * 1024 + 1, "bytes of shared memory"),
    ],
)
def test_limits(grid: Any, block: Any, shared: int, error: str) -> None:
    with pytest.raises(KernelError, match=error):
        kernel("turn")(grid, block, (X, X.copy(), np.int32(1)), shared_mem=shared)


def test_launch_bounds_in_macros() -> None:
    source = "#define SIDE 16  // threads\n" + SOURCE.replace("(64)", "(SIDE * 2, 4)")
    assert (kernel("turn").most_threads, kernel("turn", source).most_threads) == (64, 32)
    assert kernel("fill").most_threads == 1024
    with pytest.raises(KernelError, match="this kernel takes 32"):
        turn(source, block=33)


def test_a_barrier_that_a_macro_hides_is_no_silent_loop() -> None:
    with pytest.raises(KernelError, match="a kernel that shows none"):
        turn("#define MEET __syncthreads()\n" + SOURCE.replace("__syncthreads()", "MEET"))


def test_what_does_not_compile_says_why() -> None:
    with pytest.raises(KernelError, match=r"g\+\+: kernel.cu:2:.*'nothing'|g\+\+: .*nothing"):
        turn("\nstatic int a = nothing;" + SOURCE)
