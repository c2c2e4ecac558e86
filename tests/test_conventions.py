"""The rules of the house, held mechanically: what a public docstring says, what a source file may contain.

A check collects every offence before it fails, so that one run lists them all. The checks themselves are tested on
faulty examples below: a rule that cannot be broken holds nothing.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import minidl
from minidl.errors import MiniDLError
from minidl.keras.layers import Layer

PACKAGE = Path(minidl.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: The modules whose names a user is told about.
PUBLIC_MODULES = [
    "minidl",
    "minidl.autograd",
    "minidl.cuda",
    "minidl.data",
    "minidl.data.transforms",
    "minidl.datasets",
    "minidl.formats",
    "minidl.formats.archive",
    "minidl.formats.hdf5",
    "minidl.formats.isolated",
    "minidl.gpu",
    "minidl.keras",
    "minidl.keras.activations",
    "minidl.keras.callbacks",
    "minidl.keras.constraints",
    "minidl.keras.datasets.mnist",
    "minidl.keras.initializers",
    "minidl.keras.layers",
    "minidl.keras.losses",
    "minidl.keras.metrics",
    "minidl.keras.models",
    "minidl.keras.optimizers",
    "minidl.keras.optimizers.schedules",
    "minidl.keras.regularizers",
    "minidl.keras.saving",
    "minidl.keras.utils",
    "minidl.linalg",
    "minidl.nn",
    "minidl.nn.functional",
    "minidl.nn.init",
    "minidl.ops",
    "minidl.optim",
    "minidl.optim.lr_scheduler",
    *(["minidl.serve"] if importlib.util.find_spec("fastapi") else []),  # an extra
    "minidl.training",
    "minidl.training.callbacks",
    "minidl.training.metrics",
]

#: A docstring's sections, in the order in which they stand.
SECTIONS = [
    "Parameters",
    "Attributes",
    "Shape",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "Notes",
    "Examples",
    "References",
]

#: Where names compute something: their docstrings state the formula, and where it comes from.
COMPUTES = ("minidl.ops.", "minidl.nn.", "minidl.optim.", "minidl.autograd.functional.", "minidl.training.metrics.")

#: Part of the engine, exported for those who write operations; no user calls them.
ENGINE_ROOM = {"Operation", "Variable", "backward", "guarded", "update", "wrap"}

#: Names that one rule does not fit: (rule, name) and why.
EXEMPT = {
    ("formula", "minidl.nn.parameter.Parameter"): "is a kind of Tensor, and computes nothing",
    ("formula", "minidl.ops.conversion.is_floating_point"): "answers a question about the dtype",
    ("formula", "minidl.ops.conversion.is_tensor"): "answers a question about the type",
}

#: What a function may import: an optional dependency is looked for when it is needed, not before.
OPTIONAL = {"matplotlib", "tensorboardX"}

#: Longest file, in lines of code.
MOST_LINES = 450


def public_objects() -> dict[str, Any]:
    """Return every public function and class, by where it is defined; aliases count once."""
    found: dict[str, Any] = {}
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
        for name in names:
            value = getattr(module, name)
            if not inspect.isfunction(value) and not inspect.isclass(value):
                continue
            if value.__module__.startswith("minidl") and value.__name__ not in ENGINE_ROOM:
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return dict(sorted(found.items()))


# ---------------------------------------------------------------------- docstrings


def sections_of(docstring: str) -> dict[str, str]:
    """Split a docstring at its underlined headings; what comes before the first is under ``""``."""
    sections: dict[str, list[str]] = {"": []}
    current = sections[""]
    lines = docstring.splitlines()
    for i, line in enumerate(lines):
        underlined = i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1].strip())
        if underlined and len(lines[i + 1].strip()) == len(line.strip()):
            current = sections.setdefault(line.strip(), [])
        elif not re.fullmatch(r"-{3,}", line.strip()):
            current.append(line)
    return {name: "\n".join(body) for name, body in sections.items()}


def documented_names(section: str) -> set[str]:
    """Return the names that a Parameters section describes: ``x, y : Tensor`` names two."""
    names: set[str] = set()
    for line in section.splitlines():
        if line and not line[0].isspace():
            names |= {name.strip().lstrip("*") for name in line.split(" : ")[0].split(",")}
    return names


def parameters_of(value: Any) -> tuple[set[str], bool]:
    """Return the names of a callable's parameters, and whether it takes any keyword."""
    if inspect.isclass(value) and value.__init__ is object.__init__:
        return set(), False
    parameters = dict(inspect.signature(value).parameters)
    parameters.pop("self", None)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return set(parameters), open_ended


def docstring_offences(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (rule, what is wrong) for one public function or class."""
    docstring = inspect.cleandoc(value.__doc__ or "")
    if not docstring:
        yield "docstring", "has none"
        return
    if not docstring.splitlines()[0].endswith("."):
        yield "sentence", "its first line is not a sentence that ends with a period"
    if inspect.isclass(value) and issubclass(value, (BaseException, Enum, tuple)):
        return  # errors, choices and records: names with nothing to compute, and their fields say the rest
    sections = sections_of(docstring)
    titles = [title for title in sections if title]
    unknown = [title for title in titles if title not in SECTIONS]
    if unknown:
        yield "sections", f"unknown sections {unknown}; there are {', '.join(SECTIONS)}"
    elif titles != sorted(titles, key=SECTIONS.index):
        yield "sections", f"stand in the order {titles}; expected {sorted(titles, key=SECTIONS.index)}"

    names, open_ended = parameters_of(value)
    documented = documented_names(sections.get("Parameters", ""))
    if inspect.isclass(value) and issubclass(value, Layer) and value is not Layer:
        documented |= names & {*parameters_of(Layer)[0], "kwargs"}  # what every layer takes, Layer itself describes
    if names - documented:
        yield "parameters", f"does not describe {sorted(names - documented)}"
    if documented - names and not open_ended:
        yield "parameters", f"describes {sorted(documented - names)}, which it does not take"

    if inspect.isclass(value):
        if any(base.__name__ == "Module" for base in value.__mro__[1:]) and "Shape" not in titles:
            yield "shape", "a module without a Shape section"
    elif not {"Returns", "Yields"} & set(titles) and value.__annotations__.get("return") not in (None, "None"):
        yield "returns", "returns something, but has no Returns section"
    if ">>>" not in sections.get("Examples", ""):
        yield "examples", "has no Examples section with a >>>"
    if where.startswith(COMPUTES):
        if ".. math::" not in docstring:
            yield "formula", "has no .. math::"
        if "References" not in titles:
            yield "references", "has no References section"


def test_every_public_name_is_documented() -> None:
    offences, used = [], set()
    for where, value in public_objects().items():
        for rule, message in docstring_offences(where, value):
            if (rule, where) in EXEMPT:
                used.add((rule, where))
            else:
                offences.append(f"{where}: {message}")
    offences += [f"EXEMPT lists {key}, which needs no exemption" for key in EXEMPT.keys() - used]
    assert not offences, listed(offences)


def test_every_public_method_has_a_docstring() -> None:
    offences = []
    for where, owner in public_objects().items():
        if not inspect.isclass(owner):
            continue
        for name in dir(owner):
            defined_by = next((c for c in owner.__mro__ if name in vars(c)), object)
            if name.startswith("_") or not defined_by.__module__.startswith("minidl"):
                continue
            member = inspect.getattr_static(owner, name)
            if isinstance(member, (classmethod, staticmethod)):
                member = member.__func__
            documentable = inspect.isfunction(member) or isinstance(member, property)
            if documentable and not inspect.getdoc(getattr(owner, name)):
                offences.append(f"{where}.{name}: has no docstring")
    assert not offences, listed(offences)


# ---------------------------------------------------------------------- source files


def statements_in(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below a node; expressions, which are most of a tree, hold none and are not entered."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield node
            yield from statements_in(node)


def imports_in(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the full name of every import below a node; ``from a import b`` gives ``a.b``."""
    for node in statements_in(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def code_lines(source: str) -> int:
    """Count the lines that hold code: no blanks, no comments, no docstrings."""
    lines: set[int] = set()
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in statements_in(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def source_offences(path: str, source: str) -> Iterator[str]:
    """Yield what a file of the package may not contain; ``path`` is relative to the package."""
    tree = ast.parse(source)
    for node in statements_in(tree):
        if isinstance(node, ast.Assert):
            yield f"{path}:{node.lineno}: assert; raise an error of minidl.errors that says how to fix it"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for name, statement in imports_in(node):
                if name.split(".")[0] not in OPTIONAL:
                    yield f"{path}:{statement.lineno}: import of {name} inside a function; move it to the top"
    for name, statement in imports_in(tree):
        top = name.split(".")[0]
        if top in {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}:
            yield f"{path}:{statement.lineno}: {top}; nothing minidl reads may run code"
        if top in {"torch", "keras", "tensorflow", "jax"}:
            yield f"{path}:{statement.lineno}: {top}; minidl stands on NumPy alone"
        if top in {"cupy", "cupyx"} and not path.startswith("backend/"):
            yield f"{path}:{statement.lineno}: {top}; only minidl.backend knows the GPU's library"
        if top in OPTIONAL and statement in tree.body:
            yield f"{path}:{statement.lineno}: {top} is optional; import it in the function that needs it"
        if top == "minidl" and from_the_root(name, statement) and not path.startswith(("examples/", "cli.py")):
            yield f"{path}:{statement.lineno}: {name} from the package root, which stands above every layer"
    for match in re.finditer(r"allow_pickle\s*=\s*True", source):
        yield f"{path}:{source.count(chr(10), 0, match.start()) + 1}: allow_pickle=True"
    if source.count("\n") >= MOST_LINES < code_lines(source):  # most files are too short to be asked
        yield f"{path}: {code_lines(source)} lines of code, {MOST_LINES} at most; split it by family"


def from_the_root(name: str, statement: ast.AST) -> bool:
    """Whether an import takes a name from ``minidl/__init__.py``, and not a module below it."""
    if isinstance(statement, ast.Import):
        return name == "minidl"
    submodule = PACKAGE / name.split(".")[1]
    return name.count(".") == 1 and not submodule.is_dir() and not submodule.with_suffix(".py").exists()


def test_no_file_breaks_a_rule() -> None:
    offences = []
    for file in FILES:
        path = file.relative_to(PACKAGE).as_posix()
        offences += source_offences(path, file.read_text(encoding="utf-8"))
    assert not offences, listed(offences)


def test_every_operations_module_lists_its_names() -> None:
    helpers = {"__init__.py", "arguments.py"}
    offences = []
    for file in (PACKAGE / "ops").glob("*.py"):
        if file.name not in helpers and "__all__" not in file.read_text(encoding="utf-8"):
            offences.append(f"ops/{file.name}: has no __all__")
    assert not offences, listed(offences)


def test_importing_minidl_loads_nothing_heavy() -> None:
    heavy = "numba", "llvmlite", "h5py", "matplotlib", "scipy", "pandas", "cupy", "torch", "IPython"
    program = f"import sys, minidl; print(*(set({heavy}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not found.split(), f"import minidl loaded {found}"


def test_errors_are_the_built_in_ones_too() -> None:
    """Whoever writes ``except ValueError`` need not know minidl's own names."""
    offences = []
    for name, error in vars(minidl.errors).items():
        if not inspect.isclass(error) or not issubclass(error, MiniDLError) or error is MiniDLError:
            continue
        if not {ValueError, TypeError, IndexError, KeyError, RuntimeError} & set(error.__mro__):
            offences.append(f"{name}: is no ValueError, TypeError, IndexError, KeyError or RuntimeError")
    assert not offences, listed(offences)


def listed(offences: list[str]) -> str:
    """Return offences as pytest should print them."""
    return "\n".join([f"{len(offences)} offences:", *sorted(offences)])


# ---------------------------------------------------------------------- can the checks fail?


def good(x: Any, *sizes: int, rate: float = 1.0) -> Any:
    r"""Return something.

    .. math:: y = x

    Parameters
    ----------
    x : Tensor
    *sizes : int
    rate : float

    Returns
    -------
    Tensor

    Examples
    --------
    >>> 1 + 1
    2

    References
    ----------
    A paper.
    """


def swap(old: str, new: str) -> Callable[..., Any]:
    """Return a function like ``good`` with another docstring."""

    def bad(x: Any, *sizes: int, rate: float = 1.0) -> Any: ...

    bad.__doc__ = (good.__doc__ or "").replace(old, new)
    assert bad.__doc__ != good.__doc__
    return bad


def test_a_good_docstring_passes() -> None:
    assert list(docstring_offences("minidl.ops.x", good)) == []


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("Return something.", "Return something", "sentence"),
        ("Returns\n    -------", "Result\n    ------", "sections"),
        ("Parameters\n    ----------", "Raises\n    ------", "parameters"),
        ("    x : Tensor\n", "", "parameters"),
        ("    rate : float", "    rate, decay : float", "parameters"),
        ("Returns\n    -------", "Notes\n    -----", "returns"),
        (">>> 1", "1", "examples"),
        (".. math::", ".. note::", "formula"),
        ("References\n    ----------\n    A paper.", "", "references"),
        ("    Returns\n    -------\n    Tensor\n", "", "returns"),
    ],
)
def test_a_faulty_docstring_is_caught(old: str, new: str, rule: str) -> None:
    assert rule in dict(docstring_offences("minidl.ops.x", swap(old, new)))


def test_sections_out_of_order_are_caught() -> None:
    moved = swap("Examples\n    --------\n    >>> 1 + 1\n    2\n\n    References", "References")
    moved.__doc__ += "\n    Examples\n    --------\n    >>> 1\n    1\n"
    assert dict(docstring_offences("minidl.ops.x", moved))["sections"].startswith("stand in the order")


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("ops/x.py", "assert True", "assert"),
        ("ops/x.py", "def f():\n    import numpy", "inside a function"),
        ("ops/x.py", "import pickle", "pickle"),
        ("ops/x.py", "from torch import nn", "torch"),
        ("ops/x.py", "import cupy as cp", "cupy"),
        ("viz.py", "import matplotlib", "optional"),
        ("nn/x.py", "from minidl import Tensor", "package root"),
        ("nn/x.py", "import minidl", "package root"),
        ("data/x.py", "np.load(path, allow_pickle = True)", "allow_pickle"),
        ("ops/x.py", "x = 1\n" * (MOST_LINES + 1), "lines of code"),
    ],
)
def test_a_faulty_file_is_caught(path: str, source: str, complaint: str) -> None:
    assert complaint in "\n".join(source_offences(path, source))


def test_code_lines_counts_code() -> None:
    assert code_lines('"""Doc\nstring."""\n\n# comment\nx = (  # why\n    1\n)\n') == 3
