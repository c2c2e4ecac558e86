"""What README.md claims is what happens: every Python block is executed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minidl import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
PYTHON = [
    (code, BLOCKS[i + 1][1] if BLOCKS[i + 1][0] == "text" else "")
    for i, (language, code) in enumerate(BLOCKS)
    if language == "python"
]
SHELL = [code for language, code in BLOCKS if language == "sh"]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with warnings as errors, in ``folder``."""
    return subprocess.run([sys.executable, "-W", "error", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(("code", "printed"), PYTHON, ids=range(len(PYTHON)))
def test_a_block_prints_what_stands_below_it(code: str, printed: str, tmp_path: Path) -> None:
    done = run(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == printed.split()


def test_there_are_blocks() -> None:
    assert len(PYTHON) >= 3
    assert len(SHELL) >= 2


def test_the_two_commands() -> None:
    """They make their own environment, so that a system Python which refuses pip is no obstacle."""
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[viz]' && .venv/bin/minidl reproduce\n" in SHELL
    marked = re.search(r"<!-- ci:test -->\n```sh\n(.*?)```", README, re.S)
    assert marked is not None
    assert marked[1] == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n"


def test_every_command_exists() -> None:
    commands = re.findall(r"(?:^|&& )(?:\.venv/bin/)?minidl ([^#&\n]*)", "\n".join(SHELL), re.M)
    assert len(commands) >= 2
    for arguments in commands:
        cli.build_parser().parse_args(arguments.split())


def test_every_path_exists() -> None:
    named = re.findall(r"`((?:minidl|tests|benchmarks|tutorials|\.ci)/[\w./]*)`", README)
    named += re.findall(r"\]\(([\w./]+)\)", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
