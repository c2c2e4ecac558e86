"""Document 004: a client as it has one, against the service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import cli, keras
from minidl.errors import StateError
from minidl.examples import EXAMPLES, cnn_classifier, service
from minidl.examples.report import Report
from minidl.serve import preprocess_image
from tests.serve.live import KEY, classifier, png, running

#: What the document's client does, as somebody would write it who reads its answer and nothing else.
CLIENT = """
import requests

answer = requests.post(
    f"{address}/v1/image-classification",
    json={"image": preprocess_image(image)},
    headers={"Authorization": f"Bearer {key}"},
).json()
for label, confidence in zip(answer["labels"], answer["confidences"]):
    print(f"{label}: {confidence}")
"""


def test_the_client_runs_given_an_image_and_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = classifier()
    image = np.random.default_rng(0).integers(0, 100, (28, 28)).astype(np.uint8)
    (tmp_path / "image.png").write_bytes(png(image))
    with running(model) as live:
        given = {"address": live.url, "key": KEY, "image": tmp_path / "image.png"}
        exec(CLIENT, {**given, "preprocess_image": preprocess_image})
    printed = re.findall(r"^(\d): (\S+)$", capsys.readouterr().out, re.M)
    scores = model.predict(image[None] / 255, verbose=0)[0]
    assert [int(label) for label, _ in printed] == np.argsort(-scores).tolist()
    np.testing.assert_allclose([float(confidence) for _, confidence in printed], np.sort(scores)[::-1], atol=1e-3)


def test_reproduce_service(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def train(report: Report, epochs: int, seed: int) -> None:
        assert (epochs, seed) == (2, 7)
        classifier((28, 28, 1), seed=4).save(report.out / "cnn-classifier.h5")  # the training itself: tests/examples/

    monkeypatch.setattr(cnn_classifier, "run", train)
    arguments = ["reproduce", "service", "--out", str(tmp_path), "--device", "cpu"]  # the service is another process
    assert cli.main([*arguments, "--epochs", "2", "--seed", "7"]) == 0
    printed = capsys.readouterr().out
    asked = re.findall(r"^digit (\d), which is a (\d):   (\d): (\S+)   \d: \S+   \d: \S+$", printed, re.M)
    model = keras.models.load_model(tmp_path / "cnn-classifier.h5")
    (_, _), (images, targets) = keras.datasets.mnist.load_data()
    scores = model.predict(images[:10, :, :, None] / 255 - 0.5, verbose=0)
    assert [(int(i), int(target)) for i, target, _, _ in asked] == list(enumerate(targets[:10].tolist()))
    assert [int(label) for _, _, label, _ in asked] == scores.argmax(axis=1).tolist()
    np.testing.assert_allclose([float(c) for *_, c in asked], scores.max(axis=1), atol=1e-3)
    right = float(np.mean(scores.argmax(axis=1) == targets[:10]))
    row = re.search(r"^004 +service +accuracy +(\S+) +>= 0\.9 +- ", printed, re.M)
    assert row is not None
    assert float(row[1]) == right > 0

    monkeypatch.setattr(cnn_classifier, "run", lambda *_: pytest.fail("it trained again"))
    assert cli.main(arguments) == 0
    assert "cnn-classifier.h5: trained before\n" in capsys.readouterr().out


def test_what_goes_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cnn-classifier.h5").write_bytes(b"no model")
    missing = r"service: it did not start: minidl: .*cnn-classifier\.h5"
    with minidl.device("cpu"), pytest.raises(StateError, match=missing):  # the service is another process
        EXAMPLES["service"].run(Report("service", tmp_path))
    with pytest.raises(StateError, match=r"service: the client failed: .*ConnectionError"):
        service.asked("http://127.0.0.1:9", "key", [picture(tmp_path)])
    real = service.importlib.util.find_spec
    monkeypatch.setattr(service.importlib.util, "find_spec", lambda name: None if name == "fastapi" else real(name))
    with pytest.raises(StateError, match=r"fastapi is not installed; pip install 'minidl\[serve\]'"):
        EXAMPLES["service"].run(Report("service", tmp_path))


def picture(folder: Path) -> Any:
    path = folder / "image.png"
    path.write_bytes(service.as_png(np.zeros((28, 28), np.uint8)))
    assert preprocess_image(path) == np.zeros((28, 28)).tolist()
    return str(path)
