"""Objects as JSON, and back: names and configs instead of code.

Everything of Keras's that can stand in a file (a layer, an initialiser, a loss) is written as
``{"module", "class_name", "config", "registered_name"}``. Reading looks the name up in two tables, the built-in objects
and what the user registered or passed as ``custom_objects``, and calls ``from_config``. It imports nothing and runs
nothing else, so a file cannot bring code along.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType, MappingProxyType
from typing import Any, TypeVar

import numpy as np

from minidl.autograd import Variable
from minidl.backend import to_numpy
from minidl.errors import ArgumentError, DTypeError, FormatError

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
]

T = TypeVar("T")

_DEPTH = 64  # nested deeper than this, a config is no model's

_BUILTIN: dict[str, dict[str, Any]] = {}  # "keras.layers": {"Dense": Dense, ...}, under each of its names
_MODULES: dict[Any, str] = {}  # Dense: "keras.layers"
_CUSTOM: dict[str, Any] = {}  # "package>Name": class or function
_SCOPE: ContextVar[Mapping[str, Any]] = ContextVar("custom_objects", default=MappingProxyType({}))


def builtin(module: str, *names: str) -> Callable[[T], T]:
    """Enter a class or a function of minidl's under its own name and further ones; a decorator.

    Parameters
    ----------
    module : str
        Where Keras has it, which is what files say: ``"keras.layers"``.
    *names : str
        Further names that a user may give instead of the object: ``"mse"``.
    """

    def enter(obj: T) -> T:
        table = _BUILTIN.setdefault(module, {})
        name = obj.__name__  # type: ignore[attr-defined]
        for key in (name, snake_case(name), *names):
            table.setdefault(key, obj)
        _MODULES[obj] = module
        return obj

    return enter


def is_builtin(obj: Any, module: str) -> bool:
    """Whether ``obj`` is a class or function that :func:`builtin` entered for ``module``."""
    return isinstance(obj, (type, FunctionType)) and _MODULES.get(obj) == module


def snake_case(name: str) -> str:
    """Return a class's name as Keras spells it in lower case: ``Conv2D`` is ``conv2d``, ``LeakyReLU`` ``leaky_re_lu``.

    Examples
    --------
    >>> [snake_case(name) for name in ("Dense", "MaxPooling2D", "LeakyReLU", "LSTM")]
    ['dense', 'max_pooling2d', 'leaky_re_lu', 'lstm']
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def find(module: str, name: str, what: str) -> Any:
    """Return the class or function that a user means by ``name``.

    Parameters
    ----------
    module : str
        ``"keras.losses"``
    name : str
    what : str
        What to call it in an error: ``"loss"``.

    Raises
    ------
    ArgumentError
        If there is none; the message names those with similar names.
    """
    for table in (_SCOPE.get(), _CUSTOM, _BUILTIN.get(module, {})):
        if name in table:
            return table[name]
    known = _BUILTIN.get(module, {})
    for entered, obj in known.items():
        if entered.lower() == name.lower():
            return obj
    close = difflib.get_close_matches(name, known, 3, 0.5) or difflib.get_close_matches(name.lower(), known, 3, 0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are: {', '.join(sorted(known))}"
    raise ArgumentError(f"{what}: no {what} is named {name!r}; {hint}")


def resolve(module: str, identifier: Any, what: str) -> Any:
    """Return the object that an argument such as ``activation=`` or ``loss=`` stands for.

    Parameters
    ----------
    module : str
        ``"keras.losses"``
    identifier : None, str, dict, class or object
        A name, a config that :func:`serialize_keras_object` made, a class (called without arguments), or the object
        itself, which is anything callable.
    what : str
        What to call it in an error: ``"loss"``.

    Returns
    -------
    object or None
        An instance if the name is that of a class; the function if it is that of a function.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        identifier = find(module, identifier, what)
    elif isinstance(identifier, Mapping):
        return deserialize_keras_object(identifier, module=module)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise DTypeError(
        f"{what}: expected a name, a config, or something callable, got a {type(identifier).__name__}: {identifier!r}"
    )


# ------------------------------------------------------------------ what users register


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Make a class or a function of the user's known to loading; a decorator.

    Parameters
    ----------
    package : str
        Keeps equal names apart; files say ``"package>name"``.
    name : str, optional
        Its own name if left out.

    Returns
    -------
    callable
        The decorator; it returns what it decorates.

    Raises
    ------
    ArgumentError
        If a class has no ``get_config``.

    Examples
    --------
    >>> @register_keras_serializable("lesson")
    ... def cube(x):
    ...     return x**3
    >>> get_registered_name(cube)
    'lesson>cube'

    References
    ----------
    ``keras.saving.register_keras_serializable``.
    """

    def register(obj: T) -> T:
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise ArgumentError(
                f"register_keras_serializable: {obj.__name__} has no get_config; define it, so that files can tell "
                "how to make it again"
            )
        _CUSTOM[f"{package}>{name or obj.__name__}"] = obj  # type: ignore[attr-defined]
        return obj

    return register


def get_registered_name(obj: Any) -> str:
    """Return the name under which a class or function is registered, or its own.

    Parameters
    ----------
    obj : class or function

    Returns
    -------
    str

    Examples
    --------
    >>> from minidl import keras
    >>> get_registered_name(keras.layers.Dense)
    'Dense'

    References
    ----------
    ``keras.saving.get_registered_name``.
    """
    return next((name for name, other in _CUSTOM.items() if other is obj), obj.__name__)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the class or function that the user registered, or put into scope, under a name.

    Parameters
    ----------
    name : str
    custom_objects : dict of str to class or function, optional
        Looked through first.

    Returns
    -------
    class, function or None

    Examples
    --------
    >>> print(get_registered_object("lesson>unknown"))
    None

    References
    ----------
    ``keras.saving.get_registered_object``.
    """
    for table in (custom_objects or {}, _SCOPE.get(), _CUSTOM):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """Return the table of what the user registered: the table itself, to add to.

    Returns
    -------
    dict of str to class or function

    Examples
    --------
    >>> def cube(x):
    ...     return x**3
    >>> get_custom_objects()["cube"] = cube
    >>> get_registered_object("cube") is cube
    True

    References
    ----------
    ``keras.saving.get_custom_objects``.
    """
    return _CUSTOM


@contextmanager
def custom_object_scope(objects: Mapping[str, Any]) -> Iterator[None]:
    """Make names known to loading for the time of a ``with`` block.

    Parameters
    ----------
    objects : dict of str to class or function

    Returns
    -------
    context manager

    Examples
    --------
    >>> def cube(x):
    ...     return x**3
    >>> with custom_object_scope({"cube": cube}):
    ...     get_registered_object("cube") is cube
    True

    References
    ----------
    ``keras.saving.custom_object_scope``.
    """
    token = _SCOPE.set({**_SCOPE.get(), **objects})
    try:
        yield
    finally:
        _SCOPE.reset(token)


CustomObjectScope = custom_object_scope


# ------------------------------------------------------------------ to JSON


def serialize_keras_object(obj: Any) -> Any:
    """Return an object as what JSON can hold.

    Parameters
    ----------
    obj : None, number, str, array, list, tuple, dict, or an object with ``get_config``, or a named function

    Returns
    -------
    None, number, str, list or dict

    Raises
    ------
    DTypeError
        If there is no way to write it: a lambda, say.

    Examples
    --------
    >>> from minidl import keras
    >>> serialize_keras_object(keras.initializers.Constant(2.0))["config"]
    {'value': 2.0}

    References
    ----------
    ``keras.saving.serialize_keras_object``.
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(x) for x in obj]
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(x) for key, x in obj.items()}
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, Variable):
        obj = to_numpy(obj.array)
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if hasattr(obj, "serialized"):  # it has a form of its own: a symbolic tensor
        return obj.serialized()
    cls = obj if isinstance(obj, FunctionType) else type(obj)
    if isinstance(obj, FunctionType):
        if obj.__name__ == "<lambda>":
            raise DTypeError("serialize: a lambda cannot be written to a file; write a named function and register it")
        kind, config = "function", obj.__name__
    elif hasattr(obj, "get_config"):
        kind, config = getattr(obj, "_serialized_name", cls.__name__), obj.get_config()
    else:
        raise DTypeError(
            f"serialize: a {cls.__name__} cannot be written to a file; give it get_config and from_config, and "
            "register it with keras.saving.register_keras_serializable"
        )
    module = getattr(obj, "_serialized_module", None) or _MODULES.get(cls)
    written = {
        "module": module or ("builtins" if kind == "function" else cls.__module__),
        "class_name": kind,
        "config": config,
        "registered_name": None if module and kind != "function" else get_registered_name(cls),
    }
    for key in ("build_config", "compile_config"):
        extra = getattr(obj, f"get_{key}", lambda: None)()
        if extra is not None:
            written[key] = serialize_keras_object(extra)
    return written


# ------------------------------------------------------------------ from JSON


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    *,
    module: str | None = None,
) -> Any:
    """Make an object from what :func:`serialize_keras_object` (minidl's or Keras's) wrote.

    Parameters
    ----------
    config : None, number, str, list or dict
    custom_objects : dict of str to class or function, optional
        The user's own, by the name that the config has for them.
    safe_mode : bool
        Must be True: minidl never runs code from a file.
    module : str, optional
        Where to look for a class whose config does not say (files before Keras 3): ``"keras.layers"``.

    Returns
    -------
    object

    Raises
    ------
    FormatError
        If it names a class that is neither built in nor registered, or holds code, or does not fit the class.

    Examples
    --------
    >>> from minidl import keras
    >>> config = keras.saving.serialize_keras_object(keras.layers.Dense(3))
    >>> keras.saving.deserialize_keras_object(config).units
    3

    References
    ----------
    ``keras.saving.deserialize_keras_object``.
    """
    if not safe_mode:
        raise ArgumentError("deserialize: minidl never runs code from a file, so safe_mode=False does not exist here")
    with custom_object_scope(custom_objects or {}):
        return _made(config, module, 0)


def _made(config: Any, module: str | None, depth: int) -> Any:
    if depth > _DEPTH:
        raise FormatError(f"config: nested deeper than {_DEPTH} levels, which no model is")
    if isinstance(config, (list, tuple)):
        return [_made(x, None, depth + 1) for x in config]
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _made(x, None, depth + 1) for key, x in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise FormatError(f"config: class_name must be a str, got {name!r}")
    if name == "__numpy__":
        return _array(inner)
    if name in ("__lambda__", "Lambda"):
        raise FormatError(f"config: it holds code ({name}), and minidl never runs code from a file")
    if name == "function":
        return _function(inner, module)
    cls = _class(config, name, module)
    if not isinstance(cls, type):
        return cls
    if not isinstance(inner, Mapping):
        raise FormatError(f"config of {name}: expected a dict, got a {type(inner).__name__}")
    try:
        obj = cls.from_config(dict(inner))  # type: ignore[attr-defined]
        build_config = config.get("build_config")
        if isinstance(build_config, Mapping) and hasattr(obj, "build_from_config"):
            obj.build_from_config(build_config)
    except FormatError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        raise FormatError(f"config of {name}: {error}") from error
    return obj


def _class(config: Mapping[str, Any], name: str, module: str | None) -> Any:
    registered = config.get("registered_name")
    for key in (registered, name):
        if isinstance(key, str) and (found := get_registered_object(key)) is not None:
            return found
    said = config.get("module")
    places = [place for place in (said, module) if isinstance(place, str) and place in _BUILTIN]
    if isinstance(said, str) and said.startswith("keras.src."):  # a class that only Keras's own backend has
        places += [place for place in _BUILTIN if f".{place.removeprefix('keras.')}." in f"{said}."]
    for place in places or (_BUILTIN if said in (None, "keras") else ()):
        if name in _BUILTIN[place]:
            return _BUILTIN[place][name]
    where = f"{said}." if said else ""
    raise FormatError(
        f"config: {where}{name} is not a class that minidl knows; if it is yours, pass "
        f"custom_objects={{{name!r}: {name}}} or register it with keras.saving.register_keras_serializable"
    )


def _function(name: Any, module: str | None) -> Any:
    if isinstance(name, str):
        if (found := get_registered_object(name)) is not None:
            return found
        places = [module] if module else ["keras.activations", "keras.losses", "keras.metrics"]
        for place in places:
            found = _BUILTIN.get(place, {}).get(name)
            if found is not None:
                return found
    raise FormatError(
        f"config: {name!r} is not a function that minidl knows; if it is yours, pass it in custom_objects or register "
        "it with keras.saving.register_keras_serializable"
    )


def _array(inner: Any) -> np.ndarray:
    try:
        dtype = np.dtype(inner["dtype"])
        if dtype.kind not in "biuf":
            raise FormatError(f"config: an array of dtype {dtype} is none of numbers")
        return np.asarray(inner["value"], dtype)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise FormatError(f"config: an array that cannot be read: {error}") from error
