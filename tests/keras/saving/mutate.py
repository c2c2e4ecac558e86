"""A process that loads damaged files, one after the other: ``python -m tests.keras.saving.mutate h5 0 500``.

It prints how many were refused and how many loaded. Anything else ends it: another exception than a FormatError, a
crash, a model whose weights are not its config's, or memory beyond the limit.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import random
import resource
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from minidl import keras
from minidl.errors import FormatError
from minidl.formats.hdf5 import Group, hdf5_bytes, read_hdf5

MEMORY = 2**30  # more than the process has at the start


def original(suffix: str, path: Path) -> bytes:
    """A compiled, trained model's file."""
    keras.utils.set_random_seed(0)
    k = keras.layers
    image = keras.Input((6, 6, 1))
    x = k.Flatten()(k.MaxPooling2D()(k.Conv2D(2, 3, activation="relu")(image)))
    x = k.Concatenate()([x, k.LSTM(3)(k.Reshape((6, 6))(image))])
    inner = keras.Sequential([keras.Input((11,)), k.BatchNormalization(scale=False)])
    model = keras.Model(image, k.Dense(2, activation="softmax")(inner(x)))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(np.ones((2, 6, 6, 1), "float32"), np.eye(2, dtype="float32"))
    model.save(path)
    return path.read_bytes()


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, or bytes set, in a few places."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice([changed[at] ^ 1 << rng.randrange(8), 0, 0xFF, rng.randrange(256)])
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Cut off, or a piece taken out or doubled."""
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    return rng.choice([data[:a], data[:a] + data[b:], data[:b] + data[a:]])


WILD = [
    None, True, -1, 0, 1, 3, 10**6, 10**12, 10**30, -(10**9), 0.5, 1e308, "", "x", "relu", "Lambda", "__lambda__",
    "float64", "../../x", "a\0b", [], [1], [None, 10**6, 10**6], [[1]], {},
    {"class_name": "Lambda", "config": {"function": "x"}},
    {"class_name": "__lambda__", "config": {"value": "eA=="}}, {"class_name": "Dense", "config": {"units": 10**12}},
    {"module": "os", "class_name": "system", "config": "ls", "registered_name": "system"}, [[], [[], []]],
]  # fmt: skip


def forged(config: Any, rng: random.Random) -> Any:
    """A config with something else in a place or two."""
    config = json.loads(json.dumps(config))
    for _ in range(rng.choice([1, 1, 2])):
        node = config
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(node[key], (dict, list)) and node[key] and rng.random() < 0.85:
                node = node[key]
                continue
            action = rng.random()
            if action < 0.7:
                node[key] = rng.choice(WILD)
            elif isinstance(node, dict) and action < 0.8:
                del node[key]
            elif isinstance(node, dict):
                node[rng.choice(["units", "inbound_nodes", "batch_shape", "name", "dtype", "surprise"])] = rng.choice(
                    WILD
                )
            elif action < 0.9:
                node.append(json.loads(json.dumps(node[key])))
            else:
                node.reverse()
            break
    return config


@functools.lru_cache(maxsize=4)
def parsed(data: bytes) -> Group:
    """An HDF5 file's groups."""
    return read_hdf5(data)


def mutated_h5(data: bytes, rng: random.Random) -> bytes:
    """An .h5 file with something wrong in its bytes, its configs or its arrays."""
    way = rng.random()
    if way < 0.3:
        return flipped(data, rng)
    if way < 0.4:
        return cut(data, rng)
    root = copy.deepcopy(parsed(data))
    if way < 0.85:
        name = rng.choice([name for name in root.attributes if name.endswith("_config")] or ["none"])
        if name in root.attributes:
            root.attributes[name] = json.dumps(forged(json.loads(root.attributes[name]), rng))
            return hdf5_bytes(root)
    groups = [root]
    for group in groups:
        groups += [x for x in group.members.values() if not isinstance(x, np.ndarray)]
    group = rng.choice(groups)
    if group.members and rng.random() < 0.6:
        name = rng.choice(list(group.members))
        wild = [
            np.zeros(0),
            np.full((2, 2), np.nan),
            np.arange(3),
            np.array(-5),
            np.float32(1e30).reshape(1),
            groups[-1],
        ]
        group.members[name] = rng.choice(wild)
        if rng.random() < 0.4:
            del group.members[name]
    elif group.attributes:
        name = rng.choice(list(group.attributes))
        group.attributes[name] = rng.choice(["", "{}", [], ["x"], 3, "[" * 5000, '{"a": NaN}', ["dense/kernel"] * 5])
    return hdf5_bytes(root)


def mutated_keras(data: bytes, rng: random.Random) -> bytes:
    """A .keras file with something wrong in the archive, its config or its weights."""
    way = rng.random()
    if way < 0.2:
        return flipped(data, rng)
    if way < 0.3:
        return cut(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if way < 0.7:
        members["config.json"] = json.dumps(forged(json.loads(members["config.json"]), rng)).encode()
    elif way < 0.9:
        members["model.weights.h5"] = mutated_h5(members["model.weights.h5"], rng)
    elif way < 0.95:
        del members[rng.choice(list(members))]
    else:
        members["config.json"] = rng.choice(
            [b"", b"[" * 100000, b"\xff", b"{}", b"null", flipped(members["config.json"], rng)]
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def main(suffix: str, start: int, stop: int) -> None:
    """Load the damaged files of some seeds."""
    warnings.simplefilter("error")
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    refused = loaded = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"model.{suffix}")
        data = original(suffix, path)
        for seed in range(start, stop):
            rng = random.Random(f"{suffix} {seed}")
            path.write_bytes((mutated_h5 if suffix == "h5" else mutated_keras)(data, rng))
            try:
                model = keras.models.load_model(path)
            except FormatError as error:
                if str(path) not in str(error):
                    raise AssertionError(f"seed {seed}: which file? {error}") from error
                refused += 1
                continue
            except BaseException as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
            loaded += 1
            check(model, seed)
    print(refused, loaded)


def check(model: Any, seed: int) -> None:
    """Fail unless a model does what a model does."""
    try:
        shapes = [[n or 1 for n in x.shape] for x in model.inputs]
        if all(np.prod(shape) < 10**5 for shape in shapes):
            with np.errstate(all="ignore"):
                outputs = model(
                    [np.ones(shape, "float32") for shape in shapes]
                    if len(shapes) > 1
                    else np.ones(shapes[0], "float32")
                )
            assert all(np.prod(y.shape) < 10**8 for y in (outputs if isinstance(outputs, list) else [outputs]))
        assert sum(np.size(w) for w in model.get_weights()) < 10**6
    except BaseException as error:
        raise AssertionError(f"seed {seed}: loaded, then {type(error).__name__}: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
