"""A constant that is written to between forward and backward: the gradient is right all the same, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import GradError
from minidl.nn import functional as F

RNG = np.random.default_rng(5)
MASK = RNG.random((4, 3)) > 0.5
INDEX = np.array([0, 2, 1, 1])
ROW = np.array([[0, 1, 2]])
LABELS = np.array([0, 1, 2, 1])
WEIGHT = np.array([1.0, 2.0, 3.0])
TARGET = RNG.uniform(0.2, 0.8, (4, 3))
KERNEL = RNG.standard_normal((1, 4, 2))


def labels() -> Any:
    return minidl.tensor(LABELS)


def target() -> Any:
    return minidl.tensor(TARGET)


@pytest.mark.parametrize(
    ("call", "constant"),
    [
        (lambda x, c: minidl.where(c, x, x * 2), MASK),
        (lambda x, c: x.masked_fill(c, 2.0), MASK),
        (lambda x, c: x.masked_select(c), MASK),
        (lambda x, c: x[c], MASK),
        (lambda x, c: x[c], INDEX),
        (lambda x, c: x.index_select(0, c), INDEX),
        (lambda x, c: x.gather(0, c), ROW),
        (lambda x, c: x.take(c), INDEX),
        (lambda x, c: x.take_along_dim(c, 0), ROW),
        (lambda x, c: (x * 1).scatter(0, c, x[:1]), ROW),
        (lambda x, c: (x * 1).scatter_add(0, c, x[:1] * 2), ROW),
        (lambda x, c: (x * 1).index_add(0, c, x * 2), INDEX),
        (lambda x, c: x.repeat_interleave(c, 0), INDEX),
        (lambda x, c: F.embedding(c, x), INDEX),
        (lambda x, c: F.cross_entropy(x, c, reduction="none"), LABELS),
        (lambda x, c: F.cross_entropy(x, labels(), c, reduction="none", label_smoothing=0.1), WEIGHT),
        (lambda x, c: F.nll_loss(x.log_softmax(1), c, reduction="none"), LABELS),
        (lambda x, c: F.nll_loss(x.log_softmax(1), labels(), c, reduction="none"), WEIGHT),
        (lambda x, c: F.binary_cross_entropy(x.sigmoid(), c, reduction="none"), TARGET),
        (lambda x, c: F.binary_cross_entropy(x.sigmoid(), target(), c, reduction="none"), WEIGHT),
        (lambda x, c: F.binary_cross_entropy_with_logits(x, target(), c, reduction="none"), WEIGHT),
        (lambda x, c: F.binary_cross_entropy_with_logits(x, target(), pos_weight=c, reduction="none"), WEIGHT),
        (lambda x, c: F.mse_loss(x, c, reduction="none"), TARGET),
        (lambda x, c: F.l1_loss(x, c, reduction="none"), TARGET),
        (lambda x, c: F.huber_loss(x, c, reduction="none"), TARGET),
        (lambda x, c: F.kl_div(x, c, reduction="none"), TARGET),
        (lambda x, c: F.layer_norm(x, (3,), c), WEIGHT),
        (lambda x, c: F.batch_norm(x, c, c, training=False), WEIGHT),
        (lambda x, c: F.prelu(x, c), WEIGHT),
        (lambda x, c: F.linear(x, c), WEIGHT[None]),
        (lambda x, c: F.conv1d(x[None], c), KERNEL),
        (lambda x, c: F.scaled_dot_product_attention(x[None], x[None], x[None], attn_mask=c), np.eye(4) > 0),
        (lambda x, c: x * c, WEIGHT),
        (lambda x, c: x / c, WEIGHT),
        (lambda x, c: x.abs().pow(c), WEIGHT),
        (lambda x, c: x.clip(-c, c), WEIGHT),
        (lambda x, c: x.lerp(x * 2, c), WEIGHT),
        (lambda x, c: x.addcmul(c, c), WEIGHT),
        (lambda x, c: minidl.maximum(x, c), WEIGHT),
        (lambda x, c: minidl.atan2(x, c), WEIGHT),
        (lambda x, c: minidl.einsum("ij,j->i", x, c), WEIGHT),
        (lambda x, c: x @ c, WEIGHT),
    ],
)
def test_a_constant_that_is_written_to(call: Callable[..., Any], constant: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((4, 3))

    def gradient(write: bool) -> np.ndarray:
        x, c = minidl.tensor(values, requires_grad=True), minidl.tensor(constant)
        y = call(x, c)
        if write:
            c[...] = {"b": lambda: ~constant, "i": lambda: (constant + 1) % 3, "f": lambda: constant * 3}[
                c.dtype.kind
            ]()
        y.backward(np.arange(1.0, 1 + y.numel()).reshape(y.shape))
        return x.grad.numpy()

    wanted = gradient(False)
    try:
        found = gradient(True)
    except GradError as error:
        assert "modified in place" in str(error)  # noqa: PT017  (either outcome will do)
    else:
        np.testing.assert_allclose(found, wanted)
