"""How often and for how long an ASGI application was asked, and an endpoint for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from perfcore._repr import safe_repr
from perfcore.integrations.starlette.caching import App, Receive, Scope
from perfcore.integrations.starlette.capture import Send
from perfcore.metrics.exposition import CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE, prometheus_text
from perfcore.metrics.registry import Counter, Histogram, default_registry
from perfcore.metrics.snapshot import RegistrySnapshot

__all__ = ["RequestMetrics", "metrics_endpoint"]

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestMetrics:
    """Middleware that counts requests by method, route and class of status, and times them by route.

    A route is its template (``/users/{id}``), and ``unmatched`` where there was none, so that no client can
    make series. The time is that until the last byte was sent.
    """

    def __init__(self, app: App, *, registry: Any = None) -> None:
        self._app = app
        self._requests = Counter(
            "http.server.requests", "Requests", labels=["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "http.server.duration", "Time to the last byte", unit="s", labels=["route"], registry=registry
        )

    @safe_repr
    def __repr__(self) -> str:
        return f"<RequestMetrics: {self._requests!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 500, perf_counter()  # one that raises before it answers is a 500

        async def note(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = _template(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._requests.labels(method, route, f"{status // 100}xx").inc()
            self._seconds.labels(route).observe(perf_counter() - start)


def _template(scope: Scope) -> str:
    route = scope.get("route")
    for name in ("path_format", "path"):
        if isinstance(found := getattr(route, name, None), str):
            return found
    return "unmatched"


def metrics_endpoint(snapshot: Callable[[], RegistrySnapshot] | None = None) -> App:
    """Return an ASGI application to mount: what Prometheus scrapes, of this process unless told otherwise.

    ``snapshot`` is called at each scrape; for all processes of a server give
    ``lambda: collect(directory)`` of :mod:`perfcore.metrics.multiprocess`.
    """
    read = default_registry().snapshot if snapshot is None else snapshot

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        accepted = b",".join(value for name, value in scope["headers"] if name.lower() == b"accept")
        modern = b"application/openmetrics-text" in accepted
        kind = OPENMETRICS_CONTENT_TYPE if modern else CONTENT_TYPE
        allowed = scope["method"] in {"GET", "HEAD"}
        body = prometheus_text(read(), openmetrics=modern) if allowed else b""
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        status = 200 if allowed else 405
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return endpoint
