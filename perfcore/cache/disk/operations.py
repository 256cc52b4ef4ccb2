"""The operations that are on disk when they return: deletes, and all that depends on what is stored
already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import Entry, expiry_of, key_of, seal, unseal
from perfcore.cache.disk.counters import DiskStats
from perfcore.cache.disk.faults import Unavailable
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.pending import Write
from perfcore.cache.disk.store import Store
from perfcore.errors import CodecError

__all__ = [
    "add",
    "clear",
    "contains",
    "expire",
    "lifetime",
    "load_many",
    "names",
    "put_many",
    "remove",
    "stats",
    "take",
    "touch",
]

#: Entries that are looked at in one read transaction.
_STRIDE = 512
#: Beyond this many bytes a ``set_many`` is more than one transaction.
_TRANSACTION_BYTES = 32 << 20


def remove(store: Store, keys: list[bytes]) -> int:
    """Delete ``keys`` in one transaction; returns how many had a value."""
    keys = [key for key in keys if store.pending.get(key) is not None or _on_disk(store, key)]
    if not keys:
        return 0
    now = clock.now_us()
    tombstones = [Write(key) for key in keys]
    earlier: list[Write | None] = []

    def action(txn: Txn, ledger: Ledger) -> int:
        if (
            not earlier
        ):  # put here, where the writer cannot commit them before us and leave nothing to be found
            earlier.extend(map(store.pending.put, tombstones))
        found = 0
        for key, before in zip(keys, earlier, strict=True):
            name = name_of(key)
            entry = ledger.find(txn, name)
            found += _alive(entry, now) if before is None else before.alive(now)
            ledger.remove(txn, name)
        return found

    try:
        found = store.access.write(action)
    except Unavailable:
        earlier = earlier or [store.pending.put(tombstone) for tombstone in tombstones]
        store.try_later()
        return sum(before is not None and before.alive(now) for before in earlier)
    store.pending.settle(tombstones)
    store.counters.deletes += found
    return found


def take(store: Store, key: bytes) -> Write | bytes | None:
    """Delete ``key`` and return what it held: a pending write or an entry."""
    if store.pending.get(key) is None and not _on_disk(store, key):
        return None
    tombstone = Write(key)
    earlier: list[Write | None] = []

    def action(txn: Txn, ledger: Ledger) -> bytes | None:
        if not earlier:
            earlier.append(store.pending.put(tombstone))
        name = name_of(key)
        entry = ledger.copy(txn, name)
        ledger.remove(txn, name)
        return entry

    try:
        entry = store.access.write(action)
    except Unavailable:
        entry = None
        earlier = earlier or [store.pending.put(tombstone)]
        store.try_later()
    else:
        store.pending.settle([tombstone])
    return entry if earlier[0] is None else earlier[0]


def add(store: Store, write: Write) -> bool:
    """Store ``write`` if its key has no value, neither here nor on disk; say whether it was stored."""
    name = name_of(write.key)

    def action(txn: Txn, ledger: Ledger) -> bool | None:
        before = store.pending.get(write.key)
        if before is not write:  # it is after a fault, when this runs again
            now = clock.now_us()
            taken = _alive(ledger.find(txn, name), now) if before is None else before.alive(now)
            if taken:
                return False
            if not store.pending.swap(before, write):
                return None
        store.apply(txn, ledger, prepared)
        return True

    prepared = store.prepare([write])
    try:
        while (added := store.access.write(action, prepared.size)) is None:
            pass  # another thread has written meanwhile
    except Unavailable:
        store.give_up([write])
        return False
    store.pending.settle([write])
    return added


def touch(store: Store, key: bytes, expiry: int, secret: bytes | None) -> bool:
    """Let the value of ``key`` expire at ``expiry``; say whether there was one."""
    now = clock.now_us()
    while (before := store.pending.get(key)) is not None:
        if not before.alive(now):
            return False
        renewed = before._replace(expiry=expiry, generation=now)
        if store.pending.swap(before, renewed):
            store.wake()
            return True

    def action(txn: Txn, ledger: Ledger) -> bool:
        name = name_of(key)
        data = ledger.copy(txn, name)
        if data is None or not _alive(data, now):
            return False
        entry = Entry._make(unseal(data, key, secret))._replace(expiry=expiry, generation=now)
        ledger.replace(txn, name, seal(key, entry, secret))
        return True

    try:
        return store.access.write(action)
    except (Unavailable, CodecError):
        return False


def put_many(store: Store, writes: list[Write]) -> None:
    """Store ``writes`` in one transaction, or few if they are large; they are on disk when this returns."""
    group, size = [], 0
    for write in writes:
        group.append(write)
        size += len(write.payload or b"")
        if size > _TRANSACTION_BYTES:
            store.put_now(group)
            group, size = [], 0
    if group:
        store.put_now(group)


def clear(store: Store) -> None:
    """Delete everything."""

    def action(txn: Txn, ledger: Ledger) -> None:
        store.pending.clear()  # a commit under way takes nothing that is no longer pending
        ledger.clear(txn)

    try:
        store.access.write(action)
    except Unavailable:
        store.pending.clear()
        store.access.stale = True


def lifetime(store: Store, key: bytes, secret: bytes | None) -> Any:
    """Return the seconds that ``key`` has left, None if it does not expire, MISSING if there is none."""
    now = clock.now_us()
    write = store.pending.get(key)
    if write is not None:
        return clock.remaining(write.expiry, write.generation, now) if write.alive(now) else MISSING
    data = store.access.get(name_of(key))
    if data is None or not _alive(data, now):
        return MISSING
    try:
        _, _, _, _, expiry, generation, _ = unseal(data, key, secret)
    except CodecError:
        return MISSING
    return clock.remaining(expiry, generation, now)


def contains(store: Store, key: bytes) -> bool:
    """Say whether ``key`` has a value."""
    return lifetime(store, key, None) is not MISSING


def load_many(store: Store, keys: list[bytes], codec: Codec) -> list[Any]:
    """Return the value of each of ``keys``, MISSING for those without."""
    writes = [store.pending.get(key) for key in keys]
    places = [None if write is not None else name_of(key) for key, write in zip(keys, writes, strict=True)]

    def find(txn: Txn, ledger: Ledger) -> list[bytes | None]:
        return [None if name is None else ledger.copy(txn, name) for name in places]

    nothing: list[bytes | None] = [None] * len(keys)
    entries = store.access.read(find, nothing)
    values = []
    for key, write, name, entry in zip(keys, writes, places, entries, strict=True):
        if write is not None:
            values.append(store.value_of(write, codec))
        elif entry is None or name is None:
            values.append(MISSING)
        else:
            values.append(store.decode(key, name, entry, codec))
    return values


def names(store: Store) -> Iterator[bytes]:
    """Yield the canonical keys of the committed entries that have not expired, longest stored first."""
    for _, key, expiry in _scan(store):
        if not expiry or expiry * 1000 > clock.now_us():
            yield key


def expire(store: Store) -> int:
    """Remove the committed entries that have expired; returns how many."""
    now = clock.now_us()
    expired = [(number, key) for number, key, expiry in _scan(store) if 0 < expiry * 1000 <= now]

    def action(txn: Txn, ledger: Ledger) -> int:
        before = ledger.count(txn)
        for number, key in expired:
            ledger.drop(txn, number, name_of(key))
        return before - ledger.count(txn)

    try:
        removed = store.access.write(action) if expired else 0
    except Unavailable:
        return 0
    store.counters.expirations += removed
    return removed


def stats(store: Store, hits: int, misses: int) -> DiskStats:
    """Return all that is counted, and what the directory holds."""

    def measure(txn: Txn, ledger: Ledger) -> tuple[int, int, int]:
        return ledger.count(txn), ledger.used_bytes(txn), ledger.file_bytes()

    entries, used, file_bytes = store.access.read(measure, (0, 0, 0))
    counted = asdict(store.counters)
    return DiskStats(
        hits,
        misses,
        **counted,
        entries=entries,
        bytes=used,
        file_bytes=file_bytes,
        pending=len(store.pending),
    )


def _scan(store: Store) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield sequence number, key and expiry of each committed entry."""
    number = b""

    def some(txn: Txn, ledger: Ledger) -> list[tuple[bytes, bytes, int]]:
        found = islice(ledger.after(txn, number), _STRIDE)
        return [(place, key_of(entry), expiry_of(entry)) for place, entry in found]

    nothing: list[tuple[bytes, bytes, int]] = []
    while found := store.access.read(some, nothing):
        yield from found
        number = found[-1][0]


def _on_disk(store: Store, key: bytes) -> bool:
    """Say whether ``key`` may have an entry; when the disk cannot be read, it may."""
    name = name_of(key)
    return store.access.read(lambda txn, ledger: ledger.find(txn, name) is not None, True)


def _alive(entry: bytes | memoryview | None, now_us: int) -> bool:
    if entry is None:
        return False
    expiry = expiry_of(entry)
    return not expiry or expiry * 1000 > now_us
