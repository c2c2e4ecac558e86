"""The stand-in's kernels in CUDA C: they run on the CPU, as ``tests.cuda_on_cpu`` compiles them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cuda_on_cpu import executor
from tests.stand_in.arrays import ndarray, unwrap


class RawKernel:
    """Stand-in of ``cupy.RawKernel``."""

    def __init__(
        self,
        code: str,
        name: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        *,
        enable_cooperative_groups: bool = False,
        jitify: bool = False,
    ) -> None:
        self.code, self.name, self.options, self.backend = code, name, options, backend
        self._kernel = executor.RawKernel(code, name, options, backend)

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        *,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        for argument in args:
            if isinstance(argument, np.ndarray):
                raise TypeError("You are trying to pass a numpy.ndarray of shape as a kernel parameter")
        arguments = [unwrap(a, self.name) if isinstance(a, ndarray) else a for a in args]
        self._kernel(grid, block, arguments, shared_mem=shared_mem, stream=stream)


KERNELS = {"RawKernel": RawKernel}
