"""Which implementation runs: what ``MINIDL_KERNELS`` and the arrays say, and what a small network never loads."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minidl import kernels
from minidl.errors import ArgumentError
from minidl.kernels import dispatch


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MINIDL_KERNELS", raising=False)
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Have the environment read again."""
    dispatch.choice.cache_clear()
    dispatch.enabled.cache_clear()


def small(x: Any) -> str:
    return "reference"


def test_where_compiled_kernels_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Compiled:
        small = staticmethod(lambda x: "compiled")

    monkeypatch.setattr(dispatch, "enabled", lambda: True)
    monkeypatch.setattr(dispatch, "load", lambda file: Compiled)
    kernel = dispatch.either(small, "anywhere", lambda x: x.size > 10)
    for dtype in ("f4", "f8"):
        assert kernel(np.ones(11, dtype)) == "compiled"
        assert kernel(np.ones(10, dtype)) == "reference"
    for dtype in ("f2", "i4", ">f4", "c8"):
        assert kernel(np.ones(11, dtype)) == "reference"
    assert kernel(np.ones(11).view(np.ma.MaskedArray)) == "reference"
    assert kernel("no array") == "reference"
    assert kernel.__name__ == "small"


def test_where_the_kernels_of_gpus_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Array:  # as CuPy's
        def __init__(self, dtype: str) -> None:
            self.dtype = np.dtype(dtype)

    class File:
        small = staticmethod(lambda x: NotImplemented if x.dtype == "f8" else "launched")

    monkeypatch.setattr(dispatch, "is_array", lambda value: isinstance(value, Array | np.ndarray))
    monkeypatch.setattr(dispatch.importlib, "import_module", {"minidl.kernels.gpu.anywhere": File}.__getitem__)
    kernel = dispatch.either(small, gpu="anywhere")
    assert kernel(Array("f4")) == "launched"
    assert kernel(Array("f8")) == "reference"  # the function declines
    for other in (Array("f2"), Array("i4"), np.ones(9), "no array"):
        assert kernel(other) == "reference"
    assert dispatch.either(small)(Array("f4")) == "reference"

    monkeypatch.setenv("MINIDL_KERNELS", "reference")
    forget()
    assert kernel(Array("f4")) == "reference"


@pytest.mark.parametrize(("choice", "name"), [("auto", "compiled"), ("", "compiled"), (" Reference ", "reference")])
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, choice: str, name: str) -> None:
    monkeypatch.setenv("MINIDL_KERNELS", choice)
    assert kernels.active() == name


def test_a_wrong_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDL_KERNELS", "quick")
    with pytest.raises(ArgumentError, match="MINIDL_KERNELS: expected one of auto, reference, fast, got 'quick'"):
        kernels.active()


def test_without_numba_fast_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch.importlib.util, "find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.active() == "reference"
    forget()
    monkeypatch.setenv("MINIDL_KERNELS", "fast")
    with pytest.warns(RuntimeWarning, match=r"MINIDL_KERNELS=fast: Numba is not installed .*reference kernels run"):
        assert kernels.active() == "reference"


def test_numba_that_fails_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(file: str) -> None:
        raise ImportError("Numba needs NumPy 1.0 or less")

    monkeypatch.setattr(dispatch, "load", load)
    assert "ImportError: Numba needs NumPy" in dispatch.missing()
    assert kernels.active() == "reference"


def test_a_small_network_never_loads_numba() -> None:
    program = """
import sys, minidl
from minidl import nn
net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1))
optimizer = minidl.optim.SGD(net.parameters(), lr=0.1)
net(minidl.ones(4, 2)).sum().backward()
optimizer.step()
print("numba" in sys.modules)
"""
    environment = {name: value for name, value in os.environ.items() if name != "MINIDL_KERNELS"}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert result.stdout == "False\n", result.stderr
