"""``minidl serve``: what it refuses to start with, and its life from the first signal to the last."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

import minidl
from minidl import cli, nn
from minidl.serve import command
from minidl.serve.settings import Settings
from tests.serve.live import BEARER, KEY, Command, classifier

MODEL = classifier()
BODY = {"inputs": np.full((1, 28, 28), 0.5).tolist()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "digits.h5"
    MODEL.save(path)
    return path


def scores(model: Any) -> np.ndarray:
    return model.predict(np.full((1, 28, 28), 0.5, "float32"), verbose=0)


# ---------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("arguments", "keys", "message"),
    [
        ([], "", r"there is no key; put one or more into the environment variable MINIDL_API_KEYS"),
        (["--insecure-no-auth"], "k", r"--insecure-no-auth, and there are keys"),
        (["--keys-file", "/no/such/file"], "", r"cannot read keys from /no/such/file"),
        ([], "schlüssel", r"a key is empty, or has blanks or characters beyond ASCII"),
        (["--labels", "{tmp}/labels.txt"], "k", r"there are 2 labels, and the model has 10 classes"),
        (["--labels", "{tmp}/gap.txt"], "k", r"expected a label on each line, and there are empty ones"),
        (["--labels", "{tmp}/none.txt"], "k", r"none\.txt"),
        (["--port", "70000"], "k", r"--port 70000: expected 0 to 65535"),
        (["--host", "no.such.host.invalid"], "k", r"--host no\.such\.host\.invalid: "),
        (["--host", "192.0.2.1"], "k", r"cannot listen at 192\.0\.2\.1:\d+: "),
        (["--std", "0"], "k", r"std: expected a positive number, got 0"),
        (["--max-wait-ms", "-1"], "k", r"max_wait_ms: expected at least 0, got -1"),
        (["--body-timeout", "nan"], "k", r"body_timeout: expected a number, got nan"),
        (["--factory", "a:b"], "k", r"holds a whole model; leave --factory out"),
        (["--name", "a/b"], "k", r"name: expected letters, digits"),
    ],
)
def test_what_it_does_not_start_with(
    arguments: list[str],
    keys: str,
    message: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    (tmp_path / "gap.txt").write_text("one\n\ntwo\n")
    monkeypatch.setenv("MINIDL_API_KEYS", keys)
    monkeypatch.setattr(command, "Server", lambda *_: pytest.fail("it started"))
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    try:
        status = cli.main(["serve", str(model), "--port", "0", *arguments])
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    printed = capsys.readouterr()
    assert (status, printed.out) == (1, "")
    assert re.fullmatch(rf"minidl: .*({message}).*\n", printed.err)


def test_files_that_are_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    (tmp_path / "model.pt").write_bytes(b"PK")
    minidl.save(nn.Linear(3, 2).state_dict(), tmp_path / "w.safetensors")
    try:
        for name, message in [
            ("missing.h5", "there is no file"),
            ("broken.h5", "broken.h5"),
            ("model.pt", "the format follows from how the name ends"),
            ("w.safetensors", "say what makes the model with --factory"),
        ]:
            monkeypatch.setenv("MINIDL_API_KEYS", "k")  # which the command takes out of the environment
            assert cli.main(["serve", str(tmp_path / name), "--port", "0"]) == 1
            assert message in capsys.readouterr().err
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_port_that_is_taken(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("MINIDL_API_KEYS", "k")
    with command.bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main(["serve", str(model), "--port", port]) == 1
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err


def test_the_defaults_of_the_command_are_those_of_the_settings() -> None:
    arguments = cli.build_parser().parse_args(["serve", "model.h5"])
    assert Settings(**{name: getattr(arguments, name) for name in vars(Settings())}) == Settings()
    assert (arguments.host, arguments.insecure_no_auth) == ("127.0.0.1", False)


def test_without_the_extra_it_says_what_to_install(model: Path) -> None:
    program = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from minidl import cli\n"
        f"sys.exit(cli.main(['serve', {str(model)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "the service needs the extra 'serve': pip install 'minidl[serve]'" in done.stderr
    assert "Traceback" not in done.stderr
    program = "import sys; sys.modules['fastapi'] = None\nfrom minidl.serve import create_app"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "minidl.serve.create_app needs fastapi, which is not installed; pip install 'minidl[serve]'" in done.stderr


def test_minidl_does_not_load_it() -> None:
    program = "import sys, minidl, minidl.cli, minidl.serve; print(*({'fastapi', 'PIL', 'uvicorn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# ---------------------------------------------------------------------- its life


class Load:
    """Clients that ask all the time, each over connections of its own; they remember what they got."""

    def __init__(self, url: str, count: int = 2) -> None:
        self.url = url
        self.outcomes: list[tuple[float, float, Any]] = []  # begun, ended, status or error
        self.outputs: set[float] = set()
        self._stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                begun = time.monotonic()
                outcome: Any
                try:
                    response = session.post(self.url + "/v1/predict", json=BODY, headers=BEARER, timeout=30)
                    outcome = response.status_code
                    if outcome == 200:
                        self.outputs.add(round(response.json()["outputs"][0][0], 4))
                except requests.RequestException as error:
                    outcome = error
                    time.sleep(0.02)
                self.outcomes.append((begun, time.monotonic(), outcome))
                time.sleep(0.005)

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.join()

    def has_answers(self, count: int = 20) -> None:
        until = time.monotonic() + 120
        while len(self.outcomes) < count:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    MODEL.save(tmp_path / "digits.h5")
    return tmp_path


def test_from_beginning_to_end(folder: Path) -> None:
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    (folder / "labels.txt").write_text("\n".join(names))
    (folder / "keys.txt").write_text(f"sha256:{hashlib.sha256(b'another').hexdigest()}\n")
    options = ["--labels", str(folder / "labels.txt"), "--keys-file", str(folder / "keys.txt")]
    with Command(str(folder / "digits.h5"), *options, folder=folder) as served:
        live = served.live
        for key in (KEY, "another"):
            headers = {"Authorization": f"Bearer {key}"}
            body = {"image": np.full((28, 28), 0.5).tolist(), "top_k": 1}
            response = live.session.post(live.url + "/v1/image-classification", json=body, headers=headers)
            assert response.json()["labels"] == [names[int(scores(MODEL).argmax())]]
        assert live.get("/v2/models/digits").status_code == 200
        environment = Path(f"/proc/{served.process.pid}/cmdline")
        if environment.exists():
            assert KEY not in environment.read_text()
        assert served.close() == 0
        assert KEY not in served.logged
        assert "Traceback" not in served.logged
        assert len(re.findall(r" INFO request_id=\S+ key=[12] POST /v1/image-classification 200 ", served.logged)) == 2


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_sigterm_under_load_loses_nothing(folder: Path, workers: str) -> None:
    with (
        Command(str(folder / "digits.h5"), "--workers", workers, "--drain", "2", folder=folder) as served,
        Load(served.live.url) as load,
    ):
        load.has_answers()
        told = time.monotonic()
        served.signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        gone = time.monotonic()
        while not any(begun > gone for begun, _, _ in load.outcomes):
            assert time.monotonic() < gone + 20
            time.sleep(0.01)
    before = [outcome for begun, _, outcome in load.outcomes if begun < told]
    assert set(before) <= {200, 503}  # those that began just before the signal may have been told to go elsewhere
    assert before.count(200) >= 15
    draining = [outcome for begun, ended, outcome in load.outcomes if begun > told and ended < gone]
    assert 503 in draining  # told, and not dropped
    refused = [outcome for begun, _, outcome in load.outcomes if begun > gone]
    assert refused
    assert all(isinstance(outcome, requests.ConnectionError) for outcome in refused)


def test_sigterm_waits_for_a_request_that_is_still_on_its_way(folder: Path) -> None:
    body = json.dumps(BODY).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with (
        Command(str(folder / "digits.h5"), "--drain", "1", folder=folder) as served,
        socket.create_connection(("127.0.0.1", served.live.port), timeout=20) as connection,
        socket.create_connection(("127.0.0.1", served.live.port), timeout=20) as other,
    ):
        connection.sendall(head.encode() + body[:1000])
        time.sleep(0.3)
        served.signal(signal.SIGTERM)
        answer = b"HTTP/1.1 200"
        while answer.startswith(b"HTTP/1.1 200"):  # until the signal is seen
            other.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = other.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503")
        time.sleep(1.5)  # past the time in which new requests are told
        connection.sendall(body[1000:])
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert served.process.wait(20) == 0


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_sighup_takes_a_new_file_and_leaves_a_broken_one(folder: Path, workers: str) -> None:
    path, other = folder / "digits.h5", classifier(seed=1)
    old, new = (round(float(scores(model)[0, 0]), 4) for model in (MODEL, other))
    with Command(str(path), "--workers", workers, folder=folder) as served, Load(served.live.url) as load:
        load.has_answers()
        other.save(path)
        served.signal(signal.SIGHUP)
        until = time.monotonic() + 30
        while served.logged.count("the model was reloaded") < int(workers):
            assert time.monotonic() < until
            time.sleep(0.05)
        load.has_answers(len(load.outcomes) + 20)
        assert load.outputs == {old, new}
        load.outputs.clear()

        path.write_bytes(path.read_bytes()[:2000])
        served.signal(signal.SIGHUP)
        while served.logged.count("reload failed, and the model stays as it is") < int(workers):
            assert time.monotonic() < until
            time.sleep(0.05)
        load.has_answers(len(load.outcomes) + 20)
        assert load.outputs == {new}
        figures = served.live.session.get(served.live.url + "/metrics").text
        assert f'minidl_reloads_total{{result="done"}} {float(workers)}' in figures
        assert f'minidl_reloads_total{{result="failed"}} {float(workers)}' in figures
        closing = time.monotonic()
    assert {outcome for _, ended, outcome in load.outcomes if ended < closing} == {200}


def test_workers_count_together_and_are_replaced(folder: Path) -> None:
    with Command(str(folder / "digits.h5"), "--workers", "2", folder=folder) as served:
        children = [
            int(pid)
            for pid in Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
        ]
        assert len(children) == 2
        with Load(served.live.url, 4) as load:
            load.has_answers(100)
        count = sum(outcome == 200 for _, _, outcome in load.outcomes)
        wanted = f'minidl_requests_total{{method="POST",route="/v1/predict",status="200"}} {float(count)}'

        def told() -> str:
            return requests.get(served.live.url + "/metrics", timeout=10).text

        until = time.monotonic() + 10  # a worker counts a request once its answer is sent
        while wanted not in told():
            assert time.monotonic() < until
        assert all(wanted in told() for _ in range(4))  # whichever worker answers
        os.kill(children[0], signal.SIGKILL)
        served.wait_for("ended with -9")
        with Load(served.live.url) as load:
            load.has_answers(20)
        assert sum(outcome == 200 for _, _, outcome in load.outcomes) >= 20


@pytest.mark.slow
def test_workers_end_with_their_parent(folder: Path) -> None:
    with Command(str(folder / "digits.h5"), "--workers", "2", folder=folder) as served:
        served.process.kill()
        served.process.wait()
        until = time.monotonic() + 20
        while True:
            try:
                requests.get(served.live.url + "/healthz", timeout=5)
            except requests.RequestException:
                break
            assert time.monotonic() < until
            time.sleep(0.1)


def test_control_c_ends_it(folder: Path) -> None:
    with Command(str(folder / "digits.h5"), folder=folder) as served:
        served.signal(signal.SIGINT)
        assert served.process.wait(20) == 0
        assert "Traceback" not in served.logged
