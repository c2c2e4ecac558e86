"""Recurrent layers: LSTM, GRU and SimpleRNN over whole sequences."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from minidl import ops
from minidl.errors import ShapeError
from minidl.keras import activations
from minidl.keras.layers.common import RandomLayer, check_features, check_rate, positive, size_known
from minidl.keras.serialization import builtin

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class _Recurrent(RandomLayer):
    """What recurrent layers share: weights, states, and the walk along a sequence.

    All input products are one product: a step gets ``z = x_t W + b``, its part of it, and the states.
    """

    _shown = ("units", "name")
    _gates: ClassVar[int]  # how many blocks of U columns the kernels have
    _states: ClassVar[int] = 1
    _cell: ClassVar[str]  # what stands before the weights' names
    _held: list[Any] | None = None  # the states that a stateful layer goes on from

    def __init__(self, zero_output_for_mask: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zero_output_for_mask = zero_output_for_mask

    def _check_arguments(self) -> None:
        positive(self, units=self.units)
        check_rate(self, dropout=self.dropout, recurrent_dropout=self.recurrent_dropout)
        self._start_seed(self.seed)

    @abstractmethod
    def _step(self, z: Any, states: list[Any]) -> list[Any]:
        """Return the states after a step; the first of them is its output."""

    def build(self, input_shape: Any) -> None:
        input_shape = _first_shape(input_shape)
        self._check_sequences(input_shape)
        columns = self._gates * self.units
        for name, rows, initializer in (
            ("kernel", size_known(self, input_shape), self.kernel_initializer),
            ("recurrent_kernel", self.units, self.recurrent_initializer),
        ):
            own = name.removesuffix("kernel")
            weight = self.add_weight(
                (rows, columns),
                initializer,
                regularizer=getattr(self, f"{own or 'kernel_'}regularizer"),
                constraint=getattr(self, f"{own or 'kernel_'}constraint"),
                name=name,
                prefix=(self._cell,),
            )
            setattr(self, name, weight)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self._bias_shape(),
                self._start_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
                prefix=(self._cell,),
            )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self._gates * self.units,)

    def _start_bias(self, shape: Any, dtype: Any = None) -> Any:
        return self.bias_initializer(shape, dtype=dtype)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if isinstance(sequences, (list, tuple)):  # as Bidirectional and old models pass states
            sequences, *initial_state = sequences
        self._check_sequences(sequences.shape)
        check_features(self, sequences.shape, self.kernel.shape[0])
        mask = None if mask is None else ops.as_tensor(mask, device=sequences.device)
        states = self._initial_states(sequences, initial_state)
        if training and self.dropout:  # one mask for all steps
            shape = (None, 1, None)
            sequences = ops.dropout(sequences, self.dropout, shape=shape, generator=self._generator())
        recurrent_mask = None
        if training and self.recurrent_dropout:
            ones = ops.ones_like(states[0])
            recurrent_mask = ops.dropout(ones, self.recurrent_dropout, generator=self._generator())
        outputs, last, states = self._walk(sequences, states, mask, recurrent_mask)
        if self.stateful:
            self._held = [state.detach() for state in states]
        result = outputs if self.return_sequences else last
        return [result, *states] if self.return_state else result

    @abstractmethod
    def _layer(self, x: Any, states: list[Any], mask: Any) -> tuple[Any, ...] | None:
        """Return the outputs (T, N, U) of all steps at once, and the states in the end.

        Or None, if there is no such operation for the layer's arguments.
        """

    def _walk(self, x: Any, states: list[Any], mask: Any, recurrent_mask: Any) -> tuple[Any, Any, list[Any]]:
        """Take all steps; return their outputs in the order they were made, the last one, and the states."""
        given = None if mask is None else ops.cast(mask, bool).permute(1, 0)  # (T, N)
        found = self._layer(x.permute(1, 0, 2), states, given) if recurrent_mask is None else None
        if found is None:
            return self._walk_in_steps(x, states, mask, recurrent_mask)
        outputs, *states = found
        outputs = ops.flip(outputs, 0) if self.go_backwards else outputs
        last = states[0]
        if given is not None and len(outputs):
            made = ops.flip(given, 0) if self.go_backwards else given
            if not self.zero_output_for_mask:  # the output before stands in for a masked one; none is before the first
                made = ops.cumsum(made, 0) > 0
            outputs = ops.where(ops.unsqueeze(made, -1), outputs, 0)
            last = outputs[-1]
        return (outputs.permute(1, 0, 2) if self.return_sequences else None), last, states

    def _walk_in_steps(self, x: Any, states: list[Any], mask: Any, recurrent_mask: Any) -> tuple[Any, Any, list[Any]]:
        """Take the steps one by one, which any activation and dropout can."""
        N, T, _ = x.shape
        z = self._input_products(x)
        steps = range(T - 1, -1, -1) if self.go_backwards else range(T)
        output = ops.zeros_like(states[0])
        outputs = []
        for t in steps:
            before = states
            given = states if recurrent_mask is None else [states[0] * recurrent_mask, *states[1:]]
            states = self._step(z[:, t], given)
            new = states[0]
            if mask is not None:
                present = mask[:, t].reshape(N, 1)
                states = [ops.where(present, a, b) for a, b in zip(states, before, strict=True)]
                new = ops.where(present, new, 0 if self.zero_output_for_mask else output)
            output = new
            outputs.append(output)
        return (ops.stack(outputs, 1) if self.return_sequences else None), output, states

    def _input_products(self, x: Any) -> Any:
        """Return what the inputs alone contribute to all steps: (N, T, gates * U)."""
        return ops.dense(x, self.kernel, self.bias)

    def _initial_states(self, sequences: Any, initial_state: Any) -> list[Any]:
        """Return the states to start from: those given, those held from the last call, or zeros."""
        N, U = sequences.shape[0], self.units
        if initial_state is not None and len(initial_state):
            given = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
            states = [ops.as_tensor(state, device=sequences.device) for state in given]
        elif self._held is not None:
            states = self._held
            if states[0].shape[0] != N:
                raise ShapeError(
                    f"{self.name}: it is stateful and holds the states of {states[0].shape[0]} sequences, but was "
                    f"given {N}; use batches of one size, or call reset_state() before"
                )
        else:
            return [ops.zeros(N, U, dtype=sequences.dtype, device=sequences.device) for _ in range(self._states)]
        if len(states) != self._states or any(tuple(state.shape) != (N, U) for state in states):
            raise ShapeError(
                f"{self.name}: initial_state must be {self._states} tensor{'s' * (self._states > 1)} of shape "
                f"{(N, U)}, got {[tuple(state.shape) for state in states]}"
            )
        return states

    def reset_state(self) -> None:
        """Forget the states that a stateful layer goes on from."""
        self._held = None

    reset_states = reset_state

    def _check_sequences(self, shape: Sequence[int | None]) -> None:
        if len(shape) != 3:
            hint = ""
            if len(shape) == 2:
                hint = "; if each step is one number, add an axis: x[..., None]; before it, use return_sequences=True"
            elif len(shape) == 4:
                hint = "; images read row by row are (N, rows, columns): put a Reshape in front"
            raise ShapeError(
                f"{self.name}: expected sequences of shape (N, T, D), batch, time and features, got "
                f"{tuple(shape)}{hint}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = _first_shape(input_shape)
        self._check_sequences(shape)
        if self.built:
            check_features(self, shape, self.kernel.shape[0])
        state = (shape[0], self.units)
        output = (*shape[:2], self.units) if self.return_sequences else state
        return [output, *[state] * self._states] if self.return_state else output


def _first_shape(shape: Any) -> Any:
    """Return the shape of the sequences, whether or not states come with them."""
    return shape[0] if shape and isinstance(shape[0], (list, tuple)) else shape


@builtin("keras.layers")
class LSTM(_Recurrent):
    r"""A long short-term memory: reads sequences step by step, and decides what to keep.

    .. math::
        i, f, o &= \sigma(x_t W_\cdot + h_{t-1} R_\cdot + b_\cdot) \\
        c_t &= f \odot c_{t-1} + i \odot \tanh(x_t W_c + h_{t-1} R_c + b_c) \\
        h_t &= o \odot \tanh(c_t)

    Parameters
    ----------
    units : int
        U, the size of the states h and c.
    activation : str or callable
        In place of the two tanh.
    recurrent_activation : str or callable
        In place of the gates' sigmoid.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or initializer
    unit_forget_bias : bool
        Start the forget gate's bias at 1.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : str or constraint, optional
    dropout, recurrent_dropout : float
        The share of the inputs, of the state h, that is dropped in training: the same ones in all steps.
    seed : int, optional
        Of random numbers of its own.
    return_sequences : bool
        Return the outputs of all steps instead of the last.
    return_state : bool
        Return the states at the end, too.
    go_backwards : bool
        Read from the end.
    stateful : bool
        Start where the last call ended, until ``reset_state()``.
    unroll, use_cudnn : bool
        Keras's; without effect.
    zero_output_for_mask : bool
        Put zeros where a step is masked, instead of the output before.

    Shape
    -----
    Input : (N, T, D); ``mask``, optional: bool (N, T); ``initial_state``, optional: h and c, (N, U)
    Output : (N, U), or (N, T, U) with ``return_sequences``; with ``return_state`` a list of it, h and c

    Raises
    ------
    ArgumentError
        If a size or a share is out of range.
    ShapeError
        If the input is no batch of sequences, or has other features than the layer was built for.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.LSTM(128)
    >>> layer(minidl.ones(4, 28, 32)).shape
    (4, 128)
    >>> [tuple(w.shape) for w in layer.weights]  # gates i, f, c, o
    [(32, 512), (128, 512), (512,)]

    References
    ----------
    ``keras.layers.LSTM``. Hochreiter & Schmidhuber (1997), "Long short-term memory".
    """

    _gates, _states, _cell = 4, 2, "lstm_cell"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._check_arguments()

    def _start_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = super()._start_bias(shape, dtype)
        if self.unit_forget_bias:
            bias[self.units : 2 * self.units] = 1
        return bias

    def _layer(self, x: Any, states: list[Any], mask: Any) -> tuple[Any, ...] | None:
        if self.activation is not activations.tanh or self.recurrent_activation is not activations.sigmoid:
            return None
        weights = self.kernel.permute(1, 0), self.recurrent_kernel.permute(1, 0)
        return ops.lstm_layer(x, states[0], states[1], *weights, self.bias, reverse=self.go_backwards, mask=mask)

    def _step(self, z: Any, states: list[Any]) -> list[Any]:
        h, c = states
        i, f, g, o = ops.chunk(z + ops.dense(h, self.recurrent_kernel), 4, -1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        return [self.recurrent_activation(o) * self.activation(c), c]

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "use_cudnn")


@builtin("keras.layers")
class GRU(_Recurrent):
    r"""A gated recurrent unit: reads sequences step by step, with one state and two gates.

    .. math::
        z, r &= \sigma(x_t W_\cdot + b_\cdot + h_{t-1} R_\cdot + b'_\cdot) \\
        \tilde h &= \tanh(x_t W_h + b_h + r \odot (h_{t-1} R_h + b'_h)) \\
        h_t &= z \odot h_{t-1} + (1 - z) \odot \tilde h

    Parameters
    ----------
    units : int
        U, the size of the state h.
    activation : str or callable
        In place of tanh.
    recurrent_activation : str or callable
        In place of the gates' sigmoid.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : str or constraint, optional
    dropout, recurrent_dropout : float
        The share of the inputs, of the state, that is dropped in training: the same ones in all steps.
    seed : int, optional
        Of random numbers of its own.
    return_sequences : bool
        Return the outputs of all steps instead of the last.
    return_state : bool
        Return the state at the end, too.
    go_backwards : bool
        Read from the end.
    stateful : bool
        Start where the last call ended, until ``reset_state()``.
    unroll, use_cudnn : bool
        Keras's; without effect.
    reset_after : bool
        Whether the gate r comes after the product with R, as in the formula, or before it.
    zero_output_for_mask : bool
        Put zeros where a step is masked, instead of the output before.

    Shape
    -----
    Input : (N, T, D); ``mask``, optional: bool (N, T); ``initial_state``, optional: (N, U)
    Output : (N, U), or (N, T, U) with ``return_sequences``; with ``return_state`` a list of it and h

    Raises
    ------
    ArgumentError
        If a size or a share is out of range.
    ShapeError
        If the input is no batch of sequences, or has other features than the layer was built for.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.GRU(16, return_sequences=True)(minidl.ones(4, 10, 8)).shape
    (4, 10, 16)

    References
    ----------
    ``keras.layers.GRU``. Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder".
    """

    _gates, _cell = 3, "gru_cell"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._check_arguments()

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _input_products(self, x: Any) -> Any:
        bias = self.bias
        return ops.dense(x, self.kernel, bias if bias is None or not self.reset_after else bias[0])

    def _layer(self, x: Any, states: list[Any], mask: Any) -> tuple[Any, ...] | None:
        standard = self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid
        if not standard or not self.reset_after:
            return None
        weights = _reset_first(self.kernel).permute(1, 0), _reset_first(self.recurrent_kernel).permute(1, 0)
        biases = (None, None) if self.bias is None else ops.unbind(_reset_first(self.bias))
        return ops.gru_layer(x, states[0], *weights, biases[0], biases[1], reverse=self.go_backwards, mask=mask)

    def _step(self, z: Any, states: list[Any]) -> list[Any]:
        (h,) = states
        xz, xr, xh = ops.chunk(z, 3, -1)
        if self.reset_after:
            bias = None if self.bias is None else self.bias[1]
            hz, hr, hh = ops.chunk(ops.dense(h, self.recurrent_kernel, bias), 3, -1)
            candidate = self.activation(xh + self.recurrent_activation(xr + hr) * hh)
        else:
            gates, last = self.recurrent_kernel[:, : 2 * self.units], self.recurrent_kernel[:, 2 * self.units :]
            hz, hr = ops.chunk(ops.dense(h, gates), 2, -1)
            candidate = self.activation(xh + ops.dense(self.recurrent_activation(xr + hr) * h, last))
        update = self.recurrent_activation(xz + hz)
        return [update * h + (1 - update) * candidate]

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "use_cudnn")


@builtin("keras.layers")
class SimpleRNN(_Recurrent):
    r"""The simplest recurrent layer: the output of a step is an input of the next.

    .. math:: h_t = \tanh(x_t W + h_{t-1} R + b)

    Parameters
    ----------
    units : int
        U, the size of the state h.
    activation : str or callable
        In place of tanh.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : str or constraint, optional
    dropout, recurrent_dropout : float
        The share of the inputs, of the state, that is dropped in training: the same ones in all steps.
    return_sequences : bool
        Return the outputs of all steps instead of the last.
    return_state : bool
        Return the state at the end, too.
    go_backwards : bool
        Read from the end.
    stateful : bool
        Start where the last call ended, until ``reset_state()``.
    unroll : bool
        Keras's; without effect.
    seed : int, optional
        Of random numbers of its own.
    zero_output_for_mask : bool
        Put zeros where a step is masked, instead of the output before.

    Shape
    -----
    Input : (N, T, D); ``mask``, optional: bool (N, T); ``initial_state``, optional: (N, U)
    Output : (N, U), or (N, T, U) with ``return_sequences``; with ``return_state`` a list of it and h

    Raises
    ------
    ArgumentError
        If a size or a share is out of range.
    ShapeError
        If the input is no batch of sequences, or has other features than the layer was built for.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.SimpleRNN(4)(minidl.ones(32, 10, 8)).shape
    (32, 4)

    References
    ----------
    ``keras.layers.SimpleRNN``. Elman (1990), "Finding structure in time".
    """

    _gates, _cell = 1, "simple_rnn_cell"
    _optional = ("seed",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._check_arguments()

    def _layer(self, x: Any, states: list[Any], mask: Any) -> tuple[Any, ...] | None:
        nonlinearity = {activations.tanh: "tanh", activations.relu: "relu"}.get(self.activation)
        if nonlinearity is None:
            return None
        weights = self.kernel.permute(1, 0), self.recurrent_kernel.permute(1, 0), self.bias
        how = {"nonlinearity": nonlinearity, "reverse": self.go_backwards, "mask": mask}
        return ops.rnn_layer(x, states[0], *weights, **how)

    def _step(self, z: Any, states: list[Any]) -> list[Any]:
        return [self.activation(z + ops.dense(states[0], self.recurrent_kernel))]


def _reset_first(weight: Any) -> Any:
    """Return the blocks z, r, h of Keras's GRU in PyTorch's order."""
    z, r, h = ops.chunk(weight, 3, -1)
    return ops.cat([r, z, h], -1)


def _without(config: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a config without what only says how to compute."""
    return {name: value for name, value in config.items() if name != key}
