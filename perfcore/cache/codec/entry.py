"""The envelope of a stored value: what it is, the key it was written for, checksum and signature.

::

     0  magic       2  b"\\x9dp"
     2  version     1  1
     3  kind        1  what the payload is (perfcore.cache.codec.coder)
     4  flags       4  1 compressed, 2 signed, 4 tagged; the others are 0
     8  dictionary  4  XXH32 of the compression dictionary, 0 for none
    12  key length  4
    16  raw length  4  of the payload before compression
    20  expiry      8  Unix milliseconds, 0 for never
    28  generation  8  Unix microseconds of the write
    36  key
        tags           if tagged: how many (1), a moment (8), and 16 bytes of each
        payload
        checksum    8  XXH3-64 (big-endian, as xxhash gives it) of everything before
        signature  32  if signed: HMAC-SHA-256 of everything before

All other integers are little-endian. The checksum finds damage, the echo of the key a digest that two keys
share; only the signature stops someone who can write to the store.
"""

from __future__ import annotations

import hmac
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import NamedTuple

from xxhash import xxh3_64_digest

from perfcore._native.envelope import wrap
from perfcore.errors import CodecError

__all__ = [
    "COMPRESSED",
    "HEADER_BYTES",
    "SIGNED",
    "TAGGED",
    "Entry",
    "expiry_of",
    "generation_of",
    "identity",
    "key_of",
    "seal",
    "tags_of",
    "unseal",
]

_OURS = b"\x9dp\x01"  # magic and version
COMPRESSED, SIGNED, TAGGED = 1, 2, 4
_KNOWN_FLAGS = COMPRESSED | SIGNED | TAGGED
HEADER_BYTES = 36
_CHECKSUM_BYTES, _MAC_BYTES = 8, 32
_TAGS_HEAD, _TAG_BYTES = 9, 16

_HEADER = Struct("<3sBIIIIQQ")
#: Above this a slice of bytes costs more than a view of it.
_SMALL = 4096


class Entry(NamedTuple):
    """What an envelope holds; ``payload`` is compressed if ``flags`` say so, ``tags`` are as stored."""

    kind: int
    flags: int
    dictionary: int
    raw_length: int
    expiry: int
    generation: int
    payload: bytes | memoryview
    tags: bytes = b""


def seal(key: bytes, entry: Entry, secret: bytes | None = None) -> bytes:
    """Return the envelope around ``entry`` for ``key``, signed if there is a ``secret``."""
    kind, flags, dictionary, raw_length, expiry, generation, payload, tags = entry
    flags = flags & COMPRESSED | (0 if secret is None else SIGNED) | (TAGGED if tags else 0)
    sealed = wrap(kind, flags, dictionary, raw_length, expiry, generation, key, tags, payload)
    return sealed if secret is None else sealed + hmac.digest(secret, sealed, "sha256")


def unseal(
    data: bytes, key: bytes, secret: bytes | None = None
) -> tuple[int, int, int, int, int, int, bytes | memoryview, bytes]:
    """Return the fields of the :class:`Entry` in ``data``; a bare tuple, for this is on the path of each
    read.

    Raises :exc:`CodecError` when it is damaged, of another version, written for another key or, given a
    ``secret``, not signed with it. What is returned is what was sealed, but not yet known to be decodable.
    """
    try:
        ours, kind, flags, dictionary, length, raw_length, expiry, generation = _HEADER.unpack_from(data)
    except StructError:
        raise CodecError("a stored entry is too short") from None
    if ours != _OURS or flags & ~_KNOWN_FLAGS:
        raise CodecError("a stored entry is foreign or of another version")
    start, end = HEADER_BYTES + length, len(data) - _CHECKSUM_BYTES
    if data[HEADER_BYTES:start] != key:
        raise CodecError("a stored entry belongs to another key")
    if flags & SIGNED or secret is not None:
        end -= _MAC_BYTES
        _check_signature(data, flags, secret)
    tags = _tags(data, start) if flags & TAGGED else b""
    whole = data if end < _SMALL else memoryview(data)
    if start + len(tags) > end or xxh3_64_digest(whole[:end]) != data[end : end + _CHECKSUM_BYTES]:
        raise CodecError("a stored entry is damaged")
    return kind, flags, dictionary, raw_length, expiry, generation, whole[start + len(tags) : end], tags


def _check_signature(data: bytes, flags: int, secret: bytes | None) -> None:
    if secret is None:
        return  # nothing to hold it against; the checksum still has to fit
    if not flags & SIGNED:
        raise CodecError("a stored entry is not signed")
    if not hmac.compare_digest(data[-_MAC_BYTES:], hmac.digest(secret, data[:-_MAC_BYTES], "sha256")):
        raise CodecError("a stored entry is signed with another secret")


def _tags(data: bytes | memoryview, start: int) -> bytes:
    count = data[start] if start < len(data) else 0
    return bytes(data[start : start + _TAGS_HEAD + count * _TAG_BYTES])


def tags_of(data: bytes | memoryview) -> bytes:
    """Return the tags that ``data`` says it has, unchecked, as they are stored."""
    if not data[4] & TAGGED:
        return b""
    return _tags(data, HEADER_BYTES + int.from_bytes(data[12:16], "little"))


def key_of(data: bytes | memoryview) -> bytes:
    """Return the key that ``data`` says it belongs to, unchecked."""
    length = int.from_bytes(data[12:16], "little")
    return bytes(data[HEADER_BYTES : HEADER_BYTES + length])


def expiry_of(data: bytes | memoryview) -> int:
    """Return when ``data`` says it expires, unchecked, in Unix milliseconds; 0 for never."""
    return int.from_bytes(data[20:28], "little")


def generation_of(data: bytes | memoryview) -> int:
    """Return when ``data`` says it was written, unchecked, in Unix microseconds."""
    return int.from_bytes(data[28:36], "little")


def identity(data: bytes | memoryview) -> bytes:
    """Return what tells two writes of one key apart: generation, and checksum or signature."""
    return bytes(data[28:HEADER_BYTES]) + bytes(data[-_CHECKSUM_BYTES:])
