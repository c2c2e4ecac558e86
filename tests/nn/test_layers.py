"""Layers beside PyTorch's: the same weights in, the same outputs, gradients, names and repr out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, RangeError, ShapeError
from tests.nn.harness import normal, same_as_torch, torch


def layer(name: str, *args: Any, **kwargs: Any) -> tuple[nn.Module, Any]:
    """Return our layer and PyTorch's, made with the same arguments."""
    theirs = pytest.importorskip("torch").nn
    return getattr(nn, name)(*args, **kwargs), getattr(theirs, name)(*args, **kwargs)


# ---------------------------------------------------------------------- dense, convolution, pooling


@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 4, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape: tuple[int, ...], bias: bool) -> None:
    same_as_torch(*layer("Linear", 3, 2, bias=bias), normal(*shape))


def test_dense_is_linear() -> None:
    assert nn.Dense is nn.Linear


CONVOLUTIONS = [
    ("Conv1d", (4, 6, 3), {}, (2, 4, 9)),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False}, (2, 4, 9)),
    ("Conv1d", (4, 6, 4), {"padding": "same"}, (4, 9)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, (2, 4, 9)),
    ("Conv1d", (4, 6, 3), {"padding": 2, "padding_mode": "reflect"}, (2, 4, 9)),
    ("Conv2d", (1, 6, 5), {}, (2, 1, 8, 8)),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}, (2, 4, 7, 8)),
    ("Conv2d", (4, 4, 3), {"padding": "valid", "groups": 4, "bias": False}, (4, 7, 8)),
    ("Conv2d", (2, 3, (3, 4)), {"padding": "same"}, (2, 2, 7, 8)),
    ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "reflect"}, (2, 2, 7, 8)),
    ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "replicate"}, (2, 2, 7, 8)),
    ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "circular", "stride": 2}, (2, 2, 7, 8)),
    ("Conv2d", (2, 3, (3, 4)), {"padding": "same", "padding_mode": "replicate"}, (2, 2, 7, 8)),
    ("ConvTranspose2d", (4, 3, 3), {}, (2, 4, 5, 6)),
    (
        "ConvTranspose2d",
        (4, 6, (3, 2), 2),
        {"padding": 1, "output_padding": (1, 0), "groups": 2, "dilation": 2, "bias": False},
        (4, 5, 6),
    ),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # PyTorch's
@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CONVOLUTIONS)
def test_convolutions(name: str, args: Any, kwargs: Any, shape: Any) -> None:
    same_as_torch(*layer(name, *args, **kwargs), normal(*shape))


def test_convolutions_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ArgumentError, match="Conv2d: groups=2 must divide in_channels=3 and out_channels=4"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ArgumentError, match="Conv2d: in_channels=0; expected a positive integer"):
        nn.Conv2d(0, 4, 3)
    with pytest.raises(ArgumentError, match="Conv1d: padding_mode='mirror'; expected zeros, reflect"):
        nn.Conv1d(1, 1, 3, padding_mode="mirror")
    with pytest.raises(ArgumentError, match="padding='same' needs stride 1"):
        nn.Conv1d(1, 1, 3, stride=2, padding="same")
    with pytest.raises(ArgumentError, match="ConvTranspose2d: its padding cuts pixels off"):
        nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect")
    with pytest.raises(ShapeError, match=r"^in Conv2d\(3, 4, kernel_size=\(3, 3\), stride=\(1, 1\)\): conv2d: .* 2 ch"):
        nn.Conv2d(3, 4, 3)(minidl.zeros(1, 2, 8, 8))


POOLINGS = [
    ("MaxPool1d", (2,), {}, (2, 3, 7)),
    ("MaxPool1d", (3, 2, 1), {"ceil_mode": True}, (3, 7)),
    ("MaxPool2d", (2, 2), {}, (2, 3, 6, 7)),
    ("MaxPool2d", ((3, 2), 2, (1, 0)), {"dilation": (1, 2), "ceil_mode": True}, (2, 3, 8, 9)),
    ("AvgPool1d", (2,), {}, (2, 3, 7)),
    ("AvgPool1d", (3, 2, 1), {"count_include_pad": False, "ceil_mode": True}, (3, 7)),
    ("AvgPool2d", (2,), {}, (2, 3, 6, 7)),
    ("AvgPool2d", ((3, 2), 2, (1, 0)), {"count_include_pad": False}, (2, 3, 8, 9)),
    ("AvgPool2d", (2,), {"divisor_override": 3}, (3, 8, 9)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 6, 7)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (3, 7, 5)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), POOLINGS)
def test_poolings(name: str, args: Any, kwargs: Any, shape: Any) -> None:
    same_as_torch(*layer(name, *args, **kwargs), normal(*shape))


def test_max_pooling_returns_indices() -> None:
    x = normal(2, 3, 6, 6)
    ours, theirs = layer("MaxPool2d", 2, return_indices=True)
    y, where = ours(minidl.tensor(x))
    z, there = theirs(torch.tensor(x))
    np.testing.assert_array_equal(y.numpy(), z.numpy())
    np.testing.assert_array_equal(where.numpy(), there.numpy())


# ---------------------------------------------------------------------- normalisation

NORMALISATIONS = [
    ("BatchNorm1d", (3,), {}, (5, 3)),
    ("BatchNorm1d", (3,), {"momentum": None, "eps": 1e-3}, (5, 3, 4)),
    ("BatchNorm1d", (3,), {"affine": False}, (5, 3)),
    ("BatchNorm1d", (3,), {"bias": False}, (5, 3)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"momentum": 0.3}, (2, 3, 4, 5)),
    ("LayerNorm", (4,), {}, (2, 3, 4)),
    ("LayerNorm", ([3, 4],), {"bias": False}, (2, 3, 4)),
    ("LayerNorm", ((3, 4),), {"elementwise_affine": False, "eps": 1e-2}, (2, 3, 4)),
    ("GroupNorm", (2, 6), {}, (2, 6, 4)),
    ("GroupNorm", (3, 6), {"affine": False}, (2, 6, 4, 5)),
    ("RMSNorm", (4,), {}, (2, 3, 4)),
    ("RMSNorm", ([3, 4],), {"eps": 1e-2, "elementwise_affine": False}, (2, 3, 4)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), NORMALISATIONS)
def test_normalisations(name: str, args: Any, kwargs: Any, shape: Any) -> None:
    ours, theirs = layer(name, *args, **kwargs)
    for x, z in zip(ours.parameters(), theirs.parameters(), strict=True):
        nn.init.uniform_(x, 0.5, 2)
        z.data = torch.tensor(x.detach().numpy())
    for step in range(3):  # running statistics move
        same_as_torch(ours, theirs, normal(*shape, seed=step), tolerance=2e-5)
        ours.zero_grad()
        theirs.zero_grad()
    same_as_torch(ours.eval(), theirs.eval(), normal(*shape), tolerance=2e-5)


def test_normalisations_name_sizes() -> None:
    with pytest.raises(ShapeError, match=r"BatchNorm2d: the input has shape \(2, 4, 5, 5\); expected .* C = 3"):
        nn.BatchNorm2d(3)(minidl.zeros(2, 4, 5, 5))
    with pytest.raises(ShapeError, match=r"BatchNorm1d: the input has shape \(3,\); expected \(N, C\) or \(N, C, L\)"):
        nn.BatchNorm1d(3)(minidl.zeros(3))
    with pytest.raises(
        ShapeError, match=r"GroupNorm: the input has shape \(2, 5, 4\); expected \(N, C, ...\) with C = 6"
    ):
        nn.GroupNorm(2, 6)(minidl.zeros(2, 5, 4))
    with pytest.raises(ArgumentError, match="GroupNorm: num_groups=4 must divide num_channels=6"):
        nn.GroupNorm(4, 6)
    with pytest.raises(ArgumentError, match=r"LayerNorm: normalized_shape\[1\]=0; expected a positive integer"):
        nn.LayerNorm((3, 0))
    with pytest.raises(ArgumentError, match=r"LayerNorm: normalized_shape=\(\); expected at least one size"):
        nn.LayerNorm(())


def test_batch_norm_forgets_its_statistics() -> None:
    norm = nn.BatchNorm1d(2)
    norm(minidl.tensor(normal(4, 2)))
    assert norm.num_batches_tracked.item() == 1
    norm.reset_running_stats()
    assert norm.running_mean.tolist() == [0, 0]
    assert norm.running_var.tolist() == [1, 1]
    assert norm.num_batches_tracked.item() == 0


# ---------------------------------------------------------------------- embedding, dropout, shapes


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding(padding_idx: int | None) -> None:
    ours, theirs = layer("Embedding", 7, 3, padding_idx=padding_idx)
    same_as_torch(ours, theirs, np.array([[1, 2, 1], [6, 0, 2]]))
    if padding_idx is not None:
        assert not nn.Embedding(7, 3, padding_idx=padding_idx).weight.detach().numpy()[padding_idx].any()


def test_embedding_from_pretrained() -> None:
    table = minidl.tensor(normal(4, 2))
    frozen = nn.Embedding.from_pretrained(table)
    assert not frozen.weight.requires_grad
    assert frozen.weight.array is table.array
    assert nn.Embedding.from_pretrained(table, freeze=False, padding_idx=0).weight.requires_grad
    with pytest.raises(ShapeError, match=r"expected \(indices, features\), got shape \(4,\)"):
        nn.Embedding.from_pretrained(minidl.zeros(4))
    with pytest.raises(RangeError, match="padding_idx=4 is out of range for 4 indices"):
        nn.Embedding(4, 2, padding_idx=4)


def test_dropout() -> None:
    x = minidl.ones(200, 100)
    dropout = nn.Dropout(0.25)
    y = dropout(x).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(dropout.eval()(x).numpy(), 1)
    planes = nn.Dropout2d(0.5)(minidl.ones(20, 30, 2, 2)).numpy().reshape(600, 4)
    assert set(planes.sum(axis=1).tolist()) == {0.0, 8.0}
    with pytest.raises(ArgumentError, match=r"Dropout2d: p=1.5; expected a probability from 0 to 1"):
        nn.Dropout2d(1.5)
    for name in ("Dropout", "Dropout2d"):
        ours, theirs = layer(name, 0.3)
        assert repr(ours) == repr(theirs)


def test_shapes() -> None:
    same_as_torch(*layer("Flatten"), normal(2, 3, 4))
    same_as_torch(*layer("Flatten", 0, 1), normal(2, 3, 4))
    same_as_torch(*layer("Unflatten", 1, (2, 3)), normal(2, 6))
    same_as_torch(*layer("Identity", 3, unused=True), normal(2, 6))


# ---------------------------------------------------------------------- activations

#: Those that take no arguments, and whether they can write into their input.
PLAIN = {
    "GELU": False,
    "GLU": False,
    "Hardshrink": False,
    "LogSigmoid": False,
    "PReLU": False,
    "Sigmoid": False,
    "Softplus": False,
    "Softshrink": False,
    "Softsign": False,
    "Tanh": False,
    "Tanhshrink": False,
    "CELU": True,
    "ELU": True,
    "Hardsigmoid": True,
    "Hardswish": True,
    "Hardtanh": True,
    "LeakyReLU": True,
    "Mish": True,
    "ReLU": True,
    "ReLU6": True,
    "SELU": True,
    "SiLU": True,
}

ACTIVATIONS = [
    *((name, {}) for name in PLAIN),
    ("CELU", {"alpha": 0.5}),
    ("ELU", {"alpha": 0.5}),
    ("GELU", {"approximate": "tanh"}),
    ("GLU", {"dim": 0}),
    ("Hardshrink", {"lambd": 0.2}),
    ("Hardtanh", {"min_val": -0.5, "max_val": 0.2}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("PReLU", {"num_parameters": 6, "init": 0.1}),
    ("Softplus", {"beta": 2.0, "threshold": 1.0}),
    ("Softshrink", {"lambd": 0.2}),
    ("Threshold", {"threshold": 0.1, "value": 20.0}),
    ("Softmax", {"dim": 1}),
    ("Softmin", {"dim": 0}),
    ("LogSoftmax", {"dim": -1}),
]


@pytest.mark.parametrize(("name", "kwargs"), ACTIVATIONS)
def test_activations(name: str, kwargs: Any) -> None:
    same_as_torch(*layer(name, **kwargs), normal(4, 6))


@pytest.mark.parametrize("name", [name for name, inplace in PLAIN.items() if inplace])
def test_activations_in_place(name: str) -> None:
    ours = getattr(nn, name)(inplace=True)
    assert repr(ours).endswith("inplace=True)")
    x = minidl.tensor(normal(4, 6))
    expected = getattr(nn, name)()(x).numpy()
    assert ours(x) is x
    np.testing.assert_array_equal(x.numpy(), expected)


# ---------------------------------------------------------------------- attention


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_multihead_attention(batch_first: bool, bias: bool) -> None:
    query, key, value = normal(2, 3, 8), normal(2, 4, 8, seed=1), normal(2, 4, 8, seed=2)
    if not batch_first:
        query, key, value = (np.swapaxes(x, 0, 1) for x in (query, key, value))
    arguments = {"batch_first": batch_first, "bias": bias}
    ours, theirs = layer("MultiheadAttention", 8, 2, **arguments)
    if bias:  # not zeros
        torch.nn.init.normal_(theirs.in_proj_bias)
    same_as_torch(ours, theirs, query, key, value, same_repr=False)
    ours.zero_grad()
    theirs.zero_grad()
    same_as_torch(ours, theirs, query[0], key[0], value[0], same_repr=False)


def test_multihead_attention_masks() -> None:
    ours, theirs = layer("MultiheadAttention", 8, 2, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    x = normal(2, 4, 8)
    padding = np.array([[False, False, True, True], [False, False, False, True]])
    square = np.triu(np.ones((4, 4), bool), 1)
    each = np.random.default_rng(0).random((4, 4, 4)) < 0.3
    each[:, :, 0] = False
    added = normal(4, 4)
    for masks in (
        {"key_padding_mask": padding},
        {"attn_mask": square},
        {"attn_mask": each},
        {"attn_mask": added},
        {"attn_mask": square, "key_padding_mask": padding},
        {"attn_mask": square, "average_attn_weights": False},
    ):
        mine = {k: minidl.tensor(m) if isinstance(m, np.ndarray) else m for k, m in masks.items()}
        yours = {k: torch.tensor(m) if isinstance(m, np.ndarray) else m for k, m in masks.items()}
        a, b = minidl.tensor(x), torch.tensor(x)
        for y, z in zip(ours(a, a, a, **mine), theirs(b, b, b, **yours), strict=True):
            np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)
    a = minidl.tensor(x)
    causal = ours(a, a, a, is_causal=True, need_weights=False)
    assert causal[1] is None
    np.testing.assert_allclose(
        causal[0].detach().numpy(), ours(a, a, a, attn_mask=minidl.tensor(square))[0].detach().numpy(), rtol=1e-6
    )
    with pytest.raises(ShapeError, match=r"key_padding_mask has shape \(4, 2\); expected \(2, 4\)"):
        ours(a, a, a, key_padding_mask=minidl.tensor(padding.T))
    with pytest.raises(ShapeError, match=r"attn_mask has shape \(4, 5\); expected \(4, 4\) or \(4, 4, 4\)"):
        ours(a, a, a, attn_mask=minidl.zeros(4, 5))
    with pytest.raises(minidl.errors.DTypeError, match="masks hold booleans"):
        ours(a, a, a, attn_mask=minidl.tensor(square.astype(np.int64)))
    with pytest.raises(ShapeError, match=r"query \(2, 4, 7\), key .* expected \(N, L, E\) and \(N, S, E\)"):
        ours(minidl.zeros(2, 4, 7), a, a)
    with pytest.raises(ArgumentError, match="num_heads=3 must divide embed_dim=8"):
        nn.MultiheadAttention(8, 3)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_transformer_encoder(norm_first: bool, activation: str) -> None:
    arguments = {"dim_feedforward": 16, "dropout": 0.0, "norm_first": norm_first, "activation": activation}
    layers = layer("TransformerEncoderLayer", 8, 2, batch_first=True, **arguments)
    same_as_torch(*layers, normal(2, 5, 8), tolerance=2e-5, same_repr=False)
    ours = nn.TransformerEncoder(layers[0], 2, nn.LayerNorm(8))
    theirs = torch.nn.TransformerEncoder(layers[1], 2, torch.nn.LayerNorm(8), enable_nested_tensor=False)
    same_as_torch(ours, theirs, normal(2, 5, 8), tolerance=5e-5, same_repr=False)
    assert ours.layers[0].linear1.weight is not ours.layers[1].linear1.weight
    with pytest.raises(ArgumentError, match="activation='swish'; expected 'relu', 'gelu' or a function"):
        nn.TransformerEncoderLayer(8, 2, activation="swish")


def test_transformer_encoder_drops_in_training_only() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), 2)
    x = minidl.tensor(normal(5, 2, 8))
    assert (encoder(x).detach().numpy() != encoder(x).detach().numpy()).any()
    encoder.eval()
    np.testing.assert_array_equal(encoder(x).detach().numpy(), encoder(x).detach().numpy())
