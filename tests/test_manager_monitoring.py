"""What a manager watches: itself from its start on, where the configuration wants that."""

import time

import pytest

from perfcore import PerformanceManager

WATCHED = {"enabled": True, "interval": 0.05, "enable_alerts": True}


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_without_monitoring_nothing_runs_and_nothing_need_be_asked():
    with PerformanceManager() as manager:
        metrics = manager.get_metrics()
        assert metrics.system.cpu.usage is None and metrics.application.caching.hit_rate is None
        assert not manager.monitor.running
        assert manager.alerts.check_alerts(metrics) == []
        assert {manager.status().parts[name].state for name in ("monitor", "alerts")} == {"off"}


def test_it_runs_from_the_start_and_knows_the_parts_whenever_they_are_built(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text("class Cart: ...\n")
    with PerformanceManager(monitoring=WATCHED) as manager:
        assert manager.status().parts["monitor"].state == "running"
        assert manager.status().parts["memory"].state == "idle"
        wait_for(lambda: manager.get_metrics().system.memory.used)
        manager.memory["a"] = 1
        hits = []
        while not hits or time.monotonic() < hits[0] + 0.3:
            manager.memory.get("a")
            manager.parser.parse_file(path)
            rates = manager.get_metrics().application
            if rates.caching.hit_rate == 100.0 and rates.parsing.requests_per_second:
                hits.append(time.monotonic())
                break
        assert hits
        monitor = manager.monitor
    assert not monitor.running


@pytest.mark.parametrize("spelling", ["thresholds", "alerts"])
def test_thresholds_are_rules_that_the_monitor_holds_against_its_metrics(spelling):
    settings = (
        {"memory": 50} if spelling == "thresholds" else {"memory": {"threshold": 50, "action": "trigger_gc"}}
    )
    with PerformanceManager(monitoring={**WATCHED, spelling: settings}) as manager:
        (rule,) = manager.alerts.rules()
        assert (rule.metric, rule.threshold) == ("system.memory.percent", 50)
        assert rule.actions == (("trigger_gc",) if spelling == "alerts" else ())


def test_response_times_are_seconds_in_the_end():
    with PerformanceManager(monitoring={**WATCHED, "thresholds": {"response_time": 1.0}}) as manager:
        assert manager.alerts.rules()[0].threshold == 1.0


def test_alerts_are_checked_at_the_interval():
    from perfcore.monitor import ThresholdRule

    told = []
    with PerformanceManager(monitoring=WATCHED) as manager:
        manager.alerts.add_handler(told.append)
        manager.alerts.add_rule(ThresholdRule(name="any", metric="system.memory.used", threshold=1))
        wait_for(lambda: told)
    assert told[0].rule == "any" and told[0].metrics["system.memory.used"] > 1


def test_it_watches_again_after_a_restart():
    manager = PerformanceManager(monitoring=WATCHED)
    for _ in range(2):
        with manager:
            assert manager.monitor.running
            wait_for(lambda: manager.get_metrics().system.process.rss)


def test_the_profiler_samples_at_the_configured_rate_or_not_at_all():
    for settings, samples in (({"enable_profiling": True, "sampling_rate": 1.0}, 1), ({}, 0)):
        with PerformanceManager(monitoring=settings) as manager:
            assert manager.profiler.profile("sum", sum, [1, 2]) == 3
            assert manager.profiler.stats().samples == samples
