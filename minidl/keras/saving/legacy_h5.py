"""``.h5`` files in the layout that Keras has had since its first version.

::

    /                         model_config (JSON), training_config (JSON), keras_version, backend
    /model_weights            layer_names, keras_version, backend
    /model_weights/dense      weight_names: ["sequential/dense/kernel", "sequential/dense/bias"]
    /model_weights/dense/sequential/dense/kernel
    /model_weights/top_level_model_weights
    /optimizer_weights        weight_names

Files that hold weights alone are ``/model_weights`` without what stands above.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from minidl.errors import ArgumentError, FormatError, warn
from minidl.formats.hdf5 import Group
from minidl.formats.strict_json import parse_json
from minidl.keras.allowance import weights_from_file
from minidl.keras.layer import Layer
from minidl.keras.saving import legacy_config
from minidl.keras.saving.optimizer_state import in_keras_3_order, restore, state_of
from minidl.keras.saving.weights import Plan, count_numbers, located, own_weights, values
from minidl.keras.serialization import custom_object_scope, deserialize_keras_object

__all__ = ["KERAS_VERSION", "is_legacy", "load", "load_weights", "written", "written_weights"]

KERAS_VERSION = "3.15.1"  # whose layout this is
_TOP = "top_level_model_weights"


def is_legacy(root: Group) -> bool:
    """Whether an HDF5 file is in this layout, and not in that of ``.weights.h5``."""
    return "model_weights" in root.members or "layer_names" in root.attributes


# ---------------------------------------------------------------------- writing


def written(model: Any, include_optimizer: bool = True) -> Group:
    """Return what a model's ``.h5`` file holds.

    Raises
    ------
    ArgumentError
        If the model computes in a ``call`` of its own, which a config cannot describe.
    """
    if not model._is_connected:
        raise ArgumentError(
            f"save: {model.name!r} computes in a call of its own, which an .h5 file cannot describe; save it as "
            "'....keras' (its class registered with keras.saving.register_keras_serializable), or its weights alone "
            "with save_weights('....weights.h5')"
        )
    root = Group(_versions())
    root.attributes["model_config"] = json.dumps(legacy_config.written_model(model))
    root.put("model_weights", written_weights(model))
    if include_optimizer and model.optimizer is not None:
        training = legacy_config.written_training(model._compiled, model.optimizer)
        root.attributes["training_config"] = json.dumps(training)
        state = state_of(model.optimizer)
        if state:
            root.put("optimizer_weights", _named(state, "optimizer_weights"))
    return root


def written_weights(model: Any) -> Group:
    """Return the group that holds the weights of a model."""
    group = Group({**_versions(), "layer_names": [layer.name for layer in model.layers]})
    for layer in sorted(model.layers, key=lambda layer: layer.name):  # as Keras writes them
        group.put(layer.name, _named([(x.path, values(x)) for x in _in_order(layer)], layer.name))
    if _TOP in group.members:
        raise ArgumentError(f"save: no layer can be called {_TOP!r} in an .h5 file; give it another name")
    group.put(_TOP, _named([(x.path, values(x)) for x in own_weights(model)], _TOP))
    return group


def _versions() -> dict[str, Any]:
    return {"backend": "minidl", "keras_version": KERAS_VERSION}


def _named(arrays: list[tuple[str, Any]], where: str) -> Group:
    """Return a group with arrays under their names, which its attribute lists."""
    group = Group({"weight_names": [name for name, _ in arrays]})
    for name, array in arrays:
        if group.get(name) is not None:
            raise ArgumentError(
                f"save: two weights of {where!r} are called {name!r}, and an .h5 file has room for one; give the "
                "layers in it different names, or save as '....keras'"
            )
        group.put(name, array)
    return group


def _in_order(layer: Layer) -> list[Any]:
    """Return all weights of a layer: those that are trained, then the others."""
    found = {id(x): x for below in layer._layers_below() for x in own_weights(below)}
    return sorted(found.values(), key=lambda x: not x._requires_grad)


# ---------------------------------------------------------------------- reading


def load(root: Group, place: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:  # noqa: A002
    """Return the model that a file holds.

    Raises
    ------
    FormatError
        If it is not what it should be; the message names the place.
    """
    text = root.attributes.get("model_config")
    weights = root.members.get("model_weights")
    if not isinstance(text, str) or not isinstance(weights, Group):
        raise FormatError(
            f"{place}: holds no model: expected the attribute model_config and the group model_weights; if these are "
            "weights alone, make the model and call its load_weights"
        )
    config = parse_json(text, f"{place}: model_config")
    with custom_object_scope(custom_objects or {}):
        with located(f"{place}: model_config"), weights_from_file(count_numbers(weights)):
            model = deserialize_keras_object(legacy_config.readable_model(config))
            if not hasattr(model, "layers"):
                raise FormatError(f"{type(model).__name__} is no model")
        load_weights(model, weights, f"{place}: model_weights")
        if compile:
            _compile(model, root, place)
    return model


def _compile(model: Any, root: Group, place: str) -> None:
    text = root.attributes.get("training_config")
    if text is None:
        return
    if not isinstance(text, str):
        raise FormatError(f"{place}: training_config: expected text")
    training = parse_json(text, f"{place}: training_config")
    with located(f"{place}: training_config"):
        model.compile(**legacy_config.compile_arguments(training))
        model.optimizer.build(model.trainable_variables)
    group = root.members.get("optimizer_weights")
    if not isinstance(group, Group):
        return
    names, arrays = _listed(group, f"{place}: optimizer_weights")
    with located(f"{place}: optimizer_weights"):
        ordered = in_keras_3_order(model.optimizer, names, arrays)
        if ordered is None:
            warn(
                f"{place}: optimizer_weights: an order of an older Keras that is not known; the optimizer starts afresh"
            )
            return
        model.optimizer.set_weights(restore(model.optimizer, ordered, "the state of the optimizer"))


def load_weights(model: Any, group: Group, place: str, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Put the weights of a group into a model: all of them or, after an error, none.

    Parameters
    ----------
    by_name : bool
        Whether layers get what the file has under their names, and others nothing, instead of one after the other.

    Raises
    ------
    FormatError
        If weights are missing or do not fit; the message names the place.
    """
    listed = group.attributes.get("layer_names")
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise FormatError(f"{place}: expected the attribute layer_names, a list of texts")
    plan = Plan(skip_mismatch)
    found = {name: _layer_weights(group, name, place) for name in listed}
    if by_name:
        pairs = [(layer, layer.name) for layer in model.layers if layer.name in found]
    else:
        layers = [layer for layer in model.layers if _in_order(layer)]
        names = [name for name in listed if found[name]]
        if len(layers) != len(names):
            raise FormatError(
                f"{place}: {len(names)} layers with weights ({', '.join(names[:8])}), but the model has {len(layers)} "
                f"({', '.join(layer.name for layer in layers[:8])})"
            )
        pairs = list(zip(layers, names, strict=True))
    for layer, name in pairs:
        plan.add(f"{place}/{name} (for {layer.name!r})", _in_order(layer), found[name])
    top = group.members.get(_TOP)
    if isinstance(top, Group):
        plan.add(f"{place}/{_TOP}", own_weights(model), _listed(top, f"{place}/{_TOP}")[1])
    elif own_weights(model):
        plan.missing(f"{place}/{_TOP}", "the weights of the model itself")
    plan.carry_out()


def _layer_weights(group: Group, name: str, place: str) -> list[Any]:
    member = group.members.get(name)
    if not isinstance(member, Group):
        raise FormatError(f"{place}: layer_names lists {name!r}, and there is no such group")
    return _listed(member, f"{place}/{name}")[1]


def _listed(group: Group, place: str) -> tuple[list[str], list[Any]]:
    """Return the names that a group lists as its weights, and the arrays."""
    names = group.attributes.get("weight_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"{place}: weight_names: expected a list of texts")
    arrays = [group.get(name) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if array is None or isinstance(array, Group):
            raise FormatError(f"{place}: weight_names lists {name!r}, and there is no such array")
    return names, arrays
