"""What things are called on the server: entries under their epoch, tags, the epoch itself, leases."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from os import urandom
from time import time_ns

from perfcore.cache.keys import digest
from perfcore.errors import CodecError, ConfigError

__all__ = ["STAMP_BYTES", "Names", "fresh_stamp"]

#: Longer keys are filed under their digest; the entry repeats the key in any case.
_LONGEST = 200
#: What has a meaning in slots and patterns.
_SPECIAL = set("{}*?[]\\")
STAMP_BYTES = 16


def fresh_stamp(after: bytes = b"") -> bytes:
    """Return 16 bytes that nobody has made before: Unix microseconds (later than ``after``) and 8 random."""
    least = int.from_bytes(after[:8], "big") + 1
    return max(time_ns() // 1000, least).to_bytes(8, "big") + urandom(8)


class Names:
    """The names below one prefix.

    >>> names = Names("shop")
    >>> names.key("0123456789a", b"suser:1")
    b'shop:0123456789a:suser:1'
    """

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str) or not prefix.isprintable() or not prefix or _SPECIAL & {*prefix}:
            raise ConfigError("prefix: expected printable text without braces, brackets, * and ?")
        self._prefix = prefix.encode()
        self.epoch = self._prefix + b":E"
        #: What the names of leases begin with.
        self.lease = self._prefix + b":L:"
        # one slot for both, whatever the prefix: a script needs them together
        self.channel = b"{%b:B}:channel" % self._prefix
        self.counter = b"{%b:B}:counter" % self._prefix

    def key(self, epoch: str, canonical: bytes) -> bytes:
        """Return the name of the entry of a key in an epoch."""
        if len(canonical) > _LONGEST:
            canonical = b"h" + digest(canonical)
        return b"%b:%b:%b" % (self._prefix, epoch.encode(), canonical)

    def tag(self, name: bytes) -> bytes:
        """Return the name of the stamp of a tag with this digest."""
        return b"%b:T:%b" % (self._prefix, name)

    def pattern(self, epoch: str) -> bytes:
        """Return the pattern of the entries of an epoch, for SCAN."""
        return b"%b:%b:*" % (self._prefix, epoch.encode())

    @staticmethod
    def epoch_of(stamp: bytes) -> str:
        """Return how a stamp of the epoch stands in names; raises :exc:`CodecError` if it is none."""
        if type(stamp) is not bytes or len(stamp) != STAMP_BYTES:
            raise CodecError("the epoch on the server is damaged")
        return urlsafe_b64encode(stamp[8:])[:11].decode()
