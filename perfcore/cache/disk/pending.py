"""What is not committed yet: read first, so that a process sees its own last word on a key."""

from __future__ import annotations

from itertools import islice
from threading import Lock
from typing import NamedTuple

__all__ = ["Pending", "Write"]

#: What a write takes in memory beside its payload: key, record and place in the table.
_WRITE_BYTES = 400


class Write(NamedTuple):
    """The last word on a key: a value to store, or its absence when ``payload`` is None (a tombstone).

    ``origin`` is a number of whoever wrote it, by which the journal's readers know their own writes.
    """

    key: bytes
    payload: bytes | None = None
    kind: int = 0
    expiry: int = 0
    generation: int = 0
    compression: str = "off"
    secret: bytes | None = None
    tags: bytes = b""
    origin: int = 0

    def alive(self, now_us: int) -> bool:
        """Say whether this is a value, and not expired."""
        return self.payload is not None and (not self.expiry or self.expiry * 1000 > now_us)


def _size(write: Write | None) -> int:
    if write is None:
        return 0
    return _WRITE_BYTES + (0 if write.payload is None else len(write.payload))


class Pending:
    """The newest write of each key, oldest first. Lookups take no lock."""

    def __init__(self) -> None:
        self._writes: dict[bytes, Write] = {}
        self._lock = Lock()
        self.get = self._writes.get
        self.size = 0

    def __len__(self) -> int:
        return len(self._writes)

    def put(self, write: Write) -> Write | None:
        """Make ``write`` the last word on its key; returns what was until now."""
        key, payload = write[:2]
        with self._lock:
            old = self._writes.get(key)
            self._writes[key] = write
            self.size += _WRITE_BYTES + (0 if payload is None else len(payload)) - _size(old)
        return old

    def swap(self, old: Write | None, new: Write) -> bool:
        """Make ``new`` the last word if ``old`` still is; say whether it was."""
        with self._lock:
            if self._writes.get(new.key) is not old:
                return False
            self._writes[new.key] = new
            self.size += _size(new) - _size(old)
            return True

    def batch(self, count: int, size: int) -> list[Write]:
        """Return the oldest writes: up to ``count``, of up to ``size`` bytes beyond the first."""
        with self._lock:
            writes = list(islice(self._writes.values(), count))
        for place, write in enumerate(writes):
            size -= _size(write)
            if size < 0:
                return writes[: max(place, 1)]
        return writes

    def settle(self, writes: list[Write]) -> None:
        """Forget the writes that are on disk now, except where a newer one has come since."""
        held = self._writes
        with self._lock:
            for write in writes:
                if held.get(write[0]) is write:
                    del held[write[0]]
                    self.size -= _size(write)

    def drop_tagged(self) -> None:
        """Put a tombstone in place of each value with tags."""
        with self._lock:
            for key, write in self._writes.items():
                if write.tags:
                    self._writes[key] = Write(key)
                    self.size -= len(write.payload or b"")

    def forked(self) -> None:
        """In a forked child: what was pending is the parent's to commit."""
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._writes.clear()
            self.size = 0
