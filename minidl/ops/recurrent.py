"""Recurrent layers: one step of each kind, and a fused LSTM over a whole sequence.

Weights are stacked gate by gate along the first axis, in PyTorch's order: i f g o for the LSTM, r z n for the GRU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl import kernels
from minidl.autograd import Operation
from minidl.backend import quiet
from minidl.errors import ArgumentError, GradError, ShapeError
from minidl.ops.activations import relu
from minidl.ops.arguments import takes_tensors
from minidl.ops.elementwise import sigmoid
from minidl.ops.linalg import linear
from minidl.ops.shape import chunk
from minidl.ops.trigonometry import tanh

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["gru_cell", "lstm_cell", "lstm_layer", "rnn_cell"]


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
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(f"rnn_cell: nonlinearity={nonlinearity!r}; expected 'tanh' or 'relu'")
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


class LstmLayer(Operation):
    casting = "common"

    @quiet
    def forward(
        self,
        x: Any,
        h0: Any,
        c0: Any,
        weight_ih: Any,
        weight_hh: Any,
        bias_ih: Any = None,
        bias_hh: Any = None,
        *,
        reverse: bool,
    ) -> Any:
        self.reverse = reverse
        bias = bias_ih if bias_hh is None else bias_ih + bias_hh
        output, h, c, gates, cells = kernels.lstm(x, h0, c0, weight_ih, weight_hh, bias, reverse)
        self.save(x, h0, c0, weight_ih, weight_hh, output, gates, cells)
        return output, h, c

    def backward(self, grad_output: Any, grad_h: Any, grad_c: Any) -> Any:
        if self.recording:
            raise GradError(
                "lstm_layer: a fused sequence cannot be differentiated twice (create_graph=True); use LSTMCell in a "
                "loop over the steps, which can"
            )
        x, h0, c0, weight_ih, weight_hh, output, gates, cells = self.saved
        grad_gates, grad_h0, grad_c0 = kernels.lstm_grad(
            grad_output, grad_h, grad_c, c0, weight_hh, gates, cells, self.reverse
        )
        T, N, D = x.shape
        U = h0.shape[1]
        grad_x = grad_weight_ih = grad_weight_hh = grad_bias = None
        if self.needs[0]:
            grad_x = kernels.matmul(grad_gates.reshape(T * N, 4 * U), weight_ih).reshape(T, N, D)
        if True in self.needs[3:]:
            grad_weight_ih, grad_weight_hh, grad_bias = kernels.lstm_weight_grads(
                grad_gates, x, h0, output, self.reverse, weight_hh.strides[0] < weight_hh.strides[1]
            )
        grads = (grad_x, grad_h0, grad_c0, grad_weight_ih, grad_weight_hh, grad_bias, grad_bias)
        return grads[: len(self.needs)]


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

    Returns
    -------
    output : Tensor (T, N, U)
        The hidden state after each step, in the order of ``x``.
    h, c : Tensor (N, U)
        The state in the end.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    ArgumentError
        If ``bias_hh`` stands alone.
    GradError
        If its gradient is to be differentiated again: use :func:`lstm_cell` in a loop.

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
    if x.ndim != 3:
        raise ShapeError(f"lstm_layer: the input has shape {tuple(x.shape)}; expected (T, N, D): time, batch, features")
    check_step("lstm_layer", 4, x, {"h0": h0, "c0": c0}, weight_ih, weight_hh, bias_ih, bias_hh)
    biases = () if bias_ih is None else (bias_ih,) if bias_hh is None else (bias_ih, bias_hh)
    return LstmLayer.apply(x, h0, c0, weight_ih, weight_hh, *biases, reverse=reverse)
