"""What is measured, and which alerts fire, as families of gauges: what exporters take.

Percentages become ratios, as exporters want them; what was not measured is no sample, and never zero.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perfcore.metrics.family import Key
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot, Value
from perfcore.monitor.conditions import value_at
from perfcore.monitor.gauges import GAUGES, custom
from perfcore.monitor.records import PerformanceMetrics

if TYPE_CHECKING:
    from perfcore.monitor.alerts import PerformanceAlerting

__all__ = ["FIRING", "alerts_snapshot", "performance_snapshot"]

#: The family that says which rules fire.
FIRING = "perfcore.alert.firing"


def performance_snapshot(metrics: PerformanceMetrics) -> RegistrySnapshot:
    """Return the metrics as what exporters take; ``custom`` ones are ``custom.<collector>.<field>``.

    >>> from perfcore.monitor.records import CPUMetrics, SystemMetrics
    >>> metrics = PerformanceMetrics(timestamp=0.0, system=SystemMetrics(cpu=CPUMetrics(usage=50.0)))
    >>> {name: dict(family.samples) for name, family in performance_snapshot(metrics).families.items()}
    {'system.cpu.utilization': {(): 0.5}}
    """
    own = (custom(place, field) for place, values in metrics.custom.items() for field in values)
    families: dict[str, FamilySnapshot] = {}
    for gauge in (*GAUGES, *own):
        value = value_at(metrics, gauge.path)
        if value is not None:
            names, key = tuple(name for name, _ in gauge.labels), tuple(held for _, held in gauge.labels)
            before = families[gauge.name].samples if gauge.name in families else {}
            samples = {**before, key: value * gauge.scale}
            families[gauge.name] = FamilySnapshot(
                gauge.kind, gauge.name, gauge.text, gauge.unit, names, samples
            )
    return RegistrySnapshot(families, int(metrics.timestamp * 1e9))


def alerts_snapshot(alerting: PerformanceAlerting) -> RegistrySnapshot:
    """Return which rules fire (1, else 0), and what became of the jobs of handlers and actions.

    >>> from perfcore.monitor import PerformanceAlerting, ThresholdRule
    >>> alerting = PerformanceAlerting([ThresholdRule(name="busy", metric="cpu", threshold=90)])
    >>> _ = alerting.check_alerts({"cpu": 95})
    >>> dict(alerts_snapshot(alerting)["perfcore.alert.firing"].samples)
    {('busy', 'warning'): 1}
    """
    firing: dict[Key, Value] = {
        (rule.name, rule.severity): int(alerting.is_firing(rule.name)) for rule in alerting.rules()
    }
    jobs: dict[Key, Value] = {
        (lane, outcome): getattr(stats, outcome)
        for lane, stats in alerting.stats().items()
        for outcome in ("done", "failed", "dropped")
    }
    families = (
        FamilySnapshot("gauge", FIRING, "Whether an alert fires.", "", ("rule", "severity"), firing),
        FamilySnapshot(
            "counter",
            "perfcore.alert.jobs",
            "Jobs of handlers and actions of alerts by what became of them.",
            "{job}",
            ("lane", "outcome"),
            jobs,
        ),
    )
    return RegistrySnapshot({family.name: family for family in families}, time.time_ns())
