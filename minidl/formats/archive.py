"""Zip archives of a few named files, read without trust: what a ``.keras`` file is.

The list of names is believed only as far as it agrees with the file: each member's local header has to say the same,
members may not overlap (one packed block, listed a thousand times), and unpacking stops at the declared size.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import BinaryIO

from minidl.errors import ArgumentError, FormatError
from minidl.formats.atomic import atomic_write
from minidl.formats.source import Source, open_source

__all__ = ["read_zip", "write_zip"]

_LIMIT = 512 * 2**20
_MOST_MEMBERS = 1000
_MOST_NAME = 255
_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


def write_zip(path: str | os.PathLike[str], members: Mapping[str, bytes]) -> None:
    """Write a zip archive, atomically; the same content makes the same bytes, whenever it is written.

    Parameters
    ----------
    path : str or path
    members : dict of str to bytes
        Names are relative, with ``/`` between folders. Nothing is compressed: weights hardly shrink.

    Raises
    ------
    ArgumentError
        If a name would be refused when it is read.
    OSError
        If the file cannot be written; the one that was there is untouched.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/x.zip"
    >>> write_zip(path, {"config.json": b"{}"})
    >>> read_zip(path)
    {'config.json': b'{}'}
    """
    for name in members:
        problem = _name_problem(name)
        if problem:
            raise ArgumentError(f"write_zip: {name!r} {problem}")
    if len(members) > _MOST_MEMBERS:
        raise ArgumentError(f"write_zip: {len(members):,} files; {_MOST_MEMBERS:,} at most")
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)  # of 1 January 1980
            entry.create_system = 3  # as on Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def read_zip(source: Source, limit: int | None = None) -> dict[str, bytes]:
    """Read a whole zip archive into memory, trusting nothing in it.

    Parameters
    ----------
    source : str, path or bytes
        Bytes are the content of an archive.
    limit : int, optional
        How many bytes all members may take, unpacked. Left out: the archive's size and 512 MiB more.

    Returns
    -------
    dict of str to bytes
        By name, in the order of the archive. Folders are left out.

    Raises
    ------
    FormatError
        If it is no zip archive, is damaged, unpacks to more than it says or than ``limit``, is encrypted or packed
        otherwise than by deflate, or has a name twice or one that leads out of a folder.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/x.zip"
    >>> write_zip(path, {"metadata.json": b"{}", "weights/0": bytes(2)})
    >>> list(read_zip(path))
    ['metadata.json', 'weights/0']
    """
    with open_source(source) as (file, size, place):
        limit = size + _LIMIT if limit is None else limit
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except Exception as error:  # BadZipFile, struct.error, NotImplementedError, ...
            raise FormatError(f"{place}: damaged, or no zip archive ({error})") from error
        problem = _listing_problem(entries, limit)
        if problem:
            raise FormatError(f"{place}: {problem}")
        members = {}
        end_of_last = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            start = _data_start(file, entry, size, f"{place}: {entry.filename}")
            if entry.header_offset < end_of_last:
                raise FormatError(f"{place}: {entry.filename}: overlaps the file before it")
            end_of_last = start + entry.compress_size
            members[entry.filename] = _unpacked(file, entry, start, f"{place}: {entry.filename}")
    return {entry.filename: members[entry.filename] for entry in entries if not entry.is_dir()}


def _name_problem(name: str) -> str:
    """Return what is wrong with a member's name, or an empty string."""
    parts = name.removesuffix("/").split("/")
    if len(name) > _MOST_NAME:
        return f"is a name of {len(name)} characters; {_MOST_NAME} at most"
    if name.startswith("/") or ".." in parts or ":" in name or "\\" in name:
        return "is a name that leads out of the archive's folder"
    if "" in parts or "." in parts or any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in name):
        return "is no name for a file"
    return ""


def _listing_problem(entries: list[zipfile.ZipInfo], limit: int) -> str:
    """Return what is wrong with the archive's list of members, or an empty string."""
    if len(entries) > _MOST_MEMBERS:
        return f"{len(entries):,} files; expected {_MOST_MEMBERS:,} at most"
    seen = set()
    for entry in entries:
        name = entry.filename
        problem = _name_problem(name)
        if problem or entry.orig_filename != name:  # zipfile cuts names at a zero
            return f"{name[:_MOST_NAME]!r} {problem or 'is cut off at a zero'}"
        if name in seen:
            return f"{name!r} stands in it twice"
        seen.add(name)
        if entry.flag_bits & _ENCRYPTED:
            return f"{name}: is encrypted"
        if entry.compress_type not in _METHODS:
            return f"{name}: is packed by method {entry.compress_type}; expected {' or '.join(_METHODS.values())}"
    total = sum(entry.file_size for entry in entries)
    if total > limit:
        return f"unpacks to {total:,} bytes, more than {limit:,}; limit= allows more"
    return ""


def _data_start(file: BinaryIO, entry: zipfile.ZipInfo, size: int, place: str) -> int:
    """Return where the data of a member starts, after comparing its local header with the archive's list."""
    if not 0 <= entry.header_offset <= size - _LOCAL_HEADER.size:
        raise FormatError(f"{place}: begins outside of the file")
    file.seek(entry.header_offset)
    header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    signature, flags, method, name_length, extra_length = header[0], header[2], header[3], header[9], header[10]
    start = entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    raw_name = file.read(name_length)
    if signature != b"PK\3\4" or (flags, method) != (entry.flag_bits, entry.compress_type):
        raise FormatError(f"{place}: its header differs from the archive's list")
    if raw_name != entry.filename.encode("utf-8" if entry.flag_bits & 0x800 else "cp437", "replace"):
        raise FormatError(f"{place}: its header has another name, {raw_name[:_MOST_NAME]!r}")
    if start + entry.compress_size > size:
        raise FormatError(f"{place}: {entry.compress_size:,} bytes packed do not fit into the file: it is cut off")
    return start


def _unpacked(file: BinaryIO, entry: zipfile.ZipInfo, start: int, place: str) -> bytes:
    """Return the content of a member, of its declared size and checksum."""
    file.seek(start)
    data = file.read(entry.compress_size)
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = unpacker.decompress(data, entry.file_size + 1)  # one more than declared, to see that there is more
        except zlib.error as error:
            raise FormatError(f"{place}: damaged ({error})") from error
    if len(data) != entry.file_size:
        what = "more" if len(data) > entry.file_size else f"{len(data):,}"
        raise FormatError(f"{place}: declares {entry.file_size:,} bytes, and has {what}")
    if zlib.crc32(data) != entry.CRC:
        raise FormatError(f"{place}: damaged: its checksum differs")
    return data
