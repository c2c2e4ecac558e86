"""Sequential: a chain of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from minidl.errors import ArgumentError, DTypeError, StateError
from minidl.keras.layer import Layer, as_shape
from minidl.keras.layers.input_layer import InputLayer
from minidl.keras.models.graph_config import made_layer
from minidl.keras.models.model import Model
from minidl.keras.names import scope
from minidl.keras.serialization import builtin, serialize_keras_object
from minidl.keras.structure import flatten, is_shape
from minidl.keras.symbolic import Graph, KerasTensor, node_of, with_rank_of
from minidl.nn.module import Members

__all__ = ["Sequential"]


@builtin("keras")
@builtin("keras.models")
class Sequential(Model):
    r"""A chain of layers: each takes what the one before returned.

    .. math:: y = f_n(\dots f_2(f_1(x)))

    It is built as soon as the input shape is known: from an ``Input`` at the front, from the first layer's
    ``input_shape=``, or from the first data.

    Parameters
    ----------
    layers : list of Layer, optional
        The first may be an ``Input``. Symbolic tensors are taken, too, if they form one chain: the layers that made
        them are the model.
    trainable : bool
    name : str, optional

    Shape
    -----
    Input, Output : those of the first and the last layer

    Raises
    ------
    DTypeError
        If something is not a layer.
    ArgumentError
        If symbolic tensors do not form one chain, or two layers have one name.
    ShapeError
        If a layer cannot take what the one before returns; the message names the layer.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu")])
    >>> model.add(keras.layers.Dense(3))
    >>> model.output_shape, model.count_params()
    ((None, 3), 67)

    References
    ----------
    ``keras.Sequential``.
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self.__dict__["_chain"] = Chain()
        for layer in _from_tensors(list(layers or [])):
            self.add(layer)
        if not trainable:
            self.trainable = False

    def _members(self) -> Any:
        for layer in self._chain.layers:
            yield layer.name, layer

    @property
    def _graph(self) -> Graph | None:  # type: ignore[override]
        return self._chain.graph

    @property
    def _is_connected(self) -> bool:
        return True

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input layer."""
        return [layer for layer in self._chain.layers if not isinstance(layer, InputLayer)]

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer at the end of the chain.

        Parameters
        ----------
        layer : Layer, or what ``Input`` returned
        """
        if isinstance(layer, KerasTensor):
            layer = _from_tensors([layer], self._graph)[-1]
        if not isinstance(layer, Layer):
            raise DTypeError(
                f"Sequential: expected a layer, got a {type(layer).__name__}: {layer!r}; a Sequential takes layers "
                "(keras.layers...), an Input in front, and models"
            )
        chain = self._chain.layers
        if any(layer.name == other.name for other in chain):
            raise ArgumentError(
                f"Sequential: a layer is called {layer.name!r} already; give this one another name="
                + (" (it is the same layer, which a chain holds once)" if layer in chain else "")
            )
        if chain and isinstance(layer, InputLayer):
            raise ArgumentError(f"Sequential: an Input stands at the front, not after {chain[-1].name!r}")
        front = _known_input(layer) if not chain else None
        if front is not None:
            self.add(InputLayer(batch_shape=front))
        if not chain and isinstance(layer, InputLayer):
            self._begin(layer)
        elif self._chain.ends is not None:
            first, last = self._chain.ends
            with scope(self.name):
                self._chain.join(first, layer(last))
        chain.append(layer)
        Members.changed()

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off, and return it."""
        if not self.layers:
            raise StateError(f"Sequential {self.name!r} has no layer to take off")
        popped = self._chain.layers.pop()
        Members.changed()
        if self._chain.ends is not None:
            first, last = self._chain.ends
            self._chain.join(first, node_of(last).args[0])
        return popped

    def _begin(self, layer: InputLayer) -> None:
        self._chain.join(layer.output, layer.output)
        Layer.build(self, layer.batch_shape)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights, for inputs of a shape ``(None, ...)``."""
        if self._chain.ends is not None:
            return
        if not self._chain.layers:
            raise StateError(f"Sequential {self.name!r} has no layers yet; call add(layer) first")
        if not is_shape(input_shape):
            raise ArgumentError(f"Sequential: a chain has one input, got the shapes {input_shape}; use keras.Model")
        layers, self._chain.layers[:] = self._chain.layers[:], []
        try:
            self.add(InputLayer(batch_shape=as_shape(input_shape, "build"), dtype=self.dtype))
            for layer in layers:
                self.add(layer)
        except Exception:
            self._chain.layers[:], self._chain.ends, self.built = layers, None, False
            Members.changed()
            raise

    def _build_for(self, inputs: Any) -> None:
        self.build((None, *self._single(inputs).shape[1:]))

    def _single(self, inputs: Any) -> Any:
        """Return the one input there may be."""
        if not isinstance(inputs, (list, tuple, dict)):
            return inputs
        values = flatten(inputs)
        if len(values) != 1:
            raise ArgumentError(
                f"Sequential {self.name!r}: a chain has one input, got {len(values)} tensors; for several inputs use "
                "keras.Model(inputs, outputs)"
            )
        return values[0]

    def call(self, inputs: Any) -> Any:
        """Compute the outputs."""
        x = self._single(inputs)
        if self._chain.ends is not None:
            x = with_rank_of(self._chain.ends[0], x)
        for layer in self._chain.layers:
            if type(layer) is not InputLayer:  # it returns what it gets
                x = layer(x)
        return x

    forward = call

    def get_config(self) -> dict[str, Any]:
        """Return the configs of the layers, and the shape the chain was built for."""
        config = {
            **{key: value for key, value in Layer.get_config(self).items() if key in ("name", "trainable", "dtype")},
            "layers": [serialize_keras_object(layer) for layer in self._chain.layers],
        }
        if self._build_shape is not None:
            config["build_input_shape"] = list(self._build_shape)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """Make a model, with new weights, from what ``get_config`` returned."""
        model = cls(name=config.get("name"))
        for layer_config in config["layers"]:
            model.add(made_layer(layer_config, custom_objects))
        if config.get("build_input_shape") is not None and not model.built:
            model.build(config["build_input_shape"])
        if config.get("trainable") is False:
            model.trainable = False
        return model


class Chain:
    """The layers of a Sequential; no list, since a module would find them in it under their numbers."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.ends: tuple[KerasTensor, KerasTensor] | None = None  # the symbolic input and output, once it is built
        self._graph: Graph | None = None

    def join(self, first: KerasTensor, last: KerasTensor) -> None:
        """Let the chain lead from one symbolic tensor to another."""
        self.ends, self._graph = (first, last), None

    @property
    def graph(self) -> Graph | None:
        """The graph between the ends, made when it is asked for: not once for each layer that is added."""
        if self._graph is None and self.ends is not None:
            self._graph = Graph(*self.ends)
        return None if self.ends is None else self._graph


def _known_input(layer: Layer) -> tuple[int | None, ...] | None:
    """Return the input shape that a first layer brings along, or None."""
    if isinstance(layer, InputLayer):
        return None
    if isinstance(layer, Model) and layer._graph is not None and isinstance(layer._graph.inputs, KerasTensor):
        return layer.input_shape
    return layer._batch_input_shape


def _from_tensors(items: list[Any], graph: Graph | None = None) -> list[Any]:
    """Return layers in place of symbolic tensors: those that lead from each tensor to the next."""
    before = graph.outputs if graph is not None else None
    found: list[Any] = []
    for item in items:
        if not isinstance(item, KerasTensor):
            found.append(item)
            before = None
            continue
        node, steps = node_of(item), []
        while True:
            steps.append(node.layer)
            if not node.inputs or node.inputs[0] is before:
                break
            if len(node.inputs) > 1:
                raise _no_chain(f"{node.layer.name!r} has {len(node.inputs)} inputs")
            node = node_of(node.inputs[0])
        if found and not node.inputs and len(steps) > 1:
            raise _no_chain(f"{item!r} does not come from what stands before it")
        found += reversed(steps)
        before = item
    return found


def _no_chain(why: str) -> ArgumentError:
    return ArgumentError(
        f"Sequential: the symbolic tensors do not form one chain: {why}. A Sequential takes layers, each of which "
        "takes what the one before returns: Sequential([Input((4,)), Dense(8), Dense(3)]); for anything else use "
        "keras.Model(inputs, outputs)"
    )
