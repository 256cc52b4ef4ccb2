"""Which path is answered with what, and to whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from perfcore.metrics.exposition import CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE, prometheus_text
from perfcore.monitor.serve.access import Access
from perfcore.monitor.serve.forms import live_form, snapshot_form, snapshot_of
from perfcore.monitor.serve.page import page
from perfcore.monitor.serve.request import Refused, Request
from perfcore.monitor.serve.response import Response, json_response
from perfcore.monitor.serve.sources import Sources
from perfcore.monitor.serve.watch import Watch

__all__ = ["Resource", "find", "resources"]

_SINCE = re.compile(r"since=([0-9]{1,15})")


class Resource(NamedTuple):
    """What makes an answer; what takes longer is made in a thread of its own (``slow``), and what says
    nothing of the service needs no token (``free``).
    """

    make: Callable[[Request], Response]
    slow: bool = False
    free: bool = False


def resources(sources: Sources, watch: Watch) -> dict[str, Resource]:
    """Return the resources of a server by their paths."""

    def metrics(request: Request) -> Response:
        openmetrics = _wants_openmetrics(request.fields.get("accept", ""))
        body = prometheus_text(snapshot_of(sources, watch), openmetrics=openmetrics)
        return Response(body, OPENMETRICS_CONTENT_TYPE if openmetrics else CONTENT_TYPE)

    def health(request: Request) -> Response:
        problems = watch.problems()
        status = 503 if problems else 200
        return json_response({"status": "failing" if problems else "ok", "problems": problems}, status)

    def live(request: Request) -> Response:
        return json_response(live_form(watch, _since(request.query)))

    return {
        "/": Resource(lambda request: page(), free=True),
        "/metrics": Resource(metrics, slow=True),
        "/snapshot.json": Resource(
            lambda request: Response(snapshot_form(sources, watch), "application/json"), slow=True
        ),
        "/live.json": Resource(live),
        "/healthz": Resource(health),
    }


def find(known: Mapping[str, Resource], access: Access, request: Request) -> Resource:
    """Return what answers a request; raises :exc:`Refused`."""
    access.check_host(request)
    if request.path not in known:  # no decoding, no dots, no folders: a path is one of these, or not there
        raise Refused(404, "there is no such page")
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, "GET and HEAD are what can be done here", ends=True, Allow="GET, HEAD")
    resource = known[request.path]
    if not resource.free:
        access.check_token(request)
    return resource


def _since(query: str) -> int:
    if not query:
        return 0
    found = _SINCE.fullmatch(query)
    if found is None:
        raise Refused(400, "the query is since=NUMBER, or nothing")
    return int(found[1])


def _wants_openmetrics(accept: str) -> bool:
    """Say whether OpenMetrics is liked at least as well as the text format.

    >>> _wants_openmetrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    True
    >>> _wants_openmetrics("text/plain, application/openmetrics-text;q=0.2"), _wants_openmetrics("*/*")
    (False, False)
    """
    liked = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for wish in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in wish.split(";"))
        if kind in liked:
            liked[kind] = max(liked[kind], _quality(parameters))
    return (
        liked["application/openmetrics-text"] > 0
        and liked["application/openmetrics-text"] >= liked["text/plain"]
    )


def _quality(parameters: list[str]) -> float:
    given = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    return float(given) if re.fullmatch(r"[01](\.[0-9]{0,3})?", given) else 0.0
