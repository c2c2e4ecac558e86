"""A thousand damaged files of each format: each is a FormatError, or is read; nothing crashes, hangs or eats memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minidl.errors import FormatError
from minidl.formats.isolated import read_isolated
from tests.formats.mutations import KINDS, damaged, originals

ROOT = Path(__file__).parents[2]
COUNT = 1000

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory is measured as POSIX does")


def run(kind: str, first: int, last: int) -> tuple[dict[str, float] | None, int, str]:
    """Return the child's account, or None; the file it was at last; and what it said."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.formats.mutations", kind, str(first), str(last)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = child.stdout.splitlines()
    numbers = [int(line) for line in lines if line.isdecimal()]
    return (json.loads(lines[-1]) if child.returncode == 0 else None), max(numbers, default=first), child.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_damaged_files(kind: str, tmp_path: Path) -> None:
    first, refused, read, crashes = 0, 0, 0, 0
    while first < COUNT:
        account, number, said = run(kind, first, COUNT)
        if account is None:
            # libhdf5 may crash or hang; minidl may not, and whoever reads in isolation gets a FormatError.
            assert kind == "hdf5", f"file {number}: {said}"
            assert "Fatal Python error" in said or "Timeout" in said, f"file {number}: {said}"
            assert crashes < 5, "libhdf5 crashes too often for this to go on"
            crashes += 1
            (tmp_path / "x.h5").write_bytes(damaged(kind, originals(kind), number))
            with pytest.raises(FormatError, match=r"the process that read it|took longer"):
                read_isolated(tmp_path / "x.h5", "hdf5", timeout=5)
            first = number + 1
            continue
        assert account["kilobytes"] < 2**20, "more than 1 GiB"
        assert account["slowest"] < 5, "a file that takes seconds"
        refused, read = refused + int(account["refused"]), read + int(account["read"])
        first = COUNT
    assert refused + read + crashes == COUNT or crashes
    assert refused > COUNT / 2, "the damage did little"
    assert crashes or read > COUNT / 50, "the damage did too much to be a test of more than the first check"
