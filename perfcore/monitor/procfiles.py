"""The files of ``/proc``, kept open, and what stands in them.

``pread`` on a file that is kept open takes 1 to 4 µs where psutil, which opens and parses it anew, takes 20
to 140. What is missing or makes no sense is None: older kernels, containers and sandboxes leave things out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "DiskCounts",
    "ProcFile",
    "connections",
    "cpu_times",
    "disk_counts",
    "memory_table",
    "network_counts",
    "process_stat",
]

_CHUNK = 16_384
_HEAD = 512
_SECTOR = 512  # the unit of diskstats, whatever the disk's own sectors are
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcFile:
    """A file that is opened at the first :meth:`read` and again after a failure or a fork.

    (What ``/proc/self`` means is decided when it is opened: a child would read of its parent.)
    """

    _file = -1  # also of one whose making has failed

    def __init__(self, path: str) -> None:
        self._path = path
        self._process = 0

    def read(self) -> bytes | None:
        """Return what stands there now, or None when there is no such file."""
        try:
            if self._file < 0 or self._process != os.getpid():
                self._open()
            return b"".join(self._chunks())
        except OSError:
            self.close()
            return None

    def head(self) -> bytes | None:
        """Return what one read gives: all of a file that is a few lines long."""
        try:
            if self._file < 0 or self._process != os.getpid():
                self._open()
            return os.pread(self._file, _HEAD, 0)
        except OSError:
            self.close()
            return None

    def _open(self) -> None:
        self.close()
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._process = os.getpid()

    def _chunks(self) -> Iterator[bytes]:
        place = 0  # a short read is no end: the kernel hands out a page of whole lines at a time
        while chunk := os.pread(self._file, _CHUNK, place):
            yield chunk
            place += len(chunk)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        file, self._file = self._file, -1
        if file >= 0:
            try:
                os.close(file)
            except OSError:
                pass

    def __del__(self) -> None:
        self.close()


def cpu_times(text: bytes | None) -> tuple[float, float] | None:
    """Return (busy, all) seconds of all processors from ``/proc/stat``; waiting for a disk is not busy."""
    fields = _numbers(_line(text, b"cpu "))
    if len(fields) < 4:
        return None
    whole = sum(fields[:8])  # guests are in user time already
    idle = fields[3] + (fields[4] if len(fields) > 4 else 0)
    return (whole - idle) / _TICKS, whole / _TICKS


def memory_table(text: bytes | None) -> dict[str, int]:
    """Return the lines of ``/proc/meminfo`` in bytes."""
    found = {}
    for line in (text or b"").splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name.decode("ascii", "replace")] = int(words[0]) * (1024 if words[1:] == [b"kB"] else 1)
    return found


class DiskCounts(NamedTuple):
    """What a disk has done: bytes read and written, operations, seconds in which it was busy (if known)."""

    read: float
    written: float
    operations: float
    busy: float | None


def disk_counts(text: bytes | None) -> dict[str, DiskCounts]:
    """Return the counts of each block device of ``/proc/diskstats``, partitions and loop devices included."""
    found = {}
    for line in (text or b"").splitlines():
        words = line.split()
        n = _numbers(words[3:])
        if len(n) >= 10:
            found[words[2].decode("utf-8", "replace")] = DiskCounts(
                n[2] * _SECTOR, n[6] * _SECTOR, n[0] + n[4], n[9] / 1000
            )
    return found


def network_counts(text: bytes | None) -> dict[str, tuple[float, float]]:
    """Return (received, sent) bytes of each interface of ``/proc/net/dev``."""
    found: dict[str, tuple[float, float]] = {}
    for line in (text or b"").splitlines():
        name, colon, rest = line.rpartition(b":")
        n = _numbers(rest.split())
        if colon and len(n) >= 9:
            found[name.strip().decode("utf-8", "replace")] = (float(n[0]), float(n[8]))
    return found


def connections(*texts: bytes | None) -> float | None:
    """Return the TCP sockets in use from ``/proc/net/sockstat`` and ``sockstat6``; a walk over all processes
    would take 10 ms.
    """
    counts = [
        int(words[words.index(b"inuse") + 1])
        for text in texts
        for line in (text or b"").splitlines()
        if line.startswith((b"TCP:", b"TCP6:")) and b"inuse" in (words := line.split())[:-1]
    ]
    return float(sum(counts)) if counts else None


def process_stat(text: bytes | None) -> tuple[float, float, float] | None:
    """Return CPU seconds, threads and resident bytes from ``/proc/self/stat``."""
    # the second field is the program's name in brackets, and may hold anything
    n = _numbers((text or b"").rpartition(b")")[2].split()[1:])
    if len(n) < 21:
        return None
    return (n[10] + n[11]) / _TICKS, float(n[16]), float(n[20] * _PAGE)


def _line(text: bytes | None, start: bytes) -> list[bytes]:
    lines = (line for line in (text or b"").splitlines() if line.startswith(start))
    return next(lines, b"").split()[1:]


def _numbers(words: list[bytes]) -> list[int]:
    try:
        return [int(word) for word in words]
    except ValueError:
        return []
