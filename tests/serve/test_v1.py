"""The service's own interface, over a real connection."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError
from minidl.serve import create_app, preprocess_image
from minidl.serve.model import ServedModel
from tests.serve.live import BEARER, KEY, Live, classifier, png, running

IMAGE = "/v1/image-classification"
MODEL = classifier()


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running(MODEL) as live:
        yield live


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (28, 28)).astype(np.uint8)


def expected(image: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return what the model itself says, the best first."""
    scores = MODEL.predict(np.asarray(image, "float32").reshape(1, 28, 28), verbose=0)[0]
    order = np.argsort(-scores, kind="stable")
    return [str(i) for i in order], scores[order]


def check(body: dict[str, Any], image: np.ndarray) -> None:
    labels, confidences = expected(image)
    assert set(body) == {"labels", "confidences"}
    assert body["labels"] == labels[: len(body["labels"])]
    np.testing.assert_allclose(body["confidences"], confidences[: len(body["labels"])], rtol=1e-4, atol=3e-4)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (1, 28, 28)])
def test_an_image_as_lists(live: Live, shape: tuple[int, ...]) -> None:
    image = pixels() / 255
    response = live.post(IMAGE, json={"image": image.reshape(shape).tolist()})
    assert response.status_code == 200
    assert len(response.json()["labels"]) == 10
    check(response.json(), image)


def test_a_file_in_base64_and_in_a_form() -> None:
    ink = 255 - pixels() // 8  # on paper: the service turns it round, as preprocess_image does
    image = np.array(preprocess_image(ink))
    data = png(ink)
    with running(MODEL) as live:
        for text in (base64.b64encode(data).decode(), "data:image/png;base64," + base64.b64encode(data).decode()):
            check(live.post(IMAGE, json={"image": text, "top_k": 3}).json(), image)
        form = live.post(IMAGE, files={"image": ("digit.png", data, "image/png")}, data={"top_k": "2"})
        assert len(form.json()["labels"]) == 2
        check(form.json(), image)
        jpeg = live.post(IMAGE, files={"image": ("digit.jpg", png(ink, "JPEG"), "image/jpeg")})
        assert jpeg.status_code == 200


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (10, 10), (1000, 10), (2.0, 2), (None, 10)])
def test_top_k(live: Live, top_k: float | None, count: int) -> None:
    body = live.post(IMAGE, json={"image": (pixels() / 255).tolist(), "top_k": top_k}).json()
    assert len(body["labels"]) == len(body["confidences"]) == count
    assert body["confidences"] == sorted(body["confidences"], reverse=True)


def test_labels_and_the_models_own_scale() -> None:
    names = [f"digit {i}" for i in range(10)]
    image = pixels() / 255
    with running(MODEL, labels=names, mean=0.5, std=0.25) as live:
        body = live.post(IMAGE, json={"image": image.tolist()}).json()
    labels, confidences = expected((image - 0.5) / 0.25)
    assert body["labels"] == [names[int(i)] for i in labels]
    np.testing.assert_allclose(body["confidences"], confidences, rtol=1e-3, atol=1e-7)


def test_any_model_can_predict(live: Live) -> None:
    batch = np.stack([pixels(i) / 255 for i in range(5)])
    for inputs in (batch.tolist(), {MODEL.input_names[0]: batch.tolist()}):
        body = live.post("/v1/predict", json={"inputs": inputs}).json()
        np.testing.assert_allclose(body["outputs"], MODEL.predict(batch, verbose=0), rtol=1e-4, atol=1e-7)


def test_several_inputs_and_outputs_go_by_name() -> None:
    a, b = keras.Input((3,), name="a"), keras.Input((1,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    model = keras.Model([a, b], [keras.layers.Dense(2, name="two")(joined), keras.layers.Dense(1, name="one")(joined)])
    with running(model) as live:
        assert live.post(IMAGE, json={"image": []}).status_code == 404  # it is no classifier of images
        body = live.post("/v1/predict", json={"inputs": {"a": [[1, 2, 3]], "b": [[4]]}}).json()
        two, one = model.predict([np.array([[1.0, 2, 3]]), np.array([[4.0]])], verbose=0)
        np.testing.assert_allclose(body["outputs"]["two"], two, rtol=1e-5)
        np.testing.assert_allclose(body["outputs"]["one"], one, rtol=1e-5)
        for inputs, message in [
            ([[1]], "expected an object with a list for each name"),
            ({"a": [[1, 2, 3]]}, "exactly these: a, b"),
            ({"a": [[1, 2, 3]], "b": [[1], [2]]}, "have different batches: 1, 2"),
            ({"a": [[1, 2]], "b": [[1]]}, r"a (the batch first): has the shape (1, 2); expected (any, 3)"),
        ]:
            response = live.post("/v1/predict", json={"inputs": inputs})
            assert response.status_code == 422
            assert message in live.error(response)["message"]


def test_what_the_model_refuses_is_the_clients_fault_and_nobody_elses() -> None:
    with minidl.device("cpu"):  # where indices are looked at: nobody waits for a GPU
        embedding = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(10, 3)])
    with running(embedding, max_wait_ms=20) as live, ThreadPoolExecutor(8) as pool:

        def ask(index: int) -> int:
            return live.post("/v1/predict", json={"inputs": [[index, 1]]}).status_code

        statuses = list(pool.map(ask, [0, 1, 99, 2, 3, 99, 4, 5] * 4))
        assert statuses == [200, 200, 422, 200, 200, 422, 200, 200] * 4
        message = live.error(live.post("/v1/predict", json={"inputs": [[99, 1]]}))["message"]
        # the layer's name counts the ones that other tests have made
        assert re.match(r"the model refuses these inputs: in Sequential\.embedding(_\d+)?: Embedding\(", message)


def test_outputs_that_are_not_finite() -> None:
    tenfold = keras.initializers.Constant(10)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer=tenfold)])
    with running(model) as live:
        response = live.post("/v1/predict", json={"inputs": [[3e38]]})
        assert (response.status_code, live.error(response)["code"]) == (422, "not_finite_output")


def test_many_at_once_get_each_their_own(live: Live) -> None:
    images = [pixels(i) / 255 for i in range(64)]

    def ask(image: np.ndarray) -> dict[str, Any]:
        session = live.session.__class__()
        response = session.post(live.url + IMAGE, json={"image": image.tolist()}, headers=BEARER, timeout=20)
        session.close()
        return response.json()

    with ThreadPoolExecutor(16) as pool:
        for image, body in zip(images, pool.map(ask, images), strict=True):
            check(body, image)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        (b"", 400, "invalid_json", "not JSON"),
        (b'{"image": [[', 400, "invalid_json", "not JSON"),
        (b"[]", 422, "invalid_input", "expected an object with 'image', got a list"),
        (b"{}", 422, "invalid_input", "'image' is missing"),
        (b'{"image": [], "topk": 3}', 422, "invalid_input", "no others than image, top_k"),
        (b'{"image": null}', 422, "invalid_input", "base64 string, got null"),
        (b'{"image": 5}', 422, "invalid_input", "base64 string, got a number"),
        (b'{"image": {}}', 422, "invalid_input", "base64 string, got an object"),
        (b'{"image": []}', 422, "invalid_input", "has the shape (0,); expected (28, 28) or (28, 28, 1) or (1, 28, 28)"),
        (b'{"image": [[1, 2], [3]]}', 422, "invalid_input", "ragged"),
        (b'{"image": [["1"]]}', 422, "invalid_input", "a string among them"),
        (b'{"image": [[NaN]]}', 422, "not_finite", "finite"),
        (b'{"image": [[1e999]]}', 422, "not_finite", "too large"),
        (b'{"image": [[1e300]]}', 422, "not_finite", "too large"),
        (b'{"image": ' + b"[" * 5000, 422, "too_deep", "deep"),
        (b'{"image": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}", 422, "too_deep", "deep"),
        (b'{"image": "no base64!"}', 422, "invalid_image", "not base64"),
        (b'{"image": ""}', 422, "invalid_image", "neither PNG nor JPEG"),
        (b'{"image": "AAAA"}', 422, "invalid_image", "neither PNG nor JPEG"),
        (
            json.dumps({"image": [[200] * 28] * 28}).encode(),
            422,
            "invalid_input",
            "from 0 to 1, got 200 to 200; divide",
        ),
        (json.dumps({"image": [[-0.5] * 28] * 28}).encode(), 422, "invalid_input", "from 0 to 1, got -0.5"),
        *[
            (
                json.dumps({"image": [[0] * 28] * 28, "top_k": k}).encode(),
                422,
                "invalid_input",
                "top_k: expected an int",
            )
            for k in (0, -1, 1.5, "3", True, [])
        ],
    ],
)
def test_bodies_that_are_refused(live: Live, body: bytes, status: int, code: str, message: str) -> None:
    response = live.post(IMAGE, data=body, headers={"Content-Type": "application/json"})
    error = live.error(response)
    assert (response.status_code, error["code"]) == (status, code)
    assert message in error["message"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": "image/png"}, b"{}", 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", 415),
        ({"Content-Type": "multipart/form-data"}, b"{}", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"nothing of a form", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\n\r\nbody without a name\r\n--x--\r\n", 400),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\ncut off',
            400,
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
            422,
        ),
    ],
)
def test_bodies_of_the_wrong_kind(live: Live, headers: dict[str, str], body: bytes, status: int) -> None:
    response = live.post(IMAGE, data=body, headers=headers)
    assert response.status_code == status
    live.error(response)


def test_forms_that_are_refused(live: Live) -> None:
    image = png(pixels())
    for files, data, message in [
        ({"image": image[:50]}, {}, "decoded"),
        ({"image": image}, {"top_k": "many"}, "top_k: expected an integer"),
        ({"image": image}, {"top_k": "0"}, "top_k: expected an integer"),
        ({"image": image, "more": image}, {}, "expected a file 'image'"),
    ]:
        response = live.post(IMAGE, files=files, data=data)
        assert response.status_code == 422
        assert message in live.error(response)["message"]


def test_addresses_and_methods(live: Live) -> None:
    for response, status in [
        (live.get("/nothing"), 404),
        (live.get("/v1/nothing"), 404),
        (live.get(IMAGE), 405),
        (live.session.delete(live.url + IMAGE, headers=BEARER), 405),
    ]:
        assert response.status_code == status
        live.error(response)
    assert live.get(IMAGE).headers["allow"] == "POST"


# ---------------------------------------------------------------------- keys


def test_a_key_is_needed(live: Live) -> None:
    body = {"image": (pixels() / 255).tolist()}
    for path in (IMAGE, "/v1/predict", "/v1/nothing"):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {KEY}"},
            {"Authorization": KEY},
        ):
            response = live.session.post(live.url + path, json=body, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith('Bearer realm="minidl"')
            assert live.error(response)["code"] == "unauthorized"
            assert KEY not in response.text
            assert "wrong" not in response.text
    assert live.session.post(live.url + "/v2/models/model/infer", json=body).json() == {
        "error": "this needs a key; send the header 'Authorization: Bearer KEY'"
    }


def test_without_keys_everybody_may_ask() -> None:
    with running(MODEL, keys=None) as live:
        response = live.session.post(live.url + IMAGE, json={"image": (pixels() / 255).tolist()})
        assert response.status_code == 200


def test_a_rate_for_each_key() -> None:
    with running(MODEL, keys=["one", "two"], rate_limit=3) as live:

        def ask(key: str) -> Any:
            headers = {"Authorization": f"Bearer {key}"}
            return live.session.post(live.url + "/v1/predict", json={"inputs": []}, headers=headers)

        statuses = [ask("one").status_code for _ in range(8)]
        assert statuses[:3] == [422] * 3
        assert 429 in statuses[3:]
        assert ask("two").status_code == 422
        refused = next(r for r in iter(lambda: ask("one"), None) if r.status_code == 429)
        assert refused.headers["retry-after"] == "1"
        assert live.error(refused)["code"] == "rate_limited"
        assert live.get("/healthz").status_code == 200


def logged(caplog: pytest.LogCaptureFixture, request_id: str) -> str:
    """Return the line about a request: it is written once the answer is sent, so perhaps after a client has it."""
    until = time.monotonic() + 10
    while True:
        messages = [record.getMessage() for record in caplog.records if record.name == "minidl.serve"]
        found = [message for message in messages if message.startswith(f"request_id={request_id} ")]
        if found:
            return found[0]
        assert time.monotonic() < until, messages
        time.sleep(0.01)


def test_logs_have_ids_and_neither_images_nor_keys(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("minidl.serve").propagate = True
    with caplog.at_level(logging.INFO, "minidl.serve"):
        secret = base64.b64encode(b"my own face").decode()
        response = live.post(f"{IMAGE}?name=me", json={"image": secret}, headers={"X-Request-ID": "mine-1"})
        assert response.headers["x-request-id"] == "mine-1"
        other = live.get("/private/path", headers={"X-Request-ID": "no good\tid" + "x" * 100})
        assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", other.headers["x-request-id"])
        line = logged(caplog, "mine-1")
        assert re.fullmatch(r"request_id=mine-1 key=1 POST /v1/image-classification 422 \d+\.\d ms", line)
        line = logged(caplog, other.headers["x-request-id"])
        assert re.fullmatch(r"request_id=[0-9a-f-]+ key=- GET other 404 \d+\.\d ms", line)
    assert not any(word in caplog.text for word in (KEY, secret, "name=me", "private"))


# ---------------------------------------------------------------------- faults within


def test_a_fault_of_the_service_is_a_500_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with running(MODEL) as live:
        predict = live.app.state.service.model.predict
        secret = "/home/someone/secret"

        def broken(arrays: list[np.ndarray]) -> list[np.ndarray]:
            raise RuntimeError(secret)

        live.app.state.service.model.predict = broken
        body = {"inputs": (pixels()[None] / 255).tolist()}
        with caplog.at_level(logging.ERROR, "minidl.serve"):
            response = live.post("/v1/predict", json=body)
        assert response.status_code == 500
        assert live.error(response)["code"] == "internal_error"
        assert secret not in response.text + caplog.text  # what an error quotes may be the request
        assert "RuntimeError in broken" in caplog.text
        live.app.state.service.model.predict = predict
        assert live.post("/v1/predict", json=body).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": []}, "keys is empty"),
        ({"keys": [""]}, "no header can carry it"),
        ({"labels": ["a", "b"]}, "there are 2 labels, and the model has 10 classes"),
        ({"name": "a/b"}, "name: expected letters"),
        ({"batch": 3}, "unexpected keyword argument 'batch'"),
        ({"max_batch": 0}, "max_batch: expected a positive number, got 0"),
        ({"max_batch": 1.5}, "max_batch: expected an integer, got 1.5"),
        ({"std": 0.0}, "std"),
        ({"max_wait_ms": -1}, "max_wait_ms: expected at least 0"),
        ({"request_timeout": float("nan")}, "request_timeout: expected a number, got nan"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(message)):
        create_app(MODEL, **arguments)


def test_a_model_that_clients_would_notice_does_not_take_its_place() -> None:
    service = create_app(MODEL, warm_up=False).state.service
    before = service.model
    with pytest.raises(ArgumentError, match="has other inputs or outputs than the one it should replace"):
        service.replace(ServedModel(classifier(classes=9)))
    assert service.model is before
    service.replace(ServedModel(classifier(seed=1)))
    assert service.model is not before


def test_its_thread_ends_with_the_service() -> None:
    with running(MODEL) as live:
        live.post("/v1/predict", json={"inputs": (pixels()[None] / 255).tolist()})
        thread = live.app.state.service.batcher._thread
        assert thread.is_alive()
    assert not thread.is_alive()
