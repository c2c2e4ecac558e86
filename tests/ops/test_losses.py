"""Losses: values, gradients of both orders, PyTorch's numbers in every form, extremes, warnings, errors."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import ops
from minidl.errors import ArgumentError, DTypeError, NumericalWarning, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    positive,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
    unit,
)

try:
    import torch
except ImportError:
    torch = None

REDUCTIONS = ("mean", "sum", "none")
WEIGHT = np.array([0.5, 1.5, 2.0, 0.25])
LABELS = np.array([0, 3, 1, 3, 2])
IGNORED = np.array([0, -100, 1, 3, -100])
DEEP = np.array([[0, 3, 1], [2, -100, 1]])  # (N, d1) for logits (N, C, d1)
SIGNS = np.array([1, -1, -1, 1])


def away(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Pairs' second halves: so far from normal numbers that no difference is near a kink at 0 or 1."""
    return lambda rng: rng.choice([-4.0, 4.0, 8.0], shape) + rng.uniform(0, 0.3, shape)


def log_probabilities(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: np.log(rng.dirichlet(np.ones(shape[-1]), shape[:-1]))


def distributions(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def reduce_np(losses: np.ndarray, reduction: str) -> Any:
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def log_softmax_np(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def torch_loss(name: str, *tensors: Any, **settings: Any) -> Any:
    return getattr(torch.nn.functional, name)(*tensors, **settings)


def same_call(name: str, inputs: list[Any], expected: Any = None, op: str | None = None, **settings: Any) -> Case:
    """A loss that PyTorch has under the same name, with the same arguments."""
    arrays = {key: value for key, value in settings.items() if isinstance(value, np.ndarray)}
    return Case(
        op or name,
        lambda *tensors: getattr(ops, name)(*tensors, **settings),
        inputs,
        expected,
        lambda *tensors: torch_loss(
            name, *tensors, **{**settings, **{key: torch.tensor(value) for key, value in arrays.items()}}
        ),
    )


CASES = [
    *(
        same_call("mse_loss", [(3, 4), (3, 4)], lambda x, y, r=r: reduce_np((x - y) ** 2, r), reduction=r)
        for r in REDUCTIONS
    ),
    same_call("mse_loss", [(), ()], lambda x, y: (x - y) ** 2),
    same_call("mse_loss", [(0, 3), (0, 3)], reduction="sum"),
    *(
        same_call("l1_loss", [(3, 4), away(3, 4)], lambda x, y, r=r: reduce_np(abs(x - y), r), reduction=r)
        for r in REDUCTIONS
    ),
    *(
        same_call("huber_loss", [(3, 4), away(3, 4)], reduction=r, delta=d)
        for r, d in itertools.product(REDUCTIONS, (0.5, 20.0))
    ),
    *(
        same_call("smooth_l1_loss", [(3, 4), away(3, 4)], op="huber_loss", reduction=r, beta=b)
        for r, b in itertools.product(REDUCTIONS, (0.5, 20.0))
    ),
    same_call("smooth_l1_loss", [(3, 4), away(3, 4)], op="l1_loss", beta=0.0),
    *(
        same_call(
            "binary_cross_entropy",
            [unit(3, 4), unit(3, 4)],
            lambda x, y, r=r: reduce_np(-y * np.log(x) - (1 - y) * np.log(1 - x), r),
            reduction=r,
        )
        for r in REDUCTIONS
    ),
    same_call("binary_cross_entropy", [unit(3, 4), unit(3, 4)], weight=WEIGHT),
    same_call("binary_cross_entropy", [unit(3, 4), unit(3, 4)], weight=WEIGHT, reduction="none"),
    *(
        same_call(
            "binary_cross_entropy_with_logits",
            [(3, 4), unit(3, 4)],
            lambda x, y, r=r: reduce_np(y * np.log1p(np.exp(-x)) + (1 - y) * np.log1p(np.exp(x)), r),
            reduction=r,
        )
        for r in REDUCTIONS
    ),
    same_call("binary_cross_entropy_with_logits", [(3, 4), unit(3, 4)], weight=WEIGHT),
    same_call("binary_cross_entropy_with_logits", [(3, 4), unit(3, 4)], pos_weight=WEIGHT, reduction="none"),
    same_call(
        "binary_cross_entropy_with_logits",
        [(3, 4), unit(3, 4)],
        weight=np.array([[1.0], [2.0], [3.0]]),
        pos_weight=WEIGHT,
    ),
    *(
        same_call(
            "nll_loss",
            [log_probabilities(5, 4), LABELS],
            lambda x, y, r=r: reduce_np(-x[np.arange(5), y], r),
            reduction=r,
        )
        for r in REDUCTIONS
    ),
    *(
        same_call("nll_loss", [log_probabilities(5, 4), IGNORED], weight=w, reduction=r)
        for w, r in itertools.product((None, WEIGHT), REDUCTIONS)
    ),
    same_call("nll_loss", [log_probabilities(5, 4), LABELS], ignore_index=3),
    same_call("nll_loss", [log_probabilities(4), np.array(2)], lambda x, y: -x[2]),
    same_call("nll_loss", [log_probabilities(4), np.array(2)], reduction="none"),
    *(
        same_call("nll_loss", [lambda rng: -rng.uniform(0, 3, (2, 4, 3)), DEEP], weight=w, reduction=r)
        for w, r in itertools.product((None, WEIGHT), REDUCTIONS)
    ),
    *(
        same_call(
            "cross_entropy",
            [(5, 4), LABELS],
            lambda x, y, r=r: reduce_np(-log_softmax_np(x)[np.arange(5), y], r),
            reduction=r,
        )
        for r in REDUCTIONS
    ),
    *(
        same_call("cross_entropy", [(5, 4), IGNORED], weight=w, reduction=r, label_smoothing=s)
        for w, r, s in itertools.product((None, WEIGHT), REDUCTIONS, (0.0, 0.3))
    ),
    same_call("cross_entropy", [(5, 4), LABELS], ignore_index=3, label_smoothing=1.0),
    same_call("cross_entropy", [(4,), np.array(2)]),
    same_call("cross_entropy", [(4,), np.array(2)], reduction="none", weight=WEIGHT, label_smoothing=0.1),
    *(
        same_call("cross_entropy", [(2, 4, 3), DEEP], weight=w, reduction=r, label_smoothing=s)
        for w, r, s in itertools.product((None, WEIGHT), REDUCTIONS, (0.0, 0.3))
    ),
    same_call("cross_entropy", [(2, 4, 2, 3), np.arange(12).reshape(2, 2, 3) % 4], reduction="none"),
    *(  # probabilities: composed of log_softmax, with gradients of the target too
        same_call(
            "cross_entropy", [(5, 4), distributions(5, 4)], op="log_softmax", weight=w, reduction=r, label_smoothing=s
        )
        for w, r, s in itertools.product((None, WEIGHT), REDUCTIONS, (0.0, 0.3))
    ),
    same_call("cross_entropy", [(2, 4, 3), unit(2, 4, 3)], op="log_softmax", weight=WEIGHT),
    same_call("cross_entropy", [(4,), distributions(4)], op="log_softmax", weight=WEIGHT, reduction="none"),
    *(
        same_call("kl_div", [log_probabilities(3, 4), unit(3, 4)], op="log", reduction=r)
        for r in ("batchmean", *REDUCTIONS[1:])
    ),
    same_call("kl_div", [(3, 4), (3, 4)], op="exp", reduction="batchmean", log_target=True),
    *(same_call("poisson_nll_loss", [(3, 4), positive(3, 4)], op="exp", reduction=r) for r in REDUCTIONS),
    same_call(
        "poisson_nll_loss", [positive(3, 4), np.array([[0.3, 0.7, 2, 7]] * 3)], op="log", log_input=False, full=True
    ),
    *(same_call("gaussian_nll_loss", [(3, 4), (3, 4), positive(3, 4)], op="log", reduction=r) for r in REDUCTIONS),
    same_call("gaussian_nll_loss", [(3, 4), (3, 4), positive(3)], op="log", full=True),
    same_call("gaussian_nll_loss", [(3, 4), (3, 4), positive(3, 1)], op="log"),
    Case(
        "relu",
        lambda x: ops.hinge_loss(x, SIGNS, margin=0.7, reduction="none"),
        [np.array([0.3, -2.0, 1.0, 1.5])],
        lambda x: np.maximum(0, 0.7 - SIGNS * x),
    ),
    *(
        same_call(
            "hinge_embedding_loss", [away(2, 4)], op="relu", target=np.stack([SIGNS, -SIGNS]), reduction=r, margin=1.5
        )
        for r in REDUCTIONS
    ),
    *(
        same_call("margin_ranking_loss", [(4,), away(4)], op="relu", target=SIGNS, reduction=r, margin=0.2)
        for r in REDUCTIONS
    ),
    *(same_call("soft_margin_loss", [(4,)], op="log_sigmoid", target=SIGNS, reduction=r) for r in REDUCTIONS),
    *(
        same_call("cosine_embedding_loss", [(4, 3), (4, 3)], op="sqrt", target=SIGNS, reduction=r, margin=-0.99)
        for r in REDUCTIONS
    ),
    same_call("cosine_embedding_loss", [(3,), (3,)], op="sqrt", target=np.array(1), reduction="none"),
    *(
        same_call("triplet_margin_loss", [(4, 3), (4, 3), (4, 3)], op="sqrt", margin=9.0, p=p, swap=s, reduction=r)
        for p, s, r in [(2.0, False, "mean"), (2.0, True, "none"), (1.0, False, "sum"), (3.0, False, "none")]
    ),
]


# ---------------------------------------------------------------------- extremes


def f32(values: Any, **settings: Any) -> Any:
    return minidl.tensor(np.asarray(values, np.float32), **settings)


def test_cross_entropy_of_large_logits() -> None:
    x = f32([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4]], requires_grad=True)
    losses = minidl.cross_entropy(x, minidl.tensor([0, 0, 1]), reduction="none")
    np.testing.assert_allclose(losses.numpy(force=True), [0, 2e4, math.log(3)], rtol=1e-6)
    losses.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0, 0], [-1, 1, 0], [1 / 3, -2 / 3, 1 / 3]], atol=1e-6)
    smooth = minidl.cross_entropy(x, minidl.tensor([0, 0, 1]), label_smoothing=0.1)
    assert np.isfinite(smooth.item())
    assert smooth.dtype == np.float32
    probabilities = minidl.cross_entropy(x, f32([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]), reduction="none")
    np.testing.assert_allclose(probabilities.numpy(force=True), [0, 1e4, math.log(3)], rtol=1e-6)


def test_a_class_that_was_ruled_out() -> None:
    x = f32([[0.0, -math.inf]], requires_grad=True)
    assert minidl.cross_entropy(x, minidl.tensor([0])).item() == 0.0
    assert minidl.cross_entropy(x, minidl.tensor([1])).item() == math.inf


def test_binary_cross_entropy_of_large_logits() -> None:
    x = f32([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    y = f32([1, 0, 0, 1])
    for settings in ({}, {"pos_weight": f32([1.0])}):
        x.grad = None
        losses = minidl.binary_cross_entropy_with_logits(x, y, reduction="none", **settings)
        assert losses.numpy(force=True).tolist() == [0.0, 0.0, 1e4, 1e4]
        losses.sum().backward()
        assert x.grad.numpy().tolist() == [0.0, 0.0, 1.0, -1.0]


def test_binary_cross_entropy_of_certain_mistakes() -> None:
    x = f32([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = minidl.binary_cross_entropy(x, f32([0, 1, 1, 0]), reduction="none")
    assert losses.numpy(force=True).tolist() == [0.0, 0.0, 100.0, 100.0]
    losses.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, -1e12, 1e12])
    if torch is not None:
        t = torch.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
        torch_loss("binary_cross_entropy", t, torch.tensor([0.0, 1.0, 1.0, 0.0]), reduction="sum").backward()
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy())


def test_overflow_is_silent() -> None:
    huge = f32([1e38, -1e38], requires_grad=True)
    for loss in (minidl.mse_loss, minidl.l1_loss, minidl.huber_loss, minidl.smooth_l1_loss):
        loss(huge, f32([-3e38, 3e38]), reduction="sum").backward()


# ---------------------------------------------------------------------- nothing to average


@pytest.mark.parametrize("loss", [minidl.cross_entropy, minidl.nll_loss])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_all_labels_ignored(loss: Any, weight: Any) -> None:
    x = minidl.tensor(-np.ones((2, 4)), requires_grad=True)
    labels = minidl.tensor([-100, -100])
    assert math.isnan(loss(x, labels, weight=weight).item())
    assert loss(x, labels, weight=weight, reduction="sum").item() == 0.0
    assert loss(x, labels, weight=weight, reduction="none").numpy(force=True).tolist() == [0.0, 0.0]
    loss(x, labels, weight=weight).backward()
    assert x.grad.numpy().tolist() == [[0.0] * 4] * 2
    if torch is not None:
        t = torch.tensor(-np.ones((2, 4)), requires_grad=True)
        w = None if weight is None else torch.tensor(weight)
        torch_loss(loss.__name__, t, torch.tensor([-100, -100]), weight=w).backward()
        assert t.grad.tolist() == x.grad.numpy().tolist()


def test_empty_batch() -> None:
    x, y = minidl.zeros(0, 3, requires_grad=True), minidl.zeros(0, 3)
    labels = minidl.zeros(0, dtype="int64")
    calls = [
        lambda r: minidl.mse_loss(x, y, reduction=r),
        lambda r: minidl.l1_loss(x, y, reduction=r),
        lambda r: minidl.huber_loss(x, y, reduction=r),
        lambda r: minidl.binary_cross_entropy(x, y, reduction=r),
        lambda r: minidl.binary_cross_entropy_with_logits(x, y, reduction=r),
        lambda r: minidl.kl_div(x, y, reduction=r),
        lambda r: minidl.hinge_loss(x, y, reduction=r),
        lambda r: minidl.nll_loss(x, labels, reduction=r),
        lambda r: minidl.cross_entropy(x, labels, reduction=r),
        lambda r: minidl.cross_entropy(x, labels, reduction=r, label_smoothing=0.1),
        lambda r: minidl.cross_entropy(x, y, reduction=r),
    ]
    for call in calls:
        assert math.isnan(call("mean").item())
        assert call("sum").item() == 0.0
        call("mean").backward()
        assert x.grad.shape == (0, 3)
    assert minidl.cross_entropy(x, labels, reduction="none").shape == (0,)


# ---------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_labels_of_any_integers(dtype: str) -> None:
    x = f32(np.arange(12).reshape(3, 4))
    want = minidl.cross_entropy(x, minidl.tensor([3, 0, 1])).item()
    assert minidl.cross_entropy(x, minidl.tensor([3, 0, 1], dtype=dtype)).item() == want
    assert minidl.cross_entropy(x, np.array([3, 0, 1], dtype)).item() == want
    assert minidl.cross_entropy(x, [3, 0, 1]).item() == want


def test_float32_stays() -> None:
    """Neither labels, nor weights of float64 or int, nor integer targets make a float64."""
    x = f32(np.linspace(-1, 1, 12).reshape(3, 4), requires_grad=True)
    whole = minidl.tensor(np.eye(3, 4, dtype=np.int64))
    labels = minidl.tensor([0, -100, 2])
    calls = [
        lambda: minidl.mse_loss(x, whole),
        lambda: minidl.l1_loss(x, whole),
        lambda: minidl.huber_loss(x, whole),
        lambda: minidl.binary_cross_entropy(minidl.sigmoid(x), whole, weight=WEIGHT),
        lambda: minidl.binary_cross_entropy_with_logits(x, whole, weight=WEIGHT, pos_weight=[1, 2, 3, 4]),
        lambda: minidl.cross_entropy(x, labels, weight=WEIGHT, label_smoothing=0.2),
        lambda: minidl.cross_entropy(x, labels),
        lambda: minidl.nll_loss(x - 2, labels, weight=[1, 2, 3, 4]),
        lambda: minidl.nll_loss(x - 2, labels),
        lambda: minidl.cross_entropy(x, whole.float(), weight=WEIGHT, label_smoothing=0.2),
        lambda: minidl.kl_div(x, whole),
        lambda: minidl.hinge_loss(x, whole * 2 - 1),
    ]
    for call in calls:
        x.grad = None
        loss = call()
        assert loss.dtype == np.float32
        loss.backward()
        assert x.grad.dtype == np.float32


def test_plain_arrays_give_plain_arrays() -> None:
    x = np.array([[1.0, 2.0]])
    assert not isinstance(minidl.mse_loss(x, x), minidl.Tensor)
    assert float(minidl.cross_entropy(x, np.array([1]))) == pytest.approx(math.log1p(math.exp(-1)))


def test_the_label_may_be_ignored_where_logits_are_tensors_of_either_order() -> None:
    """A gradient penalty: the gradient of a loss is itself differentiated."""
    x = minidl.tensor(np.random.default_rng(0).standard_normal((3, 4)), requires_grad=True)
    labels = minidl.tensor([1, -100, 2])
    (g,) = minidl.grad(minidl.cross_entropy(x, labels), [x], create_graph=True)
    (g * g).sum().backward()
    if torch is not None:
        t = torch.tensor(x.numpy(force=True), requires_grad=True)
        loss = torch_loss("cross_entropy", t, torch.tensor([1, -100, 2]))
        (h,) = torch.autograd.grad(loss, [t], create_graph=True)
        (h * h).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-10, atol=1e-12)
    assert x.grad.numpy()[1].tolist() == [0.0] * 4
    assert abs(x.grad.numpy()[0]).max() > 0


# ---------------------------------------------------------------------- warnings


@pytest.mark.usefixtures("cpu")
def test_nll_loss_of_logits_warns() -> None:
    """The fault of document 000: raw scores where log-probabilities are expected."""
    x = minidl.tensor([[2.5, -1.0], [0.0, 1.0]])
    labels = minidl.tensor([0, 1])
    with pytest.warns(NumericalWarning) as caught:
        minidl.nll_loss(x, labels)
    assert str(caught[0].message) == (
        "nll_loss expects log-probabilities, but its input has positive values; apply log_softmax first, or use "
        "cross_entropy on the logits"
    )
    assert caught[0].filename == __file__
    minidl.nll_loss(minidl.log_softmax(x, dim=1), labels)
    minidl.nll_loss(minidl.zeros(2, 2), labels)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "kl_div", "poisson_nll_loss"])
def test_shapes_that_only_broadcast_warn(name: str) -> None:
    """The fault of document 001: one unit for two targets."""
    loss = getattr(ops, name)
    message = rf"{name}: prediction \(3, 1\) and target \(3, 2\) have different shapes and broadcast to \(3, 2\)"
    with pytest.warns(NumericalWarning, match=message) as caught:
        got = loss(minidl.ones(3, 1), minidl.ones(3, 2))
    assert caught[0].filename == __file__
    assert got.shape == ()
    with pytest.raises(ShapeError, match=r"prediction \(3,\) and target \(4,\) .* do not broadcast either"):
        loss(minidl.ones(3), minidl.ones(4))


def test_gradients_through_broadcast_shapes() -> None:
    x = minidl.tensor(np.array([[1.0], [2.0]]), requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        minidl.mse_loss(x, minidl.tensor(np.array([[0.0, 1.0], [2.0, 5.0]]))).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.5], [-1.5]])


# ---------------------------------------------------------------------- errors


X = np.zeros((4, 3), np.float32)


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("loss", [minidl.cross_entropy, minidl.nll_loss])
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ([0, 1, 5, 2], RangeError, "label 5 at position 2 is out of range for 3 classes; labels count from 0 to 2"),
        ([0, -1, 1, 2], RangeError, "label -1 at position 1 is out of range"),
        ([1, 2, 3, 1], RangeError, r"\(subtract 1 if they count from 1\)"),
        (
            [0.0, 1.0, 2.0, 0.0],
            DTypeError,
            r"labels must be integers from 0 to 2, got float.*; convert them with target",
        ),
        ([0, 1, 2], ShapeError, r"need labels of shape \(4,\), got \(3,\); the batch sizes, 4 and 3, must be equal"),
        ([[0], [1], [2], [0]], ShapeError, r"got \(4, 1\); pass target.squeeze\(-1\)"),
        (np.eye(4, 3, dtype=int), DTypeError, r"these look one-hot: pass target.argmax\(1\)"),
        ([[0, 1]] * 4, ShapeError, r"predictions \(4, 3\) are for 3 classes .* the classes are axis 1"),
        ([True, False, True, True], DTypeError, "labels must be integers from 0 to 2, got bool"),
    ],
)
def test_labels_that_do_not_fit(loss: Any, target: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=f"{loss.__name__}: .*{message}" if message[0] != "l" else message):
        loss(minidl.tensor(X), minidl.tensor(target))


@pytest.mark.usefixtures("cpu")
def test_positions_in_pictures() -> None:
    labels = np.zeros((2, 4, 5), int)
    labels[1, 2, 3] = 7
    with pytest.raises(RangeError, match=r"label 7 at position \(1, 2, 3\) is out of range for 3 classes"):
        minidl.cross_entropy(minidl.zeros(2, 3, 4, 5), minidl.tensor(labels))
    with pytest.raises(RangeError, match="cross_entropy: label 7 is out of range for 3 classes"):
        minidl.cross_entropy(minidl.zeros(3), minidl.tensor(7))


@pytest.mark.parametrize("loss", [minidl.cross_entropy, minidl.nll_loss])
def test_class_weights_and_predictions_that_do_not_fit(loss: Any) -> None:
    labels = minidl.tensor([0, 1, 2, 0])
    with pytest.raises(ShapeError, match=r"weight \(4,\) must have one number for each of the 3 classes: \(3,\)"):
        loss(minidl.tensor(X), labels, weight=minidl.ones(4))
    with pytest.raises(ShapeError, match=r"predictions \(\) have no classes"):
        loss(minidl.tensor(1.0), minidl.tensor(0))
    with pytest.raises(ShapeError, match=r"predictions \(4, 0\) have no classes"):
        loss(minidl.zeros(4, 0), labels)
    with pytest.raises(ArgumentError, match=r"reduction must be one of 'mean', 'sum', 'none', got 'average'"):
        loss(minidl.tensor(X), labels, reduction="average")


def test_arguments_of_cross_entropy() -> None:
    with pytest.raises(ArgumentError, match=r"label_smoothing must be between 0 and 1, got 1.5"):
        minidl.cross_entropy(minidl.tensor(X), minidl.tensor([0, 1, 2, 0]), label_smoothing=1.5)
    with pytest.raises(ArgumentError, match="ignore_index is for labels; the target holds probabilities"):
        minidl.cross_entropy(minidl.tensor(X), minidl.tensor(X), ignore_index=0)


@pytest.mark.parametrize(
    "name",
    [
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "hinge_loss",
        "hinge_embedding_loss",
        "soft_margin_loss",
    ],
)
def test_shapes_that_must_be_equal(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"{name}: prediction \(3, 1\) and target \(3,\) must have the same shape"):
        getattr(ops, name)(minidl.ones(3, 1), minidl.ones(3))


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_weights_that_do_not_fit(name: str) -> None:
    loss = getattr(ops, name)
    with pytest.raises(ShapeError, match=rf"{name}: weight \(3,\) does not broadcast to the prediction \(2, 4\)"):
        loss(minidl.ones(2, 4), minidl.ones(2, 4), weight=minidl.ones(3))
    with pytest.raises(ShapeError, match=r"weight \(1, 2, 4\) does not broadcast"):
        loss(minidl.ones(2, 4), minidl.ones(2, 4), weight=minidl.ones(1, 2, 4))
    with pytest.raises(DTypeError, match="weight must be numbers"):
        loss(minidl.ones(1), minidl.ones(1), weight=["heavy"])
    with pytest.raises(ArgumentError, match=f"{name}: reduction must be"):
        loss(minidl.ones(1), minidl.ones(1), reduction=None)


@pytest.mark.usefixtures("cpu")
def test_probabilities_outside_of_their_range() -> None:
    with pytest.raises(
        RangeError, match=r"between 0 and 1, found 1.5; apply sigmoid first, or use binary_cross_entropy_w"
    ):
        minidl.binary_cross_entropy(minidl.tensor([0.5, 1.5]), minidl.ones(2))
    with pytest.raises(RangeError, match="found -2"):
        minidl.binary_cross_entropy(minidl.tensor([0.5, -2]), minidl.ones(2))


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("name", ["hinge_loss", "hinge_embedding_loss", "soft_margin_loss"])
def test_signs_that_are_labels(name: str) -> None:
    with pytest.raises(RangeError, match=rf"{name}: targets must be -1 or 1, found 0; .* pass 2 \* target - 1"):
        getattr(ops, name)(minidl.ones(2), minidl.tensor([1, 0]))


def test_other_arguments() -> None:
    one = minidl.ones(2)
    with pytest.raises(ArgumentError, match="huber_loss: delta must be positive, got 0"):
        minidl.huber_loss(one, one, delta=0)
    with pytest.raises(ArgumentError, match="smooth_l1_loss: beta must not be negative, got -1"):
        minidl.smooth_l1_loss(one, one, beta=-1)
    with pytest.raises(ArgumentError, match="kl_div: reduction must be one of 'mean', 'sum', 'none', 'batchmean'"):
        minidl.kl_div(one, one, reduction="batch")
    with pytest.raises(ArgumentError, match="gaussian_nll_loss: eps must be positive"):
        minidl.gaussian_nll_loss(one, one, one, eps=0)
    variances = "variances must not be negative, found -1; let the network predict their log"
    with minidl.device("cpu"), pytest.raises(RangeError, match=variances):
        minidl.gaussian_nll_loss(minidl.ones(2), minidl.ones(2), -minidl.ones(2))
    with pytest.raises(ShapeError, match=r"gaussian_nll_loss: var \(3,\) must have the shape of the prediction \(2,\)"):
        minidl.gaussian_nll_loss(one, one, minidl.ones(3))
    with pytest.raises(
        ShapeError, match=r"margin_ranking_loss: the shapes of input1 \(2,\), input2 \(3,\), target \(2,\)"
    ):
        minidl.margin_ranking_loss(one, minidl.ones(3), one)
    with pytest.raises(ShapeError, match=r"cosine_embedding_loss: vectors \(2,\) and \(3,\) with targets \(2,\)"):
        minidl.cosine_embedding_loss(one, minidl.ones(3), one)
    with pytest.raises(ShapeError, match=r"triplet_margin_loss: the shapes of anchor \(2,\), positive \(3,\)"):
        minidl.triplet_margin_loss(one, minidl.ones(3), one)


def test_divergence_of_empty_events() -> None:
    """0 log 0 is 0, and its gradient is no nan."""
    x = minidl.tensor(np.log([[0.5, 0.5]]), requires_grad=True)
    loss = minidl.kl_div(x, minidl.tensor(np.array([[1.0, 0.0]])), reduction="sum")
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert x.grad.numpy().tolist() == [[-1.0, 0.0]]


def test_mean_divergence_by_hand() -> None:
    x, y = minidl.tensor(np.log([[0.5, 0.5], [0.25, 0.75]])), minidl.tensor(np.full((2, 2), 0.5))
    total = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    for reduction, share in (("sum", 1), ("batchmean", 2), ("mean", 4)):
        assert minidl.kl_div(x, y, reduction=reduction).item() == pytest.approx(total / share)
