"""Document 004: a model behind an API. The service is ``minidl serve``, and the client ``service_client.py``.

It serves the network of document 002, trained before (``minidl reproduce cnn-classifier``) or now.
"""

import importlib.util
import os
import re
import secrets
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from minidl import get_default_device, keras
from minidl.errors import StateError
from minidl.examples import cnn_classifier
from minidl.examples.report import Report

DIGITS = 10
NEEDS = ("fastapi", "httptools", "orjson", "PIL", "prometheus_client", "python_multipart", "requests", "uvicorn")


def run(report: Report, epochs: int = 10, seed: int = 0) -> None:
    """Serve the network, let the document's client ask about a few unseen digits, and report how many it was told."""
    absent = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if absent:
        raise StateError(f"service: {absent[0]} is not installed; pip install 'minidl[serve]' for the service")
    path = report.out / "cnn-classifier.h5"
    if path.exists():
        print(f"{path}: trained before", flush=True)
    else:
        cnn_classifier.run(Report("cnn-classifier", report.out), epochs, seed)

    _, (images, targets) = keras.datasets.mnist.load_data()
    key = secrets.token_urlsafe(16)
    with (
        report.training(">= 0.9", path.name) as log,
        tempfile.TemporaryDirectory() as folder,
        service(path, key) as address,
    ):
        pictures = [str(Path(folder) / f"{i}.png") for i in range(DIGITS)]
        for picture, image in zip(pictures, images, strict=False):
            Path(picture).write_bytes(as_png(image))
        lines = asked(address, key, pictures)
    right = 0
    for i, target in enumerate(targets[:DIGITS]):
        answer = lines[10 * i : 10 * (i + 1)]
        right += answer[0].startswith(f"{target}: ")
        print(f"digit {i}, which is a {target}:   " + "   ".join(answer[:3]))
    log.result("accuracy", right / DIGITS)


def as_png(image: np.ndarray) -> bytes:
    """Return an image (H, W) uint8 as a PNG file."""
    height, width = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)  # each begins with its filter, which is none
    chunks = [
        (b"IHDR", struct.pack(">II5B", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    made = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


@contextmanager
def service(path: Path, key: str) -> Iterator[str]:
    """Start the service on a free port of this machine, yield its address, and end it."""
    where = ["--device", str(get_default_device())]
    command = [sys.executable, "-m", "minidl", "serve", str(path), "--mean", "0.5", "--port", "0", *where]
    environment = {**os.environ, "MINIDL_API_KEYS": key}
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages, text=True, env=environment)
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            found = re.search(r"http://\S+?:\d+", line)
            if found is None:
                process.wait()
                messages.seek(0)
                raise StateError(f"service: it did not start: {messages.read()}")
            print(line.strip(), flush=True)
            yield found[0]
        finally:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def asked(address: str, key: str, pictures: list[str]) -> list[str]:
    """Run the document's client, and return the lines that it prints."""
    command = [sys.executable, "-m", "minidl.examples.service_client", f"{address}/v1/image-classification", key]
    done = subprocess.run([*command, *pictures], capture_output=True, text=True)
    if done.returncode:
        raise StateError(f"service: the client failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.splitlines()
