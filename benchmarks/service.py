"""Load on ``minidl serve``, beside a bare Starlette route that calls the same model inline.

    python -m benchmarks.service                    # both models: a few minutes
    python -m benchmarks.service --models cnn --rounds 3

Each server is a process of its own, and so is the load: so many clients that each wait for their answer before they
ask again, over connections that are kept. The servers take turns of short bursts. A ratio is that of two bursts in the
same turn, and what is shown is the median of the turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minidl import keras, ops
from minidl.autograd import no_grad
from minidl.keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

ROOT = Path(__file__).parents[1]
SERVERS = {
    "batched": "minidl serve",
    "unbatched": "minidl serve --max-batch 1",
    "inline": "Starlette, inline",
}
TITLES = {"mlp": "MLP 784-2048-2048-10, 5.8 million parameters", "cnn": "the digits CNN of `002`"}
GOALS = {"mlp": 3.0, "cnn": 1.0}  # least ratio of batched to inline, in requests a second


def build(name: str) -> Any:
    """Return one of the models, with random weights."""
    keras.utils.set_random_seed(0)
    if name == "mlp":
        layers = [Input((28, 28)), Flatten(), Dense(2048, "relu"), Dense(2048, "relu"), Dense(10, "softmax")]
    else:
        layers = [Input((28, 28, 1)), Conv2D(32, 3, activation="relu"), MaxPooling2D(2)]
        layers += [Conv2D(64, 3, activation="relu"), MaxPooling2D(2), Flatten()]
        layers += [Dense(64, "relu"), Dense(10, "softmax")]
    return keras.Sequential(layers)


# ---------------------------------------------------------------------- servers


def serve_inline(path: str) -> None:
    """Serve a model as one would write it in ten lines."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    model = keras.saving.load_model(path).eval()
    shape = model.input_shape[1:]

    async def classify(request: Any) -> JSONResponse:
        body = await request.json()
        image = np.array(body["image"], "float32").reshape(1, *shape)
        with no_grad():
            scores = model(ops.from_numpy(image)).array[0]
        order = np.argsort(-scores)
        return JSONResponse({"labels": [str(i) for i in order], "confidences": scores[order].tolist()})

    with no_grad():
        model(ops.zeros(1, *shape))
    app = Starlette(routes=[Route("/v1/image-classification", classify, methods=["POST"])])
    config = uvicorn.Config(app, port=0, access_log=False, log_level="error")
    listener = config.bind_socket()
    print(f"serving at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run([listener])


@contextmanager
def server(kind: str, path: Path, threads: int) -> Iterator[int]:
    """Start a server; yield its port."""
    command = [sys.executable, "-m", "benchmarks.service", "--serve-inline", str(path)]
    if kind != "inline":
        command = [sys.executable, "-m", "minidl", "serve", str(path), "--port", "0", "--insecure-no-auth"]
        command += ["--max-batch", "1"] if kind == "unbatched" else []
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads), "MINIDL_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            found = re.search(r"http://[\d.]+:(\d+)", line)
            if found is None:
                raise RuntimeError(f"the server did not start: {' '.join(command)}")
            yield int(found[1])
        finally:
            process.send_signal(signal.SIGTERM)


# ---------------------------------------------------------------------- load


async def clients(port: int, count: int, seconds: float, bodies: list[bytes]) -> list[tuple[int, float, bytes]]:
    """Ask for so long; return which body, how long it took, and the first label, for each request."""
    answers: list[tuple[int, float, bytes]] = []
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        which = number
        while time.perf_counter() < until:
            which = (which + 1) % len(bodies)
            started = time.perf_counter()
            writer.write(bodies[which])
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.I)
            body = await reader.readexactly(int(length[1]) if length else 0)
            took = time.perf_counter() - started
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head!r} {body!r}")
            answers.append((which, took, body[12:13]))
        writer.close()

    await asyncio.gather(*(client(number) for number in range(count)))
    return answers


def load(port: int, count: int, seconds: float) -> dict[str, float]:
    """Ask, and return requests a second and percentiles of the latency in milliseconds: the load's own process."""
    images = np.random.default_rng(0).random((64, 28, 28)).round(4)
    bodies = []
    for image in images:
        body = json.dumps({"image": image.tolist()}).encode()
        head = [
            "POST /v1/image-classification HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        bodies.append("\r\n".join([*head, "", ""]).encode() + body)
    asyncio.run(clients(port, count, seconds / 5, bodies))
    started = time.perf_counter()
    answers = asyncio.run(clients(port, count, seconds, bodies))
    took = time.perf_counter() - started
    labels: dict[int, set[bytes]] = {}
    for which, _, label in answers:
        labels.setdefault(which, set()).add(label)
    times = np.array([seconds for _, seconds, _ in answers]) * 1e3
    return {
        "rate": len(answers) / took,
        "p50": float(np.percentile(times, 50)),
        "p99": float(np.percentile(times, 99)),
        "unsteady": float(sum(len(found) > 1 for found in labels.values())),
    }


def burst(port: int, count: int, seconds: float) -> dict[str, float]:
    """Run :func:`load` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.service", "--load", str(port), str(count), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def measure(name: str, arguments: argparse.Namespace) -> str:
    """Return the table for a model."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        build(name).save(folder / "model.h5")
        ports = {k: stack.enter_context(server(k, folder / "model.h5", arguments.threads)) for k in SERVERS}
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in SERVERS}
        for turn in range(arguments.rounds):
            for kind in list(SERVERS) if turn % 2 else reversed(SERVERS):
                found[kind].append(burst(ports[kind], arguments.clients, arguments.seconds))
    lines = [
        f"{TITLES[name]}; {arguments.clients} clients",
        "",
        "| server | requests/s | p50 ms | p99 ms | times inline |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, bursts in found.items():
        ratio = statistics.median(b["rate"] / i["rate"] for b, i in zip(bursts, found["inline"], strict=True))
        missed = f" < {GOALS[name]:g}" if kind == "batched" and ratio < GOALS[name] else ""
        rate, p50, p99 = (statistics.median(b[key] for b in bursts) for key in ("rate", "p50", "p99"))
        lines.append(f"| {SERVERS[kind]} | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {ratio:.2f}{missed} |")
    unsteady = sum(b["unsteady"] for bursts in found.values() for b in bursts)
    return "\n".join(lines) + (
        f"\n\n{unsteady:g} images were answered differently from time to time" if unsteady else ""
    )


def main() -> None:
    """Measure and print."""
    command = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    command.add_argument("--models", nargs="+", choices=TITLES, default=list(TITLES))
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--seconds", type=float, default=3.0)
    command.add_argument("--clients", type=int, default=32)
    command.add_argument("--threads", type=int, default=1, help="of each server's kernels (default: 1)")
    command.add_argument("--serve-inline", help=argparse.SUPPRESS)
    command.add_argument("--load", nargs=3, type=float, help=argparse.SUPPRESS)
    arguments = command.parse_args()
    if arguments.serve_inline:
        serve_inline(arguments.serve_inline)
    elif arguments.load:
        port, count, seconds = arguments.load
        print(json.dumps(load(int(port), int(count), seconds)))
    else:
        for name in arguments.models:
            print(f"\n{measure(name, arguments)}", flush=True)


if __name__ == "__main__":
    main()
