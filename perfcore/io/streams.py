"""Files that are read often are kept open: ``StreamCache``.

Opening, asking for the size and closing is most of what reading a small file costs. Descriptors are kept and
not contents: a read of an open file sees what is written into it at once, where a copy in memory would have
to be compared with times that a kernel moves every few milliseconds; and nothing is mapped, because a mapped
file that another process truncates ends the process that reads it.

A descriptor is closed when nobody has its :class:`OpenFile` any more, so a thread that reads is never given
the next file that gets the same number.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import os
import time
from collections.abc import Iterable
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from perfcore._native.buffers import BufferPool, PooledBuffer
from perfcore._native.files import OpenFile
from perfcore._repr import safe_repr
from perfcore.io.forks import register
from perfcore.io.keeping import Kept, StreamStats, at_once, contents, limit_of_files
from perfcore.io.stream import Stream
from perfcore.io.tally import Tally
from perfcore.units import parse_size

__all__ = ["AnyPath", "StreamCache"]

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

#: attempts to read a file whole that others write at the same time
_ATTEMPTS: Final = 8
_CROWDED: Final = (errno.EMFILE, errno.ENFILE)


class StreamCache:
    """Reads files, and keeps open those read more than ``threshold`` times within ``window`` seconds.

    Each read looks first whether the path still leads to the same file in the same state (one ``stat``), so a
    file that was replaced, deleted, or may no longer be read is noticed by the next read; what is written
    into a file is seen in any case. ``check_interval`` seconds may pass between two looks if that is said: a
    file that was replaced may then be read in its old form for so long.

    At most ``max_files`` files (by default a quarter of the process's limit) of together ``max_bytes`` are
    kept; those read least are closed, and all that were not read often enough within a window. What is no
    regular file, or empty, is read as :func:`open` does. May be used from any thread and in a forked child.
    Raises ValueError and TypeError for options that make no sense.

    >>> with StreamCache(threshold=1) as streams:
    ...     for _ in range(3):
    ...         content = streams.read(os.__file__)
    ...     streams.stats().hits, len(content) == os.stat(os.__file__).st_size
    (1, True)
    """

    def __init__(
        self,
        max_files: int | None = None,
        max_bytes: int | str = "256MB",
        *,
        threshold: int = 50,
        window: float = 3600.0,
        check_interval: float = 0.0,
    ) -> None:
        self.max_files = limit_of_files() if max_files is None else max_files
        self.max_bytes, self.threshold = parse_size(max_bytes), threshold
        self.window, self.check_interval = window, check_interval
        for name, least in (("max_files", 1), ("threshold", 0), ("window", 0), ("check_interval", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"Expected a number, got `{type(value).__name__}` - at `{name}`")
            if not value >= least:
                raise ValueError(f"Expected a number >= {least}, got {value} - at `{name}`")
        self._always = check_interval == 0
        self._kept: dict[str | bytes, Kept] = {}
        self._tally = Tally(threshold, window, 4 * self.max_files)
        self._bytes = self._hits = self._plain = self._reopened = self._evicted = 0
        self._swept = time.monotonic()
        self._closed = False
        self._lock = Lock()
        register(self)

    # --- reading --------------------------------------------------------------------------------------------

    def read(self, path: AnyPath, /) -> bytes:
        """Return the content of a file. Raises what :func:`open` raises.

        >>> StreamCache().read("no such file")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'no such file'
        """
        name = path if type(path) is str else os.fspath(path)
        kept = self._kept.get(name)
        if kept is not None:
            try:
                data = kept.file.read(self._always or self._is_due(kept))
            except OSError:
                self._forget(name, kept)
                raise
            if data is not None:
                return data
        file = self._miss(name, kept)
        return self._plainly(name) if file is None else file.read(False)  # type: ignore[return-value]

    def read_range(self, path: AnyPath, offset: int, size: int, /) -> bytes:
        """Return at most ``size`` bytes of a regular file from ``offset`` on, fewer only at its end."""
        return self._file(path).read_range(offset, size)

    def read_into(self, path: AnyPath, buffer: Any, /, offset: int = 0) -> int:
        """Read a regular file from ``offset`` on into a writable buffer; return how many bytes."""
        return self._file(path).readinto(buffer, offset)

    def read_pooled(self, path: AnyPath, pool: BufferPool, /) -> PooledBuffer:
        """Return the content of a regular file in a buffer of ``pool``, which the caller releases.

        Raises ValueError for an empty file, and OSError when others write it all the time.
        """
        file = self._file(path)
        for attempt in range(_ATTEMPTS):
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise ValueError(f"the file is empty: {file.path!r}")
            buffer = pool.acquire(size)
            done = file.readinto(buffer)
            last = attempt == _ATTEMPTS - 1
            if done == size and (last or not file.read_range(size, 1)):
                return buffer
            buffer.release()
        raise OSError(errno.EAGAIN, "the file is being written", file.path)

    def open(self, path: AnyPath, /) -> Stream:
        """Return a raw binary stream over a regular file, with a position of its own."""
        return Stream(self._file(path))

    async def aread(self, path: AnyPath, /) -> bytes:
        """Read without holding up the event loop: what the page cache has at once, else in a thread.

        The look at the path is made by the loop; on a network file system that may take a round trip.
        """
        name = os.fspath(path)
        kept = self._kept.get(name)
        data = None if kept is None else at_once(kept.file)
        return await asyncio.to_thread(self.read, name) if data is None else data

    # --- which files are open -------------------------------------------------------------------------------

    def _is_due(self, kept: Kept) -> bool:
        now = time.monotonic()
        if now < kept.due:
            return False
        kept.due = now + self.check_interval
        return True

    def _file(self, path: AnyPath) -> OpenFile:
        """Return the open file of a path, kept or for this once."""
        name = os.fspath(path)
        kept = self._kept.get(name)
        if kept is not None:
            try:
                current = not (self._always or self._is_due(kept)) or kept.file.current()
            except OSError:
                self._forget(name, kept)
                raise
            if current:
                return kept.file
        return self._miss(name, kept) or self._open(name)

    def _miss(self, name: str | bytes, stale: Kept | None) -> OpenFile | None:
        """Return the file if it is to be kept open from now on, else None."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                raise ValueError("the stream cache is closed")
            self._plain += 1
            often = stale is not None or self._tally.note(name, now)
            self._reopened += stale is not None
        if stale is not None:
            self._forget(name, stale)
        if not often:
            return None
        try:
            file = self._open(name)
        except ValueError:  # a FIFO, a device, a folder
            return None
        if 0 < file.size <= self.max_bytes:  # what has no size may be made as it is read
            self._keep(name, file, now)
            return file
        return None

    def _keep(self, name: str | bytes, file: OpenFile, now: float) -> None:
        with self._lock:
            gone = [self._take(name)]
            if now - self._swept > self.window / 2:
                gone += self._sweep(now)
            if not self._closed:
                self._kept[name] = Kept(file, now, self.check_interval)
                self._bytes += file.size
            while len(self._kept) > self.max_files or self._bytes > self.max_bytes:
                gone += self._evict(1 + len(self._kept) // 16, spare=name)
        del gone  # closed without the lock

    def _take(self, name: str | bytes) -> Kept | None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._bytes -= kept.file.size
            self._hits += max(0, kept.file.reads - 1)
        return kept

    def _forget(self, name: str | bytes, kept: Kept) -> None:
        with self._lock:
            if self._kept.get(name) is kept:
                self._take(name)

    def _evict(self, count: int, spare: str | bytes | None = None) -> list[Kept | None]:
        """Take out the files that were read least (with the lock)."""
        others = (name for name in self._kept if name != spare or len(self._kept) == 1)
        least: Iterable[str | bytes] = heapq.nsmallest(count, others, key=lambda name: self._kept[name].reads)
        gone = [self._take(name) for name in least]
        self._evicted += len(gone)
        return gone

    def _sweep(self, now: float) -> list[Kept | None]:
        """Take out what was not read often enough in a window that has passed (with the lock)."""
        self._swept = now
        gone = []
        for name, kept in list(self._kept.items()):
            if now - kept.since >= self.window:
                if kept.reads <= self.threshold:
                    gone.append(self._take(name))
                kept.since, kept.before = now, kept.file.reads
        self._evicted += len(gone)
        return gone

    def _open(self, name: str | bytes) -> OpenFile:
        try:
            return OpenFile(name)
        except OSError as error:
            if error.errno not in _CROWDED or not self._shed():
                raise
        return OpenFile(name)

    def _plainly(self, name: str | bytes) -> bytes:
        try:
            return contents(name)
        except OSError as error:
            if error.errno not in _CROWDED or not self._shed():
                raise
        return contents(name)

    def _shed(self) -> bool:
        """Close half the files, because the process has no descriptor left; say whether there were any."""
        with self._lock:
            gone = self._evict((len(self._kept) + 1) // 2)
        return bool(gone)

    # --- looking around, and the end ------------------------------------------------------------------------

    def stats(self) -> StreamStats:
        """Return what was read so far and what is open now."""
        with self._lock:
            hits = self._hits + sum(max(0, kept.file.reads - 1) for kept in self._kept.values())
            return StreamStats(len(self._kept), self._bytes, hits, self._plain, self._reopened, self._evicted)

    def kept(self) -> dict[str | bytes, int]:
        """Return the paths of the files that are kept open, and how often each was read in this window."""
        with self._lock:
            return {name: kept.reads for name, kept in self._kept.items()}

    def forget(self, path: AnyPath, /) -> bool:
        """Close the file of a path; say whether it was kept open."""
        with self._lock:
            kept = self._take(os.fspath(path))
        return kept is not None

    def trim(self) -> int:
        """Close what was not read often enough in a window that has passed; return how many files."""
        with self._lock:
            gone = self._sweep(time.monotonic())
        return len(gone)

    def close(self) -> None:
        """Close all files; who is reading one, or has a stream over it, goes on. Closing twice is fine."""
        with self._lock:
            self._closed = True
            gone = [self._take(name) for name in list(self._kept)]
            self._tally.clear()
        del gone

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @safe_repr
    def __repr__(self) -> str:
        return f"<StreamCache: {len(self._kept)} files, {self._bytes} bytes>"
