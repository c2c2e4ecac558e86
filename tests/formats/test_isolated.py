"""Reading in a process of its own: the same results, and every end of that process told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minidl.errors import ArgumentError, FormatError
from minidl.formats import isolated, save_safetensors
from minidl.formats.archive import write_zip
from minidl.formats.hdf5 import Group, hdf5_bytes
from minidl.formats.isolated import read_isolated
from tests.formats.test_hdf5 import same

GROUP = Group(
    {"a": "é", "b": ["x", "y"], "c": 2.5, "d": [], "e": float("inf"), "f": np.arange(3)},
    {"g": Group({}, {"x": np.ones((2, 3), "f4"), "attributes": np.array([True])}), "members": Group()},
)


def test_the_same_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").write_bytes(hdf5_bytes(GROUP))
    monkeypatch.chdir(tmp_path)
    same(GROUP, read_isolated("x.h5", "hdf5"))
    same(GROUP, read_isolated(hdf5_bytes(GROUP)))


def test_other_kinds(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"b": b"\x00\xff", "a": b""})
    found = read_isolated(tmp_path / "x.zip", "zip")
    assert list(found.items()) == [("b", b"\x00\xff"), ("a", b"")]
    save_safetensors({"x": np.arange(3)}, tmp_path / "x.safetensors", {"by": "me"})
    arrays, metadata = read_isolated(tmp_path / "x.safetensors", "safetensors")
    assert metadata == {"by": "me"}
    assert arrays["x"].tolist() == [0, 1, 2]


def test_what_is_wrong_is_told_as_by_any_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.h5").write_bytes(b"hello")
    with pytest.raises(FormatError, match=r"^x\.h5: /: damaged, or no HDF5 file"):
        read_isolated("x.h5")
    with pytest.raises(FormatError, match=r"^<5 bytes>: /: damaged, or no HDF5 file"):
        read_isolated(b"hello")
    with pytest.raises(FileNotFoundError, match="missing"):
        read_isolated("missing.h5")
    with pytest.raises(ArgumentError, match="read_isolated: there is no kind 'pickle'; expected one of 'hdf5', 'zip'"):
        read_isolated("x.h5", "pickle")


PRELUDE = "import json, os, signal, sys, time; sys.path[:] = json.loads(sys.argv[1])\n"
LIMITED = PRELUDE + "from minidl.formats import isolated; isolated._limit_resources(2**28, 1.0)\n"
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX's")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\); it is damaged", marks=posix),
        pytest.param("os.abort()", r"crashed \(SIGABRT\)", marks=posix),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", r"was killed, most likely for the memory it", marks=posix),
        ("time.sleep(60)", "reading it took longer than 2 seconds; it was given up"),
        ("sys.exit(3)", r"failed \(status 3: no message\)"),
        ("1 / 0", r"failed \(status 1: ZeroDivisionError: division by zero\)"),
        pytest.param(LIMITED + "bytearray(2**30)", "ran out of the memory it was given", marks=linux),
    ],
    ids=["segfault", "abort", "killed", "hang", "exit", "exception", "memory"],
)
def test_every_end_is_a_format_error(program: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs stand for a parser that a file has led astray."""
    monkeypatch.setattr(isolated, "_PROGRAM", program if program.startswith("import") else PRELUDE + program)
    with pytest.raises(FormatError, match=f"^<5 bytes>: .*{message}"):
        read_isolated(b"hello", timeout=2 if "sleep" in program else 60)


@posix
def test_a_busy_child_is_stopped_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_PROGRAM", LIMITED.replace("1.0", "0.0") + "while True: pass")
    with pytest.raises(FormatError, match=r"took too long \(SIGXCPU\)"):
        read_isolated(b"hello")


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(hdf5_bytes(Group({"a": 1})))
    (tmp_path / "numpy.py").write_text("raise SystemExit('a module beside the file was run')")
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "from minidl.formats.isolated import read_isolated\nprint('once', read_isolated('x.h5').attributes)\n"
    )
    out = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert out == "once {'a': 1}\n"
