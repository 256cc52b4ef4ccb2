"""perfcore's metrics through prometheus_client, beside those that an application has there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from perfcore._native.histogram import HistogramSnapshot
from perfcore._repr import safe_repr
from perfcore.errors import MissingExtraError
from perfcore.metrics.exposition import bounds_of, family_name, label_name
from perfcore.metrics.layouts import classic, native
from perfcore.metrics.registry import default_registry
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot

try:
    from prometheus_client import core, samples, utils
except ImportError as error:
    raise MissingExtraError("prometheus_client", "prometheus") from error

__all__ = ["PrometheusCollector"]


class PrometheusCollector:
    """A custom collector for a registry of prometheus_client.

    ``sources`` are called at each scrape and return snapshots; without any, it is this process' registry. For
    what a :class:`.MetricsCollector` measures give
    ``lambda: performance_snapshot(collector.get_metrics())``. Raises
    :exc:`~perfcore.errors.MissingExtraError` on import without ``perfcore[prometheus]``.

    Histograms have classic buckets at powers of two. With ``native_histograms`` they have native ones of
    schema 5 as well, which prometheus_client writes where OpenMetrics 2.0 is asked for and leaves out in 1.0;
    its plain text format fails on them, so that is for endpoints that are scraped as OpenMetrics. Prometheus
    itself reads native histograms as protobuf: :func:`.prometheus_protobuf`.

    >>> from prometheus_client import CollectorRegistry, generate_latest
    >>> from perfcore.metrics import Counter, Registry
    >>> ours, theirs = Registry(), CollectorRegistry()
    >>> Counter("requests", registry=ours).inc(3)
    >>> theirs.register(PrometheusCollector(ours.snapshot))
    >>> b"requests_total 3.0" in generate_latest(theirs)
    True
    """

    def __init__(self, *sources: Callable[[], RegistrySnapshot], native_histograms: bool = False) -> None:
        self._sources = sources or (default_registry().snapshot,)
        self._native = native_histograms

    @safe_repr
    def __repr__(self) -> str:
        native = ", native histograms" if self._native else ""
        return f"<PrometheusCollector: {len(self._sources)} sources{native}>"

    def collect(self) -> Iterator[Any]:
        """Yield the families of all sources; called by prometheus_client."""
        for source in self._sources:
            for family in source().families.values():
                yield _family(family, self._native)

    def describe(self) -> list[Any]:
        """Return nothing: names are not known before there are samples."""
        return []


def _family(family: FamilySnapshot, native_too: bool) -> Any:
    name, labels = family_name(family.name, family.unit), [*map(label_name, family.labels)]
    if family.kind == "counter":
        made: Any = core.CounterMetricFamily(name, family.description, labels=labels)
    elif family.kind == "gauge":
        made = core.GaugeMetricFamily(name, family.description, labels=labels)
    else:
        made = core.HistogramMetricFamily(name, family.description, labels=labels)
    for key, value in family.samples.items():
        names = {label_name(label): held for label, held in family.label_set(key).items()}
        if isinstance(value, HistogramSnapshot):
            _add_histogram(made, name, names, value)
            if native_too:
                made.add_sample(name, names, None, native_histogram=_native(value))
        else:
            made.add_sample(f"{name}_total" if family.kind == "counter" else name, names, float(value))
    return made


def _add_histogram(made: Any, name: str, labels: dict[str, str], value: HistogramSnapshot) -> None:
    for bound, count in classic(value, bounds_of(value)):
        made.add_sample(f"{name}_bucket", {**labels, "le": _le(bound)}, float(count))
    made.add_sample(f"{name}_sum", labels, value.sum)
    made.add_sample(f"{name}_count", labels, float(value.count))


def _native(value: HistogramSnapshot) -> samples.NativeHistogram:
    found = native(value)
    return samples.NativeHistogram(
        found.count,
        found.sum,
        found.schema,
        found.zero_threshold,
        found.zero_count,
        pos_spans=[samples.BucketSpan(*span) for span in found.spans],
        pos_deltas=found.deltas,
    )


def _le(bound: float) -> str:
    spell: Callable[[float], str] = utils.floatToGoString
    return spell(bound)
