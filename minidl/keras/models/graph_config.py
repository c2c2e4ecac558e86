"""The graph of a model as JSON: its layers, and for each of their calls what it was called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.errors import FormatError
from minidl.keras.layer import Layer
from minidl.keras.serialization import deserialize_keras_object, serialize_keras_object
from minidl.keras.structure import flatten, map_structure
from minidl.keras.symbolic import Graph, KerasTensor, Node, node_of

__all__ = ["made_layer", "read", "written"]


def written(graph: Graph) -> dict[str, Any]:
    """Return the part of a model's config that says how its layers are connected."""
    index: dict[Node, int] = {}
    calls: dict[Layer, list[Node]] = {layer: [] for layer in graph.layers}
    for node in sorted(graph.all_nodes, key=lambda node: node.layer.nodes.index(node)):
        index[node] = len(calls[node.layer])
        calls[node.layer].append(node)

    def reference(x: KerasTensor) -> list[Any]:
        node = node_of(x)
        return [node.layer.name, index[node], x.history.tensor_index]  # type: ignore[union-attr]

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
    layers: dict[str, Layer] = {}
    waiting: list[tuple[Layer, int, Any]] = []
    made: dict[tuple[str, int], Any] = {}  # (layer, call): its outputs
    for layer_config in config["layers"]:
        layer = made_layer(layer_config, custom_objects)
        name = layer_config.get("name", layer.name)
        layer.name = name
        layers[name] = layer
        if layer.nodes:  # an InputLayer has its output from the beginning
            made[name, 0] = layer.output
        calls = layer_config.get("inbound_nodes", [])
        for call in calls:
            waiting.append((layer, len([1 for other, _, _ in waiting if other is layer]), call))
    while waiting:
        left = []
        for layer, number, call in waiting:
            arguments = _arguments(call, made)
            if arguments is None or (number and (layer.name, number - 1) not in made):
                left.append((layer, number, call))
                continue
            args, kwargs = arguments
            made[layer.name, number] = layer(*args, **kwargs)
        if len(left) == len(waiting):
            names = sorted({layer.name for layer, _, _ in left})
            raise FormatError(f"config of a model: the inputs of {', '.join(names)} are missing, or go in a circle")
        waiting = left
    return tuple(_tensors(config[key], made, key) for key in ("input_layers", "output_layers"))  # type: ignore[return-value]


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


def _arguments(call: Any, made: Mapping[tuple[str, int], Any]) -> tuple[list[Any], dict[str, Any]] | None:
    """Return what a layer is to be called with, or None if some of it does not exist yet."""
    missing = False

    def ready(x: Any) -> Any:
        nonlocal missing
        if isinstance(x, Mapping) and x.get("class_name") == "__keras_tensor__":
            tensor = _one(x["config"]["keras_history"], made)
            missing = missing or tensor is None
            return tensor
        if isinstance(x, Mapping) and "class_name" in x:
            return deserialize_keras_object(x)
        if isinstance(x, Mapping):
            return {key: ready(value) for key, value in x.items()}
        return [ready(value) for value in x] if isinstance(x, (list, tuple)) else x

    if isinstance(call, Mapping):
        args, kwargs = ready(call.get("args", [])), ready(call.get("kwargs", {}))
    else:  # before Keras 3: [["dense", 0, 0, {}], ...], one entry an input
        tensors = [_one(entry, made) for entry in call]
        missing = any(x is None for x in tensors)
        args = [tensors[0] if len(tensors) == 1 else tensors]
        kwargs = ready(call[0][3]) if len(call[0]) > 3 else {}
    return None if missing else (args, kwargs)


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
