"""What processes on one directory tell each other: which keys changed last, and whether tags have moved.

A memory tier above the disk must not go on serving what another process has replaced. Each commit therefore
leaves a record of the keys it changed, in its own transaction, and moves a word that all processes map
(:mod:`perfcore.cache.disk.epoch`); whoever sees the word moved reads the records since. Records are few and
short: who is too far behind, or finds that one was too long to keep, drops all of its memory tier instead.

===================  ===============================================================
``00`` "journal"     numbers of the first record and of the next one (the header)
``00 fe`` and 8      number: MessagePack of a list of (origin, keys, moved)
===================  ===============================================================

There is no header, and nothing is noted, until somebody with a memory tier has subscribed; whoever has is
also the one that sees to it (``insist``) that a new file in place of a damaged one has a header again.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple, TypeAlias

import lmdb
import msgspec

__all__ = ["UNKNOWN", "News", "following", "note", "read", "subscribe"]

Txn: TypeAlias = "lmdb.Transaction[memoryview]"

_HEADER_KEY, _RECORD = b"\x00journal", b"\x00\xfe"
_HEADER, _NUMBER = Struct("<QQ"), Struct(">Q")

#: Records kept, and the bytes of the longest: the keys of a commit of 2048 writes are some 60 KB.
_RECORDS, _LONGEST = 64, 128 << 10


class News(NamedTuple):
    """What one writer changed: keys (None: any or all of them), and whether tags have moved."""

    origin: int
    keys: list[bytes] | None
    moved: bool = False


#: What stands for all that could not be told.
UNKNOWN = News(0, None, True)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[News]).decode


def following(txn: Txn) -> int | None:
    """Return the number of the next record, None when nobody has subscribed."""
    found = _header(txn)
    return None if found is None else found[1]


def subscribe(txn: Txn) -> int:
    """Have changes noted from now on; returns the number of the next record."""
    found = _header(txn)
    if found is None:
        found = 1, 1
        txn.put(_HEADER_KEY, _HEADER.pack(*found))
    return found[1]


def note(txn: Txn, news: list[News], *, insist: bool = False) -> bool:
    """Leave a record of ``news``; False if there is nobody who reads it."""
    if insist:
        subscribe(txn)
    found = _header(txn)
    if found is None or not news:
        return False
    first, number = found
    record = _encode(news)
    if len(record) > _LONGEST:
        record = _encode([UNKNOWN])
    txn.put(_place(number), record)
    while number - first >= _RECORDS:
        txn.delete(_place(first))
        first += 1
    txn.put(_HEADER_KEY, _HEADER.pack(first, number + 1))
    return True


def read(txn: Txn, after: int) -> tuple[list[News], int]:
    """Return what happened from record ``after`` on, and which record will be next."""
    found = _header(txn)
    if found is None:
        return [UNKNOWN], 0
    first, number = found
    if not first <= after <= number:
        return [UNKNOWN], number
    news: list[News] = []
    for place in range(after, number):
        news += _record(txn, place)
    return news, number


def _record(txn: Txn, number: int) -> list[News]:
    record = txn.get(_place(number))
    try:
        return [UNKNOWN] if record is None else _decode(record)
    except msgspec.DecodeError:
        return [UNKNOWN]


def _header(txn: Txn) -> tuple[int, int] | None:
    found = txn.get(_HEADER_KEY)
    if found is None:
        return None
    if len(found) != _HEADER.size:
        raise lmdb.CorruptedError("a journal of another kind")
    first, number = _HEADER.unpack(found)
    return first, number


def _place(number: int) -> bytes:
    return _RECORD + _NUMBER.pack(number)
