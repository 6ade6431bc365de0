"""Count requests, uploads and jobs for Prometheus, in a registry of its own."""

import logging
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CLIENT_GONE = 499  # as nginx counts requests whose client went away before a response
_REQUEST_BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "avscene_http_requests",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "avscene_http_request_seconds",
            "Time until a response was complete, without event streams.",
            ("route",),
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )
        self.uploaded = Counter("avscene_uploaded_bytes", "Bytes of media that were stored.", registry=self._registry)

    def watch_jobs(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Report the number of jobs in each state, as it is when the metrics are read."""
        self._registry.register(_Jobs(counts))

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Jobs:
    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def describe(self) -> list[Any]:
        """Return nothing: the table is not read when the collector is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the number of jobs in each state."""
        gauge = GaugeMetricFamily("avscene_jobs", "Jobs by state.", labels=("state",))
        for state, count in self._counts().items():
            gauge.add_metric([str(state)], count)
        yield gauge


class RequestMetrics:
    """Counts the requests that an ASGI application serves, by the pattern of their route, not by their address."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = perf_counter(), CLIENT_GONE

        async def noting_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            seconds = perf_counter() - begin
            self._metrics.requests.labels(method, route, str(status)).inc()
            if not route.endswith("/events"):
                self._metrics.seconds.labels(route).observe(seconds)
            client = (scope.get("client") or ("unknown",))[0]
            logger.debug(f"{client} {method} {scope['path']} {status} {seconds:.3f} s")
