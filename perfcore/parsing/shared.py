"""Results that many machines share, by content, on a Valkey or Redis server or cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import MsgspecError, msgpack

from perfcore.parsing.languages import load
from perfcore.parsing.result import ParseResult

if TYPE_CHECKING:
    from perfcore.parsing.reading import Content

__all__ = ["SharedResults", "content_key"]

_decode = msgpack.Decoder(ParseResult).decode


def content_key(language: str, content_hash: str) -> tuple[str, str, str]:
    """Return the name of the result of a content, the same on disk and on servers."""
    return ("parse.content", load(language).schema, content_hash)


class SharedResults:
    """The remote tier of parsers: encoded results under :func:`content_key`.

    A server that cannot be had is a miss, after the remote tier's timeout at most; nothing here raises for
    it. Raises MissingExtraError without valkey-py.
    """

    def __init__(self, where: str | tuple[str, ...], ttl: float | None = None) -> None:
        from perfcore.cache import RemoteCache

        place = (where, ()) if isinstance(where, str) else (None, where)
        self._cache = RemoteCache(place[0], nodes=place[1], prefix="perfcore-parse", ttl=ttl)

    def recall(self, contents: Iterable[Content]) -> dict[tuple[str, str], bytes]:
        """Return what is known of contents, by language and hash, in one round trip."""
        names = list({(content.language, content.content_hash) for content in contents})
        found = self._cache.get_many([content_key(*name) for name in names]) if names else []
        return {name: data for name, data in zip(names, found, strict=True) if _is_result(data)}

    def get(self, language: str, content_hash: str) -> bytes | None:
        """Return the encoded result of one content."""
        data = self._cache.get(content_key(language, content_hash))
        return data if _is_result(data) else None

    def remember(self, fresh: Iterable[tuple[str, str, bytes]]) -> None:
        """Store encoded results: language, hash, bytes."""
        items = [(content_key(language, digest), data) for language, digest, data in fresh]
        if items:
            self._cache.set_many(items)

    def clear(self) -> None:
        """Forget all results, for everybody."""
        self._cache.clear()

    def close(self) -> None:
        """Close the connections."""
        self._cache.close()


def _is_result(data: object) -> bool:
    """Say whether bytes are a result as this version writes it: what another one wrote is a miss."""
    try:
        return isinstance(data, bytes) and _decode(data).skipped is None
    except MsgspecError:
        return False
