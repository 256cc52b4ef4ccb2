"""What recording and reading a metric costs. Beside prometheus_client and others: rivals/metrics.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from perfcore.metrics import (
    AnomalyDetector,
    Counter,
    EventQueue,
    Gauge,
    Histogram,
    Registry,
    SampleRing,
    Timer,
    json_snapshot,
    prometheus_text,
    trend,
)

VALUES = np.random.default_rng(1).lognormal(-5, 2, 100_000)


def thousand(function, *arguments):
    """Return a loop of a thousand calls: a single one is too short for the clock."""

    def loop():
        for _ in itertools.repeat(None, 1000):
            function(*arguments)

    return loop


@pytest.fixture
def registry():
    return Registry(max_series=2000)


@pytest.fixture
def histogram(registry):
    histogram = Histogram("latency", registry=registry)
    histogram.observe_many(VALUES)
    return histogram


@pytest.fixture
def labelled(registry):
    """A registry of 1 000 series."""
    counter = Counter("requests", "Requests.", labels=["path"], registry=registry)
    for number in range(1000):
        counter.labels(f"/{number}").inc(number)
    return registry


def test_thousand_increments_of_a_counter(benchmark, registry):
    counter = Counter("requests", registry=registry)
    benchmark(thousand(counter.inc))
    assert counter.value >= 1000


def test_thousand_settings_of_a_gauge(benchmark, registry):
    gauge = Gauge("depth", registry=registry)
    benchmark(thousand(gauge.set, 3.0))
    assert gauge.value == 3


def test_thousand_observations(benchmark, registry):
    histogram = Histogram("latency", registry=registry)
    benchmark(thousand(histogram.observe, 0.25))
    assert histogram.quantile(0.5) == pytest.approx(0.25, rel=0.011)


def test_hundred_thousand_observations_as_an_array(benchmark, registry):
    benchmark(Histogram("latency", registry=registry).observe_many, VALUES)


def test_thousand_timed_blocks(benchmark, registry):
    timer = Timer("work", registry=registry)

    def blocks():
        for _ in itertools.repeat(None, 1000):
            with timer:
                pass

    benchmark(blocks)


def test_thousand_lookups_of_labels(benchmark, registry):
    counter = Counter("requests", labels=["path"], registry=registry)
    benchmark(thousand(counter.labels, "/index"))


def test_a_quantile(benchmark, histogram):
    exact = float(np.quantile(VALUES, 0.99))
    assert benchmark(histogram.quantile, 0.99) == pytest.approx(exact, rel=0.011)


def test_two_snapshots_added(benchmark, histogram):
    one = histogram.snapshot()
    assert benchmark(lambda: one + one).count == 2 * len(VALUES)


def test_thousand_puts_into_a_ring(benchmark):
    ring = SampleRing(65_536)
    benchmark(thousand(ring.put, 7, 0.25))
    assert ring.head >= 1000


def test_a_snapshot_of_a_full_ring(benchmark):
    ring = SampleRing(65_536)
    ring.put_many(7, np.arange(65_536.0))
    assert len(benchmark(ring.snapshot)) == 65_536


def test_thousand_events_through_a_queue(benchmark):
    queue = EventQueue()

    def loop():
        for number in range(1000):
            queue.put(number)
        assert len(queue.drain()) == 1000

    benchmark(loop)


def test_a_snapshot_of_1000_series(benchmark, labelled):
    benchmark(labelled.snapshot)


def test_prometheus_text_of_1000_series(benchmark, labelled):
    assert b"/999" in benchmark(lambda: prometheus_text(labelled.snapshot()))


def test_json_of_1000_series(benchmark, labelled):
    benchmark(lambda: json_snapshot(labelled.snapshot()))


@pytest.mark.parametrize("mode", ["precise", "sensitive"])
def test_an_update_of_an_anomaly_detector(benchmark, mode):
    detector, values = AnomalyDetector(mode=mode), itertools.cycle(VALUES[:1000].tolist())
    benchmark(lambda: detector.update(next(values)))


def test_a_trend_of_an_hour(benchmark):
    seconds = np.arange(3600.0)
    assert benchmark(trend, 0.01 * seconds + VALUES[:3600], seconds).slope > 0
