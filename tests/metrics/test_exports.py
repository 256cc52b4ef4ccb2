"""What leaves the process: Prometheus' text, OpenMetrics, JSON, and prometheus_client's own families."""

import json
import math
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from perfcore.errors import ConfigError
from perfcore.integrations import PrometheusCollector
from perfcore.metrics import Counter, Gauge, Histogram, Registry
from perfcore.metrics.exposition import prometheus_text
from perfcore.metrics.jsonform import json_schema, json_snapshot, read_json
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


OPENMETRICS = (
    GOLDEN.replace("# HELP http_requests_total", "# HELP http_requests")
    .replace("# TYPE http_requests_total", "# TYPE http_requests")
    .replace('"no"', r"\"no\"")
    + "# EOF\n"
)

NATIVE = (
    "http_duration_seconds {count:6,sum:103.56,schema:5,zero_threshold:0.0625,zero_count:2,"
    "positive_spans:[-64:1,8:1,105:1,77:1],positive_deltas:[1,0,0,0]}"
)

JSON = """
{
  "schema": "perfcore.metrics/1",
  "time": 1.5,
  "families": [
    {"name": "http.requests", "kind": "counter", "unit": "",
     "description": "Says \\"no\\" to \\\\ and\\nlines.",
     "samples": [
       {"labels": {"path": "/"}, "value": 1},
       {"labels": {"path": "a\\"b\\\\c\\nd"}, "value": 2},
       {"labels": {"otel.metric.overflow": "true"}, "value": 7}]},
    {"name": "queue.length", "kind": "gauge", "unit": "{item}", "description": "",
     "samples": [{"labels": {}, "value": -1.5}]},
    {"name": "odd", "kind": "gauge", "unit": "", "description": "",
     "samples": [{"labels": {}, "value": null}]},
    {"name": "http.duration", "kind": "histogram", "unit": "s", "description": "Times.",
     "samples": [
       {"labels": {}, "count": 6, "sum": 103.56,
        "quantiles": {"0.5": 0.2739070285369184, "0.95": null, "0.99": null},
        "zeros": 1, "under": 1, "over": 1,
        "buckets": [[0.25, 1], [0.3038118399951172, 1], [3.0183288551868452, 1]]}]}
  ]
}
"""


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


def test_openmetrics_word_for_word(registry):
    assert prometheus_text(registry.snapshot(), openmetrics=True).decode() == OPENMETRICS


def test_native_histograms_stand_beside_classic_ones_where_openmetrics_2_is_asked_for(registry):
    theirs = CollectorRegistry()
    theirs.register(PrometheusCollector(registry.snapshot, native_histograms=True))
    newer = generate_openmetrics(theirs, version="2.0.0").decode()
    assert [line for line in newer.splitlines() if "schema:" in line] == [NATIVE]
    (found,) = (f for f in parse_openmetrics(newer) if f.name == "http_duration_seconds")
    (sample,) = (sample for sample in found.samples if sample.native_histogram)
    assert (sample.native_histogram.count_value, sample.native_histogram.sum_value) == (6, 103.56)
    classic = CollectorRegistry()
    classic.register(PrometheusCollector(registry.snapshot))
    assert generate_openmetrics(theirs) == generate_openmetrics(classic)
    assert newer.replace(NATIVE + "\n", "") == generate_openmetrics(classic).decode()


def test_json_word_for_word_and_as_its_schema_says(registry):
    text = json_snapshot(replace(registry.snapshot(), time_ns=1_500_000_000))
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == json.loads(JSON)
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    validator.validate(found)
    for spoil in (
        lambda d: d.pop("time"),
        lambda d: d.update(schema="perfcore.metrics/2"),
        lambda d: d["families"][0].update(kind="summary"),
        lambda d: d["families"][0]["samples"][0].pop("value"),
        lambda d: d["families"][3]["samples"][0].pop("buckets"),
    ):
        spoilt = json.loads(JSON)
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(spoilt)


def test_json_is_read_back_but_for_histograms(registry):
    snapshot = registry.snapshot()
    again = read_json(json_snapshot(snapshot))
    assert {**again["http.requests"].samples} == {**snapshot["http.requests"].samples}
    assert again["http.requests"].labels == ("path",)
    assert {name: (f.kind, f.unit, f.description) for name, f in again.families.items()} == {
        name: (f.kind, f.unit, f.description) for name, f in snapshot.families.items()
    }
    assert again["http.duration"].samples == {}
    for text in (b"", b"[]", b'{"schema": "perfcore.metrics/2", "time": 0, "families": []}'):
        with pytest.raises(ConfigError, match=r"perfcore\.metrics/1"):
            read_json(text)


def test_what_is_measured_is_exported_as_ratios_and_what_is_not_is_absent():
    collector = MetricsCollector()
    collector.collect_now()
    metrics = collector.get_metrics()
    found = samples(parse(prometheus_text(performance_snapshot(metrics)).decode()))
    assert found["system_memory_usage_bytes", ("state", "used")] == metrics.system.memory.used
    ratio = found["system_memory_utilization_ratio",]
    assert ratio == pytest.approx(metrics.system.memory.percent / 100)
    assert not any(name.startswith("system_cpu_utilization") for name, *_ in found), "not at the first look"
