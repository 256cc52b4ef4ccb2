"""What the tree holds, and the only code that changes it: an index over entries in order of writing.

==================  =========================================================
``00`` and a word   the format's name, compression dictionaries, the tags' clock, the journal's numbers
``00 fe`` and 8     number: a record of the journal
``00 ff`` and 16    digest of a tag: when it was last invalidated
``01`` and 16       digest of a key: leads to the number of its entry
``02`` and 8        number: the entry
==================  =========================================================

Entries are appended, so their pages are full (a tree in order of the digests settles at 69 %), the oldest
lie together, and evicting them frees whole pages. All in one tree, because each tree costs every commit a
page or two. Numbers are Unix microseconds, moved up where that is not yet free. They are never used twice.

All functions work inside a transaction of the caller's. None goes from one key to its neighbour with
``next``: on a damaged file LMDB checks the pages of a search, but only asserts those of such a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import lmdb

from perfcore.cache import clock
from perfcore.cache.codec.entry import expiry_of, key_of, tags_of
from perfcore.cache.dictionary import number_of
from perfcore.cache.disk import journal
from perfcore.cache.disk.environment import Environment
from perfcore.cache.disk.tags import TAG_PREFIX, Tags
from perfcore.cache.keys import digest

__all__ = ["FORMAT", "Ledger", "Txn", "name_of"]

Txn: TypeAlias = "lmdb.Transaction[memoryview]"

#: What a file of this layout says of itself.
FORMAT = b"perfcore disk cache 1"

_META, _INDEX, _DATA, _END = b"\x00", b"\x01", b"\x02", b"\x03"
_FORMAT_KEY = _META + b"format"
_LATEST_KEY = _META + b"latest"
_DICTIONARY = _META + b"dictionary"
_NUMBER_BYTES = 9


def name_of(key: bytes) -> bytes:
    """Return where the entry of a canonical key is indexed."""
    return _INDEX + digest(key)


class Ledger:
    """Reads and changes index and entries together, so that they never contradict each other."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._newest = 0
        self._sound: set[int] = set()
        self.tags = Tags(environment.map_size)
        self.file_bytes = environment.file_bytes

    # -- entries --

    def find(self, txn: Txn, name: bytes) -> memoryview | None:
        """Return a view of the entry that ``name`` leads to."""
        number = txn.get(name)
        return None if number is None else txn.get(number)

    def copy(self, txn: Txn, name: bytes) -> bytes | None:
        """Return a copy of the entry that ``name`` leads to."""
        entry = self.find(txn, name)
        return None if entry is None else bytes(entry)

    def alive(self, txn: Txn, entry: bytes | memoryview | None, now_us: int) -> bool:
        """Say whether there is an entry, not expired and with no tag that was invalidated since."""
        if entry is None:
            return False
        expiry = expiry_of(entry)
        return (not expiry or expiry * 1000 > now_us) and self.tags.valid(txn, tags_of(entry))

    def put(self, txn: Txn, items: list[tuple[bytes, bytes]]) -> int:
        """File entries under names, each in place of what was there; returns how many were replaced."""
        number, replaced = max(clock.now_us(), self._newest + 1), 0
        for name, entry in items:
            old = self._number(txn, name)
            if old is not None:
                txn.delete(old)
                replaced += 1
            place = _DATA + number.to_bytes(8, "big")
            if not txn.put(place, entry, append=True):  # another process was here, by a clock ahead of ours
                number = self._last(txn) + 1
                place = _DATA + number.to_bytes(8, "big")
                txn.put(place, entry, append=True)
            txn.put(name, place)
            number += 1
        self._newest = number
        return replaced

    def replace(self, txn: Txn, name: bytes, entry: bytes) -> None:
        """Put ``entry`` where the one that ``name`` leads to lies, at the same age."""
        number = self._number(txn, name)
        if number is not None:
            txn.put(number, entry)

    def remove(self, txn: Txn, name: bytes) -> bool:
        """Remove what ``name`` leads to; say whether there was anything."""
        number = self._number(txn, name)
        if number is not None:
            txn.delete(number)
        return txn.delete(name)

    def clear(self, txn: Txn) -> None:
        """Remove all entries and the lines of their tags."""
        kept = [(bytes(key), bytes(value)) for key, value in self._range(txn, _META, TAG_PREFIX)]
        txn.drop(self._environment.tree, delete=False)
        for key, value in kept:
            txn.put(key, value)
        self.tags.forget(txn)
        journal.note(txn, [journal.News(0, None, True)])

    def remove_orphans(self, txn: Txn) -> int:
        """Remove what the index has that leads to no entry of that name; returns how many."""
        orphans = []
        for name, number in self._range(txn, _INDEX, _DATA):
            entry = txn.get(number)
            if entry is None or name_of(key_of(entry)) != name:
                orphans.append(name)
        for name in orphans:
            txn.delete(name)
        return len(orphans)

    # -- in order of writing --

    def oldest(self, txn: Txn) -> tuple[bytes, memoryview] | None:
        """Return number and view of what was written first."""
        return next(self._range(txn, _DATA, _END), None)

    def after(self, txn: Txn, number: bytes) -> Iterator[tuple[bytes, memoryview]]:
        """Yield numbers and views of entries in order of writing, from behind ``number``."""
        return self._range(txn, number + b"\0" if number else _DATA, _END)

    def drop(self, txn: Txn, number: bytes, name: bytes) -> None:
        """Remove the entry with this number, and its index unless that leads to a newer one."""
        if self._number(txn, name) == number:
            txn.delete(name)
        self._delete(txn, number)

    def renew(self, txn: Txn, number: bytes, name: bytes, entry: bytes) -> None:
        """Make the entry with this number the newest; drop it if its key has a newer one."""
        if self._number(txn, name) == number:
            self.put(txn, [(name, entry)])
        else:
            self._delete(txn, number)

    # -- about the whole --

    def used_bytes(self, txn: Txn) -> int:
        """Return the bytes of all branch, leaf and overflow pages in use."""
        stat = txn.stat()
        return (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"]

    def count(self, txn: Txn) -> int:
        """Return the number of entries."""
        others = sum(1 for _ in self._range(txn, _META, TAG_PREFIX)) + self.tags.count(txn)
        return (txn.stat()["entries"] - others) // 2

    def stamp(self, txn: Txn) -> None:
        """Say in a new file what it is."""
        txn.put(_FORMAT_KEY, FORMAT)

    def format(self, txn: Txn) -> bytes:
        """Return what the file says it is, nothing if it is new."""
        return bytes(txn.get(_FORMAT_KEY, b""))

    def dictionary(self, txn: Txn, number: int) -> bytes | None:
        """Return the content of compression dictionary ``number``, None if it is missing or damaged."""
        content = txn.get(_DICTIONARY + number.to_bytes(4, "big"))
        return None if content is None or number_of(content) != number else bytes(content)

    def has_dictionary(self, txn: Txn, number: int) -> bool:
        """Say whether compression dictionary ``number`` is there; its content is looked at the first time."""
        if number not in self._sound:
            if self.dictionary(txn, number) is None:
                return False
            self._sound.add(number)
        return txn.get(_DICTIONARY + number.to_bytes(4, "big")) is not None

    def keep_dictionary(self, txn: Txn, number: int, content: bytes) -> None:
        """Store a compression dictionary that entries refer to, and note it as the latest."""
        txn.put(_DICTIONARY + number.to_bytes(4, "big"), content)
        txn.put(_LATEST_KEY, number.to_bytes(4, "big"))

    def latest_dictionary(self, txn: Txn) -> int:
        """Return the number of the dictionary stored last, 0 if there is none."""
        return int.from_bytes(txn.get(_LATEST_KEY, b""), "big")

    # -- parts --

    def _number(self, txn: Txn, name: bytes) -> bytes | None:
        number = txn.get(name)
        if number is None or len(number) != _NUMBER_BYTES or number[:1] != _DATA:
            return None  # nothing, or damage that must not lead a delete astray
        return bytes(number)

    def _delete(self, txn: Txn, number: bytes) -> None:
        if not txn.delete(number):  # who goes by what is first would never end
            raise lmdb.CorruptedError("an entry that cannot be found by its number")

    def _range(self, txn: Txn, begin: bytes, end: bytes) -> Iterator[tuple[bytes, memoryview]]:
        with txn.cursor() as cursor:
            while cursor.set_range(begin):
                key = bytes(cursor.key())
                if key < begin:
                    raise lmdb.CorruptedError("keys out of order")
                if key >= end:
                    return
                yield key, cursor.value()
                begin = key + b"\0"

    def _last(self, txn: Txn) -> int:
        with txn.cursor() as cursor:
            key = bytes(cursor.key()) if cursor.last() else _DATA
        number = int.from_bytes(key[1:], "big")
        if not _DATA <= key < _END or number >= 1 << 63:
            raise lmdb.CorruptedError("a number that nobody wrote")
        return number
