"""The file in which a process keeps its numbers, for others to read while it runs and after it died.

    header   magic (8), bytes used (8), zeros up to 64
    entry    size (8), length of the key (4), CRC-32 of the key (4), key: JSON, padded to 8; 64-bit words

The file is as large as it may become but sparse: only pages that were used take space. Instruments write into
the mapping as they would into memory. A lock on the file says that its process lives; the kernel takes it
back however the process ends. A forked child gets a file of its own, mapped over the same addresses, so that
every handle it has inherited counts from zero there.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from perfcore._native.metrics import Words, replace_mapping

if TYPE_CHECKING:
    from perfcore.metrics.family import Family, Key

__all__ = ["Entry", "Shard", "entries"]

MAGIC = b"pcmetr1\0"
HEADER = 64
USED = 8  # where the number of used bytes stands
ENTRY = struct.Struct("<QII")
SMALLEST = 4096

_living: WeakSet[Shard] = WeakSet()


class Entry:
    """One series in a file: what it is, and where its words begin and end."""

    def __init__(self, key: dict[str, Any], start: int, end: int) -> None:
        self.key, self.start, self.end = key, start, end


class Shard:
    """The file of this process in a directory, until somebody folds it in after its end."""

    def __init__(self, directory: Path, size: int) -> None:
        if size < SMALLEST:
            raise ValueError(f"file_size must be at least {SMALLEST} bytes, got {size}")
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.size = directory, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._allocating = RLock()  # of one thread, which may be interrupted by its own signal handlers
        self._claim(b"")
        with self.path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), self.size)
        _living.add(self)

    def _claim(self, content: bytes) -> None:
        """Create a file that nobody else has, holding ``content`` after the header, and lock it."""
        self.path = self.directory / f"{os.getpid()}-{secrets.token_hex(6)}.metrics"
        building = self.path.with_suffix(".new")  # a reader must not take it for the file of a dead process
        self.lock = os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.ftruncate(self.lock, self.size)
        header = MAGIC + struct.pack("<Q", HEADER + len(content))
        os.pwrite(self.lock, header.ljust(HEADER, b"\0") + content, 0)
        building.rename(self.path)

    @property
    def used(self) -> int:
        """How many bytes of the file are taken."""
        return int(struct.unpack_from("<Q", self.map, USED)[0])

    def words(self, count: int, family: Family, key: Key) -> Words:
        """Return zeroed words for a series; of this process alone when the file is full."""
        described = {
            "kind": family.kind,
            "name": family.name,
            "description": family.description,
            "unit": family.unit,
            "labels": family.labels,
            "options": family.options,
            "values": key,
        }
        text = json.dumps(described, separators=(",", ":")).encode()
        with self._allocating:
            start = self.used
            at = start + ENTRY.size + -(-len(text) // 8) * 8
            if at + count * 8 > self.size:
                return Words(count)
            # taken first: a signal handler that interrupts here and allocates, too, goes on behind this entry
            struct.pack_into("<Q", self.map, USED, at + count * 8)
            self.map[start + ENTRY.size : start + ENTRY.size + len(text)] = text
            ENTRY.pack_into(self.map, start, at + count * 8 - start, len(text), zlib.crc32(text))
        return Words(count, self.map, at)

    def after_fork(self) -> None:
        """Move a forked child to a file of its own, with the same series, at zero."""
        os.close(self.lock)  # the parent's lock stays with the parent
        self._allocating = RLock()
        content = bytearray(self.map[HEADER : self.used])
        for entry in entries(bytes(self.map[: self.used])):
            content[entry.start - HEADER : entry.end - HEADER] = bytes(entry.end - entry.start)
        self._claim(bytes(content))
        replace_mapping(self.map, self.lock)


def entries(content: bytes) -> Iterator[Entry]:
    """Yield the complete entries of a file; nothing of one that is damaged or of another version."""
    if content[:8] != MAGIC or len(content) < HEADER:
        return
    used, at = struct.unpack_from("<Q", content, USED)[0], HEADER
    while at + ENTRY.size <= min(used, len(content)):
        size, length, checksum = ENTRY.unpack_from(content, at)
        text = content[at + ENTRY.size : at + ENTRY.size + length]
        start = at + ENTRY.size + -(-length // 8) * 8
        if size == 0 or at + size > len(content) or start > at + size or zlib.crc32(text) != checksum:
            return
        with suppress(ValueError):
            yield Entry(json.loads(text), start, at + size)
        at += size


def _after_fork() -> None:
    for shard in list(_living):
        shard.after_fork()


os.register_at_fork(after_in_child=_after_fork)
