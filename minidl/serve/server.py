"""The process: connections with limits, signals, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from minidl.serve.service import Service
from minidl.serve.settings import Settings

log = logging.getLogger("minidl.serve")

MOST_HEADERS = 64 * 1024  # bytes of a request's headers


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, with limits for what comes before a request is one, and with errors in JSON."""

    settings = Settings()
    _waiting: asyncio.TimerHandle | None = None
    _head = 0  # bytes received since headers began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            self._refuse(503, "overloaded", "there are too many connections; try again in a second")
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that said all it had to say, and listens: without this it would be cut off."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.pipeline:
            return False
        cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self._head += len(data)
            if self._waiting is None:
                self._wait_for_headers()
        super().data_received(data)
        if self._head > MOST_HEADERS and not self.transport.is_closing():
            self._refuse(431, "bad_request", f"the headers are larger than {MOST_HEADERS} bytes")

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._head = 0
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "bad_request", "this is no request that HTTP knows")

    def _wait_for_headers(self) -> None:
        self._waiting = self.loop.call_later(self.settings.header_timeout, self._headers_late)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _headers_late(self) -> None:
        seconds = self.settings.header_timeout
        self._refuse(408, "body_timeout", f"no request arrived within {seconds:g} s")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer without the application, which has not seen a request, and close the connection."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # else an answer is on its way
            body = orjson.dumps({"error": {"code": code, "message": message, "request_id": ""}})
            head = [STATUS_LINE[status], b"content-type: application/json\r\nconnection: close\r\n"]
            head += [b"retry-after: 1\r\n"] if status == 503 else []
            self.transport.write(b"".join([*head, b"content-length: %d\r\n\r\n" % len(body), body]))
        self.transport.close()


class Server(uvicorn.Server):
    """Uvicorn's server, which at SIGTERM first lets everybody know, and reloads the model at SIGHUP.

    Parameters
    ----------
    app : FastAPI
        Of :func:`minidl.serve.create_app`.
    reload : callable
        Returns a new model for the service; called in a thread.
    announce : callable
        Called once connections are accepted.
    """

    def __init__(self, app: Any, reload: Callable[[], Any], announce: Callable[[], None]) -> None:
        self.service: Service = app.state.service
        settings = self.service.settings

        class Limited(Protocol):
            pass

        Limited.settings = settings
        config = uvicorn.Config(
            app,
            http=Limited,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.request_timeout) + 1,
            backlog=2048,
        )
        super().__init__(config)
        self._reload, self._announce = reload, announce
        self._reloading: asyncio.Task[None] | None = None
        self._again = False
        self._close_at = float("inf")

    async def startup(self, sockets: Any = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin_reload)
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Refuse new requests from now on, and close connections in a while; a second Ctrl-C does not wait."""
        state = self.service.state
        if state.draining and sig == signal.SIGINT:
            self.force_exit = self.should_exit = True
        elif not state.draining:
            state.draining = True
            self._close_at = time.monotonic() + self.service.settings.drain

    async def on_tick(self, counter: int) -> bool:
        """Look after things ten times a second."""
        if self.service.state.draining and (not self.server_state.connections or time.monotonic() >= self._close_at):
            self.should_exit = True
        return await super().on_tick(counter)

    def _begin_reload(self) -> None:
        if self._reloading is not None and not self._reloading.done():
            self._again = True  # the file may have changed since it was read
            return
        self._reloading = asyncio.create_task(self._reload_model())

    async def _reload_model(self) -> None:
        while True:
            self._again = False
            try:
                self.service.replace(await asyncio.to_thread(self._reload))
            except Exception as error:  # whatever is wrong with it, the old model is not
                log.error("reload failed, and the model stays as it is: %s", " ".join(str(error).split()))
                self.service.metrics.reloads.labels("failed").inc()
            else:
                log.info("the model was reloaded")
                self.service.metrics.reloads.labels("done").inc()
            if not self._again:
                return


def log_to_stderr() -> None:
    """Send the service's log to stderr, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("minidl.serve", logging.INFO), ("uvicorn.error", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
