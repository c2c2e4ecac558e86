"""Nested dicts and lists of arrays and plain values, in one ``safetensors`` file: states and checkpoints, no pickle.

The arrays are the tensors of the file, named by their place in the tree (``optimizer.state.0.exp_avg``). What holds
them stands as JSON in the file's metadata: ``null``, booleans, whole numbers below 2**63, finite floats and strings as
they are, everything else as an object with one key that says what it is::

    {"dict": [[key, value], ...]}   {"list": [...]}   {"tuple": [...]}   {"float": "nan"}   {"int": "0x1f..."}
    {"tensor": "fc.weight"}   {"array": "fc.weight"}   {"scalar": "loss"}
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.autograd import Variable
from minidl.backend import is_array
from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.formats.safetensors import as_tensor, check_dtype, read_safetensors, save_safetensors
from minidl.formats.strict_json import parse_json

__all__ = ["load", "save"]

_SKELETON = "minidl.tree"  # the metadata's key
_DEPTH = 64
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def save(tree: Any, path: str | os.PathLike[str]) -> None:
    """Write a tree of arrays and plain values to one file, atomically.

    A flat dict of tensors, as ``model.state_dict()``, makes an ordinary ``safetensors`` file that any library reads.

    Parameters
    ----------
    tree : nested dict, list or tuple of Tensors, arrays, str, int, float, bool and None
        Keys are texts or whole numbers. Tensors come back as tensors on the CPU, arrays as arrays, infinities, NaN and
        integers of any size as they were; a subclass of a dict, a list or a tuple comes back as a plain one.
    path : str or path

    Raises
    ------
    DTypeError
        If the tree holds anything else; the message says where.
    ArgumentError
        If it is nested more than 64 deep (or holds itself).
    OSError
        If the file cannot be written; the one that was there is untouched.

    Examples
    --------
    >>> import minidl, tempfile
    >>> path = tempfile.mkdtemp() + "/checkpoint.safetensors"
    >>> minidl.save({"epoch": 3, "weights": minidl.ones(2), "best": [float("inf")]}, path)
    >>> loaded = minidl.load(path)
    >>> loaded["epoch"], loaded["weights"].tolist(), loaded["best"]
    (3, [1.0, 1.0], [inf])

    References
    ----------
    ``torch.save``, without pickle.
    """
    if isinstance(tree, dict) and tree and all(isinstance(x, str) and isinstance(tree[x], Variable) for x in tree):
        save_safetensors(tree, path)
        return
    arrays: dict[str, Any] = {}
    skeleton = json.dumps(_encode(tree, (), arrays), separators=(",", ":"))
    save_safetensors(arrays, path, {_SKELETON: skeleton})


def load(path: str | os.PathLike[str]) -> Any:
    """Read what :func:`save` wrote, or the tensors of any ``safetensors`` file. Nothing in it is executed.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    tree
        What was saved: for an ordinary ``safetensors`` file, a dict of str to Tensor.

    Raises
    ------
    FormatError
        If the file is not what it should be.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import minidl, tempfile
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> model = minidl.nn.Linear(2, 1)
    >>> minidl.save(model.state_dict(), path)
    >>> model.load_state_dict(minidl.load(path))
    <All keys matched successfully>

    References
    ----------
    ``torch.load``, without pickle.
    """
    arrays, metadata = read_safetensors(path)
    place = os.fspath(path)
    if _SKELETON not in metadata:
        return {name: as_tensor(array, f"{place}: {name}") for name, array in arrays.items()}
    place = f"{place}: {_SKELETON}"
    skeleton = parse_json(metadata[_SKELETON], place, depth=3 * _DEPTH + 8)  # a dict takes three levels of JSON
    left = dict(arrays)
    tree = _decode(skeleton, left, place)
    if left:
        raise FormatError(f"{place}: says nothing about the tensors {', '.join(map(repr, sorted(left)[:5]))}")
    return tree


# ---------------------------------------------------------------------- to JSON


def _encode(node: Any, where: tuple[Any, ...], arrays: dict[str, Any]) -> Any:
    """Return what stands for a node in the skeleton; arrays below it go into ``arrays``."""
    if len(where) > _DEPTH:
        raise ArgumentError(f"save: {_place(where[:4])}... is nested more than {_DEPTH} deep; does it hold itself?")
    if isinstance(node, Variable):
        return {"tensor": _enter(node, where, arrays)}
    if isinstance(node, np.generic):  # before float: a NumPy float64 is one
        return {"scalar": _enter(np.asarray(node), where, arrays)}
    if is_array(node):
        return {"array": _enter(node, where, arrays)}
    if node is None or isinstance(node, (bool, str)):
        return node if node is None or isinstance(node, bool) else str(node)
    if isinstance(node, int):
        return int(node) if -(2**63) <= node < 2**63 else {"int": hex(node)}
    if isinstance(node, float):
        return float(node) if math.isfinite(node) else {"float": str(float(node))}
    if isinstance(node, dict):
        for key in node:
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise DTypeError(f"save: {_place(where)} has the key {key!r}; keys are texts or whole numbers")
        return {"dict": [[_encode(k, (), arrays), _encode(v, (*where, k), arrays)] for k, v in node.items()]}
    if isinstance(node, (list, tuple)):
        kind = "tuple" if isinstance(node, tuple) else "list"
        return {kind: [_encode(value, (*where, i), arrays) for i, value in enumerate(node)]}
    raise DTypeError(
        f"save: {_place(where)} is a {type(node).__name__}; expected Tensors, arrays, numbers, text, None, "
        "or dicts, lists and tuples of them"
    )


def _enter(array: Any, where: tuple[Any, ...], arrays: dict[str, Any]) -> str:
    """Enter an array under the name of its place, which another may have: ``{"a.b": x, "a": {"b": y}}``."""
    check_dtype(array.array.dtype if isinstance(array, Variable) else array.dtype, f"save: {_place(where)}")
    name = ".".join(map(str, where)).encode(errors="replace").decode() or "value"
    while name in arrays or name == "__metadata__":
        name += "'"
    arrays[name] = array
    return name


def _place(where: tuple[Any, ...]) -> str:
    """Write a place as the user would: ``tree['optimizer'][0]``."""
    return "tree" + "".join(f"[{key!r}]" for key in where)


# ---------------------------------------------------------------------- and back


def _decode(node: Any, arrays: dict[str, np.ndarray], place: str) -> Any:
    """Return the node that a piece of the skeleton stands for, taking its arrays out of ``arrays``."""
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if not isinstance(node, dict) or len(node) != 1:
        raise FormatError(f"{place}: expected a plain value or an object with one key, got {str(node)[:100]}")
    ((kind, value),) = node.items()
    if kind in _CONTAINERS:
        if not isinstance(value, list):
            raise FormatError(f"{place}: {kind}: expected a list, got {str(value)[:100]}")
        return _CONTAINERS[kind](value, arrays, place)
    if kind not in _LEAVES or not isinstance(value, str):
        raise FormatError(f"{place}: nothing is meant by {kind[:100]!r}: {str(value)[:100]}")
    return _LEAVES[kind](value, arrays, place)


def _decode_dict(items: list[Any], arrays: dict[str, np.ndarray], place: str) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for pair in items:
        if not isinstance(pair, list) or len(pair) != 2:
            raise FormatError(f"{place}: dict: expected pairs of a key and a value, got {str(pair)[:100]}")
        key = _decode(pair[0], arrays, place) if isinstance(pair[0], dict) and "int" in pair[0] else pair[0]
        if not isinstance(key, (str, int)) or isinstance(key, bool) or key in found:
            raise FormatError(f"{place}: dict: {str(key)[:100]!r} is no key, or stands there twice")
        found[key] = _decode(pair[1], arrays, place)
    return found


def _decode_list(items: list[Any], arrays: dict[str, np.ndarray], place: str) -> list[Any]:
    return [_decode(item, arrays, place) for item in items]


def _decode_tuple(items: list[Any], arrays: dict[str, np.ndarray], place: str) -> tuple[Any, ...]:
    return tuple(_decode_list(items, arrays, place))


def _decode_array(name: str, arrays: dict[str, np.ndarray], place: str) -> np.ndarray:
    if name not in arrays:
        raise FormatError(f"{place}: the file holds no tensor {name[:100]!r}, or it is used twice")
    return arrays.pop(name)


def _decode_tensor(name: str, arrays: dict[str, np.ndarray], place: str) -> Any:
    return as_tensor(_decode_array(name, arrays, place), f"{place}: {name}")


def _decode_scalar(name: str, arrays: dict[str, np.ndarray], place: str) -> Any:
    array = _decode_array(name, arrays, place)
    if array.shape:
        raise FormatError(f"{place}: {name}: expected a single number, got shape {array.shape}")
    return array[()]


def _decode_float(text: str, arrays: dict[str, np.ndarray], place: str) -> float:
    if text not in _FLOATS:
        raise FormatError(f"{place}: float: expected nan, inf or -inf, got {text[:100]!r}")
    return _FLOATS[text]


def _decode_int(text: str, arrays: dict[str, np.ndarray], place: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise FormatError(f"{place}: int: expected hexadecimal digits, got {text[:100]!r}") from None


_CONTAINERS: dict[str, Callable[..., Any]] = {"dict": _decode_dict, "list": _decode_list, "tuple": _decode_tuple}
_LEAVES: dict[str, Callable[..., Any]] = {
    "tensor": _decode_tensor,
    "array": _decode_array,
    "scalar": _decode_scalar,
    "float": _decode_float,
    "int": _decode_int,
}
