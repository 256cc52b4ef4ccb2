"""One directory in one process: what all :class:`DiskCache` objects on it share.

Reads look at the pending writes, then at LMDB. Writes are put among the pending and committed by the
background writer, or by a caller who cannot wait for it. A commit takes only writes that are still the last
word on their key, so it does not matter who gets to one first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any

from perfcore._native.envelope import look_in
from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import COMPRESSED, unseal
from perfcore.cache.disk.access import Access
from perfcore.cache.disk.admission import Doorkeeper
from perfcore.cache.disk.budget import Budget
from perfcore.cache.disk.committer import Committer
from perfcore.cache.disk.connection import Connection
from perfcore.cache.disk.counters import Counters
from perfcore.cache.disk.epoch import Epochs
from perfcore.cache.disk.flight import MISSING, Flights
from perfcore.cache.disk.ledger import name_of
from perfcore.cache.disk.packing import Packing
from perfcore.cache.disk.pending import Pending, Write
from perfcore.cache.disk.tags import NO_TAGS, mark, names
from perfcore.cache.disk.writer import Writer
from perfcore.cache.keys import Key
from perfcore.errors import CodecError, UnreadableError

__all__ = ["Store"]

#: The largest value, in bytes before compression.
_LARGEST_VALUE = 256 << 20
#: How often the slots of readers that died are freed, in seconds.
_READER_CHECK = 60.0


class Store:
    """Reads, writes and settles the entries of one directory. Thread-safe.

    ``started`` is called when there is a thread with writes that must not be lost at exit.
    """

    def __init__(
        self, directory: Path, maxbytes: int, *, durable: bool, started: Callable[[], None] = lambda: None
    ) -> None:
        self.directory = directory
        self.closed = False
        self.largest_value = min(_LARGEST_VALUE, maxbytes)
        self.counters = Counters()
        self.pending = Pending()
        self.budget = Budget(maxbytes)
        self.access = Access(Connection(directory, maxbytes, durable=durable), self.budget, self.counters)
        self.packing = Packing(self.access, maxbytes, _LARGEST_VALUE)
        self.epochs = Epochs(directory)
        self.committer = Committer(
            self.access, self.pending, self.packing, self.counters, self.epochs, maxbytes
        )
        self.flights = Flights(directory)
        self.doorkeeper = Doorkeeper()
        self._started = started
        self._writer = Writer(self._work, started)
        self._reader_check_at = monotonic() + _READER_CHECK
        with self.access.lock:
            self.access.connection.open()

    def adjust(self, maxbytes: int, *, durable: bool) -> None:
        """Take over the wishes of another user of the directory."""
        self.largest_value = min(_LARGEST_VALUE, maxbytes)
        self.budget.limit = maxbytes
        self.committer.bound(maxbytes)
        self.access.adjust(maxbytes, durable=durable)

    # -- reading --

    def load(self, key: bytes, codec: Codec, *, spare: bool = True) -> Any:
        """Return the value of ``key``, or MISSING when there is none, or none that can be trusted.

        ``spare`` gives the entry a second chance when it is to be evicted; without it nothing is changed,
        and what cannot be trusted stays.
        """
        write = self.pending.get(key)
        if write is not None:
            return self.value_of(write, codec)
        name = name_of(key)
        data = self.access.get(name)
        return MISSING if data is None else self.decode(key, name, data, codec, spare=spare)

    def value_of(self, write: Write, codec: Codec) -> Any:
        """Return the value in a pending write, MISSING for a tombstone."""
        if write.payload is None or not write.alive(clock.now_us()) or not self.promising(write.tags):
            return MISSING
        try:
            return codec.unpack(write.kind, write.payload)
        except CodecError:  # put by a cache on this directory that has another codec
            return MISSING

    def decode(self, key: bytes, name: bytes, data: bytes, codec: Codec, *, spare: bool = True) -> Any:
        """Return the value in the entry ``data``, that ``name`` led to, or MISSING when it is not valid."""
        try:
            found = look_in(data, key, self.largest_value) if codec.secret is None else None
            if found is None:
                value = self._decode(key, name, data, codec, spare=spare)
                if value is MISSING:
                    return MISSING
            else:
                kind, payload, dictionary, expiry = found
                if expiry and expiry * 1000 <= clock.now_us():
                    self.counters.expirations += spare and self._discard(name, data)
                    return MISSING
                if dictionary is not None:
                    payload = self.packing.inflate(payload, dictionary)
                value = codec.unpack(kind, payload)
        except UnreadableError:  # during a deploy both versions of a class are at work
            self.counters.unreadable += spare
            return MISSING
        except CodecError:
            self.counters.damaged += spare and self._discard(name, data)
            return MISSING
        if spare:
            self.budget.saw(name)
        return value

    def _decode(self, key: bytes, name: bytes, data: bytes, codec: Codec, *, spare: bool) -> Any:
        """Do the same for any entry; raises :exc:`CodecError` for one that is not sound."""
        kind, flags, dictionary, raw_length, expiry, _, payload, tags = unseal(data, key, codec.secret)
        if expiry and expiry * 1000 <= clock.now_us():
            self.counters.expirations += spare and self._discard(name, data)
            return MISSING
        if tags and not self.fresh(tags):
            self.counters.invalidations += spare and self._discard(name, data)
            return MISSING
        if flags & COMPRESSED:
            payload = self.packing.restore(payload, dictionary, raw_length)
        elif len(payload) != raw_length:
            raise CodecError("a stored entry has another length than it declares")
        return codec.unpack(kind, payload)

    def fresh(self, mark: bytes) -> bool:
        """Say whether no tag in ``mark`` has been invalidated since its moment."""
        return not mark or self.access.read(lambda txn, ledger: ledger.tags.valid(txn, mark), False)

    def promising(self, mark: bytes) -> bool:
        """Say the same of a ``mark`` that is not on disk."""
        return not mark or self.access.read(lambda txn, ledger: ledger.tags.promising(txn, mark), False)

    def mark(self, tags: Iterable[Key], moment: int | None) -> bytes:
        """Return what an entry carries that has ``tags`` and was begun at ``moment`` (None: now)."""
        found = names(tags)
        if not found:
            return NO_TAGS
        return mark(found, self.moment() if moment is None else moment)

    def moment(self) -> int:
        """Return the moment, by the clock of the tags, from which a value that is begun now is valid."""
        return self.access.read(lambda txn, ledger: ledger.tags.now(txn), 0)

    def _discard(self, name: bytes, data: bytes) -> bool:
        first = self.committer.discard(name, data)
        self._writer.wake()
        return first

    # -- writing --

    def put(self, write: Write) -> None:
        """Make ``write`` the last word on its key; the writer commits it within some 30 ms."""
        if self.closed:
            return
        self.pending.put(write)
        if self.committer.pressed and not self.committer.relieve():
            self.committer.give_up([write])
        self.wake()

    def welcome(self, key: bytes) -> bool:
        """Say whether ``key`` should be stored: it came before, lately, or it has an entry."""
        name = name_of(key)
        if self.doorkeeper.seen(name) or self.pending.get(key) is not None:
            return True
        return self.access.read(lambda txn, ledger: ledger.find(txn, name) is not None, True)

    def put_now(self, writes: list[Write]) -> bool:
        """Bring ``writes`` to disk in one transaction; False if that is not possible now."""
        if self.closed:
            return False
        for write in writes:
            self.pending.put(write)
        return self.committer.commit(writes)

    def wake(self) -> None:
        """Have what is pending committed soon."""
        if not self._writer.wake():
            self.drain()

    def try_later(self) -> None:
        """Note that something pending could not be committed; the writer tries again."""
        self.committer.troubled = True
        self.committer.bound_tombstones()
        self.wake()

    def drain(self, patience: float = -1) -> bool:
        """Commit all that is pending now; False if that was not possible, in ``patience`` seconds if
        given."""
        return self.closed or self.committer.drain(patience)

    def _work(self) -> float | None:
        """What the writer does; returns in how many seconds it should try again, None when all is done."""
        done = self.drain()
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
        done = self.drain()
        self.closed = True
        with self.access.lock:
            lost = not done and len(self.pending) > 0
            self.pending.clear()
            self.access.connection.close(stale=self.access.stale or lost)
        self.flights.close()

    def forked(self) -> None:
        """In a forked child: all that belongs to the parent's threads and to its environment starts anew.

        What was pending is the parent's to commit; it did so before the fork if the disk let it.
        """
        self.access.forked()
        self.committer.forked()
        self.epochs.forked()
        self.flights.forked()
        self.doorkeeper.forked()
        self._writer = Writer(self._work, self._started)
