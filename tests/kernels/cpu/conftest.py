"""The CPU's kernels take the CPU's arrays, whatever ``--device`` is."""

from __future__ import annotations

import pytest

import minidl


@pytest.fixture(autouse=True)
def _on_the_cpu(_device: None) -> None:
    minidl.set_default_device("cpu")
