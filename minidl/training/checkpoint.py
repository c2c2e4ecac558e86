"""Checkpoints: several in a folder, the newest readable one counts; and the random state that goes into them."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minidl import formats
from minidl.autograd import Variable
from minidl.backend import GPUGenerator, is_array, rng_states, set_rng_states, to_numpy
from minidl.errors import ArgumentError, FormatError, warn
from minidl.formats import atomic_write
from minidl.nn.module import Module

__all__ = ["CheckpointManager"]

_NAME = re.compile(r"checkpoint-(\d+)\.safetensors")


class CheckpointManager:
    """Checkpoints in a folder, numbered in the order they are written, of which the last few are kept.

    Each is written beside its place and renamed, so that a process killed at any moment leaves whole files. ``fit``
    makes one for its argument ``checkpoint=``.

    Parameters
    ----------
    directory : str or path
        Made if it is not there.
    keep : int
        How many checkpoints stay. With more than one, a file that the disk damaged is no loss.

    Raises
    ------
    ArgumentError
        If ``keep`` is not a positive integer.
    OSError
        If the folder cannot be made or written to: found out at once, and not after the first epoch.

    Examples
    --------
    >>> import tempfile
    >>> checkpoints = CheckpointManager(tempfile.mkdtemp(), keep=2)
    >>> for epoch in range(3):
    ...     _ = checkpoints.save({"epoch": epoch})
    >>> [path.name for path in checkpoints.paths()]
    ['checkpoint-000002.safetensors', 'checkpoint-000003.safetensors']
    >>> checkpoints.load()
    {'epoch': 2}
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int = 3) -> None:
        if isinstance(keep, bool) or not isinstance(keep, (int, np.integer)) or keep <= 0:
            raise ArgumentError(f"CheckpointManager: keep must be a positive integer, got {keep!r}")
        self.directory = Path(directory)
        self.keep = int(keep)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            probe = self.directory / ".writable"
            with atomic_write(probe):
                pass
            probe.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise type(error)(
                error.errno, f"checkpoints cannot be written to {self.directory}: {reason}; choose another folder"
            ) from error

    def paths(self) -> list[Path]:
        """Return the files, the oldest first."""
        return [path for _, path in self._numbered()]

    def save(self, tree: Mapping[str, Any]) -> Path:
        """Write a tree of dicts, lists, numbers, strings and arrays as the newest checkpoint, then remove old ones.

        Raises
        ------
        OSError
            If it cannot be written (a full disk, say); the checkpoints that are there stay.
        """
        numbered = self._numbered()
        number = numbered[-1][0] + 1 if numbered else 1
        path = self.directory / f"checkpoint-{number:06d}.safetensors"
        formats.save({"tree": tree, "checksum": _checksum(tree)}, path)
        for _, old in numbered[: len(numbered) + 1 - self.keep]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> Any:
        """Return the newest checkpoint that can be read, or None; a damaged one is warned of and passed over."""
        for path in reversed(self.paths()):
            try:
                return _checked(formats.load(path), path)
            except (FormatError, OSError) as error:
                warn(f"resume: a checkpoint cannot be read, the one before it is taken: {error}")
        return None

    def clear(self) -> None:
        """Remove all checkpoints."""
        for path in self.paths():
            path.unlink(missing_ok=True)

    def _numbered(self) -> list[tuple[int, Path]]:
        found = ((_NAME.fullmatch(path.name), path) for path in self.directory.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)


def _checked(found: Any, path: Path) -> Any:
    """Return the tree of a checkpoint if it is what was written: a disk's wrong bit makes a number, not an error."""
    if not isinstance(found, dict) or found.keys() != {"tree", "checksum"}:
        raise FormatError(f"{path}: is no checkpoint of minidl's")
    if _checksum(found["tree"]) != found["checksum"]:
        raise FormatError(f"{path}: its numbers are not those that were written (the checksum differs)")
    return found["tree"]


def _checksum(tree: Any, value: int = 0) -> int:
    """Return the CRC-32 of all arrays and plain values in a tree, in their order."""
    if isinstance(tree, Mapping):
        for key, entry in tree.items():
            value = _checksum(entry, zlib.crc32(repr(key).encode(), value))
        return value
    if isinstance(tree, (list, tuple)):
        for entry in tree:
            value = _checksum(entry, value)
        return value
    array = tree.array if isinstance(tree, Variable) else tree
    if is_array(array):
        return zlib.crc32(np.ascontiguousarray(to_numpy(array)).reshape(-1).view(np.uint8).data, value)
    return zlib.crc32(repr(tree).encode(), value)


def random_state(model: Module) -> dict[str, Any]:
    """Return where the generators of all devices and those that layers of ``model`` hold are in their sequences."""
    return {**rng_states(), "layers": {name: _state(rng) for name, rng in _generators(model)}}


def set_random_state(model: Module, state: Mapping[str, Any]) -> None:
    """Put all generators back to where :func:`random_state` was called."""
    set_rng_states({device: found for device, found in state.items() if device != "layers"})
    for name, rng in _generators(model):
        if name in state["layers"]:
            _set_state(rng, state["layers"][name])


def _state(rng: Any) -> dict[str, Any]:
    return rng.get_state() if isinstance(rng, GPUGenerator) else rng.bit_generator.state


def _set_state(rng: Any, state: dict[str, Any]) -> None:
    if isinstance(rng, GPUGenerator):
        rng.set_state(state)
    else:
        rng.bit_generator.state = state


def _generators(model: Module) -> Iterator[tuple[str, Any]]:
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, (np.random.Generator, GPUGenerator)):
                yield f"{path}.{name}", value
