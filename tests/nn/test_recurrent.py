"""Recurrent layers and cells beside PyTorch's."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DTypeError, ShapeError
from tests.nn.harness import normal, same_as_torch, torch

T, N, D, U = 5, 3, 4, 6


def pair(name: str, *args: Any, **kwargs: Any) -> tuple[nn.Module, Any]:
    theirs = pytest.importorskip("torch").nn
    return getattr(nn, name)(*args, **kwargs), getattr(theirs, name)(*args, **kwargs)


def inputs(kind: str, kwargs: dict[str, Any], batched: bool, state: bool) -> tuple[Any, ...]:
    """Return an input, and perhaps a state to start from, for these arguments."""
    shape = (T, D) if not batched else (N, T, D) if kwargs.get("batch_first") else (T, N, D)
    if not state:
        return (normal(*shape),)
    rows = kwargs.get("num_layers", 1) * (2 if kwargs.get("bidirectional") else 1)
    start = (rows, N, U) if batched else (rows, U)
    states = tuple(normal(*start, seed=seed) for seed in (1, 2))
    return normal(*shape), states if kind == "LSTM" else states[0]


OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias}
    for layers, both, first, bias in itertools.product([1, 2], [False, True], [False, True], [False, True])
]


@pytest.mark.parametrize("kwargs", OPTIONS, ids=str)
@pytest.mark.parametrize("state", [False, True], ids=["zeros", "state"])
def test_lstm(kwargs: dict[str, Any], state: bool) -> None:
    for batched in (True, False):
        ours, theirs = pair("LSTM", D, U, **kwargs)
        same_as_torch(ours, theirs, *inputs("LSTM", kwargs, batched, state))


@pytest.mark.parametrize("kwargs", [{}, {"num_layers": 3, "bidirectional": True, "batch_first": True, "bias": False}])
@pytest.mark.parametrize("name", ["GRU", "RNN"])
def test_gru_and_rnn(name: str, kwargs: dict[str, Any]) -> None:
    for batched, state in itertools.product([True, False], [True, False]):
        ours, theirs = pair(name, D, U, **kwargs)
        same_as_torch(ours, theirs, *inputs(name, kwargs, batched, state))


def test_rnn_with_relu() -> None:
    same_as_torch(*pair("RNN", D, U, nonlinearity="relu"), normal(T, N, D))
    with pytest.raises(ArgumentError, match="RNN: nonlinearity='elu'; expected 'tanh' or 'relu'"):
        nn.RNN(D, U, nonlinearity="elu")


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(N,), ()])
def test_cells(name: str, bias: bool, shape: tuple[int, ...]) -> None:
    x, h, c = normal(*shape, D), normal(*shape, U, seed=1), normal(*shape, U, seed=2)
    for state in ((), ((h, c) if name == "LSTMCell" else h,)):
        same_as_torch(*pair(name, D, U, bias=bias), x, *state)


def test_rnn_cell_with_relu() -> None:
    same_as_torch(*pair("RNNCell", D, U, nonlinearity="relu"), normal(N, D))


def test_dropout_between_layers_only_in_training() -> None:
    lstm = nn.LSTM(D, U, num_layers=2, dropout=0.5)
    x = minidl.tensor(normal(T, N, D))
    assert (lstm(x)[0].detach().numpy() != lstm(x)[0].detach().numpy()).any()
    lstm.eval()
    np.testing.assert_array_equal(lstm(x)[0].detach().numpy(), lstm(x)[0].detach().numpy())
    single = nn.LSTM(D, U, dropout=0.5)  # there is nothing between
    np.testing.assert_array_equal(single(x)[0].detach().numpy(), single(x)[0].detach().numpy())
    dropped = nn.LSTM(D, U, num_layers=2, dropout=1.0)
    dropped.load_state_dict(lstm.state_dict())
    assert (dropped(x)[1][0][0].detach().numpy() == lstm(x)[1][0][0].detach().numpy()).all()  # the first layer's state
    assert (dropped(x)[0].detach().numpy() != lstm(x)[0].detach().numpy()).any()


def test_repr() -> None:
    for name, kwargs in (
        ("LSTM", {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.1, "bidirectional": True}),
        ("GRU", {}),
        ("RNN", {"nonlinearity": "relu"}),
        ("RNNCell", {"bias": False, "nonlinearity": "relu"}),
        ("GRUCell", {}),
    ):
        ours, theirs = pair(name, D, U, **kwargs)
        assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_layers_can_be_differentiated_twice(name: str) -> None:
    pytest.importorskip("torch")
    ours, theirs = pair(name, D, U, num_layers=2, bidirectional=True)
    theirs.load_state_dict({name: torch.tensor(x.numpy()) for name, x in ours.state_dict().items()})
    x = minidl.tensor(normal(T, N, D), requires_grad=True)
    z = torch.tensor(x.detach().numpy(), requires_grad=True)
    (grad,) = minidl.grad((ours(x)[0] ** 2).sum(), [x], create_graph=True)
    second = minidl.grad((grad**2).sum(), [x, ours.weight_hh_l0])
    (expected,) = torch.autograd.grad((theirs(z)[0] ** 2).sum(), [z], create_graph=True)
    expected = torch.autograd.grad((expected**2).sum(), [z, theirs.weight_hh_l0])
    for mine, other in zip(second, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-3, atol=1e-5)


def test_errors_name_sizes() -> None:
    lstm = nn.LSTM(D, U, num_layers=2, batch_first=True)
    x = minidl.zeros(N, T, D)
    with pytest.raises(ShapeError, match=r"^in LSTM\(4, 6, .*LSTM: the input has shape \(3, 5, 7\); .* D = 4"):
        lstm(minidl.zeros(N, T, 7))
    with pytest.raises(ShapeError, match=r"LSTM: the input has shape \(4,\); expected \(N, T, D\), or \(T, D\)"):
        lstm(minidl.zeros(4))
    zeros = minidl.zeros(2, N, U)
    with pytest.raises(
        ShapeError, match=r"LSTM: c0 has shape \(3, 2, 6\); expected \(2, 3, 6\): layers \* directions, b"
    ):
        lstm(x, (zeros, minidl.zeros(N, 2, U)))
    with pytest.raises(DTypeError, match=r"LSTM: the state to start from is a tuple \(h0, c0\), got 1 of them"):
        lstm(x, zeros)
    with pytest.raises(DTypeError, match=r"GRU: the state to start from is one tensor, got 2 of them"):
        nn.GRU(D, U)(minidl.zeros(T, N, D), (zeros, zeros))
    with pytest.raises(ArgumentError, match="LSTM: proj_size=3; projections of the hidden state are not supported"):
        nn.LSTM(D, U, proj_size=3)
    with pytest.raises(ArgumentError, match=r"LSTM: dropout=1\.5; expected a probability"):
        nn.LSTM(D, U, dropout=1.5)
    with pytest.raises(ArgumentError, match="GRU: hidden_size=-1; expected a positive integer"):
        nn.GRU(D, -1)
    with pytest.raises(ShapeError, match=r"LSTMCell: the input has shape \(5, 3, 4\); .*a cell takes one step"):
        nn.LSTMCell(D, U)(minidl.zeros(T, N, D))


def test_an_lstm_on_float64_stays_float64() -> None:
    lstm = nn.LSTM(D, U, bidirectional=True).double()
    output, (h, c) = lstm(minidl.zeros(T, N, D, dtype="float64"))
    assert output.dtype == h.dtype == c.dtype == np.float64
    lstm.flatten_parameters()
