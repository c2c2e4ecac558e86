"""Writes ``cupy_api.json``: every public name of the CuPy that is installed, and the parameters that each takes.

Run it where CuPy can be imported, which needs no GPU; the stand-in then runs without CuPy::

    python -m tests.stand_in.dump_api

The JSON maps a module or class to its names, and each name to what it is: ``"module"``, ``"type"``, ``"value"``, the
list of a function's parameters (``"*"`` before those that go by keyword alone, ``["..."]`` where CuPy does not say), or
of a universal function its loops and whether it has ``.at``. Parts of CuPy cannot be looked into without a driver.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import warnings
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("cupy_api.json")

MODULES = (
    "cupy",
    "cupy.cuda",
    "cupy.cuda.nvtx",
    "cupy.cuda.runtime",
    "cupy.fft",
    "cupy.lib.stride_tricks",
    "cupy.linalg",
    "cupy.random",
    "cupyx",
    "cupyx.profiler",
    "cupyx.scipy.special",
)
CLASSES = (
    "cupy.ElementwiseKernel",
    "cupy.RawKernel",
    "cupy.RawModule",
    "cupy.ReductionKernel",
    "cupy.ndarray",
    "cupy.random.Generator",
    "cupy.random.RandomState",
    "cupy.cuda.Device",
    "cupy.cuda.Event",
    "cupy.cuda.MemoryPointer",
    "cupy.cuda.MemoryPool",
    "cupy.cuda.PinnedMemoryPool",
    "cupy.cuda.Stream",
    "cupy._core.flags.Flags",
)


def parameters(function: Any) -> list[str]:
    """Return the names of a function's parameters, from its signature or the one that Cython left in its docstring."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return documented_parameters(function)
    names: list[str] = []
    for parameter in found:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in names:
            names.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        names.append(stars + parameter.name)
    return without_self(names)


def documented_parameters(function: Any) -> list[str]:
    """Read ``ndarray.sum(self, axis=None, dtype=None, ...)`` off the first line of a docstring."""
    line = re.match(r"[\w.]*\((.*?)\)(?: ->|\n|$)", getattr(function, "__doc__", "") or "")
    if not line:
        return ["..."]
    pieces = (piece.strip() for piece in re.split(r",(?![^(\[]*[)\]])", line.group(1)))
    return without_self([re.split(r"[=:]", piece)[0].split()[-1] for piece in pieces if piece not in ("", "/")])


def without_self(names: list[str]) -> list[str]:
    return names[1:] if names[:1] == ["self"] else names


def describe(value: Any, ufunc: type) -> Any:
    """Return what the JSON says of one name."""
    if isinstance(value, ufunc):
        return {"loops": value.types, "at": getattr(value, "_scatter_op", None) is not None}
    if inspect.ismodule(value):
        return "module"
    if isinstance(value, type):
        return "type"
    return parameters(value) if callable(value) else "value"


def surface(thing: Any, ufunc: type) -> dict[str, Any]:
    """Return the public names of a module or a class."""
    names = (name for name in sorted(dir(thing)) if not name.startswith("_"))
    return {name: describe(getattr(thing, name), ufunc) for name in names}


def dump() -> dict[str, Any]:
    """Return the surface of the CuPy that is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no GPU was found, and deprecated names looked at
        cupy = importlib.import_module("cupy")
        found = {name: surface(importlib.import_module(name), cupy.ufunc) for name in MODULES}
        for name in CLASSES:
            module, _, kind = name.rpartition(".")
            found[name] = surface(getattr(importlib.import_module(module), kind), cupy.ufunc)
    return {"version": cupy.__version__, "surface": dict(sorted(found.items()))}


def written(api: dict[str, Any]) -> str:
    """Return the JSON, a name a line."""
    blocks = (
        f"{json.dumps(owner)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(what)}" for name, what in names.items())
        + "\n}"
        for owner, names in api["surface"].items()
    )
    return f'{{\n"version": {json.dumps(api["version"])},\n"surface": {{\n' + ",\n".join(blocks) + "\n}\n}\n"


if __name__ == "__main__":
    TARGET.write_text(written(dump()))
