"""Between values and what stands on the server: the disk tier's envelope, compressed where that pays."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import COMPRESSED, Entry, seal, unseal
from perfcore.cache.compression import Compression, Mode
from perfcore.cache.dictionary import Trainer
from perfcore.errors import CodecError

__all__ = ["Entries", "Opened"]

#: The largest value, in bytes before compression; servers take 512 MB.
LARGEST: Final = 64 << 20
#: Below this a value is sent as it is: the network does not notice, the reader would.
_FLOOR: Final = 1024


class Opened(NamedTuple):
    """An entry that is sound and has not expired; its tags are still to be looked at."""

    value: Any
    expiry: int
    generation: int
    mark: bytes


class Entries:
    """Makes and opens the entries of one cache; no server is trusted."""

    def __init__(self, codec: Codec, compression: Mode) -> None:
        self._codec, self._mode = codec, compression
        self._compression = Compression(lambda number: None, LARGEST, Trainer(0))

    def prepare(self, value: Any) -> tuple[int, bytes] | None:
        """Return kind and payload, None if it is too large; raises :exc:`TypeError` if it cannot be."""
        kind, payload = self._codec.pack(value)
        return (kind, payload) if len(payload) <= LARGEST else None

    def unpack(self, prepared: tuple[int, bytes]) -> Any:
        """Return the value of what :meth:`prepare` has made."""
        return self._codec.unpack(*prepared)

    def seal(
        self, canonical: bytes, prepared: tuple[int, bytes], ttl: float | None, mark: bytes = b""
    ) -> bytes:
        """Return the entry for a key, which ends in ``ttl`` seconds."""
        kind, payload = prepared
        size, now, flags = len(payload), clock.now_us(), 0
        if size >= _FLOOR and self._mode != "off":
            shrunk = self._compression.shrink(payload, self._mode)
            if shrunk is not None:
                payload, flags = shrunk[0], COMPRESSED
        entry = Entry(kind, flags, 0, size, clock.expires_at(now, ttl), now, payload, mark)
        return seal(canonical, entry, self._codec.secret)

    def open(self, canonical: bytes, data: Any) -> Opened | None:
        """Return what is in an entry, None when it has expired; raises :exc:`CodecError` if it is not
        sound."""
        if type(data) is not bytes:
            raise CodecError("a server's answer is no entry")
        kind, flags, number, size, expiry, generation, payload, mark = unseal(
            data, canonical, self._codec.secret
        )
        if expiry and not clock.remaining(expiry, generation, clock.now_us()):
            return None
        if flags & COMPRESSED:
            payload = self._compression.restore(payload, number, size)
        elif len(payload) != size:
            raise CodecError("a stored entry has another length than it declares")
        return Opened(self._codec.unpack(kind, payload), expiry, generation, mark)
