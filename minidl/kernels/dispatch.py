"""Which implementation of a kernel runs: the reference, in array operations, or the compiled one.

The environment variable ``MINIDL_KERNELS`` decides when the first kernel is called:

- ``auto``, the default: compiled where it is worth it, as each kernel's entry in ``minidl.kernels`` says;
- ``reference``: never compiled;
- ``fast``: as ``auto``, and a warning where nothing can be compiled on this machine.

Compiled kernels take arrays of float32 or float64: NumPy's those of ``minidl.kernels.cpu``, CuPy's those of
``minidl.kernels.gpu``; all else gets the reference. Numba is imported when the first compiled kernel is called, and not
before: it takes a second, which a small network never pays.
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

from minidl.backend import is_array
from minidl.errors import ArgumentError
from minidl.kernels.cpu.memory import keep_memory

__all__ = ["active", "either", "launchable", "load", "load_gpu", "usable"]

FLOATS = (np.dtype("float32"), np.dtype("float64"))
CHOICES = ("auto", "reference", "fast")


def never(*args: Any) -> bool:
    """Say that no size is worth it: the kernel has no compiled form for the CPU."""
    return False


def either(
    reference: Callable[..., Any], file: str = "", worth: Callable[..., bool] = never, gpu: str = ""
) -> Callable[..., Any]:
    """Return a kernel that runs compiled where that is possible and worth it, and else the reference.

    Parameters
    ----------
    reference : function
        The readable twin; its first argument is an array, and it never takes keywords.
    file : str
        Which file of ``minidl.kernels.cpu`` has the compiled function of the same name and signature.
    worth : function
        Takes the same arguments and tells from their sizes whether the compiled kernel wins, by measurement.
    gpu : str
        Which file of ``minidl.kernels.gpu`` has the function of the same name and signature for CuPy arrays, if any. It
        may return ``NotImplemented``: the reference then runs.
    """
    name = reference.__name__
    compiled: Callable[..., Any] | None = None
    launched: Callable[..., Any] | None = None

    @functools.wraps(reference)
    def kernel(*args: Any) -> Any:
        nonlocal compiled, launched
        first = args[0]
        if type(first) is np.ndarray:
            if worth(*args) and usable(first):  # in this order: a small network never asks for Numba
                if compiled is None:
                    compiled = getattr(load(file), name)
                return compiled(*args)
        elif gpu and launchable(first):
            if launched is None:
                launched = getattr(load_gpu(gpu), name)
            result = launched(*args)
            if result is not NotImplemented:
                return result
        return reference(*args)  # as for tensors: a backward pass that is differentiated calls with them

    return kernel


def usable(array: Any) -> bool:
    """Whether compiled kernels can take an array, and are wanted."""
    return type(array) is np.ndarray and array.dtype in FLOATS and enabled()


def launchable(array: Any) -> bool:
    """Whether the GPU's kernels can take an array, and are wanted."""
    return is_array(array) and not isinstance(array, np.ndarray) and array.dtype in FLOATS and choice() != "reference"


def load(file: str) -> ModuleType:
    """Import a file of compiled kernels."""
    keep_memory()
    return importlib.import_module(f"minidl.kernels.cpu.{file}")


def load_gpu(file: str) -> ModuleType:
    """Import a file of kernels for the GPU."""
    return importlib.import_module(f"minidl.kernels.gpu.{file}")


@functools.cache
def choice() -> str:
    """Return what ``MINIDL_KERNELS`` asks for."""
    wanted = os.environ.get("MINIDL_KERNELS", "").strip().lower() or "auto"
    if wanted not in CHOICES:
        raise ArgumentError(f"MINIDL_KERNELS: expected one of {', '.join(CHOICES)}, got {wanted!r}")
    return wanted


@functools.cache
def enabled() -> bool:
    """Whether compiled kernels are wanted, and Numba is there to compile them."""
    if choice() == "reference":
        return False
    problem = missing()
    if problem and choice() == "fast":
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
