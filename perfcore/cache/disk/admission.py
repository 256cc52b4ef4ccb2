"""Admission: a disk under a memory tier need not take what is asked for once.

In traces of storage, web and database workloads two to eight of ten keys are seen once; each would cost a
commit and push an older entry out. A key is let in when it comes for the second time.
"""

from __future__ import annotations

from threading import Lock

__all__ = ["Doorkeeper"]

#: Two filters of 256 KB, each for so many keys: 16 bits and 4 probes a key leave one wrong answer in 400,
#: which lets a key in too early.
_KEYS, _BITS, _PROBES = 131_072, 21, 4


class Doorkeeper:
    """Remembers the last hundred thousand keys or two in a pair of Bloom filters that take turns."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._old = self._new = bytearray()

    def seen(self, name: bytes) -> bool:
        """Say whether ``name`` (a digest) came before, lately, and remember it."""
        bits = int.from_bytes(name[-11:], "big")
        probes = [(bits >> _BITS * turn) & ((1 << _BITS) - 1) for turn in range(_PROBES)]
        with self._lock:
            if not self._new or self._count == _KEYS:
                fresh = bytearray(1 << _BITS - 3)
                self._old, self._new, self._count = self._new or fresh, bytearray(fresh), 0
            known = _has(self._new, probes)
            if not known:
                self._count += 1
                for probe in probes:
                    self._new[probe >> 3] |= 1 << (probe & 7)
            return known or _has(self._old, probes)

    def forked(self) -> None:
        """In a forked child: the lock is the parent's."""
        self._lock = Lock()


def _has(field: bytearray, probes: list[int]) -> bool:
    return all(field[probe >> 3] >> (probe & 7) & 1 for probe in probes)
