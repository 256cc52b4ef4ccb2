"""What the control groups of this process allow and have used: cgroup v2 and v1, as containers set them.

In a container ``/proc/meminfo`` and ``/proc/stat`` tell of the machine; what ends the process is the limit of
its group, or of one around it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from perfcore._repr import safe_repr

__all__ = [
    "MEMBERSHIP",
    "ROOT",
    "CPUUse",
    "ControlGroup",
    "group_directories",
    "memory_limits",
    "read_number",
]

MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")

_MEMORY_LIMITS = ("memory.max", "memory.limit_in_bytes")
_MEMORY_USES = ("memory.current", "memory.usage_in_bytes")
#: Page cache that the kernel gives up first; the memory in use without it is what is short when it is short.
_RECLAIMABLE = ("total_inactive_file", "inactive_file")


class CPUUse(NamedTuple):
    """Seconds of CPU that a group has used, and its scheduling periods, of which some were throttled."""

    seconds: float
    periods: int
    throttled: int


def group_directories(controller: str, membership: Path = MEMBERSHIP, root: Path = ROOT) -> list[Path]:
    """Return the directories of this process's control group and of those around it, the innermost first.

    Below ``root`` there is a tree for each controller (v1), one for all (v2), or both.
    """
    try:
        groups = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return []
    found: list[Path] = []
    for _, controllers, path in groups:
        if not controllers or controller in controllers.split(","):
            base = root / controllers
            group = base / path.lstrip("/")
            parents = [parent for parent in group.parents if parent.is_relative_to(base)]
            found += dict.fromkeys((group, *parents, base))
    return found


def read_number(path: Path) -> int | None:
    """Return the number in a file, or None when there is no file, or no number in it ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def memory_limits(membership: Path = MEMBERSHIP, root: Path = ROOT) -> list[int]:
    """Return the memory limits of this process's group and of those around it, in bytes."""
    return [limit for limit, _ in _limited(membership, root)]


class ControlGroup:
    """This process's groups as they are now: their limits, and where they tell what they have used.

    Finding the files takes some 0.5 ms and reading them a tenth of that, so keep one for a while; not for
    ever, because limits can be changed and processes moved.
    """

    def __init__(self, membership: Path = MEMBERSHIP, root: Path = ROOT) -> None:
        limited = _limited(membership, root)
        #: The least memory limit in bytes, None where there is none.
        self.memory_limit = min(limited)[0] if limited else None
        limits = [_quota(directory) for directory in group_directories("cpu", membership, root)]
        #: The cores that may be used, as in 1.5; None where there is no limit.
        self.cpu_limit = min((limit for limit in limits if limit is not None), default=None)
        tightest = [min(limited)[1]] if limited else []
        self._memory = _first([*tightest, *group_directories("memory", membership, root)], _MEMORY_USES)
        accounts = group_directories("cpuacct", membership, root)
        self._seconds = _first(accounts, ("cpuacct.usage",))
        self._account = next((path / "cpu.stat" for path in accounts if _told(path, "usage_usec")), None)
        scheduled = group_directories("cpu", membership, root)
        self._periods = next((path / "cpu.stat" for path in scheduled if _told(path, "nr_periods")), None)

    @safe_repr
    def __repr__(self) -> str:
        return f"<ControlGroup: memory {self.memory_limit}, processors {self.cpu_limit}>"

    def memory_use(self) -> int | None:
        """Return the bytes in use in the group with the least limit (the innermost, where none has one),
        without the page cache that is given up first; None where no group tells.
        """
        used = None if self._memory is None else read_number(self._memory)
        if self._memory is None or used is None:
            return None
        stat = _table(self._memory.with_name("memory.stat"))
        return max(0, used - next((stat[name] for name in _RECLAIMABLE if name in stat), 0))

    def cpu_use(self) -> CPUUse | None:
        """Return what the innermost group that tells has used; None where none does."""
        seconds = self._cpu_seconds()
        if seconds is None:
            return None
        stat = {} if self._periods is None else _table(self._periods)
        return CPUUse(seconds, stat.get("nr_periods", 0), stat.get("nr_throttled", 0))

    def _cpu_seconds(self) -> float | None:
        if self._account is not None:
            microseconds = _table(self._account).get("usage_usec")
            return None if microseconds is None else microseconds / 1e6
        nanoseconds = None if self._seconds is None else read_number(self._seconds)
        return None if nanoseconds is None else nanoseconds / 1e9


def _first(directories: list[Path], names: tuple[str, ...]) -> Path | None:
    files = (directory / name for directory in directories for name in names)
    return next((file for file in files if read_number(file) is not None), None)


def _told(directory: Path, name: str) -> bool:
    return name in _table(directory / "cpu.stat")


def _limited(membership: Path, root: Path) -> list[tuple[int, Path]]:
    return [
        (limit, directory)
        for directory in group_directories("memory", membership, root)
        for name in _MEMORY_LIMITS
        if (limit := read_number(directory / name)) is not None
    ]


def _quota(directory: Path) -> float | None:
    try:
        quota, period = (directory / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota = str(read_number(directory / "cpu.cfs_quota_us"))
        period = str(read_number(directory / "cpu.cfs_period_us"))
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return cores if cores > 0 else None  # -1 is no limit


def _table(path: Path) -> dict[str, int]:
    """Return a file of lines with a name and a number; empty where there is none."""
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
    except (OSError, ValueError):
        return {}
