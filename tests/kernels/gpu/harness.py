"""What the tests of the GPU's kernels share: arrays to and fro, odd launches, and faults to plant."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from minidl.backend.devices import cupy
from minidl.kernels.gpu import convolution, launcher
from tests.cuda_on_cpu.executor import BARRIERS, kernels_of, thread_order, without_comments

RNG = np.random.default_rng(0)
TOLERANCE = {"float32": 2e-4, "float64": 1e-11}


class Fault(NamedTuple):
    """A change of a kernel's text that a check has to notice."""

    kernel: str  # "file.cu:name"
    old: str
    new: str
    check: Callable[[], None]


def on_gpu(value: Any) -> Any:
    """Return NumPy arrays as CuPy's, whatever else as it is."""
    return cupy().asarray(value) if isinstance(value, np.ndarray) else value


def compare(kernel: Callable[..., Any], reference: Callable[..., Any], *args: Any) -> None:
    """Run both with the same arguments, on CuPy's arrays and on NumPy's, and compare what they return."""
    got, want = kernel(*map(on_gpu, args)), reference(*args)
    assert got is not NotImplemented
    if not isinstance(want, tuple):
        got, want = (got,), (want,)
    for g, w in zip(got, want, strict=True):
        if w is None:
            assert g is None
            continue
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        tolerance = TOLERANCE.get(str(w.dtype), 0)
        np.testing.assert_allclose(g.get(), w, rtol=tolerance, atol=tolerance)


@contextlib.contextmanager
def few_blocks(rows: int = 1, blocks: int = 2) -> Iterator[None]:
    """Launch so few blocks that the loops over a grid go round several times, as they do on a huge array."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher, "MOST_BLOCKS", blocks)
        patch.setattr(launcher, "MOST_ROWS", rows)
        patch.setattr(convolution, "MOST_ROWS", rows)
        patch.setattr(launcher, "BLOCK", 32)
        yield


@contextlib.contextmanager
def launches(descending: bool, few: bool) -> Iterator[None]:
    """Run threads in an order, on grids as they are or on small ones."""
    with thread_order(descending), few_blocks() if few else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Compile a kernel from a changed text, or all of its file if it is a function of theirs that changes."""
    file, name = fault.kernel.split(":")
    source = change(launcher.read(file), name, fault.old, fault.new)
    concerned = {name} & set(kernels_of(source)) or set(kernels_of(source))
    compile_unchanged = launcher.Kernel._compile

    def compile_changed(kernel: launcher.Kernel, module: Any, real: str) -> Any:
        if kernel.file != file or kernel.name not in concerned:
            return compile_unchanged(kernel, module, real)
        return module.RawKernel(alone(source, kernel.name), kernel.name, options=(f"-DREAL={real}",))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher.Kernel, "_compile", compile_changed)
        yield


def change(source: str, name: str, old: str, new: str) -> str:
    """Replace the first ``old`` of a function's text by ``new``."""
    start, end = span(source, name)
    assert old in source[start:end], f"{name} has no {old!r}"
    return source[:start] + source[start:end].replace(old, new, 1) + source[end:]


def alone(source: str, name: str) -> str:
    """Leave the other kernels of a source away: there is less to compile."""
    for other in kernels_of(source):
        if other != name:
            _, end = span(source, other)
            source = source[: source.rindex('extern "C"', 0, end)] + source[end:]
    return source


def span(source: str, name: str) -> tuple[int, int]:
    """Return where a function's parameter list starts and where its body ends."""
    found = re.search(rf"\b{name}\s*\([^()]*\)\s*\{{", source)
    assert found, f"no function {name}"
    depth, end = 1, found.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(source[end], 0)
        end += 1
    return found.start(), end


def has_barrier(source: str, name: str) -> bool:
    start, end = span(source, name)
    return bool(BARRIERS.search(without_comments(source[start:end])))
