"""What the real CuPy has, as ``cupy_api.json`` tells: the stand-in refuses every other name and keyword."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_FILE = json.loads(Path(__file__).with_name("cupy_api.json").read_text())

VERSION: str = _FILE["version"]
SURFACE: dict[str, dict[str, Any]] = _FILE["surface"]


def entry(owner: str, name: str) -> Any:
    """Return what the JSON says of ``owner``'s ``name``; CuPy's AttributeError if it has none."""
    try:
        return SURFACE[owner][name]
    except KeyError:
        kind = "object" if owner.rpartition(".")[2][:1].isupper() or owner == "cupy.ndarray" else "module"
        raise AttributeError(f"{kind} {owner!r} has no attribute {name!r} in CuPy {VERSION}") from None


@functools.cache
def accepted(owner: str, name: str) -> tuple[int, frozenset[str] | None]:
    """Return how many positional arguments a function takes (-1: any), and which keywords (None: any)."""
    names = entry(owner, name)
    if names == ["..."]:
        return -1, None
    positional, keywords, at_end = 0, set(), False
    for parameter in names:
        if parameter.startswith("**"):
            return -1 if at_end and positional < 0 else positional, None
        if parameter.startswith("*"):
            positional, at_end = positional if parameter == "*" else -1, True
            continue
        keywords.add(parameter)
        positional += not at_end
    return positional, frozenset(keywords)


def check_call(owner: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise CuPy's TypeError at an argument that the function does not have."""
    positional, keywords = accepted(owner, name)
    if 0 <= positional < len(args):
        raise TypeError(f"{owner}.{name}() takes {positional} positional arguments but {len(args)} were given")
    if keywords is not None:
        for keyword in kwargs:
            if keyword not in keywords:
                raise TypeError(f"{owner}.{name}() got an unexpected keyword argument {keyword!r}")
