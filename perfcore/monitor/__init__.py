"""Watching a service: what it does, alerts, and what they do about it."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.monitor.actions import Actions
    from perfcore.monitor.alerts import PerformanceAlerting
    from perfcore.monitor.application import CacheMetricsCollector, ParseTimeCollector, WorkerMetricsCollector
    from perfcore.monitor.collector import CollectorStats, MetricsCollector
    from perfcore.monitor.collectors import (
        Collector,
        ContainerCollector,
        CPUCollector,
        DiskCollector,
        MemoryCollector,
        NetworkCollector,
        ProcessCollector,
    )
    from perfcore.monitor.exported import alerts_snapshot, performance_snapshot
    from perfcore.monitor.flames import chrome_trace, speedscope
    from perfcore.monitor.handlers import Alert, file_handler, log_handler, webhook_handler
    from perfcore.monitor.profiler import PerformanceProfiler, ProfilerStats
    from perfcore.monitor.profiles import Phase, Profile, ProfileFilter
    from perfcore.monitor.records import PerformanceMetrics
    from perfcore.monitor.rules import (
        AbsenceRule,
        AnomalyRule,
        CompositeRule,
        ThresholdRule,
        TrendRule,
        load_rules,
    )
    from perfcore.monitor.serve.server import MetricsServer
    from perfcore.monitor.serve.sources import Sources
    from perfcore.monitor.summary import MetricsSummary

__all__ = [
    "AbsenceRule",
    "Actions",
    "Alert",
    "AnomalyRule",
    "CPUCollector",
    "CacheMetricsCollector",
    "Collector",
    "CollectorStats",
    "CompositeRule",
    "ContainerCollector",
    "DiskCollector",
    "MemoryCollector",
    "MetricsCollector",
    "MetricsServer",
    "MetricsSummary",
    "NetworkCollector",
    "ParseTimeCollector",
    "PerformanceAlerting",
    "PerformanceMetrics",
    "PerformanceProfiler",
    "Phase",
    "ProcessCollector",
    "Profile",
    "ProfileFilter",
    "ProfilerStats",
    "Sources",
    "ThresholdRule",
    "TrendRule",
    "WorkerMetricsCollector",
    "alerts_snapshot",
    "chrome_trace",
    "file_handler",
    "load_rules",
    "log_handler",
    "performance_snapshot",
    "speedscope",
    "webhook_handler",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.monitor.actions": ["Actions"],
        "perfcore.monitor.alerts": ["PerformanceAlerting"],
        "perfcore.monitor.application": [
            "CacheMetricsCollector",
            "ParseTimeCollector",
            "WorkerMetricsCollector",
        ],
        "perfcore.monitor.collector": ["CollectorStats", "MetricsCollector"],
        "perfcore.monitor.collectors": [
            "CPUCollector",
            "Collector",
            "ContainerCollector",
            "DiskCollector",
            "MemoryCollector",
            "NetworkCollector",
            "ProcessCollector",
        ],
        "perfcore.monitor.exported": ["alerts_snapshot", "performance_snapshot"],
        "perfcore.monitor.flames": ["chrome_trace", "speedscope"],
        "perfcore.monitor.handlers": ["Alert", "file_handler", "log_handler", "webhook_handler"],
        "perfcore.monitor.profiler": ["PerformanceProfiler", "ProfilerStats"],
        "perfcore.monitor.profiles": ["Phase", "Profile", "ProfileFilter"],
        "perfcore.monitor.records": ["PerformanceMetrics"],
        "perfcore.monitor.rules": [
            "AbsenceRule",
            "AnomalyRule",
            "CompositeRule",
            "ThresholdRule",
            "TrendRule",
            "load_rules",
        ],
        "perfcore.monitor.serve.server": ["MetricsServer"],
        "perfcore.monitor.serve.sources": ["Sources"],
        "perfcore.monitor.summary": ["MetricsSummary"],
    },
)
