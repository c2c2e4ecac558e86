"""minidl.save and minidl.load: nested states in one safetensors file."""

from __future__ import annotations

import enum
import json
import math
import struct
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl import nn, optim
from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.formats import load_safetensors, read_safetensors, save_safetensors
from tests.formats.test_safetensors import arrays

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(st.characters(), max_size=8),
    arrays,
    arrays.filter(lambda x: x.dtype.kind != "c").map(minidl.from_numpy),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.booleans().map(np.bool_),
)
keys = st.text(max_size=4) | st.integers(-3, 10**25)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)


def same(a: Any, b: Any) -> None:
    """Assert that two trees are equal, types, order, NaNs and the sign of zero included."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, (np.ndarray, np.generic, minidl.Tensor)):
        x, y = (v.array if isinstance(v, minidl.Tensor) else v for v in (a, b))
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
    elif isinstance(a, float):
        assert struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    else:
        assert a == b


@settings(max_examples=80, deadline=None)
@given(trees)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "tree.safetensors"
    minidl.save(tree, path)
    same(minidl.load(path), tree)


def test_a_flat_dict_of_tensors_is_an_ordinary_file(tmp_path: Path) -> None:
    state = nn.Linear(3, 2).state_dict()
    minidl.save(state, tmp_path / "tree")
    save_safetensors(state, tmp_path / "plain")
    assert (tmp_path / "tree").read_bytes() == (tmp_path / "plain").read_bytes()
    same(minidl.load(tmp_path / "tree"), load_safetensors(tmp_path / "plain"))


def test_tensors_are_named_by_their_place(tmp_path: Path) -> None:
    x = np.zeros(1)
    tree = {"a": {"b": [x, x]}, "a.b.0": x, 3: (x,), "3": [x], "": {"__metadata__": x}, "\ud800": x}
    minidl.save({**tree, "__metadata__": x}, tmp_path / "x")
    found, _ = read_safetensors(tmp_path / "x")
    assert list(found) == ["a.b.0", "a.b.1", "a.b.0'", "3.0", "3.0'", ".__metadata__", "?", "__metadata__'"]
    minidl.save(x, tmp_path / "x")
    assert list(read_safetensors(tmp_path / "x")[0]) == ["value"]


def test_training_goes_on_from_a_saved_state(tmp_path: Path) -> None:
    def make() -> tuple[nn.Module, Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2)

    def steps(model: nn.Module, optimizer: Any, schedule: Any, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            model(minidl.randn(5, 3)).square().mean().backward()
            optimizer.step()
            schedule.step()

    first = make()
    steps(*first, 3)
    states = [part.state_dict() for part in first]
    random = {"cpu": minidl.get_rng_state(), "gpus": minidl.gpu.get_rng_state_all()}
    minidl.save({"parts": states, "random": random, "best": -math.inf}, tmp_path / "x")
    steps(*first, 3)

    second = make()
    checkpoint = minidl.load(tmp_path / "x")
    for part, state in zip(second, checkpoint["parts"], strict=True):
        part.load_state_dict(state)
    minidl.set_rng_state(checkpoint["random"]["cpu"])
    minidl.gpu.set_rng_state_all(checkpoint["random"]["gpus"])
    steps(*second, 3)
    same(dict(second[0].state_dict()), dict(first[0].state_dict()))
    assert checkpoint["best"] == -math.inf


def test_subclasses_come_back_plain(tmp_path: Path) -> None:
    class Colour(enum.IntEnum):
        RED = 1

    pair = namedtuple("pair", "a b")
    minidl.save([OrderedDict(a=1), pair(1, 2), Colour.RED], tmp_path / "x")
    same(minidl.load(tmp_path / "x"), [{"a": 1}, (1, 2), 1])


def cycle() -> list[Any]:
    node: list[Any] = []
    node.append(node)
    return node


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ({"a": [1, {2}]}, DTypeError, r"save: tree\['a'\]\[1\] is a set; expected Tensors, arrays, numbers, text"),
        ({"model": nn.Linear(1, 1)}, DTypeError, r"save: tree\['model'\] is a Linear"),
        (object(), DTypeError, "save: tree is a object"),
        ({"a": {(1, 2): 3}}, DTypeError, r"tree\['a'\] has the key \(1, 2\); keys are texts or whole numbers"),
        ({True: 1}, DTypeError, "tree has the key True"),
        ({"a": np.array(["x"])}, DTypeError, r"save: tree\['a'\] has dtype <U1; the format has bool"),
        ({"a": [np.complex128(1)]}, DTypeError, r"save: tree\['a'\]\[0\] has dtype complex128"),
        (cycle(), ArgumentError, r"save: tree\[0\]\[0\]\[0\]\[0\]... is nested more than 64 deep; does it hold itself"),
    ],
)
def test_what_cannot_be_saved(tmp_path: Path, tree: Any, error: type[Exception], message: str) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(error, match=message):
        minidl.save(tree, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"old"


def test_the_deepest_tree(tmp_path: Path) -> None:
    for kind in (lambda tree: [tree], lambda tree: {"a": tree}, lambda tree: (tree,)):
        tree: Any = np.ones(1)
        for _ in range(64):
            tree = kind(tree)
        minidl.save(tree, tmp_path / "x")
        same(minidl.load(tmp_path / "x"), tree)


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        ("", "not JSON"),
        ("[1]", r"expected a plain value or an object with one key, got \[1\]"),
        ({}, "expected a plain value or an object with one key"),
        ({"list": [], "dict": []}, "expected a plain value or an object with one key"),
        ({"list": 3}, "list: expected a list, got 3"),
        ({"dict": {"a": 1}}, "dict: expected a list, got"),
        ({"dict": [1]}, "dict: expected pairs of a key and a value, got 1"),
        ({"dict": [[1, 2, 3]]}, "dict: expected pairs"),
        ({"dict": [["a", 1], ["a", 2]]}, "dict: 'a' is no key, or stands there twice"),
        ({"dict": [[None, 1]]}, "dict: 'None' is no key"),
        ({"dict": [[{"list": []}, 1]]}, "is no key"),
        ({"dict": [[{"int": []}, 1]]}, "nothing is meant by 'int'"),
        ({"object": "os.system"}, "nothing is meant by 'object': os.system"),
        ({"tensor": 3}, "nothing is meant by 'tensor': 3"),
        ({"tensor": "y"}, "the file holds no tensor 'y', or it is used twice"),
        ({"list": [{"tensor": "x"}, {"array": "x"}]}, "the file holds no tensor 'x', or it is used twice"),
        (3, "says nothing about the tensors 'x'"),
        ({"scalar": "x"}, r"x: expected a single number, got shape \(2,\)"),
        ({"float": "1.0"}, "float: expected nan, inf or -inf, got '1.0'"),
        ({"int": "0xfg"}, "int: expected hexadecimal digits, got '0xfg'"),
        ("[" * 300, "nested more than 200 deep"),
    ],
    ids=range(21),
)
def test_forged_skeletons(tmp_path: Path, skeleton: Any, message: str) -> None:
    text = skeleton if isinstance(skeleton, str) else json.dumps(skeleton)
    save_safetensors({"x": np.ones(2)}, tmp_path / "state", {"minidl.tree": text})
    with pytest.raises(FormatError, match=message) as caught:
        minidl.load(tmp_path / "state")
    assert str(tmp_path / "state") in str(caught.value)
