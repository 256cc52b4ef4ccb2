"""A remote cache as the last tier of a manager: values, stamps of names, and news from other processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from perfcore.cache.disk.journal import UNKNOWN, News
from perfcore.cache.keys import digest
from perfcore.cache.remote.backplane import Backplane
from perfcore.cache.remote.budget import deadline_of
from perfcore.cache.remote.cache import RemoteCache
from perfcore.cache.remote.drive import Steps, ask, run
from perfcore.cache.remote.entries import Opened
from perfcore.cache.remote.lease import Leases
from perfcore.cache.remote.looking import canonicals
from perfcore.cache.remote.names import STAMP_BYTES, fresh_stamp
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.stamps import asks_to_begin, asks_to_look
from perfcore.cache.remote.store import left
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, refused
from perfcore.cache.tiers import Found, Health, Moments

__all__ = ["RemoteTier"]


class RemoteTier:
    """A :class:`RemoteCache` as the tier of one manager, with a backplane unless ``interval`` is 0.

    Names have stamps here instead of moments: they are compared for equality, and one that is missing has
    moved. A key that is written or removed gives its own name a new stamp, where something depends on it.
    """

    name = "remote"
    exact = True

    def __init__(self, cache: RemoteCache, *, owned: bool, interval: float, lease: float = 0) -> None:
        self.cache = cache
        self.leases: Leases | None = None
        if lease:
            self.leases = Leases(cache._router, cache._store.names, cache._timeout, lease)
        self._store, self._owned = cache._store, owned
        self._news: deque[News] = deque(maxlen=10_000)
        self._notice: Callable[[], object] = lambda: None
        self.backplane: Backplane | None = None
        if interval:
            names, timeout = self._store.names, cache._timeout
            self.backplane = Backplane(cache._router, names, timeout, interval)

    def attend(self, notice: Callable[[], object]) -> None:
        """Call ``notice``, in any thread, when there are news."""
        self._notice = notice
        if self.backplane is not None:
            self.backplane.start(self._heard)

    def _heard(self, news: News) -> None:
        if len(self._news) == self._news.maxlen or news.keys is None:
            news = UNKNOWN
            self._news.clear()
            self._store.epoch.hurry()
        self._news.append(news)
        self._notice()

    # -- values --

    def find(self, key: bytes) -> Found | None:
        """Return the valid value of ``key`` and what it has left."""
        found = self._run(self._store.find(key))
        return self._counted([None if found is None else found[1]])[0]

    def find_many(self, keys: list[bytes]) -> list[Found | None]:
        """Return the same for each of ``keys``, asked for at once."""
        return self._counted(self._run(self._store.find_many(keys)))

    def _counted(self, found: list[Opened | None]) -> list[Found | None]:
        misses, counts = found.count(None), self._store.counters
        counts.misses += misses
        counts.hits += len(found) - misses
        return [None if one is None else Found(one.value, left(one)) for one in found]

    def prepare(self, key: bytes, value: Any, ttl: float | None, names: list[bytes], moment: int) -> Any:
        """Return ``value`` ready for :meth:`put`; raises :exc:`TypeError` when it cannot be encoded."""
        return key, self._store.entries.prepare(value), self.cache._ttl if ttl is None else ttl

    def put(self, writes: list[Any], *, at_once: bool = False) -> None:
        """Store what was prepared, and tell the others."""
        for ttl in dict.fromkeys(write[2] for write in writes):
            self._run(self._store.put([write[:2] for write in writes if write[2] == ttl], ttl, []))
        keys = [write[0] for write in writes]
        self._tell(keys, moved=self._move_own(keys))

    def remove(self, keys: list[bytes], names: list[bytes]) -> tuple[int, bool]:
        """Remove ``keys`` and have ``names`` move, for all processes; those that cannot be told are later."""
        removed = self._run(self._store.remove(keys)) if keys else 0
        known = self._run(self._store.move(names)) if names else True
        self._tell(keys, moved=self._move_own(keys) or bool(names))
        return removed, known

    def _move_own(self, keys: list[bytes]) -> bool:
        """Give the names of ``keys`` new stamps where they have one; say whether any had, or may have."""
        if not keys:
            return False
        places = [self._store.names.tag(own) for own in map(_own, keys)]
        asks = [Ask(slot_of(name), (b"SET", name, fresh_stamp(), b"XX", b"KEEPTTL")) for name in places]
        replies = ask(self.cache._router, asks, deadline_of(self.cache._timeout))
        unsure = [_own(key) for key, r in zip(keys, replies, strict=True) if r is UNAVAILABLE or refused(r)]
        if unsure:
            self._store.note_missed([], unsure)
        moved = any(reply is not None for reply in replies)
        if moved:
            self._news.append(News(0, [], True))
            self._notice()
        return moved

    def _tell(self, keys: list[bytes], *, moved: bool) -> None:
        if self.backplane is not None and (keys or moved):
            self.backplane.publish(keys, moved=moved)

    # -- names --

    def begin(self, names: list[bytes]) -> list[int | None]:
        """Return the stamp of each of ``names``, made where it is missing; None when it cannot be had."""
        replies = ask(
            self.cache._router, asks_to_begin(self._store.names, names), deadline_of(self.cache._timeout)
        )
        missed = self._store.missed.tags
        return [
            None if name in missed else _stamp(reply)
            for name, reply in zip(names, replies[1::2], strict=True)
        ]

    def moments(self, names: list[bytes]) -> Moments | None:
        """Return the stamps of ``names``, None where there is none; None when one of them cannot be had."""
        replies = ask(
            self.cache._router, asks_to_look(self._store.names, names), deadline_of(self.cache._timeout)
        )
        if any(reply is UNAVAILABLE or refused(reply) for reply in replies):
            self._store.unavailable()
            return None
        missed = self._store.missed.tags
        pairs = zip(names, replies, strict=True)
        return Moments(0, 0, [None if name in missed else _stamp(reply) for name, reply in pairs])

    def remember(self, names: list[bytes], moment: int) -> bool:
        """Do nothing: :meth:`begin` has made the stamps."""
        return True

    def news(self) -> list[News]:
        """Return what others have changed since this was last asked."""
        found = []
        while self._news:
            try:
                found.append(self._news.popleft())
            except IndexError:  # another thread was faster
                break
        return found

    def words(self) -> memoryview | None:
        """Return None: news call ``notice`` of :meth:`attend`."""
        return None

    # -- the whole --

    def clear(self) -> None:
        """Remove everything below the prefix."""
        self.cache.clear()
        if self.backplane is not None:
            self.backplane.publish(None, moved=True)

    def clear_keys(self, mine: Callable[[bytes], bool]) -> None:
        """Remove the keys for which ``mine`` is true; takes a look at each entry."""
        keys = [key for key in canonicals(self._store, self.cache._timeout) if mine(key)]
        if keys:
            self.remove(keys, [])

    def flush(self) -> None:
        """Do nothing: all is stored when :meth:`put` returns."""

    def stats(self) -> Any:
        """Return the cache's :class:`RemoteStats`."""
        return self.cache.stats()

    def health(self) -> Health:
        """Say whether all servers serve, and whether news arrive."""
        found = self.cache.problems()
        if self.backplane is not None and not self.backplane.connected:
            found.append("no news arrive from other processes")
        return Health(not found, "; ".join(found))

    def forked(self) -> None:
        """In a forked child: begin listening anew."""
        self._news.clear()
        if self.backplane is not None:
            self.backplane.forked()

    def close(self) -> None:
        """Stop listening; close the cache if the manager has made it."""
        if self.backplane is not None:
            self.backplane.stop()
        if self._owned:
            self.cache.close()

    def _run(self, steps: Steps[Any]) -> Any:
        return run(self.cache._router, steps, deadline_of(self.cache._timeout))


def _own(key: bytes) -> bytes:
    """The name under which others depend on a key, as :class:`perfcore.cache.guards.Guards` has it."""
    return digest(b"key " + key)


def _stamp(reply: Any) -> int | None:
    if type(reply) is not bytes or len(reply) != STAMP_BYTES:
        return None
    return int.from_bytes(reply, "big")
