"""What a remote cache does as the tier of a manager, as steps: values, stamps of names, news for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfcore.cache.disk.journal import News
from perfcore.cache.keys import digest
from perfcore.cache.remote.backplane import Backplane
from perfcore.cache.remote.behind import Batch, Write
from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.lease import Lease
from perfcore.cache.remote.names import STAMP_BYTES, fresh_stamp
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.stamps import asks_to_begin, asks_to_look
from perfcore.cache.remote.store import Store, left
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, refused
from perfcore.cache.tiers import Found, Moments
from perfcore.metrics.instrument import note_lookups

__all__ = ["Operations", "own_name"]

#: What was moved here: names that this process remembers may have.
_MOVED = News(0, [], True)


class Operations:
    """The steps of each verb of a tier. Names have stamps instead of moments.

    Stamps are compared for equality, and one that is missing has moved. A key that is written or removed
    gives its own name a new stamp, where something depends on it.
    """

    def __init__(self, store: Store, backplane: Backplane | None, hear: Callable[[News], object]) -> None:
        self._store, self.backplane, self._hear = store, backplane, hear

    # -- values --

    def _finding(self, keys: list[bytes]) -> Steps[list[Found | None]]:
        if len(keys) == 1:
            found = yield from self._store.find(keys[0])
            opened = [None if found is None else found[1]]
        else:
            opened = yield from self._store.find_many(keys)
        misses, counts = opened.count(None), self._store.counters
        counts.misses += misses
        counts.hits += len(opened) - misses
        note_lookups("remote", len(opened) - misses, misses)
        return [None if one is None else Found(one.value, left(one)) for one in opened]

    def _putting(self, writes: list[Write]) -> Steps[None]:
        for ttl in dict.fromkeys(write.ttl for write in writes):
            items = [(write.key, write.prepared) for write in writes if write.ttl == ttl]
            yield from self._store.put(items, ttl, [])

    def _putting_batch(self, batch: Batch) -> Steps[None]:
        """Store what was waiting; of what was too much, the older values go."""
        if batch.too_many:
            yield from self._store.clear()
            self._store.missed.overflows += 1
        if batch.dropped:
            yield from self._store.remove(batch.dropped)
        yield from self._putting(batch.writes)

    def _putting_fenced(self, write: Write, lease: Lease) -> Steps[bool]:
        if write.prepared is None:
            if not (yield from self._standing(lease)):
                return False
            yield from self._putting([write])  # counts it, and removes the older one
        elif not (yield from self._store.put_fenced(write.key, write.prepared, write.ttl, lease)):
            return False
        yield from self.telling([write.key])
        return True

    def _standing(self, lease: Lease) -> Steps[bool]:
        (reply,) = yield [Ask(slot_of(lease.name), (b"GET", lease.name))]
        return bool(reply == lease.token)

    def _removing(self, keys: list[bytes], names: list[bytes]) -> Steps[tuple[int, bool]]:
        removed = (yield from self._store.remove(keys)) if keys else 0
        known = (yield from self._store.move(names)) if names else True
        yield from self.telling(keys, moved=bool(names))
        return removed, known

    # -- telling --

    def telling(self, keys: list[bytes] | None, *, moved: bool = False) -> Steps[None]:
        """Have the own names of changed keys (None: all) move, and tell other processes."""
        if keys:
            moved = (yield from self._moving_own(keys)) or moved
        if self.backplane is not None and (keys is None or keys or moved):
            yield from self.backplane.publishing(keys, moved=moved or keys is None)

    def _moving_own(self, keys: list[bytes]) -> Steps[bool]:
        """Give the names of ``keys`` new stamps where they have one; say whether any had, or may have."""
        places, words = [self._store.names.tag(own_name(key)) for key in keys], (b"XX", b"KEEPTTL")
        replies = yield [Ask(slot_of(name), (b"SET", name, fresh_stamp(), *words)) for name in places]
        pairs = zip(keys, replies, strict=True)
        unsure = [own_name(key) for key, reply in pairs if reply is UNAVAILABLE or refused(reply)]
        if unsure:
            self._store.note_missed([], unsure)
        moved = any(reply is not None for reply in replies)
        if moved:
            self._hear(_MOVED)
        return moved

    # -- names --

    def _beginning(self, names: list[bytes]) -> Steps[list[int | None]]:
        replies = yield asks_to_begin(self._store.names, names)
        return self._stamps(names, replies[1::2])

    def _looking(self, names: list[bytes]) -> Steps[Moments | None]:
        replies = yield asks_to_look(self._store.names, names)
        if any(reply is UNAVAILABLE or refused(reply) for reply in replies):
            self._store.unavailable()
            return None
        return Moments(0, 0, self._stamps(names, replies))

    def _stamps(self, names: list[bytes], replies: list[Any]) -> list[int | None]:
        missed = self._store.missed.tags
        pairs = zip(names, replies, strict=True)
        return [None if name in missed else _stamp(reply) for name, reply in pairs]


def own_name(key: bytes) -> bytes:
    """Return the name under which others depend on a key, as :class:`perfcore.cache.guards.Guards` has it."""
    return digest(b"key " + key)


def _stamp(reply: Any) -> int | None:
    if type(reply) is not bytes or len(reply) != STAMP_BYTES:
        return None
    return int.from_bytes(reply, "big")
