"""``minidl serve``: a model's file, an address, one process or several."""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidl.backend import Device, check_available, set_default_device
from minidl.errors import ArgumentError, DataError, StateError
from minidl.serve import metrics
from minidl.serve.app import create_app
from minidl.serve.keys import VARIABLE, Keys, read_keys
from minidl.serve.model import ServedModel, open_model
from minidl.serve.server import Server, log_to_stderr
from minidl.serve.settings import Settings

READY = "ready"  # what a worker says on its stdout
PATIENCE = 1.0  # seconds before a worker that died is started again


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a process that serves has to know; it is handed to workers as JSON, keys excepted."""

    model: str
    labels: list[str] | None
    name: str
    factory: str | None
    input_shape: list[int] | None
    device: str | None
    keys_file: str | None
    open_to_all: bool
    settings: dict[str, Any]


def serve(arguments: argparse.Namespace) -> None:
    """Serve until a signal says that it is enough.

    Raises
    ------
    MiniDLError, OSError
        If something about the model, the keys or the address is wrong.
    """
    path = Path(arguments.model)
    settings = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(Settings)}
    Settings(**settings)
    plan = Plan(
        model=str(path),
        labels=None if arguments.labels is None else read_labels(arguments.labels),
        name=arguments.name or re.sub(r"[^A-Za-z0-9._-]", "-", path.name.split(".")[0])[:100] or "model",
        factory=arguments.factory,
        input_shape=arguments.input_shape,
        device=arguments.device,
        keys_file=None if arguments.keys_file is None else str(arguments.keys_file),
        open_to_all=arguments.insecure_no_auth,
        settings=settings,
    )
    check_keys(plan)
    if plan.device is not None:
        check_available(Device(plan.device))
    if not path.exists():
        raise DataError(f"serve: there is no file {path}")
    with bind(arguments.host, arguments.port) as listener:
        host, port = listener.getsockname()[:2]
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        if not ipaddress.ip_address(host).is_loopback:
            print(f"minidl: {where} can be reached from other machines, and is not encrypted", file=sys.stderr)

        def announce() -> None:
            print(f"minidl: serving {plan.model} at {where} (documentation: {where}/docs)", flush=True)

        if arguments.workers == 1:
            run(plan, listener, announce)
        else:
            Workers(plan, listener, arguments.workers).run(announce)


def check_keys(plan: Plan) -> list[str] | None:
    """Return the keys; None if everybody may come in.

    Raises
    ------
    ArgumentError
        If there are none, and nobody said that everybody may.
    """
    keys = read_keys(plan.keys_file)
    if plan.open_to_all:
        if keys:
            raise ArgumentError(
                f"serve: --insecure-no-auth, and there are keys ({VARIABLE}, --keys-file); which is it?"
            )
        return None
    if not keys:
        raise ArgumentError(
            f"serve: there is no key; put one or more into the environment variable {VARIABLE}, or a line each into a "
            "file that --keys-file names, or let everybody in with --insecure-no-auth"
        )
    Keys(keys)
    return keys


def read_labels(file: str | os.PathLike[str]) -> list[str]:
    """Return the labels in a file, one a line."""
    try:
        labels = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"serve: {os.fspath(file)} is no text in UTF-8") from error
    while labels and not labels[-1]:
        labels.pop()
    if not labels or not all(labels):
        raise DataError(f"serve: {os.fspath(file)}: expected a label on each line, and there are empty ones")
    return labels


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free."""
    if port > 65535:
        raise ArgumentError(f"serve: --port {port}: expected 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ArgumentError(f"serve: --host {host}: {error}") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ArgumentError(f"serve: cannot listen at {host}:{port}: {error.strerror}") from error
    return listener


def run(plan: Plan, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Load the model and serve, in this process."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a model that another could replace
    from_file = Path(plan.model)
    if plan.device is not None:
        set_default_device(plan.device)  # in all threads: the process is there for this model alone
    keys = check_keys(plan)
    os.environ.pop(VARIABLE, None)  # from here on there are hashes alone
    app = create_app(
        open_model(from_file, plan.factory),
        labels=plan.labels,
        keys=keys,
        name=plan.name,
        input_shape=plan.input_shape,
        **plan.settings,
    )
    settings = app.state.service.settings

    def reload() -> ServedModel:
        model = ServedModel(open_model(from_file, plan.factory, untrusted=True), plan.input_shape)
        model.warm_up(settings.max_batch)
        return model

    log_to_stderr()
    sys.setswitchinterval(0.0005)  # the forward pass and the event loop wait for each other's lock, for 5 ms otherwise
    Server(app, reload, announce).run([listener])


class Workers:
    """Several processes that accept connections from one socket; one that dies is replaced.

    Parameters
    ----------
    plan : Plan
    listener : socket
    count : int
    """

    def __init__(self, plan: Plan, listener: socket.socket, count: int) -> None:
        self.listener, self.count = listener, count
        self.plan = json.dumps(dataclasses.asdict(plan))
        self.processes: list[subprocess.Popen[str]] = []
        self.stopping = False
        self.folder = ""

    def run(self, announce: Callable[[], None]) -> None:
        """Start them, and look after them until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._tell(signal.SIGHUP))
        with tempfile.TemporaryDirectory(prefix="minidl-serve-") as self.folder:
            self.processes = [self._start() for _ in range(self.count)]
            try:
                for process in self.processes:
                    self._wait_until_ready(process)
                if not self.stopping:
                    announce()
                while not self.stopping:
                    time.sleep(0.1)
                    self._replace_dead()
            finally:
                self._tell(signal.SIGTERM)
                for process in self.processes:
                    process.wait()
                    for pipe in (process.stdin, process.stdout):
                        if pipe is not None:
                            pipe.close()

    def _start(self) -> subprocess.Popen[str]:
        descriptor = self.listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "minidl.serve.worker", str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[descriptor],
            env={**os.environ, metrics.FOLDER: self.folder},
        )
        if process.stdin is not None:
            process.stdin.write(self.plan + "\n")
            process.stdin.flush()
        return process

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        line = process.stdout.readline() if process.stdout is not None else ""
        if line.strip() != READY and not self.stopping:
            raise StateError(f"serve: a worker did not start (status {process.wait()}); its message stands above")

    def _replace_dead(self) -> None:
        for i, process in enumerate(self.processes):
            if process.poll() is not None and not self.stopping:
                print(f"minidl: worker {process.pid} ended with {process.returncode}", file=sys.stderr, flush=True)
                metrics.forget(process.pid, self.folder)
                time.sleep(PATIENCE)
                self.processes[i] = new = self._start()
                threading.Thread(target=lambda p=new: p.stdout.readline(), daemon=True).start()

    def _tell(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def _stop(self, number: int, frame: Any) -> None:
        self.stopping = True
        self._tell(signal.SIGTERM)


def plan_from(text: str) -> Plan:
    """Return a plan that was handed over."""
    return Plan(**json.loads(text))
