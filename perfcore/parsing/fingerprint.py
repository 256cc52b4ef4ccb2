"""What tells an unchanged file without reading it."""

from __future__ import annotations

import os

from msgspec import Struct

__all__ = ["Fingerprint", "is_settled"]

#: How far a time stamp may lag behind the clock: the kernel stamps files with the time of its last tick (at
#: most 10 ms); file systems that keep whole seconds (FAT keeps two) show it by a stamp without a fraction.
_TICK_NS = 100_000_000
_WHOLE_SECONDS_NS = 2_000_000_000
_U64 = 2**64 - 1  # what msgpack can store; a file may claim to be from any year


class Fingerprint(Struct, frozen=True, gc=False, array_like=True):
    """Identity of a file's content as ``stat`` sees it.

    The change time is in it because programs can set the modification time back (tar, rsync, ``touch -r``),
    but nobody can set the change time.
    """

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Fingerprint:
        """Return the fingerprint in a ``stat`` result."""
        return cls(stat.st_mtime_ns & _U64, stat.st_ctime_ns & _U64, stat.st_size, stat.st_ino)


def is_settled(fingerprint: Fingerprint, read_ns: int) -> bool:
    """Say whether a change after the moment ``read_ns`` (Unix time) is sure to change the fingerprint.

    A file written twice within one tick of the clock keeps its time stamp, so what was read that soon after a
    change cannot be trusted by its fingerprint alone; git calls such an entry racily clean.
    """
    coarse = fingerprint.ctime_ns % 1_000_000_000 == 0
    return fingerprint.ctime_ns + (_WHOLE_SECONDS_NS if coarse else _TICK_NS) < read_ns
