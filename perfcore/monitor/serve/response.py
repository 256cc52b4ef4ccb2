"""Answers as bytes, with the headers that all of them have."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from perfcore.monitor.serve.request import Refused

__all__ = ["Response", "json_response", "refusal", "render"]

#: A page of another origin may neither embed, read nor guess at what is answered; nothing is kept anywhere.
_ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Response(NamedTuple):
    """What is answered; ``headers`` come in place of those that all answers have."""

    body: bytes
    kind: str
    status: int = 200
    headers: Mapping[str, str] = {}


def json_response(value: object, status: int = 200) -> Response:
    """Return ``value`` as JSON."""
    return Response(msgspec.json.encode(value), "application/json", status)


def refusal(refused: Refused) -> Response:
    """Return the answer that says no: its status and a line of text, nothing of what was asked."""
    return Response(
        f"{refused.detail}\n".encode(), "text/plain; charset=utf-8", refused.status, refused.headers
    )


def render(response: Response, *, head: bool, keeps: bool) -> bytes:
    """Return the bytes to send; with ``head`` those without the body.

    >>> render(Response(b"ok", "text/plain"), head=True, keeps=False)[:17]
    b'HTTP/1.1 200 OK\\r\\n'
    """
    fields = {
        "Date": formatdate(usegmt=True),
        "Content-Type": response.kind,
        "Content-Length": str(len(response.body)),
        "Connection": "keep-alive" if keeps else "close",
        **_ALWAYS,
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    start = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return start if head else start + response.body
