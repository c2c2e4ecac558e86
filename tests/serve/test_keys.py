"""Keys, and how often each may ask."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from minidl.errors import ArgumentError, DataError
from minidl.serve import keys as module
from minidl.serve.keys import Keys, RateLimit, read_keys
from minidl.serve.problems import Problem


@pytest.mark.parametrize("header", [b"Bearer second", b"bearer second", b"BEARER  second "])
def test_a_key_that_is_known(header: bytes) -> None:
    assert Keys(["first", "second"]).authorize(header) == 1


@pytest.mark.parametrize(
    "header",
    [None, b"", b"second", b"Bearer", b"Bearer ", b"Basic second", b"Bearer third", b"Bearer secon", b"Bearer \xff"],
)
def test_a_key_that_is_not(header: bytes | None) -> None:
    with pytest.raises(Problem) as refused:
        Keys(["first", "second"]).authorize(header)
    assert refused.value.status == 401
    assert dict(refused.value.headers)[b"www-authenticate"].startswith(b"Bearer ")


def test_keys_are_kept_as_hashes() -> None:
    digest = hashlib.sha256(b"secret-key").hexdigest()
    for keys in (Keys(["secret-key"]), Keys([f"sha256:{digest}"])):
        assert keys.find(b"secret-key") == 0
        assert "secret-key" not in repr(vars(keys))
        assert keys.find(f"sha256:{digest}".encode()) is None  # the hash is no key


def test_every_key_is_compared_whatever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    keys = Keys(["a", "b", "c"])
    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    for key in (b"a", b"c", b"x"):
        compared.clear()
        keys.find(key)
        assert len(compared) == 3


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "tab\t"])
def test_a_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(ArgumentError, match="no header can carry it"):
        Keys([key])


def test_keys_from_the_environment_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("# those of the laboratory\nthree\n\n  four  \n")
    monkeypatch.setenv("MINIDL_API_KEYS", " one, two\n")
    assert read_keys(file) == ["one", "two", "three", "four"]
    monkeypatch.delenv("MINIDL_API_KEYS")
    assert read_keys(None) == []
    file.write_text("# none\n")
    with pytest.raises(DataError, match="there is no key in"):
        read_keys(file)
    with pytest.raises(DataError, match="cannot read keys from"):
        read_keys(tmp_path / "missing")


def test_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    limit = RateLimit(2)
    for key in (0, 1):  # each has its own
        limit.take(key)
        limit.take(key)
        with pytest.raises(Problem) as refused:
            limit.take(key)
        assert refused.value.status == 429
        assert dict(refused.value.headers) == {b"retry-after": b"1"}
    now[0] += 0.5
    limit.take(0)
    with pytest.raises(Problem):
        limit.take(0)
    now[0] += 1000
    for _ in range(2):  # what is saved up has an end
        limit.take(0)
    with pytest.raises(Problem):
        limit.take(0)


def test_no_rate_is_no_limit() -> None:
    limit = RateLimit(0)
    for _ in range(1000):
        limit.take(0)
