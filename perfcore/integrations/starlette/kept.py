"""A response as it is kept: on any tier, and told again to whom it may be told."""

from __future__ import annotations

from time import time
from typing import Any, NamedTuple

import xxhash

from perfcore.integrations.starlette.headers import Terms, same_tag, values

__all__ = ["Kept"]

#: What a 304 repeats of the response that it stands for.
_REPEATED = {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"}


class Kept(NamedTuple):
    """Status, headers and body, with the Unix times at which they were made and cease to be fresh."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    made: float
    until: float
    public: bool

    @classmethod
    def of(cls, status: int, headers: list[tuple[bytes, bytes]], body: bytes, on: Terms) -> Kept:
        """Return a response that is made now; one without an ``ETag`` gets a weak one of its body."""
        if status == 200 and not values(headers, b"etag"):
            tag = b'W/"%s"' % xxhash.xxh3_128_hexdigest(body).encode()
            headers = [*headers, (b"etag", tag)]
        now = time()
        age = max((int(value) for value in values(headers, b"age") if value.isdigit()), default=0)
        bare = tuple((bytes(name), bytes(value)) for name, value in headers if name.lower() != b"age")
        return cls(status, bare, bytes(body), now - age, now + on.fresh, on.public)

    @classmethod
    def read(cls, held: Any) -> Kept | None:
        """Return what a tier holds as a response, None when it is something else."""
        if type(held) is not tuple or len(held) != len(cls._fields):
            return None
        kinds = (int, tuple, bytes, float, float, bool)
        return cls(*held) if tuple(map(type, held)) == kinds else None

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return max(0.0, time() - self.made)

    @property
    def is_fresh(self) -> bool:
        """Whether it may be told without asking the application."""
        return time() < self.until

    def messages(self, method: str, wanted: list[bytes]) -> list[dict[str, Any]]:
        """Return what is sent for it; ``wanted`` are the values of ``If-None-Match``."""
        age = (b"age", b"%d" % int(self.age))
        tag = next(iter(values(self.headers, b"etag")), None)
        if self.status == 200 and tag is not None and wanted and same_tag(tag, wanted):
            headers = [pair for pair in self.headers if pair[0].lower() in _REPEATED]
            return _messages(304, [*headers, age], b"")
        return _messages(self.status, [*self.headers, age], b"" if method == "HEAD" else self.body)


def _messages(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> list[dict[str, Any]]:
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return [start, {"type": "http.response.body", "body": body}]
