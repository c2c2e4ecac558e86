"""What every request passes on its way in and out: its id, its key, its limits, its line in the log."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from minidl.serve.keys import Keys, RateLimit
from minidl.serve.metrics import Metrics
from minidl.serve.problems import Headers, Problem, overloaded
from minidl.serve.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("minidl.serve")

CLIENT_GONE = 499  # as nginx writes it into its log; nobody receives it
LINGER = 2.0  # seconds in which the rest of a body that is refused is read and dropped, so that the answer arrives

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEALTH = re.compile(r"/healthz|/readyz|/metrics|/v2/health/(live|ready)|/v2/models/[^/]+(/versions/[^/]+)?/ready")
_PROCESS = secrets.token_hex(4)  # tells the requests of this process from those of others, and of other days
_numbers = itertools.count(1)
_KEYED = re.compile(r"/v[12](/.*)?")


class Gate:
    """ASGI middleware: it lets requests in, and turns whatever goes wrong within into an answer.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    keys : Keys, optional
        None lets everybody in.
    metrics : Metrics
    state : State
    """

    def __init__(self, app: App, settings: Settings, keys: Keys | None, metrics: Metrics, state: State) -> None:
        self.app = app
        self.settings, self.keys, self.metrics, self.state = settings, keys, metrics, state
        self.rates = RateLimit(settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await Passage(self, scope, receive, send).run()


class State:
    """What the gate and the server tell each other."""

    def __init__(self) -> None:
        self.draining = False
        self.active = 0


class Passage:
    """One request's way through the gate."""

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate, self.scope, self._receive, self._send = gate, scope, receive, send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if _REQUEST_ID.fullmatch(given) else f"{_PROCESS}-{next(_numbers):x}"
        scope["minidl.request_id"] = self.id
        self.started = time.perf_counter()
        self.key: int | None = None
        self.status = 0  # until an answer has begun
        self.received = 0  # bytes of the body
        length = self.headers.get(b"content-length", b"0")
        self.complete = length == b"0" and b"transfer-encoding" not in self.headers  # whether all of the body is here
        self.body_until = asyncio.get_running_loop().time() + gate.settings.body_timeout

    async def run(self) -> None:
        gate, metrics = self.gate, self.gate.metrics
        gate.state.active += 1
        metrics.active.inc()
        try:
            try:
                self._check()
                async with asyncio.timeout(gate.settings.request_timeout):
                    await gate.app(self.scope, self.receive, self.send)
            except Problem as problem:
                await self.refuse(problem)
            except TimeoutError:
                seconds = gate.settings.request_timeout
                await self.refuse(Problem(504, "timeout", f"there was no answer within {seconds:g} s"))
            except (ClientDisconnect, ConnectionError):
                self.status = self.status or CLIENT_GONE
            except asyncio.CancelledError:
                self.status = self.status or CLIENT_GONE
                raise
            except Exception as error:
                log.error("request_id=%s failed: %s", self.id, _where(error))
                await self.refuse(Problem(500, "internal_error", "something went wrong here; it is in the log"))
        finally:
            gate.state.active -= 1
            metrics.active.dec()
            self._note()

    def _check(self) -> None:
        """Decide whether to let it in."""
        gate, path = self.gate, self.scope["path"]
        if _HEALTH.fullmatch(path):
            return
        if gate.state.draining:
            raise Problem(503, "shutting_down", "the service is shutting down", [(b"retry-after", b"1")])
        if gate.state.active > gate.settings.max_requests:
            raise overloaded(f"{gate.settings.max_requests} requests are in flight already; try again in a second")
        if _KEYED.fullmatch(path):
            self.key = -1 if gate.keys is None else gate.keys.authorize(self.headers.get(b"authorization"))
            gate.rates.take(self.key)
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > gate.settings.max_body:
            raise self._too_large()

    # ------------------------------------------------------------------ in

    async def receive(self) -> Message:
        """Receive a piece of the request, within the limits of its size and time."""
        if self.complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self.body_until):
                message = await self._receive()
        except TimeoutError:
            seconds = self.gate.settings.body_timeout
            self.complete = True  # what is left of it will not be waited for
            raise Problem(408, "body_timeout", f"the body did not arrive within {seconds:g} s") from None
        self.received += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.received > self.gate.settings.max_body:
            raise self._too_large()
        return message

    def _too_large(self) -> Problem:
        return Problem(413, "body_too_large", f"the body is larger than {self.gate.settings.max_body} bytes")

    # ------------------------------------------------------------------ out

    async def send(self, message: Message) -> None:
        """Send a piece of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: Headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            headers.append((b"x-content-type-options", b"nosniff"))
            if self.gate.state.draining and b"connection" not in dict(headers):
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun."""
        if self.status:
            return
        body = problem.body(self.scope["path"], self.id)
        headers = [*problem.headers, (b"content-type", b"application/json")]
        headers.append((b"content-length", str(len(body)).encode()))
        if not self.complete:
            await self._linger()
        if not self.complete or problem.status == 408:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    async def _linger(self) -> None:
        """Read on for a while: a connection closed on a client that still sends takes the answer with it."""
        if b"expect" in self.headers and not self.received:
            return  # it waits for leave to send, and does not get it
        most = 8 * self.gate.settings.max_body
        try:
            async with asyncio.timeout(LINGER):
                while not self.complete and self.received <= most:
                    message = await self._receive()
                    self.received += len(message.get("body", b""))
                    self.complete = not message.get("more_body", False)
        except TimeoutError:
            return

    # ------------------------------------------------------------------ afterwards

    def _note(self) -> None:
        """Count it, and write it into the log: neither its content nor its key."""
        seconds = time.perf_counter() - self.started
        route = getattr(self.scope.get("route"), "path", "other")  # not the path, which could be anything
        method = self.scope["method"] if self.scope["method"] in _METHODS else "other"
        self.gate.metrics.answered(method, route, self.status, seconds)
        if log.isEnabledFor(logging.INFO):
            key = "-" if self.key is None or self.key < 0 else str(self.key + 1)
            log.info("request_id=%s key=%s %s %s %d %.1f ms", self.id, key, method, route, self.status, seconds * 1e3)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _where(error: BaseException) -> str:
    """Return the kind of an error and the lines it came through, without its message: that may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in " + " < ".join(f"{f.name} ({f.filename}:{f.lineno})" for f in reversed(frames))
