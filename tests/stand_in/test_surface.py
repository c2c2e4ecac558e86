"""Every name and keyword of CuPy's that minidl's source uses is one that CuPy has.

The source is read, so lines that no test runs count, too. What arrays are asked for at run time (methods, and names
that are made up as a program runs) the stand-in checks as ``pytest --device=strict`` runs the whole suite.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minidl
from tests.stand_in import api

ROOT = Path(minidl.__file__).parent

#: Names that stand for NumPy or CuPy, whichever the arrays are of, and calls that return CuPy.
MODULES = {"xp", "self.xp", "node.xp", "cupy()", "devices.cupy()"}
CALLS = ("namespace(", "devices.namespace(")

#: What only NumPy's own arrays reach.
OF_NUMPY = {"errstate"}


def root_of(node: ast.expr) -> str:
    return ast.unparse(node)


def is_library(node: ast.expr) -> bool:
    """Whether an expression is NumPy or CuPy, as minidl writes it."""
    text = root_of(node)
    return text in MODULES or (isinstance(node, ast.Call) and text.startswith(CALLS))


def chain(node: ast.Attribute) -> tuple[str, ...] | None:
    """Return ``("lib", "stride_tricks", "as_strided")`` for ``xp.lib.stride_tricks.as_strided``."""
    names: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
        if is_library(inner):
            return tuple(reversed(names))
    return None


def uses(source: str) -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
    """Yield the line, the owner, the name and the keywords of each use of CuPy in a source."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        names = chain(node) if isinstance(node, ast.Attribute) else None
        if names is None or names[0].startswith("__"):
            continue
        owner = "cupy"
        for i, name in enumerate(names):
            call = called.get(id(node)) if i == len(names) - 1 else None
            yield node.lineno, owner, name, tuple(k.arg for k in call.keywords if k.arg) if call else ()
            if f"{owner}.{name}" not in api.SURFACE and f"{owner}.{name}" != "cupy.lib":
                break  # an attribute of a function, as in add.at
            owner = f"{owner}.{name}"


def faults(source: str) -> list[str]:
    """Return what a source uses that CuPy lacks."""
    found = []
    for line, owner, name, keywords in uses(source):
        if name in OF_NUMPY or (owner, name) == ("cupy", "lib") or (owner, name) == ("cupy.lib", "stride_tricks"):
            continue
        try:
            what = api.entry(owner, name)
            allowed = api.accepted(owner, name)[1] if isinstance(what, list) else None
        except AttributeError as error:
            found.append(f"{line}: {error}")
            continue
        if isinstance(what, dict):
            allowed = frozenset({"out", "where", "dtype", "casting"})
        found += [f"{line}: {owner}.{name} takes no {k}=" for k in keywords if allowed is not None and k not in allowed]
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_minidl_uses_cupy_has(path: Path) -> None:
    assert not faults(path.read_text(encoding="utf-8"))


def test_the_source_is_read() -> None:
    """The scan finds what it is there to find."""
    everything = [use for path in ROOT.rglob("*.py") for use in uses(path.read_text(encoding="utf-8"))]
    assert len({(owner, name) for _, owner, name, _ in everything}) > 80
    assert {"exp", "add", "take_along_axis", "as_strided"} <= {name for _, _, name, _ in everything}


@pytest.mark.parametrize(
    "line",
    [
        "xp.insert(a, 0, 1)",
        "self.xp.block([a])",
        "namespace(a).nditer(a)",
        "xp.sum(a, where=b)",
        "xp.exp(a, order='C')",
        "xp.linalg.nosuch(a)",
        "cupy().cuda.runtime.nosuch()",
        "xp.lib.stride_tricks.nosuch(a)",
    ],
)
def test_a_planted_fault_is_found(line: str) -> None:
    assert faults(line)


@pytest.mark.parametrize("line", ["xp.sum(a, axis=0)", "xp.exp(a, out=a)", "xp.add.at(a, i, 1)", "xp.linalg.inv(a)"])
def test_what_cupy_has_passes(line: str) -> None:
    assert not faults(line)


def test_the_json_is_of_the_cupy_that_is_installed() -> None:
    """In a process of its own, where the stand-in does not stand in the way."""
    if importlib.util.find_spec("cupy_backends") is None:
        pytest.skip("CuPy is not installed")
    program = "import json; from tests.stand_in import dump_api; print(json.dumps(dump_api.dump()))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT.parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    installed = json.loads(done.stdout)
    if installed["version"] != api.VERSION:
        pytest.skip(f"the JSON is of CuPy {api.VERSION}, {installed['version']} is installed: run dump_api.py")
    assert installed["surface"] == api.SURFACE


def test_at_most_ten_tests_are_left_out_on_a_gpu() -> None:
    marks = [
        path.name
        for path in (ROOT.parent / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.cpu_only"
    ]
    assert len(marks) <= 10, marks
