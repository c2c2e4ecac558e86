"""What a client is told when its request cannot be answered."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

Headers = list[tuple[bytes, bytes]]

#: The codes that ``/v1`` answers with, by status.
CODES: dict[int, tuple[str, ...]] = {
    400: ("bad_request", "invalid_json"),
    401: ("unauthorized",),
    404: ("not_found",),
    405: ("method_not_allowed",),
    408: ("body_timeout",),
    413: ("body_too_large",),
    415: ("unsupported_media_type",),
    422: ("invalid_input", "not_finite", "too_deep", "invalid_image", "image_too_large", "not_finite_output"),
    429: ("rate_limited",),
    500: ("internal_error",),
    503: ("overloaded", "shutting_down"),
    504: ("timeout",),
}


class Problem(Exception):  # noqa: N818 (it is the client's, not an error of the service)
    """A request that cannot be answered, and how the client is told.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : str
        For programs; one of ``CODES``.
    message : str
        For people. It never repeats what the client sent, beyond names, sizes and single characters.
    headers : sequence of (bytes, bytes)
        To go with the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, list(headers)

    def body(self, path: str, request_id: str) -> bytes:
        """Return it as JSON, in the form of the API that ``path`` belongs to."""
        if path == "/v2" or path.startswith("/v2/"):
            return orjson.dumps({"error": self.message})  # the Open Inference Protocol wants a string
        error = {"code": self.code, "message": self.message, "request_id": request_id}
        return orjson.dumps({"error": error})


def invalid(message: str, code: str = "invalid_input") -> Problem:
    """Return the problem of a request that is well-formed and makes no sense."""
    return Problem(422, code, message)


def overloaded(message: str, seconds: int = 1) -> Problem:
    """Return the problem of a service that has enough to do."""
    return Problem(503, "overloaded", message, [(b"retry-after", str(seconds).encode())])
