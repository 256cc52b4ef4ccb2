"""The LMDB environment of a directory: opened, grown, forked and closed without a reader noticing.

LMDB wants one environment per file and process, no transaction alive while the map is replaced, and none
carried across a fork. All of that is kept here; what the databases hold is the ledger's business.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from perfcore.cache.disk.gate import Gate

__all__ = ["DATA_FILE", "LOCK_FILE", "Environment"]

DATA_FILE, LOCK_FILE = "data.mdb", "lock.mdb"

#: Each read transaction takes one of these slots of 64 bytes, whichever process it is in.
_READERS = 1024
_LOCK_BYTES = 64 * (_READERS + 8)

#: Two deletes need about 30 fresh pages before those that the first one freed may be reused; this is 64.
_SPARE = 1 << 18
#: Blocks are taken from the file system this many bytes at a time: each request costs 50 us.
_CHUNK = 1 << 20


class Environment:
    """One open environment with one tree.

    Reads may come from any thread; writing, resizing and closing only from the thread that holds the
    store's commit lock. Raises :exc:`OSError` and :exc:`lmdb.Error` as they come.
    """

    def __init__(self, directory: Path, map_size: int, *, durable: bool) -> None:
        self.gate = Gate()
        self.durable = durable
        self._path = directory
        self.map_size = map_size
        self._spare = min(_SPARE, map_size // 16)
        self._open()

    def _open(self) -> None:
        self._allocated = 0
        _allocate(self._path / LOCK_FILE, _LOCK_BYTES)
        self._env = lmdb.open(
            os.fspath(self._path),
            map_size=self.map_size,
            metasync=self.durable,
            sync=self.durable,
            mode=0o600,
            create=False,
            max_readers=_READERS,
            max_spare_txns=1,
            lib_version=0,  # the engine whose files the structure check understands
        )
        self.tree = self._env.open_db()
        self._page_size = self._env.stat()["psize"]

    def get(self, name: bytes) -> bytes | None:
        """Return a copy of what lies where ``name`` leads."""
        gate = self.gate
        gate.enter()
        try:
            txn = self._env.begin()
            try:
                place = txn.get(name)
                return None if place is None else txn.get(place)
            finally:
                txn.abort()
        finally:
            gate.leave()

    @contextmanager
    def reading(self) -> Iterator[lmdb.Transaction[memoryview]]:
        """A read transaction; what it finds are views of the map, to be copied before it ends.

        Keep it short: it pins every page that is freed meanwhile.
        """
        self.gate.enter()
        try:
            with self._env.begin(buffers=True) as txn:
                yield txn
        finally:
            self.gate.leave()

    def writing(self) -> lmdb.Transaction[memoryview]:
        """A write transaction, committed at the end, aborted by an exception; what it finds are views too."""
        return self._env.begin(write=True, buffers=True)

    def file_bytes(self) -> int:
        """Return how much of the data file has ever been in use."""
        return (int(self._env.info()["last_pgno"]) + 1) * self._page_size

    def reserve(self, size: int) -> int:
        """Make sure that the write transaction now open will find disk blocks for ``size`` bytes of entries.

        Returns how many bytes the file will take at most after it.

        Blocks are taken in advance because a full disk must not stop a delete: the pages it copies fit in
        what is kept in reserve, and from the second delete on freed pages come back. Inside the
        transaction, because some file systems allocate by writing zeros. Raises :exc:`OSError` when the
        disk is full.
        """
        held = self.file_bytes()
        wanted = min(held + size + self._spare, self.map_size)
        if wanted > self._allocated:
            self._allocated = min(wanted + _CHUNK, self.map_size)
            try:
                _allocate(self._path / DATA_FILE, self._allocated)
            except OSError:  # the last blocks of a disk are few
                self._allocated = wanted
                _allocate(self._path / DATA_FILE, wanted)
        return held + 2 * size + self._spare  # an entry of just over half a page takes a whole one

    def grow(self, map_size: int) -> None:
        """Replace the map by one of at least ``map_size`` bytes; this thread has no open transaction."""
        with self.gate.closed():
            self._env.set_mapsize(map_size)
            self.map_size = self._env.info()["map_size"]

    def give_up_spare(self) -> None:
        """Free the reader slot that is kept for the next read; the gate is closed.

        A forked child could not close what it inherits without freeing that slot under its parent's feet.
        """
        self._env.set_mapsize(self.map_size)  # the one call that drops spare transactions

    def adopt(self) -> None:
        """Map all of a file that another process has let grow."""
        self.grow(0)

    def sync(self) -> None:
        """Wait until everything committed is on the disk."""
        self._env.sync(True)

    def drop_dead_readers(self) -> int:
        """Free the reader slots of processes that died; returns how many."""
        return int(self._env.reader_check())

    def reopen(self, *, durable: bool) -> None:
        """Close and open again, with or without an fsync at each commit."""
        with self.gate.closed():
            self._env.close()
            self.durable = durable
            self._open()

    def compact(self) -> None:
        """Replace the file by a copy without free pages."""
        copy = self._path / (DATA_FILE + ".new")
        try:
            descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                self._env.copyfd(descriptor, compact=True)
            finally:
                os.close(descriptor)
            with self.gate.closed():
                self._env.close()
                copy.replace(self._path / DATA_FILE)
                self._open()
        finally:
            copy.unlink(missing_ok=True)

    def close(self) -> None:
        """Wait for the readers and close; in a forked child, let go of what was inherited."""
        with self.gate.closed():
            self._env.close()


def _allocate(path: Path, size: int) -> None:
    """Give the file at ``path`` disk blocks for ``size`` bytes.

    LMDB writes to the lock file through its map: without blocks under it a full disk is a SIGBUS, not an
    error.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        held = os.fstat(descriptor).st_size
        if held < size:
            _extend(descriptor, held, size)
    finally:
        os.close(descriptor)


def _extend(descriptor: int, held: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        while held < size:  # a file system that cannot, and a C library that does not do it by hand
            held += os.pwrite(descriptor, bytes(min(size - held, 1 << 16)), held)
