"""What ``/openapi.json`` says of each route: written by hand, because bodies are read by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from minidl.serve.problems import CODES
from minidl.serve.service import Service

Json = dict[str, Any]

#: What the Open Inference Protocol calls the dtypes.
DATATYPES = [
    "BOOL",
    *(f"{kind}{bits}" for kind in ("UINT", "INT") for bits in (8, 16, 32, 64)),
    *(f"FP{bits}" for bits in (16, 32, 64)),
]

#: What may happen to any request that has a key and a body.
COMMON = (400, 401, 408, 413, 415, 422, 429, 500, 503, 504)

SAID = {
    400: "The body is not what it says it is.",
    401: "There is no key, or none that is known.",
    404: "There is no such model.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
    422: "The body makes no sense: wrong shapes, numbers that are none, a damaged image.",
    429: "The key asks too often; see Retry-After.",
    500: "Something went wrong in the service.",
    503: "The service has too much to do, or is shutting down; see Retry-After.",
    504: "There was no answer in time.",
}


def describe(app: FastAPI, title: str, version: str, keyed: bool) -> None:
    """Let an application describe itself truly."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            schema = get_openapi(title=title, version=version, description=__about__, routes=app.routes)
            components = schema.setdefault("components", {})
            components["schemas"] = _SCHEMAS  # FastAPI's own ones describe errors that are never sent
            if keyed:
                components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            else:
                for operations in schema["paths"].values():
                    for operation in operations.values():
                        operation.pop("security", None)
                        operation["responses"].pop("401", None)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def classify(service: Service) -> Json:
    """Describe ``/v1/image-classification``."""
    picture = service.model.picture
    shapes = list(dict.fromkeys([*picture.shapes(), picture.shape])) if picture is not None else []
    text = {"type": "string", "format": "base64-image", "description": "A PNG or JPEG file in base64."}
    image = {
        "description": "Pixels from 0 to 1, light strokes on dark; or a file. See minidl.serve.preprocess_image.",
        "anyOf": [*(_lists(shape, {"type": "number", "minimum": 0, "maximum": 1}) for shape in shapes), text],
    }
    top_k = {"type": ["integer", "null"], "minimum": 1, "description": "How many labels to return; all by default."}
    body = _object({"image": image, "top_k": top_k}, ["image"])
    count = {"type": "integer", "minimum": 1}
    form = _object({"image": {"type": "string", "format": "binary"}, "top_k": count}, ["image"])
    answer = _object(
        {
            "labels": {"type": "array", "items": {"type": "string"}},
            "confidences": {"type": "array", "items": {"type": "number"}},
        }
    )
    return _route(
        "Say what an image shows",
        "The labels of the classes, the best first, and how confident the model is of each.",
        answer,
        body={
            "application/json": {"schema": body},
            "multipart/form-data": {"schema": form, "encoding": {"image": {"contentType": "image/png, image/jpeg"}}},
        },
    )


def predict(service: Service) -> Json:
    """Describe ``/v1/predict``."""
    specs = service.model.inputs
    inputs = {spec.name: _lists((None, *spec.shape), _number(spec.dtype)) for spec in specs}
    by_name = _object(inputs)
    taken = by_name if len(specs) > 1 else {"anyOf": [inputs[specs[0].name], by_name]}
    outputs = {spec.name: _lists((None, *spec.shape), {"type": "number"}) for spec in service.model.outputs}
    given = _object(outputs) if len(outputs) > 1 else next(iter(outputs.values()))
    return _route(
        "Compute a model's outputs",
        "Numbers go into the model as they are; the first axis is the batch. Several inputs or outputs go by name.",
        _object({"outputs": given}),
        body={"application/json": {"schema": _object({"inputs": taken})}},
    )


def health(name: str) -> Json:
    """Describe ``/v2/health/live`` and ``/v2/health/ready``."""
    statuses = (503,) if name == "ready" else ()
    return _route(f"Whether the service is {name}", "", _object({name: {"type": "boolean"}}), statuses, _READINESS)


def server() -> Json:
    """Describe ``/v2``."""
    strings = {"type": "array", "items": {"type": "string"}}
    answer = _object({"name": {"type": "string"}, "version": {"type": "string"}, "extensions": strings})
    return _route("What the service is", "", answer, (401, 429, 503), _PLAIN_ERROR, keyed=True)


def model_ready(service: Service, where: str) -> Json:
    """Describe ``/v2/models/{model}/ready``."""
    answer = _object({"name": {"type": "string"}, "ready": {"type": "boolean"}})
    described = _route("Whether the model is ready", "", answer, (404, 503), _PLAIN_ERROR)
    described["responses"][503] = _json(SAID[503], _READINESS)
    return described | _path(service, where, described)


def model(service: Service, where: str) -> Json:
    """Describe ``/v2/models/{model}``."""
    tensors = {"type": "array", "items": _object(_TENSOR)}
    answer = _object(
        {
            "name": {"type": "string"},
            "versions": {"type": "array", "items": {"type": "string"}},
            "platform": {"type": "string"},
            "inputs": tensors,
            "outputs": tensors,
        }
    )
    described = _route("What the model takes and gives", "", answer, (401, 404, 429, 503), _PLAIN_ERROR, keyed=True)
    return described | _path(service, where, described)


def infer(service: Service, where: str) -> Json:
    """Describe ``/v2/models/{model}/infer``."""
    parameters = {"type": "object"}
    names = [spec.name for spec in service.model.inputs]
    tensor = {**_TENSOR, "name": {"type": "string", "enum": names}, "datatype": {"type": "string", "enum": DATATYPES}}
    given = _object({**tensor, "data": {"type": "array"}, "parameters": parameters}, [*tensor])
    wanted = _object({"name": {"type": "string"}, "parameters": parameters}, ["name"])
    body = _object(
        {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": given, "minItems": len(names)},
            "outputs": {"type": "array", "items": wanted},
            "parameters": parameters,
        },
        ["inputs"],
    )
    outputs = _object({**_TENSOR, "data": {"type": "array"}, "parameters": parameters}, [*_TENSOR])
    answer = _object(
        {
            "id": {"type": "string"},
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "outputs": {"type": "array", "items": outputs},
        },
        ["model_name", "model_version", "outputs"],
    )
    described = _route(
        "Compute outputs, by the Open Inference Protocol",
        "Tensors as JSON, or as bytes behind it (Inference-Header-Content-Length, binary_data_size).",
        answer,
        (*COMMON, 404),
        _PLAIN_ERROR,
        {"application/json": {"schema": body}, "application/octet-stream": {"schema": {"type": "string"}}},
        keyed=True,
    )
    octets = {"schema": {"type": "string", "format": "binary"}}
    described["responses"][200]["content"]["application/octet-stream"] = octets
    return described | _path(service, where, described)


def plain(summary: str, media_type: str, *statuses: int) -> Json:
    """Describe a route beside the interfaces."""
    answers: dict[int | str, Json] = {200: {"description": "As asked.", "content": {media_type: {"schema": {}}}}}
    answers |= {status: {**answers[200], "description": SAID[status]} for status in statuses}
    return {"summary": summary, "responses": answers, "tags": ["operation"]}


# ---------------------------------------------------------------------- pieces


__about__ = (
    "A model behind an API. /v1 is minidl's own; /v2 is the Open Inference Protocol. Errors of /v1 are "
    '`{"error": {"code", "message", "request_id"}}`, errors of /v2 `{"error": "message"}`.'
)
_ERROR = {"$ref": "#/components/schemas/Error"}
_PLAIN_ERROR = {"$ref": "#/components/schemas/ErrorV2"}
_READINESS = {"type": "object"}
_TENSOR: Json = {
    "name": {"type": "string"},
    "datatype": {"type": "string"},
    "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
}


def _object(properties: Json, required: Sequence[str] | None = None) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


_SCHEMAS: Json = {
    "Error": _object(
        {
            "error": _object(
                {
                    "code": {"type": "string", "enum": sorted({code for codes in CODES.values() for code in codes})},
                    "message": {"type": "string"},
                    "request_id": {"type": "string"},
                }
            )
        }
    ),
    "ErrorV2": _object({"error": {"type": "string"}}),
}


def _lists(shape: Sequence[int | None], number: Json) -> Json:
    """Describe nested lists of a shape; None is any size from 1 up."""
    described = number
    for size in reversed(shape):
        sizes = {"minItems": 1} if size is None else {"minItems": size, "maxItems": size}
        described = {"type": "array", **sizes, "items": described}
    return described


def _number(dtype: np.dtype) -> Json:
    if dtype.kind in "iu":
        return {"type": "integer", "minimum": int(np.iinfo(dtype).min), "maximum": int(np.iinfo(dtype).max)}
    return {"type": "number", "minimum": float(np.finfo(dtype).min), "maximum": float(np.finfo(dtype).max)}


def _json(said: str, schema: Json) -> Json:
    return {"description": said, "content": {"application/json": {"schema": schema}}}


def _route(
    summary: str,
    said: str,
    answer: Json,
    statuses: Sequence[int] = COMMON,
    error: Json = _ERROR,
    body: Json | None = None,
    *,
    keyed: bool = False,
) -> Json:
    """Return what FastAPI is told of a route."""
    extra: Json = {}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": body}
    if keyed or 401 in statuses:
        extra["security"] = [{"key": []}]
    answers: dict[int | str, Json] = {200: _json("As asked.", answer)}
    answers |= {status: _json(SAID[status], error) for status in sorted(statuses)}
    tag = "v2" if error is not _ERROR else "v1"
    return {"summary": summary, "description": said, "responses": answers, "openapi_extra": extra, "tags": [tag]}


def _path(service: Service, where: str, described: Json) -> Json:
    """Say which names the path takes."""
    names = {"model": service.name} | ({"version": "1"} if "{version}" in where else {})
    described["openapi_extra"]["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": [value]}}
        for name, value in names.items()
    ]
    return described
