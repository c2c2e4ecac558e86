"""What a Prometheus server reads at ``/metrics``."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where the workers of one service leave their numbers for each other

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The numbers of one service; with several workers, of all of them, whichever is asked."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "minidl_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.latency = Histogram(
            "minidl_request_seconds", "From headers to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.batch = Histogram("minidl_batch_rows", "Samples in a forward pass.", buckets=_ROWS, registry=registry)
        self.forward = Histogram(
            "minidl_forward_seconds", "Time of a forward pass.", buckets=_SECONDS, registry=registry
        )
        self.queue = Gauge("minidl_queue_rows", "Samples that wait.", registry=registry, multiprocess_mode="livesum")
        self.active = Gauge(
            "minidl_requests_active", "Requests in flight.", registry=registry, multiprocess_mode="livesum"
        )
        self.reloads = Counter("minidl_reloads", "Reloads of the model's file.", ["result"], registry=registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        known = self._known.get((method, route, status))
        if known is None:  # looking a metric up by its labels costs more than counting
            known = self.requests.labels(method, route, str(status)), self.latency.labels(route)
            self._known[method, route, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def page(self) -> bytes:
        """Return them in Prometheus's text format."""
        if os.environ.get(FOLDER):
            everyone = CollectorRegistry()
            MultiProcessCollector(everyone)
            return generate_latest(everyone)
        return generate_latest(self.registry)


def forget(process: int, folder: str) -> None:
    """Take what a worker that ended has in flight out of the figures."""
    mark_process_dead(process, folder)
