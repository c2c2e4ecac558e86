"""The Open Inference Protocol, version 2: what the clients of Triton and KServe speak, binary tensors included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

from minidl.serve import documentation
from minidl.serve.decoding import an_object, as_array, converted, from_json, kind_of
from minidl.serve.model import Spec
from minidl.serve.problems import Problem, invalid
from minidl.serve.routing import answer, body_of
from minidl.serve.service import Service

VERSION = "1"
HEADER = "inference-header-content-length"

#: The protocol's names of dtypes; all are little-endian when sent as bytes.
DATATYPES = {
    "BOOL": np.dtype("bool"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add ``/v2`` to an application."""

    async def live(request: Request) -> Response:
        return answer({"live": True})

    async def ready(request: Request) -> Response:
        return readiness({"ready": not service.state.draining})

    async def server(request: Request) -> Response:
        return answer({"name": "minidl", "version": metadata.version("minidl"), "extensions": ["binary_tensor_data"]})

    async def model_ready(request: Request) -> Response:
        check(**request.path_params)
        return readiness({"name": service.name, "ready": not service.state.draining})

    def readiness(body: dict[str, Any]) -> Response:
        return answer(body, 503 if service.state.draining else 200)

    async def model(request: Request) -> Response:
        check(**request.path_params)
        return answer(
            {
                "name": service.name,
                "versions": [VERSION],
                "platform": "minidl",
                "inputs": [described(spec) for spec in service.model.inputs],
                "outputs": [described(spec) for spec in service.model.outputs],
            }
        )

    async def infer(request: Request) -> Response:
        check(**request.path_params)
        asked, tensors = split(await body_of(request), request.headers.get(HEADER))
        arrays = service.checked(inputs_of(asked, tensors, service.model.inputs))
        wanted = outputs_of(asked, service.model.outputs)
        outputs = await service.compute(arrays)
        by_name = {spec.name: y for spec, y in zip(service.model.outputs, outputs, strict=True)}
        head: dict[str, Any] = {"model_name": service.name, "model_version": VERSION}
        if "id" in asked:
            head["id"] = asked["id"]
        return tensors_as_answer(head, [(name, by_name[name], binary) for name, binary in wanted.items()])

    def check(model: str, version: str = VERSION) -> None:
        if model != service.name:
            raise Problem(404, "not_found", f"there is one model here, and it is called {service.name}")
        if version != VERSION:
            raise Problem(404, "not_found", f"there is one version of {service.name} here, and it is {VERSION}")

    app.get("/v2/health/live", **documentation.health("live"))(live)
    app.get("/v2/health/ready", **documentation.health("ready"))(ready)
    app.get("/v2", **documentation.server())(server)
    for where in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        app.get(where + "/ready", **documentation.model_ready(service, where))(model_ready)
        app.get(where, **documentation.model(service, where))(model)
        app.post(where + "/infer", **documentation.infer(service, where))(infer)


def described(spec: Spec) -> dict[str, Any]:
    """Return an input or output as the protocol describes it; -1 is any size."""
    shape = [-1, *(-1 if n is None else n for n in spec.shape)]
    return {"name": spec.name, "datatype": datatype_of(spec.dtype), "shape": shape}


def datatype_of(dtype: np.dtype) -> str:
    """Return the protocol's name of a dtype."""
    return _NAMES[dtype.newbyteorder("<")]


def split(body: bytes, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    """Return a request's JSON, and the bytes of tensors that follow it."""
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit() and int(header_length) <= len(body)):
            raise Problem(400, "bad_request", "Inference-Header-Content-Length is not a length within the body")
        length = int(header_length)
    request = an_object(from_json(body[:length]), ("id", "inputs", "outputs", "parameters"), "inputs")
    if not isinstance(request.get("id", ""), str):
        raise invalid("id: expected a string")
    return request, memoryview(body)[length:]


def inputs_of(request: Mapping[str, Any], tensors: memoryview, specs: list[Spec]) -> list[np.ndarray]:
    """Return the model's inputs from a request's tensors, whatever their order."""
    found: dict[str, np.ndarray] = {}
    expected = {spec.name: spec for spec in specs}
    start = 0
    for tensor in listed(request, "inputs"):
        name = name_of(tensor, expected, "inputs")
        if name in found:
            raise invalid(f"inputs: {name} is there twice")
        shape, dtype = shape_of(tensor, name), dtype_of(tensor, name)
        size = parameters_of(tensor, name).get("binary_data_size")
        if size is None:
            array = from_data(tensor, shape, dtype, name)
        elif "data" in tensor:
            raise invalid(f"{name}: has both data and binary_data_size")
        else:
            if isinstance(size, bool) or not isinstance(size, int) or size != math.prod(shape) * dtype.itemsize:
                raise invalid(f"{name}: binary_data_size is not what its shape and datatype come to")
            if size > len(tensors) - start:
                raise Problem(400, "bad_request", f"{name}: the body ends before its bytes do")
            array = np.frombuffer(tensors[start : start + size], dtype).reshape(shape)
            start += size
        if array.dtype.kind == "f" and expected[name].dtype.kind != "f":
            raise invalid(f"{name}: expected {datatype_of(expected[name].dtype)}, got {tensor['datatype']}")
        found[name] = converted(array, expected[name].dtype, name)
    if start != len(tensors):
        raise Problem(400, "bad_request", "the body goes on after the bytes of its last tensor")
    missing = [name for name in expected if name not in found]
    if missing:
        raise invalid(f"inputs: expected {', '.join(missing)} too")
    return [found[spec.name] for spec in specs]


def outputs_of(request: Mapping[str, Any], specs: list[Spec]) -> dict[str, bool]:
    """Return which outputs are wanted, and whether as bytes."""
    expected = {spec.name: spec for spec in specs}
    by_default = flag(parameters_of(request, "the request"), "binary_data_output")
    if not request.get("outputs"):
        return dict.fromkeys(expected, by_default)
    wanted: dict[str, bool] = {}
    for tensor in listed(request, "outputs"):
        name = name_of(tensor, expected, "outputs")
        parameters = parameters_of(tensor, name)
        if "classification" in parameters:
            raise invalid(f"{name}: classification is not offered here; /v1/image-classification is")
        wanted[name] = flag(parameters, "binary_data") if "binary_data" in parameters else by_default
    return wanted


def tensors_as_answer(head: dict[str, Any], outputs: list[tuple[str, np.ndarray, bool]]) -> Response:
    """Return an answer with tensors, as JSON or behind it."""
    described, tails = [], []
    for name, y, binary in outputs:
        tensor: dict[str, Any] = {"name": name, "datatype": datatype_of(y.dtype), "shape": list(y.shape)}
        if binary:
            tails.append(np.ascontiguousarray(y, y.dtype.newbyteorder("<")).tobytes())
            tensor["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            tensor["data"] = np.ascontiguousarray(y).reshape(-1)
        described.append(tensor)
    text = orjson.dumps({**head, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tails:
        return Response(text, media_type="application/json")
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return Response(b"".join([text, *tails]), media_type="application/octet-stream", headers=headers)


# ---------------------------------------------------------------------- a tensor's parts


def listed(request: Mapping[str, Any], what: str) -> list[Any]:
    tensors = request[what]
    if not isinstance(tensors, list) or not tensors or not all(isinstance(tensor, dict) for tensor in tensors):
        raise invalid(f"{what}: expected a list of objects")
    return tensors


def name_of(tensor: Mapping[str, Any], expected: Mapping[str, Spec], what: str) -> str:
    name = tensor.get("name")
    if not isinstance(name, str) or name not in expected:
        raise invalid(f"{what}: each has a name; the model's are {', '.join(expected)}")
    return name


def shape_of(tensor: Mapping[str, Any], name: str) -> list[int]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape) or len(shape) > 32:
        raise invalid(f"{name}: shape: expected a list of sizes")
    return shape


def dtype_of(tensor: Mapping[str, Any], name: str) -> np.dtype:
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise invalid(f"{name}: datatype: expected one of {', '.join(DATATYPES)}")
    return DATATYPES[datatype]


def parameters_of(of: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = of.get("parameters", {})
    if not isinstance(parameters, dict):
        raise invalid(f"{what}: parameters: expected an object, got {kind_of(parameters)}")
    return parameters


def flag(parameters: Mapping[str, Any], name: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise invalid(f"{name}: expected true or false")
    return value


def from_data(tensor: Mapping[str, Any], shape: list[int], dtype: np.dtype, name: str) -> np.ndarray:
    """Return a tensor that came as JSON: flat, or nested as its shape."""
    data = tensor.get("data")
    if not isinstance(data, list):
        raise invalid(f"{name}: expected data, a list of numbers, or binary_data_size among its parameters")
    if dtype.kind == "b":
        data = as_numbers(data)
    array = as_array(data, dtype, name)
    if array.ndim != 1 and list(array.shape) != shape:
        raise invalid(f"{name}: data: expected a flat list, or one nested as the shape says")
    if array.size != math.prod(shape):
        raise invalid(f"{name}: data: has {array.size} numbers, and the shape {shape} says {math.prod(shape)}")
    return array.reshape(shape)


def as_numbers(data: list[Any]) -> list[Any]:
    """Return a flat list of booleans as numbers."""
    return [int(value) if isinstance(value, bool) else value for value in data]
