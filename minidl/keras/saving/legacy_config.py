"""Configs as ``.h5`` files have them: Keras 3's, without modules, and those of Keras 2 and ``tf.keras``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.errors import FormatError
from minidl.keras.serialization import (
    deserialize_keras_object,
    find,
    get_registered_name,
    get_registered_object,
    serialize_keras_object,
    snake_case,
)

__all__ = ["compile_arguments", "readable_model", "written_model", "written_training"]

_MODELS = {"Sequential": "Sequential", "Functional": "Functional", "Model": "Functional"}
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")  # metrics that depend on the shape of the target

#: What arguments of layers were called in Keras 2; None for those that it had alone, and that may be left out.
_RENAMED: dict[str, dict[str, str | None]] = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "LSTM": {"implementation": None, "time_major": None},
    "GRU": {"implementation": None, "time_major": None},
    "SimpleRNN": {"implementation": None, "time_major": None},
}


# ---------------------------------------------------------------------- writing


def written_model(model: Any) -> dict[str, Any]:
    """Return what stands in ``model_config``."""
    return _written_layer(serialize_keras_object(model))


def _written_layer(entry: dict[str, Any]) -> dict[str, Any]:
    config = dict(entry["config"])
    if isinstance(config.get("layers"), list) and entry["class_name"] in _MODELS:
        config["layers"] = [_written_layer(layer) for layer in config["layers"]]
    kept: dict[str, Any] = {key: entry[key] for key in ("name", "inbound_nodes") if key in entry}
    return {"class_name": entry.get("registered_name") or entry["class_name"], "config": config, **kept}


def written_training(compiled: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """Return what stands in ``training_config``; Keras insists on each key."""
    return {
        "loss": _mapped(_written_goal, compiled["loss"], "keras.losses"),
        "loss_weights": compiled["loss_weights"],
        "metrics": _mapped(_written_goal, compiled["metrics"], "keras.metrics"),
        "weighted_metrics": _mapped(_written_goal, compiled["weighted_metrics"], "keras.metrics"),
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": False,
        "optimizer_config": {
            "class_name": get_registered_name(type(optimizer)),
            "config": serialize_keras_object(optimizer)["config"],
        },
    }


def _written_goal(goal: Any, module: str) -> Any:
    """Return a loss or a metric as Keras can read it back: never by a short name such as ``mse``."""
    if isinstance(goal, str) and goal in _BY_SHAPE and module == "keras.metrics":
        return goal
    if isinstance(goal, str):
        goal = find(module, goal, module.removeprefix("keras."))
        if isinstance(goal, type):
            return snake_case(goal.__name__)
    written = serialize_keras_object(goal)
    if isinstance(written, dict) and written.get("class_name") == "function":
        return written["registered_name"] or written["config"]
    return {"class_name": written["registered_name"] or written["class_name"], "config": written["config"]}


def _mapped(fn: Any, given: Any, module: str) -> Any:
    """Return ``fn`` of each loss or metric in lists and dicts by output."""
    if given is None:
        return None
    if isinstance(given, (list, tuple)):
        return [_mapped(fn, x, module) for x in given]
    if isinstance(given, Mapping) and "class_name" not in given:
        return {str(key): _mapped(fn, x, module) for key, x in given.items()}
    return fn(given, module)


# ---------------------------------------------------------------------- reading


def readable_model(config: Any) -> dict[str, Any]:
    """Return ``model_config`` as Keras 3 would write it into a ``.keras`` file.

    Raises
    ------
    FormatError
        If it is nothing like the config of a model.
    """
    if not isinstance(config, Mapping) or config.get("class_name") is None:
        raise FormatError(f"model_config: expected an object with class_name and config, got {str(config)[:100]}")
    return _readable_layer(config)


def _readable_layer(entry: Any) -> Any:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str):
        raise FormatError(f"config of a layer: expected an object with class_name and config, got {str(entry)[:100]}")
    name, config = entry["class_name"], entry.get("config")
    if name in _MODELS and isinstance(config, list):  # a Sequential, before Keras 2.2.5
        config = {"layers": config}
    if not isinstance(config, Mapping):
        raise FormatError(f"config of {name}: expected an object, got {str(config)[:100]}")
    config = {key: _readable(key, value) for key, value in config.items()}
    if name in _MODELS and isinstance(config.get("layers"), list):
        config["layers"] = [_readable_layer(layer) for layer in config["layers"]]
    for old, new in _RENAMED.get(name, {}).items():
        value = config.pop(old, None)
        if new is not None and value is not None:
            config[new] = value
        elif old == "time_major" and value:
            raise FormatError(f"config of {name} {config.get('name')!r}: time_major does not exist in minidl")
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    module = "keras" if name in _MODELS else entry.get("module") or "keras.layers"
    return {
        **entry,
        "module": module,
        "class_name": _MODELS.get(name, name.rpartition(">")[2]),
        "config": config,
        "registered_name": entry.get("registered_name") or name,
    }


def _readable(key: str, value: Any) -> Any:
    if key.endswith("_initializer") and isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return {**value, "config": {k: x for k, x in value["config"].items() if k != "dtype"}}
    return value


def compile_arguments(config: Any) -> dict[str, Any]:
    """Return what ``training_config`` says that the model was compiled with.

    Raises
    ------
    FormatError
        If it is not understood.
    """
    if not isinstance(config, Mapping):
        raise FormatError(f"training_config: expected an object, got {str(config)[:100]}")
    return {
        "optimizer": _optimizer(config.get("optimizer_config")),
        "loss": _mapped(_made_goal, config.get("loss"), "keras.losses"),
        "loss_weights": config.get("loss_weights"),
        "metrics": _mapped_metrics(config.get("metrics")),
        "weighted_metrics": _mapped_metrics(config.get("weighted_metrics")),
    }


def _mapped_metrics(given: Any) -> Any:
    return _mapped(_made_goal, given or None, "keras.metrics")


def _made_goal(given: Any, module: str) -> Any:
    if isinstance(given, str):
        return given
    if not isinstance(given, Mapping) or not isinstance(given.get("config"), Mapping):
        raise FormatError(f"training_config: expected a name or an object, got {str(given)[:100]}")
    config = dict(given["config"])
    if given["class_name"] in ("MeanMetricWrapper", "LossFunctionWrapper") and isinstance(config.get("fn"), str):
        return config["fn"]  # Keras 2
    if config.get("reduction") == "auto":  # Keras 2
        config["reduction"] = "sum_over_batch_size"
    return _made(given, config, module)


def _optimizer(given: Any) -> Any:
    if not isinstance(given, Mapping) or not isinstance(given.get("config"), Mapping):
        raise FormatError(f"training_config: optimizer_config: expected an object, got {str(given)[:100]}")
    config = dict(given["config"])
    for old in ("jit_compile", "is_legacy_optimizer", "schedule_decay"):
        config.pop(old, None)
    if "lr" in config:  # Keras before 2.3
        config["learning_rate"] = config.pop("lr")
    if config.get("epsilon", 0) is None:
        del config["epsilon"]
    decay = config.pop("decay", None)
    if decay:
        config["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": {"initial_learning_rate": config.get("learning_rate"), "decay_steps": 1, "decay_rate": decay},
        }
    return _made(given, config, "keras.optimizers")


def _made(given: Mapping[str, Any], config: dict[str, Any], module: str) -> Any:
    name = given.get("class_name")
    if not isinstance(name, str):
        raise FormatError(f"training_config: class_name must be text, got {str(name)[:100]}")
    if get_registered_object(name) is None:
        name = name.rpartition(">")[2]
    return deserialize_keras_object({"class_name": name, "config": config}, module=module)
