"""Three words that all processes on a directory see, and that move when something ceases to be valid.

A memory tier above the disk can look at them on each hit for the price of two loads, and ask the disk again
when one has moved. The words are random, not counted up: two processes that move one at the same time need
no lock between them, and no reader can take two moves for none.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from random import getrandbits
from threading import Lock

__all__ = ["Epochs"]

_BYTES = 24


class Epochs:
    """The words of one directory; private ones where the directory cannot be used."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "epoch"
        self._lock = Lock()
        self._words: memoryview | None = None

    def read(self) -> tuple[int, int]:
        """Return the words that move with removals and with replacements."""
        words = self._words or self._open()
        return words[0], words[1]

    def words(self) -> memoryview:
        """Return the words themselves; the third moves with every record of the journal."""
        return self._words or self._open()

    def moved(self, *, removals: int, replacements: int, noted: bool = False) -> None:
        """Tell all processes of what was committed just now; ``noted`` says that the journal tells it too."""
        words = self._words or self._open()
        if removals:
            words[0] = getrandbits(64)
        if replacements:
            words[1] = getrandbits(64)
        if noted:
            words[2] = getrandbits(64)

    def again(self) -> memoryview:
        """Map the words again where that failed before; returns them."""
        with self._lock:
            if self._words is None or isinstance(self._words.obj, bytearray):
                self._words = memoryview(self._map()).cast("Q")
            return self._words

    def _open(self) -> memoryview:
        with self._lock:
            if self._words is None:
                self._words = memoryview(self._map()).cast("Q")
            return self._words

    def _map(self) -> mmap.mmap | bytearray:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _BYTES)  # a hole on a full disk would be a SIGBUS
                return mmap.mmap(descriptor, _BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            return bytearray(_BYTES)

    def forked(self) -> None:
        """In a forked child: the map is shared, the lock is not."""
        self._lock = Lock()
