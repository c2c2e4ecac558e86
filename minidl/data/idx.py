"""MNIST's own file format, IDX: reading it with care, and downloading the four files when asked to."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import os
import struct
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minidl.errors import DataError, FormatError

FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30.0  # seconds without an answer

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file, gzipped or plain.

    Parameters
    ----------
    path : path

    Returns
    -------
    array
        Of the shape and type that the file declares.

    Raises
    ------
    FormatError
        If it is no IDX file, or holds more or less than it declares.

    References
    ----------
    Y. LeCun, "The IDX file format", http://yann.lecun.com/exdb/mnist/.
    """
    path = Path(path)
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            return _read(file, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"{path}: the gzip file is damaged ({error}); fetch it again") from error


def _read(file: Any, path: Path) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise FormatError(
            f"{path}: not an IDX file: it starts with {magic!r}, expected two zero bytes, a type code and the number "
            "of axes"
        )
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise FormatError(f"{path}: the IDX header ends after {len(header) // 4} of {magic[3]} sizes")
    shape = struct.unpack(f">{magic[3]}I", header)
    dtype = np.dtype(_TYPES[magic[2]])
    expected = dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object))
    content = bytearray()  # read by and by: a damaged header may declare more than there is memory
    while len(content) <= expected and (block := file.read(min(expected + 1 - len(content), 1 << 20))):
        content += block
    if len(content) != expected:
        found = "more" if len(content) > expected else f"{len(content)}"
        raise FormatError(f"{path}: the IDX header declares {shape}, which is {expected} bytes, but there are {found}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_mnist(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the images (N, 28, 28) and labels (N,) of a split, both uint8, from the files in ``root``.

    Raises
    ------
    DataError
        If a file is missing.
    FormatError
        If one is damaged, or the two don't belong together.
    """
    stem = {"train": "train", "test": "t10k"}[split]
    paths = [find(root, f"{stem}-{rest}.gz") for rest in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    images, labels = (read_idx(path) for path in paths)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise FormatError(f"{paths[0]}: expected images (N, 28, 28) of uint8, found {images.shape} of {images.dtype}")
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise FormatError(f"{paths[1]}: expected labels (N,) of uint8, found {labels.shape} of {labels.dtype}")
    if len(images) != len(labels):
        raise FormatError(f"{paths[0]}: {len(images)} images, but {paths[1].name} has {len(labels)} labels")
    if labels.size and labels.max() > 9:
        raise FormatError(f"{paths[1]}: labels must be 0 to 9, found {labels.max()}")
    return images, labels


def find(root: Path, name: str) -> Path:
    """Return where the file is in ``root``: gzipped or plain, there or where torchvision puts it (``MNIST/raw``).

    Raises
    ------
    DataError
        If it is nowhere.
    """
    for folder in (root, root / "MNIST" / "raw"):
        for found in (folder / name, folder / name.removesuffix(".gz")):
            if found.is_file():
                return found
    raise DataError(
        f"mnist: {name} is not in {root}; put MNIST's four files ({', '.join(FILES)}; gzipped or not) there, name "
        "another folder with root= or MINIDL_DATA, or download them with download=True"
    )


def download_mnist(root: Path, mirrors: Sequence[str] | None = None) -> None:
    """Download those of MNIST's four files that are not in ``root``.

    A file appears there under its name only after its hash was found right.

    Parameters
    ----------
    root : Path
    mirrors : sequence of str, optional
        Addresses to try in turn.

    Raises
    ------
    DataError
        If a file can't be had from any mirror.
    """
    root.mkdir(parents=True, exist_ok=True)
    for name, digest in FILES.items():
        with suppress(DataError):
            find(root, name)
            continue
        failures = []
        for mirror in MIRRORS if mirrors is None else mirrors:
            try:
                _download(mirror + name, root / name, digest)
                break
            except Exception as error:  # whatever is wrong with this mirror, the next one may be right
                failures.append(f"{mirror}{name}: {error}")
        else:
            raise DataError(
                f"mnist: {name} could not be downloaded:\n  " + "\n  ".join(failures) + f"\nPut MNIST's four files "
                f"({', '.join(FILES)}) into {root} by hand, and leave download=True out"
            )


def _download(url: str, path: Path, digest: str) -> None:
    request = importlib.import_module("urllib.request")  # half of what `import minidl` would otherwise take
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        hashed = hashlib.md5(usedforsecurity=False)
        with part.open("xb") as file, request.urlopen(url, timeout=TIMEOUT) as answer:
            while block := answer.read(1 << 16):
                hashed.update(block)
                file.write(block)
        if hashed.hexdigest() != digest:
            raise DataError(f"the file's MD5 is {hashed.hexdigest()}, expected {digest}")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
