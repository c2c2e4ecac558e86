"""The safetensors format: both ways against the reference library, and files that lie."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minidl
from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.formats import load_safetensors, read_safetensors, save_safetensors, strict_json

DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
]

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
names = texts.filter(lambda name: name != "__metadata__")


def same(a: np.ndarray, b: np.ndarray) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()  # NaNs and the sign of zero too


def forged(path: Path, header: Any, data: bytes = b"") -> Path:
    """Write a file with a header of one's own: an object, or text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, arrays, max_size=5), st.dictionaries(texts, texts, max_size=3))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, given_arrays: dict[str, np.ndarray], notes: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    save_safetensors(given_arrays, path, notes)
    found, metadata = read_safetensors(path)
    assert list(found) == list(given_arrays)  # the order is kept
    assert metadata == notes
    for name, array in given_arrays.items():
        same(found[name], array)
        assert found[name].flags.writeable


def test_any_memory_layout(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 6))
    layouts = {"T": x.T, "step": x[::2, ::-3], "big": x.astype(">f8"), "broadcast": np.broadcast_to(x, (2, 4, 6))}
    save_safetensors(layouts, tmp_path / "x")
    found, _ = read_safetensors(tmp_path / "x")
    for name, array in layouts.items():
        same(found[name], array.astype("f8"))


def test_tensors_come_back_as_tensors_of_their_own(tmp_path: Path) -> None:
    model = minidl.nn.Sequential(minidl.nn.Linear(3, 2), minidl.nn.BatchNorm1d(2))
    state = model.state_dict()
    save_safetensors(state, tmp_path / "x")
    found = load_safetensors(str(tmp_path / "x"))
    assert list(found) == list(state)
    for name, x in found.items():
        assert type(x) is minidl.Tensor
        same(x.array, state[name].array)
        x.zero_()


def test_bytes_do_not_depend_on_the_moment(tmp_path: Path) -> None:
    for name in "ab":
        save_safetensors({"x": np.ones(3), "y": np.zeros(2, "i1")}, tmp_path / name, {"k": "v"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---------------------------------------------------------------------- beside the reference library


@pytest.fixture
def reference() -> Any:
    return pytest.importorskip("safetensors.numpy", reason="safetensors is not installed: nothing to compare with")


def test_the_reference_reads_what_minidl_writes(tmp_path: Path, rng: np.random.Generator, reference: Any) -> None:
    written = {f"层 {d}": (rng.standard_normal((3, 5)) * 9).astype(d) for d in DTYPES}
    written |= {"none": np.zeros((0, 3), "f4"), "scalar": np.array(2.5), 'a"\\\n': np.ones(1, "i1")}
    save_safetensors(written, tmp_path / "x", {"notes": "ü"})
    found = reference.load_file(tmp_path / "x")
    assert set(found) == set(written)
    for name in written:
        same(found[name], written[name])


def test_minidl_reads_what_the_reference_writes(tmp_path: Path, rng: np.random.Generator, reference: Any) -> None:
    written = {f"层 {d}": (rng.standard_normal((3, 5)) * 9).astype(d) for d in DTYPES}
    written |= {"none": np.zeros((0, 3), "f4"), "scalar": np.array(2.5)}
    reference.save_file(written, tmp_path / "x", metadata={"notes": "ü"})
    found, metadata = read_safetensors(tmp_path / "x")
    assert metadata == {"notes": "ü"}
    assert set(found) == set(written)
    for name in written:
        same(found[name], written[name])


def test_floats_that_numpy_lacks(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed: nothing to compare with")
    byte = np.arange(256, dtype="u1")
    written = {
        "BF16": torch.arange(65536, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16),
        "F8_E4M3": torch.tensor(byte).view(torch.float8_e4m3fn),
        "F8_E5M2": torch.tensor(byte).view(torch.float8_e5m2),
    }
    library.save_file(written, tmp_path / "x")
    found = load_safetensors(tmp_path / "x")
    for name, x in written.items():
        expected = x.float().numpy()
        assert found[name].array.dtype == np.float32
        np.testing.assert_array_equal(found[name].numpy(force=True), expected)
        np.testing.assert_array_equal(
            np.signbit(found[name].numpy(force=True))[expected == 0], np.signbit(expected)[expected == 0]
        )


@pytest.mark.parametrize("kind", ["Linear", "Conv2d", "LSTM", "BatchNorm2d", "Embedding", "LayerNorm"])
def test_states_of_pytorch_load_into_the_modules_of_the_same_name(tmp_path: Path, kind: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed: nothing to compare with")
    arguments: tuple[Any, ...]
    arguments, inputs = {
        "Linear": ((3, 4), (2, 3)),
        "Conv2d": ((3, 4, 3), (2, 3, 5, 5)),
        "LSTM": ((3, 4, 2), (6, 2, 3)),
        "BatchNorm2d": ((3,), (2, 3, 4, 4)),
        "Embedding": ((7, 3), (5,)),
        "LayerNorm": ((3,), (2, 3)),
    }[kind]
    theirs, ours = getattr(torch.nn, kind)(*arguments), getattr(minidl.nn, kind)(*arguments)
    x = np.random.default_rng(0).standard_normal(inputs).astype("f4")
    if kind == "Embedding":
        x = np.arange(5)
    theirs(torch.from_numpy(x))  # a batch norm's statistics are part of the state
    library.save_file(theirs.state_dict(), tmp_path / "theirs")
    ours.load_state_dict(load_safetensors(tmp_path / "theirs"))
    first = lambda y: y[0] if isinstance(y, tuple) else y  # noqa: E731
    a, b = first(theirs.eval()(torch.from_numpy(x))), first(ours.eval()(minidl.tensor(x)))
    np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), atol=1e-6)

    # And back: what minidl writes, PyTorch loads.
    save_safetensors(ours.state_dict(), tmp_path / "ours")
    theirs.load_state_dict(library.load_file(tmp_path / "ours"))


# ---------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "message"),
    [
        ({1: np.ones(1)}, None, ArgumentError, "names are text, got 1; minidl.save takes other keys"),
        ({"__metadata__": np.ones(1)}, None, ArgumentError, "no tensor can be named '__metadata__'"),
        ({"\ud800": np.ones(1)}, None, ArgumentError, "no tensor can be named"),
        ({"x": 1.0}, None, DTypeError, "'x' is a float; expected a Tensor or an array"),
        ({"x": np.array(["a"])}, None, DTypeError, "'x' has dtype <U1; the format has bool, uint8"),
        ({"x": np.zeros(1, "c16")}, None, DTypeError, "'x' has dtype complex128"),
        ({"x": np.zeros(1, "M8[s]")}, None, DTypeError, "'x' has dtype datetime64"),
        ({"x": np.zeros(1, object)}, None, DTypeError, "'x' has dtype object"),
        ({"x": np.ones(1)}, {"a": 1}, ArgumentError, "metadata are text; got 'a': int"),
        ({}, {"a": "x" * 2**25}, ArgumentError, "the names and metadata take 33,554,.* bytes, 33,554,432 at most"),
    ],
)
def test_what_cannot_be_saved(
    tmp_path: Path, tensors: Any, metadata: Any, error: type[Exception], message: str
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(error, match=message):
        save_safetensors(tensors, tmp_path / "x", metadata)
    assert (tmp_path / "x").read_bytes() == b"old"


def test_complex_numbers_are_no_tensors(tmp_path: Path) -> None:
    save_safetensors({"z": np.ones(2, "c8")}, tmp_path / "x")
    with pytest.raises(FormatError, match="x: z: there are no tensors of complex64; read_safetensors gives NumPy"):
        load_safetensors(tmp_path / "x")


# ---------------------------------------------------------------------- files that lie

LONG = b'{"a":' + b"9" * 5000 + b"}"


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ([], b"", "expected an object of names, got a list"),
        (b"{", b"", "header: not JSON"),
        (b"", b"", "header: not JSON"),
        (b'{"\xff": 1}', b"", "header: not UTF-8 text"),
        (b'{"a": NaN}', b"", "header: NaN is not JSON"),
        (b'{"a": 1e999}', b"", "header: the number 1e999 is too large"),
        (LONG, b"", "header: a number of 5000 digits; expected 40 at most"),
        (b"[" * 100_000, b"", "header: nested more than 8 deep at byte 8"),
        (b'{"a":' * 100_000, b"", "header: nested more than 8 deep"),
        (b'{"' + b'\\"' * 500_000, b"", "header: not JSON"),
        (b'{"a": 1, "a": 2}', b"", "header: the name 'a' stands twice in one object"),
        ({"__metadata__": {"a": 1}}, b"", "__metadata__: expected an object of texts"),
        ({"__metadata__": 3}, b"", "__metadata__: expected an object of texts"),
        ({"a": 3}, b"", "'a': expected an object of dtype, shape and data_offsets"),
        ({"a": {**entry(), "more": 1}}, b"", "'a': expected an object of dtype"),
        ({"a": entry("F31")}, b"", "'a': unknown dtype 'F31'; expected one of BOOL"),
        ({"a": entry(["F32"])}, b"", r"'a': unknown dtype \['F32'\]"),
        ({"a": entry(shape=2)}, b"", "'a': shape 2; expected a list of whole numbers"),
        ({"a": entry(shape=[-2])}, b"", r"'a': shape \[-2\]; expected a list"),
        ({"a": entry(shape=[2.0])}, b"", r"'a': shape \[2.0\]; expected a list"),
        ({"a": entry(shape=[True])}, b"", r"'a': shape \[True\]; expected a list"),
        ({"a": entry(shape=[1] * 33)}, b"", "'a': 33 dimensions; expected 32 at most"),
        ({"a": entry(shape=[0, 2**61, 2**61], offsets=[0, 0])}, b"", "'a': the shape .* is too large"),
        ({"a": entry(shape=[2**40])}, b"12345678", r"F32 of shape \[1099511627776\] takes 4398046511104 bytes"),
        ({"a": entry(offsets=[0, 7])}, b"1234567", r"F32 of shape \[2\] takes 8 bytes, its offsets are \[0, 7\]"),
        ({"a": entry(offsets=[8, 0])}, b"12345678", "takes 8 bytes, its offsets are"),
        ({"a": entry(offsets=[0, 8, 9])}, b"12345678", "expected where its data begins and ends"),
        ({"a": entry(), "b": entry(offsets=[4, 12])}, b"123456789012", "'b': its data .* overlaps the one before"),
        ({"a": entry(), "b": entry(offsets=[9, 17])}, b"12345678901234567", "'b': its data .* leaves a gap before it"),
        ({"a": entry(offsets=[8, 16])}, b"1234567890123456", "'a': its data .* leaves a gap before it"),
        ({"a": entry()}, b"1234567", "the header describes 8 bytes of data, the file has 7"),
        ({"a": entry()}, b"123456789", "the header describes 8 bytes of data, the file has 9"),
        ({"a": entry(shape=[2**38], offsets=[0, 2**40])}, b"", "describes 1,099,511,627,776 bytes of data"),
    ],
    ids=range(33),
)
def test_forged_headers(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = forged(tmp_path / "model.safetensors", header, data)
    with pytest.raises(FormatError, match=message) as caught:
        read_safetensors(path)
    assert str(caught.value).startswith(str(path))


def test_many_small_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three bytes of text cost Python a hundred bytes."""
    monkeypatch.setattr(strict_json, "_MOST_CONTAINERS", 1000)
    path = forged(tmp_path / "x", b"[" + b"[]," * 1000 + b"[]]")
    with pytest.raises(FormatError, match="header: more than 1,000 lists and objects"):
        read_safetensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes; a safetensors file has 8 before its header"),
        (b"1234567", "7 bytes; a safetensors file has 8"),
        (struct.pack("<Q", 3) + b"{}", "claims a header of 3 bytes and has 2: cut off, or no safetensors"),
        (struct.pack("<Q", 2**63) + b"{}", "claims a header of 9,223,372,036,854,775,808 bytes"),
        (struct.pack("<Q", 2**25 + 1) + bytes(2**25 + 1), "claims a header of 33,554,433 bytes; expected 33,554,432"),
    ],
    ids=range(5),
)
def test_forged_lengths(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        load_safetensors(tmp_path / "x")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_safetensors(tmp_path / "missing")
    if os.path.exists("/dev/zero"):
        with pytest.raises(FormatError, match="/dev/zero: not an ordinary file"):
            load_safetensors("/dev/zero")


def test_the_bytes_of_booleans_are_0_or_1(tmp_path: Path) -> None:
    path = forged(tmp_path / "x", {"a": entry("BOOL", [3], [0, 3])}, b"\x00\x01\x7f")
    found = read_safetensors(path)[0]["a"]
    assert found.view("u1").tolist() == [0, 1, 1]
