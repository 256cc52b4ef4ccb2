"""MetricsCollector: measures at intervals, remembers within bounds, and shows gaps as gaps."""

import logging
import math
import os
import threading
import time
from types import SimpleNamespace

import msgspec
import pytest

from perfcore import Cache
from perfcore.monitor import (
    Collector,
    CPUCollector,
    DiskCollector,
    MetricsCollector,
    NetworkCollector,
    PerformanceAlerting,
    PerformanceMetrics,
    ProcessCollector,
    ThresholdRule,
)
from perfcore.monitor import history as history_module
from perfcore.monitor.history import History
from perfcore.monitor.procfiles import ProcFile


class Steps(Collector):
    """Measures what a list says; an exception there is raised."""

    place = "steps"

    def __init__(self, steps, interval=1.0):
        super().__init__(interval)
        self.steps = iter(steps)

    def collect(self, now):
        step = next(self.steps)
        if isinstance(step, Exception):
            raise step
        return step


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def looked(steps, **options):
    collector = MetricsCollector([Steps(steps)], **options)
    for _ in steps:
        collector.collect_now()
    return collector


# --- the machine --------------------------------------------------------------------------------------------


def test_everything_the_guide_names_is_measured():
    fast = [CPUCollector(0.2), DiskCollector(0.2), NetworkCollector(0.2), ProcessCollector(0.2)]
    with MetricsCollector(fast) as collector:
        wait_for(lambda: collector.get_metrics().system.cpu.usage is not None)
        system = collector.get_metrics().system
    assert 0 <= system.cpu.usage <= 100
    assert system.cpu.cores == os.cpu_count()
    assert system.network.connections >= 0
    assert system.process.rss > 1e6 and system.process.threads >= 1 and system.process.open_files > 2
    assert system.memory.used is None, "nobody measures it here"


def test_a_busy_process_is_seen():
    collector = MetricsCollector([ProcessCollector(60)])
    collector.collect_now()
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass
    collector.collect_now()
    assert collector.get_metrics().system.process.cpu_usage > 20


def test_metrics_are_plain_data_that_alerts_can_read():
    collector = MetricsCollector()
    collector.collect_now()
    metrics = collector.get_metrics()
    again = msgspec.json.decode(msgspec.json.encode(metrics), type=PerformanceMetrics)
    assert again == metrics
    alerting = PerformanceAlerting([ThresholdRule(name="some", metric="system.memory.used", threshold=1)])
    assert [alert.rule for alert in alerting.check_alerts(metrics)] == ["some"]
    alerting.close()


def test_files_that_are_not_there_are_gaps(monkeypatch):
    monkeypatch.setattr(ProcFile, "read", lambda self: None)
    collector = MetricsCollector()
    collector.collect_now()
    collector.collect_now()
    system = collector.get_metrics().system
    assert (system.cpu.usage, system.memory.used, system.disk.iops) == (None, None, None)
    assert (system.network.inbound, system.network.connections, system.process.rss) == (None, None, None)
    assert all(stats.failures == 0 for stats in collector.stats().values())


# --- the application ----------------------------------------------------------------------------------------


def test_caches_are_told_of_by_what_happened_since_the_last_look():
    collector = MetricsCollector()
    cache = Cache(maxbytes="1MB")
    collector.caching.add("memory", cache)
    collector.collect_now()
    cache["a"] = b"x" * 1000
    for key in "aaab":
        cache.get(key)
    time.sleep(0.01)
    collector.collect_now()
    caching = collector.get_metrics().application.caching
    assert (caching.hit_rate, caching.miss_rate) == (75.0, 25.0)
    assert caching.memory_usage >= 1000 and caching.eviction_rate == 0.0
    time.sleep(0.01)
    collector.collect_now()
    assert collector.get_metrics().application.caching.hit_rate is None, "no lookup is no ratio"


def test_a_cache_whose_counters_begin_anew_is_a_gap():
    counts = SimpleNamespace(hits=100, misses=0, evictions=0, weight=0)
    collector = MetricsCollector()
    collector.caching.add("one", SimpleNamespace(stats=lambda: counts))
    collector.collect_now()
    counts.hits = 3
    time.sleep(0.01)
    collector.collect_now()
    assert collector.get_metrics().application.caching.eviction_rate is None


def test_workers_are_added_up():
    collector = MetricsCollector()
    for name in ("a", "b"):
        stats = SimpleNamespace(active=1, queued=2, completed=3, failed=4)
        collector.workers.add(name, SimpleNamespace(stats=lambda stats=stats: stats))
    collector.collect_now()
    workers = collector.get_metrics().application.workers
    assert (workers.active, workers.queued, workers.completed, workers.failed) == (2, 4, 6, 8)


def test_requests_have_a_rate_a_mean_a_95th_percentile_and_errors():
    collector = MetricsCollector()
    collector.collect_now()
    for n in range(100):
        collector.parsing.record(0.001 * (n + 1), failed=n < 10)
    time.sleep(0.01)
    collector.collect_now()
    parsing = collector.get_metrics().application.parsing
    assert parsing.average_response_time == pytest.approx(0.0505)
    assert parsing.p95_response_time == pytest.approx(0.095, rel=0.02)
    assert parsing.error_rate == pytest.approx(10.0)
    assert parsing.requests_per_second > 0


# --- collectors of one's own --------------------------------------------------------------------------------


def test_what_raises_is_a_gap_said_once_and_the_others_go_on(caplog):
    steps = [{"n": 1}, ValueError("no"), ValueError("no"), {"n": 2}]
    with caplog.at_level(logging.WARNING, "perfcore"):
        collector = looked(steps)
    assert len(caplog.records) == 1
    series = collector.get_series()["custom.steps.n"]
    assert [*series.values[[0, 3]]] == [1, 2] and math.isnan(series.values[1])
    summary = collector.get_metrics_summary()
    assert (summary.averages["custom.steps.n"], summary.gaps["custom.steps.n"]) == (1.5, 2)
    assert collector.stats()["custom.steps"].failures == 2


@pytest.mark.parametrize("value", ["text", object(), 10**400])
def test_what_is_no_number_is_a_failure_of_that_look(value, caplog):
    collector = looked([{"n": 1}, {"n": value}])
    assert collector.stats()["custom.steps"].failures == 1
    assert collector.get_metrics().custom["steps"] == {"n": None}


def test_a_collector_that_hangs_delays_none_of_the_package_and_its_values_go():
    hanging, go_on = threading.Event(), threading.Event()

    class Hangs(Collector):
        place = "hangs"

        def collect(self, now):
            if hanging.is_set():
                go_on.wait(60)
            return {"n": 1}

    with MetricsCollector([ProcessCollector(0.05)]) as collector:
        collector.add(Hangs(0.05))
        wait_for(lambda: collector.get_metrics().custom["hangs"].get("n") == 1)
        hanging.set()
        wait_for(lambda: collector.get_metrics().custom["hangs"] == {})
        looks = collector.stats()["system.process"].looks
        wait_for(lambda: collector.stats()["system.process"].looks > looks + 2)
        assert not collector.stop(timeout=0.1), "it says that it could not end"
        go_on.set()


def test_a_place_is_a_name_and_taken_once():
    collector = MetricsCollector()
    collector.add(Steps([]))
    with pytest.raises(ValueError, match="measured already"):
        collector.add(Steps([]))
    with pytest.raises(ValueError, match="measured already"):
        collector.add(CPUCollector())
    bad = Steps([])
    bad.place = "a.b"
    with pytest.raises(ValueError, match="is a name"):
        collector.add(bad)
    with pytest.raises(ValueError, match="positive"):
        CPUCollector(0)


# --- time ---------------------------------------------------------------------------------------------------


def test_it_starts_and_stops_as_often_as_wanted_with_one_thread():
    before = {*threading.enumerate()}  # some of which, of other tests, may end meanwhile
    collector = MetricsCollector([ProcessCollector(0.02)])
    for _ in range(3):
        collector.start_collection()
        collector.start_collection()
        assert collector.running
        looks = collector.stats()["system.process"].looks
        wait_for(lambda looks=looks: collector.stats()["system.process"].looks > looks + 1)
        assert collector.stop()
    assert not {*threading.enumerate()} - before
    assert not collector.running


def test_values_of_a_collector_that_stopped_are_not_those_of_now():
    collector = looked([{"n": 1}])
    assert collector.get_metrics().custom["steps"] == {"n": 1}
    late = history_module.clock_ns() + 4 * 10**9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perfcore.monitor.collector.clock_ns", lambda: late)
        assert collector.get_metrics().custom["steps"] == {}


def test_a_step_of_the_wall_clock_disorders_nothing(monkeypatch):
    collector = MetricsCollector([Steps([{"n": 1}, {"n": 2}, {"n": 3}])])
    collector.collect_now()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    collector.collect_now()
    collector.collect_now()
    series = collector.get_series(last=60)["custom.steps.n"]
    assert [*series.values] == [1, 2, 3]
    assert (series.times[1:] >= series.times[:-1]).all()


def test_a_forked_child_does_not_measure_and_can_start_again():
    with MetricsCollector([ProcessCollector(0.02)]) as collector:
        wait_for(lambda: collector.stats()["system.process"].looks > 1)
        child = os.fork()
        if child == 0:
            still = collector.running
            collector.start_collection()
            looks = collector.stats()["system.process"].looks
            end = time.monotonic() + 20
            while collector.stats()["system.process"].looks <= looks + 1 and time.monotonic() < end:
                time.sleep(0.01)
            os._exit(1 if still or collector.stats()["system.process"].looks <= looks + 1 else 0)
        assert os.waitpid(child, 0)[1] == 0
        assert collector.running


def test_watchers_get_the_metrics_at_their_interval_and_may_raise(caplog):
    seen = []

    def watch(metrics):
        seen.append(metrics.system.process.rss)
        raise RuntimeError("no matter")

    with MetricsCollector([ProcessCollector(0.02)]) as collector:
        collector.every(0.02, watch)
        wait_for(lambda: len(seen) > 3)
    assert all(rss > 0 for rss in seen)
    assert len(caplog.records) == 1


# --- ranges -------------------------------------------------------------------------------------------------


def filled(values, step=1.0):
    """Return a history with a value every ``step`` seconds up to now."""
    kept, now = History(step, span=10_000), history_module.clock_ns()
    for place, value in enumerate(values):
        kept.add(now - int((len(values) - 1 - place) * step * 1e9), {"n": value})
    return kept


def test_a_range_has_its_samples_and_no_others():
    kept = filled([float(n) for n in range(100)])
    now = time.time()
    assert [*kept.series(now - 9.5, now + 1)["n"].values] == [float(n) for n in range(90, 100)]
    assert kept.series(0, now - 1000) == {}


def test_a_leak_is_a_trend_and_an_outage_an_anomaly():
    leak = [100.0 + n / 10 + n % 3 for n in range(300)]
    with_outage = [10.0 + n % 3 for n in range(500)] + [90.0] * 20
    for values, trends, outage in ((leak, "up", False), (with_outage, None, True)):
        collector = MetricsCollector([])
        watched = SimpleNamespace(history=filled(values))
        collector._watched = {"custom.x": watched}
        summary = collector.get_metrics_summary(last=1000)
        assert trends in (None, summary.trends["custom.x.n"].direction)
        assert bool(summary.anomalies.get("custom.x.n")) == outage
        assert summary.peaks["custom.x.n"].value == max(values)
        assert summary.averages["custom.x.n"] == pytest.approx(sum(values) / len(values))


def test_ranges_that_make_no_sense_are_refused():
    collector = MetricsCollector([])
    with pytest.raises(ValueError, match="not both"):
        collector.get_metrics_summary(5, start=1)
    with pytest.raises(ValueError, match="cannot end"):
        collector.get_metrics_summary(start=10, end=5)
    assert collector.get_metrics_summary().averages == {}


def test_memory_is_bounded_in_samples_and_in_series():
    kept = History(1.0, span=100, most=8)
    for look in range(2000):
        kept.add(look * 10**9, {f"n{look % 50}": 1.0, "n0": float(look)})
    assert len(kept.fields) == 8
    assert kept.refused > 0
    assert kept._ring.capacity <= 1024
