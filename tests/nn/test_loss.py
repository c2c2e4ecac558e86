"""Losses beside PyTorch's, and functional's names."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn, ops
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import functional as F
from tests.nn.harness import normal

X, Y = normal(4, 5), normal(4, 5, seed=1)
P, Q = 1 / (1 + np.exp(-X)), 1 / (1 + np.exp(-Y))
LOG_P = X - np.log(np.exp(X).sum(axis=1, keepdims=True))
LABELS = np.array([0, 3, 4, 3])
SIGNS = np.array([1, -1, -1, 1], np.float32)
WEIGHT = np.array([1.0, 2.0, 0.5, 3.0, 1.5], np.float32)

CASES_OF_LOSSES: list[tuple[str, dict[str, Any], tuple[np.ndarray, ...]]] = [
    ("MSELoss", {}, (X, Y)),
    ("L1Loss", {}, (X, Y)),
    ("HuberLoss", {}, (X, Y)),
    ("HuberLoss", {"delta": 0.5}, (X, Y)),
    ("SmoothL1Loss", {"beta": 0.5}, (X, Y)),
    ("NLLLoss", {}, (LOG_P, LABELS)),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 4}, (LOG_P, LABELS)),
    ("CrossEntropyLoss", {}, (X, LABELS)),
    ("CrossEntropyLoss", {"weight": WEIGHT, "ignore_index": 3, "label_smoothing": 0.1}, (X, LABELS)),
    ("BCELoss", {}, (P, Q)),
    ("BCELoss", {"weight": WEIGHT}, (P, Q)),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": 1 / WEIGHT}, (X, Q)),
    ("KLDivLoss", {}, (LOG_P, Q)),
    ("KLDivLoss", {"log_target": True}, (LOG_P, Y)),
    ("PoissonNLLLoss", {}, (X, P)),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, (P, 3 * Q)),
    ("GaussianNLLLoss", {"full": True, "eps": 1e-2}, (X, Y, P)),
    ("HingeEmbeddingLoss", {"margin": 0.5}, (X[:, 0], SIGNS)),
    ("SoftMarginLoss", {}, (X[:, 0], SIGNS)),
    ("MarginRankingLoss", {"margin": 0.5}, (X[:, 0], Y[:, 0], SIGNS)),
    ("CosineEmbeddingLoss", {"margin": 0.1}, (X, Y, SIGNS)),
    ("TripletMarginLoss", {"margin": 0.5, "p": 1.0, "swap": True}, (X, Y, P)),
]


@pytest.mark.parametrize(("name", "kwargs", "arrays"), CASES_OF_LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(name: str, kwargs: dict[str, Any], arrays: tuple[np.ndarray, ...], reduction: str) -> None:
    torch = pytest.importorskip("torch")
    mine = {k: minidl.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    yours = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides", category=UserWarning)  # PyTorch's
        ours = getattr(nn, name)(reduction=reduction, **mine)
        theirs = getattr(torch.nn, name)(reduction=reduction, **yours)
        # targets are constants: only the first input gets a gradient
        first, *rest = arrays
        x, z = minidl.tensor(first, requires_grad=True), torch.tensor(first, requires_grad=True)
        loss = ours(x, *map(minidl.tensor, rest))
        expected = theirs(z, *map(torch.tensor, rest))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert loss.dtype == np.float32
    assert loss.shape == tuple(expected.shape)
    np.testing.assert_allclose(loss.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    upstream = np.random.default_rng(0).standard_normal(loss.shape).astype(np.float32)
    loss.backward(minidl.tensor(upstream))
    expected.backward(torch.tensor(upstream))
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_batchmean_is_kl_divs_alone() -> None:
    torch = pytest.importorskip("torch")
    ours = nn.KLDivLoss("batchmean")(minidl.tensor(LOG_P), minidl.tensor(Q))
    theirs = torch.nn.KLDivLoss(reduction="batchmean")(torch.tensor(LOG_P), torch.tensor(Q))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    with pytest.raises(ArgumentError, match=r"MSELoss.*batchmean"):
        nn.MSELoss("batchmean")


def test_hinge() -> None:
    loss = nn.HingeLoss(margin=2.0, reduction="none")(minidl.tensor([0.5, 3.0, 0.5]), minidl.tensor([1, 1, -1]))
    assert loss.tolist() == [1.5, 0, 2.5]


def test_an_unknown_reduction_is_refused_when_the_loss_is_made() -> None:
    for name in {name for name, _, _ in CASES_OF_LOSSES} | {"HingeLoss"}:
        with pytest.raises(ArgumentError, match=f"{name}.*'average'"):
            getattr(nn, name)(reduction="average")


def test_errors_name_the_loss() -> None:
    with pytest.raises(ShapeError, match=r"^in CrossEntropyLoss\(\): cross_entropy: "):
        nn.CrossEntropyLoss()(minidl.zeros(3, 2), minidl.tensor([0, 1]))


def test_weights_move_with_the_module() -> None:
    loss = nn.CrossEntropyLoss(weight=minidl.tensor(WEIGHT)).double()
    assert loss.weight.dtype == np.float64
    assert list(loss.parameters()) == []
    assert nn.CrossEntropyLoss(weight=WEIGHT).weight.dtype == np.float32


def test_functional_names_operations() -> None:
    assert len(F.__all__) > 60
    for name in F.__all__:
        assert getattr(F, name) is getattr(ops, name)


def test_functional_has_what_layers_use() -> None:
    """A layer's function is there to be called without the layer."""
    folder = Path(nn.__file__).parent
    used = {
        name
        for file in ("activation", "conv", "dropout", "embedding", "linear", "loss", "normalization", "pooling")
        for name in re.findall(r"ops\.(\w+)\(", (folder / f"{file}.py").read_text())
    }
    assert used - {"as_tensor", "empty", "ones", "tensor", "zeros"} <= set(F.__all__)
