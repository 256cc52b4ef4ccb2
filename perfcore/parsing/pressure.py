"""Gives memory back before the system takes it: garbage first, then what can be had again."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

from perfcore._log import logger

__all__ = ["MemoryWatch", "memory_limit"]

log = logger("parsing")

#: A look costs about 20 µs and a full collection milliseconds; memory does not fill up faster than this.
_INTERVAL = 1.0
_CGROUP_FILES = ("memory.max", "memory.limit_in_bytes")


class MemoryWatch:
    """Calls ``relieve`` while the process uses more than the share ``threshold`` of the memory it may use."""

    def __init__(self, threshold: float, relieve: Callable[[], object]) -> None:
        self._threshold = threshold
        self._relieve = relieve
        self._next_look = 0.0
        self._warned = False

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
            log.warning(
                "memory use is above %.0f %% of the limit: cached results given up", self._threshold * 100
            )


def memory_limit() -> int:
    """Return the bytes that this process may use: the least limit of its control groups and the machine."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_cgroup_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _used() -> int:
    """Return the resident set in bytes. Linux tells it in a file; loading psutil takes 20 ms."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import psutil  # type: ignore[import-untyped]

        used: int = psutil.Process().memory_info().rss
        return used


def _cgroup_limits(membership: Path, root: Path) -> list[int]:
    """Return the memory limits of this process's control group and of those around it (v2, v1)."""
    try:
        groups = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return []
    limits = []
    for _, controllers, path in groups:
        if controllers not in ("", "memory"):
            continue
        base = root / controllers
        group = base / path.lstrip("/")
        for directory in {base, group, *(parent for parent in group.parents if parent.is_relative_to(base))}:
            limits += [
                limit for name in _CGROUP_FILES if (limit := _read_limit(directory / name)) is not None
            ]
    return limits


def _read_limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such group here, or "max"
        return None
