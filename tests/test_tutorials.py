"""The tutorials run, and a notebook is the program beside it, with what it printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "tutorials").glob("*.py"))
NOTEBOOKS = sorted((Path(__file__).parents[1] / "tutorials").glob("*.ipynb"))

REMAKE = "jupytext --to notebook {0}.py && jupyter execute --inplace {0}.ipynb"


def shortened(source: str) -> str:
    """Return a tutorial's text with the numbers that make it long, where it has such, made small."""
    return re.sub(r"^EPOCHS, DIGITS = .*$", "EPOCHS, DIGITS = 1, 64", source, flags=re.M)


def cells(program: str) -> list[tuple[str, str]]:
    """Split a program in jupytext's percent format into what its notebook holds: kinds and texts of cells."""
    found = []
    for part in re.split(r"^# %% ?", program, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        kind = "markdown" if head == "[markdown]" else "code"
        if kind == "markdown":
            body = re.sub(r"^# ?", "", body, flags=re.M)
        found.append((kind, body.strip()))
    return found


def saved_cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def test_there_are_some() -> None:
    assert {path.stem for path in TUTORIALS} >= {"01_autograd", "documents"}
    assert {path.stem for path in NOTEBOOKS} >= {"documents"}
    assert shortened("a\nEPOCHS, DIGITS = 5, 2000\nb") == "a\nEPOCHS, DIGITS = 1, 64\nb"


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(tutorial: Path, tmp_path: Path) -> None:
    program = tmp_path / tutorial.name
    program.write_text(shortened(tutorial.read_text(encoding="utf-8")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program.name],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr


def test_the_documents_faults_are_named() -> None:
    """What the tutorial promises that the engine says is there, in the notebook's own outputs."""
    (notebook,) = [path for path in NOTEBOOKS if path.stem == "documents"]
    printed = " ".join(
        "".join(output.get("text", "")) for cell in saved_cells(notebook) for output in cell.get("outputs", [])
    )
    printed = " ".join(printed.split())
    for message in (
        "ShapeError: in SimpleCNN.fc1: Linear(in_features=400, out_features=120, bias=True)",
        "NumericalWarning: nll_loss expects log-probabilities",
        "ShapeError: categorical_crossentropy: prediction (32, 10) is for 10 classes",
        "NumericalWarning: mean_squared_error: prediction (3, 1) and target (3, 2) have different shapes",
        "expected an input of shape (N, H, W, C), got (32, 28, 28)",
        "ArgumentError: Sequential: the symbolic tensors do not form one chain",
    ):
        assert printed.count(message) == 1
    assert "one output: loss 0.2500, answers [[1.5], [3.5], [5.5]]" in printed


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_the_program_beside_it(notebook: Path) -> None:
    program = notebook.with_suffix(".py").read_text(encoding="utf-8")
    held = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in saved_cells(notebook)]
    assert held == cells(program), f"remake it: {REMAKE.format(notebook.stem)}"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_what_it_printed(notebook: Path) -> None:
    outputs = [output for cell in saved_cells(notebook) for output in cell.get("outputs", [])]
    assert all(cell["execution_count"] for cell in saved_cells(notebook) if cell["cell_type"] == "code")
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert notebook.stat().st_size < 300_000  # it is read on slow lines, and kept for ever


@pytest.mark.filterwarnings("ignore")  # Jupyter's own
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    missing = "runs a notebook with Jupyter's tools: pip install 'minidl[notebooks]'"
    nbclient, nbformat = (pytest.importorskip(name, reason=missing) for name in ("nbclient", "nbformat"))
    pytest.importorskip("ipykernel", reason=missing)
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        cell.source = shortened(cell.source)
    nbclient.NotebookClient(content, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = [o for cell in content.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) == 3
