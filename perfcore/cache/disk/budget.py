"""The byte budget: the oldest entries go, except those that this process saw read since.

First in, first out with one more chance: a hit only sets a bit in memory (nothing is ever written on a
read), and an entry whose bit is set when its turn comes is appended anew instead of being dropped.
"""

from __future__ import annotations

from time import monotonic
from typing import NamedTuple

from perfcore.cache import clock
from perfcore.cache.codec.entry import expiry_of, key_of
from perfcore.cache.disk.ledger import Ledger, Txn, name_of

__all__ = ["NOTHING", "Budget", "Evicted"]

#: Second chances in one transaction, so that a commit stays short even if everything was read.
_CHANCES = 256
#: Names of entries that were read; more of them are not worth their memory (20 MB).
_REMEMBERED = 200_000
#: How long a full disk holds the cache to the room it had then, in seconds.
_CRAMPED = 60.0


class Evicted(NamedTuple):
    """What making room cost."""

    evictions: int
    expirations: int


NOTHING = Evicted(0, 0)


class Budget:
    """Holds the pages in use to ``limit`` bytes, at the end of each write transaction."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._ceiling = limit
        self._cramped_until = 0.0
        self._read: set[bytes] = set()

    def saw(self, name: bytes) -> None:
        """Note that the entry that ``name`` leads to was read."""
        if len(self._read) >= _REMEMBERED:
            self._read.clear()
        self._read.add(name)

    @property
    def cramped(self) -> bool:
        """True while the disk is known to have no more room than the cache uses already."""
        return self._cramped_until > monotonic()

    def cramp(self, room: int) -> None:
        """Live for a while in the ``room`` bytes that the file has: the disk has no more.

        Not all of it is for entries, because a transaction writes to pages that neither it nor the one
        before freed.
        """
        self._ceiling = room * 5 // 8
        self._cramped_until = monotonic() + _CRAMPED

    def batch_bytes(self, usual: int) -> int:
        """Return how many bytes one transaction should add at most."""
        return min(usual, self._ceiling // 16) if self.cramped else usual

    def enforce(self, txn: Txn, ledger: Ledger) -> Evicted:
        """Evict until the pages in use fit."""
        limit = min(self.limit, self._ceiling) if self.cramped else self.limit
        return self.shrink(txn, ledger, limit)

    def shrink(self, txn: Txn, ledger: Ledger, limit: int) -> Evicted:
        """Evict until the pages in use take at most ``limit`` bytes."""
        evictions = expirations = 0
        chances, now = _CHANCES, clock.now_us() // 1000
        while (excess := ledger.used_bytes(txn) - limit) > 0:
            excess //= 2  # an entry frees up to twice its length in pages, and too much must not go
            while excess >= 0:
                oldest = ledger.oldest(txn)
                if oldest is None:
                    ledger.clear(txn)  # what is left leads nowhere
                    return Evicted(evictions, expirations)
                number, entry = oldest
                name = name_of(key_of(entry))
                if 0 < expiry_of(entry) <= now:
                    expirations += 1
                elif chances and name in self._read:
                    chances -= 1
                    self._read.discard(name)
                    ledger.renew(txn, number, name, bytes(entry))
                    continue
                else:
                    evictions += 1
                excess -= len(entry) + 1
                ledger.drop(txn, number, name)
        return Evicted(evictions, expirations)
