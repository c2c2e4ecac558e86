"""CUDA C compiled for real GPUs, where none is: to machine code that says what it takes, and to PTX that can be read.

NVRTC, the compiler that CuPy calls, comes in a wheel (``pip install nvidia-cuda-nvrtc-cu12``); without it, nvcc does.
Results are kept on disk.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.cuda_on_cpu.executor import cache


class CompileError(RuntimeError):
    """A source that does not compile."""


class Usage(NamedTuple):
    """What a kernel takes: registers of a thread, bytes of shared memory, bytes of local memory (stack and spills)."""

    registers: int
    shared: int
    local: int


class Compiled(NamedTuple):
    """A source as PTX, and what each of its kernels takes."""

    ptx: str
    usage: dict[str, Usage]


@functools.cache
def nvrtc() -> Any:
    """Return NVRTC, or None."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    found = [str(path) for folder in folders for path in sorted(folder.glob("*/lib/libnvrtc.so.[0-9]*"))]
    for name in (*found, ctypes.util.find_library("nvrtc")):
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    return None


def available() -> str:
    """Return the name of the compiler that is there, or nothing."""
    if nvrtc() is not None:
        return "NVRTC"
    return "nvcc" if shutil.which("nvcc") else ""


def compile_source(source: str, real: str, architecture: int) -> Compiled:
    """Compile a source for an architecture (80, 90), where ``REAL`` is ``real``."""
    key = hashlib.sha256(repr((source, real, architecture, available(), version())).encode()).hexdigest()[:24]
    kept = cache() / f"{key}.json"
    if not kept.exists():
        made = (by_nvrtc if nvrtc() is not None else by_nvcc)(source, real, architecture)
        with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as file:
            json.dump(made, file)
        os.replace(file.name, kept)
    ptx, log = json.loads(kept.read_text())
    return Compiled(ptx, usages(log))


def version() -> tuple[int, int]:
    """Return NVRTC's version."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    if nvrtc() is not None:
        nvrtc().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def by_nvrtc(source: str, real: str, architecture: int) -> tuple[str, str]:
    """Return PTX and what the assembler said."""
    library, program = nvrtc(), ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    options = [f"--gpu-architecture=sm_{architecture}", f"-DREAL={real}", "--ptxas-options=-v"]
    encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), encoded)
    try:
        log = text_of(program, "ProgramLog")
        if failed:
            raise CompileError(log)
        return text_of(program, "PTX"), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def text_of(program: ctypes.c_void_p, what: str) -> str:
    """Return the log or the PTX of a program of NVRTC's."""
    size = ctypes.c_size_t()
    getattr(nvrtc(), f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc(), f"nvrtcGet{what}")(program, text)
    return text.value.decode()


def by_nvcc(source: str, real: str, architecture: int) -> tuple[str, str]:
    """Return PTX and what the assembler said."""
    with tempfile.TemporaryDirectory() as folder:
        code, ptx, cubin = (Path(folder) / f"kernel.{kind}" for kind in ("cu", "ptx", "cubin"))
        code.write_text(source, encoding="utf-8")
        target = f"compute_{architecture}"
        logs = ""
        for command in (
            ["nvcc", "-ptx", f"-arch={target}", f"-DREAL={real}", "-o", ptx, code],
            ["nvcc", "-cubin", f"-arch=sm_{architecture}", "-Xptxas=-v", "-o", cubin, ptx],
        ):
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            logs += done.stdout + done.stderr
            if done.returncode:
                raise CompileError(logs)
        return ptx.read_text(), logs


def usages(log: str) -> dict[str, Usage]:
    """Read what ptxas -v says of each kernel."""
    found = {}
    for part in re.split(r"Compiling entry function ", log)[1:]:
        name = re.match(r"'(\w+)'", part)
        registers = re.search(r"Used (\d+) registers", part)
        if name and registers:
            shared = re.search(r"(\d+) bytes smem", part)
            local = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", part)
            size = sum(int(count) for count in local)
            found[name.group(1)] = Usage(int(registers.group(1)), int(shared.group(1)) if shared else 0, size)
    return found
