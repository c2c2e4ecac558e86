"""CUDA C on a machine without a GPU: compiled by g++, run on NumPy arrays, checked as no GPU checks.

``RawKernel`` is called as ``cupy.RawKernel`` is. It refuses what CUDA would silently misread (a dtype that is not the
parameter's, an array with strides, a number of another size, a launch beyond a GPU's limits), gives each array memory
that ends at a page which may not be touched, and raises ``KernelError`` for what ``cuda_on_cpu.h`` notices.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.kernels.gpu.launcher import parameters

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
COMPILER = shutil.which("g++")
# traps: an index past the end of an array whose length is known, a signed overflow, a shift or division gone wrong
CHECKS = "-fsanitize=bounds,signed-integer-overflow,shift,integer-divide-by-zero"
FLAGS = ("-O2", "-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden", "-w", "-U_FORTIFY_SOURCE", CHECKS)
FLAGS += ("-fsanitize-undefined-trap-on-error", "-Wl,-Bsymbolic")
BARRIERS = re.compile(r"\b__(syncthreads|syncwarp|shfl\w*_sync)\b")

MOST_THREADS, MOST_SHARED = 1024, 48 * 1024
MOST_COPIED = 2**30
MOST_BLOCK, MOST_GRID = (1024, 1024, 64), (2**31 - 1, 65535, 65535)


@functools.cache
def array_type(element: Any, length: int) -> Any:
    """Return the type of a C array. Each is made once: a type is in cycles with itself, and would be left over."""
    return element * length


class KernelError(RuntimeError):
    """A launch that a GPU would refuse, or would run into undefined behaviour."""


class RawKernel:
    """A kernel of a CUDA C source, to be run on NumPy arrays.

    Parameters
    ----------
    code : str
        The source.
    name : str
        Of an ``extern "C" __global__`` function in it.
    options : sequence of str
        The compiler's; ``-D`` definitions count.
    """

    descending = False  # whether the last thread and the last block run first; see :func:`thread_order`
    last_blocks: int | None = None  # how many run, if not all; see :func:`only_the_last_blocks`

    def __init__(self, code: str, name: str, options: Sequence[str] = (), backend: str = "nvrtc") -> None:
        self.code, self.name, self.options = code, name, tuple(options)
        self.entry = f"launch_{name}"  # made once: Python keeps the names of attributes that were looked up
        self.parameters = parameters(code, name)
        self.real = dict(o[2:].split("=", 1) for o in self.options if o.startswith("-D")).get("REAL", "float")
        self.most_threads = launch_bounds(code, name) or MOST_THREADS
        self.uses_fibers = bool(BARRIERS.search(reachable(code, name)))

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        extents = self._extents(grid, block, shared_mem)
        if len(args) != len(self.parameters):
            raise KernelError(f"{self.name}: {len(args)} arguments for {len(self.parameters)} parameters")
        library = build(self.code, self.options)
        memory = Memory(library)
        try:
            values = [self._value(i, argument, memory) for i, argument in enumerate(args)]
            pointers = array_type(ctypes.c_void_p, len(values))(*(value.ctypes.data for value in values))
            shared = memory.reserve(shared_mem)
            launch = getattr(library, self.entry)
            blocks = math.prod(extents[:3])
            first = 0 if self.last_blocks is None else max(0, blocks - self.last_blocks)
            failed = launch(pointers, extents, shared, shared_mem, self.uses_fibers, self.descending, first, blocks)
            if not failed:
                memory.copy_back()
        finally:
            overwritten = memory.release()
        if failed:
            raise KernelError(f"{self.name}: {library.last_message().decode()}")
        if overwritten:
            raise KernelError(f"{self.name}: a write before the start of an array of shape {overwritten[0].shape}")

    def _extents(self, grid: tuple[int, ...], block: tuple[int, ...], shared: int) -> Any:
        """Check grid and block against the limits that every GPU of today has."""
        grid, block = ((*extent, 1, 1)[:3] for extent in (grid, block))
        threads = block[0] * block[1] * block[2]
        if not all(1 <= n <= most for n, most in zip(grid, MOST_GRID, strict=True)):
            raise KernelError(f"{self.name}: a grid of {grid} blocks; a GPU takes from (1, 1, 1) to {MOST_GRID}")
        if not all(1 <= n <= most for n, most in zip(block, MOST_BLOCK, strict=True)) or threads > self.most_threads:
            raise KernelError(f"{self.name}: a block of {block} threads; this kernel takes {self.most_threads}")
        if shared > MOST_SHARED:
            raise KernelError(f"{self.name}: {shared} bytes of shared memory; a block has {MOST_SHARED}")
        return array_type(ctypes.c_uint, 6)(*grid, *block)

    def _value(self, i: int, argument: Any, memory: Memory) -> np.ndarray:
        """Return an array of one element: a number as the kernel reads it, or the address of a guarded copy."""
        parameter = self.parameters[i]
        where, wanted = f"{self.name}, parameter {parameter.name}", parameter.dtype(self.real)
        if isinstance(argument, np.ndarray):
            if not parameter.pointer:
                raise KernelError(f"{where}: an array for a number")
            if argument.dtype != wanted:
                raise KernelError(f"{where}: {parameter.type}* reads {wanted}, the array has {argument.dtype}")
            if not argument.flags.c_contiguous:
                raise KernelError(f"{where}: the array is not C-contiguous, and kernels ignore strides")
            return np.array([memory.guarded(argument)], np.uintp)
        number = np.asarray(argument)  # as CuPy: an int has 64 bits, and so has a float
        if parameter.pointer:
            if number.dtype.itemsize != 8 or number != 0:
                raise KernelError(f"{where}: {argument!r} for a pointer")
            return np.zeros(1, np.uintp)
        if number.dtype != wanted:
            raise KernelError(f"{where}: a number of {wanted} is read, CuPy would pass {number.dtype}")
        return number.reshape(1)


class Memory:
    """Copies of arrays for the time of a launch, each ending at a page that may not be touched."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.copies: list[tuple[np.ndarray, int]] = []

    def reserve(self, size: int) -> int:
        """Return the address of guarded memory."""
        return self.guarded(np.full(size, 0xFF, np.uint8))

    def guarded(self, array: np.ndarray) -> int:
        """Return the address of a guarded copy, the same for an array that is given twice; a huge one is not copied."""
        if array.nbytes > MOST_COPIED:
            return array.ctypes.data
        for other, address in self.copies:
            if other.ctypes.data == array.ctypes.data and other.nbytes == array.nbytes:
                return address
            if np.may_share_memory(other, array):
                raise KernelError(f"arrays of shapes {other.shape} and {array.shape} overlap in part")
        address = self.library.guarded_allocate(array.nbytes)
        if not address:
            raise MemoryError(f"no guarded memory for {array.nbytes} bytes")
        ctypes.memmove(address, array.ctypes.data, array.nbytes)
        self.copies.append((array, address))
        return address

    def copy_back(self) -> None:
        for array, address in self.copies:
            ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def release(self) -> list[np.ndarray]:
        """Free all; return the arrays before whose first byte something was written."""
        return [array for array, address in self.copies if self.library.guarded_free(address, array.nbytes)]


@contextlib.contextmanager
def thread_order(descending: bool) -> Iterator[None]:
    """Run the threads and blocks of kernels from the last to the first, or from the first to the last."""
    before, RawKernel.descending = RawKernel.descending, descending
    try:
        yield
    finally:
        RawKernel.descending = before


@contextlib.contextmanager
def only_the_last_blocks(count: int) -> Iterator[None]:
    """Leave out the blocks of a launch before the last ones: what happens at the end of a huge array is soon seen."""
    before, RawKernel.last_blocks = RawKernel.last_blocks, count
    try:
        yield
    finally:
        RawKernel.last_blocks = before


def without_comments(code: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", code, flags=re.DOTALL)


def launch_bounds(code: str, name: str) -> int:
    """Return how many threads a kernel's ``__launch_bounds__`` allow, products and macros worked out; 0 without any."""
    found = re.search(rf"__launch_bounds__\s*\(([^,)]*)[^)]*\)\s*(?:void\s+)?{name}\s*\(", without_comments(code))
    if found is None:
        return 0
    macros = dict(re.findall(r"^#define\s+(\w+)\s+(\d+)\s*$", without_comments(code), flags=re.MULTILINE))
    factors = (factor.strip() for factor in found.group(1).split("*"))
    return math.prod(int(macros.get(factor, factor)) for factor in factors)


def functions(code: str) -> dict[str, str]:
    """Return the body of each function of a source by its name."""
    code, bodies = without_comments(code), {}
    for found in re.finditer(r"\b(\w+)\s*\([^()]*\)\s*\{", code):
        depth, end = 1, found.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        bodies.setdefault(found.group(1), code[found.end() : end])
    return bodies


def reachable(code: str, name: str) -> str:
    """Return the bodies of a kernel and of all functions that it calls."""
    bodies, todo, seen = functions(code), [name], []
    while todo:
        body = bodies.get(todo.pop(), "")
        seen.append(body)
        todo += [
            word
            for word in set(re.findall(r"\b(\w+)\s*(?:<[^<>;]*>)?\s*\(", body))
            if word in bodies and bodies[word] not in seen
        ]
    return "\n".join(seen)


def kernels_of(code: str) -> list[str]:
    """Return the names of the kernels of a source."""
    return re.findall(
        r"__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(",
        without_comments(code),
    )


def cache() -> Path:
    """Return the folder in which compiled sources are kept."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minidl" / "cuda_on_cpu"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"minidl-cuda_on_cpu-{os.getuid()}"
        folder.mkdir(exist_ok=True)
    return folder


@functools.cache
def build(code: str, options: tuple[str, ...]) -> Any:
    """Compile a source, unless that was done before, and load it."""
    if COMPILER is None:
        raise KernelError("CUDA C runs on the CPU where g++ is installed; here it is not")
    body = re.sub(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;", r"\1 *\2 = (\1 *)dynamic_shared;", code)
    launchers = "\n".join(f"LAUNCHER({name})" for name in kernels_of(code))
    unit = f'#include "{HEADER}"\n#line 1 "kernel.cu"\n{body}\n{launchers}\n'
    definitions = tuple(option for option in options if option.startswith("-D"))
    key = hashlib.sha256(repr((unit, HEADER.read_text(), FLAGS, definitions)).encode()).hexdigest()[:24]
    library = cache() / f"{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            source, made = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
            source.write_text(unit, encoding="utf-8")
            command = [COMPILER, *FLAGS, *definitions, "-o", str(made), str(source)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise KernelError(f"g++: {done.stderr}")
            os.replace(made, library)  # another process may be doing the same
    loaded = ctypes.PyDLL(str(library))  # it keeps the GIL: signal handlers and fibers are one launch's at a time
    loaded.guarded_allocate.argtypes, loaded.guarded_allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
    loaded.guarded_free.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    loaded.last_message.restype = ctypes.c_char_p
    for name in kernels_of(code):
        launch = getattr(loaded, f"launch_{name}")
        numbers = [ctypes.c_uint, ctypes.c_int, ctypes.c_int, ctypes.c_ulonglong, ctypes.c_ulonglong]
        launch.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, *numbers]
    return loaded
