"""The service's own interface: images in, labels and confidences out; or whatever the model takes and gives."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from minidl.serve import documentation
from minidl.serve.decoding import an_object, from_json, kind_of
from minidl.serve.problems import Problem, invalid
from minidl.serve.routing import answer, body_of, json_of, media_type
from minidl.serve.service import Service, top_k_of

MOST_PARTS = 8


def add_routes(app: FastAPI, service: Service) -> None:
    """Add ``/v1`` to an application."""

    async def classify(request: Request) -> Response:
        if media_type(request) == "multipart/form-data":
            parts = form_parts(request.headers["content-type"].encode("latin-1"), await body_of(request))
            unknown = parts.keys() - {"image", "top_k"}
            if unknown or "image" not in parts:
                raise invalid("the form: expected a file 'image', and perhaps 'top_k'")
            top_k = top_k_of(int_of(parts["top_k"]) if "top_k" in parts else None)
            image = await asyncio.to_thread(service.image_from_file, parts["image"])
        else:
            body = an_object(from_json(await json_of(request)), ("image", "top_k"), "image")
            top_k = top_k_of(body.get("top_k"))
            image = await image_of(body["image"])
        return answer(await service.classify(image, top_k))

    async def image_of(given: Any) -> np.ndarray:
        if isinstance(given, str):
            return await asyncio.to_thread(service.image_from_text, given)
        if not isinstance(given, list):
            raise invalid(f"image: expected nested lists of numbers or a base64 string, got {kind_of(given)}")
        return service.image_from_lists(given)

    async def predict(request: Request) -> Response:
        body = an_object(from_json(await json_of(request)), ("inputs",), "inputs")
        outputs = await service.compute(service.inputs_from_lists(body["inputs"]))
        return answer({"outputs": service.outputs_as_lists(outputs)})

    if service.model.classes:
        app.post("/v1/image-classification", **documentation.classify(service))(classify)
    app.post("/v1/predict", **documentation.predict(service))(predict)


def int_of(text: bytes) -> int | None:
    """Return a form's field as an integer."""
    try:
        return int(text.decode("ascii"))
    except ValueError:
        raise invalid("top_k: expected an integer from 1 up") from None


def form_parts(content_type: bytes, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by name. They stay in memory: nobody's image is written to a disk.

    Raises
    ------
    Problem
        400 if the form is damaged.
    """
    parts: dict[str, bytes] = {}
    header, value, content = bytearray(), bytearray(), bytearray()
    headers: dict[bytes, bytes] = {}

    def begin() -> None:
        headers.clear()
        content.clear()

    def header_end() -> None:
        headers[bytes(header).lower()] = bytes(value)
        header.clear()
        value.clear()

    def end() -> None:
        kind, options = parse_options_header(headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or name in parts or len(parts) == MOST_PARTS:
            raise MultipartParseError("a part without a name, or with one that was there before, or too many")
        parts[name] = bytes(content)

    ended = []
    callbacks: Any = {
        "on_part_begin": begin,
        "on_part_data": lambda data, start, stop: content.extend(data[start:stop]),
        "on_part_end": end,
        "on_header_field": lambda data, start, stop: header.extend(data[start:stop]),
        "on_header_value": lambda data, start, stop: value.extend(data[start:stop]),
        "on_header_end": header_end,
        "on_end": lambda: ended.append(True),
    }
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise Problem(400, "bad_request", "the form does not say what its boundary is")
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except Exception as error:  # a parser that is fed anything may raise anything
        raise Problem(400, "bad_request", "the form is damaged") from error
    if not ended:
        raise Problem(400, "bad_request", "the form is cut off: its last boundary is missing")
    return parts
