"""Zip archives: what minidl writes, and what it refuses to read."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.errors import ArgumentError, FormatError
from minidl.formats.archive import read_zip, write_zip

parts = st.text(st.characters(min_codepoint=32, exclude_characters='/\\:."', exclude_categories=["Cs"]), min_size=1)
names = st.lists(parts.map(lambda part: part[:20]), min_size=1, max_size=3).map("/".join)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=100), max_size=4))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.zip"
    write_zip(path, members)
    assert list(read_zip(path).items()) == list(members.items())
    assert read_zip(path.read_bytes()) == members
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == members


def test_bytes_do_not_depend_on_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_zip(tmp_path / "a", {"x": b"1"})
    monkeypatch.setattr("time.time", lambda: 1e9)
    monkeypatch.setattr("sys.platform", "win32")
    write_zip(tmp_path / "b", {"x": b"1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive as the standard library writes it, names unchecked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def patched(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new, count)


def test_reads_what_others_write() -> None:
    assert read_zip(archive(("folder/", b""), ("folder/x", b"data" * 99), ("ü", b""))) == {
        "folder/x": b"data" * 99,
        "ü": b"",
    }


def test_reads_a_stream_written_with_sizes_behind_the_data() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        file.writestr("x", b"data")
    assert read_zip(pipe.getvalue()) == {"x": b"data"}


def bomb() -> bytes:
    return archive(("x", bytes(2**20)))


def understated_bomb() -> bytes:
    """Return an archive that declares 8 bytes and unpacks to a mebibyte."""
    return patched(bomb(), struct.pack("<I", 2**20), struct.pack("<I", 8))


def overlapping() -> bytes:
    """Return an archive whose list names the same data twice (a "better zip bomb" has thousands)."""
    data = archive(("a", bytes(1000)), ("b", bytes(1000)))
    start = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", start + 1)
    local = data.index(b"PK\3\4", 1)
    return data[:second] + patched(data[second:], struct.pack("<I", local), struct.pack("<I", 0), 1)


def quoted() -> bytes:
    """Return an archive in which one member's data contain the whole of the next member."""
    inner = archive(("b", b"inner"), method=zipfile.ZIP_STORED)
    entry = inner[: inner.index(b"PK\1\2")]
    data = archive(("a", entry), ("b", b"inner"), method=zipfile.ZIP_STORED)
    second = data.rindex(b"PK\1\2")
    where = data.index(b"PK\3\4", 4)  # inside of the first member's data
    true = data.index(b"PK\3\4", where + 1)
    return data[:second] + patched(data[second:], struct.pack("<I", true), struct.pack("<I", where), 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged, or no zip archive"),
        (b"PK\3\4", "damaged, or no zip archive"),
        (archive(("x", b"1"))[:-1], "damaged, or no zip archive"),
        (archive(("/etc/passwd", b"")), "'/etc/passwd' is a name that leads out of the archive's folder"),
        (archive(("a/../../b", b"")), "leads out"),
        (archive(("..", b"")), "leads out"),
        (archive(("C:x", b"")), "leads out"),
        (patched(archive(("a+b", b"")), b"a+b", b"a\\b"), "leads out"),
        (archive(("a//b", b"")), "'a//b' is no name for a file"),
        (archive(("./b", b"")), "is no name for a file"),
        (archive(("a\nb", b"")), "is no name for a file"),
        (archive(("a" * 256, b"")), "is a name of 256 characters; 255 at most"),
        (patched(archive(("a+b", b"")), b"a+b", b"a\0b"), "is cut off at a zero"),
        (patched(archive(("a1", b""), ("a2", b"")), b"a2", b"a1"), "'a1' stands in it twice"),
        (archive(*((str(i), b"") for i in range(1001))), "1,001 files; expected 1,000 at most"),
        (archive(("x", b"1"), method=zipfile.ZIP_LZMA), "x: is packed by method 14; expected stored or deflated"),
        (understated_bomb(), "x: declares 8 bytes, and has more"),
        (patched(archive(("x", b"1")), struct.pack("<I", zlib.crc32(b"1")), b"abcd"), "x: damaged: its checksum"),
        (overlapping(), "b: its header has another name, b'a'"),
        (quoted(), "b: overlaps the file before it"),
    ],
    ids=range(20),
)
def test_what_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.keras").write_bytes(data)
    with pytest.raises(FormatError, match=message) as caught:
        read_zip(tmp_path / "x.keras")
    assert str(tmp_path / "x.keras") in str(caught.value)


def forge(place: bytes, offset: int, value: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = data.index(place) + offset
        return data[:at] + value + data[at + len(value) :]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (forge(b"PK\1\2", 8, b"\1"), "x: is encrypted"),
        (forge(b"PK\3\4", 6, b"\1"), "x: its header differs from the archive's list"),
        (forge(b"PK\3\4", 8, b"\0"), "x: its header differs"),
        (forge(b"PK\3\4", 0, b"XX"), "x: its header differs"),
        (forge(b"PK\3\4", 30, b"y"), "x: its header has another name, b'y'"),
        (forge(b"PK\3\4", 31, b"\xff" * 4), r"x: damaged \(Error"),
        (forge(b"PK\1\2", 20, b"\xff\xff"), "x: 65,535 bytes packed do not fit into the file"),
        (forge(b"PK\1\2", 24, b"\xff\xff"), "x: declares 65,535 bytes, and has 1,000"),
        (forge(b"PK\1\2", 24, b"\xff\xff\xff\x7f"), "unpacks to 2,147,483,647 bytes, more than"),
        (forge(b"PK\1\2", 42, b"\xff\xff\xff"), "x: begins outside of the file"),
    ],
    ids=range(10),
)
def test_forged_headers(change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_zip(change(archive(("x", b"0123456789" * 100))))


def test_the_limit() -> None:
    assert len(read_zip(bomb(), limit=2**20)["x"]) == 2**20
    with pytest.raises(FormatError, match="unpacks to 1,048,576 bytes, more than 1,048,575; limit= allows more"):
        read_zip(bomb(), limit=2**20 - 1)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"../x": b""}, r"write_zip: '../x' is a name that leads out"),
        ({"": b""}, "write_zip: '' is no name for a file"),
        (dict.fromkeys(map(str, range(1001)), b""), "write_zip: 1,001 files; 1,000 at most"),
    ],
    ids=range(3),
)
def test_what_is_not_written(tmp_path: Path, members: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        write_zip(tmp_path / "x", members)
    assert not (tmp_path / "x").exists()
