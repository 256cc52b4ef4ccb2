"""``PerformanceMetrics`` as families of gauges, under OpenTelemetry's names where there are any.

Percentages become ratios, as exporters want them; what was not measured is no sample, and never zero.
"""

from __future__ import annotations

from typing import NamedTuple

from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot
from perfcore.monitor.conditions import value_at
from perfcore.monitor.records import PerformanceMetrics

__all__ = ["performance_snapshot"]


class _Gauge(NamedTuple):
    name: str
    unit: str
    path: str
    scale: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()


_PERCENT = 0.01
_GAUGES = (
    _Gauge("system.cpu.utilization", "1", "system.cpu.usage", _PERCENT),
    _Gauge("system.cpu.logical.count", "{cpu}", "system.cpu.cores"),
    _Gauge("system.cpu.frequency", "Hz", "system.cpu.frequency", 1e6),
    _Gauge("system.memory.usage", "By", "system.memory.used", labels=(("state", "used"),)),
    _Gauge("system.memory.usage", "By", "system.memory.cached", labels=(("state", "cached"),)),
    _Gauge("system.memory.usage", "By", "system.memory.buffers", labels=(("state", "buffers"),)),
    _Gauge("system.memory.limit", "By", "system.memory.total"),
    _Gauge("system.memory.utilization", "1", "system.memory.percent", _PERCENT),
    _Gauge("perfcore.disk.io.rate", "By/s", "system.disk.read_rate", labels=(("direction", "read"),)),
    _Gauge("perfcore.disk.io.rate", "By/s", "system.disk.write_rate", labels=(("direction", "write"),)),
    _Gauge("perfcore.disk.operation.rate", "{operation}/s", "system.disk.iops"),
    _Gauge("perfcore.disk.utilization", "1", "system.disk.utilization", _PERCENT),
    _Gauge("perfcore.network.io.rate", "By/s", "system.network.inbound", labels=(("direction", "receive"),)),
    _Gauge(
        "perfcore.network.io.rate", "By/s", "system.network.outbound", labels=(("direction", "transmit"),)
    ),
    _Gauge("system.network.connection.count", "{connection}", "system.network.connections"),
    _Gauge("perfcore.container.cpu.limit", "{cpu}", "system.container.cpu_limit"),
    _Gauge("perfcore.container.cpu.utilization", "1", "system.container.cpu_usage", _PERCENT),
    _Gauge("perfcore.container.memory.limit", "By", "system.container.memory_limit"),
    _Gauge("perfcore.container.memory.usage", "By", "system.container.memory_used"),
    _Gauge("process.cpu.utilization", "1", "system.process.cpu_usage", _PERCENT),
    _Gauge("process.memory.usage", "By", "system.process.rss"),
    _Gauge("process.thread.count", "{thread}", "system.process.threads"),
    _Gauge("process.unix.file_descriptor.count", "{file_descriptor}", "system.process.open_files"),
    _Gauge("perfcore.parse.request.rate", "{request}/s", "application.parsing.requests_per_second"),
    _Gauge("perfcore.parse.duration.mean", "s", "application.parsing.average_response_time"),
    _Gauge("perfcore.parse.duration.p95", "s", "application.parsing.p95_response_time"),
    _Gauge("perfcore.parse.error.ratio", "1", "application.parsing.error_rate", _PERCENT),
    _Gauge("perfcore.cache.hit.ratio", "1", "application.caching.hit_rate", _PERCENT),
    _Gauge("perfcore.cache.eviction.rate", "{eviction}/s", "application.caching.eviction_rate"),
    _Gauge("perfcore.cache.memory.usage", "By", "application.caching.memory_usage"),
    _Gauge("perfcore.worker.active", "{worker}", "application.workers.active"),
    _Gauge("perfcore.worker.queued", "{task}", "application.workers.queued"),
)


def performance_snapshot(metrics: PerformanceMetrics) -> RegistrySnapshot:
    """Return the metrics as what exporters take; ``custom`` ones are ``custom.<collector>.<field>``.

    >>> from perfcore.monitor.records import CPUMetrics, SystemMetrics
    >>> metrics = PerformanceMetrics(timestamp=0.0, system=SystemMetrics(cpu=CPUMetrics(usage=50.0)))
    >>> {name: dict(family.samples) for name, family in performance_snapshot(metrics).families.items()}
    {'system.cpu.utilization': {(): 0.5}}
    """
    custom = (
        _Gauge(path, "", path)
        for place, values in metrics.custom.items()
        for field in values
        for path in [f"custom.{place}.{field}"]
    )
    families: dict[str, FamilySnapshot] = {}
    for gauge in (*_GAUGES, *custom):
        value = value_at(metrics, gauge.path)
        if value is not None:
            names, key = tuple(name for name, _ in gauge.labels), tuple(held for _, held in gauge.labels)
            empty = FamilySnapshot("gauge", gauge.name, "", gauge.unit, names, {})
            family = families.setdefault(gauge.name, empty)
            families[gauge.name] = FamilySnapshot(
                "gauge", gauge.name, "", gauge.unit, names, {**family.samples, key: value * gauge.scale}
            )
    return RegistrySnapshot(families, int(metrics.timestamp * 1e9))
