"""The tiers below memory, as a manager sees them: all have the same verbs over canonical keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import getrandbits
from typing import Any, NamedTuple, Protocol, runtime_checkable

from perfcore.cache.disk.cache import DiskCache
from perfcore.cache.disk.flight import Flights
from perfcore.cache.disk.journal import UNKNOWN, News
from perfcore.cache.disk.operations import put_many
from perfcore.cache.disk.queries import names as names_of_entries
from perfcore.cache.disk.sharing import (
    Found,
    announce_all,
    find,
    find_many,
    invalidate,
    make_lines,
    moments,
    news,
    subscribe,
)
from perfcore.cache.disk.tags import NO_TAGS, mark
from perfcore.metrics.instrument import note_lookups

__all__ = ["Attentive", "DiskTier", "Found", "Health", "Moments", "Tier"]


class Moments(NamedTuple):
    """The present by a tier's own clock, what is before its memory, and when each name last moved."""

    present: int
    floor: int
    lines: list[int | None]


class Health(NamedTuple):
    """Whether a tier serves, and why not."""

    ok: bool
    detail: str = ""


class Tier(Protocol):
    """What lies below a memory tier. Keys are canonical bytes, names of tags digests of 16 bytes.

    Nothing is raised but :exc:`TypeError` by :meth:`prepare`: what cannot be had is a miss, what cannot be
    stored is not, and what could not be removed answers as removed. A verb that would hold up an event loop
    has an asynchronous form, with ``a`` before its name.
    """

    name: str

    def find(self, key: bytes) -> Found | None:
        """Return the valid value of ``key`` and what it has left."""

    def find_many(self, keys: list[bytes]) -> list[Found | None]:
        """Return the same for each of ``keys``, asked for at once."""

    def prepare(self, key: bytes, value: Any, ttl: float | None, names: list[bytes], moment: int) -> Any:
        """Return ``value`` ready for :meth:`put`, valid while no name moves after ``moment``."""

    def put(self, writes: list[Any], at_once: bool = False) -> None:
        """Store what was prepared; ``at_once``: everybody sees it when this returns."""

    def remove(self, keys: list[bytes], names: list[bytes]) -> tuple[int, bool]:
        """Remove ``keys`` and have ``names`` move, for everybody; how many were there, and if it is known."""

    def moments(self, names: list[bytes]) -> Moments | None:
        """Return when ``names`` last moved."""

    def remember(self, names: list[bytes], moment: int) -> bool:
        """Have it remembered when ``names`` move."""

    def news(self) -> list[News]:
        """Return what others have changed since this was last asked."""

    def words(self) -> memoryview | None:
        """Return words of which the third moves when there are news, if the tier has any."""

    def clear(self) -> None:
        """Remove everything."""

    def clear_keys(self, mine: Callable[[bytes], bool]) -> None:
        """Remove the keys for which ``mine`` is true."""

    def flush(self) -> None:
        """Keep what was stored so far."""

    def stats(self) -> Any:
        """Return the counts of the tier."""

    def health(self) -> Health:
        """Say whether the tier serves."""

    def close(self) -> None:
        """Close what the manager has opened."""


@runtime_checkable
class Attentive(Protocol):
    """A tier that learns in a thread of its own what others have changed."""

    def attend(self, notice: Callable[[], object]) -> None:
        """Call ``notice``, in any thread, when there are news."""

    def forked(self) -> None:
        """Begin anew in a forked child."""

    async def adisconnect(self) -> None:
        """Close the connections of the running event loop."""


class DiskTier:
    """A :class:`DiskCache` as the tier of one manager."""

    name = "disk"

    def __init__(self, cache: DiskCache, *, owned: bool) -> None:
        self.cache = cache
        self._store, self._codec, self._owned = cache._store, cache._codec, owned
        self._origin = getrandbits(63) | 1  # 0 is anybody
        self._position = subscribe(self._store)
        # one that was killed between its commit and this has told nobody, and is often started again
        self._store.epochs.moved(removals=0, replacements=0, noted=True)

    def find(self, key: bytes) -> Found | None:
        """Return the valid value of ``key`` and what it has left."""
        found = find(self._store, key, self._codec)
        self._count([found])
        return found

    def find_many(self, keys: list[bytes]) -> list[Found | None]:
        """Return the same for each of ``keys``, in one transaction."""
        found = find_many(self._store, keys, self._codec)
        self._count(found)
        return found

    def _count(self, found: Sequence[Found | None]) -> None:
        misses = found.count(None)
        self.cache._misses += misses
        self.cache._hits += len(found) - misses
        note_lookups("disk", len(found) - misses, misses)

    def prepare(self, key: bytes, value: Any, ttl: float | None, names: list[bytes], moment: int) -> Any:
        """Return the write of ``value``; raises :exc:`TypeError` when it cannot be encoded."""
        tags = mark(names, moment) if names else NO_TAGS
        return self.cache._entry(key, value, self.cache._ttl if ttl is None else ttl, tags, self._origin)

    def put(self, writes: list[Any], at_once: bool = False) -> None:
        """Store writes: one as the cache's durability says, several, or ``at_once``, in one transaction."""
        if len(writes) == 1 and not at_once:
            self.cache._put(writes[0])
        else:
            put_many(self._store, writes)

    def remove(self, keys: list[bytes], names: list[bytes]) -> tuple[int, bool]:
        """Remove ``keys`` and have ``names`` move, for all processes when this returns."""
        return invalidate(self._store, keys, names, self._origin)

    async def afind_many(self, keys: list[bytes]) -> list[Found | None]:
        """:meth:`find_many` in a thread; one key is looked up in less time than a thread takes."""
        return await asyncio.to_thread(self.find_many, keys)

    async def aput(self, writes: list[Any], at_once: bool = False) -> None:
        """:meth:`put` in a thread, unless it is written behind anyway."""
        if len(writes) == 1 and not at_once and self.behind:
            self.put(writes)
        else:
            await asyncio.to_thread(self.put, writes, at_once)

    async def aremove(self, keys: list[bytes], names: list[bytes]) -> tuple[int, bool]:
        """:meth:`remove` in a thread."""
        return await asyncio.to_thread(self.remove, keys, names)

    def moments(self, names: list[bytes]) -> Moments | None:
        """Return when ``names`` last moved, None when the disk cannot be had."""
        found = moments(self._store, names)
        return None if found is None else Moments(*found)

    def remember(self, names: list[bytes], moment: int) -> bool:
        """Have it remembered when ``names`` move."""
        return make_lines(self._store, names, moment)

    async def aremember(self, names: list[bytes], moment: int) -> bool:
        """:meth:`remember` in a thread."""
        return await asyncio.to_thread(self.remember, names, moment)

    def news(self) -> list[News]:
        """Return what others have changed since this was last asked."""
        if self._position is None:
            self._position = subscribe(self._store)
            return [UNKNOWN]
        found, self._position = news(self._store, self._position)
        return [one for one in found if one.origin != self._origin]

    def forked(self) -> None:
        """In a forked child: what the parent changes is news here, and the other way round."""
        self._origin = getrandbits(63) | 1

    @property
    def flights(self) -> Flights:
        """Single flight for all processes on the directory."""
        return self._store.flights

    @property
    def behind(self) -> bool:
        """Whether writes are committed behind."""
        return self.cache._relaxed

    @property
    def position(self) -> int | None:
        """Which of the journal's records is next to be read."""
        return self._position

    def changed_since(self, position: int | None) -> set[bytes] | None:
        """Return the keys that anybody has changed since ``position``, None if that is not known."""
        found = [UNKNOWN] if position is None else news(self._store, position)[0]
        if any(one.keys is None for one in found):
            return None
        return {key for one in found for key in one.keys or ()}

    def words(self) -> memoryview | None:
        """Return the words that all processes on the directory map."""
        return self._store.epochs.again()

    def clear(self) -> None:
        """Remove everything in the directory."""
        self.cache.clear()

    def clear_keys(self, mine: Callable[[bytes], bool]) -> None:
        """Remove the keys for which ``mine`` is true; takes a look at each entry.

        The memory of others is dropped: it may hold such keys that are not on disk.
        """
        self.cache.flush()
        keys = [key for key in names_of_entries(self._store) if mine(key)]
        if keys:
            self.remove(keys, [])
        announce_all(self._store, self._origin)

    def flush(self) -> None:
        """Commit what was stored so far."""
        self.cache.flush()

    def stats(self) -> Any:
        """Return the cache's :class:`DiskStats`."""
        return self.cache.stats()

    def health(self) -> Health:
        """Say whether the directory is open."""
        problems = self.cache.problems()
        return Health(not problems, "; ".join(problems))

    def close(self) -> None:
        """Commit; close the cache if the manager has made it."""
        if self._owned:
            self.cache.close()
        else:
            self.cache.flush()
