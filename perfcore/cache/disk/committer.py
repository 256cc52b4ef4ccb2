"""From the pending writes to the disk: batches, and what to do when they cannot be committed."""

from __future__ import annotations

import threading
from typing import NamedTuple

from perfcore.cache import clock
from perfcore.cache.codec.entry import identity
from perfcore.cache.compression import Load
from perfcore.cache.disk import journal
from perfcore.cache.disk.access import Access
from perfcore.cache.disk.counters import Counters
from perfcore.cache.disk.epoch import Epochs
from perfcore.cache.disk.faults import Unavailable
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.packing import Packing
from perfcore.cache.disk.pending import Pending, Write

__all__ = ["Applied", "Committer", "Prepared"]

#: A transaction this large takes some 20 ms, for which deletes and other processes' writers have to wait; the
#: share is of the budget, which a transaction exceeds by as much until it evicts.
_BATCH, _BATCH_BYTES, _BATCH_SHARE = 2048, 4 << 20, 8
#: More than this uncommitted, and whoever writes helps to commit; the share is of the budget.
_BACKLOG_BYTES, _BACKLOG_SHARE = 64 << 20, 4
#: The largest share of the budget that one entry may take.
_LARGEST_SHARE = 2
#: How long a caller waits for a writer that is stuck before its value is given up, in seconds.
_PATIENCE = 0.5
#: Tombstones kept for a disk that cannot be had; with more, all that is on it is taken for stale.
_TOMBSTONES = 10_000


class Prepared(NamedTuple):
    """Writes with their names and sealed entries (None for a tombstone), and what these take and need."""

    items: list[tuple[Write, bytes, bytes | None]]
    dictionaries: set[int]
    size: int


class Applied(NamedTuple):
    """How many values a transaction wrote, in place of how many others, and how many it removed.

    ``noted`` says whether the journal tells of it.
    """

    written: int
    replaced: int
    removed: int
    noted: bool


class Committer:
    """Commits what is pending, from whichever thread asks for it."""

    def __init__(
        self,
        access: Access,
        pending: Pending,
        packing: Packing,
        counters: Counters,
        epochs: Epochs,
        maxbytes: int,
    ) -> None:
        self._access = access
        self._pending = pending
        self._packing = packing
        self._counters = counters
        self._epochs = epochs
        self._draining = threading.Lock()
        self._discards: dict[bytes, bytes] = {}
        self.troubled = False
        self.insist = False  # on a journal: somebody here reads it
        self.bound(maxbytes)

    def bound(self, maxbytes: int) -> None:
        """Size batches, backlog and entries for a budget of ``maxbytes``."""
        self._largest_entry = maxbytes // _LARGEST_SHARE
        self._batch_bytes = min(_BATCH_BYTES, maxbytes // _BATCH_SHARE)
        self._backlog = min(_BACKLOG_BYTES, max(maxbytes // _BACKLOG_SHARE, 1 << 20))

    @property
    def pressed(self) -> bool:
        """True when another write should not just be added to those that are pending."""
        return self.troubled or self._pending.size > self._backlog

    def relieve(self) -> bool:
        """Help a writer that cannot keep up; False if there is no hope for one more write."""
        if self.troubled:
            return not self._access.retry_in
        if not self._draining.acquire(timeout=_PATIENCE):
            return False
        try:
            return self.commit(self._batch())
        finally:
            self._draining.release()

    def drain(self, patience: float = -1) -> bool:
        """Commit all that is pending now; False if that cannot be, or another thread is at it for too
        long."""
        if not self._draining.acquire(timeout=patience):
            return False
        try:
            self._packing.adopt()
            rest = len(self._pending)
            while rest > 0 and (batch := self._batch()):
                if not self.commit(batch):
                    return False
                rest -= len(batch)
        finally:
            self._draining.release()
        return self._sweep()

    def commit(self, writes: list[Write]) -> bool:
        """Bring those of ``writes`` that are still pending to disk at once; False if that cannot be."""
        prepared = self.prepare(writes)
        try:
            done = self._access.write(lambda txn, ledger: self.apply(txn, ledger, prepared), prepared.size)
        except Unavailable:
            self.troubled = True
            self.give_up(writes)
            return False
        self.troubled = False
        self.settle(writes, done)
        return True

    def settle(self, writes: list[Write], done: Applied) -> None:
        """Note that ``writes`` are on disk now."""
        self._epochs.moved(removals=done.removed, replacements=done.replaced, noted=done.noted)
        self._counters.writes += done.written
        self._pending.settle(writes)

    def prepare(self, writes: list[Write]) -> Prepared:
        """Compress and seal ``writes``, which needs no lock."""
        dictionaries: set[int] = set()
        load = 2 if len(writes) == 1 else self._load()  # somebody waits for the one
        entries: list[bytes | None] = []
        for start in range(0, len(writes), _BATCH):
            batch = writes[start : start + _BATCH]
            self._packing.study(batch, at_once=len(self._pending) > _BATCH // 2)
            entries += self._packing.pack(batch, dictionaries, load)
        items, size, now = [], 0, clock.now_us()
        for write, entry in zip(writes, entries, strict=True):
            if entry is not None and len(entry) > self._largest_entry:
                self._counters.rejections += 1
                entry = None
            elif write.expiry and not write.alive(now):
                entry = None
            items.append((write, name_of(write.key), entry))
            size += 0 if entry is None else len(entry)
        return Prepared(items, dictionaries, size)

    def apply(self, txn: Txn, ledger: Ledger, prepared: Prepared) -> Applied:
        """Bring what is still the last word on its key into the ledger."""
        puts, removed = [], 0
        news: dict[int, list[bytes]] = {}
        for write, name, entry in prepared.items:
            if self._pending.get(write.key) is not write:
                continue  # superseded, or committed by somebody else
            news.setdefault(write.origin, []).append(write.key)
            if entry is None or (write.tags and not ledger.tags.admit(txn, write.tags)):
                removed += ledger.remove(txn, name)
            else:
                puts.append((name, entry))
        self._packing.keep(txn, ledger, prepared.dictionaries)
        noted = journal.note(
            txn, [journal.News(origin, keys) for origin, keys in news.items()], insist=self.insist
        )
        return Applied(len(puts), ledger.put(txn, puts), removed, noted)

    def give_up(self, writes: list[Write]) -> None:
        """Drop values that cannot be written; where older ones are on disk, a tombstone answers for them."""
        lost = [write for write in writes if write.payload is not None]
        self._counters.dropped += len(lost)
        names = {write.key: name_of(write.key) for write in lost}

        def stored(txn: Txn, ledger: Ledger) -> set[bytes] | None:
            return {key for key, name in names.items() if ledger.find(txn, name) is not None}

        older = self._access.read(stored, None)
        for write in lost:
            if older is None or write.key in older:
                self._pending.swap(write, Write(write.key))
            else:
                self._pending.settle([write])
        self.bound_tombstones()

    def bound_tombstones(self) -> None:
        """Rather than remember more keys for a disk that cannot be had, take all that is on it for stale."""
        if len(self._pending) > _TOMBSTONES and self._access.retry_in:
            self._access.stale = True
            self._pending.clear()

    def discard(self, name: bytes, data: bytes) -> bool:
        """Have ``data`` removed if ``name`` still leads to it; False if that was asked before."""
        known, found = self._discards.get(name), identity(data)
        self._discards[name] = found
        return known != found

    def forked(self) -> None:
        """In a forked child: what was under way is the parent's."""
        self._draining = threading.Lock()
        self._discards = {}
        self._pending.forked()

    def _load(self) -> Load:
        waiting = self._pending.size
        return 0 if waiting < 2 * self._batch_bytes else 1 if waiting < self._backlog // 2 else 2

    def _batch(self) -> list[Write]:
        return self._pending.batch(_BATCH, self._access.budget.batch_bytes(self._batch_bytes))

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
            self._access.write(action)
        except Unavailable:
            return False
        return True
