"""Metrics and profiles through OpenTelemetry's own SDK: what its exporters are given is what was counted."""

import asyncio
import contextvars
import gc
import logging
import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.metrics import Counter as SDKCounter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from perfcore import PerformanceManager
from perfcore.integrations.otel import OpenTelemetryExporter, SpanTracer, observe, scope_metrics
from perfcore.metrics import Counter, Gauge, Histogram, Registry
from perfcore.metrics.instrument import note
from perfcore.monitor import MetricsCollector, PerformanceProfiler, performance_snapshot
from perfcore.workers import WorkerPool


class Kept(MetricExporter):
    """Keeps what it is given, as a backend would; may prefer deltas, and may be down."""

    def __init__(self, delta=False):
        super().__init__({SDKCounter: AggregationTemporality.DELTA} if delta else None)
        self.batches, self.down, self.ended = [], False, False

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        if self.down:
            return MetricExportResult.FAILURE
        self.batches.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs):
        self.ended = True

    def latest(self):
        """The metrics of perfcore's scope in the last batch, by name."""
        (resource,) = self.batches[-1].resource_metrics
        return {metric.name: metric for metric in resource.scope_metrics[-1].metrics}


@pytest.fixture
def exporting():
    """A registry, and the kept exporter at the end of a real reader of the SDK."""
    providers = []

    def make(*, delta=False, explicit=False, sources=(), announce=True):
        registry, kept = Registry(max_series=2), Kept(delta)
        exporter = OpenTelemetryExporter(
            kept, *(sources or (registry.snapshot,)), explicit_histograms=explicit
        )
        provider = MeterProvider([PeriodicExportingMetricReader(exporter, math.inf)])
        if announce:
            exporter.announce(provider)
        providers.append(provider)
        return registry, kept, provider

    yield make
    for provider in providers:
        provider.shutdown()


def fill(registry):
    requests = Counter("http.requests", "Requests.", labels=["path"], unit="{request}", registry=registry)
    for n, path in enumerate(["/", "/a", "/b", "/c"]):
        requests.labels(path).inc(n + 1)
    Gauge("queue.length", unit="{item}", registry=registry).set(-1.5)
    times = Histogram("http.duration", "Times.", unit="s", registry=registry, low=2**-4, high=2**4)
    times.observe_many([0.0, 0.01, 0.25, 0.3, 3.0, 100.0])


def values(metric):
    return {tuple(sorted(point.attributes.items())): point.value for point in metric.data.data_points}


# --- metrics ------------------------------------------------------------------------------------------------


def test_every_kind_of_instrument_reaches_the_exporter(exporting):
    registry, kept, provider = exporting()
    fill(registry)
    provider.force_flush()
    found = kept.latest()
    assert {(m.name, m.description, m.unit, type(m.data).__name__) for m in found.values()} == {
        ("http.requests", "Requests.", "{request}", "Sum"),
        ("queue.length", "", "{item}", "Gauge"),
        ("http.duration", "Times.", "s", "ExponentialHistogram"),
    }
    assert found["http.requests"].data.is_monotonic
    assert found["http.requests"].data.aggregation_temporality == AggregationTemporality.CUMULATIVE
    assert values(found["http.requests"]) == {
        (("path", "/"),): 1,
        (("path", "/a"),): 2,
        (("otel.metric.overflow", True),): 7,
    }
    assert values(found["queue.length"]) == {(): -1.5}
    (point,) = found["http.requests"].data.data_points[:1]
    assert point.start_time_unix_nano < point.time_unix_nano <= time.time_ns()
    assert '"http.duration"' in kept.batches[-1].to_json(), "the SDK can write all of it"


GOLDEN = {
    "attributes": {},
    "start_time_unix_nano": 7,
    "time_unix_nano": 9,
    "count": 6,
    "sum": 103.56,
    "scale": 5,
    "zero_count": 2,  # 0 and what lies below the range
    "positive": {"offset": -65, "bucket_counts": [1, *[0] * 8, 1, *[0] * 105, 1, *[0] * 77, 1]},
    "negative": {"offset": 0, "bucket_counts": ()},
    "flags": 0,
    "min": None,
    "max": None,
    "exemplars": [],
}


def test_a_histogram_has_just_these_buckets():
    from dataclasses import asdict, replace

    registry = Registry()
    fill(registry)
    snapshot = replace(registry.snapshot(), time_ns=9)
    *_, metric = scope_metrics(snapshot, start_ns=7).metrics
    (point,) = metric.data.data_points
    found = asdict(point)
    found["positive"]["bucket_counts"] = [*found["positive"]["bucket_counts"]]
    assert found == GOLDEN


@given(st.lists(st.floats(2**-30, 2**40, exclude_min=True)))
def test_no_observation_changes_its_bucket_on_the_way_out(observed):
    registry = Registry()
    histogram = Histogram("h", registry=registry)
    histogram.observe_many(observed)
    (metric,) = scope_metrics(registry.snapshot(), start_ns=0).metrics
    (point,) = metric.data.data_points
    assert point.count == len(observed) == sum(point.positive.bucket_counts)
    for value in observed:  # bucket i covers (2**(i/32), 2**((i+1)/32)]
        index = math.ceil(math.log2(value) * 32) - 1
        near = range(index - 1, index + 2)  # the logarithm is rounded
        assert any(
            point.positive.bucket_counts[i - point.positive.offset]
            for i in near
            if i >= point.positive.offset
        )
    rebuilt = [
        (2.0 ** ((point.positive.offset + i + 1) / 32), count)
        for i, count in enumerate(point.positive.bucket_counts)
        if count
    ]
    ours = histogram.snapshot().buckets()
    assert [count for _, count in rebuilt] == [count for _, count in ours]
    assert [edge for edge, _ in rebuilt] == pytest.approx([edge for edge, _ in ours])


def test_explicit_buckets_end_at_powers_of_two_and_add_up(exporting):
    registry, kept, provider = exporting(explicit=True)
    fill(registry)
    provider.force_flush()
    (point,) = kept.latest()["http.duration"].data.data_points
    assert point.explicit_bounds == [2.0**n for n in range(-4, 5)]
    assert point.bucket_counts == [2, 0, 1, 1, 0, 0, 1, 0, 0, 1] and sum(point.bucket_counts) == point.count


def test_an_exporter_that_prefers_deltas_gets_what_was_added_since_it_last_took_something(exporting):
    registry, kept, provider = exporting(delta=True)
    fill(registry)
    provider.force_flush()
    requests = Counter("http.requests", "Requests.", labels=["path"], unit="{request}", registry=registry)
    requests.labels("/").inc(10)
    kept.down = True
    provider.force_flush()
    requests.labels("/").inc(5)
    kept.down = False
    provider.force_flush()
    first, second = (batch.resource_metrics[0].scope_metrics[-1] for batch in kept.batches)
    assert second.metrics[0].data.aggregation_temporality == AggregationTemporality.DELTA
    assert values(second.metrics[0])[("path", "/"),] == 15, "what could not be told is told later"
    assert values(second.metrics[1]) == {(): -1.5}, "a gauge has no delta"
    assert second.metrics[2].data.data_points[0].count == 0
    assert (
        second.metrics[0].data.data_points[0].start_time_unix_nano
        == first.metrics[0].data.data_points[0].time_unix_nano
    )


def test_a_family_that_begins_anew_is_told_whole_and_never_negative(exporting):
    registry, kept, provider = exporting(delta=True)
    fill(registry)
    provider.force_flush()
    for name in ("http.requests", "http.duration"):
        registry.unregister(name)
    Counter("http.requests", labels=["path"], unit="{request}", registry=registry).labels("/").inc()
    Counter("http.requests", labels=["path"], unit="{request}", registry=registry).labels("/a").inc()
    Histogram("http.duration", unit="s", registry=registry, low=2**-4, high=2**4).observe(0.5)
    provider.force_flush()
    found = kept.latest()
    assert values(found["http.requests"]) == {(("path", "/"),): 1, (("path", "/a"),): 1}
    assert found["http.duration"].data.data_points[0].count == 1


def test_what_the_application_records_itself_passes_through(exporting):
    registry, kept, provider = exporting()
    provider.get_meter("shop").create_counter("orders").add(2)
    fill(registry)
    provider.force_flush()
    (resource,) = kept.batches[-1].resource_metrics
    scopes = [scope.scope.name for scope in resource.scope_metrics]
    assert "shop" in scopes and scopes[-1] == "perfcore"


def test_a_source_that_raises_costs_nothing_but_itself(exporting, caplog):
    registry = Registry()
    fill(registry)

    def broken():
        raise OSError("gone")

    _, kept, provider = exporting(sources=(broken, registry.snapshot))
    with caplog.at_level(logging.WARNING, "perfcore"):
        provider.force_flush()
        provider.force_flush()
    assert "http.requests" in kept.latest()
    assert sum("a source of metrics failed" in record.message for record in caplog.records) == 1


def test_what_a_collector_measures_goes_the_same_way(exporting):
    collector = MetricsCollector()
    collector.collect_now()
    _, kept, provider = exporting(sources=(lambda: performance_snapshot(collector.get_metrics()),))
    provider.force_flush()
    used = values(kept.latest()["system.memory.usage"])[("state", "used"),]
    assert used == collector.get_metrics().system.memory.used


def test_observable_instruments_follow_the_registry():
    registry, reader = Registry(max_series=2), InMemoryMetricReader()
    provider = MeterProvider([reader])
    observe(provider.get_meter("perfcore"), registry.snapshot)
    fill(registry)

    def found():
        (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
        return {metric.name: metric for metric in scope.metrics}

    assert values(found()["perfcore.families"]) == {(): 3}
    end = time.monotonic() + 20
    while "http.duration.sum" not in (now := found()):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert values(now["http.requests"]) == {
        (("path", "/"),): 1,
        (("path", "/a"),): 2,
        (("otel.metric.overflow", True),): 7,
    }
    assert values(now["http.duration.count"]) == {(): 6}
    assert values(now["http.duration.sum"])[()] == pytest.approx(103.56)
    registry.unregister("queue.length")
    assert "queue.length" not in found()
    provider.shutdown()


# --- traces -------------------------------------------------------------------------------------------------


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


@pytest.fixture
def profiler(provider):
    return PerformanceProfiler(1.0, tracer=SpanTracer(provider))


def named(spans):
    return {span.name: span for span in spans.get_finished_spans()}


def parent_of(span):
    return span.parent and span.parent.span_id


def test_a_call_is_a_span_and_its_phases_are_children(profiler, provider, spans):
    tracer = provider.get_tracer("shop")

    def call():
        note("cache.hit", 3)
        with profiler.phase("parse"), tracer.start_as_current_span("sql"):
            time.sleep(0.01)
        return 7

    with tracer.start_as_current_span("request"):
        assert profiler.profile("load", call) == 7
    found = named(spans)
    assert parent_of(found["sql"]) == found["parse"].context.span_id
    assert parent_of(found["parse"]) == found["load"].context.span_id
    assert parent_of(found["load"]) == found["request"].context.span_id
    (profile,) = profiler.get_profiles()
    attributes = dict(found["load"].attributes)
    assert attributes["perfcore.profile.id"] == profile.id and attributes["perfcore.status"] == "success"
    assert attributes["perfcore.operation.cache.hit"] == 3 and attributes["perfcore.weight"] == 1.0
    assert attributes["perfcore.cpu_time"] == profile.cpu_time
    assert found["load"].status.status_code is StatusCode.UNSET
    span = found["load"]
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(profile.duration, abs=0.05)
    assert not trace.get_current_span().get_span_context().is_valid


def test_an_exception_is_an_error_of_the_span_and_of_the_phase_it_left(profiler, spans):
    def call():
        with profiler.phase("parse"):
            raise KeyError("k")

    with pytest.raises(KeyError):
        profiler.profile("load", call)
    for span in named(spans).values():
        assert span.status.status_code is StatusCode.ERROR and "KeyError" in span.status.description
        assert [event.name for event in span.events] == ["exception"]


async def test_tasks_have_their_own_spans_under_the_one_they_were_started_in(profiler, spans):
    @profiler.profiled
    async def inner(n):
        await asyncio.sleep(0)
        with profiler.phase(f"phase {n}"):
            await asyncio.sleep(0)

    async def outer():
        await asyncio.gather(*(asyncio.create_task(inner(n)) for n in range(20)))

    await profiler.profile("outer", outer)
    finished = spans.get_finished_spans()
    (outer_span,) = (span for span in finished if span.name == "outer")
    inners = {span.context.span_id for span in finished if span.name.endswith("inner")}
    phases = [span for span in finished if span.name.startswith("phase")]
    assert len(inners) == len(phases) == 20
    assert {parent_of(span) for span in phases} == inners
    assert {parent_of(s) for s in finished if s.context.span_id in inners} == {outer_span.context.span_id}
    assert len({span.context.trace_id for span in finished}) == 1
    assert not trace.get_current_span().get_span_context().is_valid


def test_threads_of_a_pool_and_of_a_copied_context_go_on_with_the_trace(profiler, spans):
    def outer():
        with WorkerPool(1, 2) as pool:
            pool.submit(profiler.carried(profiler.profile), "pooled", int).result()
            asyncio.run(pool.run(profiler.profile, "run", int))
        thread = threading.Thread(
            target=contextvars.copy_context().run, args=(profiler.profile, "threaded", int)
        )
        thread.start()
        thread.join()
        alone = threading.Thread(target=profiler.profile, args=("alone", int))
        alone.start()
        alone.join()

    profiler.profile("outer", outer)
    found = named(spans)
    outer_id = found["outer"].context.span_id
    for name in ("pooled", "run", "threaded"):
        assert parent_of(found[name]) == outer_id
    assert found["alone"].parent is None


async def test_a_cancelled_call_is_no_error(profiler, spans):
    task = asyncio.create_task(profiler.profile("waits", asyncio.sleep, 60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    span = named(spans)["waits"]
    assert span.attributes["perfcore.status"] == "cancelled"
    assert span.status.status_code is StatusCode.UNSET


def test_what_ends_in_another_context_is_told_without_complaint(profiler, spans, caplog):
    async def waits():
        with profiler.phase("pause"):
            await asyncio.sleep(0)

    def begin():
        coroutine = profiler.profile("waits", waits)
        coroutine.send(None)
        return coroutine

    coroutine = contextvars.copy_context().run(begin)
    coroutine.close()
    gc.collect()
    assert named(spans).keys() == {"waits", "pause"}
    assert caplog.records == []


def test_what_is_not_sampled_makes_no_span(provider, spans):
    profiler = PerformanceProfiler(0.0, tracer=SpanTracer(provider))
    profiler.profile("load", int)
    with profiler.span("block"), profiler.phase("phase"):
        pass
    assert spans.get_finished_spans() == ()


def test_the_number_of_phase_spans_is_bounded(profiler, spans):
    with profiler.span("block"):
        for _ in range(1100):
            with profiler.phase("p"):
                pass
    assert len(spans.get_finished_spans()) == 1001


@pytest.mark.parametrize("failing", ["begin", "end", "drop"])
async def test_a_tracer_that_raises_changes_nothing(failing, caplog):
    class Tracer:
        def begin(self, name):
            return name

        def end(self, span, profile, error): ...

        def drop(self, span): ...

    def fail(self, *args):
        raise OSError("no collector")

    setattr(Tracer, failing, fail)
    profiler = PerformanceProfiler(1.0, tracer=Tracer())

    async def answer():
        with profiler.phase("p"):
            return 1

    with caplog.at_level(logging.WARNING, "perfcore"):
        for _ in range(3):
            assert profiler.profile("n", int, "3") == 3
            assert await profiler.profile("answer", answer) == 1
    assert len(profiler.get_profiles()) == 6
    assert len(caplog.records) == 1


def test_a_manager_with_tracing_gives_spans_to_the_processs_provider(provider, spans, monkeypatch):
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    settings = {"enabled": True, "enable_tracing": True, "sampling_rate": 1.0}
    with PerformanceManager(monitoring=settings) as manager:
        assert manager.profiler.profile("load", len, "abc") == 3
        assert manager.status().parts["profiler"].state == "running"
    assert named(spans).keys() == {"load"}
