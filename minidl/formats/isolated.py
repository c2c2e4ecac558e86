"""Read a file in a process of its own: a parser that crashes, hangs or eats memory takes nothing else along.

minidl's own readers are Python, but HDF5 files are parsed by libhdf5, a large library in C. The child process is a
fresh interpreter (nothing of the parent's is copied, and a script needs no ``if __name__ == "__main__"``) with limits
on memory, time and what it may write, where the system has them. It answers with a file of plain arrays and JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidl.errors import ArgumentError, FormatError
from minidl.formats.archive import read_zip
from minidl.formats.hdf5 import Group, read_hdf5
from minidl.formats.safetensors import read_safetensors
from minidl.formats.source import Source, open_source
from minidl.formats.tree import load, save

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["read_isolated"]

_GIBIBYTE = 2**30
_PROGRAM = (
    "import json, sys\n"
    "sys.path[:] = json.loads(sys.argv[1])\n"
    "from minidl.formats.isolated import answer\n"
    "answer(*sys.argv[2:])\n"
)


def read_isolated(source: Source, kind: str = "hdf5", timeout: float = 60.0) -> Any:
    """Read a file that may have been made to harm its reader, in a child process.

    Parameters
    ----------
    source : str, path or bytes
        Bytes are the content of a file.
    kind : str
        ``"hdf5"``, ``"zip"`` or ``"safetensors"``.
    timeout : float
        Seconds after which the child is given up.

    Returns
    -------
    Group, dict of str to bytes, or tuple of dict of str to numpy.ndarray and dict of str to str
        What :func:`~minidl.formats.hdf5.read_hdf5`, :func:`~minidl.formats.archive.read_zip` or
        :func:`~minidl.formats.read_safetensors` returns.

    Raises
    ------
    FormatError
        If the file is not what it should be, or the child crashed, took too long or too much memory over it.
    ArgumentError
        If there is no such kind.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> from minidl.formats.hdf5 import hdf5_bytes
    >>> read_isolated(hdf5_bytes(Group({"backend": "minidl"})), "hdf5").attributes
    {'backend': 'minidl'}
    """
    if kind not in _KINDS:
        raise ArgumentError(f"read_isolated: there is no kind {kind!r}; expected one of {', '.join(map(repr, _KINDS))}")
    with open_source(source) as (_, _, place):
        pass  # a file that is not there is told here, as by any reader
    name = "-" if isinstance(source, bytes) else os.path.abspath(os.fspath(source))
    with tempfile.TemporaryDirectory(prefix="minidl-") as folder:
        result = Path(folder, "result")
        arguments = [json.dumps([os.path.abspath(path) for path in sys.path]), kind, name, str(result), str(timeout)]
        quiet = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1"}  # "::": libhdf5 loads no plug-ins
        with open(Path(folder, "complaints"), "w+b") as complaints:
            try:
                child = subprocess.run(
                    [sys.executable, "-I", "-c", _PROGRAM, *arguments],
                    input=source if isinstance(source, bytes) else b"",
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    timeout=timeout,
                    env={**os.environ, **quiet},
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise FormatError(
                    f"{place}: reading it took longer than {timeout:g} seconds; it was given up"
                ) from None
            complaints.seek(0)
            said = complaints.read(100_000).decode(errors="replace").strip().splitlines()
        if child.returncode:
            raise FormatError(f"{place}: the process that read it {_fate(child.returncode, said)}")
        outcome = load(result)
    if "error" in outcome:
        raise FormatError(outcome["error"] if name == "-" else outcome["error"].replace(name, place, 1))
    return _KINDS[kind].from_tree(outcome["value"])


def answer(kind: str, name: str, result: str, timeout: str) -> None:
    """Read a file and save what it holds, or what is wrong with it: the child's part.

    Parameters
    ----------
    kind, name, result, timeout : str
        What to read (``"-"``: what comes in), where to save, and the limit in seconds.
    """
    source: Source = sys.stdin.buffer.read() if name == "-" else name
    size = len(source) if isinstance(source, bytes) else os.stat(source).st_size
    _limit_resources(_GIBIBYTE + 3 * size, float(timeout))
    outcome: dict[str, Any]
    try:
        outcome = {"value": _KINDS[kind].to_tree(_KINDS[kind].read(source))}
    except FormatError as error:
        outcome = {"error": str(error)}
    save(outcome, result)


def _limit_resources(memory: int, seconds: float) -> None:
    """Limit what this process may take from now on, as far as the system can."""
    if resource is None:
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: memory, resource.RLIMIT_CPU: int(seconds) + 1}
    pages = Path("/proc/self/statm")
    if pages.exists():  # Linux; elsewhere nobody tells how much address space is taken already
        limits[resource.RLIMIT_AS] = int(pages.read_text().split()[0]) * resource.getpagesize() + memory
    for limit, most in limits.items():
        hard = resource.getrlimit(limit)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(limit, (most, hard))


def _fate(status: int, said: list[str]) -> str:
    """Describe how a child ended that did not answer."""
    if status < 0:
        name = next((s.name for s in signal.Signals if s == -status), f"signal {-status}")
        what = {"SIGXCPU": "took too long", "SIGKILL": "was killed, most likely for the memory it took"}
        return f"{what.get(name, 'crashed')} ({name}); it is damaged, or was made to do this"
    if said and said[-1].startswith("MemoryError"):
        return "ran out of the memory it was given; it is damaged, or was made to do this"
    return f"failed (status {status}: {said[-1][:500] if said else 'no message'})"


# ---------------------------------------------------------------------- as trees


def _group_to_tree(group: Group) -> dict[str, Any]:
    members = {k: _group_to_tree(v) if isinstance(v, Group) else v for k, v in group.members.items()}
    return {"attributes": group.attributes, "members": members}


def _group_from_tree(tree: dict[str, Any]) -> Group:
    members = {k: _group_from_tree(v) if isinstance(v, dict) else v for k, v in tree["members"].items()}
    return Group(tree["attributes"], members)


def _zip_to_tree(members: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {name: np.frombuffer(data, np.uint8) for name, data in members.items()}


def _zip_from_tree(tree: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: data.tobytes() for name, data in tree.items()}


class _Kind(NamedTuple):
    read: Callable[..., Any]
    to_tree: Callable[[Any], Any]
    from_tree: Callable[[Any], Any]


_KINDS = {
    "hdf5": _Kind(read_hdf5, _group_to_tree, _group_from_tree),
    "zip": _Kind(read_zip, _zip_to_tree, _zip_from_tree),
    "safetensors": _Kind(read_safetensors, list, tuple),
}
