"""Normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    nonzero,
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
    import torch.nn.functional as F
except ImportError:
    torch = None

MEAN, VAR = np.array([0.5, -1.0, 2.0]), np.array([0.5, 2.0, 1.0])


def training(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return minidl.batch_norm(x, None, None, weight, bias, training=True)


def their_training(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def evaluation(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return minidl.batch_norm(x, minidl.tensor(MEAN, dtype=x.dtype), minidl.tensor(VAR, dtype=x.dtype), weight, bias)


def their_evaluation(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.batch_norm(x, torch.tensor(MEAN), torch.tensor(VAR), weight, bias)


def functional(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The same call of minidl and of PyTorch; None stands where an input goes that comes last."""
    return {
        "call": lambda x, *vectors: getattr(minidl, name)(x, *args, *vectors, **kwargs),
        "torch": lambda x, *vectors: getattr(F, name)(x, *args, *vectors, **kwargs),
    }


CASES = [
    Case("batch_norm", training, [(4, 3), positive(3), (3,)], torch=their_training),
    Case("batch_norm", training, [(2, 3, 2, 4), positive(3), (3,)], torch=their_training),
    Case("batch_norm", training, [(2, 3, 5), positive(3)], torch=their_training),
    Case("batch_norm", training, [(2, 3, 5)], torch=their_training),
    Case(
        "batch_norm",
        lambda x, b: training(x, None, b),
        [(2, 3, 5), (3,)],
        torch=lambda x, b: their_training(x, None, b),
    ),
    Case("batch_norm", training, [(0, 3, 5), (3,), (3,)]),
    Case("mul", evaluation, [(4, 3), positive(3), (3,)], torch=their_evaluation),
    Case("mul", evaluation, [(2, 3, 2, 2), positive(3), (3,)], torch=their_evaluation),
    Case("mul", evaluation, [(2, 3, 2)], torch=their_evaluation),
    Case("layer_norm", inputs=[(3, 2, 5), positive(5), (5,)], **functional("layer_norm", (5,))),
    Case("layer_norm", inputs=[(3, 2, 5), positive(2, 5), (2, 5)], **functional("layer_norm", (2, 5))),
    Case("layer_norm", inputs=[(3, 4)], **functional("layer_norm", (4,), eps=0.1)),
    Case("standardize", inputs=[(2, 6, 3), positive(6), (6,)], **functional("group_norm", 3)),
    Case("standardize", inputs=[(2, 4, 2, 3), positive(4)], **functional("group_norm", 1)),
    Case("standardize", inputs=[(3, 4)], **functional("group_norm", 2)),
    Case("standardize", inputs=[(2, 3, 4), positive(3), (3,)], **functional("instance_norm", None, None)),
    Case("standardize", inputs=[(2, 3, 4, 2)], **functional("instance_norm")),
    Case("mul", inputs=[(2, 3, 4), positive(4)], **functional("rms_norm", (4,))),
    Case("mul", inputs=[(2, 3, 4)], **functional("rms_norm", (3, 4), eps=0.1)),
    Case("div", inputs=[(2, 3, 4)], **functional("normalize")),
    Case("div", inputs=[nonzero(2, 3, 4)], **functional("normalize", p=3, dim=-1)),
]


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_are_updated_as_torch_does(name: str, shape: tuple[int, ...]) -> None:
    pytest.importorskip("torch")
    if name == "instance_norm" and len(shape) == 2:
        shape = (4, 3, 2)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 3 + 1
    mine = [minidl.tensor(a.astype(np.float32)) for a in (MEAN, VAR)]
    theirs = [torch.tensor(a.astype(np.float32)) for a in (MEAN, VAR)]
    for _ in range(2):
        getattr(minidl, name)(minidl.tensor(x), *mine, None, None, True, momentum=0.3)
        getattr(F, name)(torch.tensor(x), *theirs, None, None, True, momentum=0.3)
    for a, b in zip(mine, theirs, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)
    got = getattr(minidl, name)(minidl.tensor(x), *mine, None, None, False)
    want = getattr(F, name)(torch.tensor(x), *theirs, None, None, False)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-5)


def test_running_variance_may_be_biased() -> None:
    x, running_var = minidl.tensor([[0.0], [2.0]]), minidl.zeros(1)
    minidl.batch_norm(x, minidl.zeros(1), running_var, training=True, momentum=1.0, correction=0)
    assert running_var.tolist() == [1.0]
    one = minidl.batch_norm(x[:1], minidl.zeros(1), running_var, training=True, momentum=1.0, correction=0)
    assert one.tolist() == [[0.0]]
    assert running_var.tolist() == [0.0]


def test_writing_running_statistics_is_seen_by_the_graph() -> None:
    running_mean, running_var = minidl.zeros(3), minidl.ones(3)
    minidl.batch_norm(minidl.randn(4, 3), running_mean, running_var, training=True)
    assert running_mean.version == running_var.version == 1


def test_an_empty_batch_leaves_running_statistics_alone() -> None:
    running_mean, running_var = minidl.zeros(3), minidl.ones(3)
    y = minidl.batch_norm(minidl.zeros(0, 3), running_mean, running_var, training=True)
    assert y.shape == (0, 3)
    assert running_var.numpy().tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", ["batch", "layer"])
def test_a_large_mean_costs_no_accuracy_in_float32(name: str, rng: np.random.Generator) -> None:
    x = (rng.standard_normal((64, 8)) + 1e4).astype(np.float32)
    axis = 0 if name == "batch" else 1
    y = training(minidl.tensor(x)) if name == "batch" else minidl.layer_norm(minidl.tensor(x), 8)
    exact = x.astype(np.float64) - x.mean(axis=axis, keepdims=True, dtype=np.float64)
    exact /= np.sqrt(exact.var(axis=axis, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y.numpy(), exact, atol=4e-3)  # numbers near 1e4 are 1e-3 apart; PyTorch errs by 2.5e-3


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm", "group_norm"])
def test_float32_agrees_with_torch_to_rounding(name: str, rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    arguments = {"batch_norm": (None, None), "layer_norm": ((6,),), "group_norm": (3,)}[name]
    shape = (32, 5, 6) if name == "layer_norm" else (32, 6, 5)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (shape, (6,), (6,))]
    mine = [minidl.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    training = {"training": True} if name == "batch_norm" else {}
    y = getattr(minidl, name)(mine[0], *arguments, *mine[1:], **training)
    want = getattr(F, name)(theirs[0], *arguments, *theirs[1:], **training)
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-5, atol=1e-5)
    upstream = rng.standard_normal(y.shape, dtype=np.float32)
    y.backward(upstream)
    want.backward(torch.tensor(upstream))
    for a, b in zip(mine, theirs, strict=True):
        assert a.grad.dtype == np.float32
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_half_precision_stays_half() -> None:
    y = minidl.layer_norm(minidl.ones(2, 4, dtype="float16"), 4)
    assert y.dtype == np.float16


def test_normalize_survives_a_zero_vector() -> None:
    x = minidl.zeros(2, 3, requires_grad=True)
    minidl.normalize(x).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def ones(*shape: int) -> Any:
    return minidl.ones(*shape)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: training(ones(4, 3, 2), ones(2), ones(2)),
            ShapeError,
            r"batch_norm: weight has shape \(2,\), but the input of shape \(4, 3, 2\) has 3 channels .*num_features=3",
        ),
        (lambda: training(ones(3)), ShapeError, r"batch_norm: the input has shape \(3,\); expected \(N, C\)"),
        (lambda: training(ones(1, 3)), ShapeError, r"more than one value a channel, the input has shape \(1, 3\)"),
        (lambda: minidl.batch_norm(ones(4, 3), None, None), ArgumentError, "in evaluation it needs running_mean"),
        (lambda: minidl.batch_norm(ones(4, 3), ones(3), None), ArgumentError, "batch_norm: give running_mean and"),
        (lambda: minidl.instance_norm(ones(4, 3, 1)), ShapeError, "instance_norm: it needs more than one position"),
        (lambda: minidl.instance_norm(ones(4, 3, 2), ones(3)), ArgumentError, "instance_norm: give running_mean and"),
        (lambda: minidl.instance_norm(ones(4, 3, 2), use_input_stats=False), ArgumentError, "use_input_stats=False"),
        (
            lambda: minidl.layer_norm(ones(4, 3), 4),
            ShapeError,
            r"layer_norm: normalized_shape=4 must be the last sizes of the input, which has shape \(4, 3\)",
        ),
        (lambda: minidl.layer_norm(ones(4, 3), 3, ones(4)), ShapeError, r"layer_norm: weight has shape \(4,\)"),
        (lambda: minidl.rms_norm(ones(4, 3), (3, 3)), ShapeError, r"rms_norm: normalized_shape=\(3, 3\)"),
        (lambda: minidl.group_norm(ones(4, 3), 2), ShapeError, "group_norm: num_groups=2 must divide the 3 channels"),
        (lambda: minidl.group_norm(ones(4, 3), 0), ArgumentError, "num_groups=0; expected a positive integer"),
        (lambda: minidl.normalize(ones(4, 3), dim=2), RangeError, "out of range"),
    ],
)
def test_errors(call: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call()
