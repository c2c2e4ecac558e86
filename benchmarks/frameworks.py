"""What is compared: minidl in its two dialects, and its peers, each of which may be missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Framework:
    """A column of the tables. This file imports none of them: a worker loads one, by name, and holds no other."""

    label: str
    package: str  # what ``load`` imports
    needs: tuple[str, ...]  # distributions, whose versions are reported
    beside: tuple[str, ...] = ()  # which dialects of minidl it is compared with
    environment: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)  # where it is measured

    def missing(self) -> str:
        """Say what has to be installed first; nothing where nothing is missing."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"{' and '.join(absent)}: not installed (pip install 'minidl[bench]')" if absent else ""

    def versions(self) -> dict[str, str]:
        """Return the versions of what it needs, and of the NumPy beside it."""
        return {name: metadata.version(name) for name in (*self.needs, "numpy")}

    def load(self) -> Any:
        """Import the package and return it."""
        return importlib.import_module(self.package)


BOTH = "cpu", "gpu"
FRAMEWORKS = {
    "minidl": Framework("minidl", "minidl", ("minidl",), devices=BOTH),
    "minidl.keras": Framework("minidl.keras", "minidl.keras", ("minidl",), devices=BOTH),
    "torch": Framework("PyTorch", "torch", ("torch",), ("minidl", "minidl.keras"), devices=BOTH),
    "keras": Framework("Keras on JAX", "keras", ("keras", "jax"), ("minidl.keras",), {"KERAS_BACKEND": "jax"}),
    "jax": Framework("JAX jit", "jax", ("jax",), ("minidl",), {"JAX_PLATFORMS": "cpu"}),
}


class Dialect(NamedTuple):
    """PyTorch's dialect, in which minidl and PyTorch differ by the import lines alone."""

    root: Any
    nn: Any
    F: Any
    optim: Any


def dialect(framework: str) -> Dialect:
    """Return the package of that name, and its ``nn``, ``nn.functional`` and ``optim``."""
    names = framework, f"{framework}.nn", f"{framework}.nn.functional", f"{framework}.optim"
    return Dialect(*map(importlib.import_module, names))


def use_threads(framework: str, package: Any, threads: int) -> int:
    """Have a framework use so many threads; return how many it then has."""
    if framework in ("minidl", "minidl.keras"):
        package = importlib.import_module("minidl")
    if hasattr(package, "set_num_threads"):  # minidl and PyTorch
        package.set_num_threads(threads)
        return package.get_num_threads()
    return threads  # JAX has no such call: it counts the processors that it may run on


def processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
