"""Storing things on the servers and removing them, in such a way that no older value stays readable."""

from __future__ import annotations

from typing import Final

from perfcore.cache import clock
from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.entries import Opened
from perfcore.cache.remote.reading import MISSING, SWAP, Found, Reading
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.stamps import asks_to_begin, asks_to_move, begun
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, code_of, refused

__all__ = ["MISSING", "Found", "Prepared", "Store", "left"]

#: Stores an entry while a lease has its token.
_FENCED: Final = (
    b"if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    b"redis.call('SET',KEYS[2],ARGV[2]) "
    b"if ARGV[3]~='0' then redis.call('PEXPIRE',KEYS[2],ARGV[3]) end return 1"
)
#: Kind and payload of a value.
Prepared = tuple[int, bytes]


class Store(Reading):
    """All operations of one :class:`RemoteCache`."""

    def begin(self, tags: list[bytes]) -> Steps[bytes | None]:
        """Return what an entry with ``tags`` carries that is begun now; None when that cannot be had."""
        replies = yield asks_to_begin(self.names, tags)
        if any(tag in self.missed.tags for tag in tags):
            return None
        return begun(tags, replies[1::2])

    def put(
        self,
        items: list[tuple[bytes, Prepared | None]],
        ttl: float | None,
        tags: list[bytes],
        mark: bytes | None = None,
    ) -> Steps[int]:
        """Store prepared values; those that cannot be have their older ones removed. Returns how many."""
        epoch = self.epoch.current or (yield from self.learn())
        if epoch is None:
            self.counters.unavailable += len(items)
            self.overflow()  # nobody knows what the older values are called
            return 0
        if tags and mark is None:
            mark = yield from self.begin(tags)
        asks, names, drop = [], [], []
        for canonical, prepared in items:
            name = self.names.key(epoch, canonical)
            if prepared is None or (tags and mark is None):
                self.counters.rejections += prepared is None
                drop.append(name)
                continue
            data = self.entries.seal(canonical, prepared, ttl, mark or b"")
            names.append(name)
            asks.append(Ask(slot_of(name), (b"SET", name, data, *_life(ttl))))
        due = self.epoch.due() and bool(asks)
        replies = (yield [*asks, self.epoch.ask] if due else asks) if asks else []
        if due and self.epoch.heard(replies.pop()):
            return (yield from self.put(items, ttl, tags, mark))
        stored = 0
        for name, reply in zip(names, replies, strict=True):
            if reply is UNAVAILABLE or refused(reply):
                self.counters.rejections += refused(reply)
                drop.append(name)
            else:
                stored += 1
                self.wrote(name)
        self.counters.writes += stored
        if drop:
            yield from self.remove_names(drop)
        return stored

    def wrote(self, name: bytes) -> None:
        """Note that an entry is what it should be."""
        if self.missed.keys:
            self.missed.settle([name], [])
        if self.recent.keys:
            self.recent.written(name)

    def swap(
        self, canonical: bytes, old: bytes, prepared: Prepared, ttl: float | None, mark: bytes
    ) -> Steps[bool]:
        """Put an entry in the place of ``old``, if that is still there; say whether it was."""
        name = self.names.key(self.epoch.current or "", canonical)
        data = self.entries.seal(canonical, prepared, ttl, mark)
        life = b"0" if ttl is None else _life(ttl)[1]
        (reply,) = yield [Ask(slot_of(name), (b"EVAL", SWAP, b"1", name, old, data, life))]
        return bool(reply == 1)

    def put_fenced(
        self, canonical: bytes, prepared: Prepared, ttl: float | None, lease: tuple[bytes, bytes, bytes]
    ) -> Steps[bool]:
        """Store a value while its ``lease`` (entry, name, token) stands; say whether it did."""
        entry, name, token = lease
        if self.epoch.current is None or entry != self.names.key(self.epoch.current, canonical):
            return False  # everything has ended since the lease was taken, also what this was computed from
        data = self.entries.seal(canonical, prepared, ttl)
        life = b"0" if ttl is None else _life(ttl)[1]
        words = (b"EVAL", _FENCED, b"2", name, entry, token, data, life)
        (reply,) = yield [Ask(slot_of(entry), words)]
        if refused(reply) and code_of(reply) == "OOM":
            self.counters.rejections += 1
            yield from self.remove_names([entry])
            return True
        if reply is UNAVAILABLE or refused(reply):
            self.unavailable()
            return False
        if reply == 1:
            self.counters.writes += 1
            self.wrote(entry)
        return bool(reply == 1)

    def add(
        self, canonical: bytes, prepared: Prepared | None, ttl: float | None, tags: list[bytes], mark: bytes
    ) -> Steps[bool]:
        """Store a value where there is no valid one; say whether it was stored."""
        epoch = self.epoch.current or (yield from self.learn())
        if epoch is None or prepared is None or (tags and not mark):
            return False
        if self.epoch.due() and self.epoch.heard((yield [self.epoch.ask])[0]):
            return (yield from self.add(canonical, prepared, ttl, tags, mark))
        name = self.names.key(epoch, canonical)
        data = self.entries.seal(canonical, prepared, ttl, mark)
        (reply,) = yield [Ask(slot_of(name), (b"SET", name, data, *_life(ttl), b"NX"))]
        if reply is None:
            (old,) = yield [Ask(slot_of(name), (b"GET", name))]
            if type(old) is not bytes:
                return False
            opened = self.opened(canonical, name, old)
            if isinstance(opened, Opened) and (not opened.mark or (yield from self.valid([opened]))[0]):
                return False
            return (yield from self.swap(canonical, old, prepared, ttl, mark))
        if reply is UNAVAILABLE or refused(reply):
            self.unavailable()
            return False
        self.counters.writes += 1
        self.wrote(name)
        return True

    def remove(self, canonicals: list[bytes]) -> Steps[int]:
        """Remove keys; returns how many were there, as far as servers said so."""
        epoch = self.epoch.current or (yield from self.learn())
        if epoch is None:
            self.overflow()
            return 0
        names = [self.names.key(epoch, one) for one in canonicals]
        # always with a look at the epoch: in another one, another process may have stored the same keys
        removed = yield from self.remove_names(names, look=True)
        if self.epoch.current not in {epoch, None}:
            removed = yield from self.remove_names(
                [self.names.key(self.epoch.current or "", one) for one in canonicals]
            )
        return removed

    def remove_names(self, names: list[bytes], *, look: bool = False) -> Steps[int]:
        """Remove entries, now or when their servers are back; ``look`` at the epoch on the way."""
        asks = [Ask(slot_of(name), (b"UNLINK", name)) for name in names]
        replies = yield [*asks, self.epoch.ask] if look else asks
        if look:
            self.epoch.heard(replies.pop())
        told = [name for name, reply in zip(names, replies, strict=True) if type(reply) is int]
        removed = sum(reply for reply in replies if type(reply) is int)
        self.counters.deletes += removed
        if self.missed.keys:
            self.missed.settle(told, [])
        self.recent.note(told, [])
        if len(told) < len(names):
            self.counters.unavailable += len(names) - len(told)
            held = set(told)
            self.note_missed([name for name in names if name not in held], [])
        return removed

    def remove_later(self, canonicals: list[bytes]) -> None:
        """Have the mender remove keys that may be stored although they were removed."""
        if self.epoch.current is not None:
            self.note_missed([self.names.key(self.epoch.current, one) for one in canonicals], [])

    def move(self, tags: list[bytes]) -> Steps[bool]:
        """Give tags new stamps, now or when their servers are back; say whether all have theirs now."""
        asks = asks_to_move(self.names, tags)
        replies = yield asks
        full = [place for place, reply in enumerate(replies) if refused(reply)]
        if full:  # no room for a stamp: one that is missing ends the entries as well
            said = yield [Ask(asks[place].slot, (b"DEL", asks[place].parts[1])) for place in full]
            for place, reply in zip(full, said, strict=True):
                replies[place] = reply
        told = [tag for tag, r in zip(tags, replies, strict=True) if not (r is UNAVAILABLE or refused(r))]
        if self.missed.tags:
            self.missed.settle([], told)
        self.recent.note([], told)
        if len(told) < len(tags):
            held = set(told)
            self.note_missed([], [tag for tag in tags if tag not in held])
        return len(told) == len(tags)


def _life(ttl: float | None) -> tuple[bytes, ...]:
    return () if ttl is None else (b"PX", b"%d" % max(1, int(ttl * 1000)))


def left(entry: Opened) -> float | None:
    """Return how many seconds an entry has left, None if it does not expire."""
    return clock.remaining(entry.expiry, entry.generation, clock.now_us())
