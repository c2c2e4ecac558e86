"""Five hundred requests that mean no good, the same in each run."""

from __future__ import annotations

import base64
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np

from tests.serve.live import KEY, png

IMAGE, PREDICT, INFER = "/v1/image-classification", "/v1/predict", "/v2/models/digits/infer"
COUNT = 500


class Attack(NamedTuple):
    """What is sent, and how it goes on: until an answer comes, until patience ends, or with a reset at once."""

    name: str
    data: bytes
    how: str = "answer"


def request(body: bytes, path: str = IMAGE, kind: str = "application/json", key: str = KEY, *extra: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Type: {kind}"]
    lines += [*extra] if extra else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def bomb(side: int) -> bytes:
    """Return a small PNG that is honest about how large it becomes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    squeezed = zlib.compress(bytes(min(side * (side + 1), 10**6)))
    header = chunk(b"IHDR", struct.pack(">II5B", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", squeezed) + chunk(b"IEND", b"")


def attacks() -> Iterator[Attack]:
    """Yield them, of each kind in turn."""
    rng = np.random.default_rng(0)
    kinds = [kind(rng) for kind in KINDS]
    for kind in islice(cycle(kinds), COUNT):
        yield next(kind)


def image(rng: np.random.Generator) -> bytes:
    return json.dumps({"image": rng.random((28, 28)).round(3).tolist()}).encode()


def truncated(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        body = image(rng)
        yield Attack("truncated", request(body[: rng.integers(len(body))]))


def oversized(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        yield Attack("oversized", request(b"[" + b"1," * 300_000))
        yield Attack(
            "says it is oversized", request(b"", IMAGE, "application/json", KEY, f"Content-Length: {10**12}"), "wait"
        )
        chunks = b"".join(b"10000\r\n" + bytes(65536) + b"\r\n" for _ in range(9)) + b"0\r\n\r\n"
        yield Attack("oversized chunks", request(chunks, IMAGE, "application/json", KEY, "Transfer-Encoding: chunked"))


def deep(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        depth = int(rng.choice([33, 65, 900, 1100, 50_000]))
        yield Attack("deep lists", request(b'{"image": ' + b"[" * depth + b"0" + b"]" * depth + b"}"))
        yield Attack("deep objects", request(b'{"inputs": ' * depth + b"0" + b"}" * depth, PREDICT))


def wrong_types(rng: np.random.Generator) -> Iterator[Attack]:
    for value in cycle(
        ["null", "true", '"x"', "{}", "[]", "[[]]", "[{}]", "[null]", "[[true]]", '["a"]', "1e999", "NaN"]
    ):
        yield Attack("wrong types", request(b'{"image": %s}' % value.encode()))
        yield Attack("wrong types", request(b'{"inputs": %s}' % value.encode(), PREDICT))
        yield Attack(
            "wrong types", request(b'{"inputs": [{"name": %s, "shape": %s}]}' % ((value.encode(),) * 2), INFER)
        )
        yield Attack("wrong types", request(value.encode()))


def wrong_numbers(rng: np.random.Generator) -> Iterator[Attack]:
    for value in cycle(
        ["NaN", "Infinity", "-Infinity", "1e999", "1e308", '"1"', "null", "[1]", "-1", "255", "1" * 5000]
    ):
        body = image(rng).replace(b"0.5", value.encode())
        yield Attack("wrong numbers", request(body.replace(b"0.1", value.encode())))


def wrong_keys(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        for key in ("", KEY[:-1], KEY + "x", KEY.upper(), "x" * 8000, "\x7f", "'; drop table keys; --"):
            yield Attack("wrong key", request(image(rng), IMAGE, "application/json", key))


def bombs(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        side = int(rng.choice([4001, 30_000, 65_000, 2**31 - 1]))
        text = base64.b64encode(bomb(side)).decode()
        yield Attack("bomb", request(json.dumps({"image": text}).encode()))
        form = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + bomb(side) + b"\r\n--b--\r\n"
        yield Attack("bomb in a form", request(form, IMAGE, "multipart/form-data; boundary=b"))
        squeezed = zlib.compress(bytes(10**7))
        coded = "Content-Encoding: deflate", f"Content-Length: {len(squeezed)}"
        yield Attack("squeezed body", request(squeezed, IMAGE, "application/json", KEY, *coded))


def damaged_images(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        for kind in ("PNG", "JPEG"):
            data = bytearray(png(rng.integers(0, 256, (40, 40), np.uint8), kind))
            for place in rng.integers(0, len(data), 6):
                data[place] = rng.integers(256)
            form = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + bytes(data) + b"\r\n--b--\r\n"
            yield Attack("damaged image", request(form, IMAGE, "multipart/form-data; boundary=b"))
            yield Attack(
                "cut-off form", request(form[: rng.integers(len(form))], IMAGE, "multipart/form-data; boundary=b")
            )


def slow(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        whole = request(image(rng))
        yield Attack("slow body", whole[: rng.integers(len(whole) - 4000, len(whole))], "wait")
        yield Attack("slow headers", whole[: rng.integers(1, 60)], "wait")
        yield Attack("says nothing", b"", "wait")


def abrupt(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        whole = request(image(rng))
        yield Attack("reset within", whole[: rng.integers(len(whole))], "reset")
        yield Attack("reset before the answer", whole, "reset")


def no_http(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        yield Attack("noise", rng.bytes(int(rng.integers(1, 2000))))
        whole = bytearray(request(image(rng)))
        for place in rng.integers(0, 150, 3):
            whole[place] = rng.integers(256)
        yield Attack("damaged headers", bytes(whole), "wait")
        yield Attack("endless header", b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000)
        yield Attack(
            "smuggled",
            request(
                b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", IMAGE, "x/y", KEY, "Content-Length: 4", "Transfer-Encoding: chunked"
            ),
        )
        yield Attack("strange method", b"BREW /v1/predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        yield Attack(
            "strange path", b"GET /%2e%2e/%2e%2e/etc/passwd%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )


def damaged_json(rng: np.random.Generator) -> Iterator[Attack]:
    while True:
        body = bytearray(image(rng))
        for place in rng.integers(0, len(body), 3):
            body[place] = rng.integers(256)
        yield Attack("damaged JSON", request(bytes(body)))


KINDS = [
    truncated,
    oversized,
    deep,
    wrong_types,
    wrong_numbers,
    wrong_keys,
    bombs,
    damaged_images,
    slow,
    abrupt,
    no_http,
]
KINDS += [damaged_json]


def make(attack: Attack, port: int, patience: float = 8.0) -> bytes:
    """Make an attack and return what was answered."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection, suppress(OSError):
        if attack.how == "reset":
            connection.sendall(attack.data)
            time.sleep(0.002)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        try:
            connection.sendall(attack.data)
            if attack.how == "answer":
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # refused while it was sending: the answer may be there all the same
            pass
        while piece := connection.recv(65536):
            received += piece
    return received
