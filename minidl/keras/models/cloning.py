"""Models made from configs, and from other models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from minidl.errors import FormatError, StateError
from minidl.keras.models.model import Model
from minidl.keras.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["clone_model", "model_from_config", "model_from_json"]


def clone_model(model: Any) -> Any:
    """Return a model of the same layers, with weights of its own, newly drawn.

    Parameters
    ----------
    model : Sequential or Model
        Made of symbolic tensors, or of a class that is registered.

    Returns
    -------
    Model
        It is not compiled.

    Raises
    ------
    StateError
        If the class of the model, or of a layer, is not registered.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> copied = keras.models.clone_model(model)
    >>> copied.set_weights(model.get_weights())

    References
    ----------
    ``keras.models.clone_model``.
    """
    config = {key: value for key, value in serialize_keras_object(model).items() if key != "compile_config"}
    try:
        return deserialize_keras_object(config)
    except FormatError as error:
        raise StateError(f"clone_model: {error}") from error


def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model, with new weights, from its config.

    Parameters
    ----------
    config : dict
        What ``serialize_keras_object(model)`` returned.
    custom_objects : dict of str to class or function, optional
        The user's own, by the name that the config has for them.

    Returns
    -------
    Model

    Raises
    ------
    FormatError
        If it is no config of a model, or names a class that is not known.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> model_from_config(keras.saving.serialize_keras_object(model)).output_shape
    (None, 3)

    References
    ----------
    ``keras.models.model_from_config``.
    """
    model = deserialize_keras_object(config, custom_objects)
    if not isinstance(model, Model):
        raise FormatError(f"model_from_config: the config is that of a {type(model).__name__}, and not of a model")
    return model


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model, with new weights, from what ``model.to_json()`` returned.

    Parameters
    ----------
    json_string : str
    custom_objects : dict of str to class or function, optional
        The user's own, by the name that the config has for them.

    Returns
    -------
    Model

    Raises
    ------
    FormatError
        If it is no JSON, or not the config of a model, or names a class that is not known.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> model_from_json(model.to_json()).output_shape
    (None, 3)

    References
    ----------
    ``keras.models.model_from_json``.
    """
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"model_from_json: this is no JSON: {error}") from error
    return model_from_config(config, custom_objects)
