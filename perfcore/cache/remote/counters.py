"""What a remote cache counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Counters", "NodeStats", "RemoteStats"]


@dataclass(slots=True)
class Counters:
    """Events in this object. Plain additions, atomic enough under the GIL."""

    hits: int = 0
    misses: int = 0
    writes: int = 0
    deletes: int = 0
    invalidations: int = 0
    unavailable: int = 0
    rejections: int = 0
    damaged: int = 0
    unreadable: int = 0


class NodeStats(NamedTuple):
    """One server: how often it was asked and did not answer, and whether it is asked at all."""

    calls: int
    failures: int
    serving: bool
    reason: str


class RemoteStats(NamedTuple):
    """What a remote cache counted in this process.

    ``misses`` include ``unavailable``, lookups and writes that no server answered; ``invalidations`` are
    entries whose tags had been invalidated; ``rejections`` writes that the server refused (it was full);
    ``damaged`` entries that were damaged, foreign or forged, and removed; ``unreadable`` ones were sound but
    not for this process, and stay. ``missed`` changes are still to be made known to a server that was away;
    ``epochs`` is how often there were too many of them, and everything was dropped. ``nodes`` has the servers
    by ``host:port``. ``behind`` values of a manager wait to be written; ``dropped`` ones were too many to
    wait, and their keys were removed.
    """

    hits: int
    misses: int
    writes: int
    deletes: int
    invalidations: int
    unavailable: int
    rejections: int
    damaged: int
    unreadable: int
    missed: int
    epochs: int
    nodes: dict[str, NodeStats]
    behind: int = 0
    dropped: int = 0

    @property
    def hit_ratio(self) -> float:
        """Hits per lookup, from 0 to 1; 0 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0
