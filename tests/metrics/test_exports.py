"""What leaves the process: Prometheus' text, OpenMetrics, JSON, and prometheus_client's own families."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from perfcore.integrations import PrometheusCollector
from perfcore.metrics import Counter, Gauge, Histogram, Registry
from perfcore.metrics.exposition import prometheus_text
from perfcore.metrics.jsonform import json_snapshot
from perfcore.monitor import MetricsCollector
from perfcore.monitor.exported import performance_snapshot


@pytest.fixture
def registry():
    registry = Registry(max_series=2)
    requests = Counter("http.requests", 'Says "no" to \\ and\nlines.', labels=["path"], registry=registry)
    for n, path in enumerate(["/", 'a"b\\c\nd', "/more", "/yet more"]):
        requests.labels(path).inc(n + 1)
    Gauge("queue.length", unit="{item}", registry=registry).set(-1.5)
    Gauge("odd", registry=registry).set(math.inf)
    times = Histogram("http.duration", "Times.", unit="s", registry=registry, low=2**-4, high=2**4)
    times.observe_many([0.0, 0.01, 0.25, 0.3, 3.0, 100.0])
    return registry


GOLDEN = r"""
# HELP http_requests_total Says "no" to \\ and\nlines.
# TYPE http_requests_total counter
http_requests_total{path="/"} 1
http_requests_total{path="a\"b\\c\nd"} 2
http_requests_total{otel_metric_overflow="true"} 7
# TYPE queue_length gauge
queue_length -1.5
# TYPE odd gauge
odd +Inf
# HELP http_duration_seconds Times.
# TYPE http_duration_seconds histogram
http_duration_seconds_bucket{le="0.0625"} 2
http_duration_seconds_bucket{le="0.125"} 2
http_duration_seconds_bucket{le="0.25"} 3
http_duration_seconds_bucket{le="0.5"} 4
http_duration_seconds_bucket{le="1.0"} 4
http_duration_seconds_bucket{le="2.0"} 4
http_duration_seconds_bucket{le="4.0"} 5
http_duration_seconds_bucket{le="8.0"} 5
http_duration_seconds_bucket{le="16.0"} 5
http_duration_seconds_bucket{le="+Inf"} 6
http_duration_seconds_sum 103.56
http_duration_seconds_count 6
""".lstrip()


def samples(families):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_text_that_prometheus_scrapes(registry):
    assert prometheus_text(registry.snapshot()).decode() == GOLDEN


def test_prometheus_own_client_reads_it_and_says_the_same(registry):
    theirs = CollectorRegistry()
    theirs.register(PrometheusCollector(registry.snapshot))
    ours = samples(parse(prometheus_text(registry.snapshot()).decode()))
    assert ours == samples(parse(generate_latest(theirs).decode()))
    assert len(ours) == GOLDEN.count("\n") - GOLDEN.count("#")


def test_openmetrics_is_read_by_the_strict_parser(registry):
    theirs = CollectorRegistry()
    theirs.register(PrometheusCollector(registry.snapshot))
    text = prometheus_text(registry.snapshot(), openmetrics=True).decode()
    assert text.endswith("# EOF\n")
    ours = samples(parse_openmetrics(text))
    assert ours == samples(parse_openmetrics(generate_openmetrics(theirs).decode()))


@given(st.text(max_size=30), st.floats() | st.integers(0, 10**15), st.text(max_size=30))
def test_whatever_stands_in_labels_and_descriptions_comes_back(label, value, description):
    registry = Registry()
    Gauge("g", description, labels=["l"], registry=registry).labels(label).set(value)
    (family,) = parse_openmetrics(prometheus_text(registry.snapshot(), openmetrics=True).decode())
    (sample,) = family.samples
    assert sample.labels == {"l": label}
    assert sample.value == value or math.isnan(value)


def test_json_has_a_schema_and_no_numbers_that_json_has_not(registry):
    found = json.loads(json_snapshot(registry.snapshot()), parse_constant=pytest.fail)
    assert found["schema"] == "perfcore.metrics/1" and found["time"] > 1e9
    families = {family["name"]: family for family in found["families"]}
    assert families["odd"]["samples"] == [{"labels": {}, "value": None}]
    assert families["queue.length"] == {
        "name": "queue.length",
        "kind": "gauge",
        "unit": "{item}",
        "description": "",
        "samples": [{"labels": {}, "value": -1.5}],
    }
    (times,) = families["http.duration"]["samples"]
    assert times["count"] == 6 and times["sum"] == pytest.approx(103.56)
    assert times["quantiles"].keys() == {"0.5", "0.95", "0.99"}
    assert families["http.requests"]["samples"][2]["labels"] == {"otel.metric.overflow": "true"}


def test_what_is_measured_is_exported_as_ratios_and_what_is_not_is_absent():
    collector = MetricsCollector()
    collector.collect_now()
    metrics = collector.get_metrics()
    found = samples(parse(prometheus_text(performance_snapshot(metrics)).decode()))
    assert found["system_memory_usage_bytes", ("state", "used")] == metrics.system.memory.used
    ratio = found["system_memory_utilization_ratio",]
    assert ratio == pytest.approx(metrics.system.memory.percent / 100)
    assert not any(name.startswith("system_cpu_utilization") for name, *_ in found), "not at the first look"
