"""perfcore's metrics as observable instruments of a meter, for SDKs whose exporter is somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock, Thread
from typing import Any

from perfcore._native.histogram import HistogramSnapshot
from perfcore.errors import MissingExtraError
from perfcore.integrations.otel.attributes import attributes_of
from perfcore.metrics.registry import default_registry
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot

try:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
except ImportError as error:
    raise MissingExtraError("opentelemetry-api", "otel") from error

__all__ = ["observe"]


def observe(meter: Meter, *sources: Callable[[], RegistrySnapshot]) -> None:
    """Make an observable instrument of each family that ``sources`` return, whenever it comes to be.

    Without ``sources`` it is this process' registry. An observable instrument has no buckets: a histogram is
    two counters here, ``.count`` and ``.sum``; :class:`.OpenTelemetryExporter` gives all of it. A family that
    is made later is there from the next collection but one.

    >>> from opentelemetry.sdk.metrics import MeterProvider
    >>> from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    >>> from perfcore.metrics import Counter, Registry
    >>> registry, reader = Registry(), InMemoryMetricReader()
    >>> Counter("requests", registry=registry).inc(3)
    >>> observe(MeterProvider([reader]).get_meter("shop"), registry.snapshot)
    >>> found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    >>> {metric.name: metric.data.data_points[0].value for metric in found}
    {'perfcore.families': 1, 'requests': 3}
    """
    for source in sources or (default_registry().snapshot,):
        _Observed(meter, source)


class _Observed:
    """The instruments of one source. The first of them, which the SDK asks first, reads it for all."""

    def __init__(self, meter: Meter, source: Callable[[], RegistrySnapshot]) -> None:
        self._meter, self._source = meter, source
        self._latest = RegistrySnapshot({})
        self._known: set[str] = set()
        self._lock = Lock()
        meter.create_observable_gauge("perfcore.families", [self._read], "{family}")
        self._latest = source()
        self._make()

    def _read(self, _: CallbackOptions) -> Iterable[Observation]:
        self._latest = self._source()
        if self._latest.families.keys() - self._known:
            # The SDK holds its lock while it asks, and a new instrument needs that lock.
            Thread(target=self._make, name="perfcore-otel", daemon=True).start()
        yield Observation(len(self._latest.families))

    def _make(self) -> None:
        with self._lock:
            for name, family in self._latest.families.items():
                if name not in self._known:
                    self._known.add(name)
                    self._instrument(family)

    def _instrument(self, family: FamilySnapshot) -> None:
        meter, name, unit, text = self._meter, family.name, family.unit, family.description
        if family.kind == "counter":
            meter.create_observable_counter(name, [self._values(name)], unit, text)
        elif family.kind == "gauge":
            meter.create_observable_gauge(name, [self._values(name)], unit, text)
        else:
            counts, sums = self._values(name, "count"), self._values(name, "sum")
            meter.create_observable_counter(f"{name}.count", [counts], "{observation}", text)
            meter.create_observable_counter(f"{name}.sum", [sums], unit, text)

    def _values(self, name: str, part: str = "") -> Callable[[CallbackOptions], Iterable[Observation]]:
        def values(_: CallbackOptions) -> Iterable[Observation]:
            family = self._latest.families.get(name)
            if family is None:
                return
            for key, value in family.samples.items():
                number: Any = getattr(value, part) if isinstance(value, HistogramSnapshot) else value
                yield Observation(number, attributes_of(family, key))

        return values
