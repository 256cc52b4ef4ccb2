"""Collectors of the machine: processors, memory, disks, network, control group, this process.

A collector says what it measured now, by field; what it could not is None. It is called by one thread, at its
own interval, and keeps what it needs for the next time. Where they come from is :mod:`.machine`'s business.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeAlias

from perfcore._repr import safe_repr
from perfcore.cgroups import ControlGroup
from perfcore.monitor.machine import Machine, this_machine
from perfcore.monitor.rates import Increase, Rates, share

__all__ = [
    "CPUCollector",
    "Collector",
    "ContainerCollector",
    "DiskCollector",
    "MemoryCollector",
    "NetworkCollector",
    "ProcessCollector",
    "Values",
]

#: What a collector measured, by field.
Values: TypeAlias = Mapping[str, float | None]

#: Looks between two readings of what hardly moves or is dear to read: frequency, limits, names of devices.
_SELDOM = 30
#: Intervals after which a look begins anew: one that was late is no gap yet.
_PATIENCE = 3.0


class Collector:
    """Base of all collectors: what they measure stands under ``place``, every ``interval`` seconds.

    A collector of one's own derives from it and is given to :meth:`.MetricsCollector.add`; its ``place`` is a
    name, and its values are ``custom.<place>.<field>``. Raises ValueError when the interval is not positive.

    >>> class Orders(Collector):
    ...     place = "orders"
    ...     def collect(self, now):
    ...         return {"open": 17}
    >>> Orders(interval=5.0).collect(0.0)
    {'open': 17}
    """

    #: Where the values belong; see above.
    place = ""

    def __init__(self, interval: float = 1.0) -> None:
        if not interval > 0:
            raise ValueError(f"interval must be positive, got {interval!r}")
        self.interval = float(interval)
        self._looks = 0

    @safe_repr
    def __repr__(self) -> str:
        return f"<{type(self).__name__}: every {self.interval:g} s>"

    def collect(self, now: float) -> Values:
        """Return what is measured at the monotonic time ``now``; what it raises is logged once, and a gap."""
        raise NotImplementedError

    def _rates(self) -> Rates:
        return Rates(_PATIENCE * self.interval)

    def _seldom(self) -> bool:
        self._looks += 1
        return self._looks % _SELDOM == 1


class CPUCollector(Collector):
    """Usage of the processors, their number, frequency and load."""

    place = "system.cpu"

    def __init__(self, interval: float = 1.0, machine: Machine | None = None) -> None:
        super().__init__(interval)
        self._machine = machine or this_machine()
        self._times = self._rates()
        self._frequency: float | None = None

    def collect(self, now: float) -> Values:
        """See :class:`.CPUMetrics`."""
        if self._seldom():
            self._frequency = self._machine.frequency()
        times = self._machine.cpu_times()
        grown = self._times.since(
            now, None if times is None else dict(zip(("busy", "all"), times, strict=True))
        )
        return {
            "usage": None if grown is None else share(grown.counts["busy"], grown.counts["all"]),
            "cores": float(os.cpu_count() or 1),
            "frequency": self._frequency,
            "load": self._machine.load(),
        }


class MemoryCollector(Collector):
    """The machine's memory."""

    place = "system.memory"

    def __init__(self, interval: float = 1.0, machine: Machine | None = None) -> None:
        super().__init__(interval)
        self._machine = machine or this_machine()
        self._group = ControlGroup()

    def collect(self, now: float) -> Values:
        """See :class:`.MemoryMetrics`."""
        if self._seldom():
            self._group = ControlGroup()
        total, available, cached, buffers = self._machine.memory()
        used = None if total is None or available is None else float(total - available)
        nearest = [
            p
            for p in (_percent(used, total), _percent(self._group.memory_use(), _limit(self._group)))
            if p is not None
        ]
        return {
            "used": used,
            "total": _float(total),
            "cached": _float(cached),
            "buffers": _float(buffers),
            "available": _float(available),
            "percent": max(nearest, default=None),
        }


class DiskCollector(Collector):
    """What the disks do; not their partitions, nor devices that stand on others."""

    place = "system.disk"

    def __init__(self, interval: float = 5.0, machine: Machine | None = None) -> None:
        super().__init__(interval)
        self._machine = machine or this_machine()
        self._counts = self._rates()

    def collect(self, now: float) -> Values:
        """See :class:`.DiskMetrics`."""
        flat = {
            f"{field} {name}": count
            for name, counts in self._machine.disks(self._seldom()).items()
            for field, count in counts._asdict().items()
            if count is not None
        }
        grown = self._counts.since(now, flat or None)
        if grown is None or not grown.counts:
            return dict.fromkeys(("read_rate", "write_rate", "iops", "utilization"))
        busy = [count for name, count in grown.counts.items() if name.startswith("busy ")]
        return {
            "read_rate": _rate(grown, "read "),
            "write_rate": _rate(grown, "written "),
            "iops": _rate(grown, "operations "),
            "utilization": share(max(busy), grown.seconds) if busy else None,
        }


class NetworkCollector(Collector):
    """What goes to other machines and comes from there."""

    place = "system.network"

    def __init__(self, interval: float = 1.0, machine: Machine | None = None) -> None:
        super().__init__(interval)
        self._machine = machine or this_machine()
        self._counts = self._rates()

    def collect(self, now: float) -> Values:
        """See :class:`.NetworkMetrics`."""
        flat = {
            f"{way} {name}": count
            for name, counts in self._machine.interfaces(self._seldom()).items()
            for way, count in zip(("in", "out"), counts, strict=True)
        }
        grown = self._counts.since(now, flat or None)
        return {
            "inbound": None if grown is None or not grown.counts else _rate(grown, "in "),
            "outbound": None if grown is None or not grown.counts else _rate(grown, "out "),
            "connections": self._machine.connections(),
        }


class ContainerCollector(Collector):
    """What the control group allows and uses."""

    place = "system.container"

    def __init__(self, interval: float = 1.0) -> None:
        super().__init__(interval)
        self._counts = self._rates()
        self._group = ControlGroup()

    def collect(self, now: float) -> Values:
        """See :class:`.ContainerMetrics`."""
        if self._seldom():
            self._group = ControlGroup()
        group = self._group
        used, use, allowed, limit = group.memory_use(), group.cpu_use(), group.cpu_limit, _limit(group)
        grown = self._counts.since(now, None if use is None else use._asdict())
        cores = allowed or float(os.cpu_count() or 1)
        return {
            "cpu_limit": allowed,
            "cpu_usage": None if grown is None else share(grown.counts["seconds"], grown.seconds * cores),
            "throttled": None if grown is None else share(grown.counts["throttled"], grown.counts["periods"]),
            "memory_limit": None if limit is None else float(limit),
            "memory_used": _float(used),
            "memory_percent": _percent(used, limit or _machine()),
        }


class ProcessCollector(Collector):
    """What this process takes."""

    place = "system.process"

    def __init__(self, interval: float = 1.0, machine: Machine | None = None) -> None:
        super().__init__(interval)
        self._machine = machine or this_machine()
        self._counts = self._rates()

    def collect(self, now: float) -> Values:
        """See :class:`.ProcessMetrics`."""
        cpu, threads, rss = self._machine.process() or (None, None, None)
        grown = self._counts.since(now, None if cpu is None else {"cpu": cpu})
        return {
            "cpu_usage": None if grown is None else 100.0 * grown.total("cpu"),
            "rss": rss,
            "threads": threads,
            "open_files": self._machine.open_files(),
        }


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)


def _percent(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else share(part, whole)


def _rate(grown: Increase, start: str) -> float:
    return grown.total(*(name for name in grown.counts if name.startswith(start)))


def _machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limit(group: ControlGroup) -> int | None:
    """Return the container's memory limit; None where there is none but the machine's own size."""
    limit = group.memory_limit
    return None if limit is None or limit >= _machine() else limit
