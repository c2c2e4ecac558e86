"""Who may ask: keys, kept as hashes and compared in constant time, and how often each may."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from minidl.errors import ArgumentError, DataError
from minidl.serve.problems import Problem

VARIABLE = "MINIDL_API_KEYS"

_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


class Keys:
    """The keys that are accepted; only their SHA-256 is kept.

    Parameters
    ----------
    keys : iterable of str
        Each a key, or ``sha256:`` and the 64 hexadecimal digits of its hash.

    Raises
    ------
    ArgumentError
        If a key is empty, or has blanks or characters beyond ASCII: no header could carry it.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in dict.fromkeys(keys)]

    def __len__(self) -> int:
        return len(self._digests)

    def find(self, key: bytes) -> int | None:
        """Return the number of a key, from 0, or None. It takes as long whatever the key: all are compared."""
        digest, found = hashlib.sha256(key).digest(), None
        for number, known in enumerate(self._digests):
            if hmac.compare_digest(digest, known):
                found = number
        return found

    def authorize(self, header: bytes | None) -> int:
        """Return the number of the key in an ``Authorization`` header.

        Raises
        ------
        Problem
            401 if there is none, or none that is known.
        """
        scheme, _, key = (header or b"").partition(b" ")
        if header is None:
            raise _unauthorized("this needs a key; send the header 'Authorization: Bearer KEY'")
        if scheme.lower() != b"bearer" or not key.strip():
            raise _unauthorized("the Authorization header is not 'Bearer KEY'")
        number = self.find(key.strip())
        if number is None:
            raise _unauthorized("the key is not known", error=b'error="invalid_token"')
        return number


def read_keys(file: str | os.PathLike[str] | None) -> list[str]:
    """Return the keys of the environment variable ``MINIDL_API_KEYS`` and of a file, one a line.

    Raises
    ------
    DataError
        If the file cannot be read, or has no key in it.
    """
    keys = re.split(r"[,\s]+", os.environ.get(VARIABLE, "").strip(", \t\n"))
    if file is None:
        return [key for key in keys if key]
    try:
        lines = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"serve: cannot read keys from {os.fspath(file)}: {error}") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise DataError(f"serve: there is no key in {os.fspath(file)}; write one a line")
    return [key for key in keys if key] + found


class RateLimit:
    """At most so many requests a second for each client, and as many at once: a bucket of tokens for each.

    Parameters
    ----------
    rate : float
        Requests a second; 0 for no limit.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.burst = max(1.0, rate)
        self._buckets: dict[int, tuple[float, float]] = {}  # by key: tokens, and when they were counted

    def take(self, key: int) -> None:
        """Take a token.

        Raises
        ------
        Problem
            429 if there is none left.
        """
        if not self.rate:
            return
        now = time.monotonic()
        tokens, then = self._buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        if tokens < 1:
            wait = max(1, round((1 - tokens) / self.rate + 0.5))
            self._buckets[key] = (tokens, now)
            raise Problem(
                429,
                "rate_limited",
                f"this key may ask {self.rate:g} times a second; wait {wait} s",
                [(b"retry-after", str(wait).encode())],
            )
        self._buckets[key] = (tokens - 1, now)


def _digest(key: str) -> bytes:
    hashed = _HASHED.fullmatch(key)
    if hashed:
        return bytes.fromhex(hashed[1])
    if not re.fullmatch(r"[!-~]+", key):
        raise ArgumentError("serve: a key is empty, or has blanks or characters beyond ASCII; no header can carry it")
    return hashlib.sha256(key.encode()).digest()


def _unauthorized(message: str, error: bytes = b"") -> Problem:
    challenge = b'Bearer realm="minidl"' + (b", " + error if error else b"")
    return Problem(401, "unauthorized", message, [(b"www-authenticate", challenge)])
