"""What a memory tier above a directory needs of it: entries with their lifetimes, news, moments, removals."""

from __future__ import annotations

from typing import Any, NamedTuple

from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import expiry_of, generation_of
from perfcore.cache.disk import journal
from perfcore.cache.disk.faults import Unavailable
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.disk.journal import UNKNOWN, News
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.pending import Write
from perfcore.cache.disk.store import Store
from perfcore.cache.disk.tags import mark
from perfcore.metrics.instrument import note

__all__ = [
    "Found",
    "announce_all",
    "find",
    "find_many",
    "invalidate",
    "make_lines",
    "moments",
    "news",
    "subscribe",
]


class Found(NamedTuple):
    """A value and the seconds that it has left, None for no end."""

    value: Any
    left: float | None


def find(store: Store, key: bytes, codec: Codec) -> Found | None:
    """Return the valid value of ``key``."""
    write = store.pending.get(key)
    if write is not None:
        return _pending(store, write, codec)
    name = name_of(key)
    data = store.access.get(name)
    return None if data is None else _stored(store, key, name, data, codec)


def find_many(store: Store, keys: list[bytes], codec: Codec) -> list[Found | None]:
    """Return the valid value of each of ``keys``, read in one transaction."""
    writes = [store.pending.get(key) for key in keys]
    names = [name_of(key) for key in keys]

    def copies(txn: Txn, ledger: Ledger) -> list[bytes | None]:
        pairs = zip(writes, names, strict=True)
        return [None if write is not None else ledger.copy(txn, name) for write, name in pairs]

    nothing: list[bytes | None] = [None] * len(keys)
    entries = store.access.read(copies, nothing)
    note("disk.read_bytes", sum(len(entry) for entry in entries if entry is not None))
    found: list[Found | None] = []
    for key, name, write, data in zip(keys, names, writes, entries, strict=True):
        if write is not None:
            found.append(_pending(store, write, codec))
        else:
            found.append(None if data is None else _stored(store, key, name, data, codec))
    return found


def _pending(store: Store, write: Write, codec: Codec) -> Found | None:
    value = store.value_of(write, codec)
    if value is MISSING:
        return None
    return Found(value, clock.remaining(write.expiry, write.generation, clock.now_us()))


def _stored(store: Store, key: bytes, name: bytes, data: bytes, codec: Codec) -> Found | None:
    value = store.decode(key, name, data, codec)
    if value is MISSING:
        return None
    return Found(value, clock.remaining(expiry_of(data), generation_of(data), clock.now_us()))


# -- what others did --


def subscribe(store: Store) -> int | None:
    """Have all processes note their changes; returns the next record's number, None if that cannot be."""
    store.committer.insist = True
    found = store.access.read(lambda txn, ledger: journal.following(txn), None)
    if found is None:
        try:
            found = store.access.write(lambda txn, ledger: journal.subscribe(txn))
        except Unavailable:
            return None
    return found


def news(store: Store, after: int) -> tuple[list[News], int]:
    """Return what was noted from record ``after`` on, and which is next; if unknown, all may have changed."""
    lost: tuple[list[News], int] = ([UNKNOWN], 0)
    return store.access.read(lambda txn, ledger: journal.read(txn, after), lost)


# -- tags --


def moments(store: Store, names: list[bytes]) -> tuple[int, int, list[int | None]] | None:
    """Return the present, the moment before which nothing is remembered, and when each name last moved.

    By the directory's clock; None when it cannot be had.
    """

    def action(txn: Txn, ledger: Ledger) -> tuple[int, int, list[int | None]]:
        return ledger.tags.recall(txn, names)

    return store.access.read(action, None)


def make_lines(store: Store, names: list[bytes], moment: int) -> bool:
    """Have it remembered when ``names`` move, from ``moment`` on; False if that cannot be."""

    def action(txn: Txn, ledger: Ledger) -> bool:
        admitted = ledger.tags.admit(txn, mark(names, moment))
        journal.note(txn, [News(0, [], True)], insist=True)
        return admitted

    try:
        admitted = store.access.write(action)
    except Unavailable:
        return False
    store.epochs.moved(removals=0, replacements=0, noted=True)
    return admitted


def announce_all(store: Store, origin: int) -> None:
    """Have all memory tiers but that of ``origin`` drop what they hold."""

    def action(txn: Txn, ledger: Ledger) -> bool:
        return journal.note(txn, [News(origin, None)], insist=True)

    try:
        store.access.write(action)
    except Unavailable:
        return
    store.epochs.moved(removals=0, replacements=0, noted=True)


def invalidate(store: Store, keys: list[bytes], names: list[bytes], origin: int) -> tuple[int, bool]:
    """Remove ``keys`` and have ``names`` move, in one transaction that all others but ``origin`` are told of.

    It is done when this returns. Where the disk cannot be had, all that is on it counts as stale. Returns how
    many of ``keys`` had a value, and whether the disk knows of it.
    """
    now = clock.now_us()
    tombstones = [Write(key) for key in keys]
    earlier: list[Write | None] = []
    if store.closed:
        return 0, False

    def action(txn: Txn, ledger: Ledger) -> int:
        if not earlier:
            earlier.extend(map(store.pending.put, tombstones))
        found = 0
        for key, before in zip(keys, earlier, strict=True):
            name = name_of(key)
            found += _lives(txn, ledger, before, name, now)
            ledger.remove(txn, name)
        if names:
            ledger.tags.move(txn, names)
        journal.note(txn, [News(origin, keys, bool(names))], insist=True)
        return found

    try:
        found = store.access.write(action)
    except Unavailable:
        return _give_up(store, tombstones, earlier, now, all_of_it=bool(names)), False
    store.epochs.moved(removals=found + len(names), replacements=0, noted=True)
    store.pending.settle(tombstones)
    store.counters.deletes += found
    return found, True


def _lives(txn: Txn, ledger: Ledger, before: Write | None, name: bytes, now: int) -> bool:
    if before is None:
        return ledger.alive(txn, ledger.find(txn, name), now)
    return before.alive(now) and ledger.tags.promising(txn, before.tags)


def _give_up(
    store: Store, tombstones: list[Write], earlier: list[Write | None], now: int, *, all_of_it: bool
) -> int:
    """Let memory answer for what the disk could not be told."""
    earlier = earlier or [store.pending.put(tombstone) for tombstone in tombstones]
    if all_of_it:  # nothing on the disk can be trusted that does not know which tags have moved
        store.access.stale = True
        store.pending.drop_tagged()
    store.try_later()
    return sum(before is not None and before.alive(now) for before in earlier)
