"""Services that run: in a thread of the test, or as the command in a process of its own."""

from __future__ import annotations

import asyncio
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from minidl import keras
from minidl.serve import create_app
from minidl.serve.server import Server

KEY = "a-key-for-tests"
BEARER = {"Authorization": f"Bearer {KEY}"}


def classifier(shape: tuple[int, ...] = (28, 28), classes: int = 10, seed: int = 0) -> keras.Model:
    """Return a small network with random weights, large enough to be sure of what it says."""
    keras.utils.set_random_seed(seed)
    scale = keras.initializers.RandomNormal(stddev=0.5)
    layers = [keras.Input(shape), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax", kernel_initializer=scale)])


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Return an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


class Live:
    """A running service, and a client's connection to it."""

    def __init__(self, url: str, app: Any = None) -> None:
        self.url, self.app = url, app
        self.port = int(url.rpartition(":")[2])
        self.session = requests.Session()

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=20, **{"headers": BEARER, **kwargs})

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        kwargs["headers"] = BEARER | kwargs.get("headers", {})
        return self.session.post(self.url + path, timeout=20, **kwargs)

    def raw(self, data: bytes, seconds: float = 10.0, close: bool = True) -> bytes:
        """Send bytes as they are; return all that comes back until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        return received

    def error(self, response: requests.Response) -> dict[str, str]:
        """Return an error after a look at its form."""
        assert response.headers["content-type"] == "application/json"
        body = response.json()
        assert set(body) == {"error"}
        assert set(body["error"]) == {"code", "message", "request_id"}
        assert body["error"]["request_id"] == response.headers["x-request-id"]
        assert "Traceback" not in response.text
        assert ".py" not in response.text
        return body["error"]


@contextmanager
def running(model: Any, reload: Callable[[], Any] = lambda: None, **kwargs: Any) -> Iterator[Live]:
    """Serve a model in a thread."""
    app = create_app(model, **{"keys": [KEY], "drain": 0.0, "warm_up": False, **kwargs})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        started = threading.Event()
        server = Server(app, reload, started.set)
        thread = threading.Thread(target=lambda: server.run([listener]))
        thread.start()
        assert started.wait(20)
        live = Live(f"http://127.0.0.1:{listener.getsockname()[1]}", app)
        try:
            yield live
        finally:
            live.session.close()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


class Command:
    """``minidl serve`` in a process of its own."""

    def __init__(
        self, *arguments: str, keys: str = KEY, folder: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "minidl", "serve", *arguments, "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "MINIDL_API_KEYS": keys, **(environment or {})},
            )
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        found = re.search(r"http://[\d.]+:\d+", line)
        if found is None:
            self.close()
            raise AssertionError(f"the service did not start: {line}{self.logged}")
        self.live = Live(found[0])

    @property
    def logged(self) -> str:
        return self.log.read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        """Wait until the log has something."""
        until = time.monotonic() + seconds
        while text not in self.logged:
            assert time.monotonic() < until, f"no {text!r} in: {self.logged}"
            time.sleep(0.05)

    def close(self) -> int:
        """End it as a supervisor would, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(40)
        self.process.stdout.close()  # type: ignore[union-attr]
        if hasattr(self, "live"):
            self.live.session.close()
        return status

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(coroutine: Any) -> Any:
    """Run a coroutine to its end."""
    return asyncio.run(coroutine)
