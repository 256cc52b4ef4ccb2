"""What watching costs. In percent of a core, and beside others: monitor.py."""

from __future__ import annotations

import pytest

from perfcore.monitor import MetricsCollector, PerformanceAlerting, PerformanceProfiler, ThresholdRule


def nothing(_=None):
    return None


def test_a_look_of_all_collectors(benchmark):
    collector = MetricsCollector()
    collector.collect_now()
    benchmark(collector.collect_now)


def test_a_summary_of_the_last_minutes(benchmark):
    collector = MetricsCollector()
    for _ in range(300):
        collector.collect_now()
    benchmark(collector.get_metrics_summary, 300)


@pytest.mark.parametrize("level", [50.0, 95.0], ids=["quiet", "firing"])
def test_a_check_of_1000_rules(benchmark, level):
    rules = [ThresholdRule(name=f"rule {n}", metric=f"m{n}", threshold=90) for n in range(1000)]
    alerting, metrics = PerformanceAlerting(rules), {f"m{n}": level for n in range(1000)}
    benchmark(alerting.check_alerts, metrics)
    alerting.close()


@pytest.mark.parametrize("rate", [0.0, 0.01, 1.0])
def test_thousand_profiled_calls(benchmark, rate):
    watched = PerformanceProfiler(rate).profiled(nothing)

    def loop():
        for number in range(1000):
            watched(number)

    benchmark(loop)
