"""Everything about a service that can be set, and what is sensible."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from minidl.errors import ArgumentError

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Settings:
    """What a service may take, and for how long.

    Parameters
    ----------
    max_batch : int
        Samples in a forward pass; 1 switches micro-batching off.
    max_wait_ms : float
        How long a sample may wait for company.
    max_queue : int
        Samples that may wait; beyond, 503.
    max_body : int
        Bytes of a request; beyond, 413.
    max_pixels : int
        Of a PNG or JPEG file; beyond, 422.
    max_requests : int
        Requests in flight; beyond, 503.
    max_connections : int
        Beyond, 503 and closed.
    body_timeout, request_timeout, header_timeout : float
        Seconds for a request's body, for all of it until the answer, and for its headers.
    rate_limit : float
        Requests a second for each key; 0 for any number.
    mean, std : float
        Pixels from 0 to 1 become ``(pixel - mean) / std``, as the model was trained.
    drain : float
        Seconds after SIGTERM in which new requests are told to go elsewhere, before connections are closed.
    """

    max_batch: int = 32
    max_wait_ms: float = 2.0
    max_queue: int = 1024
    max_body: int = 4 * MEBIBYTE
    max_pixels: int = 16_000_000
    max_requests: int = 512
    max_connections: int = 1024
    body_timeout: float = 10.0
    request_timeout: float = 30.0
    header_timeout: float = 10.0
    rate_limit: float = 0.0
    mean: float = 0.0
    std: float = 1.0
    drain: float = 1.0

    def __post_init__(self) -> None:
        may_be_zero = {"max_wait_ms", "rate_limit", "mean", "drain"}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "mean" and isinstance(value, (int, float)) and math.isfinite(value):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ArgumentError(f"serve: {field.name}: expected a number, got {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise ArgumentError(f"serve: {field.name}: expected an integer, got {value!r}")
            if value < 0 or (value == 0 and field.name not in may_be_zero):
                least = "at least 0" if field.name in may_be_zero else "a positive number"
                raise ArgumentError(f"serve: {field.name}: expected {least}, got {value!r}")
