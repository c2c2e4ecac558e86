"""How tensors print: as PyTorch's do."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError


@pytest.fixture(autouse=True)
def _default_options() -> Iterator[None]:
    yield
    minidl.set_printoptions(profile="default")


RNG = np.random.default_rng(0)
AS_PYTORCH: list[Any] = [
    1.5,
    0.0,
    3,
    True,
    [1, -20, 300],
    [1.0, 2.0, 3.0],
    [-1.5, 2.25],
    [1e-7, 1.0],
    [1e-5],
    [1e9, 1.5],
    [123456.0, 0.5],
    [1000.5, 1.0],
    [0.1, 100.0],
    [1e10],
    [float("inf"), -2.5],
    [float("nan")],
    [float("nan"), 2.5],
    [[1.0, -2.0], [3.0, 400.0]],
    [True, False],
    [],
    [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
    list(range(40)),
    RNG.standard_normal((3, 4, 5)).astype("f4"),
    RNG.standard_normal((100, 30)).astype("f4"),
    RNG.standard_normal((2, 6)).astype("f4"),
    np.arange(3, dtype="int32"),
    np.zeros((2, 0), "f4"),
    np.zeros((0, 3), "int32"),
    np.float16([1.5, 2]),
    np.arange(4000).reshape(40, 100),
]


@pytest.mark.parametrize("data", AS_PYTORCH, ids=range(len(AS_PYTORCH)))
def test_repr_is_pytorchs(data: Any) -> None:
    torch = pytest.importorskip("torch")
    assert repr(minidl.tensor(data)) == repr(torch.tensor(data)).replace("torch.", "")


def test_notes() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 4.], grad_fn=<mul backward>)"
    assert repr(x.double()) == "tensor([1., 2.], dtype=float64, grad_fn=<cast backward>)"
    assert repr(minidl.tensor([], dtype="int64")) == "tensor([], dtype=int64)"
    long = minidl.tensor(np.arange(9) + 0.5, requires_grad=True)
    assert repr(long) == (
        "tensor([0.5000, 1.5000, 2.5000, 3.5000, 4.5000, 5.5000, 6.5000, 7.5000, 8.5000],\n"
        "       dtype=float64, requires_grad=True)"
    )


def test_extremes_print_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in ([1e-320, 1e300], [float("inf")], [3e38, -1e-45], [float("nan"), float("inf")]):
            assert repr(minidl.tensor(np.array(values))).startswith("tensor([")
        assert repr(minidl.tensor(np.float16([65504, 6e-8]))).startswith("tensor([6.5504e+04, 5.9605e-08]")


def test_options() -> None:
    x = minidl.tensor([0.123456, 2.0])
    minidl.set_printoptions(precision=2)
    assert repr(x) == "tensor([0.12, 2.00])"
    minidl.set_printoptions(sci_mode=True)
    assert repr(x) == "tensor([1.23e-01, 2.00e+00])"
    minidl.set_printoptions(profile="default")
    assert repr(x) == "tensor([0.1235, 2.0000])"
    minidl.set_printoptions(threshold=5, edgeitems=1)
    assert repr(minidl.arange(6)) == "tensor([0,  ..., 5])"
    minidl.set_printoptions(profile="default", linewidth=20)
    assert repr(minidl.arange(6)) == "tensor([0, 1, 2, 3,\n        4, 5])"
    with minidl.printoptions(precision=1):
        assert repr(x) == "tensor([0.1, 2.0])"
    minidl.set_printoptions(profile="full")
    assert "..." not in repr(minidl.zeros(2000))
    with pytest.raises(ArgumentError, match="unknown profile 'tiny'"):
        minidl.set_printoptions(profile="tiny")
    with pytest.raises(ArgumentError, match="precision must not be negative"):
        minidl.set_printoptions(precision=-1)
