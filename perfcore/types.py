"""What the rooms of one floor know of each other: protocols and small frozen values, nothing that runs."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

__all__ = ["CacheStats", "Closable", "Store"]


@runtime_checkable
class Closable(Protocol):
    """Something that holds a thread, a file or a connection until it is closed; closing twice is fine."""

    def close(self) -> None:
        """Release everything; pending work is finished first."""


@runtime_checkable
class Store(Protocol):
    """The verbs that every cache tier shares, whatever lies underneath."""

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default`` when it is absent or expired."""

    def set(self, key: Any, value: Any, *, ttl: float | None = None) -> None:
        """Store ``value`` under ``key``; ``ttl`` is in seconds, None means the store's own."""

    def delete(self, key: Any, /) -> bool:
        """Remove ``key``; say whether it was there."""

    def clear(self) -> None:
        """Remove everything."""


class CacheStats(NamedTuple):
    """What a memory cache counted, and what it holds now."""

    hits: int
    misses: int
    evictions: int
    expirations: int
    rejections: int
    entries: int
    weight: int

    @property
    def hit_ratio(self) -> float:
        """Hits per lookup, from 0 to 1; 0 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0
