"""A cache's entries as one portable file, and back: to move them, to keep them, to look at them elsewhere.

The file is one zstd frame over a line that names the format, then entries as ``docs/format.md`` has them,
each after its length (4 bytes, little-endian); none is compressed by itself, signed, or needs a dictionary.
Values are not decoded on the way, so classes that are not known here pass through.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO, NamedTuple

import zstandard

from perfcore.cache import clock
from perfcore.cache.codec.entry import COMPRESSED, Entry, expiry_of, key_of, seal, unseal
from perfcore.cache.disk import operations
from perfcore.cache.disk.ledger import Ledger, Txn
from perfcore.cache.disk.pending import Write
from perfcore.cache.disk.store import Store
from perfcore.cache.disk.tags import remark
from perfcore.errors import CodecError

__all__ = ["Transferred", "entries", "read_from", "write_to"]

_FORMAT = b"perfcore cache export 1\n"
_STRIDE = 64
_GROUP = 1024


class Transferred(NamedTuple):
    """How many entries went over, and how many did not because they are damaged or have expired."""

    entries: int
    skipped: int


def entries(store: Store) -> Iterator[bytes]:
    """Yield the valid entries as they are stored, longest stored first."""
    store.drain()
    number = b""

    def some(txn: Txn, ledger: Ledger) -> list[tuple[bytes, bytes, bool]]:
        found, now = islice(ledger.after(txn, number), _STRIDE), clock.now_us()
        return [(place, bytes(entry), ledger.alive(txn, entry, now)) for place, entry in found]

    nothing: list[tuple[bytes, bytes, bool]] = []
    while found := store.access.read(some, nothing):
        yield from (entry for _, entry, alive in found if alive)
        number = found[-1][0]


def write_to(store: Store, file: IO[bytes], secret: bytes | None = None) -> Transferred:
    """Write all valid entries to ``file``; with a ``secret``, only those signed with it."""
    written = skipped = 0
    with zstandard.ZstdCompressor(3).stream_writer(file, closefd=False) as stream:
        stream.write(_FORMAT)
        for entry in entries(store):
            try:
                plain = _plain(store, entry, secret)
            except CodecError:
                skipped += 1
                continue
            stream.write(len(plain).to_bytes(4, "little") + plain)
            written += 1
    return Transferred(written, skipped)


def read_from(store: Store, file: IO[bytes], compression: str, secret: bytes | None = None) -> Transferred:
    """Store the entries in ``file``, in place of those with the same keys.

    Raises :exc:`CodecError` when it is not such a file or ends early; what came before is stored then.
    """
    read = skipped = 0
    moment, group = store.moment(), list[Write]()
    try:
        for entry in _read(file, store.largest_value):
            try:
                group.append(_write(entry, moment, compression, secret))
            except CodecError:
                skipped += 1
            if len(group) >= _GROUP:
                operations.put_many(store, group)
                read, group = read + len(group), []
    finally:
        operations.put_many(store, group)
    return Transferred(read + len(group), skipped)


def _plain(store: Store, data: bytes, secret: bytes | None) -> bytes:
    key = key_of(data)
    entry = Entry._make(unseal(data, key, secret))
    if not entry.flags & COMPRESSED:
        return seal(key, entry)
    payload = store.packing.restore(entry.payload, entry.dictionary, entry.raw_length)
    return seal(key, entry._replace(payload=payload, flags=0, dictionary=0))


def _write(data: bytes, moment: int, compression: str, secret: bytes | None) -> Write:
    key = key_of(data)
    entry = Entry._make(unseal(data, key))
    if entry.flags & COMPRESSED or entry.raw_length != len(entry.payload):
        raise CodecError("an exported entry is compressed or has a wrong length")
    if 0 < expiry_of(data) * 1000 <= clock.now_us():
        raise CodecError("an exported entry has expired")
    tags = remark(entry.tags, moment)
    return Write(
        key, bytes(entry.payload), entry.kind, entry.expiry, entry.generation, compression, secret, tags
    )


def _read(file: IO[bytes], largest: int) -> Iterator[bytes]:
    try:
        with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as stream:
            if stream.read(len(_FORMAT)) != _FORMAT:
                raise CodecError("not a file that perfcore has exported")
            while head := stream.read(4):
                length = int.from_bytes(head, "little")
                if length > 2 * largest:
                    raise CodecError("an exported entry declares an impossible length")
                entry = stream.read(length)
                if len(entry) != length:
                    raise CodecError("an exported file ends early")
                yield entry
    except zstandard.ZstdError as error:
        raise CodecError("not a file that perfcore has exported, or a damaged one") from error
