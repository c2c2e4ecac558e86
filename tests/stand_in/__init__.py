"""A strict stand-in for CuPy, for machines without a GPU: ``pytest --device=strict``.

Arrays live on a pretend device, out of NumPy's reach. Only the names, methods and keywords exist that the real CuPy has
(``cupy_api.json``, written by ``dump_api.py``). Memory that nobody wrote holds NaN. What makes the host wait for the
device is counted, and can be refused: ``with cupyx.allow_synchronize(False)``. It proves that minidl calls what CuPy
has in the way that CuPy wants; it cannot prove how fast a GPU is, how cuBLAS rounds, or what streams may reorder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from minidl.backend import devices
from tests.stand_in import api, arrays, functions, kernels, randoms, runtime, ufuncs

__all__ = ["in_use", "install", "synchronizations", "uninstall"]

synchronizations = runtime.synchronizations


class _Module(ModuleType):
    """A module of CuPy's: its own names, and NumPy's counterpart of each other name that CuPy has."""

    def __init__(self, name: str, **own: Any) -> None:
        super().__init__(name)
        vars(self).update(own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.__name__ not in api.SURFACE:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = functions.resolve(self.__name__, name)
        setattr(self, name, found)
        return found


def _modules() -> dict[str, ModuleType]:
    """Return the modules of the stand-in, by the names that ``import`` asks for."""
    tricks = _Module("cupy.lib.stride_tricks", **functions.OWN_OF_STRIDE_TRICKS)
    lib = _Module("cupy.lib", stride_tricks=tricks)
    cuda_runtime = _Module("cupy.cuda.runtime", **runtime.RUNTIME)
    cuda = _Module("cupy.cuda", **{**runtime.CUDA, "runtime": cuda_runtime})
    random = _Module("cupy.random", **randoms.RANDOM)
    linalg, fft = _Module("cupy.linalg"), _Module("cupy.fft")
    cupy = _Module(
        "cupy",
        __version__=f"{api.VERSION}+stand.in",
        cuda=cuda,
        fft=fft,
        get_default_memory_pool=runtime.get_default_memory_pool,
        get_default_pinned_memory_pool=runtime.PinnedMemoryPool,
        lib=lib,
        linalg=linalg,
        ndarray=arrays.ndarray,
        random=random,
        ufunc=ufuncs.Ufunc,
        **functions.OWN,
        **kernels.KERNELS,
    )
    cupyx = _Module(
        "cupyx",
        DeviceSynchronized=runtime.DeviceSynchronized,
        allow_synchronize=runtime.allow_synchronize,
        empty_pinned=runtime.pinned,
        errstate=runtime.errstate,
        scatter_add=functions.scatter_add,
    )
    products = _Module("cupy._core._routines_linalg", **runtime.PRODUCTS)
    modules = (cupy, cuda, cuda_runtime, fft, lib, tricks, linalg, products, random, cupyx)
    return {module.__name__: module for module in modules}


_installed = _modules()
arrays._namespace.append(_installed["cupy"])
functions._namespace.append(_installed["cupy"])


def install() -> None:
    """Let ``import cupy`` find the stand-in."""
    sys.modules.update(_installed)


@contextmanager
def in_use() -> Iterator[None]:
    """Have minidl find the stand-in for a while, whatever it found before."""
    before = devices._cupy, devices._count
    install()
    devices._cupy = None
    devices.cupy()
    try:
        yield
    finally:
        devices._cupy, devices._count = before
        uninstall()


def uninstall() -> None:
    """Undo :func:`install`."""
    for name, module in _installed.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]


def installed() -> bool:
    """Whether ``import cupy`` finds the stand-in."""
    return sys.modules.get("cupy") is _installed["cupy"]
