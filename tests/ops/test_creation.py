"""Creation: from data, constants, ranges, random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DeviceError, DTypeError, GradError, RangeError, ShapeError

torch = pytest.importorskip("torch")

SAME_CALLS = [
    lambda m: m.tensor(1.5),
    lambda m: m.tensor([[1, 2], [3, 4]]),
    lambda m: m.tensor([True, False]),
    lambda m: m.tensor([1, 2.5]),
    lambda m: m.tensor([]),
    lambda m: m.tensor(np.arange(3.0)),
    lambda m: m.tensor(np.arange(3, dtype="int16")),
    lambda m: m.tensor([1.0, 2.0], dtype=m.int32),
    lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)]),
    lambda m: m.zeros(2, 3),
    lambda m: m.zeros((2, 3)),
    lambda m: m.zeros([0, 3]),
    lambda m: m.zeros(()),
    lambda m: m.ones(2, dtype=m.int64),
    lambda m: m.ones(3, dtype=m.bool),
    lambda m: m.full((2, 3), 7),
    lambda m: m.full((2,), 0.5),
    lambda m: m.full((), True),
    lambda m: m.full((2,), 1, dtype=m.float64),
    lambda m: m.zeros_like(m.ones(2, 3)),
    lambda m: m.ones_like(m.arange(3)),
    lambda m: m.ones_like(m.arange(3), dtype=m.float32),
    lambda m: m.full_like(m.ones(2), 3),
    lambda m: m.arange(5),
    lambda m: m.arange(2, 10, 3),
    lambda m: m.arange(5, 0, -2),
    lambda m: m.arange(0.0, 1.0, 0.25),
    lambda m: m.arange(3, dtype=m.float64),
    lambda m: m.arange(2.5),
    lambda m: m.arange(0),
    lambda m: m.linspace(0, 1, 5),
    lambda m: m.linspace(0, 1, steps=1),
    lambda m: m.linspace(1, -1, 4, dtype=m.float64),
    lambda m: m.logspace(0, 3, 4),
    lambda m: m.logspace(0, 3, 4, base=2),
    lambda m: m.eye(3),
    lambda m: m.eye(2, 3, dtype=m.int32),
    lambda m: m.tril_indices(3, 4),
    lambda m: m.tril_indices(3, 4, -1),
    lambda m: m.triu_indices(3, 4, 1),
    lambda m: m.meshgrid(m.arange(2), m.arange(3), indexing="ij")[1],
    lambda m: m.meshgrid(m.arange(2), m.arange(3), indexing="xy")[0],
    lambda m: m.meshgrid(m.arange(2), m.arange(3), m.arange(4), indexing="xy")[2],
    lambda m: m.ones(2).new_zeros(3),
    lambda m: m.arange(2).new_ones((2, 2)),
    lambda m: m.arange(2).new_full((2,), 5),
    lambda m: m.ones(2, dtype=m.float64).new_tensor([1, 2]),
    lambda m: m.as_tensor([1.0, 2.0]),
    lambda m: m.as_tensor(np.arange(2), dtype=m.float32),
]


@pytest.mark.parametrize("call", SAME_CALLS)
def test_values_and_dtypes_are_pytorchs(call: Callable[[Any], Any]) -> None:
    got, want = call(minidl), call(torch)
    assert str(got.dtype) == str(want.dtype).removeprefix("torch.")
    assert got.shape == tuple(want.shape)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)


def test_meshgrid_needs_no_indexing() -> None:
    rows, columns = minidl.meshgrid([minidl.arange(2), minidl.arange(3)])
    assert rows.shape == columns.shape == (2, 3)
    assert np.shares_memory(*(x.array for x in (columns, columns[0])))


def test_meshgrid_passes_gradients() -> None:
    x, y = minidl.rand(2, requires_grad=True), minidl.rand(3, requires_grad=True)
    a, b = minidl.meshgrid(x, y)
    (a * b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(2, y.numpy(force=True).sum()), rtol=1e-6)


@pytest.mark.usefixtures("cpu")
def test_tensor_copies_and_as_tensor_shares() -> None:
    array = np.zeros(2)
    copied, shared, also = minidl.tensor(array), minidl.as_tensor(array), minidl.from_numpy(array)
    array[0] = 5
    assert (copied[0], shared[0], also[0]) == (0, 5, 5)
    x = minidl.ones(2, requires_grad=True)
    assert minidl.as_tensor(x) is x
    converted = minidl.as_tensor(x, dtype=minidl.float64)
    converted.sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert minidl.tensor(x).requires_grad is False


def test_foreign_byte_order_is_converted() -> None:
    assert minidl.tensor(np.arange(3, dtype=">f4")).dtype == minidl.float32
    with pytest.raises(DTypeError, match="unknown dtype"):
        minidl.from_numpy(np.arange(3, dtype=">f4"))


def test_requires_grad() -> None:
    for x in (minidl.zeros(2, requires_grad=True), minidl.full((2,), 1.0, requires_grad=True)):
        assert x.requires_grad
        assert x.is_leaf
    with pytest.raises(GradError, match="only float tensors"):
        minidl.tensor([1, 2], requires_grad=True)
    with pytest.raises(GradError, match="only float tensors"):
        minidl.arange(3, requires_grad=True)


def test_the_default_dtype() -> None:
    assert minidl.get_default_dtype() == minidl.float32
    try:
        minidl.set_default_dtype(minidl.float64)
        for x in (minidl.tensor(1.0), minidl.zeros(1), minidl.rand(1), minidl.randn(1), minidl.linspace(0, 1, 2)):
            assert x.dtype == minidl.float64
        assert minidl.tensor(1).dtype == minidl.int64
    finally:
        minidl.set_default_dtype("float32")
    with pytest.raises(DTypeError, match="expected float16, float32 or float64"):
        minidl.set_default_dtype(int)


@pytest.mark.usefixtures("cpu")
def test_dlpack_shares_memory_both_ways() -> None:
    theirs = torch.arange(4.0)
    mine = minidl.from_dlpack(theirs)
    mine[0] = 9
    assert theirs[0] == 9
    back = torch.from_dlpack(mine)
    back[1] = 8
    assert mine[1] == 8
    array = np.from_dlpack(mine)
    assert np.shares_memory(array, mine.array)
    transposed = torch.from_dlpack(minidl.arange(6).reshape(2, 3).T)
    assert transposed.shape == (3, 2)
    with pytest.raises(GradError, match=r"pass x.detach\(\)"):
        torch.from_dlpack(minidl.ones(2, requires_grad=True))
    with pytest.raises(DTypeError, match="list has no __dlpack__"):
        minidl.from_dlpack([1.0])
    with pytest.raises(DTypeError, match="unknown dtype"):
        minidl.from_dlpack(np.ones(2, complex))


# ---------------------------------------------------------------------- random numbers


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_moments(dtype: str) -> None:
    uniform, normal = minidl.rand(20_000, dtype=dtype), minidl.randn(200, 100, dtype=dtype)
    assert uniform.dtype == normal.dtype == dtype
    assert 0 <= uniform.numpy().min() < uniform.numpy().max() <= 1
    assert abs(float(uniform.numpy().mean(dtype="f8")) - 0.5) < 0.01
    assert abs(float(uniform.numpy().var(dtype="f8")) - 1 / 12) < 0.01
    assert abs(float(normal.numpy().mean(dtype="f8"))) < 0.03
    assert abs(float(normal.numpy().std(dtype="f8")) - 1) < 0.03


def test_a_seed_repeats_everything() -> None:
    def draw() -> list[Any]:
        return [
            minidl.rand(2).tolist(),
            minidl.randn(2).tolist(),
            minidl.randint(100, (3,)).tolist(),
            minidl.randperm(9).tolist(),
            minidl.normal(0.0, 1.0, (2,)).tolist(),
            minidl.bernoulli(minidl.full((5,), 0.5)).tolist(),
            minidl.multinomial(minidl.ones(9), 4).tolist(),
            minidl.rand_like(minidl.ones(2)).tolist(),
            minidl.randn_like(minidl.ones(2)).tolist(),
            minidl.empty(2).uniform_(-1, 1).tolist(),
            minidl.empty(2).normal_(5, 2).tolist(),
        ]

    minidl.manual_seed(3)
    first = draw()
    assert draw() != first
    minidl.manual_seed(3)
    assert draw() == first


def test_a_generator_of_ones_own() -> None:
    half = minidl.full((3,), 0.5)
    draws: list[Callable[..., Any]] = [
        lambda **g: minidl.rand(3, **g),
        lambda **g: minidl.randn((2, 2), **g),
        lambda **g: minidl.rand_like(half, **g),
        lambda **g: minidl.randn_like(half, **g),
        lambda **g: minidl.randint(100, (5,), **g),
        lambda **g: minidl.randperm(20, **g),
        lambda **g: minidl.normal(0.0, 1.0, (3,), **g),
        lambda **g: minidl.bernoulli(minidl.full((30,), 0.5), **g),
        lambda **g: minidl.multinomial(minidl.ones(50), 5, **g),
        lambda **g: minidl.multinomial(minidl.ones(50), 5, replacement=True, **g),
    ]
    generator = minidl.Generator(device=minidl.get_default_device())
    before = minidl.get_rng_state()
    for draw in draws:
        first = draw(generator=generator.manual_seed(1)).tolist()
        state = generator.get_state()
        second = draw(generator=generator).tolist()
        assert draw(generator=generator.manual_seed(1)).tolist() == first != second
        assert draw(generator=generator.set_state(state)).tolist() == second
    assert minidl.get_rng_state() == before
    with pytest.raises(DTypeError, match=r"generator= must be a minidl.Generator, got int"):
        minidl.rand(2, generator=0)


def test_sizes_by_name() -> None:
    for create in (minidl.zeros, minidl.ones, minidl.empty, minidl.rand, minidl.randn):
        assert create(size=(2, 3)).shape == create(shape=(2, 3)).shape == create(2, 3).shape == (2, 3)
        assert create(shape=4, dtype="float64").dtype == minidl.float64
    assert minidl.Size((2, 3)) == minidl.zeros(2, 3).shape


def test_a_seed_is_an_integer() -> None:
    with pytest.raises(DTypeError, match="manual_seed: the seed must be an integer, got 'a'"):
        minidl.manual_seed("a")
    with pytest.raises(ArgumentError, match="manual_seed: the seed must not be negative, got -1"):
        minidl.manual_seed(-1)
    minidl.manual_seed(np.int64(3))


def test_randint() -> None:
    x = minidl.randint(-2, 3, (1000,))
    assert x.dtype == minidl.int64
    assert sorted(set(x.tolist())) == [-2, -1, 0, 1, 2]
    assert minidl.randint(5, (2, 3)).shape == (2, 3)
    assert minidl.randint(low=4, high=5, size=2).tolist() == [4, 4]
    assert minidl.randint(3, size=(2,)).shape == (2,)
    assert minidl.randint(0, 2, (2,), dtype="uint8").dtype == minidl.uint8


def test_randperm_is_uniform() -> None:
    counts = np.zeros((3, 3))
    for _ in range(600):
        counts[np.arange(3), minidl.randperm(3).numpy()] += 1
    assert abs(counts / 600 - 1 / 3).max() < 0.08
    assert minidl.randperm(0).shape == (0,)


def test_normal_broadcasts() -> None:
    x = minidl.normal(minidl.tensor([0.0, 100.0]), minidl.tensor([[0.0], [1.0]]))
    assert x.shape == (2, 2)
    assert x[0].tolist() == [0, 100]
    assert abs(x[1, 1].item() - 100) < 10
    assert minidl.normal(3.0, 0.0, 4).tolist() == [3.0] * 4


def test_bernoulli_and_multinomial_follow_their_weights() -> None:
    p = minidl.tensor([[0.1, 0.6, 0.3]])
    x = minidl.bernoulli(p.expand(5000, 3))
    assert x.dtype == minidl.float32
    np.testing.assert_allclose(x.numpy().mean(0), p.numpy()[0], atol=0.03)
    drawn = minidl.multinomial(p[0] * 7, 5000, replacement=True)
    np.testing.assert_allclose(np.bincount(drawn.numpy(), minlength=3) / 5000, p.numpy()[0], atol=0.03)
    pairs = minidl.multinomial(p.expand(5000, 3), 2)
    assert pairs.shape == (5000, 2)
    assert (pairs.numpy()[:, 0] != pairs.numpy()[:, 1]).all()
    np.testing.assert_allclose(np.bincount(pairs.numpy()[:, 0], minlength=3) / 5000, p.numpy()[0], atol=0.03)
    # the second of two: sum over the first of p_first * p / (1 - p_first)
    q = p.numpy()[0]
    second = sum(q[i] * np.where(np.arange(3) == i, 0, q) / (1 - q[i]) for i in range(3))
    np.testing.assert_allclose(np.bincount(pairs.numpy()[:, 1], minlength=3) / 5000, second, atol=0.03)
    assert minidl.multinomial(minidl.tensor([0.0, 1.0, 0.0]), 1).tolist() == [1]


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: minidl.tensor([[1], [2, 3]]), ShapeError, "ragged"),
    (lambda: minidl.tensor(["a"]), DTypeError, "expected numbers"),
    (lambda: minidl.tensor([1j]), DTypeError, "cannot make a tensor of complex128"),
    (lambda: minidl.zeros(2, dtype="complex64"), DTypeError, "unknown dtype"),
    (lambda: minidl.zeros(2, device="tpu"), DeviceError, "unknown device 'tpu'"),
    (lambda: minidl.zeros(-1), ShapeError, r"zeros: sizes must not be negative, got \(-1,\)"),
    (lambda: minidl.ones(2.0), DTypeError, "ones: sizes must be integers"),
    (lambda: minidl.full((2,), [1, 2]), ShapeError, r"full: fill_value must be one number, got shape \(2,\)"),
    (lambda: minidl.from_numpy([1.0]), DTypeError, "from_numpy: expected a numpy.ndarray, got list"),
    (lambda: minidl.arange(0, 5, -1), ArgumentError, "no numbers lead from 0 to 5 in steps of -1"),
    (lambda: minidl.arange(0, 5, 0), ArgumentError, "in steps of 0"),
    (lambda: minidl.arange(float("inf")), ArgumentError, "no numbers lead"),
    (lambda: minidl.linspace(0, 1, -1), ArgumentError, "linspace: the number of steps"),
    (lambda: minidl.logspace(0, 1, -1), ArgumentError, "logspace: the number of steps"),
    (lambda: minidl.eye(-2), ShapeError, "eye: sizes"),
    (lambda: minidl.meshgrid(minidl.ones(2, 2)), ShapeError, "meshgrid: expected vectors"),
    (lambda: minidl.meshgrid(minidl.ones(2), indexing="yx"), ArgumentError, "must be 'ij' or 'xy'"),
    (lambda: minidl.rand(2, dtype="int64"), DTypeError, "rand: expected a float dtype, got int64; use randint"),
    (lambda: minidl.randn_like(minidl.arange(2)), DTypeError, "randn_like: expected a float dtype"),
    (lambda: minidl.randint(5), ArgumentError, r"expected randint\(high, size\)"),
    (lambda: minidl.randint(5, 5, (2,)), ArgumentError, "high must be above low, got low=5 and high=5"),
    (lambda: minidl.randperm(-1), ShapeError, "randperm: sizes"),
    (lambda: minidl.normal(0.0, -1.0, (2,)), ArgumentError, "std must not be negative"),
    (lambda: minidl.normal(minidl.zeros(2), minidl.ones(3)), ShapeError, "do not broadcast"),
    (lambda: minidl.bernoulli(minidl.tensor([1.5])), RangeError, r"must be in \[0, 1\], got 1.5 to 1.5"),
    (lambda: minidl.bernoulli(minidl.tensor([1])), DTypeError, r"p.float\(\)"),
    (lambda: minidl.multinomial(minidl.ones(2, 2, 2), 1), ShapeError, "multinomial: expected weights"),
    (lambda: minidl.multinomial(minidl.tensor([-1.0, 2.0]), 1), RangeError, "finite and not negative"),
    (lambda: minidl.multinomial(minidl.zeros(2), 1), RangeError, "positive sum"),
    (lambda: minidl.multinomial(minidl.tensor([1.0, 0.0]), 2), ArgumentError, "where 1 weights are positive"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
