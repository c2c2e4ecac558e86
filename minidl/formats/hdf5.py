"""HDF5 as plain groups in memory: what Keras's ``.h5`` files are made of, and nothing else that HDF5 can do.

Reading takes a file that nobody vouches for. Links to other names or files, external storage, virtual datasets, filters
that need plug-ins, and types other than numbers and text are refused before libhdf5 acts on them, and what a dataset
claims to hold is compared with what the file can hold before memory is reserved for it.

The only module that imports h5py.
"""

from __future__ import annotations

import math
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5, h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5s, h5t, h5z

from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.formats.atomic import atomic_write
from minidl.formats.hdf5_texts import Texts
from minidl.formats.source import Source, open_source

__all__ = ["Group", "hdf5_bytes", "read_hdf5", "write_hdf5"]

_ATTRIBUTE_BYTES = 64512  # no single attribute may be longer; Keras splits a list that is
_DEPTH = 24
_MOST_OBJECTS = 2**16
_MOST_ATTRIBUTES = 1000  # of one group
_MEBIBYTE = 2**20
_ENTRY_COST = 128  # what any entry costs in memory, at least

_FILTERS = {h5z.FILTER_SHUFFLE: "shuffle", h5z.FILTER_DEFLATE: "gzip", h5z.FILTER_FLETCHER32: "fletcher32"}


#: What h5py makes of libhdf5's complaints, and NumPy and zlib of what they are given then.
_COMPLAINTS = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
    zlib.error,
)


@dataclass
class Group:
    """An HDF5 group: attributes, and members that are arrays or further groups.

    Parameters
    ----------
    attributes : dict of str to str, list of str, number, bool or array
        By name, in alphabetical order once they come from a file.
    members : dict of str to Group or numpy.ndarray
        In the order in which they were written, or alphabetical if the file does not tell.

    Examples
    --------
    >>> root = Group({"backend": "minidl"})
    >>> root.put("model_weights/dense/kernel", np.zeros((2, 3)))
    >>> root.get("model_weights/dense/kernel").shape
    (2, 3)
    >>> root.get("model_weights/dense/bias") is None
    True
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Group | np.ndarray] = field(default_factory=dict)

    def get(self, path: str) -> Group | np.ndarray | None:
        """Return what stands at ``"group/group/name"``, or None."""
        found: Group | np.ndarray | None = self
        for name in filter(None, path.split("/")):
            found = found.members.get(name) if isinstance(found, Group) else None
        return found

    def put(self, path: str, value: Group | np.ndarray) -> None:
        """Set a member at ``"group/group/name"``, with the groups on the way that are missing."""
        *above, last = filter(None, path.split("/"))
        group = self
        for name in above:
            inner = group.members.setdefault(name, Group())
            if not isinstance(inner, Group):
                raise ArgumentError(f"Group.put: {path!r}: {name!r} is an array, and can hold nothing")
            group = inner
        group.members[last] = value


def _is_number(dtype: np.dtype) -> bool:
    """Whether arrays of a dtype are written and read: booleans, integers, floats up to 64 bits."""
    return dtype.kind in "biuf" and dtype.itemsize <= 8


# ---------------------------------------------------------------------- writing


def write_hdf5(group: Group, path: str | os.PathLike[str]) -> None:
    """Write a group and all below it as one HDF5 file, atomically.

    Parameters
    ----------
    group : Group
        The root. A list of texts beyond 64,512 bytes becomes ``name0``, ``name1``, ..., as Keras writes it.
    path : str or path

    Raises
    ------
    ArgumentError
        If a name or an attribute cannot stand in the format.
    DTypeError
        If a member or an attribute is of a type that is not written.
    OSError
        If the file cannot be written; the one that was there is untouched.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/x.h5"
    >>> write_hdf5(Group({"names": ["a", "b"]}, {"x": np.arange(3)}), path)
    >>> read_hdf5(path)
    Group(attributes={'names': ['a', 'b']}, members={'x': array([0, 1, 2])})
    """
    data = hdf5_bytes(group)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def hdf5_bytes(group: Group) -> bytes:
    """Return the content of the file that :func:`write_hdf5` writes.

    Parameters
    ----------
    group : Group

    Returns
    -------
    bytes

    Raises
    ------
    ArgumentError
        If a name or an attribute cannot stand in the format.
    DTypeError
        If a member or an attribute is of a type that is not written.

    Examples
    --------
    >>> hdf5_bytes(Group())[1:4]
    b'HDF'
    """
    access, creation = h5p.create(h5p.FILE_ACCESS), h5p.create(h5p.FILE_CREATE)
    access.set_fapl_core(_MEBIBYTE, backing_store=False)  # in memory; no file of that name is made
    _make_reproducible(creation)
    file = h5f.create(b"minidl", h5f.ACC_TRUNC, fcpl=creation, fapl=access)
    try:
        _write_group(h5g.open(file, b"/"), group, "/", 0)
        h5f.flush(file)
        return file.get_file_image()
    finally:
        file.close()


def _make_reproducible(creation: Any) -> None:
    """Have a new group keep the order of its members, and not the time."""
    creation.set_link_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
    creation.set_obj_track_times(False)
    creation.set_attr_phase_change(2**16 - 1, 0)  # however many, in the group's header


def _write_group(target: Any, group: Group, where: str, depth: int) -> None:
    """Write attributes and members into a new group of the file."""
    if depth > _DEPTH:
        raise ArgumentError(f"write_hdf5: {where[:100]}... is nested more than {_DEPTH} deep; does it hold itself?")
    for name, value in group.attributes.items():
        for part, data in _attribute_parts(_checked_name(name, where), value, where):
            h5py.Group(target).attrs[part] = data
    for name, member in group.members.items():
        place = f"{where.rstrip('/')}/{_checked_name(name, where)}"
        if isinstance(member, Group):
            creation = h5p.create(h5p.GROUP_CREATE)
            _make_reproducible(creation)
            _write_group(h5g.create(target, name.encode(), gcpl=creation), member, place, depth + 1)
        elif not isinstance(member, np.ndarray):
            raise DTypeError(f"write_hdf5: {place} is a {type(member).__name__}; expected a Group or an array")
        elif not _is_number(member.dtype):
            raise DTypeError(f"write_hdf5: {place} has dtype {member.dtype}; expected booleans, integers or floats")
        else:
            h5py.Group(target).create_dataset(name, data=member)


def _checked_name(name: Any, where: str) -> str:
    """Return a name if it can be one within a group."""
    if not isinstance(name, str) or name in ("", ".") or "/" in name or not _is_text(name):
        raise ArgumentError(f"write_hdf5: {where} cannot hold anything named {name!r}; Group.put takes a/b/c")
    return name


def _is_text(text: str) -> bool:
    """Whether a text can be written: HDF5 ends it at a zero, and lone surrogates have no UTF-8."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def _attribute_parts(name: str, value: Any, where: str) -> list[tuple[str, Any]]:
    """Return the attributes that one becomes: a long list of texts becomes several."""
    place = f"write_hdf5: {where}: attribute {name!r}"
    if isinstance(value, str):
        if not _is_text(value):
            raise ArgumentError(f"{place} holds a character that HDF5 cannot: \\0 or half of a pair")
        return [(name, value)]
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        if not all(map(_is_text, value)):
            raise ArgumentError(f"{place} holds a character that HDF5 cannot: \\0 or half of a pair")
        texts = np.array([item.encode() for item in value]) if value else np.empty(0)  # an empty list, as Keras does
        if texts.itemsize > _ATTRIBUTE_BYTES:
            raise ArgumentError(f"{place}: a text of {texts.itemsize:,} bytes in a list; {_ATTRIBUTE_BYTES:,} at most")
        if texts.nbytes <= _ATTRIBUTE_BYTES:
            return [(name, texts)]
        count = 2
        while -(-len(texts) // count) * texts.itemsize > _ATTRIBUTE_BYTES:
            count += 1
        return [(f"{name}{i}", part) for i, part in enumerate(np.array_split(texts, count))]
    if isinstance(value, (bool, int, float, np.generic, np.ndarray)):
        array = np.asarray(value)
        if not _is_number(array.dtype):
            raise DTypeError(f"{place} has dtype {array.dtype}; expected booleans, integers or floats")
        if array.nbytes > _ATTRIBUTE_BYTES:
            raise ArgumentError(f"{place}: {array.nbytes:,} bytes, {_ATTRIBUTE_BYTES:,} at most; make it a member")
        return [(name, array)]
    raise DTypeError(f"{place} is a {type(value).__name__}; expected text, a list of texts, a number or an array")


# ---------------------------------------------------------------------- reading


def read_hdf5(source: Source, limit: int | None = None) -> Group:
    """Read a whole HDF5 file into memory, trusting nothing in it.

    Parameters
    ----------
    source : str, path or bytes
        Bytes are the content of a file.
    limit : int, optional
        How many bytes its content may take in memory. Left out: its own size, and for what is compressed up to 16 times
        that, at least 64 MiB and at most 512 MiB more than its size.

    Returns
    -------
    Group
        The root. Lists of texts that were split over ``name0``, ``name1``, ... are one again.

    Raises
    ------
    FormatError
        If it is no HDF5 file, is damaged, or has anything else than groups, numbers and text in it; the message names
        the file and the place inside.
    OSError
        If the file cannot be opened.

    Notes
    -----
    libhdf5 itself may crash on a file that was made for it to crash on:
    :func:`minidl.formats.isolated.read_isolated` reads in another process.

    Examples
    --------
    >>> read_hdf5(hdf5_bytes(Group({}, {"x": np.zeros((1, 2))})))
    Group(attributes={}, members={'x': array([[0., 0.]])})
    """
    with open_source(source) as (file, size, place):
        if limit is None:
            limit = size + min(max(16 * size, 64 * _MEBIBYTE), 512 * _MEBIBYTE)
        reader = _Reader(size, limit)
        try:
            with _whole(file, size) as data:
                reader.texts = Texts(data)
                with h5py.File(file, "r") as opened:
                    creation = opened.id.get_create_plist()
                    if creation.get_sizes() != (8, 8) or creation.get_userblock():
                        raise FormatError("addresses and sizes are not of 8 bytes from the start, as h5py writes them")
                    return reader.group(h5g.open(opened.id, b"/"), "/", 0)
        except FormatError as error:
            raise FormatError(f"{place}: {reader.where}: {error}") from error
        except _COMPLAINTS as error:
            raise FormatError(f"{place}: {reader.where}: damaged, or no HDF5 file ({error})") from error


class _Reader:
    """Reads one file; counts what it takes, and knows where it is."""

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = self.left = limit
        self.texts = Texts(b"")
        self.where = "/"
        self.seen: set[int] = set()

    def spend(self, count: int) -> None:
        """Account for memory before it is reserved."""
        self.left -= count
        if self.left < 0:
            raise FormatError(f"holds more than {self.limit:,} bytes, counting {count:,} here; limit= allows more")

    # ------------------------------------------------------------------ groups

    def group(self, group: Any, where: str, depth: int) -> Group:
        """Read a group and all below it."""
        self.where = where
        self._enter(group)
        if depth > _DEPTH:
            raise FormatError(f"nested more than {_DEPTH} deep")
        attributes = _joined(self._attributes(group, where))
        members: dict[str, Group | np.ndarray] = {}
        for name in self._names(group):
            self.where = place = f"{where.rstrip('/')}/{_decoded(name)}"
            kind = group.links.get_info(name).type
            if kind != h5l.TYPE_HARD:
                what = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link into another file"}
                raise FormatError(f"is {what.get(kind, 'a link of an unknown kind')}, which is not followed")
            member = h5o.open(group, name)
            if isinstance(member, h5g.GroupID):
                members[_decoded(name)] = self.group(member, place, depth + 1)
            elif isinstance(member, h5d.DatasetID):
                self._enter(member)
                members[_decoded(name)] = self._dataset(member)
            else:
                raise FormatError("is neither a group nor a dataset")
        return Group(attributes, members)

    def _enter(self, member: Any) -> None:
        """Refuse what was read before: a link back up would never end, and two names multiply."""
        address = h5o.get_info(member).addr
        if address in self.seen:
            raise FormatError("stands in the file under two names, or within itself")
        self.seen.add(address)
        if len(self.seen) > _MOST_OBJECTS:
            raise FormatError(f"more than {_MOST_OBJECTS:,} groups and datasets")

    def _names(self, group: Any) -> list[bytes]:
        """Return the names of a group's members."""
        found: list[bytes] = []

        def enter(name: bytes) -> bool | None:
            found.append(name)
            self.left -= len(name) + _ENTRY_COST
            return True if self.left < 0 else None  # True stops

        in_order = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
        group.links.iterate(enter, idx_type=h5.INDEX_CRT_ORDER if in_order else h5.INDEX_NAME)
        self.spend(0)
        return found

    # ------------------------------------------------------------------ attributes

    def _attributes(self, group: Any, where: str) -> dict[str, Any]:
        """Read the attributes of a group."""
        count = h5a.get_num_attrs(group)
        if count > _MOST_ATTRIBUTES:
            raise FormatError(f"{count:,} attributes; expected {_MOST_ATTRIBUTES:,} at most")
        found = {}
        for i in range(count):
            self.where = f"{where}: attribute {i}"
            attribute = h5a.open(group, index=i)
            name = _decoded(attribute.name)
            self.where = f"{where}: attribute {name!r}"
            self.spend(len(name) + _ENTRY_COST)
            found[name] = self._attribute(attribute, h5py.Group(group), name)
        return found

    def _attribute(self, attribute: Any, group: h5py.Group, name: str) -> Any:
        """Read one attribute: text, a list of texts, a number or an array of numbers."""
        kind, shape = attribute.get_type(), _shape(attribute.get_space())
        count = math.prod(shape)
        is_text = kind.get_class() == h5t.STRING
        if is_text and len(shape) > 1:
            raise FormatError(f"text of shape {shape}; expected one text, or a list")
        if is_text and kind.is_variable_str():
            pointers = self.texts.pointers(h5o.get_info(group.id).addr, name.encode(), count)
            self.spend(sum(pointer[0] for pointer in pointers) + _ENTRY_COST * count)
            texts = [_decoded(self.texts.text(*pointer)) for pointer in pointers]
            return texts if shape else texts[0]
        if not is_text:
            _number_dtype(kind)
        if count * kind.get_size() > self.size:
            raise FormatError(f"claims {count * kind.get_size():,} bytes in a file of {self.size:,}")
        self.spend(count * kind.get_size() + _ENTRY_COST * count)
        value = group.attrs[name]
        if is_text:
            return [_decoded(item) for item in value] if shape else _decoded(value)
        array = _plain(np.asarray(value))
        if array.dtype == np.float64 and array.shape == (0,):
            return []  # Keras's empty list of names
        return array if array.shape else array.item()

    # ------------------------------------------------------------------ datasets

    def _dataset(self, dataset: Any) -> np.ndarray:
        """Read one dataset, after all that it claims was found possible."""
        creation = dataset.get_create_plist()  # first: asking for a shape may open the files of a virtual dataset
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL:
            raise FormatError("is a virtual dataset, whose data would come from other files")
        if creation.get_external_count():
            raise FormatError("has its data in another file")
        dtype = _number_dtype(dataset.get_type())
        shape = _shape(dataset.get_space())
        nbytes = math.prod(shape) * dtype.itemsize
        filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
        for code in filters:
            if code not in _FILTERS or filters.count(code) > 1:
                raise FormatError(f"is packed by filter {code}; expected {', '.join(_FILTERS.values())}, each once")
        packed = h5z.FILTER_DEFLATE in filters
        if not packed and nbytes > self.size:
            raise FormatError(f"shape {shape} of {dtype} takes {nbytes:,} bytes, and the file has {self.size:,}")
        self.spend(nbytes + _ENTRY_COST)
        if layout == h5d.CHUNKED:
            self._check_chunks(dataset, creation.get_chunk(), shape, dtype.itemsize, filters)
        array = np.zeros(shape, dtype)
        if array.size:
            dataset.read(h5s.ALL, h5s.ALL, array)
        return _plain(array)

    def _check_chunks(
        self, dataset: Any, chunk: tuple[int, ...], shape: tuple[int, ...], itemsize: int, filters: list[int]
    ) -> None:
        """Check that the pieces of a dataset are as many and as large as they should be, once unpacked."""
        expected = math.prod(-(-size // step) for size, step in zip(shape, chunk, strict=True))
        whole = math.prod(chunk) * itemsize
        if whole * max(expected, 1) > self.limit:
            raise FormatError(f"chunks of shape {chunk} for shape {shape}: more than {self.limit:,} bytes")
        pieces: list[Any] = []

        def enter(piece: Any) -> bool | None:
            pieces.append(piece)
            return True if len(pieces) > expected else None  # True stops

        dataset.chunk_iter(enter)
        if len(pieces) > expected:
            raise FormatError(f"more than the {expected:,} chunks that shape {shape} has")
        for piece in pieces:
            if piece.size > self.size:
                raise FormatError(f"a chunk claims {piece.size:,} bytes in a file of {self.size:,}")
            if h5z.FILTER_DEFLATE in filters and not piece.filter_mask >> filters.index(h5z.FILTER_DEFLATE) & 1:
                # libhdf5 would unpack to the end, whatever the chunk's size; four bytes may be a checksum.
                data = dataset.read_direct_chunk(piece.chunk_offset)[1]
                if len(zlib.decompressobj().decompress(data, whole + 5)) > whole + 4:
                    raise FormatError(f"a chunk of {whole:,} bytes unpacks to more")


def _shape(space: Any) -> tuple[int, ...]:
    """Return the shape of a data space."""
    if space.get_simple_extent_type() == h5s.NULL:
        raise FormatError("holds nothing, not even a shape")
    return tuple(space.get_simple_extent_dims())


def _number_dtype(kind: Any) -> np.dtype:
    """Return the NumPy dtype of a type of the file, in this machine's byte order, if it is a number's."""
    name = {h5t.INTEGER: "integers", h5t.FLOAT: "floats", h5t.ENUM: "an enumeration"}.get(kind.get_class())
    if name is None:
        raise FormatError(f"is of type {type(kind).__name__}; expected numbers or text")
    dtype = kind.dtype.newbyteorder("=")
    if not _is_number(dtype) or (name == "an enumeration" and dtype != np.bool_):
        raise FormatError(f"holds {name} ({dtype}); expected integers or floats of up to 64 bits, or booleans")
    return np.dtype(dtype.str)


def _plain(array: np.ndarray) -> np.ndarray:
    """Return numbers in this machine's byte order; booleans as 0 and 1, whatever their bytes say."""
    if array.dtype == np.bool_:
        return np.asarray(array.view(np.uint8) != 0)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _decoded(text: bytes | str) -> str:
    """Return text as a str, if it is UTF-8 (h5py marks what is not with lone surrogates)."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"text that is not UTF-8: {raw[:50]!r}") from error


def _joined(attributes: dict[str, Any]) -> dict[str, Any]:
    """Put lists of texts together again that were split for their length."""
    for name in [name[:-1] for name in attributes if name.endswith("0")]:
        parts: list[list[str]] = []
        while isinstance(attributes.get(f"{name}{len(parts)}"), list):
            parts.append(attributes[f"{name}{len(parts)}"])
        if len(parts) > 1 and name and name not in attributes:
            for i in range(len(parts)):
                del attributes[f"{name}{i}"]
            attributes[name] = [text for part in parts for text in part]
    return dict(sorted(attributes.items()))


@contextmanager
def _whole(file: BinaryIO, size: int) -> Iterator[bytes | mmap.mmap]:
    """Yield all bytes of a file, on demand."""
    if isinstance(file, BytesIO):
        yield file.getvalue()
    elif not size:
        yield b""  # which cannot be mapped
    else:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            yield view
