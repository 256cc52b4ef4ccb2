"""The operations that are on disk when they return: deletes, and what depends on what is stored."""

from __future__ import annotations

from perfcore.cache import clock
from perfcore.cache.codec.entry import Entry, seal, unseal
from perfcore.cache.disk import journal
from perfcore.cache.disk.committer import Applied
from perfcore.cache.disk.faults import Unavailable
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.pending import Write
from perfcore.cache.disk.queries import scan
from perfcore.cache.disk.store import Store
from perfcore.errors import CodecError

__all__ = ["add", "clear", "expire", "invalidate", "put_many", "remove", "take", "touch"]

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
    noted = False

    def action(txn: Txn, ledger: Ledger) -> int:
        nonlocal noted
        if (
            not earlier
        ):  # put here, where the writer cannot commit them before us and leave nothing to be found
            earlier.extend(map(store.pending.put, tombstones))
        found = 0
        for key, before in zip(keys, earlier, strict=True):
            name = name_of(key)
            entry = ledger.find(txn, name)
            found += _lives(txn, ledger, before, entry, now)
            ledger.remove(txn, name)
        noted = journal.note(txn, [journal.News(0, keys)], insist=store.committer.insist)
        return found

    try:
        found = store.access.write(action)
    except Unavailable:
        earlier = earlier or [store.pending.put(tombstone) for tombstone in tombstones]
        store.try_later()
        return sum(before is not None and before.alive(now) for before in earlier)
    store.epochs.moved(removals=found, replacements=0, noted=noted)
    store.pending.settle(tombstones)
    store.counters.deletes += found
    return found


def take(store: Store, key: bytes) -> Write | bytes | None:
    """Delete ``key`` and return what it held: a pending write or an entry."""
    if store.pending.get(key) is None and not _on_disk(store, key):
        return None
    tombstone = Write(key)
    earlier: list[Write | None] = []
    noted = False

    def action(txn: Txn, ledger: Ledger) -> bytes | None:
        nonlocal noted
        if not earlier:
            earlier.append(store.pending.put(tombstone))
        name = name_of(key)
        entry = ledger.copy(txn, name)
        ledger.remove(txn, name)
        noted = journal.note(txn, [journal.News(0, [key])], insist=store.committer.insist)
        return entry

    try:
        entry = store.access.write(action)
    except Unavailable:
        entry = None
        earlier = earlier or [store.pending.put(tombstone)]
        store.try_later()
    else:
        store.epochs.moved(removals=entry is not None, replacements=0, noted=noted)
        store.pending.settle([tombstone])
    return entry if earlier[0] is None else earlier[0]


def add(store: Store, write: Write) -> bool:
    """Store ``write`` if its key has no value, neither here nor on disk; say whether it was stored."""
    name = name_of(write.key)

    def action(txn: Txn, ledger: Ledger) -> Applied | bool | None:
        before = store.pending.get(write.key)
        if before is not write:  # it is after a fault, when this runs again
            now = clock.now_us()
            if _lives(txn, ledger, before, ledger.find(txn, name), now):
                return False
            if not store.pending.swap(before, write):
                return None
        return store.committer.apply(txn, ledger, prepared)

    prepared = store.committer.prepare([write])
    try:
        while (added := store.access.write(action, prepared.size)) is None:
            pass  # another thread has written meanwhile
    except Unavailable:
        store.committer.give_up([write])
        return False
    if not isinstance(added, Applied):
        return False
    store.committer.settle([write], added)
    return added.written > 0  # a value that is too large is none


def touch(store: Store, key: bytes, expiry: int, secret: bytes | None) -> bool:
    """Let the value of ``key`` expire at ``expiry``; say whether there was one."""
    now = clock.now_us()
    while (before := store.pending.get(key)) is not None:
        if not before.alive(now) or not store.promising(before.tags):
            return False
        renewed = before._replace(expiry=expiry, generation=now)
        if store.pending.swap(before, renewed):
            store.wake()
            return True

    noted = False

    def action(txn: Txn, ledger: Ledger) -> bool:
        nonlocal noted
        name = name_of(key)
        data = ledger.copy(txn, name)
        if data is None or not ledger.alive(txn, data, now):
            return False
        entry = Entry._make(unseal(data, key, secret))._replace(expiry=expiry, generation=now)
        ledger.replace(txn, name, seal(key, entry, secret))
        noted = journal.note(txn, [journal.News(0, [key])], insist=store.committer.insist)
        return True

    try:
        touched = store.access.write(action)
    except (Unavailable, CodecError):
        return False
    store.epochs.moved(removals=0, replacements=0, noted=noted)
    return touched


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
    store.epochs.moved(removals=1, replacements=0, noted=True)


def invalidate(store: Store, tags: list[bytes]) -> None:
    """Make stale what carries any of ``tags``."""

    def action(txn: Txn, ledger: Ledger) -> None:
        ledger.tags.move(txn, tags)
        journal.note(txn, [journal.News(0, [], True)], insist=store.committer.insist)

    try:
        store.access.write(action)
    except Unavailable:  # a disk that comes back must not bring what was invalidated meanwhile
        store.access.stale = True
        store.pending.drop_tagged()
    store.epochs.moved(removals=1, replacements=0, noted=True)


def expire(store: Store) -> int:
    """Remove the committed entries that have expired or were invalidated; returns how many."""
    expired = [(number, key) for number, key, alive in scan(store) if not alive]

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


def _lives(txn: Txn, ledger: Ledger, before: Write | None, entry: memoryview | None, now_us: int) -> bool:
    """Say whether a key has a value, given its pending write and its entry."""
    if before is None:
        return ledger.alive(txn, entry, now_us)
    return before.alive(now_us) and ledger.tags.promising(txn, before.tags)


def _on_disk(store: Store, key: bytes) -> bool:
    """Say whether ``key`` may have an entry; when the disk cannot be read, it may."""
    if store.closed:
        return False
    name = name_of(key)
    return store.access.read(lambda txn, ledger: ledger.find(txn, name) is not None, True)
