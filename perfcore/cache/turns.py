"""Who wrote last: how a memory tier and the tiers below it stay in step without a lock around them.

No lock may be held while tiers work: memory runs finalizers and listeners, which may use the manager.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

__all__ = ["Turns"]

_STRIPES = 1024


class Turns:
    """A counter for each of many groups of keys; a change that finds another's step in between knows of it.

    A write is: ``turn = begin(key)``, change the tiers below, ``turn, alone = step(key, turn)``, change
    memory, ``alone and current(key) == turn``; if not so, drop the key from memory, for the last one below
    may be another than the last one here. A reader that is about to promote compares ``current`` before it
    reads and after it has put: a writer steps after the tiers below have the new value and before memory has
    it.
    """

    def __init__(self) -> None:
        self._turns = [0] * _STRIPES
        self._next = 0
        self._lock = Lock()

    def current(self, key: Any) -> int:
        """Return what stands in the group of ``key``."""
        return self._turns[hash(key) % _STRIPES]

    def begin(self, key: Any) -> int:
        """Take a turn."""
        return self.step(key, 0)[0]

    def step(self, key: Any, turn: int) -> tuple[int, bool]:
        """Take the next turn; also say whether ``turn`` was still the last one."""
        place = hash(key) % _STRIPES
        with self._lock:
            alone = self._turns[place] == turn
            self._next += 1
            self._turns[place] = self._next
            return self._next, alone

    def forked(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = Lock()
