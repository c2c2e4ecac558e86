"""The decorator of every compiled kernel, and what is compiled for: the CPU's vector registers.

Kernels are functions at the top of a module. One made inside another function never hits Numba's cache on disk, so
sizes that depend on the CPU are constants of a module, not arguments of a factory.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.extending
from numba.core.caching import FunctionCache
from numba.core.registry import cpu_target

__all__ = ["FEATURES", "HAS_FMA", "VECTOR_BYTES", "VECTOR_REGISTERS", "helper", "inlined", "intrinsic", "kernel"]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called with arrays of a type, or load what was compiled before.

    It runs without the interpreter's lock, so that other threads run too; division by zero gives inf and nan as in
    NumPy. Nothing else is relaxed: nan and inf pass through, and sums keep their order.

    Raises
    ------
    TypeError
        If it takes ``part`` first, but does not begin by sharing its parts out: see ``pool``.
    """
    code = function.__code__
    if code.co_varnames[:1] == ("part",) and "shared_out" not in code.co_names:
        raise TypeError(f"kernel {function.__name__}: begin it with `if shared_out(part, parts): return`")
    compiled = helper(function)
    try:
        compiled._cache = _KernelCache(function)
    except (RuntimeError, OSError) as error:  # neither the package's folder nor the user's can be written
        _warn(error)
    return compiled


def helper(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call: it becomes part of them, and needs no cache of its own."""
    return numba.njit(function, nogil=True, error_model="numpy")


def inlined(function: Callable[..., Any]) -> Any:
    """Let a function become part of the text of the kernels that call it, each at one place.

    A helper is compiled for itself first, down to the machine's code, which nobody calls: for the large ones, LLVM took
    a third of its time at the kernels of document 002.
    """
    return numba.njit(function, nogil=True, error_model="numpy", inline="always")


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make a function that kernels call out of one that types its arguments and writes its LLVM instructions."""
    return numba.extending.intrinsic(function)


class _KernelCache(FunctionCache):
    """Numba's cache on disk, valid as long as no kernel's source changes; an error in it costs no more than time.

    Numba looks at the file of the kernel alone, but part of its code comes from ``vectors`` and other helpers.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = _source_stamp()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:  # whatever unpickling garbage may raise
            _warn(error)
            self._start_over()
            found = None
        if found is None:
            _say_that_it_compiles()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn(error)

    def _start_over(self) -> None:
        try:
            self.flush()
        except OSError:
            self.disable()


def _source_stamp() -> tuple[int, int]:
    """Return the newest modification and the sum of the sizes of the files beside this one."""
    states = [path.stat() for path in Path(__file__).parent.glob("*.py")]
    return max(state.st_mtime_ns for state in states), sum(state.st_size for state in states)


_said: set[str] = set()


def _warn(error: Exception) -> None:
    if "cache" not in _said:
        _said.add("cache")
        warnings.warn(
            f"minidl: the cache of compiled kernels cannot be used ({type(error).__name__}: {error}): kernels compile "
            "anew in each process; set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )


def _say_that_it_compiles() -> None:
    if "compiles" not in _said:
        _said.add("compiles")
        if sys.stderr is not None and sys.stderr.isatty():
            print("minidl: compiling kernels, once for this machine (minidl info --warm-up)", file=sys.stderr)


def _features() -> frozenset[str]:
    """Return the names of the CPU's features, as LLVM has them, that Numba compiles for (NUMBA_CPU_FEATURES)."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(feature[1:] for feature in features.split(",") if feature.startswith("+"))


FEATURES = _features()
if "avx512f" in FEATURES:
    VECTOR_BYTES, VECTOR_REGISTERS = 64, 32
elif "avx2" in FEATURES or "avx" in FEATURES:
    VECTOR_BYTES, VECTOR_REGISTERS = 32, 16
elif "neon" in FEATURES:
    VECTOR_BYTES, VECTOR_REGISTERS = 16, 32
else:
    VECTOR_BYTES, VECTOR_REGISTERS = 16, 16
#: Whether a * b + c is one instruction; without it LLVM would call a function for each.
HAS_FMA = bool({"fma", "fma4", "neon"} & FEATURES)
