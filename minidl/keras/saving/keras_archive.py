"""``.keras`` files: a zip archive of the model's config, the weights in Keras 3's layout, and a note who wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from minidl.errors import FormatError
from minidl.formats.hdf5 import Group, hdf5_bytes
from minidl.formats.strict_json import parse_json
from minidl.keras.allowance import weights_from_file
from minidl.keras.saving import store
from minidl.keras.saving.legacy_h5 import KERAS_VERSION
from minidl.keras.saving.weights import count_numbers, located
from minidl.keras.serialization import custom_object_scope, deserialize_keras_object, serialize_keras_object

__all__ = ["WEIGHTS", "load", "written"]

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
_METADATA = "metadata.json"


def written(model: Any, include_optimizer: bool = True) -> dict[str, bytes]:
    """Return the members of a model's archive."""
    config = serialize_keras_object(model)
    optimizer = model.optimizer if include_optimizer else None
    if not include_optimizer:
        config.pop("compile_config", None)
    metadata = {"keras_version": KERAS_VERSION, "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S")}
    return {
        _METADATA: json.dumps(metadata).encode(),
        CONFIG: json.dumps(config).encode(),
        WEIGHTS: hdf5_bytes(store.written(model, optimizer)),
    }


def load(
    members: Mapping[str, bytes],
    weights: Group,
    place: str,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,  # noqa: A002
) -> Any:
    """Return the model that an archive holds.

    Parameters
    ----------
    members : dict of str to bytes
    weights : Group
        The member ``model.weights.h5``, read.
    place : str
        What to call the file in errors.

    Raises
    ------
    FormatError
        If it is not what it should be; the message names the place.
    """
    if CONFIG not in members:
        raise FormatError(f"{place}: holds no model: there is no {CONFIG} in it")
    config = parse_json(members[CONFIG], f"{place}: {CONFIG}")
    if not isinstance(config, dict):
        raise FormatError(f"{place}: {CONFIG}: expected an object, got {str(config)[:100]}")
    compile_config = config.pop("compile_config", None)
    with custom_object_scope(custom_objects or {}):
        with located(f"{place}: {CONFIG}"), weights_from_file(count_numbers(weights)):
            model = deserialize_keras_object(config)
            if not hasattr(model, "compile_from_config"):
                raise FormatError(f"{type(model).__name__} is no model")
        if compile and compile_config:
            with located(f"{place}: {CONFIG}: compile_config"):
                model.compile_from_config(compile_config)
        with located(f"{place}: {WEIGHTS}"):
            store.load(model, weights, model.optimizer)
    return model
