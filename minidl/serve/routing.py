"""Routes that read their own bodies: FastAPI describes them, and calls them without looking at the request first.

Validating each number of an image through FastAPI and pydantic takes longer than computing what it shows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from minidl.serve.problems import Problem

Endpoint = Callable[[Request], Awaitable[Response]]


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response, with nothing in between."""

    def __init__(self, path: str, endpoint: Endpoint, **kwargs: Any) -> None:
        super().__init__(path, endpoint, **kwargs)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


def answer(content: Any, status: int = 200) -> Response:
    """Return an answer whose JSON may hold arrays."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json")


async def body_of(request: Request) -> bytes:
    """Return the body of a request."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "unsupported_media_type", "compressed bodies are not taken; send it as it is")
    pieces = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def json_of(request: Request) -> bytes:
    """Return the body of a request that says it is JSON, or does not say what it is."""
    given = media_type(request)
    if given not in ("application/json", "") and not given.endswith("+json"):
        raise Problem(415, "unsupported_media_type", "expected Content-Type: application/json")
    return await body_of(request)


def media_type(request: Request) -> str:
    """Return the type of a request's body, without parameters; empty if it is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
