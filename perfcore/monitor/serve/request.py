"""The bytes of an HTTP request as data: what GET and HEAD need of HTTP/1, and nothing that is doubtful.

No request has a body here, so there is nothing to frame: what announces a body is refused and ends the
connection, and two readers of one stream cannot disagree about where a request ends. Everything that RFC 9112
lets a server be lenient about (bare line feeds, folded lines, a space before the colon) is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["LONGEST_HEAD", "Refused", "Request", "take"]

#: Bytes of a request up to its empty line, bytes of its first line, and lines after that.
LONGEST_HEAD = 16 * 1024
_LONGEST_LINE = 4 * 1024
_MOST_FIELDS = 64

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t -~\x80-\xff]*)")
_ABSOLUTE = re.compile(r"http://([^/?#]+)(/[^#]*|\?[^#]*|)")
#: Fields of which a request has one; of others the values are a list.
_SINGLE = {"host", "content-length", "authorization"}


class Refused(Exception):  # noqa: N818 - it is an answer, not an error of the program
    """The answer to a request is this status; after some, nothing more is read from the client."""

    def __init__(self, status: int, detail: str, *, ends: bool = False, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.ends = status, detail, ends
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Request(NamedTuple):
    """A request; the names of fields are in lower case."""

    method: str
    path: str
    query: str
    fields: dict[str, str]
    #: Whether the client wants to ask more on this connection.
    keeps: bool


def take(buffer: bytearray) -> Request | None:
    """Take a request off the front of ``buffer``; None while its end has not come. Raises :exc:`Refused`.

    >>> buffer = bytearray(b"GET /metrics?x=1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\nGET")
    >>> take(buffer)
    Request(method='GET', path='/metrics', query='x=1', fields={'host': 'localhost'}, keeps=True)
    >>> take(buffer), buffer
    (None, bytearray(b'GET'))
    """
    while buffer.startswith(b"\r\n"):  # an old client's line after a body, which the RFC wants ignored
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n", 0, LONGEST_HEAD + 4)
    if end < 0:
        _unfinished(buffer)
        return None
    head = bytes(buffer[:end])
    del buffer[: end + 4]
    line, *fields = head.split(b"\r\n")
    return _request(_line(line), _fields(fields))


def _unfinished(buffer: bytearray) -> None:
    """Refuse what cannot become a request any more, before the rest of it has come."""
    if buffer and not (buffer[:1].isalpha() or buffer == b"\r"):
        raise _bad("no HTTP request")
    if b"\r\n" not in buffer[: _LONGEST_LINE + 2] and len(buffer) > _LONGEST_LINE:
        raise Refused(414, "the first line is too long", ends=True)
    if len(buffer) > LONGEST_HEAD:
        raise Refused(431, "the head is too long", ends=True)


def _bad(detail: str) -> Refused:
    return Refused(400, detail, ends=True)


def _line(line: bytes) -> tuple[str, str, int]:
    if len(line) > _LONGEST_LINE:
        raise Refused(414, "the first line is too long", ends=True)
    found = _LINE.fullmatch(line)
    if found is None:
        raise _bad("no request line")
    method, target, major, minor = (part.decode() for part in found.groups())
    if major != "1":
        raise Refused(505, "HTTP/1.0 and HTTP/1.1 are spoken here", ends=True)
    return method, target, int(minor)


def _fields(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > _MOST_FIELDS:
        raise Refused(431, "too many fields", ends=True)
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise _bad("no header field")
        name, value = found[1].decode().lower(), found[2].strip(b" \t").decode("latin-1")
        if name in fields and name in _SINGLE:
            raise _bad(f"more than one {name}")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _request(line: tuple[str, str, int], fields: dict[str, str]) -> Request:
    method, target, minor = line
    if minor > 0 and "host" not in fields:
        raise _bad("no host")
    _refuse_body(fields)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        fields["host"] = absolute[1]  # which then counts, and not the field
        target = absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    if not target.startswith("/") or "#" in target:
        raise _bad("no path")
    path, _, query = target.partition("?")
    wishes = {wish.strip().lower() for wish in fields.get("connection", "").split(",")}
    keeps = "close" not in wishes and (minor > 0 or "keep-alive" in wishes)
    return Request(method, path, query, fields, keeps)


def _refuse_body(fields: dict[str, str]) -> None:
    if "transfer-encoding" in fields:
        raise _bad("a body is not read here")
    length = fields.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _bad("no length")
    if length.strip("0"):
        raise Refused(413, "a body is not read here", ends=True)
