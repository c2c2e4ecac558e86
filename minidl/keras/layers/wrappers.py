"""Layers around layers: one for each step of time, or in both directions of it."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.keras.layer import Layer
from minidl.keras.layers.common import BuiltinLayer
from minidl.keras.serialization import builtin, serialize_keras_object

__all__ = ["Bidirectional", "TimeDistributed"]


def checked_layer(wrapper: BuiltinLayer, layer: Any, argument: str = "layer") -> Layer:
    """Return an argument that must be a layer."""
    if not isinstance(layer, Layer):
        raise DTypeError(f"{type(wrapper).__name__}: {argument} must be a layer, got {layer!r}")
    return layer


@builtin("keras.layers")
class TimeDistributed(BuiltinLayer):
    r"""A layer applied to each step of sequences on its own.

    .. math:: y_{n t} = f(x_{n t})

    Parameters
    ----------
    layer : Layer

    Shape
    -----
    Input : (N, T, ...)
    Output : (N, T, ...)

    Raises
    ------
    DTypeError
        If ``layer`` is no layer.
    ShapeError
        If the input has no axis of time.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.TimeDistributed(keras.layers.Conv2D(4, 3))(minidl.ones(2, 5, 8, 8, 1)).shape
    (2, 5, 6, 6, 4)

    References
    ----------
    ``keras.layers.TimeDistributed``.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = checked_layer(self, layer)

    def build(self, input_shape: Any) -> None:
        self._check_steps(input_shape)
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Any, training: bool = False) -> Any:
        self._check_steps(inputs.shape)
        N, T = inputs.shape[:2]
        y = self.layer(inputs.reshape(N * T, *inputs.shape[2:]), training=training)
        return y.reshape(N, T, *y.shape[1:])

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check_steps(input_shape)
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (*input_shape[:2], *inner[1:])

    def _check_steps(self, shape: Any) -> None:
        if len(shape) < 3:
            raise ShapeError(f"{self.name}: expected an input of shape (N, T, ...), got {tuple(shape)}")


_MERGED = {
    "concat": lambda a, b: ops.concat([a, b], -1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: [a, b],
}


@builtin("keras.layers")
class Bidirectional(BuiltinLayer):
    r"""Two recurrent layers, of which one reads from the end.

    .. math:: y_t = [\overrightarrow{h}_t; \overleftarrow{h}_t]

    Parameters
    ----------
    layer : Layer
        The recurrent layer that reads forward; what is used is a copy.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        How the two outputs become one; None returns both.
    weights : None
        Keras's; not available here: use ``set_weights``.
    backward_layer : Layer, optional
        The layer that reads backward; another copy of ``layer`` if left out.

    Shape
    -----
    Input : (N, T, D); ``mask``, optional: bool (N, T); ``initial_state``, optional: the states of both
    Output : (N, 2U), or (N, T, 2U) with ``return_sequences``; with ``return_state`` a list of it and all states

    Raises
    ------
    DTypeError
        If ``layer`` is no layer.
    ArgumentError
        If the merge mode is unknown, or both layers read in one direction.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Bidirectional(keras.layers.LSTM(16))(minidl.ones(4, 10, 8)).shape
    (4, 32)

    References
    ----------
    ``keras.layers.Bidirectional``. Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".
    """

    _optional = ("weights",)

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._refuse_given(weights=weights)
        checked_layer(self, layer)
        if merge_mode not in _MERGED:
            raise ArgumentError(f"Bidirectional: merge_mode={merge_mode!r}; expected one of {list(_MERGED)}")
        if not hasattr(layer, "go_backwards"):
            raise ArgumentError(f"Bidirectional: layer must be a recurrent one such as LSTM, got {layer!r}")
        self.merge_mode = merge_mode
        config = layer.get_config()
        self.forward_layer: Any = type(layer).from_config(
            {**config, "name": f"forward_{layer.name.removeprefix('forward_')}"}
        )
        self.backward_layer: Any = backward_layer
        if backward_layer is None:
            changed = {"go_backwards": True, "name": f"backward_{layer.name.removeprefix('backward_')}"}
            self.backward_layer = type(layer).from_config({**config, **changed})
        if checked_layer(self, self.backward_layer, "backward_layer").go_backwards == self.forward_layer.go_backwards:
            raise ArgumentError("Bidirectional: both layers read in one direction; give one of them go_backwards=True")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(self.forward_layer, name) != getattr(self.backward_layer, name):
                raise ArgumentError(f"Bidirectional: both layers must have the same {name}")
        for inner in (self.forward_layer, self.backward_layer):
            inner.zero_output_for_mask = inner.return_sequences

    def build(self, input_shape: Any) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        half = len(initial_state) // 2 if initial_state is not None else 0
        given = (initial_state[:half], initial_state[half:]) if initial_state is not None else (None, None)
        results = [
            layer(sequences, initial_state=states, mask=mask, training=training)
            for layer, states in zip((self.forward_layer, self.backward_layer), given, strict=True)
        ]
        states = []
        if self.forward_layer.return_state:
            states = [state for result in results for state in result[1:]]
            results = [result[0] for result in results]
        forward, backward = results
        if self.forward_layer.return_sequences:
            backward = ops.flip(backward, 1)
        merged = _MERGED[self.merge_mode](forward, backward)
        if not states:
            return merged
        return [*merged, *states] if self.merge_mode is None else [merged, *states]

    def compute_output_shape(self, input_shape: Any) -> Any:
        found = self.forward_layer.compute_output_shape(input_shape)
        output, states = (found[0], found[1:]) if self.forward_layer.return_state else (found, [])
        outputs = [output, output] if self.merge_mode is None else [output]
        if self.merge_mode == "concat":
            outputs = [(*output[:-1], 2 * output[-1])]
        every = [*outputs, *states, *states]
        return every if len(every) > 1 else every[0]

    def reset_state(self) -> None:
        """Forget the states that stateful layers go on from."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.forward_layer)}
