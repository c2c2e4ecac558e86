"""Texts of variable length in HDF5 attributes, read without libhdf5.

It believes what a file says about them: it reserves 4 GiB where a pointer says so, copies one text as often as it is
pointed at, and walks for ever through a collection whose sizes lead nowhere (seen in HDF5 2.0). So the pointers are
taken from the attribute's message in the group's header, and the texts from the collections that they point at, as the
HDF5 file format specification 3.0 has them: III.E (global heaps), IV.A.1 (object headers), IV.A.2.m (attributes).
Numbers are little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

from minidl.errors import FormatError

_MOST_TEXTS = 2**18
_MOST_BLOCKS = 1000
_CONTINUATION, _ATTRIBUTE, _SHARED = 0x10, 0x0C, 0x02


class _Text(NamedTuple):
    start: int
    length: int


class Texts:
    """The texts of one file.

    Parameters
    ----------
    data : bytes or mmap
        The whole file.

    Raises
    ------
    FormatError
        If a collection of texts is damaged, or there are more than 262,144 texts.
    """

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data = data
        self.collections: dict[int, dict[int, _Text]] = {}
        texts = 0
        start = data.find(b"GCOL\1")
        while start >= 0:
            end = start + self._number(start + 8, 8)
            if start + 4096 <= end <= len(data):  # or it is no collection to libhdf5 either
                self.collections[start] = dict(self._walk(start, end))
                texts += len(self.collections[start])
                if texts > _MOST_TEXTS:
                    raise FormatError(f"more than {_MOST_TEXTS:,} texts")
            start = data.find(b"GCOL\1", start + 4)

    def pointers(self, header: int, name: bytes, count: int) -> list[tuple[int, int, int]]:
        """Return (length, collection, index) of each text of an attribute.

        Parameters
        ----------
        header : int
            Where in the file the header of the group begins that has the attribute.
        name : bytes
            The attribute's.
        count : int
            How many texts it has.
        """
        for kind, flags, body in self._messages(header):
            if kind == _ATTRIBUTE and not flags & _SHARED and len(body) >= 9:
                version, _, *sizes = struct.unpack_from("<BB3H", body)
                start = 8 + (version == 3)  # which has a byte for the name's character set
                if body[start : start + sizes[0]].split(b"\0")[0] == name:
                    start += sum(-(-size // 8) * 8 if version == 1 else size for size in sizes)  # name, type, shape
                    if start + 16 * count > len(body):
                        raise FormatError(f"claims {count:,} texts, and is too short to point at them")
                    return list(struct.iter_unpack("<IQI", body[start : start + 16 * count]))
        raise FormatError("its texts are kept in a way that is not read (dense or shared storage)")

    def text(self, length: int, collection: int, index: int) -> bytes:
        """Return the text at a pointer."""
        if not length:
            return b""
        found = self.collections.get(collection, {}).get(index)
        if found is None or found.length != length:
            raise FormatError(f"damaged: points at a text of {length:,} bytes that is not there")
        return self.data[found.start : found.start + length].split(b"\0")[0]

    # ------------------------------------------------------------------ the file's structures

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self.data[at : at + width], "little")

    def _walk(self, start: int, end: int) -> Iterator[tuple[int, _Text]]:
        """Yield (index, text) of a collection: index, count of users, size (8 bytes at 8), text, padded to 8 bytes."""
        at = start + 16
        for _ in range(_MOST_TEXTS):
            if at + 16 > end:
                return
            index, length = self._number(at, 2), self._number(at + 8, 8)
            step = 16 + length + -length % 8 if index else length  # object 0 is free space, and counts its header
            if step < 16 or at + step > end:
                raise FormatError(f"damaged: the texts at byte {start:,} of the file do not add up")
            if index:
                yield index, _Text(at + 16, length)
            at += step

    def _messages(self, header: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield (kind, flags, body) of the messages in a group's header, of either version."""
        if self.data[header : header + 4] == b"OHDR":
            flags = self._number(header + 5, 1)
            width = 1 << (flags & 3)
            start = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)  # times; limits of storage
            blocks = [(start + width, self._number(start, width))]
            head, framed, at_size, at_flags = (6 if flags & 4 else 4), True, 1, 3
        else:
            blocks = [(header + 16, self._number(header + 8, 4))]
            head, framed, at_size, at_flags = 8, False, 2, 4
        for start, length in blocks:
            block = self.data[start : start + length]
            at = 0
            while at + head <= len(block):
                kind = int.from_bytes(block[at : at + at_size], "little")
                size = int.from_bytes(block[at + at_size : at + at_size + 2], "little")
                body = block[at + head : at + head + size]
                if kind == _CONTINUATION and len(body) >= 16:
                    offset, extent = struct.unpack_from("<QQ", body)
                    # A block of the second version stands between a signature and a checksum.
                    blocks.append((offset + 4, max(extent - 8, 0)) if framed else (offset, extent))
                    if len(blocks) > _MOST_BLOCKS:
                        raise FormatError("damaged: its header goes on and on")
                yield kind, block[at + at_flags], body
                at += head + size
