"""The application: routes, put together around one model."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from minidl.errors import ArgumentError
from minidl.serve import documentation, v1, v2
from minidl.serve.gate import Gate
from minidl.serve.keys import Keys
from minidl.serve.model import ServedModel
from minidl.serve.problems import Problem
from minidl.serve.routing import DirectRoute, answer
from minidl.serve.service import Service
from minidl.serve.settings import Settings

PAGE = Path(__file__).with_name("page.html")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def create_app(
    model: Any,
    *,
    labels: Sequence[str] | None = None,
    keys: Iterable[str] | None = None,
    name: str = "model",
    input_shape: Sequence[int | None] | None = None,
    warm_up: bool = True,
    **settings: Any,
) -> FastAPI:
    """Return the ASGI application that serves a model: for tests, and to be mounted into another.

    Parameters
    ----------
    model : Module
        Of either dialect, trained. It is set to evaluation; leave it alone afterwards.
    labels : sequence of str, optional
        The names of the classes; their numbers if left out.
    keys : iterable of str, optional
        The keys that clients may use, each as it is or as ``sha256:`` and its hash. None lets everybody in.
    name : str
        The model's, in ``/v2``.
    input_shape : sequence of int, optional
        The shape of one sample, None for any size; a model of the Keras dialect that begins with ``Input`` knows it.
    warm_up : bool
        Whether to compute batches of zeros first, so that no request waits for kernels to be compiled.
    **settings
        Those of :class:`minidl.serve.settings.Settings`: ``max_batch=32``, ``max_wait_ms=2``, ``mean=0``, ``std=1``,
        ``rate_limit=0`` and more.

    Returns
    -------
    fastapi.FastAPI

    Raises
    ------
    ArgumentError
        If an argument cannot be used, or the model's inputs are not known.
    DTypeError
        If it is no model.

    Examples
    --------
    >>> from minidl import keras
    >>> from minidl.serve import create_app
    >>> layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    >>> app = create_app(keras.Sequential(layers), keys=["a-long-random-key"])
    >>> [route for route in app.openapi()["paths"] if route.startswith("/v1")]
    ['/v1/image-classification', '/v1/predict']

    References
    ----------
    KServe, "Open Inference Protocol (V2)".
    """
    if not _NAME.fullmatch(name):
        raise ArgumentError(f"serve: name: expected letters, digits, dots, dashes and underscores, got {name!r}")
    try:
        chosen = Settings(**settings)
    except TypeError as error:
        raise ArgumentError(f"serve: {error}; the settings are those of minidl.serve.settings.Settings") from error
    known = None if keys is None else Keys(keys)
    if known is not None and not len(known):
        raise ArgumentError("serve: keys is empty, so that nobody could use the service; None lets everybody in")
    served = ServedModel(model, input_shape)
    service = Service(served, labels, name, chosen)
    if warm_up:
        served.warm_up(chosen.max_batch)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.batcher.close()

    app = FastAPI(lifespan=lifespan, redoc_url=None, openapi_url="/openapi.json")
    app.router.route_class = DirectRoute
    app.state.service = service
    documentation.describe(app, f"minidl: {name}", metadata.version("minidl"), keyed=known is not None)
    app.add_middleware(Gate, settings=chosen, keys=known, metrics=service.metrics, state=service.state)
    app.add_exception_handler(HTTPException, _from_router)
    v1.add_routes(app, service)
    v2.add_routes(app, service)
    _add_operation(app, service, keyed=known is not None)
    return app


def _add_operation(app: FastAPI, service: Service, keyed: bool) -> None:
    """Add the routes for those who run it, and the page for those who try it."""

    async def healthz(request: Request) -> Response:
        return answer({"status": "ok"})

    async def readyz(request: Request) -> Response:
        return answer({"ready": not service.state.draining}, 503 if service.state.draining else 200)

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.page(), headers={"content-type": service.metrics.content_type})

    app.get("/healthz", **documentation.plain("Whether the process lives", "application/json"))(healthz)
    app.get("/readyz", **documentation.plain("Whether it takes requests", "application/json", 503))(readyz)
    app.get("/metrics", **documentation.plain("Figures for Prometheus", "text/plain"))(metrics)

    picture = service.model.picture
    if not service.model.classes or picture is None or picture.channels != 1:
        return  # a page to draw on is for networks that read drawings
    text = PAGE.read_text(encoding="utf-8")
    text = text.replace("{{height}}", str(picture.height)).replace("{{width}}", str(picture.width))
    text = text.replace("{{keyed}}", "true" if keyed else "false")
    script = re.search(r"<script>(.*?)</script>", text, re.S)
    digest = hashlib.sha256(script[1].encode() if script else b"").digest()
    policy = (
        f"default-src 'none'; script-src 'sha256-{base64.b64encode(digest).decode()}'; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )

    async def page(request: Request) -> Response:
        return Response(text, media_type="text/html", headers={"content-security-policy": policy})

    app.get("/", include_in_schema=False)(page)


async def _from_router(request: Request, error: Exception) -> Response:
    """Let the gate answer what the router refuses."""
    if not isinstance(error, HTTPException):
        raise error
    headers = [(key.lower().encode(), value.encode()) for key, value in (error.headers or {}).items()]
    if error.status_code == 404:
        raise Problem(404, "not_found", "there is nothing at this address; /docs lists what there is")
    if error.status_code == 405:
        allowed = dict(headers).get(b"allow", b"").decode()
        raise Problem(405, "method_not_allowed", f"this address takes {allowed or 'other methods'}", headers)
    raise Problem(error.status_code, "bad_request", str(error.detail), headers)
