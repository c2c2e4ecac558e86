"""HDF5 groups: what minidl writes, what h5py and Keras write, and what is refused."""

from __future__ import annotations

import importlib
import os
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5f, h5p
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.formats import hdf5
from minidl.formats.hdf5 import Group, hdf5_bytes, read_hdf5, write_hdf5
from minidl.formats.hdf5_texts import Texts
from tests.formats.test_safetensors import arrays

numbers = arrays.filter(lambda x: x.dtype.kind != "c")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=6)
names = names.filter(lambda name: name != "." and not name.endswith(("0", "1")))  # x0, x1 may be parts of x
attributes = st.dictionaries(
    names,
    texts
    | st.lists(texts, max_size=3)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
    | numbers.filter(lambda x: x.ndim > 0 and x.size),
    max_size=4,
)
groups = st.recursive(
    st.builds(Group, attributes),
    lambda inner: st.builds(Group, attributes, st.dictionaries(names, inner | numbers, max_size=4)),
    max_leaves=6,
)


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, Group):
        assert sorted(a.attributes) == list(b.attributes)
        assert list(a.members) == list(b.members)  # the order is kept
        for name in a.attributes:
            same(a.attributes[name], b.attributes[name])
        for name in a.members:
            same(a.members[name], b.members[name])
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    else:
        assert a == b


@settings(max_examples=50, deadline=None)
@given(groups)
def test_round_trip(group: Group) -> None:
    same(group, read_hdf5(hdf5_bytes(group)))


def test_files_are_written_atomically(tmp_path: Path) -> None:
    group = Group({"backend": "minidl"}, {"z": np.ones(3, "f4"), "a": Group()})
    write_hdf5(group, tmp_path / "x.h5")
    same(group, read_hdf5(tmp_path / "x.h5"))
    with pytest.raises(DTypeError, match="/z is a int; expected a Group or an array"):
        write_hdf5(Group({}, {"z": 3}), tmp_path / "x.h5")  # type: ignore[dict-item]
    same(group, read_hdf5(tmp_path / "x.h5"))
    assert os.listdir(tmp_path) == ["x.h5"]


def test_bytes_do_not_depend_on_the_moment() -> None:
    group = Group({"s": "text", "l": ["a", "b"]}, {"x": np.ones(3), "g": Group({"n": 1}, {"y": np.zeros((2, 2))})})
    first = hdf5_bytes(group)
    time.sleep(1.1)  # HDF5 counts in seconds
    assert hdf5_bytes(group) == first


def test_h5py_reads_it_in_order(tmp_path: Path) -> None:
    group = Group({"text": "hé", "names": ["b", "aé"], "none": [], "flag": True, "rate": 0.5})
    group.members = {str(i): np.array(i) for i in range(12)}
    write_hdf5(group, tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert list(file) == [str(i) for i in range(12)]
        assert file["7"][()] == 7
        assert file.attrs["text"] == "hé"
        assert [n.decode() for n in file.attrs["names"]] == ["b", "aé"]
        assert file.attrs["none"].dtype == np.float64
        assert file.attrs["none"].shape == (0,)
        assert file.attrs["flag"].dtype == np.bool_


def test_paths() -> None:
    root = Group()
    root.put("/a/b/c", np.ones(1))
    assert list(root.members["a"].members["b"].members) == ["c"]  # type: ignore[union-attr]
    assert root.get("a/b/c").shape == (1,)  # type: ignore[union-attr]
    assert root.get("a/b/c/d") is None
    assert root.get("x/y") is None
    assert root.get("") is root
    with pytest.raises(ArgumentError, match=r"Group.put: 'a/b/c/d': 'c' is an array, and can hold nothing"):
        root.put("a/b/c/d", np.ones(1))


# ---------------------------------------------------------------------- as Keras has it


def test_long_lists_of_names_are_split_as_keras_splits_them(tmp_path: Path) -> None:
    importlib.import_module("tests.keras.yardstick")  # skips this test where Keras is not installed
    keras_format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    short, long = ["a", "bb"], [f"model/block_{i:05d}/kernel" + "x" * (i % 7) for i in range(6000)]
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        for name, value in (("short", short), ("long", long), ("none", [])):
            keras_format.save_attributes_to_hdf5_group(file, name, [text.encode() for text in value])
    group = Group({"long": long, "none": [], "short": short})
    same(group, read_hdf5(tmp_path / "keras.h5"))
    write_hdf5(group, tmp_path / "minidl.h5")
    with h5py.File(tmp_path / "minidl.h5") as file, h5py.File(tmp_path / "keras.h5") as theirs:
        assert set(file.attrs) == set(theirs.attrs)
        assert "long2" in file.attrs
        for name in file.attrs:
            assert len(file.attrs[name]) == len(theirs.attrs[name])
        for name, value in group.attributes.items():
            assert keras_format.load_attributes_from_hdf5_group(file, name) == value


def test_a_text_of_any_length() -> None:
    group = Group({"model_config": "{é}" * 100_000})
    same(group, read_hdf5(hdf5_bytes(group)))


def test_an_attribute_that_ends_in_a_number_is_not_a_part() -> None:
    for attributes in ({"x0": ["a"]}, {"x": 1, "x0": ["a"], "x1": ["b"]}, {"x0": 1, "x1": 2}, {"0": ["a"], "1": ["b"]}):
        same(Group(dict(attributes)), read_hdf5(hdf5_bytes(Group(dict(attributes)))))


def test_what_h5py_writes_by_itself(tmp_path: Path) -> None:
    x = np.arange(600.0).reshape(20, 30)
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file.create_dataset("packed", data=x, chunks=(7, 11), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("summed", data=x, chunks=(7, 11), fletcher32=True)
        file.create_dataset("growing", data=x, maxshape=(None, None), chunks=(32, 32))
        file.create_dataset("big", data=x.astype(">f4"))
        file.create_dataset("half", data=x.astype("f2"))
        file.create_dataset("unwritten", (3,), "f4", fillvalue=7.0)
        file.create_dataset("none", (0, 3), "f4")
        file.attrs["bytes"] = np.bytes_(b"fixed")
        file.attrs["vector"] = np.arange(3, dtype=">i2")
    found = read_hdf5(tmp_path / "x.h5")
    for name in ("packed", "summed", "growing"):
        np.testing.assert_array_equal(found.get(name), x)
    same(found.get("big"), x.astype("f4"))
    same(found.get("half"), x.astype("f2"))
    np.testing.assert_array_equal(found.get("unwritten"), [7, 7, 7])
    assert found.get("none").shape == (0, 3)  # type: ignore[union-attr]
    assert found.attributes["bytes"] == "fixed"
    same(found.attributes["vector"], np.arange(3, dtype="i2"))


def test_booleans_are_0_or_1() -> None:
    data = hdf5_bytes(Group({}, {"x": np.array([True] * 64)}))
    found = read_hdf5(data.replace(b"\x01" * 64, b"\x07" * 64)).get("x")
    assert found.view("u1").tolist() == [1] * 64  # type: ignore[union-attr]


# ---------------------------------------------------------------------- what is not written


def cycle() -> Group:
    group = Group()
    group.members["again"] = group
    return group


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        (Group({}, {"a/b": Group()}), ArgumentError, "write_hdf5: / cannot hold anything named 'a/b'; Group.put takes"),
        (Group({}, {"": Group()}), ArgumentError, "cannot hold anything named ''"),
        (Group({}, {".": Group()}), ArgumentError, r"cannot hold anything named '\.'"),
        (Group({}, {"a\0": Group()}), ArgumentError, "cannot hold anything named"),
        (Group({"\ud800": 1}), ArgumentError, "cannot hold anything named"),
        (Group({}, {"g": Group({"a": "x\0"})}), ArgumentError, "/g: attribute 'a' holds a character that HDF5 cannot"),
        (Group({"a": ["\ud800"]}), ArgumentError, "attribute 'a' holds a character that HDF5 cannot"),
        (Group({"a": ["x" * 64513]}), ArgumentError, "a text of 64,513 bytes in a list; 64,512 at most"),
        (Group({"a": np.ones(8065)}), ArgumentError, "64,520 bytes, 64,512 at most; make it a member"),
        (Group({"a": {}}), DTypeError, "attribute 'a' is a dict; expected text, a list of texts"),
        (Group({"a": np.array(["x"])}), DTypeError, "attribute 'a' has dtype <U1"),
        (Group({}, {"x": np.array([None])}), DTypeError, "/x has dtype object; expected booleans, integers or floats"),
        (Group({}, {"x": np.ones(1, "c8")}), DTypeError, "/x has dtype complex64"),
        (cycle(), ArgumentError, "/again/again.* is nested more than 24 deep; does it hold itself"),
    ],
    ids=range(14),
)
def test_what_cannot_be_written(group: Group, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hdf5_bytes(group)


# ---------------------------------------------------------------------- what is not read


def soft_link(file: h5py.File) -> None:
    file["model/kernel"] = h5py.SoftLink("/elsewhere")


def soft_link_to_a_group_within(file: h5py.File) -> None:
    file.create_group("a")
    file["model/kernel"] = h5py.SoftLink("/a")


def external_link(file: h5py.File) -> None:
    file["model/kernel"] = h5py.ExternalLink("/etc/passwd", "/")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("model/kernel", layout)


def terabytes(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (2**38,), "f4")


def terabytes_in_chunks(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (2**38,), "f4", chunks=(2**20,))


def terabytes_packed(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (2**38,), "f4", chunks=(2**20,), compression="gzip")


def all_dimensions(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (2**31,) * 31, "f4", chunks=(1,) * 31)


def many_packed(file: h5py.File) -> None:
    for i in range(20):
        file.create_dataset(f"model/kernel{i:02d}", (2**22,), "f4", chunks=(2**20,), compression="gzip")


def huge_chunks(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (4,), "f4", maxshape=(None,), chunks=(2**28,), compression="gzip")


def bomb(file: h5py.File) -> None:
    """A chunk of 4 KiB that unpacks to a gibibyte, which libhdf5 would do in full."""
    dataset = file.create_dataset("model/kernel", (1024,), "f4", chunks=(1024,), compression="gzip")
    dataset.id.write_direct_chunk((0,), packed_gibibyte())


def lzf(file: h5py.File) -> None:
    file.create_dataset("model/kernel", data=np.ones(9), chunks=(9,), compression="lzf")


def scale_offset(file: h5py.File) -> None:
    file.create_dataset("model/kernel", data=np.ones(9, "i4"), chunks=(9,), scaleoffset=0)


def reference(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (1,), h5py.ref_dtype)


def ragged(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (1,), h5py.vlen_dtype(np.float32))


def strings(file: h5py.File) -> None:
    file.create_dataset("model/kernel", data=["a", "b"])


def compound(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (1,), [("a", "f4")])


def complex_numbers(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (1,), "c8")


def enumeration(file: h5py.File) -> None:
    file.create_dataset("model/kernel", (1,), h5py.enum_dtype({"A": 1, "B": 2}, "i4"))


def null(file: h5py.File) -> None:
    file["model/kernel"] = h5py.Empty("f4")


def named_type(file: h5py.File) -> None:
    file["model/kernel"] = np.dtype("f4")


def cycle_of_links(file: h5py.File) -> None:
    group = file.create_group("model")
    group["kernel"] = group


def cycle_to_the_root(file: h5py.File) -> None:
    file.create_group("model")["kernel"] = file["/"]


def two_names(file: h5py.File) -> None:
    file["model/bias"] = np.ones(3)
    file["model/kernel"] = file["model/bias"]


def doubling(file: h5py.File) -> None:
    """Each group twice in the one above: 2**20 ways to the last."""
    group = file.create_group("model")
    for _ in range(20):
        inner = group.create_group("a")
        group["kernel"] = inner
        group = inner


def deep(file: h5py.File) -> None:
    file.create_group("model" + "/kernel" * 30)


def many(file: h5py.File) -> None:
    for i in range(500):
        file.create_group(f"kernel{i}")


def many_attributes(file: h5py.File) -> None:
    group = file.create_group("model")
    for i in range(1001):
        group.attrs[str(i)] = i


def not_utf8(file: h5py.File) -> None:
    file.create_group("model").attrs["kernel"] = np.bytes_(b"\xff\xfe")


def not_utf8_name(file: h5py.File) -> None:
    file.create_group("model").create_group(b"kernel\xff")


def reference_attribute(file: h5py.File) -> None:
    file.create_group("model").attrs["kernel"] = file.ref


def null_attribute(file: h5py.File) -> None:
    file.create_group("model").attrs["kernel"] = h5py.Empty("f4")


def matrix_of_texts(file: h5py.File) -> None:
    file.create_group("model").attrs["kernel"] = np.array([[b"a"]])


def packed_gibibyte() -> bytes:
    """A gibibyte of zeros as zlib packs it: a piece that refers to none before it, 64 times."""
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)  # without zlib's header and checksum, which belong to the whole
    piece = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 2**30 % 65521 << 16 | 1  # Adler-32 of 2**30 zeros
    return b"\x78\x01" + 64 * piece + packer.flush() + checksum.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (soft_link, "/model/kernel: is a soft link, which is not followed"),
        (soft_link_to_a_group_within, "/model/kernel: is a soft link"),
        (external_link, "/model/kernel: is a link into another file, which is not followed"),
        (external_storage, "/model/kernel: has its data in another file"),
        (virtual, "/model/kernel: is a virtual dataset, whose data would come from other files"),
        (terabytes, r"/model/kernel: shape \(274877906944,\) of float32 takes 1,099,511,627,776 bytes, and the file"),
        (terabytes_in_chunks, "/model/kernel: shape .* takes 1,099,511,627,776 bytes, and the file"),
        (terabytes_packed, "/model/kernel: holds more than .* bytes, counting 1,099,511,627,904 here; limit= allows"),
        (all_dimensions, "/model/kernel: "),
        (many_packed, "/model/kernel04: holds more than"),
        (huge_chunks, r"/model/kernel: chunks of shape \(268435456,\) for shape \(4,\): more than"),
        (bomb, "/model/kernel: a chunk of 4,096 bytes unpacks to more"),
        (lzf, "/model/kernel: is packed by filter 32000; expected shuffle, gzip, fletcher32, each once"),
        (scale_offset, "/model/kernel: is packed by filter 6"),
        (reference, "/model/kernel: is of type TypeReferenceID; expected numbers"),
        (ragged, "/model/kernel: is of type TypeVlenID"),
        (strings, "/model/kernel: is of type TypeStringID"),
        (compound, "/model/kernel: is of type TypeCompoundID"),
        (complex_numbers, "/model/kernel: is of type Type(Compound|Complex)ID"),
        (enumeration, r"/model/kernel: holds an enumeration \(int32\); expected integers or floats"),
        (null, "/model/kernel: holds nothing, not even a shape"),
        (named_type, "/model/kernel: is neither a group nor a dataset"),
        (cycle_of_links, "/model/kernel: stands in the file under two names, or within itself"),
        (cycle_to_the_root, "/model/kernel: stands in the file under two names"),
        (two_names, "/model/kernel: stands in the file under two names"),
        (doubling, "/kernel: stands in the file under two names"),
        (deep, "/kernel/kernel: nested more than 24 deep"),
        (many_attributes, "/model: 1,001 attributes; expected 1,000 at most"),
        (not_utf8, "/model: attribute 'kernel': text that is not UTF-8"),
        (not_utf8_name, r"/model: text that is not UTF-8: b'kernel\\xff'"),
        (reference_attribute, "/model: attribute 'kernel': is of type TypeReferenceID"),
        (null_attribute, "/model: attribute 'kernel': holds nothing"),
        (matrix_of_texts, r"/model: attribute 'kernel': text of shape \(1, 1\); expected one text, or a list"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_refused(tmp_path: Path, make: Callable[[h5py.File], None], message: str) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file)
    start = time.perf_counter()
    with pytest.raises(FormatError, match=message) as caught:
        read_hdf5(tmp_path / "x.h5")
    assert str(caught.value).startswith(f"{tmp_path / 'x.h5'}: /")
    assert time.perf_counter() - start < 5


def test_many_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        many(file)
    assert len(read_hdf5(tmp_path / "x.h5").members) == 500
    monkeypatch.setattr(hdf5, "_MOST_OBJECTS", 300)
    with pytest.raises(FormatError, match="more than 300 groups and datasets"):
        read_hdf5(tmp_path / "x.h5")
    with pytest.raises(FormatError, match="holds more than 20,000 bytes"):
        read_hdf5(tmp_path / "x.h5", limit=20_000)


def test_the_limit() -> None:
    data = hdf5_bytes(Group({}, {"x": np.ones(1000)}))
    assert read_hdf5(data, limit=9000).get("x").shape == (1000,)  # type: ignore[union-attr]
    with pytest.raises(FormatError, match=r"<\d+ bytes>: /x: holds more than 8,000 bytes"):
        read_hdf5(data, limit=8000)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_what_is_no_hdf5(data: bytes) -> None:
    with pytest.raises(FormatError, match="/: damaged, or no HDF5 file"):
        read_hdf5(data)


def test_texts_that_lead_nowhere(tmp_path: Path) -> None:
    """libhdf5 2.0 walks through the first of these for ever."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["a"] = "text"
        file.attrs["b"] = "another"
    data = (tmp_path / "x.h5").read_bytes()
    assert read_hdf5(data).attributes == {"a": "text", "b": "another"}
    heap = data.index(b"GCOL")
    for at, number in ((16, 2**64 - 16), (16, 4096), (32 + 8, 2**64 - 24)):
        forged = data[: heap + at + 8] + number.to_bytes(8, "little") + data[heap + at + 16 :]
        with pytest.raises(FormatError, match=r"damaged: the texts at byte [\d,]+ of the file do not add up"):
            read_hdf5(forged)
    # A thousand collections, one within the other, take no longer.
    nested = b"".join(b"GCOL\1\0\0\0" + (2**20).to_bytes(8, "little") for _ in range(2**16))
    start = time.perf_counter()
    with pytest.raises(FormatError, match="damaged"):
        read_hdf5(data + nested + bytes(2**20))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_texts_in_headers_of_both_versions(tmp_path: Path, libver: str) -> None:
    attributes = {f"text {i} é": "x" * i for i in range(7)} | {"list": ["a", "", "é"]}
    with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
        file.attrs.update(attributes)
    assert (b"OHDR" in (tmp_path / "x.h5").read_bytes()) == (libver == "latest")
    same(Group(attributes), read_hdf5(tmp_path / "x.h5"))


def test_pointers_to_texts_are_not_believed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["long"] = "#" * 2**20
        file.attrs["list"] = ["x"] * 2000
    data = (tmp_path / "x.h5").read_bytes()
    assert read_hdf5(data).attributes["list"] == ["x"] * 2000
    run = re.search(rb"(?:\x01\x00\x00\x00.{12}){2000}", data, re.DOTALL)
    to_long = re.search(rb"\x00\x00\x10\x00.{7}\x00.\x00\x00\x00", data, re.DOTALL)
    assert run
    assert to_long
    for pointers, message in [
        (to_long[0] * 2000, "holds more than"),  # two thousand times the same megabyte
        (b"\xff" * 4 + run[0][4:], "holds more than"),  # 4 GiB
        (b"\2" + run[0][1:], "damaged: points at a text of 2 bytes that is not there"),
        (run[0][:4] + b"\xff" * 8 + run[0][12:], "damaged: points at a text of 1 bytes that is not there"),
        (run[0][:12] + b"\xff" * 4 + run[0][16:], "damaged: points at a text of 1 bytes that is not there"),
    ]:
        with pytest.raises(FormatError, match=f"/: attribute 'list': {message}"):
            read_hdf5(data[: run.start()] + pointers + data[run.end() :])


def test_texts_kept_otherwise_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file.create_group("model").attrs.update({f"kernel{i}": "text" for i in range(20)})
    with pytest.raises(FormatError, match=r"/model: attribute 'kernel0': its texts are kept in a way that is"):
        read_hdf5(tmp_path / "x.h5")
    group = Group({f"kernel{i:02d}": "text" for i in range(20)})  # minidl keeps any number of them in the header
    same(group, read_hdf5(hdf5_bytes(group)))


def test_a_header_that_goes_on_and_on() -> None:
    header = struct.pack("<BxHII4x", 1, 1, 1, 24) + struct.pack("<HHB3xQQ", 0x10, 16, 0, 16, 24)
    with pytest.raises(FormatError, match="its header goes on and on"):
        Texts(header).pointers(0, b"name", 1)


def test_other_widths_of_addresses(tmp_path: Path) -> None:
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_sizes(4, 4)
    h5f.create(bytes(tmp_path / "x.h5"), fcpl=creation).close()
    with pytest.raises(FormatError, match="addresses and sizes are not of 8 bytes"):
        read_hdf5(tmp_path / "x.h5")


def test_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        read_hdf5("missing.h5")
