"""The stand-in's kernels in CUDA C."""

from __future__ import annotations

from typing import Any

from tests.stand_in import runtime


class RawKernel:
    """Stand-in of ``cupy.RawKernel``."""

    def __init__(
        self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **kwargs: Any
    ) -> None:
        self.code, self.name, self.options, self.backend = code, name, options, backend

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None) -> None:
        raise runtime.CUDARuntimeError(f"the stand-in cannot run the kernel {self.name!r} yet")


KERNELS = {"RawKernel": RawKernel}
