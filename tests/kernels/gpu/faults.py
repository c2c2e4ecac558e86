"""The faults of all kernels, from the files that test them."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from tests.kernels.gpu.harness import Fault

USERS = "test_planted_faults", "test_on_a_card"  # they import this file


def collect() -> list[Fault]:
    """Return the faults of all test files of this folder."""
    faults: list[Fault] = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("test_") and module.name not in USERS:
            faults += getattr(importlib.import_module(f"{__package__}.{module.name}"), "FAULTS", [])
    return faults
