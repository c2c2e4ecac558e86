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
    children = [  # side by side
        subprocess.Popen(
            [sys.executable, "-m", mutate.__name__, suffix, str(start), str(start + COUNT // 2)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
            env=environment,
        )
        for start in (0, COUNT // 2)
    ]
    refused = loaded = 0
    for child in children:
        printed, complaints = child.communicate(timeout=300)
        assert child.returncode == 0, complaints[-3000:]
        numbers = list(map(int, printed.split()))
        refused, loaded = refused + numbers[0], loaded + numbers[1]
    assert refused + loaded == COUNT
    assert refused > 0.4 * COUNT  # the damage does damage
    assert loaded > 0.05 * COUNT  # and leaves something to load
