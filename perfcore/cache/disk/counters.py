"""What a disk cache counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Counters", "DiskStats"]


@dataclass(slots=True)
class Counters:
    """Events in this process since it opened the directory. Plain additions, atomic enough under the GIL."""

    writes: int = 0
    deletes: int = 0
    evictions: int = 0
    expirations: int = 0
    invalidations: int = 0
    rejections: int = 0
    dropped: int = 0
    damaged: int = 0
    unreadable: int = 0
    errors: int = 0


class DiskStats(NamedTuple):
    """What a disk cache counted in this process, and what it holds now.

    ``writes`` are commits of values; ``expirations`` entries found expired, ``invalidations`` those whose
    tags were invalidated; ``rejections`` values too large; ``dropped`` values given up because the disk was
    full, away or too slow; ``damaged`` entries removed because they were damaged, foreign or forged;
    ``unreadable`` lookups of sound entries that are not for this process, and stay;
    ``errors`` failed operations below. ``entries`` and ``bytes`` (pages in use) are those of the directory,
    ``pending`` writes not yet committed, ``file_bytes`` the size of the data file.
    """

    hits: int
    misses: int
    writes: int
    deletes: int
    evictions: int
    expirations: int
    invalidations: int
    rejections: int
    dropped: int
    damaged: int
    unreadable: int
    errors: int
    entries: int
    bytes: int
    file_bytes: int
    pending: int

    @property
    def hit_ratio(self) -> float:
        """Hits per lookup, from 0 to 1; 0 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0
