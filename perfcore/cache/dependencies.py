"""What ``depends_on=`` names: other keys of the cache, and files by what ``stat`` says of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePath
from time import monotonic
from typing import Any, TypeAlias

__all__ = ["MOST", "FileState", "Files", "sort_out"]

#: ``(path, mtime_ns, size, inode)``; a file that is missing is in state ``(path, 0, -1, 0)``.
FileState: TypeAlias = tuple[str, int, int, int]

#: Marks and files that one entry may carry, those of what it depends on included.
MOST = 64
#: Files whose last look is remembered.
_REMEMBERED = 10_000


def sort_out(depends_on: Any) -> tuple[list[Any], list[str]]:
    """Return the keys and the absolute paths in ``depends_on``: one of them, or any number.

    A file is a :class:`pathlib.Path`; anything else is a key. Raises :exc:`ValueError` for too many.

    >>> sort_out("user:1"), sort_out(["a", PurePath("/etc/hosts")])
    ((['user:1'], []), (['a'], ['/etc/hosts']))
    """
    several = isinstance(depends_on, Iterable) and not isinstance(depends_on, str | bytes | tuple | PurePath)
    found = list(depends_on) if several else [depends_on]
    if isinstance(depends_on, tuple):
        found = list(depends_on)
    if len(found) > MOST:
        raise ValueError(f"depends_on: at most {MOST} dependencies, got {len(found)}")
    paths = [os.path.abspath(one) for one in found if isinstance(one, PurePath)]  # noqa: PTH100  # no link is followed
    return [one for one in found if not isinstance(one, PurePath)], paths


class Files:
    """Looks at files no more often than every ``interval`` seconds each."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._looked: dict[str, tuple[float, FileState]] = {}

    def state(self, path: str) -> FileState:
        """Return the state of a file as it is now."""
        try:
            found = os.stat(path)  # noqa: PTH116
            state = path, found.st_mtime_ns, found.st_size, found.st_ino
        except OSError:
            state = path, 0, -1, 0
        if len(self._looked) >= _REMEMBERED:
            self._looked.clear()
        self._looked[path] = monotonic(), state
        return state

    def same(self, states: Iterable[FileState]) -> bool:
        """Say whether all files are as in ``states``, as far as is known since the last look."""
        now = monotonic()
        for state in states:
            looked = self._looked.get(state[0])
            if looked is not None and now - looked[0] < self._interval:
                found = looked[1]
            else:
                found = self.state(state[0])
            if found != state:
                return False
        return True
