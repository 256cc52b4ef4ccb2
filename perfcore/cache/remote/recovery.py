"""What a server must still be told, or told again: bounded in memory.

A change that a server did not take leaves an older value readable there, once it is back. So the change is
noted, and made up for when the server answers again: by removing the entry (what was to be written is not
kept), or by giving the tag a new stamp. When there are too many to note, everything ends instead: the epoch
moves. Changes that a server did take are remembered for a while, because replication is asynchronous and a
replica that takes over may not have heard of them.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from threading import Lock
from time import monotonic
from typing import Final

from perfcore.cache.clock import now_us

__all__ = ["Missed", "Recent"]

#: Changes that are noted before the epoch moves instead; with names of 100 bytes some 2 MB.
_MOST: Final = 10_000
#: For how many seconds, and how many of them, changes are told again after a failover.
_WINDOW, _REMEMBERED = 10.0, 10_000


class Missed:
    """Names of entries that must go, and tags that must move. Lookups take no lock."""

    def __init__(self, most: int = _MOST) -> None:
        self.keys: dict[bytes, None] = {}
        self.tags: dict[bytes, None] = {}
        self.overflows = 0
        self._most, self._lock = most, Lock()

    def __len__(self) -> int:
        return len(self.keys) + len(self.tags)

    def note(self, keys: list[bytes], tags: list[bytes]) -> bool:
        """Note what could not be told; True when there is too much, and all of it was forgotten."""
        with self._lock:
            self.keys.update(dict.fromkeys(keys))
            self.tags.update(dict.fromkeys(tags))
            if len(self) <= self._most:
                return False
            self.keys.clear()
            self.tags.clear()
            self.overflows += 1
            return True

    def some(self, count: int) -> tuple[list[bytes], list[bytes]]:
        """Return up to ``count`` keys and as many tags, those that have waited longest."""
        with self._lock:
            return list(islice(self.keys, count)), list(islice(self.tags, count))

    def settle(self, keys: list[bytes], tags: list[bytes]) -> None:
        """Forget what has been told."""
        with self._lock:
            for key in keys:
                self.keys.pop(key, None)
            for tag in tags:
                self.tags.pop(tag, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.keys.clear()
            self.tags.clear()


class Recent:
    """Removals and moves of tags that servers have confirmed in the last ten seconds."""

    def __init__(self) -> None:
        #: When each key was removed, in Unix microseconds.
        self.keys: dict[bytes, int] = {}
        self._log: deque[tuple[float, bool, bytes]] = deque(maxlen=_REMEMBERED)

    def note(self, keys: list[bytes], tags: list[bytes]) -> None:
        """Note what a server has confirmed."""
        now = monotonic()
        self._log.extend((now, True, key) for key in keys)
        self._log.extend((now, False, tag) for tag in tags)
        if len(self.keys) > _REMEMBERED:
            self.keys.clear()
        self.keys.update(dict.fromkeys(keys, now_us()))

    def written(self, key: bytes) -> None:
        """Note that an entry is there again."""
        self.keys.pop(key, None)

    def names(self) -> tuple[list[bytes], list[bytes]]:
        """Return the keys that were removed and not written since, and the tags that moved."""
        least = monotonic() - _WINDOW
        keys: list[bytes] = []
        tags: list[bytes] = []
        for at, is_key, name in list(self._log):
            if at >= least and (not is_key or name in self.keys):
                (keys if is_key else tags).append(name)
        return list(dict.fromkeys(keys)), list(dict.fromkeys(tags))
