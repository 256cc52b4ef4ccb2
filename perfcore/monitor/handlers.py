"""Where alerts go: the log, a file, a webhook, or any callable that takes an :class:`Alert`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any, Literal

import msgspec

__all__ = ["Alert", "Handler", "file_handler", "log_handler", "webhook_handler"]

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """That a rule has fired, fires still, or no longer does; what handlers get."""

    #: The same for all that is told of one firing.
    id: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    message: str
    #: When, by the wall clock.
    timestamp: datetime
    state: Literal["firing", "resolved", "repeated"]
    #: The value of the rule's metric, by its path; empty for a rule about other rules.
    metrics: dict[str, float]
    suggested_actions: tuple[str, ...]
    labels: dict[str, str]


Handler = Callable[[Alert], Any]


def log_handler(name: str = "perfcore.alerts") -> Handler:
    """Return a handler that logs under ``name``, at the level of the severity; at info what is resolved."""
    log = logging.getLogger(name)

    def handle(alert: Alert) -> None:
        level = logging.INFO if alert.state == "resolved" else _LEVELS[alert.severity]
        log.log(level, "%s %s: %s", alert.rule, alert.state, alert.message)

    return handle


def file_handler(path: str | Path) -> Handler:
    """Return a handler that appends a line of JSON to a file, which only its owner may read."""
    path = Path(path)

    def handle(alert: Alert) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(alert) + b"\n")
        finally:
            os.close(descriptor)

    return handle


def webhook_handler(
    url: str,
    *,
    headers: dict[str, str] | None = None,
    timeout: float = 5.0,
    retries: int = 3,
    backoff: float = 0.5,
) -> Handler:
    """Return a handler that POSTs the alert as JSON.

    An answer of 5xx or 429, or none within ``timeout`` seconds, is tried again up to ``retries`` times,
    ``backoff`` seconds later and twice that from time to time; any other that is not 2xx raises
    :exc:`OSError` at once. Raises ValueError for a URL that is not http or https.
    """
    from urllib.error import HTTPError  # 15 ms of a start, of which most services have no use
    from urllib.request import Request, urlopen

    if not url.startswith(("http://", "https://")):
        raise ValueError("a webhook's URL begins with http:// or https://")
    fixed = {"Content-Type": "application/json", "User-Agent": "perfcore"} | (headers or {})

    def handle(alert: Alert) -> None:
        body = msgspec.json.encode(alert)
        for attempt in range(retries + 1):
            try:
                request = Request(url, body, fixed, method="POST")
                with urlopen(request, timeout=timeout):
                    return
            except HTTPError as error:
                # without the URL: it may hold a secret
                if (error.code < 500 and error.code != 429) or attempt == retries:
                    raise OSError(f"the webhook answered {error.code}") from None
            except OSError as error:
                if attempt == retries:
                    raise OSError(f"the webhook did not answer: {type(error).__name__}") from None
            sleep(backoff * 2**attempt)

    return handle


def now_utc() -> datetime:
    """Return the wall clock's time, with its zone."""
    return datetime.now(UTC)
