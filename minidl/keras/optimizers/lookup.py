"""Optimisers by name, and as configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.errors import DTypeError
from minidl.keras.optimizers.optimizer import MODULE, Optimizer
from minidl.keras.serialization import deserialize_keras_object, find, serialize_keras_object

__all__ = ["deserialize", "get", "serialize"]


def serialize(optimizer: Optimizer) -> Any:
    """Return an optimiser, without its state, as JSON can hold it.

    Parameters
    ----------
    optimizer : Optimizer

    Returns
    -------
    dict

    Examples
    --------
    >>> from minidl import keras
    >>> config = keras.optimizers.serialize(keras.optimizers.SGD(0.5))
    >>> config["class_name"], config["config"]["learning_rate"]
    ('SGD', 0.5)

    References
    ----------
    ``keras.optimizers.serialize``.
    """
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make an optimiser from what :func:`serialize` returned, of minidl or of Keras.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class or function, optional
        The user's own.

    Returns
    -------
    Optimizer

    Raises
    ------
    FormatError
        If it names no class that is known, or does not fit the class.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.optimizers.deserialize({"class_name": "SGD", "config": {"learning_rate": 0.5}}).learning_rate
    0.5

    References
    ----------
    ``keras.optimizers.deserialize``.
    """
    return deserialize_keras_object(config, custom_objects, module=MODULE)


def get(identifier: Any) -> Any:
    """Return the optimiser that a name, a config or an optimiser stands for.

    Parameters
    ----------
    identifier : str, dict, class, Optimizer or None

    Returns
    -------
    Optimizer or None

    Raises
    ------
    ArgumentError
        If no optimiser has the name; the message has those with similar names.
    DTypeError
        If it is anything else.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.optimizers.get("sgd")
    SGD(learning_rate=0.01, momentum=0.0, nesterov=False)

    References
    ----------
    ``keras.optimizers.get``.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    found: Any = identifier
    if isinstance(identifier, str):
        found = find(MODULE, identifier, "optimizer")
    elif isinstance(identifier, Mapping):
        found = deserialize(identifier)
    if isinstance(found, type) and issubclass(found, Optimizer):
        found = found()  # type: ignore[call-arg]  # mypy takes it for the base itself
    if not isinstance(found, Optimizer):
        raise DTypeError(
            "optimizer: expected a name such as 'adam', a config, or an optimizer of keras.optimizers, got "
            f"{identifier!r}"
        )
    return found
