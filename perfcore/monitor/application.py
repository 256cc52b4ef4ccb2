"""Collectors of the application: requests that are parsed, caches, workers, pools.

They know nothing of those they watch but the protocols of :mod:`perfcore.types`: whoever has such numbers
adds itself under a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from perfcore._native.histogram import HistogramSnapshot
from perfcore.metrics.registry import Counter, Histogram, Registry
from perfcore.monitor.collectors import Collector, Values
from perfcore.monitor.rates import Rates, share
from perfcore.types import CountsLookups, CountsTasks

__all__ = [
    "CacheMetricsCollector",
    "ParseTimeCollector",
    "PoolMetricsCollector",
    "WorkerMetricsCollector",
]

S = TypeVar("S")


class ParseTimeCollector(Collector):
    """Requests and how long they took, as :meth:`record` is told.

    >>> parsing = ParseTimeCollector()
    >>> first = parsing.collect(0.0)
    >>> parsing.record(0.25); parsing.record(0.25, failed=True)
    >>> values = parsing.collect(1.0)
    >>> values["requests_per_second"], values["error_rate"], values["average_response_time"]
    (2.0, 50.0, 0.25)
    """

    place = "application.parsing"

    def __init__(self, interval: float = 1.0) -> None:
        super().__init__(interval)
        registry = Registry()
        self._times = Histogram("times", unit="s", registry=registry)
        self._failed = Counter("failed", registry=registry)
        self._before = self._times.snapshot()
        self._counts = self._rates()

    def record(self, seconds: float, failed: bool = False) -> None:
        """Count a request that took so many ``seconds``; from any thread, at the cost of a histogram."""
        if failed:
            self._failed.inc()
        self._times.observe(seconds)

    def times(self) -> HistogramSnapshot:
        """Return how long all requests took so far, in seconds."""
        return self._times.snapshot()

    def collect(self, now: float) -> Values:
        """See :class:`.ParsingMetrics`."""
        times = self._times.snapshot()
        recent, self._before = times - self._before, times
        grown = self._counts.since(now, {"all": times.count, "failed": self._failed.value})
        if grown is None:
            return dict.fromkeys(
                ("requests_per_second", "average_response_time", "p95_response_time", "error_rate")
            )
        some = recent.count > 0
        return {
            "requests_per_second": grown.total("all"),
            "average_response_time": recent.mean if some else None,
            "p95_response_time": recent.quantile(0.95) if some else None,
            "error_rate": share(grown.counts["failed"], grown.counts["all"]),
        }


class _Sources(Collector):
    """A collector that adds up what several sources say; one that raises is left out of that look."""

    def __init__(self, interval: float = 1.0) -> None:
        super().__init__(interval)
        self._named: dict[str, Any] = {}
        self._seen: dict[str, Rates] = {}

    def sources(self) -> dict[str, Any]:
        """Return all sources by name."""
        return dict(self._named)

    def names(self) -> list[str]:
        """Return the names of all sources."""
        return sorted(self._named)

    def remove(self, name: str) -> None:
        """Forget a source; KeyError when there is none of that name."""
        del self._named[name]

    def _add(self, name: str, source: object) -> None:
        if self._named.get(name) is not source:
            self._seen = {**self._seen, name: self._rates()}
            self._named = {**self._named, name: source}


class CacheMetricsCollector(_Sources):
    """Lookups and evictions of caches, and what they hold.

    Only the first place that is asked counts lookups: give it the caches that are not behind others.

    >>> from types import SimpleNamespace
    >>> counts = SimpleNamespace(hits=0, misses=0, evictions=0, weight=5)
    >>> caching = CacheMetricsCollector()
    >>> caching.add("orders", SimpleNamespace(stats=lambda: counts))
    >>> _ = caching.collect(0.0)
    >>> counts.hits, counts.misses = 30, 10
    >>> caching.collect(1.0)["hit_rate"]
    75.0
    """

    place = "application.caching"

    def add(self, name: str, cache: CountsLookups) -> None:
        """Watch a cache under a name of its own, or in place of the one that had it."""
        self._add(name, cache)

    def collect(self, now: float) -> Values:
        """See :class:`.CachingMetrics`."""
        hits = misses = evictions = 0.0
        held, known = 0.0, False
        for name, cache in self._named.items():
            stats = cache.stats()
            held += stats.weight
            grown = self._seen[name].since(
                now, {"hits": stats.hits, "misses": stats.misses, "evictions": stats.evictions}
            )
            if grown is not None:
                known = True
                hits, misses = hits + grown.counts["hits"], misses + grown.counts["misses"]
                evictions += grown.total("evictions")
        return {
            "hit_rate": share(hits, hits + misses),
            "miss_rate": share(misses, hits + misses),
            "eviction_rate": evictions if known else None,
            "memory_usage": held if self._named else None,
        }


class WorkerMetricsCollector(_Sources):
    """Tasks of worker pools."""

    place = "application.workers"

    def add(self, name: str, pool: CountsTasks) -> None:
        """Watch a pool under a name of its own, or in place of the one that had it."""
        self._add(name, pool)

    def collect(self, now: float) -> Values:
        """See :class:`.WorkerMetrics`."""
        stats = [pool.stats() for pool in self._named.values()]
        fields = ("active", "queued", "completed", "failed")
        return {field: _sum(stats, field) for field in fields}


class PoolMetricsCollector(Collector):
    """Pools of buffers and objects, as ``pools`` names them: what is lent and idle, and what leaked.

    ``hit_rate`` is the percentage of the acquisitions of the last interval that found something idle.

    >>> from types import SimpleNamespace
    >>> stats = SimpleNamespace(acquired=0, reused=0, leaked=0, in_use=1, idle=2)
    >>> pools = PoolMetricsCollector(lambda: {"rows": SimpleNamespace(stats=lambda: stats)})
    >>> pools.collect(0.0)["objects_idle"]
    2.0
    """

    place = "pools"

    def __init__(self, pools: Callable[[], Mapping[str, Any]], interval: float = 1.0) -> None:
        super().__init__(interval)
        self._pools, self._seen = pools, self._rates()

    def collect(self, now: float) -> Values:
        """See the class; the metrics are ``custom.pools.buffers_in_use``, in bytes, and so on."""
        stats = [pool.stats() for pool in self._pools().values()]
        buffers = [one for one in stats if hasattr(one, "idle_bytes")]
        objects = [one for one in stats if not hasattr(one, "idle_bytes")]
        counts = {name: _sum(stats, name) or 0.0 for name in ("reused", "acquired")}
        grown = self._seen.since(now, counts)
        return {
            "buffers_in_use": _sum(buffers, "in_use_bytes"),
            "buffers_idle": _sum(buffers, "idle_bytes"),
            "objects_in_use": _sum(objects, "in_use"),
            "objects_idle": _sum(objects, "idle"),
            "leaked": _sum(stats, "leaked"),
            "hit_rate": None if grown is None else share(grown.counts["reused"], grown.counts["acquired"]),
        }


def _sum(stats: Iterable[Any], field: str) -> float | None:
    found = [float(getattr(one, field)) for one in stats]
    return sum(found) if found else None
