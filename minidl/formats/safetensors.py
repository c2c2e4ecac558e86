"""Named arrays in one file, in the ``safetensors`` format: a JSON header, then the bytes of the arrays.

The file is 8 bytes with the header's length (little-endian), the header, and the data::

    {"fc.weight": {"dtype": "F32", "shape": [10, 84], "data_offsets": [0, 3360]}, ..., "__metadata__": {"by": "me"}}

Offsets count from the end of the header, and the arrays cover the data without gaps or overlaps. So everything that
could ask for memory is compared with the file's size before a byte of it is reserved.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from minidl.autograd import Variable, wrap
from minidl.backend import is_array, to_numpy
from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.formats.atomic import atomic_write
from minidl.formats.source import Source, open_source
from minidl.formats.strict_json import MOST_BYTES, parse_json

__all__ = ["load_safetensors", "read_safetensors", "save_safetensors"]

_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_MOST_DIMENSIONS = 32


def _bfloat16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float32)


def _float8_e4m3(bits: np.ndarray) -> np.ndarray:
    codes = np.arange(128)
    exponent, mantissa = codes >> 3, codes & 7
    values = np.where(exponent > 0, np.ldexp(1 + mantissa / 8, exponent - 7), np.ldexp(mantissa / 8, -6))
    values[127] = np.nan  # there are no infinities
    return np.concatenate([values, -values]).astype(np.float32)[bits]


#: Floats that NumPy lacks: how their bits are stored, and what makes them float32.
_FOREIGN = {
    "BF16": ("uint16", _bfloat16),
    "F8_E5M2": ("uint8", _float8_e5m2),
    "F8_E4M3": ("uint8", _float8_e4m3),
}


def save_safetensors(
    tensors: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as one ``safetensors`` file, atomically.

    Parameters
    ----------
    tensors : dict of str to Tensor or array, any shapes
        Such as ``model.state_dict()``. Tensors on a GPU are copied from it.
    path : str or path
    metadata : dict of str to str, optional
        Notes that the file carries along.

    Raises
    ------
    ArgumentError
        If a name cannot stand in a file, or the metadata is not text.
    DTypeError
        If a value is no tensor, or of a dtype that the format lacks.
    OSError
        If the file cannot be written; the one that was there is untouched.

    Examples
    --------
    >>> import minidl, tempfile
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> model = minidl.nn.Linear(2, 1)
    >>> minidl.formats.save_safetensors(model.state_dict(), path)
    >>> model.load_state_dict(minidl.formats.load_safetensors(path))
    <All keys matched successfully>

    References
    ----------
    https://github.com/huggingface/safetensors, ``safetensors.torch.save_file``.
    """
    arrays = {_checked_name(name): _checked_array(name, value) for name, value in tensors.items()}
    header: dict[str, Any] = {}
    if metadata:
        for key, value in metadata.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise ArgumentError(f"save_safetensors: metadata are text; got {key!r}: {type(value).__name__}")
        header["__metadata__"] = dict(metadata)
    # The header has the caller's order; in the data the widest numbers come first, so that all are aligned.
    offsets: dict[str, list[int]] = {}
    end = 0
    in_data = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    for name in in_data:
        offsets[name] = [end, end + arrays[name].nbytes]
        end += arrays[name].nbytes
    for name, array in arrays.items():
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": offsets[name]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_BYTES:
        raise ArgumentError(
            f"save_safetensors: the names and metadata take {len(text):,} bytes, {MOST_BYTES:,} at most; "
            "long lists of numbers belong in arrays"
        )
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in in_data:
            array = arrays[name]
            file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data)


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the tensors of a ``safetensors`` file.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict of str to Tensor
        In the order of the file, on the CPU. ``bfloat16`` and the 8-bit floats become float32.

    Raises
    ------
    FormatError
        If the file is not what it should be: nothing is reserved that the file's own size does not justify.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import minidl, tempfile
    >>> path = tempfile.mkdtemp() + "/x.safetensors"
    >>> minidl.formats.save_safetensors({"x": minidl.arange(3)}, path)
    >>> minidl.formats.load_safetensors(path)
    {'x': tensor([0, 1, 2])}

    References
    ----------
    https://github.com/huggingface/safetensors, ``safetensors.torch.load_file``.
    """
    arrays, _ = read_safetensors(path)
    return {name: as_tensor(array, f"{os.fspath(path)}: {name}") for name, array in arrays.items()}


def read_safetensors(path: Source) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a ``safetensors`` file as plain NumPy arrays.

    Parameters
    ----------
    path : str, path or bytes
        Bytes are the content of a file.

    Returns
    -------
    tuple of dict of str to numpy.ndarray and dict of str to str
        The arrays, in the order of the file, and the metadata.

    Raises
    ------
    FormatError
        If the file is not what it should be.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import numpy, tempfile
    >>> path = tempfile.mkdtemp() + "/x.safetensors"
    >>> save_safetensors({"x": numpy.arange(3)}, path, metadata={"made by": "hand"})
    >>> read_safetensors(path)
    ({'x': array([0, 1, 2])}, {'made by': 'hand'})
    """
    with open_source(path) as (file, size, place):
        header, metadata, start = _read_header(file, size, place)
        _check_layout(header, size - start, place)
        arrays = {name: _read_array(file, entry, start, f"{place}: {name}") for name, entry in header.items()}
    return arrays, metadata


def as_tensor(array: np.ndarray, place: str) -> Any:
    """Wrap an array that was read from a file as a Tensor."""
    if array.dtype.kind == "c":
        raise FormatError(f"{place}: there are no tensors of {array.dtype}; read_safetensors gives NumPy arrays")
    return wrap(array)


# ---------------------------------------------------------------------- writing


def _checked_name(name: Any) -> str:
    """Return the name of a tensor, if it can be one."""
    if not isinstance(name, str):
        raise ArgumentError(f"save_safetensors: names are text, got {name!r}; minidl.save takes other keys")
    if name == "__metadata__" or any("\ud800" <= c <= "\udfff" for c in name):
        raise ArgumentError(f"save_safetensors: no tensor can be named {name!r} in this format")
    return name


def _checked_array(name: str, value: Any) -> np.ndarray:
    """Return a value as a contiguous NumPy array, if the format has its dtype."""
    if isinstance(value, Variable):
        value = value.array
    if not is_array(value):
        raise DTypeError(f"save_safetensors: {name!r} is a {type(value).__name__}; expected a Tensor or an array")
    array = np.asarray(to_numpy(value), order="C")
    check_dtype(array.dtype, f"save_safetensors: {name!r}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_dtype(dtype: np.dtype, place: str) -> None:
    """Raise a DTypeError unless the format has ``dtype``, in whatever byte order."""
    if dtype.newbyteorder("=") not in _NAMES:
        raise DTypeError(f"{place} has dtype {dtype}; the format has {', '.join(map(str, _NAMES))}")


# ---------------------------------------------------------------------- reading


def _read_header(file: BinaryIO, size: int, place: str) -> tuple[dict[str, Any], dict[str, str], int]:
    """Return the entries of the tensors, the metadata, and where the data starts."""
    if size < 8:
        raise FormatError(f"{place}: {size} bytes; a safetensors file has 8 before its header")
    (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    if length > size - 8:
        raise FormatError(
            f"{place}: claims a header of {length:,} bytes and has {size - 8:,}: cut off, or no safetensors"
        )
    if length > MOST_BYTES:
        raise FormatError(f"{place}: claims a header of {length:,} bytes; expected {MOST_BYTES:,} at most")
    header = parse_json(file.read(length), f"{place}: header", depth=8)
    if not isinstance(header, dict):
        raise FormatError(f"{place}: header: expected an object of names, got a {type(header).__name__}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError(f"{place}: header: __metadata__: expected an object of texts")
    for name, entry in header.items():
        problem = _entry_problem(entry)
        if problem:
            raise FormatError(f"{place}: header: {name!r}: {problem}")
    return header, metadata, 8 + length


def _entry_problem(entry: Any) -> str:
    """Return what is wrong with the description of one tensor by itself, or an empty string."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return "expected an object of dtype, shape and data_offsets"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in {**_DTYPES, **_FOREIGN}:
        return f"unknown dtype {dtype!r}; expected one of {', '.join([*_DTYPES, *_FOREIGN])}"
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
            return f"{what} {str(numbers)[:100]}; expected a list of whole numbers"
    if len(shape) > _MOST_DIMENSIONS:
        return f"{len(shape)} dimensions; expected {_MOST_DIMENSIONS} at most"
    if len(offsets) != 2:
        return f"data_offsets {offsets}; expected where its data begins and ends"
    stored = _stored(dtype)
    if math.prod(n for n in shape if n) >= 2**62:  # NumPy refuses this even if another size is 0
        return f"the shape {shape} is too large"
    if offsets[1] - offsets[0] != math.prod(shape) * stored.itemsize:
        return f"{dtype} of shape {shape} takes {math.prod(shape) * stored.itemsize} bytes, its offsets are {offsets}"
    return ""


def _check_layout(header: dict[str, Any], size: int, place: str) -> None:
    """Check that the tensors cover the data: no gaps, no overlaps, nothing left over."""
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = entry["data_offsets"]
        if start != end:
            what = "overlaps the one before" if start < end else "leaves a gap before it"
            raise FormatError(f"{place}: header: {name!r}: its data [{start}, {stop}] {what}, which ends at {end}")
        end = stop
    if end != size:
        raise FormatError(f"{place}: the header describes {end:,} bytes of data, the file has {size:,}")


def _stored(dtype: str) -> np.dtype:
    """Return the NumPy dtype in which the bytes of a tensor are read."""
    name = _DTYPES[dtype] if dtype in _DTYPES else _FOREIGN[dtype][0]
    return np.dtype(name).newbyteorder("<")


def _read_array(file: BinaryIO, entry: dict[str, Any], data_start: int, place: str) -> np.ndarray:
    """Read one tensor whose place and size have been checked."""
    file.seek(data_start + entry["data_offsets"][0])
    array = np.empty(entry["shape"], _stored(entry["dtype"]))
    if array.size and file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:  # type: ignore[attr-defined]
        raise FormatError(f"{place}: the file became shorter while it was read")
    if entry["dtype"] == "BOOL":  # any byte but 0 and 1 would be neither true nor false to NumPy
        return np.asarray(array.view(np.uint8) != 0)
    if entry["dtype"] in _FOREIGN:
        return np.asarray(_FOREIGN[entry["dtype"]][1](array))
    return array.astype(array.dtype.newbyteorder("="), copy=False)
