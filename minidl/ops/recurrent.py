"""Recurrent layers: one step of each kind, and whole sequences at once.

Weights are stacked gate by gate along the first axis, in PyTorch's order: i f g o for the LSTM, r z n for the GRU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minidl import kernels
from minidl.autograd import Operation, Variable, grad
from minidl.backend import namespace, quiet
from minidl.errors import ArgumentError, ShapeError
from minidl.kernels.reference.recurrent import CELLS as BLOCKS
from minidl.ops.activations import relu
from minidl.ops.arguments import takes_tensors
from minidl.ops.conversion import clone
from minidl.ops.elementwise import sigmoid
from minidl.ops.linalg import linear
from minidl.ops.selection import where
from minidl.ops.shape import chunk, stack
from minidl.ops.trigonometry import tanh

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["gru_cell", "gru_layer", "lstm_cell", "lstm_layer", "rnn_cell", "rnn_layer"]


def check_step(
    name: str, gates: int, x: Any, states: dict[str, Any], weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any
) -> None:
    """Raise a ShapeError unless the input, the states and the weights of a recurrent layer fit each other."""
    D, U = x.shape[-1], next(iter(states.values())).shape[-1]
    rows = gates * U
    for argument, weight, expected in (
        ("weight_ih", weight_ih, (rows, D)),
        ("weight_hh", weight_hh, (rows, U)),
        ("bias_ih", bias_ih, (rows,)),
        ("bias_hh", bias_hh, (rows,)),
    ):
        if weight is not None and tuple(weight.shape) != expected:
            raise ShapeError(
                f"{name}: {argument} has shape {tuple(weight.shape)}; an input of shape {tuple(x.shape)} ({D} "
                f"features) and a state of {U} units need {expected} ({gates} gate{'s' if gates > 1 else ''})"
            )
    for argument, state in states.items():
        expected = (*x.shape[:-1][-1:], U)
        if tuple(state.shape) != expected:
            raise ShapeError(
                f"{name}: {argument} has shape {tuple(state.shape)}; an input of shape {tuple(x.shape)} needs "
                f"{expected}"
            )
    if bias_ih is None and bias_hh is not None:
        raise ArgumentError(f"{name}: bias_hh without bias_ih; give both, bias_ih alone, or neither")


def check_nonlinearity(name: str, nonlinearity: str) -> None:
    """Raise an ArgumentError unless it is one that a simple recurrent layer has."""
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(f"{name}: nonlinearity={nonlinearity!r}; expected 'tanh' or 'relu'")


@takes_tensors("x", "h", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
def rnn_cell(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    nonlinearity: str = "tanh",
) -> Tensor:
    r"""Take one step of a simple recurrent layer.

    .. math:: h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})

    Parameters
    ----------
    x : Tensor (N, D) or (D,)
    h : Tensor (N, U) or (U,)
    weight_ih : Tensor (U, D)
    weight_hh : Tensor (U, U)
    bias_ih, bias_hh : Tensor (U,), optional
    nonlinearity : {"tanh", "relu"}

    Returns
    -------
    Tensor (N, U) or (U,)

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    ArgumentError
        If the nonlinearity is unknown, or ``bias_hh`` stands alone.

    Examples
    --------
    >>> import minidl
    >>> x, h = minidl.ones(1, 2), minidl.zeros(1, 3)
    >>> minidl.rnn_cell(x, h, minidl.ones(3, 2), minidl.ones(3, 3), nonlinearity="relu")
    tensor([[2., 2., 2.]])

    References
    ----------
    ``torch.nn.RNNCell``. Elman (1990), "Finding structure in time".
    """
    check_nonlinearity("rnn_cell", nonlinearity)
    check_step("rnn_cell", 1, x, {"h": h}, weight_ih, weight_hh, bias_ih, bias_hh)
    z = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)
    return tanh(z) if nonlinearity == "tanh" else relu(z)


@takes_tensors("x", "h", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
def gru_cell(x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None) -> Tensor:
    r"""Take one step of a gated recurrent unit.

    .. math::
        r &= \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr}) \\
        z &= \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz}) \\
        n &= \tanh(W_{in} x + b_{in} + r \odot (W_{hn} h + b_{hn})) \\
        h' &= (1 - z) \odot n + z \odot h

    Parameters
    ----------
    x : Tensor (N, D) or (D,)
    h : Tensor (N, U) or (U,)
    weight_ih : Tensor (3U, D)
        Gates r, z, n.
    weight_hh : Tensor (3U, U)
    bias_ih, bias_hh : Tensor (3U,), optional

    Returns
    -------
    Tensor (N, U) or (U,)

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    ArgumentError
        If ``bias_hh`` stands alone.

    Examples
    --------
    >>> import minidl
    >>> x, h = minidl.ones(1, 2), minidl.ones(1, 3)
    >>> minidl.gru_cell(x, h, minidl.zeros(9, 2), minidl.zeros(9, 3))
    tensor([[0.5000, 0.5000, 0.5000]])

    References
    ----------
    ``torch.nn.GRUCell``. Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder".
    """
    check_step("gru_cell", 3, x, {"h": h}, weight_ih, weight_hh, bias_ih, bias_hh)
    xr, xz, xn = chunk(linear(x, weight_ih, bias_ih), 3, -1)
    hr, hz, hn = chunk(linear(h, weight_hh, bias_hh), 3, -1)
    r = sigmoid(xr + hr)
    z = sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    return n + z * (h - n)


@takes_tensors("x", "h", "c", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
def lstm_cell(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None
) -> tuple[Tensor, Tensor]:
    r"""Take one step of a long short-term memory.

    .. math::
        i, f, o &= \sigma(W_{i \cdot} x + b_{i \cdot} + W_{h \cdot} h + b_{h \cdot}) \\
        g &= \tanh(W_{ig} x + b_{ig} + W_{hg} h + b_{hg}) \\
        c' &= f \odot c + i \odot g \\
        h' &= o \odot \tanh(c')

    Parameters
    ----------
    x : Tensor (N, D) or (D,)
    h, c : Tensor (N, U) or (U,)
    weight_ih : Tensor (4U, D)
        Gates i, f, g, o.
    weight_hh : Tensor (4U, U)
    bias_ih, bias_hh : Tensor (4U,), optional

    Returns
    -------
    h, c : Tensor (N, U) or (U,)

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    ArgumentError
        If ``bias_hh`` stands alone.

    Examples
    --------
    >>> import minidl
    >>> x, h, c = minidl.ones(1, 2), minidl.zeros(1, 1), minidl.ones(1, 1)
    >>> minidl.lstm_cell(x, h, c, minidl.zeros(4, 2), minidl.zeros(4, 1))
    (tensor([[0.2311]]), tensor([[0.5000]]))

    References
    ----------
    ``torch.nn.LSTMCell``. Hochreiter & Schmidhuber (1997), "Long short-term memory"; the forget gate is from Gers,
    Schmidhuber, Cummins (2000).
    """
    check_step("lstm_cell", 4, x, {"h": h, "c": c}, weight_ih, weight_hh, bias_ih, bias_hh)
    i, f, g, o = chunk(linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh), 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


class _Layer(Operation, register=False):
    """One layer, in one direction: inputs are x, its states, the weights, and as many biases as there are."""

    casting = "common"
    states = 1

    @quiet
    def forward(self, x: Any, *rest: Any, cell: str, reverse: bool, mask: Any) -> Any:
        self.parameters = cell, reverse, mask
        (h0, c0), (weight_ih, weight_hh, bias_ih, bias_hh) = self.divided(rest)
        states, cells, gates = kernels.recurrent_forward(
            x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, mask, reverse, cell
        )
        output, last = (states[:-1], 0) if reverse else (states[1:], -1)
        self.save(x, *rest, output, states, cells, gates)  # the output too: so a write to it is noticed
        ends = states[last].copy(), *(() if cells is None else (cells[last].copy(),))
        return output, *ends

    def divided(self, rest: Any) -> tuple[Any, Any]:
        """Return the two states and the four weights among the inputs behind the first, None for what there isn't."""
        states, weights = rest[: self.states], rest[self.states :]
        return (*states, None)[:2], (*weights, None, None)[:4]

    def backward(self, grad_output: Any, grad_h: Any, grad_c: Any = None) -> Any:
        x, *rest, _, states, cells, gates = self.saved
        if self.recording:
            return self.in_steps(x, rest, [grad_output, grad_h, grad_c][: 1 + self.states])
        cell, reverse, mask = self.parameters
        _, (weight_ih, weight_hh, *_) = self.divided(rest)
        grad_gates, *grad_states = kernels.recurrent_backward(
            grad_output, grad_h, grad_c, weight_hh, states, cells, gates, mask, reverse, cell
        )
        grad_x, grads = None, (None,) * 4
        if self.needs[0]:
            grad_x = kernels.recurrent_input_grad(grad_gates, weight_ih, cell)
        if True in self.needs[1 + self.states :]:
            transposed = weight_hh.strides[0] < weight_hh.strides[1]
            grads = kernels.recurrent_weight_grads(grad_gates, x, states, reverse, transposed, cell)
        return (grad_x, *grad_states[: self.states], *grads)[: len(self.needs)]

    def in_steps(self, x: Any, rest: Any, grads: Any) -> Any:
        """Return the gradients so that they can be differentiated again: those of the same layer taken cell by cell."""
        cell, reverse, mask = self.parameters
        # clones, because one input may depend on another, whose gradient is not to come along
        inputs = [clone(value) for value in (x, *rest)]
        x, *rest = inputs
        found, weights = self.divided(rest)
        states = found[: self.states]
        outputs = []
        for t in range(len(x) - 1, -1, -1) if reverse else range(len(x)):
            new = CELLS[cell](x[t], *states, *weights)
            new = new if isinstance(new, tuple) else (new,)
            if mask is not None:
                present = mask[t][:, None]
                new = tuple(where(present, after, before) for after, before in zip(new, states, strict=True))
            states = new
            outputs.append(states[0])
        results = [stack(outputs[::-1] if reverse else outputs), *states] if outputs else list(states)
        wanted = [value for value, need in zip(inputs, self.needs, strict=True) if need]
        found = iter(grad(results, wanted, grads[-len(results) :], create_graph=True, allow_unused=True))
        return tuple(next(found) if need else None for need in self.needs)


class LstmLayer(_Layer):
    states = 2


class GruLayer(_Layer):
    pass


class RnnLayer(_Layer):
    pass


CELLS: dict[str, Callable[..., Any]] = {
    "lstm": lstm_cell,
    "gru": gru_cell,
    "tanh": rnn_cell,
    "relu": functools.partial(rnn_cell, nonlinearity="relu"),
}


def run_layer(
    name: str,
    operation: type[_Layer],
    cell: str,
    x: Any,
    states: dict[str, Any],
    weights: Any,
    reverse: bool,
    mask: Any,
) -> Any:
    """Check what a layer is given, and apply it."""
    if x.ndim != 3:
        raise ShapeError(f"{name}: the input has shape {tuple(x.shape)}; expected (T, N, D): time, batch, features")
    check_step(name, BLOCKS[cell].weights, x, states, *weights)
    if mask is not None:
        mask = mask.array if isinstance(mask, Variable) else namespace(x.array).asarray(mask)
        if mask.dtype != bool or mask.shape != tuple(x.shape[:2]):
            raise ShapeError(
                f"{name}: the mask has shape {tuple(mask.shape)} and dtype {mask.dtype}; an input of shape "
                f"{tuple(x.shape)} needs booleans of shape {tuple(x.shape[:2])}, True where there is a step"
            )
    given = [weight for weight in weights if weight is not None]
    return operation.apply(x, *states.values(), *given, cell=cell, reverse=reverse, mask=mask)


@takes_tensors("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
def lstm_layer(
    x: Any,
    h0: Any,
    c0: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    reverse: bool = False,
    mask: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Run whole sequences through one layer of long short-term memory, in one direction.

    .. math:: h_t, c_t = \operatorname{lstm\_cell}(x_t, h_{t-1}, c_{t-1})

    Parameters
    ----------
    x : Tensor (T, N, D)
    h0, c0 : Tensor (N, U)
        The state to start from.
    weight_ih : Tensor (4U, D)
        Gates i, f, g, o.
    weight_hh : Tensor (4U, U)
    bias_ih, bias_hh : Tensor (4U,), optional
    reverse : bool
        Read the sequences from their ends.
    mask : bool Tensor (T, N), optional
        Where it is False, the step is left out: the states stay as they were.

    Returns
    -------
    output : Tensor (T, N, U)
        The hidden state after each step, in the order of ``x``.
    h, c : Tensor (N, U)
        The state in the end.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the mask has no booleans.
    ArgumentError
        If ``bias_hh`` stands alone.

    Examples
    --------
    >>> import minidl
    >>> x, state = minidl.ones(3, 1, 2), minidl.zeros(1, 1)
    >>> output, h, c = minidl.lstm_layer(x, state, state, minidl.ones(4, 2), minidl.zeros(4, 1))
    >>> c
    tensor([[2.2558]])

    References
    ----------
    ``torch.nn.LSTM``. Hochreiter & Schmidhuber (1997), "Long short-term memory".
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    return run_layer("lstm_layer", LstmLayer, "lstm", x, {"h0": h0, "c0": c0}, weights, reverse, mask)


@takes_tensors("x", "h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
def gru_layer(
    x: Any,
    h0: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    reverse: bool = False,
    mask: Any = None,
) -> tuple[Tensor, Tensor]:
    r"""Run whole sequences through one layer of gated recurrent units, in one direction.

    .. math:: h_t = \operatorname{gru\_cell}(x_t, h_{t-1})

    Parameters
    ----------
    x : Tensor (T, N, D)
    h0 : Tensor (N, U)
        The state to start from.
    weight_ih : Tensor (3U, D)
        Gates r, z, n.
    weight_hh : Tensor (3U, U)
    bias_ih, bias_hh : Tensor (3U,), optional
    reverse : bool
        Read the sequences from their ends.
    mask : bool Tensor (T, N), optional
        Where it is False, the step is left out: the state stays as it was.

    Returns
    -------
    output : Tensor (T, N, U)
        The hidden state after each step, in the order of ``x``.
    h : Tensor (N, U)
        The state in the end.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the mask has no booleans.
    ArgumentError
        If ``bias_hh`` stands alone.

    Examples
    --------
    >>> import minidl
    >>> x, state = minidl.ones(3, 1, 2), minidl.zeros(1, 1)
    >>> output, h = minidl.gru_layer(x, state, minidl.ones(3, 2), minidl.zeros(3, 1))
    >>> h
    tensor([[0.3053]])

    References
    ----------
    ``torch.nn.GRU``. Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder".
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    return run_layer("gru_layer", GruLayer, "gru", x, {"h0": h0}, weights, reverse, mask)


@takes_tensors("x", "h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
def rnn_layer(
    x: Any,
    h0: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    nonlinearity: str = "tanh",
    reverse: bool = False,
    mask: Any = None,
) -> tuple[Tensor, Tensor]:
    r"""Run whole sequences through one simple recurrent layer, in one direction.

    .. math:: h_t = \operatorname{rnn\_cell}(x_t, h_{t-1})

    Parameters
    ----------
    x : Tensor (T, N, D)
    h0 : Tensor (N, U)
        The state to start from.
    weight_ih : Tensor (U, D)
    weight_hh : Tensor (U, U)
    bias_ih, bias_hh : Tensor (U,), optional
    nonlinearity : {"tanh", "relu"}
    reverse : bool
        Read the sequences from their ends.
    mask : bool Tensor (T, N), optional
        Where it is False, the step is left out: the state stays as it was.

    Returns
    -------
    output : Tensor (T, N, U)
        The hidden state after each step, in the order of ``x``.
    h : Tensor (N, U)
        The state in the end.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the mask has no booleans.
    ArgumentError
        If the nonlinearity is unknown, or ``bias_hh`` stands alone.

    Examples
    --------
    >>> import minidl
    >>> x, state = minidl.ones(3, 1, 2), minidl.zeros(1, 1)
    >>> output, h = minidl.rnn_layer(x, state, minidl.ones(1, 2), minidl.ones(1, 1), nonlinearity="relu")
    >>> h
    tensor([[6.]])

    References
    ----------
    ``torch.nn.RNN``. Elman (1990), "Finding structure in time".
    """
    check_nonlinearity("rnn_layer", nonlinearity)
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    return run_layer("rnn_layer", RnnLayer, nonlinearity, x, {"h0": h0}, weights, reverse, mask)
