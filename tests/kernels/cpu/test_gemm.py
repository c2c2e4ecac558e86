"""Matrix products against NumPy's: any size and stride, batches, what passes through, and what must not be touched."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl import kernels
from minidl.kernels.cpu import gemm, pool
from minidl.kernels.cpu.vectors import ACCUMULATE, COLUMN_BIAS, RELU, ROW_BIAS

RNG = np.random.default_rng(0)
LAYOUTS = ("C", "F", "reversed", "gaps", "broadcast")


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = minidl.get_num_threads()
    monkeypatch.setattr(gemm, "LEAST_FLOPS", 1)  # small ones in parts too
    gemm.plan.cache_clear()
    yield
    gemm.plan.cache_clear()
    minidl.set_num_threads(before)


def laid_out(shape: tuple[int, int], dtype: Any, layout: str) -> np.ndarray:
    """Return random numbers in a memory layout, with nan between them where there are gaps."""
    a = RNG.standard_normal(shape).astype(dtype)
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "reversed":
        return np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]
    if layout == "gaps":
        spaced = np.full((2 * shape[0] + 1, 3 * shape[1] + 1), np.nan, dtype)
        spaced[1::2, 1::3] = a
        return spaced[1::2, 1::3]
    if layout == "broadcast":
        return np.broadcast_to(a[:, :1], shape)
    return a


def agrees(got: np.ndarray, x: np.ndarray, y: np.ndarray, more: Any = 0) -> None:
    """Compare with the product in twice the precision."""
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    want = x.astype(wide) @ y.astype(wide) + more
    size = np.abs(x).astype(wide) @ np.abs(y).astype(wide) + np.abs(more)
    assert got.dtype == x.dtype
    assert got.shape == want.shape
    assert (np.abs(got - want) <= (x.shape[-1] + 4) * np.finfo(x.dtype).eps * size).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1, 1),
        (0, 3, 4),
        (3, 0, 4),
        (3, 4, 0),
        (13, 37, 41),
        (29, 401, 67),
        (251, 3, 5),
        (40, 700, 200),
        (7, 9, 70),
        (20, 31, 603),
    ],
)
def test_every_layout(sizes: tuple[int, int, int], dtype: str) -> None:
    M, K, N = sizes
    for first in LAYOUTS:
        for second in LAYOUTS:
            x, y = laid_out((M, K), dtype, first), laid_out((K, N), dtype, second)
            agrees(gemm.matmul(x, y), x, y)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_configurations(data: st.DataObject) -> None:
    M, N = (data.draw(st.integers(0, 3 * 32 + 1)) for _ in range(2))
    K = data.draw(st.integers(0, 500))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    minidl.set_num_threads(data.draw(st.integers(1, 4)))
    x, y = (laid_out(shape, dtype, data.draw(st.sampled_from(LAYOUTS))) for shape in ((M, K), (K, N)))
    bias = RNG.standard_normal(N).astype(dtype)
    agrees(gemm.matmul(x, y), x, y)
    plain = gemm.affine(x, y, bias)
    agrees(plain, x, y, bias)
    assert (gemm.affine(x, y, bias, relu=True) == np.maximum(plain, 0)).all()


@pytest.mark.parametrize(
    "constants",
    [
        {"STEPS_BYTES": 64, "PANELS": 1},
        {"STEPS_BYTES": 4096, "PANELS": 100},
        {"FEW": 0, "TURNED": 0, "MANY_PANELS": 0},  # both factors packed
        {"FEW": 1000, "TURNED": 100, "MANY_PANELS": 1000, "PAGES": 1},  # neither
    ],
)
def test_blocks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch, constants: dict[str, int]) -> None:
    for name, value in constants.items():
        monkeypatch.setattr(gemm, name, value)
    for dtype in ("float32", "float64"):
        for layout in LAYOUTS:
            x, y = laid_out((75, 203), dtype, layout), laid_out((203, 130), dtype, layout)
            bias = RNG.standard_normal(130).astype(dtype)
            agrees(gemm.affine(x, y, bias), x, y, bias)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit(dtype: str) -> None:
    for rows in (150, 20):
        x, y = RNG.standard_normal((rows, 700)).astype(dtype), RNG.standard_normal((700, 170)).astype(dtype)
        for right in (y, np.asfortranarray(y)):
            results = []
            for count in (1, 2, 3, 5):
                minidl.set_num_threads(count)
                results.append(gemm.matmul(x, right))
            assert all(result.tobytes() == results[0].tobytes() for result in results)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(9, 1300, 70), (30, 9000, 33), (50, 1300, 70), (75, 1300, 70)])
def test_layouts_change_no_bit(sizes: tuple[int, int, int], dtype: str) -> None:
    """Which factor is packed, and how many steps at once, depends on strides; the order of the sums does not."""
    M, K, N = sizes
    x, y = RNG.standard_normal((M, K)).astype(dtype), RNG.standard_normal((K, N)).astype(dtype)
    wide = np.ones((K, 3000), dtype)
    wide[:, 5 : N + 5] = y
    want = gemm.matmul(x, y).tobytes()
    for left in (x, np.asfortranarray(x)):
        for right in (y, np.asfortranarray(y), wide[:, 5 : N + 5]):
            assert gemm.matmul(left, right).tobytes() == want


@pytest.mark.parametrize(
    ("first", "second"),
    [((3,), (3,)), ((1,), (5,)), ((4, 1), (3,)), ((), (2, 3)), ((2, 3), ()), ((0,), (1,)), ((40,), (40,))],
)
def test_batches_broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    for count in (1, 2):
        minidl.set_num_threads(count)
        x = RNG.standard_normal((*first, 17, 9)).astype("f4")
        y = RNG.standard_normal((*second, 21, 9)).astype("f4").swapaxes(-1, -2)
        agrees(gemm.matmul(x, y), x, y)
        agrees(gemm.matmul(x[..., ::-2, :], y[..., ::-1]), x[..., ::-2, :], y[..., ::-1])


def test_what_is_not_finite_passes_through() -> None:
    x, y = np.ones((20, 30), "f4"), np.ones((30, 40), "f4")
    x[3, 5], x[7, 2], y[9, 11] = np.nan, np.inf, -np.inf
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(gemm.matmul(x, y), x @ y)
        got = gemm.affine(x, y, np.zeros(40, "f4"), relu=True)
        np.testing.assert_array_equal(got, np.maximum(x @ y, 0))
        huge = np.full((16, 16), 1e38, "f4")
        assert np.isposinf(gemm.matmul(huge, huge)).all()


def test_fields_of_records_and_other_odd_strides() -> None:
    records = np.zeros((33, 21), np.dtype([("tag", "u1"), ("value", "f8")]))  # 9 bytes apart
    records["value"] = RNG.standard_normal((33, 21))
    x = records["value"]
    agrees(gemm.matmul(x, x.T), x, x.T)


def between(a: np.ndarray, margin: int = 64) -> np.ndarray:
    """Return a contiguous copy with nan before and behind it."""
    memory = np.full(a.size + 2 * margin, np.nan, a.dtype)
    memory[margin:-margin] = a.ravel()
    return memory[margin:-margin].reshape(a.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 7, 3), (14, 16, 32), (15, 17, 33), (60, 300, 70), (2, 500, 100)])
def test_nothing_outside_is_touched(sizes: tuple[int, int, int], dtype: str) -> None:
    """The factors and the result lie between margins: nan around what is read, a poison around what is written."""
    M, K, N = sizes
    margin, poison = 64, 12345
    x = np.full(M * K + 2 * margin, np.nan, dtype)
    y = np.full(K * N + 2 * margin, np.nan, dtype)
    memory = np.full(M * N + 2 * margin, poison, dtype)
    x[margin:-margin], y[margin:-margin] = RNG.standard_normal(M * K), RNG.standard_normal(K * N)
    inner, other = x[margin:-margin].reshape(M, K), y[margin:-margin].reshape(K, N)
    for count in (1, 2):
        minidl.set_num_threads(count)
        for left, right in ((inner, other), (between(inner.T).T, between(other.T).T)):
            out = memory[margin:-margin].reshape(M, N)
            out[...] = poison
            gemm.product(left, right, out)
            agrees(out, left, right)
            assert (memory[:margin] == poison).all()
            assert (memory[-margin:] == poison).all()


def before_a_guard(a: np.ndarray) -> np.ndarray:
    """Return a contiguous copy whose last element is the last before a page that can't be read."""
    pages = -(-a.nbytes // mmap.PAGESIZE)
    memory = np.frombuffer(mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE), np.uint8)
    end = pages * mmap.PAGESIZE
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    assert protect(memory.ctypes.data + end, mmap.PAGESIZE, 0) == 0
    copy = memory[end - a.nbytes : end].view(a.dtype).reshape(a.shape)
    copy[...] = a
    return copy


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="mprotect is POSIX")
@pytest.mark.parametrize("sizes", [(5, 7, 3), (9, 40, 17), (20, 31, 50), (70, 50, 67), (20, 70, 90)])
def test_nothing_beyond_the_end_is_read(sizes: tuple[int, int, int]) -> None:
    """Who does is killed."""
    M, K, N = sizes
    x, y, bias = (RNG.standard_normal(shape).astype("f4") for shape in ((M, K), (K, N), (N,)))
    for left in (before_a_guard(x), before_a_guard(x.T).T):
        for right in (before_a_guard(y), before_a_guard(y.T).T):
            agrees(gemm.affine(left, right, before_a_guard(bias)), x, y, bias)


def test_parts_write_only_their_own_outputs() -> None:
    """Run each part alone: together they write everything, and no element twice."""
    x, y = np.ones((100, 20), "f4"), np.ones((20, 90), "f4")
    written = np.zeros((100, 90), int)

    def one_at_a_time(kernel: Any, parts: int, *args: Any) -> None:
        out = next(a for a in args if isinstance(a, np.ndarray) and a.size == 9000)
        for part in range(parts):
            out[...] = -1
            kernel(part, parts, *args)
            written[...] += (out != -1).reshape(100, 90)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gemm, "run", one_at_a_time)
        minidl.set_num_threads(6)
        gemm.matmul(x, y)
    assert (written == 1).all()


def test_modes_of_the_store() -> None:
    assert len({ACCUMULATE, ROW_BIAS, COLUMN_BIAS, RELU}) == 4
    rows = 3 * gemm.MR + 1
    x, y, out = np.ones((rows, 4), "f4"), np.ones((4, 5), "f4"), np.full((rows, 5), 10, "f4")
    gemm.product(x, y, out, mode=ROW_BIAS, bias=np.arange(rows, dtype="f4"))
    assert (out == 4 + np.arange(rows)[:, None]).all()


@pytest.mark.parametrize("rows", [1, 20, 50])
def test_a_transposed_weight_has_its_bias_and_relu(rows: int) -> None:
    x, weight, bias = (RNG.standard_normal(shape).astype("f4") for shape in ((rows, 300), (90, 300), (90,)))
    plain = gemm.affine(x, weight.T, bias)
    agrees(plain, x, weight.T, bias)
    assert plain.flags.c_contiguous
    assert (gemm.affine(x, weight.T, bias, relu=True) == np.maximum(plain, 0)).all()


def test_large_products_of_the_engine_run_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(gemm, "run", lambda kernel, *args: (called.append(kernel), pool.run(kernel, *args)))
    x = minidl.tensor(RNG.standard_normal((128, 128)).astype("f4"), requires_grad=True)
    weight = minidl.tensor(RNG.standard_normal((130, 128)).astype("f4"), requires_grad=True)
    bias = minidl.zeros(130, requires_grad=True)
    y = minidl.nn.functional.linear(x, weight, bias)
    y.sum().backward()
    assert len(called) == 3
    a, b = x.detach().numpy(), weight.detach().numpy()
    np.testing.assert_allclose(y.detach().numpy(), a @ b.T, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(x.grad.numpy(), np.ones((128, 130)) @ b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(weight.grad.numpy(), np.ones((130, 128)) @ a, rtol=1e-3, atol=1e-4)
    assert (minidl.arange(200 * 200).reshape(200, 200) @ minidl.arange(200 * 200).reshape(200, 200)).shape == (200, 200)
    assert len(called) == 3  # integers: NumPy's


def test_small_or_mixed_products_are_numpys() -> None:
    assert not kernels.large_product(np.ones((32, 128), "f4"), np.ones((128, 10), "f4"))
    assert not kernels.large_product(np.ones((1, 4096), "f4"), np.ones((4096, 4096), "f4"))
    assert not kernels.large_product(np.ones((4096, 4096), "f4"), np.ones((4096, 1), "f4"))
    assert not kernels.large_product(np.ones((256, 256), "f4"), np.ones((256, 256), "f8"))
    assert kernels.large_product(np.ones((2, 1024), "f4"), np.ones((1024, 1024), "f4"))
    assert kernels.large_product(np.ones((256, 256), "f4"), np.ones((256, 256), "f4"))
