"""Compiling: the cache on disk and what becomes of a bad one, other CPUs, and what a terminal is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minidl.kernels.cpu import compiler

PRODUCT = """
import numpy as np, minidl
from minidl.kernels.cpu import gemm, vectors
minidl.set_num_threads(2)
gemm.LEAST_FLOPS = 1
worst = 0
for dtype in ("f4", "f8"):
    x = np.random.default_rng(0).standard_normal((47, 90)).astype(dtype)
    y = np.random.default_rng(1).standard_normal((53, 90)).astype(dtype).T
    bias = np.ones(53, dtype)
    wrong = abs(gemm.affine(x, y, bias) - (x @ y + bias)).max() / np.finfo(dtype).eps
    worst = max(worst, wrong)
print(vectors.ROWS, vectors.VECTORS, worst < 500)
"""


def python(program: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)


@pytest.mark.skipif("avx2" not in compiler.FEATURES, reason="this CPU has no AVX2")
def test_avx2(tmp_path: Path) -> None:
    result = python(PRODUCT, tmp_path, NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="+avx,+avx2,+fma,+sse4.2")
    assert result.stdout == "6 2 True\n", result.stderr


@pytest.mark.skipif("sse2" not in compiler.FEATURES, reason="this CPU has no SSE2")
def test_a_cpu_with_nothing_special(tmp_path: Path) -> None:
    result = python(PRODUCT, tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="+sse2")
    assert result.stdout == "4 2 True\n", result.stderr


KERNEL = """
import sys
import numpy as np
from numba.core import event
from minidl.kernels.cpu import compiler
compiler._source_stamp = lambda: (1, 1)  # whoever edits a kernel meanwhile
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True
import doubling
with event.install_recorder("numba:compile") as recorder:
    print(doubling.double(np.ones(3))[2])
print("compiled" if recorder.buffer else "loaded")
"""
SOURCE = """
from minidl.kernels.cpu.compiler import kernel
@kernel
def double(a):
    return a * 2
"""


def test_the_cache_is_used_and_a_bad_one_bypassed(tmp_path: Path) -> None:
    (tmp_path / "doubling.py").write_text(SOURCE)
    program, cache = f"FOLDER = {str(tmp_path)!r}\n{KERNEL}", tmp_path / "cache"
    first = python(program, cache)
    assert first.stdout == "2.0\ncompiled\n", first.stderr
    assert first.stderr == ""  # not a terminal
    assert python(program, cache).stdout == "2.0\nloaded\n"
    for kind in ("*.nbc", "*.nbi"):
        (file,) = cache.rglob(kind)
        file.write_bytes(b"garbage")
        spoilt = python(program, cache)
        assert spoilt.stdout == "2.0\ncompiled\n", spoilt.stderr
        assert spoilt.stderr.count("the cache of compiled kernels cannot be used") == 1
        assert python(program, cache).stdout == "2.0\nloaded\n"  # it was rebuilt


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "doubling.py").write_text(SOURCE)
    for name in ("file", "__pycache__"):
        (tmp_path / name).write_text("no folder")
    file = tmp_path / "file"
    result = python(f"FOLDER = {str(tmp_path)!r}\n{KERNEL}", file, HOME=str(file), XDG_CACHE_HOME=str(file))
    assert result.stdout == "2.0\ncompiled\n", result.stderr
    assert result.stderr.count("RuntimeWarning") == 1


def test_the_cache_follows_every_source() -> None:
    newest, size = compiler._source_stamp()
    files = list(Path(compiler.__file__).parent.glob("*.py"))
    assert newest == max(file.stat().st_mtime_ns for file in files)
    assert size == sum(file.stat().st_size for file in files)


def test_a_terminal_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(compiler, "_said", set())
    compiler._say_that_it_compiles()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(compiler, "_said", set())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    compiler._say_that_it_compiles()
    compiler._say_that_it_compiles()
    assert capsys.readouterr().err == "minidl: compiling kernels, once for this machine (minidl info --warm-up)\n"
