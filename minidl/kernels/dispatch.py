"""Which implementation of a kernel runs: the reference, in array operations, or the compiled one.

The environment variable ``MINIDL_KERNELS`` decides when the first kernel is called:

- ``auto``, the default: compiled where it is worth it, as each kernel's entry in ``minidl.kernels`` says;
- ``reference``: never compiled;
- ``fast``: as ``auto``, and a warning where nothing can be compiled on this machine.

Compiled kernels take NumPy arrays of float32 or float64; all others, CuPy's too, get the reference. Numba is imported
when the first compiled kernel is called, and not before: it takes a second, which a small network never pays.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl.kernels.cpu.memory import keep_memory

__all__ = ["active", "either", "load", "usable"]

FLOATS = (np.dtype("float32"), np.dtype("float64"))
CHOICES = ("auto", "reference", "fast")


def either(reference: Callable[..., Any], file: str, worth: Callable[..., bool]) -> Callable[..., Any]:
    """Return a kernel that runs compiled where that is possible and worth it, and else the reference.

    Parameters
    ----------
    reference : function
        The readable twin; its first argument is an array, and it never takes keywords.
    file : str
        Which file of ``minidl.kernels.cpu`` has the compiled function of the same name and signature.
    worth : function
        Takes the same arguments and tells from their sizes whether the compiled kernel wins, by measurement.
    """
    name = reference.__name__
    compiled: Callable[..., Any] | None = None

    @functools.wraps(reference)
    def kernel(*args: Any) -> Any:
        nonlocal compiled
        # in this order: a backward pass that is differentiated calls with tensors; a small network never asks for Numba
        if type(args[0]) is np.ndarray and worth(*args) and usable(args[0]):
            if compiled is None:
                compiled = getattr(load(file), name)
            return compiled(*args)
        return reference(*args)

    return kernel


def usable(array: Any) -> bool:
    """Whether compiled kernels can take an array, and are wanted."""
    return type(array) is np.ndarray and array.dtype in FLOATS and enabled()


def load(file: str) -> ModuleType:
    """Import a file of compiled kernels."""
    keep_memory()
    return importlib.import_module(f"minidl.kernels.cpu.{file}")


@functools.cache
def enabled() -> bool:
    """Whether compiled kernels are wanted, and Numba is there to compile them."""
    choice = os.environ.get("MINIDL_KERNELS", "").strip().lower() or "auto"
    if choice not in CHOICES:
        raise ArgumentError(f"MINIDL_KERNELS: expected one of {', '.join(CHOICES)}, got {choice!r}")
    if choice == "reference":
        return False
    problem = missing()
    if problem and choice == "fast":
        warnings.warn(
            f"MINIDL_KERNELS=fast: {problem}; the reference kernels run instead", RuntimeWarning, stacklevel=3
        )
    return not problem


def missing() -> str:
    """Say what compiled kernels lack on this machine; nothing if they lack nothing."""
    if importlib.util.find_spec("numba") is None:
        return "Numba is not installed (pip install numba)"
    try:
        load("compiler")
    except Exception as error:  # Numba and NumPy that do not fit, a CPU that LLVM does not know, and the like
        return f"Numba does not work here ({type(error).__name__}: {error})"
    return ""


def active() -> str:
    """Return the name of the implementation in use."""
    return "compiled" if enabled() else "reference"
