"""Which processes use a cache directory: each holds a shared lock, so that one can know when it is alone.

Being alone is what allows a process to look a file over before LMDB maps it, and to put a damaged one aside
without pulling it from under another. The locks are POSIX record locks: unlike ``flock`` they change from
exclusive to shared in one step, are not inherited by a forked child, and are gone when the process dies
however it dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from time import monotonic, sleep

__all__ = ["Membership"]

#: How long to wait for a process that is looking the file over: 1 GB takes it about a second.
_PATIENCE = 15.0


class Membership:
    """This process's part in one directory; record locks allow it only one of these."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "members.lock"
        self._file: int | None = None

    def join(self) -> bool:
        """Become a member; True if there is no other, and none can join until :meth:`share`.

        Raises :exc:`OSError` when the lock file cannot be made, :exc:`TimeoutError` when another process
        keeps it.
        """
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        limit = monotonic() + _PATIENCE
        while True:
            if self._lock(fcntl.LOCK_EX):
                return True
            if self._lock(fcntl.LOCK_SH):
                return False
            if monotonic() > limit:
                raise TimeoutError("another process keeps the directory to itself")
            sleep(0.01)

    def share(self) -> None:
        """Let others join."""
        self._lock(fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Try to become the only member: True if there is no other, and none can join until :meth:`share`."""
        return self._lock(fcntl.LOCK_EX)

    def leave(self) -> None:
        """Stop being a member; in a forked child, close what was inherited."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, kind: int) -> bool:
        if self._file is None:
            return False
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
