"""Packed and padded sequences, and recurrent layers on them, beside PyTorch's."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.nn.utils import rnn
from tests.nn.harness import normal, torch

D, U = 4, 6
LENGTHS = [3, 5, 1, 5, 2]


def sequences(lengths: list[int], *shape: int) -> list[np.ndarray]:
    return [normal(length, *shape, seed=k) for k, length in enumerate(lengths)]


def same(mine: Any, theirs: Any) -> None:
    """Compare tensors, and what they are packed in."""
    if theirs is None:
        assert mine is None
    elif isinstance(theirs, (list, tuple)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            same(a, b)
    else:
        expected = theirs.detach().numpy()
        assert mine.detach().numpy().dtype == expected.dtype
        np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("shape", [(), (D,), (2, 3)])
def test_functions(shape: tuple[int, ...], batch_first: bool) -> None:
    pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    lists = sequences(LENGTHS, *shape)
    ours, others = [minidl.tensor(a) for a in lists], [torch.tensor(a) for a in lists]
    for value, side in itertools.product((0.0, -1.5), ("left", "right")):
        same(rnn.pad_sequence(ours, batch_first, value, side), theirs.pad_sequence(others, batch_first, value, side))
    x, z = rnn.pad_sequence(ours, batch_first), theirs.pad_sequence(others, batch_first)
    packed = rnn.pack_padded_sequence(x, LENGTHS, batch_first, enforce_sorted=False)
    expected = theirs.pack_padded_sequence(z, LENGTHS, batch_first, enforce_sorted=False)
    same(packed.data, expected.data)
    same(packed.batch_sizes, expected.batch_sizes)
    # which of two equally long sequences comes first may differ
    assert [LENGTHS[n] for n in packed.sorted_indices.tolist()] == sorted(LENGTHS, reverse=True)
    same(rnn.pack_sequence(ours, enforce_sorted=False), packed_as_torch(packed))
    for total in (None, 7):
        given = batch_first, 2.5, total
        same(rnn.pad_packed_sequence(packed, *given), theirs.pad_packed_sequence(expected, *given))
    same(rnn.unpack_sequence(packed), others)
    same(rnn.unpad_sequence(x, minidl.tensor(LENGTHS), batch_first), others)


def packed_as_torch(packed: Any) -> Any:
    return torch.nn.utils.rnn.PackedSequence(*(torch.tensor(x.numpy()) for x in packed))


def test_sorted_sequences_have_no_order() -> None:
    packed = rnn.pack_sequence([minidl.tensor([1, 2, 3]), minidl.tensor([4, 5]), minidl.tensor([6])])
    assert packed.data.tolist() == [1, 4, 6, 2, 5, 3]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices is packed.unsorted_indices is None
    data, sizes, *orders = packed  # a tuple, as PyTorch's
    assert orders == [None, None]
    assert rnn.PackedSequence((data, sizes)).batch_sizes is sizes
    assert packed.double().data.dtype == "float64"
    assert packed.to("int64") is packed


OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first}
    for layers, both, first in itertools.product([1, 2], [False, True], [False, True])
]


@pytest.mark.parametrize("kwargs", OPTIONS, ids=str)
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_layers(name: str, given: bool, kwargs: dict[str, Any]) -> None:
    pytest.importorskip("torch")
    ours, theirs = getattr(nn, name)(D, U, **kwargs), getattr(torch.nn, name)(D, U, **kwargs)
    theirs.load_state_dict({key: torch.tensor(x.numpy()) for key, x in ours.state_dict().items()})
    layers = kwargs["num_layers"] * (1 + kwargs["bidirectional"])
    arrays = [normal(layers, len(LENGTHS), U, seed=9 + k) for k in range(1 + (name == "LSTM"))]
    found = []
    for lib, module in ((minidl, ours), (torch, theirs)):
        pack = lib.nn.utils.rnn
        leaves = [lib.tensor(a, requires_grad=True) for a in sequences(LENGTHS, D)]
        states = [lib.tensor(a, requires_grad=True) for a in arrays] if given else []
        packed = pack.pack_sequence(leaves, enforce_sorted=False)
        start = (tuple(states) if name == "LSTM" else states[0]) if given else None
        output, ends = module(packed, start)
        padded, lengths = pack.pad_packed_sequence(output, batch_first=True)
        assert lengths.tolist() == LENGTHS
        results = [padded, *(ends if name == "LSTM" else [ends])]
        loss = sum(((k + 1) * y).sin().sum() for k, y in enumerate(results))
        loss.backward()
        found.append([*results, *(x.grad for x in [*leaves, *states, *module.parameters()])])
    for mine, expected in zip(*found, strict=True):
        expected = expected.detach().numpy()
        np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-3, atol=1e-5 * max(1, abs(expected).max()))


def test_many_long_sequences_run_compiled() -> None:
    pytest.importorskip("torch")
    lengths = [40, 3, 17, 40, 22, 9, 31, 1, 12, 28]
    ours, theirs = nn.GRU(8, 33, bidirectional=True), torch.nn.GRU(8, 33, bidirectional=True)
    theirs.load_state_dict({key: torch.tensor(x.numpy()) for key, x in ours.state_dict().items()})
    outputs = []
    for lib, module in ((minidl, ours), (torch, theirs)):
        packed = lib.nn.utils.rnn.pack_sequence([lib.tensor(a) for a in sequences(lengths, 8)], enforce_sorted=False)
        output, h = module(packed)
        (lib.nn.utils.rnn.pad_packed_sequence(output)[0] ** 2).sum().backward()
        outputs.append([h, *(p.grad for p in module.parameters())])
    for mine, expected in zip(*outputs, strict=True):
        expected = expected.detach().numpy()
        np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-3, atol=1e-4 * max(1, abs(expected).max()))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda x: rnn.pack_padded_sequence(x, [2, 5, 3]), ArgumentError, "not in order, .* pass enforce_sorted=False"),
        (lambda x: rnn.pack_padded_sequence(x, [6, 5, 3]), ArgumentError, "lengths reach from 3 to 6; expected 1 to 5"),
        (lambda x: rnn.pack_padded_sequence(x, [5, 3, 0]), ArgumentError, "leave empty sequences out"),
        (lambda x: rnn.pack_padded_sequence(x, [5, 3]), ShapeError, r"lengths have shape \(2,\); expected \(3,\)"),
        (lambda x: rnn.pack_padded_sequence(x, [5.0, 3, 2]), DTypeError, "expected integers"),
        (lambda x: rnn.pack_padded_sequence(x[0, 0], [1]), ShapeError, r"expected \(T, N, ...\)"),
        (lambda x: rnn.pad_sequence([]), ShapeError, r"got shapes \[\]"),
        (lambda x: rnn.pad_sequence([x, x[0]]), ShapeError, r"\(5, 3, 4\), \(3, 4\)"),
        (lambda x: rnn.pad_sequence(3), DTypeError, "expected a list of tensors, got a int"),
        (lambda x: rnn.pad_sequence([x], padding_side="top"), ArgumentError, "padding_side='top'; expected 'right'"),
        (
            lambda x: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [5, 3, 2]), total_length=4),
            ArgumentError,
            "total_length=4; the longest sequence has 5 steps",
        ),
        (
            lambda x: nn.LSTM(3, U)(rnn.pack_padded_sequence(x, [5, 3, 2])),
            ShapeError,
            r"LSTM: the packed steps have shape \(10, 4\); expected \(steps, D\) with D = 3",
        ),
        (
            lambda x: nn.GRU(D, U)(rnn.pack_padded_sequence(x, [5, 3, 2]), minidl.zeros(1, 2, U)),
            ShapeError,
            r"GRU: h0 has shape \(1, 2, 6\); expected \(1, 3, 6\)",
        ),
    ],
)
def test_errors(make: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        make(minidl.zeros(5, 3, D))
