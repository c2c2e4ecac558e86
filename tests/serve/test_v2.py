"""The Open Inference Protocol: by hand, and with Triton's own client where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minidl import keras
from tests.serve.live import BEARER, Live, classifier, running

MODEL = classifier((4, 5), 3)
X = np.random.default_rng(0).random((2, 4, 5)).astype("float32")
NAME = MODEL.input_names[0]
INFER = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running(MODEL, name="digits") as live:
        yield live


def tensor(**changes: Any) -> dict[str, Any]:
    made = {"name": NAME, "shape": [2, 4, 5], "datatype": "FP32", "data": X.ravel().tolist(), **changes}
    return {key: value for key, value in made.items() if value is not None}


def expected() -> np.ndarray:
    return MODEL.predict(X, verbose=0)


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/digits/ready"])
def test_health_needs_no_key_and_answers_in_json(live: Live, path: str) -> None:
    response = live.session.get(live.url + path)
    assert response.status_code == 200
    assert True in response.json().values()


def test_what_there_is(live: Live) -> None:
    server = live.get("/v2").json()
    assert (server["name"], server["extensions"]) == ("minidl", ["binary_tensor_data"])
    for path in ("/v2/models/digits", "/v2/models/digits/versions/1"):
        model = live.get(path).json()
        assert (model["name"], model["versions"]) == ("digits", ["1"])
        assert model["inputs"] == [{"name": NAME, "datatype": "FP32", "shape": [-1, 4, 5]}]
        assert model["outputs"] == [{"name": MODEL.output_names[0], "datatype": "FP32", "shape": [-1, 3]}]
        assert live.session.get(live.url + path).status_code == 401
    for path in ("/v2/models/other", "/v2/models/digits/versions/2", "/v2/models/other/ready", "/v2/nothing"):
        response = live.get(path)
        assert response.status_code == 404
        assert list(response.json()) == ["error"]
        assert isinstance(response.json()["error"], str)


@pytest.mark.parametrize("data", [X.ravel().tolist(), X.tolist()])
@pytest.mark.parametrize("path", [INFER, "/v2/models/digits/versions/1/infer"])
def test_tensors_as_json(live: Live, path: str, data: Any) -> None:
    body = live.post(path, json={"id": "7", "inputs": [tensor(data=data)]}).json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("digits", "1", "7")
    (output,) = body["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == (MODEL.output_names[0], "FP32", [2, 3])
    np.testing.assert_allclose(np.reshape(output["data"], (2, 3)), expected(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("datatype", ["FP64", "INT64", "UINT8", "FP16"])
def test_other_datatypes_are_converted(live: Live, datatype: str) -> None:
    ones = [1] * 20
    body = live.post(INFER, json={"inputs": [tensor(shape=[1, 4, 5], datatype=datatype, data=ones)]}).json()
    wanted = MODEL.predict(np.ones((1, 4, 5), "float32"), verbose=0)
    np.testing.assert_allclose(body["outputs"][0]["data"], wanted[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ({}, "'inputs' is missing"),
        ([], "expected an object"),
        ({"inputs": []}, "inputs: expected a list of objects"),
        ({"inputs": [5]}, "inputs: expected a list of objects"),
        ({"inputs": [tensor(name="x")]}, "the model's are"),
        ({"inputs": [tensor(), tensor()]}, "is there twice"),
        ({"inputs": [tensor(shape=None)]}, "shape: expected a list of sizes"),
        ({"inputs": [tensor(shape=[2, -4, 5])]}, "shape: expected a list of sizes"),
        ({"inputs": [tensor(shape=[2, 4, True])]}, "shape: expected a list of sizes"),
        ({"inputs": [tensor(shape=[2, 4])]}, "has 40 numbers, and the shape [2, 4] says 8"),
        ({"inputs": [tensor(shape=[2, 5, 4])]}, "has the shape (2, 5, 4); expected (any, 4, 5)"),
        ({"inputs": [tensor(shape=[0, 4, 5], data=[])]}, "has the shape (0, 4, 5)"),
        ({"inputs": [tensor(shape=[2**30] * 30)]}, "has 40 numbers"),
        ({"inputs": [tensor(datatype="FLOAT")]}, "datatype: expected one of"),
        ({"inputs": [tensor(datatype=None)]}, "datatype: expected one of"),
        ({"inputs": [tensor(datatype="UINT8")]}, "expected integers from 0 to 255"),
        ({"inputs": [tensor(data=None)]}, "expected data"),
        ({"inputs": [tensor(data=["1"] * 40)]}, "a string among them"),
        ({"inputs": [tensor(data=[[1, 2], [3]])]}, "ragged"),
        ({"inputs": [tensor(data=X.reshape(4, 10).tolist())]}, "nested as the shape says"),
        ({"inputs": [tensor(parameters=5)]}, "parameters: expected an object, got a number"),
        ({"inputs": [tensor(parameters={"binary_data_size": 160})]}, "both data and binary_data_size"),
        (
            {"inputs": [tensor(data=None, parameters={"binary_data_size": 3})]},
            "not what its shape and datatype come to",
        ),
        ({"inputs": [tensor(data=None, parameters={"binary_data_size": 160})]}, "the body ends before its bytes do"),
        ({"inputs": [tensor()], "outputs": [{"name": "no"}]}, "outputs: each has a name"),
        ({"inputs": [tensor()], "outputs": 5}, "outputs: expected a list"),
        ({"inputs": [tensor()], "parameters": {"binary_data_output": 1}}, "binary_data_output: expected true or false"),
        ({"inputs": [tensor()], "id": 5}, "id: expected a string"),
        ({"inputs": [tensor()], "extra": 5}, "keys that mean nothing here"),
        (
            {"inputs": [tensor()], "outputs": [{"name": MODEL.output_names[0], "parameters": {"classification": 2}}]},
            "classification is not offered",
        ),
    ],
)
def test_requests_that_are_refused(live: Live, request_body: Any, message: str) -> None:
    response = live.post(INFER, json=request_body)
    assert response.status_code in (400, 422)
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]


@pytest.mark.parametrize("length", ["-1", "many", "99999999", "²", "3"])
def test_lengths_that_are_none(live: Live, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length.encode()}
    response = live.post(INFER, data=b'{"inputs": []}', headers=headers)
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)


def test_bytes_that_no_tensor_owns(live: Live) -> None:
    head = b'{"inputs": [{"name": "%s", "shape": [2, 4, 5], "datatype": "FP32", "data": %s}]}'
    head %= NAME.encode(), str(X.ravel().tolist()).encode()
    response = live.post(INFER, data=head + b"more", headers={"Inference-Header-Content-Length": str(len(head))})
    assert response.status_code == 400
    assert "goes on after" in response.json()["error"]


# ---------------------------------------------------------------------- Triton's client


@pytest.fixture(scope="module")
def triton(live: Live) -> Iterator[Any]:
    http = pytest.importorskip(
        "tritonclient.http", reason="tritonclient is not installed; pip install 'minidl[clients]'"
    )
    client = http.InferenceServerClient(f"127.0.0.1:{live.port}")
    yield client
    client.close()


# The client writes its own headers into the dict that it is given: so each call has one of its own.


def test_triton_asks_how_things_are(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("digits")
    assert not triton.is_model_ready("other")
    assert triton.get_server_metadata(headers=dict(BEARER))["name"] == "minidl"
    assert triton.get_model_metadata("digits", headers=dict(BEARER))["inputs"][0]["shape"] == [-1, 4, 5]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_triton_infers(triton: Any, binary_in: bool, binary_out: bool | None) -> None:
    http = pytest.importorskip("tritonclient.http")
    given = http.InferInput(NAME, [2, 4, 5], "FP32")
    given.set_data_from_numpy(X, binary_data=binary_in)
    name = MODEL.output_names[0]
    wanted = None if binary_out is None else [http.InferRequestedOutput(name, binary_data=binary_out)]
    answer = triton.infer("digits", [given], outputs=wanted, request_id="9", headers=dict(BEARER))
    np.testing.assert_allclose(answer.as_numpy(name), expected(), rtol=1e-4, atol=1e-7)
    assert answer.get_response()["id"] == "9"


def test_triton_is_told_what_is_wrong(triton: Any) -> None:
    http = pytest.importorskip("tritonclient.http")
    given = http.InferInput(NAME, [1, 5, 4], "FP32")
    given.set_data_from_numpy(np.zeros((1, 5, 4), "float32"))
    with pytest.raises(Exception, match=r"\[422\].*has the shape \(1, 5, 4\); expected \(any, 4, 5\)"):
        triton.infer("digits", [given], headers=dict(BEARER))
    with pytest.raises(Exception, match=r"\[401\].*needs a key"):
        triton.infer("digits", [given])
    with pytest.raises(Exception, match=r"\[404\].*there is one model here"):
        triton.infer("other", [given], headers=dict(BEARER))


def test_several_tensors_in_bytes() -> None:
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    model = keras.Model([a, b], [keras.layers.Dense(2, name="two")(joined), keras.layers.Dense(1, name="one")(joined)])
    http = pytest.importorskip(
        "tritonclient.http", reason="tritonclient is not installed; pip install 'minidl[clients]'"
    )
    x = {"b": np.ones((4, 2), "float32"), "a": np.arange(12, dtype="float32").reshape(4, 3)}
    inputs = []
    for name, array in x.items():  # not in the model's order
        inputs.append(http.InferInput(name, array.shape, "FP32"))
        inputs[-1].set_data_from_numpy(array, binary_data=name == "a")
    with running(model, keys=None) as live:
        client = http.InferenceServerClient(f"127.0.0.1:{live.port}")
        answer = client.infer("model", inputs)
        client.close()
    for name, wanted in zip(("two", "one"), model.predict([x["a"], x["b"]], verbose=0), strict=True):
        np.testing.assert_allclose(answer.as_numpy(name), wanted, rtol=1e-5)
