"""What can be asked of a store without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import key_of, unseal
from perfcore.cache.disk.counters import DiskStats
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.store import Store
from perfcore.errors import CodecError
from perfcore.metrics.instrument import note

__all__ = ["contains", "lifetime", "load_many", "names", "scan", "stats"]

#: Entries that are looked at in one read transaction.
_STRIDE = 512


def lifetime(store: Store, key: bytes, secret: bytes | None) -> Any:
    """Return the seconds that ``key`` has left, None if it does not expire, MISSING if there is none."""
    now = clock.now_us()
    write = store.pending.get(key)
    if write is not None:
        alive = write.alive(now) and store.promising(write.tags)
        return clock.remaining(write.expiry, write.generation, now) if alive else MISSING
    data = store.access.get(name_of(key))
    if data is None:
        return MISSING
    try:
        _, _, _, _, expiry, generation, _, tags = unseal(data, key, secret)
    except CodecError:
        return MISSING
    if (expiry and expiry * 1000 <= now) or not store.fresh(tags):
        return MISSING
    return clock.remaining(expiry, generation, now)


def contains(store: Store, key: bytes, secret: bytes | None) -> bool:
    """Say whether ``key`` has a value."""
    return lifetime(store, key, secret) is not MISSING


def load_many(store: Store, keys: list[bytes], codec: Codec) -> list[Any]:
    """Return the value of each of ``keys``, MISSING for those without."""
    writes = [store.pending.get(key) for key in keys]
    places = [None if write is not None else name_of(key) for key, write in zip(keys, writes, strict=True)]

    def find(txn: Txn, ledger: Ledger) -> list[bytes | None]:
        return [None if name is None else ledger.copy(txn, name) for name in places]

    nothing: list[bytes | None] = [None] * len(keys)
    entries = store.access.read(find, nothing)
    note("disk.read_bytes", sum(len(entry) for entry in entries if entry is not None))
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
    """Yield the canonical keys of the committed entries that are valid, longest stored first."""
    for _, key, alive in scan(store):
        if alive:
            yield key


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


def scan(store: Store) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield number and key of each committed entry, and whether it is valid: not expired nor invalidated."""
    number = b""

    def some(txn: Txn, ledger: Ledger) -> list[tuple[bytes, bytes, bool]]:
        found, now = islice(ledger.after(txn, number), _STRIDE), clock.now_us()
        return [(place, key_of(entry), ledger.alive(txn, entry, now)) for place, entry in found]

    nothing: list[tuple[bytes, bytes, bool]] = []
    while found := store.access.read(some, nothing):
        yield from found
        number = found[-1][0]
