"""Weights of PyTorch-dialect models in Keras-dialect ones: the same numbers, laid out otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.errors import ArgumentError, FormatError, StateError
from minidl.keras.saving.weights import Plan, own_weights
from minidl.keras.symbolic import KerasTensor
from minidl.ops.creation import as_array

__all__ = ["load_torch_state_dict"]

_IGNORED = ("num_batches_tracked",)


def load_torch_state_dict(model: Any, state_dict: Mapping[str, Any]) -> None:
    """Copy the weights of a PyTorch-dialect model into a Keras-dialect one with the same layers in the same order.

    =================  ====================================  ==========================================================
    in PyTorch         there                                 in Keras
    =================  ====================================  ==========================================================
    Linear             weight (U, D)                         transposed; after a Flatten of images, rows from C, H, W to
                                                             H, W, C
    Conv1d, Conv2d     weight (K, C, R, S)                   (R, S, C, K)
    LSTM               weight_ih_l0 (4U, D), weight_hh_l0    transposed; the gates stand in the same order
    LSTM               bias_ih_l0, bias_hh_l0                their sum
    BatchNorm          weight, bias, running_mean, _var      gamma, beta, moving_mean, moving_variance
    Embedding          weight                                as it is
    =================  ====================================  ==========================================================

    Parameters
    ----------
    model : keras.Model
        Built. Its layers with weights correspond to the modules of the state, one after the other.
    state_dict : dict of str to Tensor or array
        Of minidl's or PyTorch's model, also from :func:`minidl.formats.load_safetensors`.

    Raises
    ------
    StateError
        If there are other layers, or other shapes; nothing is changed then.
    ArgumentError
        If there is no rule for a layer.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras, nn
    >>> source = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    >>> keras.saving.load_torch_state_dict(model, source.state_dict())
    >>> minidl.allclose(model(minidl.ones(1, 4)), source(minidl.ones(1, 4)), atol=1e-6)
    True
    """
    if not model.built:
        raise StateError(f"load_torch_state_dict: {model.name!r} has no weights yet; build it, or call it with data")
    modules: dict[str, dict[str, np.ndarray]] = {}
    for key, value in state_dict.items():
        module, _, name = key.rpartition(".")
        if name not in _IGNORED:
            modules.setdefault(module, {})[name] = to_numpy(as_array(value))
    layers = [layer for layer in model._layers_below() if own_weights(layer)]
    if len(layers) != len(modules):
        raise StateError(
            f"load_torch_state_dict: {len(modules)} modules with weights ({', '.join(modules)}), but the model has "
            f"{len(layers)} such layers ({', '.join(layer.name for layer in layers)})"
        )
    plan = Plan()
    for layer, (module, arrays) in zip(layers, modules.items(), strict=True):
        place = f"load_torch_state_dict: {module} into the {type(layer).__name__} {layer.name!r}"
        convert = _CONVERTERS.get(type(layer).__name__)
        if convert is None:
            raise ArgumentError(f"{place}: there is no rule for this layer; there are: {', '.join(_CONVERTERS)}")
        try:
            plan.add(place, own_weights(layer), convert(layer, arrays))
        except KeyError as error:
            raise StateError(f"{place}: there is no {error} in the state, only {', '.join(arrays)}") from error
        except (FormatError, ValueError, IndexError) as error:
            raise StateError(str(error) if str(error).startswith(place) else f"{place}: {error}") from error
    plan.carry_out()


def _linear(layer: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    kernel = arrays["weight"].T  # (D, U)
    order = _flattened_order(layer)
    return [kernel if order is None else kernel[order], *_bias(layer, arrays)]


def _convolution(layer: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    weight = arrays["weight"]  # (K, C, R, S)
    return [weight.transpose(*range(2, weight.ndim), 1, 0), *_bias(layer, arrays)]


def _lstm(layer: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    further = [name for name in arrays if not name.endswith("_l0")]
    if further:
        raise ValueError(f"expected an LSTM of one layer and one direction; the state has {', '.join(further)} besides")
    found = [arrays["weight_ih_l0"].T, arrays["weight_hh_l0"].T]
    return [*found, arrays["bias_ih_l0"] + arrays["bias_hh_l0"]] if layer.use_bias else found


def _normalization(layer: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    names = [*(["weight"] if layer.scale else []), *(["bias"] if layer.center else []), "running_mean", "running_var"]
    order = _flattened_order(layer)
    return [arrays[name] if order is None else arrays[name][order] for name in names]


def _embedding(layer: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays["weight"]]


def _bias(layer: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays["bias"]] if layer.use_bias else []


_CONVERTERS = {
    "Dense": _linear,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "LSTM": _lstm,
    "BatchNormalization": _normalization,
    "Embedding": _embedding,
}


def _flattened_order(layer: Any) -> np.ndarray | None:
    """Return where each feature that a Flatten hands to a layer stood in C, H, W order; None if there is no Flatten."""
    x = layer.nodes[0].args[0] if layer.nodes else None
    while isinstance(x, KerasTensor) and len(x.shape) == 2 and x.history is not None and x.history.layer is not layer:
        before = x.history.layer
        node = before.nodes[x.history.node_index]
        if len(node.inputs) != 1:
            return None
        (inner,) = node.inputs
        if type(before).__name__ == "Flatten":
            sizes = inner.shape[1:]  # H, W, C
            known = [n for n in sizes if n is not None]
            if len(sizes) < 2 or len(known) < len(sizes) or (len(sizes) == 2 and not _convolved(inner)):
                return None
            places = np.arange(math.prod(known)).reshape(known[-1], *known[:-1])  # C, H, W
            return np.moveaxis(places, 0, -1).reshape(-1)
        if own_weights(before) and type(before).__name__ != "BatchNormalization":
            return None  # a Dense in between has taken care of the order
        x = inner
    return None


def _convolved(x: KerasTensor) -> bool:
    """Whether a sequence comes from a Conv1D, which in PyTorch has the channels in front; an LSTM has the time."""
    while x.history is not None:
        layer, index, _ = x.history
        inputs = layer.nodes[index].inputs
        if type(layer).__name__ == "Conv1D":
            return True
        if len(inputs) != 1:
            return False
        (x,) = inputs
    return False
