"""What each measured field is called outside: OpenTelemetry's name where there is one, unit, meaning."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GAUGES", "Gauge", "custom"]


class Gauge(NamedTuple):
    """One field of :class:`.PerformanceMetrics` (``path``, times ``scale``) as a gauge, or a counter."""

    name: str
    unit: str
    path: str
    text: str
    scale: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()
    kind: str = "gauge"


def custom(place: str, field: str) -> Gauge:
    """Return the gauge of a field of a collector of one's own."""
    path = f"custom.{place}.{field}"
    return Gauge(path, "", path, f"The field {field} of the collector {place}.")


_PERCENT = 0.01
GAUGES = (
    Gauge("system.cpu.utilization", "1", "system.cpu.usage", "Share of all processors in use.", _PERCENT),
    Gauge("system.cpu.logical.count", "{cpu}", "system.cpu.cores", "Processors of the machine."),
    Gauge("system.cpu.frequency", "Hz", "system.cpu.frequency", "Mean frequency of the processors.", 1e6),
    Gauge(
        "perfcore.cpu.load", "{process}", "system.cpu.load", "Processes that run or want to, over a minute."
    ),
    *(
        Gauge(
            "system.memory.usage",
            "By",
            f"system.memory.{state}",
            "Memory of the machine by state.",
            1.0,
            (("state", state),),
        )
        for state in ("used", "cached", "buffers")
    ),
    Gauge("system.memory.limit", "By", "system.memory.total", "Memory of the machine."),
    Gauge(
        "system.memory.utilization",
        "1",
        "system.memory.percent",
        "Share of memory in use, of the machine or the container, whichever is nearer to its end.",
        _PERCENT,
    ),
    *(
        Gauge(
            "perfcore.disk.io",
            "By/s",
            f"system.disk.{field}",
            "Bytes that disks read and write.",
            1.0,
            (("direction", way),),
        )
        for field, way in (("read_rate", "read"), ("write_rate", "write"))
    ),
    Gauge("perfcore.disk.operations", "{operation}/s", "system.disk.iops", "Reads and writes of disks."),
    Gauge(
        "perfcore.disk.utilization",
        "1",
        "system.disk.utilization",
        "Share of the time in which the busiest disk was busy.",
        _PERCENT,
    ),
    *(
        Gauge(
            "perfcore.network.io",
            "By/s",
            f"system.network.{field}",
            "Bytes from and to other machines.",
            1.0,
            (("direction", way),),
        )
        for field, way in (("inbound", "receive"), ("outbound", "transmit"))
    ),
    Gauge(
        "system.network.connection.count", "{connection}", "system.network.connections", "TCP sockets in use."
    ),
    Gauge(
        "perfcore.container.cpu.limit", "{cpu}", "system.container.cpu_limit", "Cores the container may use."
    ),
    Gauge(
        "perfcore.container.cpu.utilization",
        "1",
        "system.container.cpu_usage",
        "Share of the container's processor time in use.",
        _PERCENT,
    ),
    Gauge(
        "perfcore.container.cpu.throttled",
        "1",
        "system.container.throttled",
        "Share of scheduling periods in which the container was cut short.",
        _PERCENT,
    ),
    Gauge("perfcore.container.memory.limit", "By", "system.container.memory_limit", "The container's limit."),
    Gauge("perfcore.container.memory.usage", "By", "system.container.memory_used", "The container's memory."),
    Gauge(
        "process.cpu.utilization", "1", "system.process.cpu_usage", "Cores that this process uses.", _PERCENT
    ),
    Gauge("process.memory.usage", "By", "system.process.rss", "Resident memory of this process."),
    Gauge("process.thread.count", "{thread}", "system.process.threads", "Threads of this process."),
    Gauge(
        "process.unix.file_descriptor.count",
        "{file_descriptor}",
        "system.process.open_files",
        "Files that this process has open.",
    ),
    Gauge(
        "perfcore.parse.requests",
        "{request}/s",
        "application.parsing.requests_per_second",
        "Requests of the last interval.",
    ),
    Gauge(
        "perfcore.parse.duration.mean",
        "s",
        "application.parsing.average_response_time",
        "Mean time of the requests of the last interval.",
    ),
    Gauge(
        "perfcore.parse.duration.p95",
        "s",
        "application.parsing.p95_response_time",
        "95 of 100 requests of the last interval took no longer.",
    ),
    Gauge(
        "perfcore.parse.errors",
        "1",
        "application.parsing.error_rate",
        "Share of the requests of the last interval that failed.",
        _PERCENT,
    ),
    Gauge(
        "perfcore.cache.hits",
        "1",
        "application.caching.hit_rate",
        "Share of the lookups of the last interval that found something.",
        _PERCENT,
    ),
    Gauge(
        "perfcore.cache.misses",
        "1",
        "application.caching.miss_rate",
        "Share of the lookups of the last interval that found nothing.",
        _PERCENT,
    ),
    Gauge(
        "perfcore.cache.evictions",
        "{eviction}/s",
        "application.caching.eviction_rate",
        "Entries that had to make room.",
    ),
    Gauge("perfcore.cache.memory.usage", "By", "application.caching.memory_usage", "Bytes that caches hold."),
    Gauge("perfcore.worker.active", "{worker}", "application.workers.active", "Workers that work."),
    Gauge("perfcore.worker.queued", "{task}", "application.workers.queued", "Tasks that wait for a worker."),
    Gauge(
        "perfcore.worker.completed",
        "{task}",
        "application.workers.completed",
        "Tasks done so far.",
        kind="counter",
    ),
    Gauge(
        "perfcore.worker.failed",
        "{task}",
        "application.workers.failed",
        "Tasks that have raised so far.",
        kind="counter",
    ),
)
