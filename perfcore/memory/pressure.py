"""How close the process is to the memory it may use, and giving memory back before the system takes it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.cgroups import MEMBERSHIP, ROOT, ControlGroup, group_directories, memory_limits

__all__ = ["MemoryWatch", "Pressure", "memory_limit", "memory_pressure", "memory_stalled"]

log = logger("memory")

#: A look costs about 20 µs and a full collection milliseconds; memory does not fill up faster than this.
_INTERVAL = 1.0
_PSI_FILES = ("memory.pressure",)


class Pressure(NamedTuple):
    """Memory in use and allowed, in bytes; ``stalled`` is the share of the last ten seconds (0-100) in which
    some task of the control group, or of the machine, waited for memory, None where the kernel does not tell.

    Where the limit is a control group's, all that the group uses counts, other processes and shared
    memory too, but not the page cache that is given up first: that sum is what ends a container.
    """

    used: int
    limit: int
    stalled: float | None

    @property
    def share(self) -> float:
        """What is used of what is allowed, from 0 to 1."""
        return self.used / self.limit


def memory_pressure() -> Pressure:
    """Return how close this process is to its memory limit.

    >>> 0 < memory_pressure().share < 1
    True
    """
    return _pressure(MEMBERSHIP, ROOT)


def _pressure(membership: Path, root: Path) -> Pressure:
    group, machine = ControlGroup(membership, root), _machine_memory()
    used, limit = _used(), machine
    if group.memory_limit is not None and group.memory_limit <= machine:
        used, limit = max(used, group.memory_use() or 0), group.memory_limit
    return Pressure(used, limit, _stalled(membership, root))


class MemoryWatch:
    """Calls ``relieve`` while the process uses more than the share ``threshold`` of the memory it may use."""

    def __init__(self, threshold: float, relieve: Callable[[], object]) -> None:
        self._threshold = threshold
        self._relieve = relieve
        self._next_look = 0.0
        self._warned = False

    @safe_repr
    def __repr__(self) -> str:
        return f"<MemoryWatch: above {self._threshold:.0%}>"

    def look(self) -> None:
        """Check memory use if the last check is long enough ago."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _INTERVAL
        if self._pressed():
            gc.collect()
            if self._pressed():
                self._relieve()
                self._say_once()

    def _pressed(self) -> bool:
        return _used() > self._threshold * memory_limit()

    def _say_once(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning("memory use is above %.0f %% of the limit", self._threshold * 100)


def memory_limit() -> int:
    """Return the bytes that this process may use: the least limit of its control groups and the machine.

    >>> memory_limit() > 0
    True
    """
    return min([_machine_memory(), *memory_limits()])


def memory_stalled() -> float | None:
    """Return the share of the last ten seconds (0-100) in which some task waited for memory, or None.

    >>> stalled = memory_stalled()
    >>> stalled is None or 0 <= stalled <= 100
    True
    """
    return _stalled(MEMBERSHIP, ROOT)


def _machine_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _used() -> int:
    """Return the resident set in bytes. Linux tells it in a file; loading psutil takes 20 ms."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import psutil  # type: ignore[import-untyped]

        used: int = psutil.Process().memory_info().rss
        return used


def _stalled(membership: Path, root: Path) -> float | None:
    """Return the ten-second average of memory stalls (PSI) of the innermost group that tells, or of the
    machine.
    """
    files = [
        directory / name for directory in group_directories("memory", membership, root) for name in _PSI_FILES
    ]
    for path in [*files, Path("/proc/pressure/memory")]:
        try:
            words = path.read_text().split()
            return float(words[1].removeprefix("avg10="))  # "some avg10=0.00 ...": the first line
        except (OSError, ValueError, IndexError):
            continue
    return None
