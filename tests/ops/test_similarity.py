"""Cosines and distances between vectors."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import RangeError, ShapeError

torch = pytest.importorskip("torch")
TF = torch.nn.functional

BATCHES = [((4, 3), (4, 3)), ((1, 3), (5, 3)), ((2, 3, 4), (2, 3, 4)), ((0, 3), (0, 3))]


def pair(x_shape: tuple[int, ...], y_shape: tuple[int, ...], dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((*x_shape, *y_shape))
    return rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(y_shape).astype(dtype)


@pytest.mark.parametrize("shapes", BATCHES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (minidl.cosine_similarity, TF.cosine_similarity),
        (lambda x, y: minidl.cosine_similarity(x, y, dim=-1), lambda x, y: TF.cosine_similarity(x, y, dim=-1)),
        (minidl.pairwise_distance, TF.pairwise_distance),
        (
            lambda x, y: minidl.pairwise_distance(x, y, p=1, keepdim=True),
            lambda x, y: TF.pairwise_distance(x, y, 1, keepdim=True),
        ),
        (minidl.cdist, torch.cdist),
        (lambda x, y: minidl.cdist(x1=x, x2=y, p=1), lambda x, y: torch.cdist(x, y, p=1.0)),
        (nn.CosineSimilarity(dim=0), torch.nn.CosineSimilarity(dim=0)),
        (nn.PairwiseDistance(p=3), torch.nn.PairwiseDistance(p=3)),
    ],
)
def test_values_and_gradients(shapes: tuple, ours, theirs) -> None:  # type: ignore[no-untyped-def]
    arrays = pair(*shapes)
    mine = [minidl.tensor(a, requires_grad=True) for a in arrays]
    yours = [torch.tensor(a, requires_grad=True) for a in arrays]
    found, expected = ours(*mine), theirs(*yours)
    assert found.dtype == minidl.float32
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    upstream = np.random.default_rng(0).standard_normal(found.shape).astype(np.float32)
    found.backward(minidl.tensor(upstream))
    expected.backward(torch.tensor(upstream))
    for x, y in zip(mine, yours, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", [minidl.cosine_similarity, minidl.pairwise_distance, minidl.cdist])
def test_derivatives(function) -> None:  # type: ignore[no-untyped-def]
    x, y = (minidl.tensor(a, requires_grad=True) for a in pair((3, 2), (3, 2), "float64"))
    assert minidl.gradcheck(function, (x, y))
    assert minidl.gradgradcheck(function, (x, y))


def test_vectors_without_length_or_distance() -> None:
    x = minidl.zeros(2, 3, requires_grad=True)
    assert minidl.cosine_similarity(x, minidl.ones(2, 3)).tolist() == [0, 0]
    minidl.cdist(x, x).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0]] * 2
    assert minidl.pairwise_distance(x, x).isfinite().all()


def test_arrays_compute_at_once() -> None:
    x, y = pair((4, 3), (4, 3))
    for function in (minidl.cosine_similarity, minidl.pairwise_distance, minidl.cdist):
        assert np.allclose(function(x, y), function(minidl.tensor(x), minidl.tensor(y)))


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"cdist: shapes \(2, 3\) and \(2, 4\); expected \(..., N, D\)"):
        minidl.cdist(minidl.ones(2, 3), minidl.ones(2, 4))
    with pytest.raises(ShapeError, match="cdist"):
        minidl.cdist(minidl.ones(3), minidl.ones(2, 3))
    with pytest.raises(ShapeError, match="do not broadcast"):
        minidl.pairwise_distance(minidl.ones(2, 3), minidl.ones(2, 4))
    with pytest.raises(RangeError, match="axis 1 is out of range"):
        minidl.cosine_similarity(minidl.ones(3), minidl.ones(3))
