"""Cross entropy of probabilities: values, gradients of both orders, PyTorch's slopes where it is cut off, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl import ops
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    positive,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

try:
    import torch
except ImportError:
    torch = None

LABELS = np.array([0, 3, 1, 3, 2])
DEEP = np.array([[0, 3, 1], [2, 1, 2]])  # for probabilities (2, 3, 4)


def distributions(*shape: int) -> Any:
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1]) * 0.9 + 0.1 / shape[-1]


def categorical_np(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    return -(y * np.log(x / x.sum(axis, keepdims=True))).sum(axis)


def sparse_np(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -np.log(np.take_along_axis(x, y[..., None], -1)[..., 0] / x.sum(-1))


def categorical_torch(x: Any, y: Any, axis: int = -1) -> Any:
    p = torch.clip(x / x.sum(axis, keepdim=True), 1e-7, 1 - 1e-7)
    return -(y * torch.log(p)).sum(axis)


def sparse_torch(x: Any, y: Any) -> Any:
    return categorical_torch(x, torch.nn.functional.one_hot(y, x.shape[-1]))


def hard(rng: np.random.Generator) -> np.ndarray:
    """Probabilities at and beyond the bounds, and such as do not sum to 1."""
    x = rng.uniform(0.1, 1, (5, 4))
    x[0], x[1], x[2] = [1, 0, 0, 0], [0.5, 0.5, 1e-9, 0], [1e-7, 1 - 1e-7, 0, 0]
    return x


CASES = [
    Case(
        "categorical_crossentropy",
        ops.categorical_crossentropy,
        [positive(5, 4), distributions(5, 4)],
        categorical_np,
        lambda x, y: categorical_torch(x, y),
    ),
    Case(
        "categorical_crossentropy",
        lambda x, y: ops.categorical_crossentropy(x, y, dim=1),
        [positive(2, 4, 3), positive(2, 4, 3)],
        lambda x, y: categorical_np(x, y, 1),
    ),
    Case("categorical_crossentropy", ops.categorical_crossentropy, [positive(4), distributions(4)], categorical_np),
    Case("categorical_crossentropy", ops.categorical_crossentropy, [positive(0, 3), positive(0, 3)], categorical_np),
    Case(
        "sparse_categorical_crossentropy",
        ops.sparse_categorical_crossentropy,
        [positive(5, 4), LABELS],
        sparse_np,
        lambda x, y: sparse_torch(x, y),
    ),
    Case(
        "sparse_categorical_crossentropy",
        ops.sparse_categorical_crossentropy,
        [positive(2, 3, 4), DEEP],
        sparse_np,
    ),
    Case(
        "sparse_categorical_crossentropy",
        lambda x, y: ops.sparse_categorical_crossentropy(x, y, dim=1),
        [positive(2, 4, 3), DEEP],
        lambda x, y: sparse_np(np.moveaxis(x, 1, -1), y),
    ),
    Case(
        "sparse_categorical_crossentropy",
        lambda x, y: ops.sparse_categorical_crossentropy(x, y, ignore_index=3),
        [positive(5, 4), LABELS],
        lambda x, y: np.where(y == 3, 0, sparse_np(x, y)),
    ),
    Case("sparse_categorical_crossentropy", ops.sparse_categorical_crossentropy, [positive(4), np.array(2)], sparse_np),
    Case(
        "sparse_categorical_crossentropy",
        lambda x, y: ops.sparse_categorical_crossentropy(x, y, reduction="mean"),
        [positive(2, 3, 4), DEEP],
        lambda x, y: sparse_np(x, y).mean(),
        lambda x, y: sparse_torch(x, y).mean(),
    ),
    Case(
        "sparse_categorical_crossentropy",
        lambda x, y: ops.sparse_categorical_crossentropy(x, y, ignore_index=3, reduction="mean"),
        [positive(5, 4), LABELS],
        lambda x, y: sparse_np(x, y)[y != 3].mean(),
    ),
    Case(
        "sparse_categorical_crossentropy",
        lambda x, y: ops.sparse_categorical_crossentropy(x, y, ignore_index=3, reduction="sum"),
        [positive(5, 4), LABELS],
        lambda x, y: sparse_np(x, y)[y != 3].sum(),
    ),
]


def run(loss: Any, x: np.ndarray, y: np.ndarray, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and the gradient of their sum."""
    t = minidl.tensor(x, requires_grad=True)
    losses = loss(t, minidl.tensor(y), **settings)
    losses.sum().backward()
    return losses.detach().numpy(), t.grad.numpy()


@pytest.mark.skipif(torch is None, reason="compares with PyTorch, which is not installed")
@pytest.mark.parametrize("labels", [[0, 2, 0, 1, 3], [1, 0, 1, 1, 3]])
def test_bounds_cut_off_values_and_slopes_as_in_pytorch(labels: list[int]) -> None:
    x, y = hard(np.random.default_rng(0)), np.array(labels)
    t = torch.tensor(x, requires_grad=True)
    want = sparse_torch(t, torch.tensor(y))
    want.sum().backward()
    for got in (run(ops.sparse_categorical_crossentropy, x, y), run(ops.categorical_crossentropy, x, np.eye(4)[y])):
        np.testing.assert_allclose(got[0], want.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(got[1], t.grad.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("ignored", [None, 1])
@pytest.mark.parametrize(
    "row", [[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [-1, 2, 0, 0], [np.nan, 1, 0, 0], [4, 1, 2, 1]]
)
def test_both_orders_have_one_slope(row: list[float], ignored: int | None, reduction: str) -> None:
    """The rule that writes where the labels are, and the one that can be differentiated."""
    x = np.stack([[0.1, 0.2, 0.3, 0.4], row, [0.25] * 4])
    for labels in ([0, 1, 2], [1, 0, 1]):
        slopes = []
        for create_graph in (False, True):
            t = minidl.tensor(x, requires_grad=True)
            losses = ops.sparse_categorical_crossentropy(
                t, minidl.tensor(labels), ignore_index=ignored, reduction=reduction
            )
            slopes += minidl.grad(losses.sum(), t, create_graph=create_graph)
        plain, recorded = (slope.detach().numpy() for slope in slopes)
        clean = ~np.isnan(recorded)  # what cannot be predicted by NaN has no slope by the one, and may by the other
        np.testing.assert_allclose(plain[clean], recorded[clean], rtol=1e-12, atol=1e-15)
        assert not np.isnan(plain[[0, 2]]).any()


def test_a_certain_mistake_costs_sixteen_and_has_no_slope() -> None:
    losses, grad = run(ops.categorical_crossentropy, np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(losses, [-np.log(1e-7)])
    assert grad.tolist() == [[0, 0]]


def test_ignored_labels_cost_nothing_whatever_was_predicted() -> None:
    x = np.array([[0.0, 0.0], [0.5, 0.5]])
    losses, grad = run(ops.sparse_categorical_crossentropy, x, np.array([-1, 1]), ignore_index=-1)
    np.testing.assert_allclose(losses, [0, np.log(2)])
    np.testing.assert_allclose(grad, [[0, 0], [1, -1]])


def test_float32_stays() -> None:
    x = minidl.tensor([[0.25, 0.75]], requires_grad=True)
    for loss in (
        ops.categorical_crossentropy(x, minidl.tensor(np.array([[0.0, 1.0]]).astype("i8"))),
        ops.sparse_categorical_crossentropy(x, minidl.tensor([1])),
    ):
        assert loss.dtype == np.float32
        x.grad = None
        loss.backward(minidl.ones(1))
        assert x.grad.dtype == np.float32


@pytest.mark.usefixtures("cpu")
def test_every_label_counts_unless_told() -> None:
    x = minidl.full((2, 3), 1 / 3)
    with pytest.raises(RangeError, match="sparse_categorical_crossentropy: label -100 at position 1 is out of range"):
        ops.sparse_categorical_crossentropy(x, minidl.tensor([0, -100]))
    with pytest.raises(RangeError, match="label -100 at position 1 is out of range for 3 classes"):
        ops.cross_entropy(x, minidl.tensor([0, -100]), ignore_index=None)


def test_shapes_and_labels_that_do_not_fit() -> None:
    x = minidl.full((2, 3), 1 / 3)
    with pytest.raises(ShapeError, match=r"prediction \(2, 3\) and target \(2,\) must have the same shape"):
        ops.categorical_crossentropy(x, minidl.tensor([0, 1]))
    with pytest.raises(ShapeError, match=r"need labels of shape \(2,\), got \(2, 1\)"):
        ops.sparse_categorical_crossentropy(x, minidl.tensor([[0], [1]]))
    with pytest.raises(DTypeError, match="labels must be integers from 0 to 2"):
        ops.sparse_categorical_crossentropy(x, minidl.tensor([0.0, 1.0]))
    with pytest.raises(RangeError, match="categorical_crossentropy"):
        ops.categorical_crossentropy(x, x, dim=2)
    with pytest.raises(ArgumentError, match=r"sparse_categorical_crossentropy: .*reduction"):
        ops.sparse_categorical_crossentropy(x, minidl.tensor([0, 1]), reduction="median")
