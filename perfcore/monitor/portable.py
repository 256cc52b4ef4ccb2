"""The collectors' raw figures through psutil, for systems that are not Linux.

It takes 20 to 140 µs a figure, which is why Linux is read directly. What a system does not tell psutil is not
there: disks of macOS do not say how long they were busy, and sockets of other processes take privileges.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]

from perfcore.monitor.machine import Memory
from perfcore.monitor.procfiles import DiskCounts

__all__ = ["PortableMachine"]

_LOOPBACK = ("lo", "lo0", "Loopback Pseudo-Interface 1")


class PortableMachine:
    """What psutil knows of this machine and this process; see :class:`.Machine`."""

    def __init__(self) -> None:
        self._process: Any = None

    def cpu_times(self) -> tuple[float, float] | None:
        """See :class:`.Machine`; waiting for a disk is not busy, and guests are in user time already."""
        times = _asked(psutil.cpu_times)
        if times is None:
            return None
        fields = times._asdict()
        whole = sum(value for name, value in fields.items() if not name.startswith("guest"))
        return whole - fields["idle"] - fields.get("iowait", 0.0), whole

    def load(self) -> float | None:
        """See :class:`.Machine`."""
        loads = _asked(psutil.getloadavg)
        return None if loads is None else float(loads[0])

    def frequency(self) -> float | None:
        """See :class:`.Machine`."""
        found = _asked(psutil.cpu_freq)
        return None if found is None or not found.current else float(found.current)

    def memory(self) -> Memory:
        """See :class:`.Machine`."""
        found = _asked(psutil.virtual_memory)
        if found is None:
            return Memory()
        return Memory(
            found.total, found.available, getattr(found, "cached", None), getattr(found, "buffers", None)
        )

    def disks(self, anew: bool) -> dict[str, DiskCounts]:
        """See :class:`.Machine`."""
        found = _asked(psutil.disk_io_counters, perdisk=True, nowrap=False) or {}
        return {
            name: DiskCounts(
                one.read_bytes,
                one.write_bytes,
                one.read_count + one.write_count,
                one.busy_time / 1000 if hasattr(one, "busy_time") else None,
            )
            for name, one in found.items()
        }

    def interfaces(self, anew: bool) -> dict[str, tuple[float, float]]:
        """See :class:`.Machine`."""
        found = _asked(psutil.net_io_counters, pernic=True, nowrap=False) or {}
        return {
            name: (float(one.bytes_recv), float(one.bytes_sent))
            for name, one in found.items()
            if name not in _LOOPBACK
        }

    def connections(self) -> float | None:
        """Return None: psutil walks over every socket for that, which takes milliseconds and privileges."""
        return None

    def process(self) -> tuple[float, float, float] | None:
        """See :class:`.Machine`."""
        process = self._this()
        times, memory, threads = (
            _asked(ask) for ask in (process.cpu_times, process.memory_info, process.num_threads)
        )
        if times is None or memory is None or threads is None:
            return None
        return times.user + times.system, float(threads), float(memory.rss)

    def open_files(self) -> float | None:
        """See :class:`.Machine`; on Windows its handles."""
        process = self._this()
        found = _asked(getattr(process, "num_fds", None) or process.num_handles)
        return None if found is None else float(found)

    def _this(self) -> Any:
        if self._process is None or self._process.pid != os.getpid():  # a forked child is another one
            self._process = psutil.Process()
        return self._process


def _asked(ask: Callable[..., Any], **options: Any) -> Any:
    """Return what psutil says, or None when the system will not tell."""
    try:
        return ask(**options)
    except (psutil.Error, OSError, NotImplementedError, RuntimeError):
        return None
