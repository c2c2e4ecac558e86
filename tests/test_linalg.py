"""minidl.linalg, and which names minidl has."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError


@pytest.mark.parametrize(
    "arguments", [{}, {"axis": 1}, {"axis": 0, "keepdims": True}, {"ord": 1, "axis": 1}, {"ord": "fro"}]
)
def test_norm_is_numpys(arguments: dict, rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 4)).astype(np.float32)
    found = minidl.linalg.norm(minidl.tensor(a), **arguments)
    np.testing.assert_allclose(found.numpy(), np.linalg.norm(a, **arguments), rtol=1e-6)


def test_norm_of_vectors() -> None:
    x = minidl.tensor([3.0, -4.0], requires_grad=True)
    minidl.linalg.norm(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.6, -0.8], rtol=1e-6)
    assert minidl.linalg.norm(x, ord=1).item() == 7
    assert minidl.linalg.norm(x, float("inf"), dim=0, keepdim=True).tolist() == [4]
    assert minidl.linalg.vector_norm(minidl.full((2, 2), 2.0), ord=1).item() == 8


def test_operator_norms_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"linalg.norm: ord=2 of a matrix is an operator norm"):
        minidl.linalg.norm(minidl.ones(2, 2), ord=2)


def test_minidl_has_operations_not_the_modules_that_hold_them() -> None:
    modules = {name for name, value in vars(minidl).items() if isinstance(value, ModuleType) and name[0] != "_"}
    assert modules <= {
        "autograd", "backend", "cli", "cuda", "data", "datasets", "dtypes", "errors", "examples", "formats",
        "formatting", "gpu", "keras", "kernels", "linalg", "nn", "ops", "optim", "serve", "training", "utils",
    }  # fmt: skip
