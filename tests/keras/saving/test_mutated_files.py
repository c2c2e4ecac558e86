"""A thousand damaged files a format: each is a FormatError or a model that works, in bounded memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.keras.saving import mutate

pytest.importorskip("resource", reason="there are no limits on memory here")
COUNT = 1000


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_damaged_files(suffix: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.run(
        [sys.executable, "-m", mutate.__name__, suffix, "0", str(COUNT)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
        env=environment,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    refused, loaded = map(int, child.stdout.split())
    assert refused + loaded == COUNT
    assert refused > 0.4 * COUNT  # the damage does damage
    assert loaded > 0.05 * COUNT  # and leaves something to load
