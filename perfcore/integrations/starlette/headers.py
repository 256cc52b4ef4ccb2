"""What HTTP headers say of caching (RFC 9111), read so that in doubt nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Headers", "Terms", "directives", "same_tag", "terms", "values"]

Headers = Iterable[tuple[bytes, bytes]]

#: Responses that say the same to everybody who asks; errors are not among them.
_KEPT = {200, 203, 301, 308}
_NEVER = {"no-store", "private", "no-cache"}


class Terms(NamedTuple):
    """For how many seconds a response is fresh, and stale but of use; whether it may be shared by users."""

    fresh: float
    stale: float
    public: bool


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Return the values of the header ``name``, which is in lower case."""
    return [value for key, value in headers if key.lower() == name]


def directives(headers: Headers) -> dict[str, str]:
    """Return the directives of ``Cache-Control``; of one that is there twice the smaller value counts.

    >>> directives([(b"cache-control", b"public, Max-Age=60"), (b"cache-control", b'max-age="5"')])
    {'public': '', 'max-age': '5'}
    """
    found: dict[str, str] = {}
    for part in b",".join(values(headers, b"cache-control")).decode("latin-1").split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        name, value = name.lower(), value.strip('"')
        if name:
            found[name] = min(found[name], value, key=_seconds) if name in found else value
    return found


def terms(status: int, headers: list[tuple[bytes, bytes]], default: float) -> Terms | None:
    """Return on what terms a response is kept, None for one that is not.

    ``default`` is for how many seconds one is fresh that has no ``Cache-Control``; 0 keeps none of those.
    """
    said = directives(headers)
    if status not in _KEPT or _NEVER & said.keys() or values(headers, b"set-cookie"):
        return None
    if b"*" in varying(headers) or values(headers, b"content-range"):
        return None
    shared = said.get("s-maxage", said.get("max-age"))
    fresh = (0 if said else default) if shared is None else _seconds(shared) - _age(headers)
    if fresh <= 0:
        return None
    strict = {"must-revalidate", "proxy-revalidate", "s-maxage"} & said.keys()
    stale = 0 if strict else _seconds(said.get("stale-while-revalidate", "0"))
    return Terms(fresh, stale, "public" in said or "s-maxage" in said)


def varying(headers: Headers) -> tuple[bytes, ...]:
    """Return the names in ``Vary``, in lower case and order."""
    names = b",".join(values(headers, b"vary")).lower().split(b",")
    return tuple(sorted({name.strip() for name in names} - {b""}))


def same_tag(tag: bytes, wanted: list[bytes]) -> bool:
    """Say whether ``If-None-Match`` has ``tag``, as weak ones compare.

    >>> same_tag(b'"a"', [b'"b", W/"a"']), same_tag(b'"a"', [b"*"]), same_tag(b'"a"', [b'"b"'])
    (True, True, False)
    """
    asked = [one.strip().removeprefix(b"W/") for one in b",".join(wanted).split(b",")]
    return tag.removeprefix(b"W/") in asked or b"*" in asked


def _age(headers: Headers) -> float:
    return max((_seconds(value.decode("latin-1")) for value in values(headers, b"age")), default=0)


def _seconds(value: str) -> float:
    """What is no number of seconds is none at all."""
    return min(int(value), 2**31) if value.isascii() and value.isdigit() else 0
