"""Between a write and its entry: compression, with dictionaries kept in the store, and the seal."""

from __future__ import annotations

import threading

from perfcore._native.envelope import wrap
from perfcore.cache.codec.entry import COMPRESSED, Entry, seal
from perfcore.cache.compression import Compression, Load, Page, Shrunk
from perfcore.cache.dictionary import Dictionary, Trainer
from perfcore.cache.disk.access import Access
from perfcore.cache.disk.ledger import Ledger, Txn
from perfcore.cache.disk.pending import Write

__all__ = ["Packing"]

#: A dictionary may take this share of the budget.
_DICTIONARY_SHARE = 64
#: LMDB puts two nodes or more into a page of 4096 bytes, or one value of up to 4080; the rest is for the
#: node, and for the envelope with a key of usual length.
_PAGE = Page(whole=4010, half=1950)


class Packing:
    """Makes entries of writes, and restores their payloads. Thread-safe."""

    def __init__(self, access: Access, maxbytes: int, largest: int) -> None:
        """``largest`` is the size in bytes of the largest payload that is ever restored."""
        self._access = access
        trainer = Trainer(maxbytes // _DICTIONARY_SHARE)
        self._compression = Compression(self._load, largest, trainer, _PAGE)
        self.restore, self.inflate = self._compression.restore, self._compression.inflate
        self._adopted = False

    def pack(self, writes: list[Write], dictionaries: set[int], load: Load) -> list[bytes | None]:
        """Return an entry for each write, None for tombstones; note the dictionaries they need."""
        if len(writes) == 1:
            return [self._pack(writes[0], dictionaries, load)]
        entries: list[bytes | None] = [None] * len(writes)
        for mode in {write.compression for write in writes}:
            places = [
                place
                for place, write in enumerate(writes)
                if write.payload is not None and write.compression == mode
            ]
            payloads = [writes[place].payload or b"" for place in places]
            shrunk = self._compression.shrink_many(payloads, mode, load)
            for place, payload, found in zip(places, payloads, shrunk, strict=True):
                entries[place] = _entry(writes[place], payload, found, dictionaries)
        return entries

    def _pack(self, write: Write, dictionaries: set[int], load: Load) -> bytes | None:
        payload = write.payload
        if payload is None:
            return None
        shrunk = self._compression.shrink(payload, write.compression, load)
        return _entry(write, payload, shrunk, dictionaries)

    def adopt(self) -> bool:
        """Go on with the dictionary that another process, or an earlier one, has learnt; is there one?"""
        if self._adopted:
            return self._compression.learnt
        self._adopted = True
        number = self._access.read(lambda txn, ledger: ledger.latest_dictionary(txn), 0)
        content = self._load(number) if number else None
        if content is not None:
            self._compression.use(Dictionary(number, content))
        return self._compression.learnt

    def keep(self, txn: Txn, ledger: Ledger, numbers: set[int]) -> None:
        """Store the dictionaries that entries of this transaction need, if they are not there yet."""
        for number in numbers:
            if ledger.has_dictionary(txn, number):
                continue
            content = self._compression.content(number)
            if content is not None:
                ledger.keep_dictionary(txn, number, content)

    def study(self, writes: list[Write], *, at_once: bool) -> None:
        """Train a dictionary when what is to be packed completes the samples for one.

        That takes some 5 ms: ``at_once`` when what is to be written next gains more by it than it loses by
        the wait, otherwise in a thread of its own.
        """
        if not self._compression.wants_samples:
            return
        wanted = (write.payload for write in writes if write.payload and write.compression == "adaptive")
        if not self._compression.study(wanted):
            return
        if at_once:
            self._compression.train()
        else:
            threading.Thread(target=self._compression.train, name="perfcore-dictionary", daemon=True).start()

    def _load(self, number: int) -> bytes | None:
        return self._access.read(lambda txn, ledger: ledger.dictionary(txn, number), None)


def _entry(write: Write, payload: bytes, shrunk: Shrunk, dictionaries: set[int]) -> bytes:
    key, _, kind, expiry, generation, _, secret, tags, _ = write
    packed, number, flags = payload, 0, 0
    if shrunk is not None:
        packed, number = shrunk
        flags = COMPRESSED
    if number:
        dictionaries.add(number)
    if secret is not None or tags:
        entry = Entry(kind, flags, number, len(payload), expiry, generation, packed, tags)
        return seal(key, entry, secret)
    return wrap(kind, flags, number, len(payload), expiry, generation, key, tags, packed)
