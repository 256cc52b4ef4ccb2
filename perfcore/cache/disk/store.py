"""One directory in one process: what all :class:`DiskCache` objects on it share.

Reads look at the pending writes, then at LMDB. Writes are put among the pending and committed by the
background writer, or by a caller who cannot wait for it. A commit takes only writes that are still the last
word on their key, so it does not matter who gets to one first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import COMPRESSED, identity, unseal
from perfcore.cache.disk.access import Access
from perfcore.cache.disk.budget import Budget
from perfcore.cache.disk.connection import Connection
from perfcore.cache.disk.counters import Counters
from perfcore.cache.disk.faults import Unavailable
from perfcore.cache.disk.flight import MISSING, Flights
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.packing import Packing
from perfcore.cache.disk.pending import Pending, Write
from perfcore.cache.disk.writer import Writer
from perfcore.errors import CodecError

__all__ = ["Store"]

#: A transaction this large takes some 20 ms, for which deletes and other processes' writers have to wait; the
#: share is of the budget, which a transaction exceeds by as much until it evicts.
_BATCH, _BATCH_BYTES, _BATCH_SHARE = 2048, 4 << 20, 8
#: More than this uncommitted, and whoever writes helps to commit; the share is of the budget.
_BACKLOG_BYTES, _BACKLOG_SHARE = 64 << 20, 4
#: How long a caller waits for a writer that is stuck before its value is given up, in seconds.
_PATIENCE = 0.5
#: Tombstones kept for a disk that cannot be had; with more, all that is on it is taken for stale.
_TOMBSTONES = 10_000
#: The largest value, in bytes before compression, and the largest share of the budget that one entry may
#: take.
_LARGEST_VALUE, _LARGEST_SHARE = 256 << 20, 2
#: How often the slots of readers that died are freed, in seconds.
_READER_CHECK = 60.0


class Prepared(NamedTuple):
    """Writes with their names and sealed entries (None for a tombstone), and what these take and need."""

    items: list[tuple[Write, bytes, bytes | None]]
    dictionaries: set[int]
    size: int


class Store:
    """Reads, writes and settles the entries of one directory. Thread-safe."""

    def __init__(
        self, directory: Path, maxbytes: int, *, durable: bool, started: Callable[[], None] = lambda: None
    ) -> None:
        self.directory = directory
        self.closed = False
        self.counters = Counters()
        self.pending = Pending()
        self.budget = Budget(maxbytes)
        self.access = Access(Connection(directory, maxbytes, durable=durable), self.budget, self.counters)
        self._bound(maxbytes)
        self._packing = Packing(self.access, maxbytes, self.largest_value)
        self.flights = Flights(directory)
        self._troubled = False
        self._discards: dict[bytes, bytes] = {}
        self._draining = threading.Lock()
        self._started = started
        self._writer = Writer(self._work, started)
        self._reader_check_at = monotonic() + _READER_CHECK
        with self.access.lock:
            self.access.connection.open()

    def adjust(self, maxbytes: int, *, durable: bool) -> None:
        """Take over the wishes of another user of the directory."""
        self.budget.limit = maxbytes
        self._bound(maxbytes)
        self.access.adjust(maxbytes, durable=durable)

    def _bound(self, maxbytes: int) -> None:
        self.largest_value = min(_LARGEST_VALUE, maxbytes)
        self._largest_entry = maxbytes // _LARGEST_SHARE
        self._batch_bytes = min(_BATCH_BYTES, maxbytes // _BATCH_SHARE)
        self._backlog = min(_BACKLOG_BYTES, max(maxbytes // _BACKLOG_SHARE, 1 << 20))

    # -- reading --

    def load(self, key: bytes, codec: Codec) -> Any:
        """Return the value of ``key``, or MISSING when there is none, or none that can be trusted."""
        write = self.pending.get(key)
        if write is not None:
            return self.value_of(write, codec)
        name = name_of(key)
        data = self.access.get(name)
        return MISSING if data is None else self.decode(key, name, data, codec)

    def value_of(self, write: Write, codec: Codec) -> Any:
        """Return the value in a pending write, MISSING for a tombstone."""
        if write.payload is None or not write.alive(clock.now_us()):
            return MISSING
        try:
            return codec.unpack(write.kind, write.payload)
        except CodecError:  # put by a cache on this directory that has another codec
            return MISSING

    def decode(self, key: bytes, name: bytes, data: bytes, codec: Codec) -> Any:
        """Return the value in the entry ``data``, that ``name`` led to, or MISSING when it is not
        valid."""
        try:
            kind, flags, dictionary, raw_length, expiry, _, payload = unseal(data, key, codec.secret)
            if expiry and expiry * 1000 <= clock.now_us():
                self.counters.expirations += self._discard(name, data)
                return MISSING
            if flags & COMPRESSED:
                payload = self._packing.restore(payload, dictionary, raw_length)
            elif len(payload) != raw_length:
                raise CodecError("a stored entry has another length than it declares")
            value = codec.unpack(kind, payload)
        except CodecError:
            self.counters.damaged += self._discard(name, data)
            return MISSING
        self.budget.saw(name)
        return value

    def _discard(self, name: bytes, data: bytes) -> bool:
        """Have the writer remove ``data`` if it is still filed under ``name``; False if that was asked
        before."""
        known, found = self._discards.get(name), identity(data)
        self._discards[name] = found
        self._writer.wake()
        return known != found

    # -- writing --

    def put(self, write: Write) -> None:
        """Make ``write`` the last word on its key; the writer commits it within some 30 ms."""
        if self.closed:
            return
        self.pending.put(write)
        if (self._troubled or self.pending.size > self._backlog) and not self._relieve():
            self.give_up([write])
        self.wake()

    def put_now(self, writes: list[Write]) -> bool:
        """Bring ``writes`` to disk in one transaction; False if that is not possible now."""
        if self.closed:
            return False
        for write in writes:
            self.pending.put(write)
        return self.commit(writes)

    def wake(self) -> None:
        """Have what is pending committed soon."""
        if not self._writer.wake():
            self.drain()

    def try_later(self) -> None:
        """Note that something pending could not be committed; the writer tries again."""
        self._troubled = True
        self.wake()

    def commit(self, writes: list[Write]) -> bool:
        """Bring those of ``writes`` that are still pending to disk in one transaction."""
        prepared = self.prepare(writes)
        try:
            count = self.access.write(lambda txn, ledger: self.apply(txn, ledger, prepared), prepared.size)
        except Unavailable:
            self._troubled = True
            self.give_up(writes)
            return False
        self._troubled = False
        self.counters.writes += count
        self.pending.settle(writes)
        return True

    def prepare(self, writes: list[Write]) -> Prepared:
        """Compress and seal ``writes``, which needs no lock."""
        dictionaries: set[int] = set()
        hurried = len(writes) == 1 or self.pending.size > self._batch_bytes  # somebody waits for it
        entries = self._packing.pack(writes, dictionaries, hurried=hurried)
        items, size = [], 0
        for write, entry in zip(writes, entries, strict=True):
            if entry is not None and len(entry) > self._largest_entry:
                self.counters.rejections += 1
                entry = None
            items.append((write, name_of(write.key), entry))
            size += 0 if entry is None else len(entry)
        return Prepared(items, dictionaries, size)

    def apply(self, txn: Txn, ledger: Ledger, prepared: Prepared) -> int:
        """Bring what is still the last word on its key into the ledger; returns how many values that were."""
        puts = []
        for write, name, entry in prepared.items:
            if self.pending.get(write.key) is not write:
                continue  # superseded, or committed by somebody else
            if entry is None:
                ledger.remove(txn, name)
            else:
                puts.append((name, entry))
        self._packing.keep(txn, ledger, prepared.dictionaries)
        ledger.put(txn, puts)
        return len(puts)

    def drain(self) -> bool:
        """Commit all that is pending now; False if that was not possible."""
        with self._draining:
            self._packing.adopt()
            rest = len(self.pending)
            while rest > 0 and (batch := self._batch()):
                if not self.commit(batch):
                    return False
                rest -= len(batch)
        return self._sweep()

    def give_up(self, writes: list[Write]) -> None:
        """Drop values that cannot be written; where older ones are on disk, a tombstone answers for them."""
        lost = [write for write in writes if write.payload is not None]
        self.counters.dropped += len(lost)
        names = {write.key: name_of(write.key) for write in lost}

        def stored(txn: Txn, ledger: Ledger) -> set[bytes] | None:
            return {key for key, name in names.items() if ledger.find(txn, name) is not None}

        older = self.access.read(stored, None)
        for write in lost:
            if older is None or write.key in older:
                self.pending.swap(write, Write(write.key))
            else:
                self.pending.settle([write])
        if len(self.pending) > _TOMBSTONES and self.access.retry_in:
            self.access.stale = True
            self.pending.clear()

    def _batch(self) -> list[Write]:
        return self.pending.batch(_BATCH, self.budget.batch_bytes(self._batch_bytes))

    def _relieve(self) -> bool:
        """Help a writer that cannot keep up; False if there is no hope for one more write."""
        if self._troubled:
            return not self.access.retry_in
        if not self._draining.acquire(timeout=_PATIENCE):
            return False
        try:
            return self.commit(self._batch())
        finally:
            self._draining.release()

    def _sweep(self) -> bool:
        """Remove the entries that readers found expired or damaged, unless they were replaced since."""
        discards, self._discards = self._discards, {}
        if not discards:
            return True

        def action(txn: Txn, ledger: Ledger) -> None:
            for name, found in discards.items():
                entry = ledger.find(txn, name)
                if entry is not None and identity(entry) == found:
                    ledger.remove(txn, name)

        try:
            self.access.write(action)
        except Unavailable:
            return False
        return True

    # -- the writer's thread --

    def _work(self) -> float | None:
        done = self.drain()
        self._packing.learn()
        if monotonic() > self._reader_check_at:
            self._reader_check_at = monotonic() + _READER_CHECK
            self.access.drop_dead_readers()
        return None if done else max(self.access.retry_in, 0.05)

    # -- ending --

    def close(self) -> None:
        """Commit what is pending and close; from then on the store is empty and swallows writes."""
        if self.closed:
            return
        self._writer.stop()
        self.drain()
        self.closed = True
        with self.access.lock:
            stale = self.access.stale or len(self.pending) > 0
            self.pending.clear()
            self.access.connection.close(stale=stale)
        self.flights.close()

    def forked(self) -> None:
        """In a forked child: everything that belongs to the parent's threads and to its environment starts
        anew.

        What was pending is the parent's to commit; it did so before the fork if the disk let it.
        """
        self.access.forked()
        self.flights.forked()
        self.pending = Pending()
        self._discards = {}
        self._draining = threading.Lock()
        self._writer = Writer(self._work, self._started)
