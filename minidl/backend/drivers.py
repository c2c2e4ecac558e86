"""Why no GPU can be used: what of the driver, of CuPy and of CUDA is there, and what to do about the rest.

Nothing here touches a GPU, and nothing here raises: it is asked when something has gone wrong already.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

#: What the kernel module says of itself on Linux.
VERSION_FILE = Path("/proc/driver/nvidia/version")

#: The driver's library: on Linux, in the Windows Subsystem for Linux, on Windows.
LIBRARIES = ("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "nvcuda.dll")

#: minidl's extras, by the CUDA version that a driver must know: the newest first.
EXTRAS = {13: "gpu-cuda13", 12: "gpu-cuda12"}


class Found(NamedTuple):
    """What is there of all that a GPU's arrays need."""

    driver: str  # the driver's version, "" without one
    supports: tuple[int, int] | None  # the newest CUDA that the driver knows
    packages: tuple[str, ...]  # the installed distributions of CuPy, with their versions
    toolkit: str  # the version of the CUDA toolkit found, "" without one
    hidden: str | None  # CUDA_VISIBLE_DEVICES, where it leaves no GPU in sight

    def __str__(self) -> str:
        knows = f", which knows CUDA up to {self.supports[0]}.{self.supports[1]}" if self.supports else ""
        driver = f"NVIDIA driver {self.driver or 'of unknown version'}{knows}" if self.driver or knows else "no driver"
        toolkit = f"CUDA toolkit {self.toolkit}" if self.toolkit else "no CUDA toolkit (CuPy brings what it needs)"
        return f"{driver}; {', '.join(self.packages) or 'no CuPy'}; {toolkit}"

    @property
    def has_driver(self) -> bool:
        """Whether there is any sign of NVIDIA's driver."""
        return bool(self.driver or self.supports)

    @property
    def extra(self) -> str | None:
        """Which extra of minidl fits the driver; None if the driver is too old for all of them."""
        if self.supports is None:
            return EXTRAS[12]  # what more drivers know
        return next((extra for cuda, extra in EXTRAS.items() if self.supports[0] >= cuda), None)


def look() -> Found:
    """Look for the driver, CuPy and CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = visible if visible is not None and (not visible.strip() or visible.strip().startswith("-")) else None
    return Found(driver_version(), supported_cuda(), cupy_packages(), toolkit_version(), hidden)


def advice(error: BaseException | None, found: Found) -> str:
    """Return what is wrong and what to do, for an error that CuPy raised; None if it saw no GPU without an error."""
    fits = found.extra
    install = f"pip install 'minidl[{fits}]'" if fits else ""
    if sys.platform == "darwin":
        return "CUDA does not exist for macOS"
    if not found.has_driver and not found.packages:
        return f"neither NVIDIA's driver nor CuPy is here; if there is an NVIDIA GPU, install its driver and {install}"
    if not found.has_driver:
        return "CuPy is here but NVIDIA's driver is not; install it (nvidia.com/drivers), or give the container the GPU"
    if fits is None:
        return "the driver is older than any CUDA that CuPy still has packages for; update it to 525 or later"
    if not found.packages:
        return f"the driver is here but CuPy is not: {install}"
    if len(found.packages) > 1:
        return f"several packages of CuPy are installed and hide each other: uninstall all of them, then {install}"
    if found.hidden is not None:
        return f"CUDA_VISIBLE_DEVICES={found.hidden!r} hides every GPU: unset it"
    if isinstance(error, ImportError):
        return f"CuPy is installed but does not load: uninstall {found.packages[0].split()[0]}, then {install}"
    wanted = re.search(r"cuda(\d+)x", found.packages[0])
    if wanted and found.supports and int(wanted[1]) > found.supports[0]:
        return (
            f"that CuPy needs CUDA {wanted[1]}, which the driver does not know: update the driver, or uninstall "
            f"{found.packages[0].split()[0]} and {install}"
        )
    if error is None:
        return "the driver reports no GPU: see what `nvidia-smi` lists, and whether the container was given one"
    return "see what `nvidia-smi` says of the driver and the GPU; after an update of the driver, restart"


def explain(error: BaseException | None) -> str:
    """Return the message of the error that says that a GPU was asked for and cannot be had."""
    found = look()
    cause = "the driver reports none" if error is None else f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"no GPU can be used ({cause}): {advice(error, found)}; or stay on device='cpu'. Found: {found}"


def driver_version() -> str:
    """Return the version of NVIDIA's driver, as the kernel or ``nvidia-smi`` gives it; empty without one."""
    try:
        text = VERSION_FILE.read_text(errors="replace")
    except OSError:
        text = ""
    stated = re.search(r"Kernel Module.*?\s(\d+\.\d[\d.]*)", text)
    if stated:
        return stated[1]
    answer = run("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    stated = re.match(r"\s*(\d+\.\d[\d.]*)\s*$", answer.splitlines()[0] if answer.strip() else "")
    return stated[1] if stated else ""


def supported_cuda() -> tuple[int, int] | None:
    """Return the newest CUDA version that the driver's library knows; None without one."""
    for name in LIBRARIES:
        number = ctypes.c_int()
        try:
            failed = ctypes.CDLL(name).cuDriverGetVersion(ctypes.byref(number))
        except (OSError, AttributeError):
            continue
        if not failed and number.value:
            return number.value // 1000, number.value % 1000 // 10
    return None


def cupy_packages() -> tuple[str, ...]:
    """Return the installed distributions that bring a module ``cupy``, each with its version."""
    names = {name for name in metadata.packages_distributions().get("cupy", ()) if name.startswith("cupy")}
    return tuple(f"{name} {metadata.version(name)}" for name in sorted(names))


def toolkit_version() -> str:
    """Return the version of the CUDA toolkit in ``CUDA_PATH``, ``CUDA_HOME`` or on the path; empty without one."""
    homes = [os.environ[name] for name in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(name)]
    for compiler in [*(str(Path(home) / "bin" / "nvcc") for home in homes), "nvcc"]:
        stated = re.search(r"release (\d+\.\d+)", run(compiler, "--version"))
        if stated:
            return stated[1]
    return ""


def run(program: str, *arguments: str) -> str:
    """Return what a program prints; nothing if it is missing, fails, or takes longer than two seconds."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout
