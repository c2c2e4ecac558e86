"""Weights in Keras 3's own layout: in ``.weights.h5`` files, and in the ``model.weights.h5`` of a ``.keras`` file.

A layer's weights stand in ``vars/0``, ``vars/1``, ... of the layer's group, and groups are nested as objects are: by
the names of attributes, and within lists by class (``layers/dense``, ``layers/dense_1``). The names that layers have
themselves do not matter, so the weights fit another model that was made by the same code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from minidl.formats.hdf5 import Group
from minidl.keras.layer import Layer
from minidl.keras.saving.optimizer_state import restore, state_of
from minidl.keras.saving.weights import Plan, own_weights, values
from minidl.keras.serialization import snake_case

__all__ = ["load", "written"]

_OPTIMIZER = "optimizer"


class Entry(NamedTuple):
    """A group of the file: where it stands, what it is called, and the variables in it."""

    path: str
    name: str
    variables: list[Any]


def written(model: Layer, optimizer: Any = None) -> Group:
    """Return the groups that hold all weights of a model, and the state of its optimizer."""
    root = Group()
    for path, name, variables in _entries(model):
        members: dict[str, Any] = {str(i): values(x) for i, x in enumerate(variables)}
        root.put(f"{path}/vars", Group({"name": name}, members))
    if optimizer is not None:
        arrays = {str(i): array for i, (_, array) in enumerate(state_of(optimizer))}
        root.put(f"{_OPTIMIZER}/vars", Group({"name": str(optimizer.name)}, dict(arrays)))
    return root


def load(model: Layer, root: Group, optimizer: Any = None, skip_mismatch: bool = False) -> None:
    """Put what is in the groups into a model and its optimizer: all of it or, after an error, nothing.

    Raises
    ------
    FormatError
        If something is missing or does not fit; the message names the place.
    """
    plan = Plan(skip_mismatch)
    for path, name, variables in _entries(model):
        if not variables:
            continue
        place = f"{path}/vars".lstrip("/")
        group = root.get(place)
        if group is None and "_layer_checkpoint_dependencies" in root.members:  # files of Keras 2.13
            group = root.get(place.replace("layers", "_layer_checkpoint_dependencies"))
        if not isinstance(group, Group):
            plan.missing(place, f"the {len(variables)} weights of {name!r}")
            continue
        plan.add(f"{place} ({name!r})", variables, _numbered(group))
    state = None
    if optimizer is not None:
        group = root.get(f"{_OPTIMIZER}/vars")
        if isinstance(group, Group) and group.members:
            state = restore(optimizer, _numbered(group), f"{_OPTIMIZER}/vars")
    plan.carry_out()
    if state is not None:
        optimizer.set_weights(state)


def _numbered(group: Group) -> list[Any]:
    """Return the members ``0``, ``1``, ... of a group; None for each that is not there."""
    return [group.members.get(str(i)) for i in range(len(group.members))]


# ------------------------------------------------------------------ which group is whose


def _entries(layer: Layer, path: str = "", seen: dict[int, Any] | None = None) -> Iterator[Entry]:
    """Yield the groups of a layer and of all below it, each layer once."""
    seen = {} if seen is None else seen
    if id(layer) in seen:
        return
    seen[id(layer)] = layer
    variables, cell = own_weights(layer), layer._cell
    yield Entry(path, layer.name, [] if cell else variables)
    if cell:  # in Keras a layer of its own, which makes the steps of a recurrent layer
        yield Entry(f"{path}/cell", cell, variables)
    for name, value in _attributes(layer):
        yield from _below(value, f"{path}/{name}", seen)


def _attributes(layer: Layer) -> Iterator[tuple[str, Any]]:
    """Yield what may hold layers: the layers of a graph or chain, then attributes by name, private ones last."""
    held = {name: value for name, value in vars(layer).items() if isinstance(value, (Layer, list, tuple, dict))}
    if hasattr(layer, "layers") and hasattr(layer, "fit"):  # a model
        if layer._is_connected:
            yield "layers", layer.layers
        else:
            held["layers"] = layer.layers
    yield from sorted(held.items(), key=lambda item: f"~{item[0]}" if item[0].startswith("_") else item[0])


def _below(value: Any, path: str, seen: dict[int, Any]) -> Iterator[Entry]:
    if isinstance(value, Layer):
        yield from _entries(value, path, seen)
        return
    if id(value) in seen:  # a list within itself
        return
    seen[id(value)] = value  # kept, so that no other list comes to have its id
    items: Iterable[Any] = value.values() if isinstance(value, dict) else value
    counts: Counter[str] = Counter()
    for item in items:
        if isinstance(item, (Layer, list, tuple, dict)):
            name = snake_case(item._serialized_name) if isinstance(item, Layer) else "container"
            count = counts[name]
            counts[name] += 1
            yield from _below(item, f"{path}/{name}_{count}" if count else f"{path}/{name}", seen)
