"""What those who run the service look at: health, figures, the documentation; and the page, in a real browser."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from minidl import keras
from tests.serve.live import BEARER, KEY, Live, classifier, png, running

MODEL = classifier()
IMAGE = "/v1/image-classification"
EXAMPLES = int(os.environ.get("MINIDL_SCHEMATHESIS_EXAMPLES", "120"))


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running(MODEL) as live:
        yield live


def figures(live: Live) -> dict[tuple[str, ...], float]:
    """Return the metrics as Prometheus reads them."""
    response = live.session.get(live.url + "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_health(live: Live) -> None:
    assert live.session.get(live.url + "/healthz").json() == {"status": "ok"}
    assert live.session.get(live.url + "/readyz").json() == {"ready": True}


def test_figures() -> None:
    with running(MODEL) as live:
        for _ in range(5):
            live.post(IMAGE, json={"image": np.zeros((28, 28)).tolist()})
        live.post(IMAGE, json={})
        live.post("/v1/predict", json={"inputs": np.zeros((9, 28, 28)).tolist()})
        live.get("/any/path/that/a/scanner/tries")
        found = figures(live)
    assert found["minidl_requests_total", "POST", IMAGE, "200"] == 5
    assert found["minidl_requests_total", "POST", IMAGE, "422"] == 1
    assert found["minidl_requests_total", "GET", "other", "404"] == 1
    assert found["minidl_request_seconds_count", IMAGE] == 6
    assert found["minidl_batch_rows_count",] == 6
    assert found["minidl_batch_rows_sum",] == 14
    assert found["minidl_batch_rows_bucket", "1.0"] == 5
    assert found["minidl_forward_seconds_count",] == 6
    assert found["minidl_queue_rows",] == 0
    assert found["minidl_requests_active",] == 1  # this one
    assert not any("scanner" in part for key in found for part in key)


def test_the_documentation_names_every_route(live: Live) -> None:
    document = live.session.get(live.url + "/openapi.json").json()
    assert set(document["paths"]) == {
        IMAGE,
        "/v1/predict",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        *(
            f"/v2/models/{{model}}{version}{what}"
            for version in ("", "/versions/{version}")
            for what in ("", "/ready", "/infer")
        ),
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert document["paths"][IMAGE]["post"]["security"] == [{"key": []}]
    assert live.session.get(live.url + "/docs").status_code == 200


@pytest.mark.parametrize("keyed", [True, False])
def test_schemathesis_finds_nothing(keyed: bool) -> None:
    """It makes requests from the documentation, good ones and bad ones, and compares what comes back."""
    schemathesis = pytest.importorskip(
        "schemathesis", reason="schemathesis is not installed; pip install 'minidl[clients]'"
    )
    file = png(np.zeros((3, 2), np.uint8))
    schemathesis.openapi.format("base64-image", st.just(base64.b64encode(file).decode()))
    for kind in ("image/png", "image/jpeg"):
        schemathesis.openapi.media_type(kind, st.just(file))
    with running(classifier((3, 2), 4), keys=[KEY] if keyed else None) as live:
        schema = schemathesis.openapi.from_url(live.url + "/openapi.json")

        @hypothesis.given(case=st.one_of(*(operation.ok().as_strategy() for operation in schema.get_all_operations())))
        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=EXAMPLES == 120,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def check(case: Any) -> None:
            # JSON Schema cannot say that a tensor has as many numbers as its shape comes to, nor which become infinite
            says_all = not case.path.endswith(("/infer", "/predict"))
            unsayable = [] if says_all else [schemathesis.checks.positive_data_acceptance]
            case.call_and_validate(headers=dict(BEARER) if keyed else None, excluded_checks=unsayable)

        check()


def test_curl(live: Live, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    (tmp_path / "digit.png").write_bytes(png(np.eye(28, dtype=np.uint8) * 255))
    (tmp_path / "large.json").write_bytes(b"x" * 5_000_000)
    common = [curl, "-sS", "-H", f"Authorization: Bearer {KEY}", "-w", "\n%{http_code}"]
    for arguments, status in [
        (["-F", f"image=@{tmp_path}/digit.png", "-F", "top_k=1", live.url + IMAGE], "200"),
        (["-d", '{"image": 5}', "-H", "Content-Type: application/json", live.url + IMAGE], "422"),
        (["--data-binary", f"@{tmp_path}/large.json", "-H", "Content-Type: application/json", live.url + IMAGE], "413"),
        (["-I", live.url + "/healthz"], "405"),
    ]:
        done = subprocess.run([*common, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == status
        assert done.stderr == ""


# ---------------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed; pip install 'minidl[clients]'"
    )
    with api.sync_playwright() as playwright:
        for path in (None, shutil.which("chromium"), shutil.which("google-chrome")):
            try:
                found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                break
            except api.Error:
                continue
        else:
            pytest.skip("there is no Chromium; playwright install chromium")
        yield found
        found.close()


def draw(page: Any) -> None:
    """Draw a seven with the mouse."""
    box = page.locator("#pad").bounding_box()
    points = [(60, 60), (200, 60), (130, 230)]
    page.mouse.move(box["x"] + points[0][0], box["y"] + points[0][1])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=12)
    page.mouse.up()


def test_a_person_draws_a_digit_and_sees_the_answer(browser: Any) -> None:
    (x_train, y_train), _ = keras.datasets.mnist.load_data()
    keras.utils.set_random_seed(0)
    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(64, "relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x_train / 255, y_train, epochs=2, batch_size=64, verbose=0)
    with running(model) as live:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(live.url)
        page.get_by_role("button", name="Read it").click()
        page.get_by_text("Nothing is drawn yet.").wait_for()
        assert said == []

        draw(page)  # without a key
        page.get_by_text("the Authorization header is not 'Bearer KEY'").wait_for()
        page.get_by_label("Key").fill(KEY)
        page.get_by_role("button", name="Read it").click()
        page.locator("#list li").nth(4).wait_for()
        assert page.locator("#answer").inner_text() == "7"
        assert page.locator("#error").inner_text() == ""

        page.get_by_role("button", name="Clear").click()
        assert page.locator("#list li").count() == 0
        assert page.locator("#answer").inner_text() == ""
        assert KEY not in json.dumps([page.url, page.evaluate("Object.assign({}, localStorage, sessionStorage)")])
        page.close()


def test_the_page_asks_for_no_key_where_there_is_none(browser: Any) -> None:
    with running(MODEL, keys=None, labels=[f"<b>{i}</b>" for i in range(10)]) as live:
        page = browser.new_page()
        page.goto(live.url)
        assert not page.get_by_label("Key").is_visible()
        draw(page)
        page.locator("#list li").nth(4).wait_for()
        assert page.locator("#answer").inner_text().startswith("<b>")  # a label is text, whatever it holds
        page.close()


def test_the_page_is_for_those_who_draw() -> None:
    with running(classifier((8, 8, 3))) as live:
        assert live.get("/").status_code == 404
    with running(MODEL) as live:
        policy = live.get("/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-eval" not in policy
