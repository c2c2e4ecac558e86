"""Thousands of damaged files, read one after the other in a process of their own.

``python -m tests.formats.mutations hdf5 0 1000`` reads the files number 0 to 999 and prints the number of each before
it is read, so that a crash of the process names its file; ``write(kind, number, path)`` makes that file again.
"""

from __future__ import annotations

import faulthandler
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import minidl
from minidl.errors import FormatError
from minidl.formats import load, read_safetensors, save, save_safetensors
from minidl.formats.archive import read_zip, write_zip
from minidl.formats.hdf5 import Group, read_hdf5, write_hdf5

NUMBERS = [0, 1, 7, 0xFF, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a damaged copy: bits flipped, cut off, numbers forged, pieces moved."""
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        # Headers and tables are where it hurts: half of the damage goes to the first kilobyte.
        at = chance.randrange(min(len(out), 1024) if chance.random() < 0.5 else len(out)) if out else 0
        match chance.randrange(8):
            case 0 | 1 | 2 if out:
                out[at] ^= 1 << chance.randrange(8)
            case 3 if out:
                out[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, ord("0"), ord("9"), ord('"'), ord("["), ord("}")])
            case 4:
                del out[at : None if chance.random() < 0.3 else at + chance.randrange(1, 64)]
            case 5 | 6:
                width = chance.choice([2, 4, 8])
                number = chance.choice([*NUMBERS, len(data), len(data) - 1])
                out[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
            case 7:
                source = chance.randrange(len(out) + 1)
                out[at:at] = out[source : source + chance.randrange(1, 128)]
    return bytes(out)


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    dtypes = ["f4", "f2", "f8", "i8", "u1", "?", "c8"]
    return {f"layer{i}.weight": (rng.standard_normal((3, i + 1)) * 9).astype(d) for i, d in enumerate(dtypes)}


def make_safetensors(path: Path) -> None:
    save_safetensors(arrays(), path, {"format": "pt"})


def make_tree(path: Path) -> None:
    tensors = {name: minidl.from_numpy(x) for name, x in arrays().items() if x.dtype.kind == "f"}
    state = {0: {"step": 3, "exp_avg": np.ones(3)}, 1: {"step": 3, "exp_avg": np.ones((2, 2))}}
    save({"model": tensors, "state": state, "best": float("inf"), "seed": 2**100, "names": ("a", None, True)}, path)


def make_zip(path: Path) -> None:
    write_zip(path, {"config.json": b'{"a": 1}' * 20, "weights/0": bytes(range(256)), "metadata.json": b"{}"})


def make_hdf5(path: Path) -> None:
    """Write a file such as Keras writes."""
    root = Group({"backend": "torch", "model_config": json.dumps({"class_name": "Sequential", "config": ["x"] * 99})})
    names = []
    for i, (name, x) in enumerate(arrays().items()):
        if x.dtype.kind != "c":
            root.put(f"model_weights/{name}/seq/kernel", x)
            root.get(f"model_weights/{name}").attributes["weight_names"] = ["seq/kernel"] if i else []  # type: ignore
            names.append(name)
    root.get("model_weights").attributes.update(layer_names=names, epoch=3, rate=0.5)  # type: ignore[union-attr]
    write_hdf5(root, path)


def make_h5py(path: Path) -> None:
    """Write a file as h5py writes it by itself: old groups, packed chunks, text of variable length."""
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "torch"
        file.attrs["layer_names"] = [b"dense", b"dense_1"]
        group = file.create_group("model_weights/dense")
        x = np.arange(600.0).reshape(20, 30)
        group.create_dataset("kernel", data=x, chunks=(7, 30), compression="gzip", shuffle=True, fletcher32=True)
        group.create_dataset("more", data=x, maxshape=(None, 30), chunks=(8, 8))
        group.create_dataset("big", data=x.astype(">f4"))
        group.create_dataset("true", data=x > 5)


def nbytes(found: Any) -> int:
    """Return what was read takes, and fail for anything that is no plain data."""
    if isinstance(found, Group):
        return nbytes(found.attributes) + nbytes(found.members)
    if isinstance(found, dict):
        return sum(nbytes(value) + len(str(key)) for key, value in found.items())
    if isinstance(found, (list, tuple)):
        return sum(map(nbytes, found))
    if isinstance(found, minidl.Tensor):
        found = found.array
    if isinstance(found, (np.ndarray, np.generic)):
        assert found.dtype.kind in "biufc"
        assert found.dtype.isnative
        found.sum()  # touches every byte
        return found.nbytes
    assert found is None or isinstance(found, (str, bytes, int, float, bool)), type(found)
    return len(found) if isinstance(found, (str, bytes)) else 8


KINDS: dict[str, tuple[list[Callable[[Path], None]], Callable[[Path], Any]]] = {
    "safetensors": ([make_safetensors], read_safetensors),
    "tree": ([make_tree], load),
    "zip": ([make_zip], read_zip),
    "hdf5": ([make_hdf5, make_h5py], read_hdf5),
}


def originals(kind: str) -> list[bytes]:
    """Return the undamaged files of a kind, after reading each."""
    found = []
    for make in KINDS[kind][0]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x")
            make(path)
            assert nbytes(KINDS[kind][1](path)) > 0
            found.append(path.read_bytes())
    return found


def damaged(kind: str, sources: list[bytes], number: int) -> bytes:
    return mutated(sources[number % len(sources)], random.Random(f"{kind} {number}"))


def write(kind: str, number: int, path: Path) -> None:
    """Write one of the damaged files again, to look at it."""
    path.write_bytes(damaged(kind, originals(kind), number))


def main(kind: str, first: int, last: int) -> None:
    """Read damaged files, and print what came of it."""
    sources = originals(kind)
    read = KINDS[kind][1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = {"refused": 0, "read": 0, "slowest": 0.0, "last": last}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged")
        for number in range(first, last):
            print(number, flush=True)
            path.write_bytes(damaged(kind, sources, number))
            faulthandler.dump_traceback_later(20, exit=True)  # a hang counts as a crash
            start = time.perf_counter()
            try:
                size = nbytes(read(path))
                assert size <= 2**20 + 64 * path.stat().st_size, f"{size} bytes"
                counts["read"] += 1
            except FormatError as error:
                if str(path) not in str(error):
                    raise AssertionError("the error does not name the file") from error
                counts["refused"] += 1
            counts["slowest"] = max(counts["slowest"], time.perf_counter() - start)
    faulthandler.cancel_dump_traceback_later()
    counts["kilobytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
