"""Model: layers put together, by connecting symbolic tensors or by writing ``call``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Self

from minidl.autograd import no_grad
from minidl.errors import ArgumentError, StateError
from minidl.keras import saving
from minidl.keras.allowance import check_trial
from minidl.keras.layer import Layer, as_shape
from minidl.keras.layers.input_layer import InputLayer
from minidl.keras.models import graph_config
from minidl.keras.models.compiled import Compiled
from minidl.keras.models.summary import Table
from minidl.keras.names import auto_name
from minidl.keras.serialization import builtin, serialize_keras_object
from minidl.keras.structure import Sizes, is_shape, map_shapes, map_structure
from minidl.keras.symbolic import Graph, KerasTensor, node_of
from minidl.ops import zeros

__all__ = ["Model"]


@builtin("keras.models", "Functional")
@builtin("keras", "Functional")
class Model(Compiled):
    r"""Layers put together: what ``compile``, ``fit``, ``evaluate``, ``predict`` and ``save`` work on.

    .. math:: y = f_\theta(x)

    There are three ways to make one: :class:`Sequential`; ``Model(inputs, outputs)`` with the symbolic tensors that
    layers returned; or a subclass that has layers as attributes and computes in ``call``.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or list or dict of them
        What :func:`Input` returned, and what came out of the layers.
    **kwargs
        ``name``, ``trainable`` and the other arguments of :class:`Layer`.

    Shape
    -----
    Input, Output : those of the symbolic tensors, or as ``call`` has them

    Raises
    ------
    ArgumentError
        If the outputs depend on an input that is not given.

    Examples
    --------
    >>> from minidl import keras
    >>> image = keras.Input((28, 28))
    >>> hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(image))
    >>> model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(hidden))
    >>> model.count_params()
    25450

    References
    ----------
    ``keras.Model``.
    """

    _graph: Graph | None = None

    def __init__(self, inputs: Any = None, outputs: Any = None, **kwargs: Any) -> None:
        if (inputs is None) != (outputs is None):
            raise ArgumentError("Model: give inputs and outputs, or (in a subclass that has a call) neither")
        if inputs is not None and kwargs.get("name") is None and type(self) is Model:
            kwargs["name"] = auto_name("functional")
        super().__init__(**kwargs)
        self._init_compiled()
        if inputs is not None:
            self._graph = _from_inputs(Graph(inputs, outputs))
            Layer.build(self, map_structure(lambda x: x.shape, inputs))
            if not self._trainable:
                self.trainable = False

    # ------------------------------------------------------------------ what it is made of

    def _members(self) -> Any:
        yield from super()._members()
        if self._graph is not None:
            for layer in self._graph.layers:
                yield layer.name, layer

    @property
    def layers(self) -> list[Layer]:
        """The layers it holds directly, in order."""
        return [x for x in self.children() if isinstance(x, Layer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of a name or with an index.

        Raises
        ------
        ArgumentError
            If there is none; the message lists those that there are.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ArgumentError("get_layer: give either a name or an index")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ArgumentError(f"get_layer: there are {len(layers)} layers, and none has the index {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ArgumentError(f"get_layer: no layer is called {name!r}; there are: {[layer.name for layer in layers]}")

    def _of_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise StateError(
                f"{self.name} has no {what}: it is not built yet, or computes in a call of its own; begin with "
                "keras.Input, or call it with data first"
            )
        return self._graph

    @property
    def inputs(self) -> list[Any]:
        """The symbolic inputs, in a list."""
        return self._of_graph("inputs").flat_inputs

    @property
    def outputs(self) -> list[Any]:
        """The symbolic outputs, in a list."""
        return self._of_graph("outputs").flat_outputs

    @property
    def input(self) -> Any:
        """The symbolic input, or inputs as they were given."""
        return self._of_graph("input").inputs

    @property
    def output(self) -> Any:
        """The symbolic output, or outputs as they were given."""
        return self._of_graph("output").outputs

    @property
    def input_shape(self) -> Any:
        """The shape of the input (or of each), the batch first."""
        return map_structure(lambda x: x.shape, self.input)

    @property
    def output_shape(self) -> Any:
        """The shape of the output (or of each), the batch first."""
        return map_structure(lambda x: x.shape, self.output)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return self._of_graph("inputs").names(self.inputs)

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that give the outputs."""
        return self._of_graph("outputs").names(self.outputs)

    # ------------------------------------------------------------------ computing

    def call(self, inputs: Any) -> Any:
        """Compute the outputs; a subclass defines it."""
        if self._graph is None:
            raise NotImplementedError(
                f"{type(self).__name__} has no call; define `def call(self, inputs):` in it, or give Model inputs and "
                "outputs"
            )
        return self._graph.run(inputs)

    forward = call

    def build(self, input_shape: Any = None) -> None:
        """Make all weights, for inputs of a shape ``(None, ...)``."""
        if self._graph is None and not self.built:
            shapes = map_shapes(lambda shape: as_shape(shape, "build"), input_shape)
            map_shapes(lambda shape: check_trial([n or 1 for n in shape], self.name), shapes)
            self.built = True
            try:
                with no_grad():
                    self(map_shapes(lambda shape: zeros(*(1 if n is None else n for n in shape)), shapes))
            except Exception:
                self.built = False
                raise

    def _build_for(self, inputs: Any) -> None:
        """Mark it as built: its layers build themselves as they are called."""
        self.built = True
        self._build_shape = map_structure(lambda x: (None, *x.shape[1:]), inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for inputs of a shape."""
        if self._graph is None:
            return super().compute_output_shape(input_shape)

        def shape_of(layer: Layer, *args: Any, **_: Any) -> Any:
            return map_shapes(Sizes, layer.compute_output_shape(map_structure(lambda x: x.shape, args[0])))

        given = map_shapes(Sizes, input_shape)
        return map_structure(lambda x: x.shape, self._graph.run(given, shape_of))

    # ------------------------------------------------------------------ configs

    @property
    def _serialized_name(self) -> str:
        return "Functional" if type(self) is Model and self._graph is not None else type(self).__name__

    @property
    def _is_connected(self) -> bool:
        """Whether it is known how its layers are connected, without the code of a ``call``."""
        return self._graph is not None

    @property
    def _serialized_module(self) -> str | None:
        return "keras.src.models.functional" if self._serialized_name == "Functional" else None

    def get_config(self) -> dict[str, Any]:
        """Return what the model is made of, as JSON can hold it."""
        if self._graph is None or type(self).__init__ is not Model.__init__:
            return super().get_config()
        return {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": super().get_config()["dtype"],
            **graph_config.written(self._graph),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """Make a model, with new weights, from what ``get_config`` returned."""
        if not {"layers", "input_layers", "output_layers"} <= config.keys():
            return super().from_config(config)
        inputs, outputs = graph_config.read(config, custom_objects)
        model = cls(inputs, outputs, name=config.get("name"))
        if config.get("trainable") is False:
            model.trainable = False
        return model

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shape that ``get_build_config`` returned, if that is still to do."""
        shape = config.get("input_shape")
        if not self.built and self._graph is None and (is_shape(shape) or isinstance(shape, (list, dict))):
            self.build(shape)

    def to_json(self, **kwargs: Any) -> str:
        """Return the config, with what the model was compiled with, as JSON; ``kwargs`` are those of ``json.dumps``."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    # ------------------------------------------------------------------ files

    def save(
        self,
        filepath: str | PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        include_optimizer: bool = True,
    ) -> None:
        """Save the model with its weights and its optimizer: see :func:`minidl.keras.models.save_model`."""
        saving.save_model(self, filepath, overwrite, zipped, include_optimizer)

    def save_weights(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Save the weights: see :func:`minidl.keras.saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: str | PathLike[str], skip_mismatch: bool = False, by_name: bool = False, **kwargs: Any
    ) -> None:
        """Load weights, all of them or, after an error, none: see :func:`minidl.keras.saving.load_weights`."""
        saving.load_weights(self, filepath, skip_mismatch, by_name, **kwargs)

    # ------------------------------------------------------------------ printing

    def summary(  # type: ignore[override]
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and parameter counts.

        Parameters
        ----------
        line_length : int, optional
            How wide the table is, in characters; as wide as it needs to be if left out.
        print_fn : callable, optional
            Takes the text instead of ``print``.
        expand_nested : bool
            Show the layers of models inside of the model, too.
        show_trainable : bool
            Show which layers are trained.
        layer_range : (str, str), optional
            The names of the first and the last layer to show.
        """
        table = Table(self, line_length, expand_nested, show_trainable, layer_range)
        (print_fn or print)(str(table))

    def __repr__(self) -> str:
        return f"<{self._serialized_name} name={self.name}, built={self.built}>"


def _from_inputs(graph: Graph) -> Graph:
    """Return the graph with an input layer in place of each input that came out of another layer."""
    if all(isinstance(node_of(x).layer, InputLayer) for x in graph.flat_inputs):
        return graph

    def begun(x: KerasTensor) -> KerasTensor:
        if isinstance(node_of(x).layer, InputLayer):
            return x
        return InputLayer(batch_shape=x.shape, dtype=x.dtype).output

    inputs = map_structure(begun, graph.inputs)
    return Graph(inputs, graph.run(inputs))
