"""What happens to a monitor that must not happen to the application: storms, sleep, clocks, growth."""

import itertools
import logging
import threading
import time

import pytest

from perfcore.metrics import AnomalyDetector, Counter, Registry, prometheus_text
from perfcore.metrics.instrument import note
from perfcore.monitor import (
    AbsenceRule,
    Collector,
    MetricsCollector,
    PerformanceAlerting,
    PerformanceProfiler,
    ThresholdRule,
    TrendRule,
    history,
)
from perfcore.monitor import collector as collecting


class Sleeper:
    """Time, by the two clocks of a machine: one goes on while it sleeps."""

    def __init__(self, monkeypatch):
        self.awake, self.slept = 1000.0, 0.0
        ns = lambda: int((self.awake + self.slept) * 1e9)  # noqa: E731
        monkeypatch.setattr(history, "clock_ns", ns)
        monkeypatch.setattr(collecting, "clock_ns", ns)
        monkeypatch.setattr(collecting, "monotonic", lambda: self.awake)


class Bytes(Collector):
    """A counter of bytes, as a rate."""

    place = "bytes"

    def __init__(self):
        super().__init__(1.0)
        self.count, self.rates = 0, self._rates()

    def collect(self, now):
        grown = self.rates.since(now, {"n": self.count})
        return {"rate": None if grown is None else grown.total("n"), "held": float(self.count)}


@pytest.fixture
def measured(monkeypatch):
    clock, source = Sleeper(monkeypatch), Bytes()
    collector = MetricsCollector([])
    collector.add(source)

    def look(seconds, grown, slept=0.0):
        clock.awake += seconds
        clock.slept += slept
        source.count += grown
        collector.collect_now()
        return collector.get_metrics().custom["bytes"]["rate"]

    look(1, 0)
    return look, clock, collector


# --- time ---------------------------------------------------------------------------------------------------


def test_a_machine_that_slept_shows_what_is_true_and_a_gap_in_between(measured):
    look, clock, collector = measured
    assert look(1, 100) == 100
    # counters stand still while a machine sleeps, and so does the clock that rates go by
    assert look(1, 100, slept=8 * 3600) == 100
    clock.slept += 3600
    assert collector.get_metrics().custom["bytes"] == {}, "nobody has looked since it woke"


def test_a_process_that_was_stopped_has_no_rate_for_that_time(measured):
    look, *_ = measured
    assert look(1, 100) == 100
    assert look(3600, 50_000) is None, "an average over the hour tells of no moment in it"
    assert look(1, 100) == 100


def test_a_counter_that_begins_anew_is_a_gap_and_never_negative(measured):
    look, _, collector = measured
    assert look(1, 1000) == 1000
    assert look(1, -900) is None
    assert look(1, 7) == 7
    series = collector.get_series()["custom.bytes.rate"]
    assert (series.values[~(series.values != series.values)] >= 0).all()


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0, -1e-3])
def test_a_step_of_the_wall_clock_neither_fires_nor_ends_an_alert(step, monkeypatch):
    now, wall = 1000.0, time.time()
    rules = [
        ThresholdRule(name="busy", metric="cpu", threshold=90, for_=60),
        AbsenceRule(name="silent", metric="requests", for_=60),
    ]
    alerting = PerformanceAlerting(rules, clock=lambda: now)
    monkeypatch.setattr("perfcore.monitor.alerts.time", lambda: wall)
    told = []
    for second in range(120):
        now += 1
        wall += 1
        if second == 30:
            wall += step
        told += [(second, alert.rule) for alert in alerting.check_alerts({"cpu": 95})]
    assert told == [(60, "busy"), (60, "silent")]


def test_a_detector_survives_times_that_go_back_and_forth():
    detector = AnomalyDetector("precise")
    for n, step in zip(range(2000), itertools.cycle([1.0, -86_400.0, 86_400.0, 0.0])):
        score = detector.update(50.0 + n % 7, 1.7e9 + n + step).score
        assert score == score and score >= 0


# --- storms -------------------------------------------------------------------------------------------------


def test_a_storm_of_alerts_is_bounded_everywhere_and_counted_to_the_last():
    go, done = threading.Event(), []
    rules = [ThresholdRule(name=f"r{n}", metric=f"m{n}", threshold=5, actions=("help",)) for n in range(1000)]
    now = 0.0
    alerting = PerformanceAlerting(rules, handlers=[lambda alert: go.wait(), done.append], clock=lambda: now)
    alerting.actions.add("help", lambda alert: go.wait(), interval=0, patience=10**9)
    high, low = ({f"m{n}": level for n in range(1000)} for level in (9.0, 1.0))
    told = 0
    for _ in range(50):
        told += len(alerting.check_alerts(high)) + len(alerting.check_alerts(low))
        now += 1e-5
    assert told == 100_000
    stats = alerting.stats()
    hung, quick = (stats[name] for name in stats if name.startswith("handler"))
    assert hung.waiting <= 1000 and hung.waiting + hung.dropped + (hung.busy_for > 0) == told
    assert quick.done + quick.dropped + quick.waiting + (quick.busy_for > 0) == told
    assert stats["help"].waiting <= 16
    assert len(alerting.history()) == 1000 and len(alerting.actions.records()) <= 1000
    assert len(alerting.actions._watched) <= 1000
    go.set()
    alerting.close()


def test_handlers_that_change_and_ask_the_alerting_they_are_told_by_do_not_hang():
    alerting = PerformanceAlerting([ThresholdRule(name="busy", metric="cpu", threshold=90)])
    seen = []

    def meddle(alert):
        alerting.add_rule(ThresholdRule(name=f"more {len(seen)}", metric="cpu", threshold=99))
        alerting.check_alerts({"cpu": 100 if len(seen) < 20 else 10})
        seen.append((alerting.firing(), alerting.stats(), alerting.history()[-1].rule))

    alerting.add_handler(meddle)
    alerting.check_alerts({"cpu": 95})
    end = time.monotonic() + 20
    while not seen and time.monotonic() < end:
        time.sleep(0.01)
    alerting.close()
    assert seen


def test_ten_thousand_series_are_all_there_and_the_next_ones_share_one():
    registry = Registry(max_series=10_000)
    requests = Counter("requests", labels=["path"], registry=registry)
    for n in range(30_000):
        requests.labels(f"/{n}").inc()
    samples = registry.snapshot()["requests"].samples
    assert len(samples) == 10_001 and samples[None] == 20_000
    assert prometheus_text(registry.snapshot()).count(b"\n") == 10_002


# --- nothing grows ------------------------------------------------------------------------------------------


def test_rules_that_come_and_go_leave_nothing_behind():
    alerting = PerformanceAlerting()
    for n in range(300):
        alerting.add_rule(ThresholdRule(name=f"r{n}", metric="cpu", threshold=1, actions=("trigger_gc",)))
        alerting.add_rule(TrendRule(name=f"t{n}", metric="cpu", window=60))
        alerting.check_alerts({"cpu": 5})
        alerting.check_alerts({"cpu": 0})
        alerting.remove_rule(f"r{n}")
        alerting.remove_rule(f"t{n}")
    assert len(alerting._ids) + len(alerting.phases()) + len(alerting.rules()) <= 1
    assert len(alerting.actions._watched) <= 300 and len(alerting.actions._begun) == 0
    alerting.close()


def test_errors_of_ever_new_classes_are_not_collected(caplog):
    class Failing(Collector):
        place = "failing"

        def collect(self, now):
            raise type("Fresh", (Exception,), {})("no")

    collector = MetricsCollector([])
    collector.add(Failing())
    with caplog.at_level(logging.CRITICAL, "perfcore"):
        for _ in range(500):
            collector.collect_now()
    (watched,) = collector._watched.values()
    assert watched.failures == 500 and len(watched._complained) <= 100


def test_what_is_noted_in_one_call_is_bounded():
    profiler = PerformanceProfiler(1.0)

    def call():
        for n in range(5000):
            note(f"op{n}")
            note("same")

    profiler.profile("call", call)
    (profile,) = profiler.get_profiles()
    assert len(profile.operations) == 1000 and profile.operations["same"] == 5000
