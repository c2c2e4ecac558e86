"""Recurrent layers over whole sequences, and their cells, which take one step.

Weights are stacked gate by gate along the first axis, in PyTorch's order: i f g o for the LSTM, r z n for the GRU.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minidl import ops
from minidl.autograd import Variable, wrap
from minidl.backend import namespace
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.nn import init
from minidl.nn.linear import check_counts, empty_parameter
from minidl.nn.module import Module
from minidl.nn.utils import rnn
from minidl.nn.utils.rnn import PackedSequence
from minidl.ops.recurrent import check_nonlinearity

Weights = tuple[Any, Any, Any, Any]  # weight_ih, weight_hh, bias_ih, bias_hh


def draw_uniformly(module: Module, units: int) -> None:
    """Fill all parameters of a recurrent module from U(-1/sqrt(units), 1/sqrt(units))."""
    bound = 1 / math.sqrt(units)
    for x in module.parameters():
        init.uniform_(x, -bound, bound)


class _Recurrent(Module):
    """What the recurrent layers share: weights for each layer and direction, the order of axes, the states.

    A subclass names its gates and states, and runs one layer in one direction in :meth:`_run`.
    """

    gates: ClassVar[int]
    states: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_counts(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout <= 1:
            raise ArgumentError(f"{name}: dropout={dropout!r}; expected a probability from 0 to 1")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        rows = self.gates * hidden_size
        self._names: list[tuple[str, ...]] = []  # of the weights, for each layer and direction
        for layer in range(num_layers):
            features = input_size if layer == 0 else hidden_size * self.directions
            for suffix in ("", "_reverse")[: self.directions]:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, features), "weight_hh": (rows, hidden_size)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                names = tuple(f"{kind}_l{layer}{suffix}" for kind in shapes)
                for weight, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, weight, empty_parameter(*shape, device=device, dtype=dtype))
                self._names.append(names)
        self.reset_parameters()

    @property
    def directions(self) -> int:
        """2 if the sequence is read from its end too, else 1."""
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        draw_uniformly(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Do nothing: PyTorch's code may call it, for the sake of its GPU library."""

    def forward(self, x: Any, hx: Any = None) -> Any:
        if isinstance(x, PackedSequence):
            return self._forward_packed(x, hx)
        name = type(self).__name__
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            layout = "(N, T, D)" if self.batch_first else "(T, N, D)"
            raise ShapeError(
                f"{name}: the input has shape {tuple(x.shape)}; expected {layout}, or (T, D) without a batch, with "
                f"D = {self.input_size}; give the layer the input_size that the input has, or move its features last"
            )
        batched = x.ndim == 3
        if not batched:
            x = ops.unsqueeze(x, 1)  # (T, D) -> (T, 1, D)
        elif self.batch_first:
            x = ops.swapaxes(x, 0, 1)  # (N, T, D) -> (T, N, D)
        x, finals = self._all_layers(x, self._starts(x, hx, batched))
        if not batched:
            x = ops.squeeze(x, 1)  # (T, 1, U) -> (T, U)
            finals = [ops.squeeze(state, 1) for state in finals]
        elif self.batch_first:
            x = ops.swapaxes(x, 0, 1)  # (T, N, U) -> (N, T, U)
        return x, tuple(finals) if len(finals) > 1 else finals[0]

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> Any:
        """Run sequences of several lengths: padded, and with a mask. States are in the caller's order."""
        name, data = type(self).__name__, packed.data
        if data.ndim != 2 or data.shape[1] != self.input_size:
            raise ShapeError(
                f"{name}: the packed steps have shape {tuple(data.shape)}; expected (steps, D) with D = "
                f"{self.input_size}; give the layer the input_size that they have"
            )
        present = rnn.steps_present(packed.batch_sizes)  # (T, N)
        x = rnn.padded(data, present)  # (T, N, D)
        starts = self._starts(x, hx, True)
        if hx is not None and packed.sorted_indices is not None:
            starts = [ops.index_select(state, 1, packed.sorted_indices) for state in starts]
        x, finals = self._all_layers(x, starts, present)
        if packed.unsorted_indices is not None:
            finals = [ops.index_select(state, 1, packed.unsorted_indices) for state in finals]
        output = PackedSequence(rnn.packed(x, present), *packed[1:])
        return output, tuple(finals) if len(finals) > 1 else finals[0]

    def _all_layers(self, x: Any, starts: list[Any], mask: Any = None) -> tuple[Any, list[Any]]:
        """Return the output (T, N, directions * U) of the last layer, and the states of all (layers, N, U) in the end.

        Where the ``mask`` (T, N) is False, a sequence has no step.
        """
        ends = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.directions):
                k = layer * self.directions + direction
                found = [getattr(self, weight) for weight in self._names[k]]
                weights = (*found,) if self.bias else (*found, None, None)
                output, *end = self._run(x, [start[k] for start in starts], weights, direction == 1, mask)
                outputs.append(output)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else ops.cat(outputs, -1)  # (T, N, U) or (T, N, 2U)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = ops.dropout(x, self.dropout)
        return x, [ops.stack(list(state)) for state in zip(*ends, strict=True)]

    def _starts(self, x: Any, hx: Any, batched: bool) -> list[Any]:
        """Return the states to start from, each (layers * directions, N, U); zeros if none are given."""
        count, batch = self.num_layers * self.directions, x.shape[1]
        if hx is None:
            array = x.array if isinstance(x, Variable) else x
            zeros = wrap(namespace(array).zeros((batch, self.hidden_size), array.dtype))
            return [[zeros] * count] * len(self.states)
        name = type(self).__name__
        given = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        if len(given) != len(self.states):
            wanted = f"a tuple ({', '.join(f'{s}0' for s in self.states)})" if len(self.states) > 1 else "one tensor"
            raise DTypeError(f"{name}: the state to start from is {wanted}, got {len(given)} of them")
        expected = (count, batch, self.hidden_size) if batched else (count, self.hidden_size)
        for state, value in zip(self.states, given, strict=True):
            if tuple(value.shape) != expected:
                raise ShapeError(
                    f"{name}: {state}0 has shape {tuple(value.shape)}; expected {expected}: layers * directions, "
                    f"{'batch, ' if batched else ''}units (the batch is not first here)"
                )
        return given if batched else [ops.unsqueeze(state, 1) for state in given]

    def _run(self, x: Any, start: list[Any], weights: Weights, reverse: bool, mask: Any) -> tuple[Any, ...]:
        """Return the output (T, N, U) of one layer in one direction, and its states in the end."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        parts = [
            f"{self.input_size}, {self.hidden_size}",
            f"num_layers={self.num_layers}" if self.num_layers != 1 else "",
            "" if self.bias else "bias=False",
            "batch_first=True" if self.batch_first else "",
            f"dropout={self.dropout}" if self.dropout else "",
            "bidirectional=True" if self.bidirectional else "",
        ]
        return ", ".join(filter(None, parts))


class LSTM(_Recurrent):
    r"""Run sequences through layers of long short-term memory.

    .. math::
        i_t, f_t, o_t &= \sigma(W_{i \cdot} x_t + b_{i \cdot} + W_{h \cdot} h_{t-1} + b_{h \cdot}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \tanh(c_t)

    Parameters
    ----------
    input_size : int
        :math:`D`, the features of each step.
    hidden_size : int
        :math:`U`, the units.
    num_layers : int
        How many layers stand above one another.
    bias : bool
        Whether there are biases.
    batch_first : bool
        Whether input and output have the batch before the time. The states never have.
    dropout : float
        The probability of dropout between two layers.
    bidirectional : bool
        Whether each layer reads the sequence from its end too.
    proj_size : int
        Only 0: there are no projections.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, of shape (4U, D) and (4U, U)
        Gates in the order i, f, g, o; ``l1`` and so on for the layers above, which read (directions * U) features;
        ``_reverse`` at the end for the other direction.
    bias_ih_l0, bias_hh_l0 : Parameter, of shape (4U,)

    Shape
    -----
    Input : (T, N, D), or (N, T, D) with ``batch_first``, or (T, D) without a batch, or a
        ``PackedSequence`` of sequences of several lengths (``minidl.nn.utils.rnn``); and optionally (h0, c0), each
        (layers * directions, N, U)
    Output : (T, N, directions * U), laid out as the input; and (h_n, c_n), as (h0, c0)

    Raises
    ------
    ArgumentError
        If an argument is out of range, or ``proj_size`` is not 0.
    ShapeError
        When called, if the input or a state does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> lstm = nn.LSTM(8, 16, batch_first=True)
    >>> output, (h, c) = lstm(minidl.zeros(4, 10, 8))
    >>> output.shape, h.shape
    ((4, 10, 16), (1, 4, 16))

    References
    ----------
    ``torch.nn.LSTM``. Hochreiter & Schmidhuber (1997), "Long short-term memory".
    """

    gates = 4
    states = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if proj_size:
            raise ArgumentError(
                f"LSTM: proj_size={proj_size}; projections of the hidden state are not supported, put a Linear behind "
                "the LSTM"
            )
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)

    def _run(self, x: Any, start: list[Any], weights: Weights, reverse: bool, mask: Any) -> tuple[Any, ...]:
        h, c = start
        return ops.lstm_layer(x, h, c, *weights, reverse=reverse, mask=mask)


class GRU(_Recurrent):
    r"""Run sequences through layers of gated recurrent units.

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    Parameters
    ----------
    input_size : int
        :math:`D`, the features of each step.
    hidden_size : int
        :math:`U`, the units.
    num_layers : int
        How many layers stand above one another.
    bias : bool
        Whether there are biases.
    batch_first : bool
        Whether input and output have the batch before the time. The states never have.
    dropout : float
        The probability of dropout between two layers.
    bidirectional : bool
        Whether each layer reads the sequence from its end too.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, of shape (3U, D) and (3U, U)
        Gates in the order r, z, n; further layers and directions as in :class:`LSTM`.
    bias_ih_l0, bias_hh_l0 : Parameter, of shape (3U,)

    Shape
    -----
    Input : (T, N, D), or (N, T, D) with ``batch_first``, or (T, D) without a batch, or a
        ``PackedSequence`` of sequences of several lengths (``minidl.nn.utils.rnn``); and optionally h0,
        (layers * directions, N, U)
    Output : (T, N, directions * U), laid out as the input; and h_n, as h0

    Raises
    ------
    ArgumentError
        If an argument is out of range.
    ShapeError
        When called, if the input or the state does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> output, h = nn.GRU(8, 16, bidirectional=True)(minidl.zeros(10, 4, 8))
    >>> output.shape, h.shape
    ((10, 4, 32), (2, 4, 16))

    References
    ----------
    ``torch.nn.GRU``. Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder".
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)

    def _run(self, x: Any, start: list[Any], weights: Weights, reverse: bool, mask: Any) -> tuple[Any, ...]:
        return ops.gru_layer(x, start[0], *weights, reverse=reverse, mask=mask)


class RNN(_Recurrent):
    r"""Run sequences through simple recurrent layers.

    .. math:: h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Parameters
    ----------
    input_size : int
        :math:`D`, the features of each step.
    hidden_size : int
        :math:`U`, the units.
    num_layers : int
        How many layers stand above one another.
    nonlinearity : {"tanh", "relu"}
        What stands in the place of the tanh.
    bias : bool
        Whether there are biases.
    batch_first : bool
        Whether input and output have the batch before the time. The states never have.
    dropout : float
        The probability of dropout between two layers.
    bidirectional : bool
        Whether each layer reads the sequence from its end too.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, of shape (U, D) and (U, U)
        Further layers and directions as in :class:`LSTM`.
    bias_ih_l0, bias_hh_l0 : Parameter, of shape (U,)

    Shape
    -----
    Input : (T, N, D), or (N, T, D) with ``batch_first``, or (T, D) without a batch, or a
        ``PackedSequence`` of sequences of several lengths (``minidl.nn.utils.rnn``); and optionally h0,
        (layers * directions, N, U)
    Output : (T, N, directions * U), laid out as the input; and h_n, as h0

    Raises
    ------
    ArgumentError
        If an argument is out of range.
    ShapeError
        When called, if the input or the state does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> output, h = nn.RNN(8, 16)(minidl.zeros(10, 4, 8))
    >>> output.shape, h.shape
    ((10, 4, 16), (1, 4, 16))

    References
    ----------
    ``torch.nn.RNN``. Elman (1990), "Finding structure in time".
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_nonlinearity("RNN", nonlinearity)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity

    def _run(self, x: Any, start: list[Any], weights: Weights, reverse: bool, mask: Any) -> tuple[Any, ...]:
        return ops.rnn_layer(x, start[0], *weights, nonlinearity=self.nonlinearity, reverse=reverse, mask=mask)


class _Cell(Module):
    """What the cells share: weights, and a state of zeros where none is given."""

    gates: ClassVar[int]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_counts(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self.gates * hidden_size
        self.weight_ih = empty_parameter(rows, input_size, device=device, dtype=dtype)
        self.weight_hh = empty_parameter(rows, hidden_size, device=device, dtype=dtype)
        self.bias_ih = empty_parameter(rows, device=device, dtype=dtype) if bias else None
        self.bias_hh = empty_parameter(rows, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        draw_uniformly(self, self.hidden_size)

    def _zeros(self, x: Any) -> Any:
        """Check the input, and return a state of zeros for it."""
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: the input has shape {tuple(x.shape)}; expected (N, D) or (D,) with "
                f"D = {self.input_size}: a cell takes one step, so hand it x[t]"
            )
        array = x.array if isinstance(x, Variable) else x
        return wrap(namespace(array).zeros((*x.shape[:-1], self.hidden_size), array.dtype))

    def _weights(self) -> Weights:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"


class LSTMCell(_Cell):
    r"""Take one step of a long short-term memory; can be differentiated any number of times.

    .. math::
        i, f, o &= \sigma(W_{i \cdot} x + b_{i \cdot} + W_{h \cdot} h + b_{h \cdot}) \\
        g &= \tanh(W_{ig} x + b_{ig} + W_{hg} h + b_{hg}) \\
        c' &= f \odot c + i \odot g \\
        h' &= o \odot \tanh(c')

    Parameters
    ----------
    input_size : int
        :math:`D`, the features.
    hidden_size : int
        :math:`U`, the units.
    bias : bool
        Whether there are biases.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih, weight_hh : Parameter, of shape (4U, D) and (4U, U)
        Gates in the order i, f, g, o.
    bias_ih, bias_hh : Parameter, of shape (4U,), or None

    Shape
    -----
    Input : (N, D) or (D,), and optionally (h, c), each (N, U) or (U,)
    Output : (h, c)

    Raises
    ------
    ShapeError
        When called, if the input or a state does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> cell, state = nn.LSTMCell(8, 16), None
    >>> for x in minidl.zeros(10, 4, 8):
    ...     state = cell(x, state)
    >>> state[0].shape
    (4, 16)

    References
    ----------
    ``torch.nn.LSTMCell``. Hochreiter & Schmidhuber (1997), "Long short-term memory".
    """

    gates = 4

    def forward(self, x: Any, hx: Any = None) -> tuple[Any, Any]:
        zeros = self._zeros(x)
        h, c = (zeros, zeros) if hx is None else hx
        return ops.lstm_cell(x, h, c, *self._weights())


class GRUCell(_Cell):
    r"""Take one step of a gated recurrent unit.

    .. math::
        r &= \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr}) \\
        z &= \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz}) \\
        n &= \tanh(W_{in} x + b_{in} + r \odot (W_{hn} h + b_{hn})) \\
        h' &= (1 - z) \odot n + z \odot h

    Parameters
    ----------
    input_size : int
        :math:`D`, the features.
    hidden_size : int
        :math:`U`, the units.
    bias : bool
        Whether there are biases.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih, weight_hh : Parameter, of shape (3U, D) and (3U, U)
        Gates in the order r, z, n.
    bias_ih, bias_hh : Parameter, of shape (3U,), or None

    Shape
    -----
    Input : (N, D) or (D,), and optionally h, (N, U) or (U,)
    Output : h

    Raises
    ------
    ShapeError
        When called, if the input or the state does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.GRUCell(8, 16)(minidl.zeros(4, 8)).shape
    (4, 16)

    References
    ----------
    ``torch.nn.GRUCell``. Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder".
    """

    gates = 3

    def forward(self, x: Any, hx: Any = None) -> Any:
        zeros = self._zeros(x)
        return ops.gru_cell(x, zeros if hx is None else hx, *self._weights())


class RNNCell(_Cell):
    r"""Take one step of a simple recurrent layer.

    .. math:: h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})

    Parameters
    ----------
    input_size : int
        :math:`D`, the features.
    hidden_size : int
        :math:`U`, the units.
    bias : bool
        Whether there are biases.
    nonlinearity : {"tanh", "relu"}
        What stands in the place of the tanh.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih, weight_hh : Parameter, of shape (U, D) and (U, U)
    bias_ih, bias_hh : Parameter, of shape (U,), or None

    Shape
    -----
    Input : (N, D) or (D,), and optionally h, (N, U) or (U,)
    Output : h

    Raises
    ------
    ShapeError
        When called, if the input or the state does not fit.
    ArgumentError
        If the nonlinearity is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.RNNCell(8, 16)(minidl.zeros(4, 8)).shape
    (4, 16)

    References
    ----------
    ``torch.nn.RNNCell``. Elman (1990), "Finding structure in time".
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, x: Any, hx: Any = None) -> Any:
        zeros = self._zeros(x)
        return ops.rnn_cell(x, zeros if hx is None else hx, *self._weights(), self.nonlinearity)

    def extra_repr(self) -> str:
        nonlinearity = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + nonlinearity
