"""The graph of a model as JSON: its layers, and for each of their calls what it was called with."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Mapping
from typing import Any

from minidl.errors import FormatError
from minidl.keras.layer import Layer
from minidl.keras.names import checked_name
from minidl.keras.serialization import deserialize_keras_object, serialize_keras_object
from minidl.keras.structure import flatten, map_structure
from minidl.keras.symbolic import Graph, KerasTensor, Node, any_symbolic, node_of

__all__ = ["made_layer", "read", "written"]


def written(graph: Graph) -> dict[str, Any]:
    """Return the part of a model's config that says how its layers are connected."""
    index: dict[Node, int] = {}
    calls: dict[Layer, list[Node]] = {layer: [] for layer in graph.layers}
    for node in sorted(graph.all_nodes, key=lambda node: node.layer.nodes.index(node)):
        index[node] = len(calls[node.layer])
        calls[node.layer].append(node)

    def reference(x: KerasTensor) -> list[Any]:
        position = 0 if x.history is None else x.history.tensor_index
        return [node_of(x).layer.name, index[node_of(x)], position]

    def argument(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return serialize_keras_object(x)
        written = x.serialized()
        written["config"]["keras_history"] = reference(x)
        return written

    layers = []
    for layer in graph.layers:
        nodes = [
            {"args": map_structure(argument, list(node.args)), "kwargs": map_structure(argument, node.kwargs)}
            for node in calls[layer]
            if node.inputs
        ]
        layers.append({**serialize_keras_object(layer), "name": layer.name, "inbound_nodes": nodes})
    return {
        "layers": layers,
        "input_layers": map_structure(reference, graph.inputs),
        "output_layers": map_structure(reference, graph.outputs),
    }


def made_layer(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Return the layer that a config stands for, not built yet: the graph it is put into gives it its input shape."""
    if not isinstance(config, Mapping):
        raise FormatError(f"config of a layer: expected a dict, got a {type(config).__name__}")
    layer = deserialize_keras_object(
        {key: value for key, value in config.items() if key != "build_config"}, custom_objects, module="keras.layers"
    )
    if not isinstance(layer, Layer):
        raise FormatError(f"config of a layer: {config.get('class_name')} is no layer")
    return layer


def read(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """Return the symbolic inputs and outputs of the graph that a model's config describes.

    Raises
    ------
    FormatError
        If layers refer to calls that do not exist, or to each other in a circle.
    """
    calls: deque[tuple[Layer, int, Any]] = deque()
    made: dict[tuple[str, int], Any] = {}  # (layer, call): its outputs
    for layer_config in config["layers"]:
        layer = made_layer(layer_config, custom_objects)
        layer.name = checked_name(layer_config.get("name", layer.name))
        if layer.nodes:  # an InputLayer has its output from the beginning
            made[layer.name, 0] = layer.output
        calls += [(layer, number, call) for number, call in enumerate(layer_config.get("inbound_nodes", []))]
    waiting: dict[tuple[str, int], list[tuple[Layer, int, Any]]] = {}  # calls, by the one that each needs first
    while calls:
        layer, number, call = calls.popleft()
        before = (layer.name, number - 1)
        needed = before if number and before not in made else None
        arguments = _Arguments(call, made)
        needed = needed or arguments.needed
        if needed is not None:
            waiting.setdefault(needed, []).append((layer, number, call))
            continue
        made[layer.name, number] = arguments.call(layer)
        calls.extendleft(reversed(waiting.pop((layer.name, number), [])))
    if waiting:
        names = sorted({layer.name for listed in waiting.values() for layer, _, _ in listed})
        raise FormatError(f"config of a model: the inputs of {', '.join(names)} are missing, or go in a circle")
    return tuple(_tensors(config[key], made, key) for key in ("input_layers", "output_layers"))


def _one(reference: Any, made: Mapping[tuple[str, int], Any]) -> Any:
    """Return the symbolic tensor that ``[layer, call, output]`` refers to, or None if it does not exist yet."""
    name, call, position = reference[:3]
    outputs = made.get((name, call))
    if outputs is None:
        return None
    flat = flatten(outputs)
    if not 0 <= position < len(flat):
        raise FormatError(f"config of a model: {name} has {len(flat)} outputs, and none with the index {position}")
    return flat[position]


class _Arguments:
    """What a layer is to be called with, and (``needed``) the first call whose outputs do not exist yet, or None."""

    def __init__(self, call: Any, made: Mapping[tuple[str, int], Any]) -> None:
        self.made = made
        self.needed: tuple[str, int] | None = None
        if isinstance(call, Mapping):
            self.args, self.kwargs = self._ready(call.get("args", [])), self._ready(call.get("kwargs", {}))
        else:  # before Keras 3: [["dense", 0, 0, {}], ...], one entry an input
            tensors = [self._tensor(entry) for entry in call]
            self.args = [tensors[0] if len(tensors) == 1 else tensors]
            self.kwargs = self._ready(call[0][3]) if len(call[0]) > 3 else {}

    def call(self, layer: Layer) -> Any:
        """Call the layer, and return its symbolic outputs."""
        if not any_symbolic((self.args, self.kwargs)):
            raise FormatError(f"config of a model: {layer.name} is called without any symbolic tensor")
        signature = inspect.signature(layer.call)
        if all(p.kind is not p.VAR_KEYWORD for p in signature.parameters.values()):
            for name in [name for name, x in self.kwargs.items() if x is None and name not in signature.parameters]:
                del self.kwargs[name]  # Keras hands mask=None to layers and models that know nothing of masks
        signature.bind(*self.args, **self.kwargs)  # or a TypeError that says what the layer does not take
        return layer(*self.args, **self.kwargs)

    def _tensor(self, reference: Any) -> Any:
        tensor = _one(reference, self.made)
        if tensor is None and self.needed is None:
            self.needed = (reference[0], reference[1])
        return tensor

    def _ready(self, x: Any) -> Any:
        if isinstance(x, Mapping) and x.get("class_name") == "__keras_tensor__":
            return self._tensor(x["config"]["keras_history"])
        if isinstance(x, Mapping) and "class_name" in x:
            return deserialize_keras_object(x)
        if isinstance(x, Mapping):
            return {key: self._ready(value) for key, value in x.items()}
        return [self._ready(value) for value in x] if isinstance(x, (list, tuple)) else x


def _tensors(references: Any, made: Mapping[tuple[str, int], Any], key: str) -> Any:
    """Return the symbolic tensors for one ``[layer, call, output]``, or a list or dict of them."""
    if isinstance(references, Mapping):
        return {name: _tensors(reference, made, key) for name, reference in references.items()}
    if len(references) == 3 and isinstance(references[0], str):
        tensor = _one(references, made)
        if tensor is None:
            raise FormatError(f"config of a model: {key} refers to {references}, which does not exist")
        return tensor
    return [_tensors(reference, made, key) for reference in references]
