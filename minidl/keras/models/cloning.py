"""Models made from configs and from other models: the same layers, with weights of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from minidl.errors import ArgumentError, FormatError
from minidl.formats.strict_json import parse_json
from minidl.keras.layer import Layer
from minidl.keras.models.model import Model
from minidl.keras.serialization import (
    deserialize_keras_object,
    get_registered_name,
    is_builtin,
    serialize_keras_object,
)

__all__ = ["clone_model", "model_from_config", "model_from_json"]


def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Make a model, with new weights, from its serialised form.

    Parameters
    ----------
    config : dict
        With ``class_name`` and ``config``, as :func:`keras.saving.serialize_keras_object` makes it.
    custom_objects : dict of str to class or function, optional
        The user's own, by name.

    Returns
    -------
    keras.Model

    Raises
    ------
    FormatError
        If it is no model's, or names a class that is not known.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> keras.models.model_from_config(keras.saving.serialize_keras_object(model)).output_shape
    (None, 3)

    References
    ----------
    ``keras.models.model_from_config``.
    """
    model = deserialize_keras_object(config, custom_objects, module="keras.models")
    if not isinstance(model, Model):
        raise FormatError(f"model_from_config: a {type(model).__name__} is no model")
    return model


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Make a model, with new weights, from what ``model.to_json()`` returned.

    Parameters
    ----------
    json_string : str
    custom_objects : dict of str to class or function, optional
        The user's own, by name.

    Returns
    -------
    keras.Model

    Raises
    ------
    FormatError
        If it is not JSON, no model's, or names a class that is not known.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> keras.models.model_from_json(model.to_json()).count_params()
    15

    References
    ----------
    ``keras.models.model_from_json``.
    """
    return model_from_config(parse_json(json_string, "model_from_json"), custom_objects)


def clone_model(
    model: Model, input_tensors: Any = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Model:
    """Make a model of new layers like those of another, with new weights; it is not compiled.

    Parameters
    ----------
    model : Sequential, or Model(inputs, outputs)
    input_tensors, clone_function : None
        Taken for the sake of Keras's signature; they must be None.

    Returns
    -------
    keras.Model

    Raises
    ------
    ArgumentError
        If the model computes in a ``call`` of its own, or an argument is given that is not available.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> clone = keras.models.clone_model(model)
    >>> clone.set_weights(model.get_weights())

    References
    ----------
    ``keras.models.clone_model``.
    """
    if input_tensors is not None or clone_function is not None:
        raise ArgumentError("clone_model: input_tensors and clone_function are not available in minidl; leave them out")
    if not model._is_connected:
        raise ArgumentError(
            f"clone_model: {model.name!r} computes in a call of its own; make another by calling its class again"
        )
    written = json.loads(json.dumps({**serialize_keras_object(model), "compile_config": None}))
    classes = {type(layer) for layer in model._layers_below()}
    own = {get_registered_name(cls): cls for cls in classes if not is_builtin(cls, cls.__module__)}
    return model_from_config(written, own)
