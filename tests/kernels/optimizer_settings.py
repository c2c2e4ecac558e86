"""Optimisers that have compiled rules, with settings that reach each of their branches."""

from __future__ import annotations

from typing import Any

from minidl import optim
from minidl.optim.keras_rules import KerasAdam, KerasRMSprop, KerasSGD

SETTINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam": (optim.Adam, {}),
    "amsgrad": (optim.Adam, {"amsgrad": True, "lr": 0.1}),
    "coupled decay": (optim.Adam, {"weight_decay": 0.1}),
    "uphill": (optim.Adam, {"weight_decay": 0.1, "maximize": True}),
    "adamw": (optim.AdamW, {"weight_decay": 0.1, "betas": (0.0, 0.5)}),
    "keras adam": (KerasAdam, {"weight_decay": 0.1, "eps": 1e-3}),
    "sgd": (optim.SGD, {"lr": 0.1}),
    "momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "dampening": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "nesterov": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    "keras sgd": (KerasSGD, {"lr": 0.1, "weight_decay": 0.1}),
    "keras momentum": (KerasSGD, {"lr": 0.1, "momentum": 0.9, "maximize": True}),
    "keras nesterov": (KerasSGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "rmsprop": (optim.RMSprop, {}),
    "rmsprop uphill": (optim.RMSprop, {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    "centered": (optim.RMSprop, {"centered": True, "alpha": 0.5}),
    "centered momentum": (optim.RMSprop, {"centered": True, "momentum": 0.9, "eps": 1e-3}),
    "keras rmsprop": (KerasRMSprop, {"weight_decay": 0.1}),
    "keras rmsprop momentum": (KerasRMSprop, {"momentum": 0.9, "eps": 1e-3}),
    "keras centered": (KerasRMSprop, {"centered": True, "alpha": 0.5}),
    "keras centered momentum": (KerasRMSprop, {"centered": True, "momentum": 0.9, "maximize": True}),
}
SHAPES = [(3, 5), (7,), (61, 83), (), (0,), (1, 1, 17)]
