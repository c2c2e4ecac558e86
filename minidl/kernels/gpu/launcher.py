"""From a file of CUDA C to a function of CuPy arrays.

A kernel's own parameter list says how it is called: numbers become exactly the C types that stand there, arrays are
checked against them. CuPy does neither: it passes a Python ``int`` as 64 bits whatever the kernel reads, and ignores
an array's strides and dtype.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidl.backend import is_array, namespace
from minidl.errors import ArgumentError, DeviceError, DTypeError, ShapeError

__all__ = ["BLOCK", "Kernel", "Parameter", "countable", "grid", "parameters", "plane_grid", "read"]

SOURCES = Path(__file__).parent / "source"

#: Threads of a block of kernels that have one thread an element: the usual choice, full occupancy on every GPU.
BLOCK = 256

#: Blocks along a grid's axes. Where there is more to do, each thread goes on a whole grid further: an axis after the
#: first ends at 65535, and 65536 blocks fill the largest GPU a hundred times over.
MOST_BLOCKS = 2**16
MOST_ROWS = 2**16 - 1
WARP = 32

C_TYPES = {
    name: np.dtype(dtype)
    for name, dtype in (
        ("float", "float32"),
        ("double", "float64"),
        ("int", "int32"),
        ("unsigned", "uint32"),
        ("unsigned int", "uint32"),
        ("long long", "int64"),
        ("unsigned long long", "uint64"),
        ("unsigned char", "uint8"),
        ("bool", "bool"),
    )
}
REALS = {C_TYPES[name]: name for name in ("float", "double")}  # what REAL stands for
NULL = np.uint64(0)


class Parameter(NamedTuple):
    """A parameter of a kernel: its C type (maybe ``REAL``), whether it points to an array, its name."""

    type: str
    pointer: bool
    name: str

    def dtype(self, real: str) -> np.dtype[Any]:
        """Return the element type, where ``REAL`` stands for the C type ``real``."""
        return C_TYPES[real if self.type == "REAL" else self.type]


@functools.cache
def read(file: str) -> str:
    """Return the text of a file of ``minidl/kernels/gpu/source``."""
    return (SOURCES / file).read_text(encoding="utf-8")


def parameters(source: str, name: str) -> tuple[Parameter, ...]:
    """Read a kernel's parameter list from its source.

    Raises
    ------
    ArgumentError
        If the source has no such kernel, or a parameter has a type that is not in ``C_TYPES``.
    """
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.DOTALL)
    bounds = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
    found = re.search(rf"__global__\s+{bounds}void\s+{bounds}{name}\s*\(([^)]*)\)", text)
    if found is None:
        raise ArgumentError(f"no kernel {name!r} in this source: expected `__global__ void {name}(...)`")
    result = []
    for declaration in filter(None, (part.strip() for part in found.group(1).split(","))):
        bare = re.sub(r"\b(const|__restrict__)\b", " ", declaration)
        words = bare.replace("*", " ").split()
        parameter = Parameter(" ".join(words[:-1]), "*" in bare, words[-1])
        if parameter.type not in (*C_TYPES, "REAL"):
            raise ArgumentError(
                f"kernel {name}: parameter `{declaration}` has a type that is none of {', '.join(C_TYPES)}, REAL"
            )
        result.append(parameter)
    return tuple(result)


def grid(elements: int, block: int = BLOCK) -> int:
    """Return how many blocks take ``elements``, a thread an element or, of very many, several; at least 1."""
    return max(1, min(MOST_BLOCKS, -(-elements // block)))


def plane_grid(planes: int, pixels: int) -> tuple[tuple[int, int], int]:
    """Return the grid and block of a kernel that has a plane at each step along x, and its pixels along y."""
    block = min(BLOCK, -(-pixels // WARP) * WARP)
    return (min(MOST_BLOCKS, planes), min(MOST_ROWS, -(-pixels // block))), block


def countable(*counts: int) -> bool:
    """Whether 32 bits hold each count: kernels count within a plane or a filter, not in all of memory, in these."""
    return all(count < 2**31 for count in counts)


class Kernel:
    """A kernel of a file of CUDA C, compiled when it is first called, once for each float type and device.

    Parameters
    ----------
    file : str
        In ``minidl/kernels/gpu/source``.
    name : str
        Of the ``extern "C" __global__`` function.
    """

    def __init__(self, file: str, name: str) -> None:
        self.file, self.name = file, name
        self._compiled: dict[Any, Any] = {}

    @functools.cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the kernel takes, in order."""
        return parameters(read(self.file), self.name)

    def __call__(self, grid: Any, block: Any, *args: Any, shared: int = 0, dtype: Any = None) -> None:
        """Launch the kernel on the device that its arrays are on, without waiting for it.

        Parameters
        ----------
        grid, block : int or tuple of up to 3 ints
            How many blocks, and how many threads in each.
        *args : CuPy arrays, numbers, None
            One for each parameter; None is a null pointer.
        shared : int
            Bytes of shared memory that the kernel asks for by ``extern __shared__``.
        dtype : dtype
            What ``REAL`` is: float32 or float64. By default, that of the first array for a ``REAL*`` parameter.

        Raises
        ------
        ArgumentError
            If there are more or fewer arguments than parameters, or a number does not fit its parameter.
        DTypeError
            If an array has another element type than its parameter.
        ShapeError
            If an array is not C-contiguous.
        DeviceError
            If the arrays are on different GPUs.
        """
        if len(args) != len(self.parameters):
            raise ArgumentError(f"kernel {self.name}: {len(args)} arguments for {len(self.parameters)} parameters")
        given = [(p, a) for p, a in zip(self.parameters, args, strict=True) if p.pointer and a is not None]
        if dtype is None:
            dtype = next((a.dtype for p, a in given if p.type == "REAL" and hasattr(a, "dtype")), "float32")
        real = REALS.get(np.dtype(dtype))
        if real is None:
            raise DTypeError(f"kernel {self.name}: REAL is {dtype}; expected float32 or float64")
        for parameter, array in given:
            self._check(parameter, array, parameter.dtype(real), given[0][1])
        values = tuple(
            a if p.pointer and a is not None else NULL if p.pointer else self._number(p, a, p.dtype(real))
            for p, a in zip(self.parameters, args, strict=True)
        )
        first = given[0][1]
        compiled = self._compile(namespace(first), real)
        with first.device:
            compiled(triple(grid), triple(block), values, shared_mem=shared)

    def _check(self, parameter: Parameter, array: Any, wanted: np.dtype[Any], first: Any) -> None:
        """Refuse what the kernel would misread: it sees nothing of an array but an address."""
        if not is_array(array) or isinstance(array, np.ndarray):
            problem = f"expected a CuPy array or None, got {type(array).__name__}"
        elif array.dtype != wanted:
            problem = f"expected an array of {wanted}, got {array.dtype}; cast it with .astype first"
        elif not array.flags.c_contiguous:
            raise ShapeError(
                f"kernel {self.name}, parameter {parameter.name}: an array of shape {array.shape} with strides "
                f"{array.strides} is not C-contiguous; copy it with cupy.ascontiguousarray first"
            )
        elif array.device.id != first.device.id:
            raise DeviceError(
                f"kernel {self.name}, parameter {parameter.name}: this array is on gpu:{array.device.id}, another on "
                f"gpu:{first.device.id}; move one with .to"
            )
        else:
            return
        raise DTypeError(f"kernel {self.name}, parameter {parameter.name}: {problem}")

    def _number(self, parameter: Parameter, value: Any, wanted: np.dtype[Any]) -> Any:
        """Return a number as the kernel reads it."""
        try:
            return wanted.type(value)
        except (OverflowError, TypeError, ValueError) as error:
            where = f"kernel {self.name}, parameter {parameter.name}"
            raise ArgumentError(f"{where}: {value!r} is no {wanted} ({error})") from None

    def _compile(self, module: Any, real: str) -> Any:
        """Return CuPy's kernel, in which ``REAL`` is ``real``."""
        kernel = self._compiled.get((module, real))
        if kernel is None:
            options = (f"-DREAL={real}",)
            kernel = self._compiled[module, real] = module.RawKernel(read(self.file), self.name, options=options)
        return kernel


def triple(extent: Any) -> tuple[int, ...]:
    """Return a grid or block as CuPy wants it."""
    return tuple(extent) if isinstance(extent, tuple) else (extent,)
