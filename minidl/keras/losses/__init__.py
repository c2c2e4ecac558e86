"""Losses under Keras's names: targets first, predictions second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.keras.losses import classes, classification, regression
from minidl.keras.losses.classes import *
from minidl.keras.losses.classification import *
from minidl.keras.losses.classification import binary_crossentropy
from minidl.keras.losses.loss import Loss, LossFunctionWrapper
from minidl.keras.losses.regression import *
from minidl.keras.losses.regression import (
    kl_divergence,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from minidl.keras.serialization import builtin, deserialize_keras_object, resolve, serialize_keras_object

__all__ = ["BCE", "KLD", "MAE", "MAPE", "MSE", "MSLE", "Loss", "LossFunctionWrapper", "as_loss", "bce", "deserialize"]
__all__ += ["get", "kld", "mae", "mape", "mse", "msle", "serialize"]
__all__ += classes.__all__ + classification.__all__ + regression.__all__

MODULE = "keras.losses"

builtin(MODULE)(LossFunctionWrapper)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kl_divergence


def get(identifier: Any) -> Any:
    """Return the loss that ``loss=`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, class or callable
        ``"mse"`` and ``"mean_squared_error"`` are functions, ``"MeanSquaredError"`` is an object of that class.

    Returns
    -------
    callable or None

    Raises
    ------
    ArgumentError
        If no loss has that name; the message has the nearest one.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.get("mse").__name__
    'mean_squared_error'

    References
    ----------
    ``keras.losses.get``.
    """
    return resolve(MODULE, identifier, "loss")


def as_loss(identifier: Any) -> Loss | None:
    """Return the loss that ``loss=`` stands for as an object: a function is wrapped, and named as it was given.

    Parameters
    ----------
    identifier : None, str, dict, class or callable

    Returns
    -------
    Loss or None

    Raises
    ------
    ArgumentError
        If no loss has that name; the message has the nearest one.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.as_loss("mse")([[0.0]], [[2.0]])
    tensor(4.)

    References
    ----------
    Keras's ``compile(loss=...)``.
    """
    loss = get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    return LossFunctionWrapper(loss, name=identifier if isinstance(identifier, str) else None)


def serialize(loss: Any) -> Any:
    """Return a loss as what JSON can hold.

    Parameters
    ----------
    loss : Loss or function

    Returns
    -------
    dict

    Examples
    --------
    >>> from minidl import keras
    >>> keras.losses.serialize(keras.losses.MeanSquaredError())["config"]
    {'name': 'mean_squared_error', 'reduction': 'sum_over_batch_size'}

    References
    ----------
    ``keras.losses.serialize``.
    """
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the loss that :func:`serialize` wrote.

    Parameters
    ----------
    name : str or dict
        What was written, or the name of a loss.
    custom_objects : dict of str to class or function, optional
        The user's own, by name.

    Returns
    -------
    Loss or function

    Examples
    --------
    >>> from minidl import keras
    >>> config = keras.losses.serialize(keras.losses.Huber(2.0))
    >>> keras.losses.deserialize(config).delta
    2.0

    References
    ----------
    ``keras.losses.deserialize``.
    """
    if isinstance(name, str):
        return (custom_objects or {}).get(name) or get(name)
    return deserialize_keras_object(name, custom_objects, module=MODULE)
