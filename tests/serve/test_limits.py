"""What is too large, too slow or too much, over raw connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from minidl.serve import server
from tests.serve.live import KEY, Live, classifier, running

MODEL = classifier()
GOOD = json.dumps({"inputs": np.zeros((1, 28, 28)).tolist()}).encode()


def request(
    body: bytes = GOOD, *headers: str, path: str = "/v1/predict", length: int | None = None, key: str = KEY
) -> bytes:
    """Return a request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body) if length is None else length}"] if length != -1 else []
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def parsed(received: bytes) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and JSON of an answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, json.loads(body[: int(headers["content-length"])])


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    limits = {"max_body": 50_000, "body_timeout": 0.4, "header_timeout": 0.4, "max_connections": 12}
    with running(MODEL, **limits) as live:
        yield live


@pytest.fixture(autouse=True)
def _others_are_served(live: Live) -> Iterator[None]:
    """Whatever a client does, the next one gets its answer."""
    yield
    live.session.close()
    status, until = 503, time.monotonic() + 10
    while status == 503 and time.monotonic() < until:  # the connections of before may not be seen closed yet
        status = live.post("/v1/predict", data=GOOD, headers={"Content-Type": "application/json"}).status_code
    assert status == 200


def test_a_body_that_says_it_is_too_large(live: Live) -> None:
    status, _, body = parsed(live.raw(request(b"x" * 60_000)))
    assert (status, body["error"]["code"]) == (413, "body_too_large")


def test_a_body_that_is_too_large_and_does_not_say_so(live: Live) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (8000, b"x" * 8000) for _ in range(10)) + b"0\r\n\r\n"
    status, _, body = parsed(live.raw(request(chunks, "Transfer-Encoding: chunked", length=-1)))
    assert (status, body["error"]["code"]) == (413, "body_too_large")


def test_a_client_that_asks_first_is_told_before_it_sends(live: Live) -> None:
    head = request(b"", "Expect: 100-continue", length=10**9)
    started = time.perf_counter()
    status, headers, _ = parsed(live.raw(head, close=False))
    assert (status, headers["connection"]) == (413, "close")
    assert time.perf_counter() - started < 2


def test_a_body_that_never_ends_is_cut_off(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        connection.sendall(request(b"", length=10**12))
        sent = 0
        with suppress(OSError):
            while sent < 10**8:
                sent += connection.send(b"x" * 65536)
    assert sent < 10**8


def test_a_body_that_comes_too_slowly(live: Live) -> None:
    status, headers, body = parsed(live.raw(request(GOOD[:100], length=len(GOOD)), close=False))
    assert (status, body["error"]["code"], headers["connection"]) == (408, "body_timeout", "close")


@pytest.mark.parametrize("head", [b"", b"POST /v1/pre", b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nA: "])
def test_headers_that_do_not_come(live: Live, head: bytes) -> None:
    status, headers, body = parsed(live.raw(head, close=False))
    assert (status, body["error"]["code"], headers["connection"]) == (408, "body_timeout", "close")


def test_a_second_request_that_does_not_come_is_no_error(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(request())
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.6)  # longer than headers may take once they have begun


def test_headers_without_end(live: Live) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (server.MOST_HEADERS + 1)
    status, _, _ = parsed(live.raw(endless, close=False))
    assert status == 431


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a client that speaks TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http:///\\ HTTP/1.1\r\nHost: x\r\n\r\n\x00\x00",
    ],
)
def test_what_is_no_http(live: Live, data: bytes) -> None:
    status, headers, body = parsed(live.raw(data))
    assert (status, headers["connection"]) in [(400, "close"), (404, "close"), (404, "keep-alive")]
    assert set(body) == {"error"}


def test_clients_that_go_away(live: Live) -> None:
    for data in (b"", b"POST", request(GOOD[:50], length=len(GOOD)), request()):
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(data)
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # reset, not closed
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def test_connections_have_an_end(live: Live) -> None:
    held = [socket.create_connection(("127.0.0.1", live.port), timeout=10) for _ in range(14)]
    try:
        answers = [connection.recv(65536) for connection in held[12:]]
        for answer in answers:
            status, headers, body = parsed(answer)
            assert (status, body["error"]["code"], headers["retry-after"]) == (503, "overloaded", "1")
    finally:
        for connection in held:
            connection.close()


def test_pipelined_requests_are_answered_in_order(live: Live) -> None:
    bodies = [json.dumps({"inputs": np.full((1, 28, 28), i / 7).tolist()}).encode() for i in range(8)]
    received = live.raw(b"".join(map(request, bodies[:-1])) + request(bodies[-1], "Connection: close"), close=False)
    for i, answer in enumerate(received.split(b"HTTP/1.1 ")[1:]):
        status, _, body = parsed(b"HTTP/1.1 " + answer)
        assert status == 200
        scores = MODEL.predict(np.full((1, 28, 28), i / 7, "float32"), verbose=0)
        np.testing.assert_allclose(body["outputs"], scores, rtol=1e-3, atol=1e-6)


# ---------------------------------------------------------------------- a forward pass that takes its time


class Held:
    """A model in the service that answers when it is told to."""

    def __init__(self, live: Live) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        model = live.app.state.service.model
        self.predict = model.predict
        model.predict = self

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        self.begun.set()
        assert self.go.wait(20)
        return self.predict(arrays)


def ask(live: Live) -> tuple[int, dict[str, str], Any]:
    return parsed(live.raw(request(GOOD, "Connection: close"), close=False, seconds=20))


def test_requests_in_flight_have_an_end_and_health_is_told_all_the_same() -> None:
    with running(MODEL, max_requests=3) as live, ThreadPoolExecutor(8) as pool:
        held = Held(live)
        waiting = [pool.submit(ask, live) for _ in range(3)]
        while live.app.state.service.state.active < 3:
            time.sleep(0.01)
        status, headers, body = ask(live)
        assert (status, body["error"]["code"], headers["retry-after"]) == (503, "overloaded", "1")
        for path in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/v2/health/live",
            "/v2/health/ready",
            "/v2/models/model/ready",
        ):
            assert live.session.get(live.url + path).status_code == 200
        held.go.set()
        assert [future.result()[0] for future in waiting] == [200] * 3


def test_the_queue_has_an_end() -> None:
    with running(MODEL, max_queue=2, max_batch=1) as live, ThreadPoolExecutor(8) as pool:
        held = Held(live)
        first = pool.submit(ask, live)
        assert held.begun.wait(20)
        waiting = [pool.submit(ask, live) for _ in range(2)]
        while live.app.state.service.batcher._rows < 2:
            time.sleep(0.01)
        assert "minidl_queue_rows 2.0" in live.session.get(live.url + "/metrics").text
        status, headers, body = ask(live)
        assert (status, body["error"]["code"], headers["retry-after"]) == (503, "overloaded", "1")
        held.go.set()
        assert [future.result()[0] for future in (first, *waiting)] == [200] * 3


def test_a_request_that_takes_too_long_and_the_ones_after_it() -> None:
    with running(MODEL, request_timeout=0.4) as live:
        held = Held(live)
        status, _, body = ask(live)
        assert (status, body["error"]["code"]) == (504, "timeout")
        held.go.set()
        assert ask(live)[0] == 200


def test_a_client_that_has_said_all_and_listens_is_answered() -> None:
    with running(MODEL) as live, ThreadPoolExecutor(1) as pool:
        held = Held(live)
        waiting = pool.submit(live.raw, request())  # which closes its half of the connection
        assert held.begun.wait(20)
        time.sleep(0.1)
        held.go.set()
        status, headers, _ = parsed(waiting.result())
        assert (status, headers["connection"]) == (200, "close")
