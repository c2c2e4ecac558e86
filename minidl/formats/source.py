"""Where a reader's bytes come from: an ordinary file, or memory."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from minidl.errors import FormatError

Source = str | os.PathLike[str] | bytes


@contextmanager
def open_source(source: Source) -> Iterator[tuple[BinaryIO, int, str]]:
    """Yield a file open for reading, its size, and what to call it in errors.

    Parameters
    ----------
    source : str, path or bytes
        A pipe or a device is a FormatError: it has no size to hold its content to, and may never end.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source), f"<{len(source)} bytes>"
        return
    place = os.fspath(source)
    if os.path.exists(place) and not os.path.isdir(place) and not stat.S_ISREG(os.stat(place).st_mode):
        raise FormatError(f"{place}: not an ordinary file")  # before it is opened: a pipe would wait for a writer
    with open(place, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size, place
