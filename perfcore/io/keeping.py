"""What a stream cache keeps of a file, how many it may keep, and the two ways to read one."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from perfcore._native.files import OpenFile

__all__ = ["Kept", "StreamStats", "at_once", "contents", "limit_of_files"]

#: bytes that an event loop may copy from the page cache without asking a thread
_INLINE: Final = 1 << 20


class StreamStats(NamedTuple):
    """What a stream cache did so far and holds now; ``bytes`` are those of the files that it keeps open."""

    files: int
    bytes: int
    hits: int  # reads of files that were open
    plain: int  # other reads
    reopened: int  # a path led to something else, or to a changed file
    evicted: int  # closed for want of room


class Kept:
    """A file that is kept open, and the window in which its reads are counted."""

    __slots__ = ("before", "due", "file", "since")

    def __init__(self, file: OpenFile, now: float, interval: float) -> None:
        self.file, self.due = file, now + interval
        self.since, self.before = now, 0  # when its window began, and its reads until then

    @property
    def reads(self) -> int:
        """How often it was read in this window."""
        return self.file.reads - self.before


def limit_of_files() -> int:
    """Return how many files to keep open by default: a quarter of the process's limit, at most 4096.

    >>> 1 <= limit_of_files() <= 4096
    True
    """
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, OSError, ValueError):
        return 256
    return 4096 if soft < 0 else max(1, min(4096, soft // 4))


def contents(name: str | bytes) -> bytes:
    """Return the content of a file by opening it."""
    with open(name, "rb") as file:  # noqa: PTH123 - which is given bytes, too
        return file.read()


def at_once(file: OpenFile) -> bytes | None:
    """Return the content if the path leads to the file still and all of it is in the page cache."""
    size = file.size
    if size > _INLINE or not hasattr(os, "RWF_NOWAIT"):
        return None
    buffer = bytearray(size + 1)
    try:
        if os.preadv(file.fileno(), [buffer], 0, os.RWF_NOWAIT) == size:
            return file.read()  # which looks at the path, too
    except OSError:  # would block, or is not supported; or the thread is to say what is wrong
        pass
    return None
