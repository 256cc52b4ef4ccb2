"""An exporter of OpenTelemetry's SDK that passes on what it is given, and perfcore's metrics beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from psutil import Process  # type: ignore[import-untyped]

from perfcore._log import logger
from perfcore.errors import MissingExtraError
from perfcore.integrations.otel.points import SCOPE, scope_metrics
from perfcore.metrics.registry import default_registry
from perfcore.metrics.snapshot import RegistrySnapshot

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.sdk import metrics, resources
    from opentelemetry.sdk.metrics import export as sdk
except ImportError as error:
    raise MissingExtraError("opentelemetry-sdk", "otel") from error

__all__ = ["OpenTelemetryExporter"]

log = logger("otel")

Source = Callable[[], RegistrySnapshot]


class OpenTelemetryExporter(sdk.MetricExporter):
    """Passes to ``exporter`` what it is given and, beside it, what ``sources`` hold at that moment.

    To be given to a ``PeriodicExportingMetricReader`` in the exporter's place. ``sources`` are called for
    each export and return snapshots; without any, it is this process' registry. Counts are cumulative or,
    where the exporter prefers that of counters, what was added since its last successful export. Histograms
    keep all their buckets; with ``explicit_histograms``, for backends that know no exponential ones, those at
    powers of two. A source that raises is left out and logged once.

    An SDK without a single instrument has nothing to export and asks nobody: :meth:`announce` gives it one.

    >>> from opentelemetry.sdk.metrics import MeterProvider
    >>> from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
    >>> from perfcore.metrics import Counter, Registry
    >>> registry, told = Registry(), []
    >>> Counter("requests", registry=registry).inc(3)
    >>> def names(data): told.extend(m.name for m in data.resource_metrics[0].scope_metrics[1].metrics)
    >>> console = ConsoleMetricExporter(formatter=lambda data: names(data) or "")
    >>> exporter = OpenTelemetryExporter(console, registry.snapshot)
    >>> provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
    >>> exporter.announce(provider)
    >>> provider.force_flush(), told
    (True, ['requests'])
    >>> provider.shutdown()
    """

    def __init__(
        self, exporter: sdk.MetricExporter, *sources: Source, explicit_histograms: bool = False
    ) -> None:
        preferred = exporter._preferred_temporality  # where the SDK's own reader looks as well
        super().__init__(preferred, exporter._preferred_aggregation)
        self._exporter, self._explicit = exporter, explicit_histograms
        self._sources = sources or (default_registry().snapshot,)
        self._delta = (preferred or {}).get(metrics.Counter) is sdk.AggregationTemporality.DELTA
        self._before: dict[Source, RegistrySnapshot] = {}
        self._began_ns = int(Process().create_time() * 1e9)
        self._complained: set[type] = set()

    def announce(self, provider: MeterProvider) -> None:
        """Make an instrument of ``provider``: ``perfcore.families``, how many families are exported."""

        def families(_: CallbackOptions) -> Iterable[Observation]:
            yield Observation(sum(len(found.families) for found in self._read().values()))

        provider.get_meter(SCOPE).create_observable_gauge("perfcore.families", [families], "{family}")

    def export(
        self, metrics_data: sdk.MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> sdk.MetricExportResult:
        """Pass it on with perfcore's; called by a reader."""
        read = self._read()
        ours = [self._scope(source, found) for source, found in read.items()]
        first, *others = metrics_data.resource_metrics or [
            sdk.ResourceMetrics(resources.Resource.create(), [], "")
        ]
        joined = replace(first, scope_metrics=[*first.scope_metrics, *ours])
        result = self._exporter.export(sdk.MetricsData([joined, *others]), timeout_millis, **kwargs)
        if result is sdk.MetricExportResult.SUCCESS:
            self._before.update(read)  # what could not be told is told the next time
        return result

    def _read(self) -> dict[Source, RegistrySnapshot]:
        found = {}
        for source in self._sources:
            try:
                found[source] = source()
            except Exception as error:
                if type(error) not in self._complained and len(self._complained) < 100:
                    self._complained.add(type(error))
                    log.warning("a source of metrics failed (said once)", exc_info=error)
        return found

    def _scope(self, source: Source, now: RegistrySnapshot) -> sdk.ScopeMetrics:
        before = self._before.get(source)
        if not self._delta:
            return scope_metrics(now, start_ns=self._began_ns, explicit=self._explicit)
        if before is None:
            return scope_metrics(now, start_ns=self._began_ns, delta=True, explicit=self._explicit)
        grown = RegistrySnapshot(
            {name: _grown(name, now, before) for name in now.families}, max(now.time_ns, before.time_ns)
        )
        return scope_metrics(grown, start_ns=before.time_ns, delta=True, explicit=self._explicit)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Have the exporter send what it still holds."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown(timeout_millis, **kwargs)


def _grown(name: str, now: RegistrySnapshot, before: RegistrySnapshot) -> Any:
    """Return what a family has counted since then; all of it when it has begun anew in the meantime."""
    fresh = now.families[name]
    try:
        grown = (RegistrySnapshot({name: fresh}) - before).families[name]
    except (ValueError, TypeError):
        return fresh
    counts = grown.samples.values() if fresh.kind == "counter" else ()
    return fresh if any(count < 0 for count in counts if isinstance(count, int | float)) else grown
