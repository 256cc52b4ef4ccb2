"""Where the collectors' raw figures come from: Linux' own files, and psutil where there are none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from perfcore.monitor.procfiles import (
    DiskCounts,
    ProcFile,
    connections,
    cpu_times,
    disk_counts,
    memory_table,
    network_counts,
    process_stat,
)

__all__ = ["LinuxMachine", "Machine", "Memory", "this_machine"]


class Memory(NamedTuple):
    """Bytes of memory; None is not known."""

    total: float | None = None
    available: float | None = None
    cached: float | None = None
    buffers: float | None = None


class Machine(Protocol):
    """What a collector asks for; what cannot be told is None, or not there. ``anew`` asks again what is
    remembered of devices.
    """

    def cpu_times(self) -> tuple[float, float] | None:
        """Return (busy, all) seconds of all processors."""

    def load(self) -> float | None:
        """Return the load of the last minute."""

    def frequency(self) -> float | None:
        """Return the mean frequency of the processors, in MHz."""

    def memory(self) -> Memory:
        """Return the machine's memory."""

    def disks(self, anew: bool) -> dict[str, DiskCounts]:
        """Return the counts of each disk, without partitions and what stands on others."""

    def interfaces(self, anew: bool) -> dict[str, tuple[float, float]]:
        """Return (received, sent) bytes of each interface to other machines."""

    def connections(self) -> float | None:
        """Return the TCP sockets in use."""

    def process(self) -> tuple[float, float, float] | None:
        """Return CPU seconds, threads and resident bytes of this process."""

    def open_files(self) -> float | None:
        """Return how many files this process has open."""


def this_machine() -> Machine:
    """Return where to ask on this machine."""
    if Path("/proc/self/stat").exists():
        return LinuxMachine()
    from perfcore.monitor.portable import PortableMachine

    return PortableMachine()


class LinuxMachine:
    """Reads the files of ``/proc``, which it keeps open, and looks devices up in ``/sys``."""

    def __init__(self) -> None:
        self._stat, self._load = ProcFile("/proc/stat"), ProcFile("/proc/loadavg")
        self._memory, self._disks = ProcFile("/proc/meminfo"), ProcFile("/proc/diskstats")
        self._devices, self._process = ProcFile("/proc/self/net/dev"), ProcFile("/proc/self/stat")
        self._sockets = ProcFile("/proc/self/net/sockstat"), ProcFile("/proc/self/net/sockstat6")
        self._whole, self._wired = _Hardware("block"), _Hardware("net")

    def cpu_times(self) -> tuple[float, float] | None:
        """See :class:`Machine`."""
        return cpu_times(self._stat.read())

    def load(self) -> float | None:
        """See :class:`Machine`."""
        try:
            return float((self._load.read() or b"").split()[0])
        except (ValueError, IndexError):
            return None

    def frequency(self) -> float | None:
        """See :class:`Machine`."""
        files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
        try:
            found = [int(file.read_text()) / 1000 for file in files]
            if not found:
                lines = Path("/proc/cpuinfo").read_text().splitlines()
                found = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
        except (OSError, ValueError):
            return None
        return sum(found) / len(found) if found else None

    def memory(self) -> Memory:
        """See :class:`Machine`."""
        table = memory_table(self._memory.read())
        return Memory(*map(table.get, ("MemTotal", "MemAvailable", "Cached", "Buffers")))

    def disks(self, anew: bool) -> dict[str, DiskCounts]:
        """See :class:`Machine`."""
        found = disk_counts(self._disks.read())
        return {name: found[name] for name in self._whole.among(found, anew)}

    def interfaces(self, anew: bool) -> dict[str, tuple[float, float]]:
        """See :class:`Machine`; hardware where there is any: what runs through a bridge or a tunnel would be
        counted twice.
        """
        found = network_counts(self._devices.read())
        found.pop("lo", None)
        return {name: found[name] for name in self._wired.among(found, anew) or found}

    def connections(self) -> float | None:
        """See :class:`Machine`."""
        return connections(*(file.read() for file in self._sockets))

    def process(self) -> tuple[float, float, float] | None:
        """See :class:`Machine`."""
        return process_stat(self._process.read())

    def open_files(self) -> float | None:
        """See :class:`Machine`."""
        try:
            size = Path("/proc/self/fd").stat().st_size  # the number of files, from Linux 6.2 on
            return float(size or len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - no object for each
        except OSError:
            return None


class _Hardware:
    """Which block devices or interfaces are whole ones, and not made of others by the kernel."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._known: dict[str, bool] = {}

    def among(self, names: Iterable[str], anew: bool) -> list[str]:
        """Return those of ``names`` that are; the kernel is asked once for each name, and ``anew`` again."""
        if anew:
            self._known = {}
        return [name for name in names if self._is(name)]

    def _is(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            entry = name.replace("/", "!")  # as sysfs spells "cciss/c0d0"
            device = Path("/sys/class", self._kind, entry)
            made = Path("/sys/devices/virtual", self._kind, entry).exists()
            known = device.exists() and not made and not (device / "partition").exists()
            self._known[name] = known
        return known
