"""``MetricsCollector``: measures the machine, the process and the application, and remembers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self
from weakref import WeakSet

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.monitor import records
from perfcore.monitor.application import CacheMetricsCollector, ParseTimeCollector, WorkerMetricsCollector
from perfcore.monitor.collectors import (
    Collector,
    ContainerCollector,
    CPUCollector,
    DiskCollector,
    MemoryCollector,
    NetworkCollector,
    ProcessCollector,
    Values,
)
from perfcore.monitor.history import History, Series, clock_ns
from perfcore.monitor.pace import Pace
from perfcore.monitor.records import PerformanceMetrics
from perfcore.monitor.summary import MetricsSummary, summarize

__all__ = ["CollectorStats", "MetricsCollector"]

log = logger("monitor")

#: Intervals after which a value is no longer true of now: the collector has failed, hangs or was stopped.
_STALE = 3.0
_SECTIONS = {
    "system.cpu": records.CPUMetrics,
    "system.memory": records.MemoryMetrics,
    "system.disk": records.DiskMetrics,
    "system.network": records.NetworkMetrics,
    "system.container": records.ContainerMetrics,
    "system.process": records.ProcessMetrics,
    "application.parsing": records.ParsingMetrics,
    "application.caching": records.CachingMetrics,
    "application.workers": records.WorkerMetrics,
}


class CollectorStats(NamedTuple):
    """How one collector does: its looks, those that raised, and the seconds that all of them took."""

    looks: int
    failures: int
    seconds: float
    #: Samples of series beyond the bound.
    refused: int


class _Watched:
    """A collector with its present and its past."""

    def __init__(self, collector: Collector, span: float, detect: bool) -> None:
        self.collector = collector
        place = collector.place
        self.place = place if place in _SECTIONS else f"custom.{place}"
        self.history = History(collector.interval, span, detect=detect)
        self.latest: tuple[int, Values] = 0, {}
        self.looks = self.failures = 0
        self.seconds = 0.0
        self._complained: set[type] = set()

    def look(self, now: float) -> None:
        begun = time.perf_counter()
        self.looks += 1
        try:
            values: Values = dict(self.collector.collect(now))
            self.history.add(clock_ns(), values)
        except Exception as error:
            self._failed(error)
            values = dict.fromkeys(self.history.fields)
            self.history.add(clock_ns(), values)
        self.latest = clock_ns(), values
        self.seconds += time.perf_counter() - begun

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if type(error) not in self._complained and len(self._complained) < 100:
            self._complained.add(type(error))
            log.warning("measuring %s failed (said once)", self.place, exc_info=error)

    def present(self) -> Values:
        """Return the values that are still true: none when the last look is too long ago."""
        at, values = self.latest
        return values if clock_ns() - at <= _STALE * self.collector.interval * 1e9 else {}

    def stats(self) -> CollectorStats:
        return CollectorStats(self.looks, self.failures, self.seconds, self.history.refused)


class MetricsCollector:
    """Measures at intervals, in a thread of its own, from :meth:`start_collection` to :meth:`stop`.

    Without ``collectors`` it is all that there are: CPU, memory, network, control group and process each
    second, disks every five, requests, caches and workers every ``interval``. ``history`` is for how many
    seconds samples are kept: at an hour, the default, their rings have 7 MB. ``detect_anomalies=False`` saves
    the detectors. Collectors that are added later run in a second thread: what is slow or hangs there delays
    none of these.

    Values that could not be measured, or not lately, are None. In a forked child it is stopped, and with
    ``in_children`` started there if it was in the parent.

    >>> collector = MetricsCollector()
    >>> collector.collect_now()
    >>> metrics = collector.get_metrics()
    >>> metrics.system.memory.used < metrics.system.memory.total, metrics.application.parsing.error_rate
    (True, None)
    """

    def __init__(
        self,
        collectors: Iterable[Collector] | None = None,
        *,
        interval: float = 1.0,
        history: float = 3600.0,
        detect_anomalies: bool = True,
        in_children: bool = False,
    ) -> None:
        self.parsing = ParseTimeCollector(interval)
        self.caching = CacheMetricsCollector(interval)
        self.workers = WorkerMetricsCollector(interval)
        self._span, self._detect = float(history), detect_anomalies
        self._watched: dict[str, _Watched] = {}
        self._own, self._added = Pace("collect"), Pace("collect-added")
        self._in_children = in_children
        self._reset()
        for collector in self._all() if collectors is None else collectors:
            self._watch(collector, self._own)
        _collectors.add(self)

    @safe_repr
    def __repr__(self) -> str:
        return f"<MetricsCollector: {', '.join(self._watched)}>"

    def _all(self) -> list[Collector]:
        return [
            CPUCollector(),
            MemoryCollector(),
            DiskCollector(),
            NetworkCollector(),
            ContainerCollector(),
            ProcessCollector(),
            self.parsing,
            self.caching,
            self.workers,
        ]

    def _forked(self) -> None:
        again = self._running and self._in_children
        self._reset()
        if again:
            self.start_collection()

    def _reset(self) -> None:
        """Be stopped: the threads are not there in a forked child, and the lock may have been held."""
        self._lock = Lock()
        self._running = False
        for pace in (self._own, self._added):
            pace.forked()

    # -- life --

    def start_collection(self) -> Self:
        """Begin to measure; does nothing when it does already. Returns the collector."""
        with self._lock:
            if not self._running:
                self._running = True
                self._own.start()
                self._added.start()
        return self

    async def astart_collection(self) -> Self:
        """:meth:`start_collection`, which takes no time worth leaving the event loop for."""
        return self.start_collection()

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop to measure; False if a collector was still busy after ``timeout`` seconds. May start again."""
        with self._lock:
            if not self._running:
                return True
            self._running = False
            ended = [pace.stop(timeout) for pace in (self._own, self._added)]
        return all(ended)

    def close(self) -> None:
        """:meth:`stop`, for owners who close things."""
        self.stop()

    def __enter__(self) -> Self:
        return self.start_collection()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it measures."""
        return self._running

    # -- what is measured --

    def add(self, collector: Collector) -> None:
        """Measure this too, from now on; ValueError when its place is taken or no name."""
        if collector.place not in _SECTIONS and not collector.place.isidentifier():
            raise ValueError(f"a collector's place is a name, got {collector.place!r}")
        self._watch(collector, self._added)

    def every(self, interval: float, call: Callable[[PerformanceMetrics], object]) -> None:
        """Call ``call`` with the metrics every ``interval`` seconds, after the collectors that are then due.

        What it raises is logged, once for what repeats.
        """
        complained: set[type] = set()

        def tell(now: float) -> None:
            try:
                call(self.get_metrics())
            except Exception as error:
                if type(error) not in complained and len(complained) < 100:
                    complained.add(type(error))
                    log.warning("looking at the metrics failed (said once)", exc_info=error)

        self._own.every(interval, tell)

    def _watch(self, collector: Collector, pace: Pace) -> None:
        watched = _Watched(collector, self._span, self._detect)
        if watched.place in self._watched:
            raise ValueError(f"{watched.place} is measured already")
        self._watched = {**self._watched, watched.place: watched}
        pace.every(collector.interval, watched.look)

    def collect_now(self) -> None:
        """Let every collector look once, in this thread; for programs that do not start a thread."""
        for watched in self._watched.values():
            watched.look(monotonic())

    # -- looking --

    def get_metrics(self) -> PerformanceMetrics:
        """Return everything as it was measured last."""
        sections: dict[str, dict[str, Any]] = {"system": {}, "application": {}, "custom": {}}
        for place, watched in self._watched.items():
            top, _, name = place.partition(".")
            values = dict(watched.present())
            make = _SECTIONS.get(place)
            known = () if make is None else make.__struct_fields__
            sections[top][name] = (
                values if make is None else make(**{field: values.get(field) for field in known})
            )
        return PerformanceMetrics(
            timestamp=time.time(),
            system=records.SystemMetrics(**sections["system"]),
            application=records.ApplicationMetrics(**sections["application"]),
            custom=sections["custom"],
        )

    def get_series(
        self, last: float | None = None, *, start: float | None = None, end: float | None = None
    ) -> dict[str, Series]:
        """Return the samples of a range (see :meth:`get_metrics_summary`), by the metric's path."""
        start, end = _range(last, start, end)
        return {
            f"{place}.{field}": series
            for place, watched in self._watched.items()
            for field, series in watched.history.series(start, end).items()
        }

    def get_metrics_summary(
        self, last: float | None = None, *, start: float | None = None, end: float | None = None
    ) -> MetricsSummary:
        """Return averages, peaks, trends and anomalies of the ``last`` so many seconds, or between two Unix
        times; of all that is remembered when neither is given.

        Raises ValueError when both are given, or the range ends before it starts.
        """
        series = self.get_series(last, start=start, end=end)
        start, end = _range(last, start, end)
        found = {
            f"{place}.{field}": findings
            for place, watched in self._watched.items()
            for field, findings in watched.history.findings(start, end).items()
        }
        return summarize(start, end, series, found)

    def stats(self) -> dict[str, CollectorStats]:
        """Return how each collector does, by its place."""
        return {place: watched.stats() for place, watched in self._watched.items()}


def _range(last: float | None, start: float | None, end: float | None) -> tuple[float, float]:
    if last is not None and (start is not None or end is not None):
        raise ValueError("a range is `last` seconds or from `start` to `end`, not both")
    until = time.time() if end is None else end
    since = until - last if last is not None else 0.0 if start is None else start
    if since > until:
        raise ValueError(f"a range that starts at {since} cannot end at {until}")
    return since, until


_collectors: WeakSet[MetricsCollector] = WeakSet()


def _forked() -> None:
    for collector in _collectors:
        collector._forked()


os.register_at_fork(after_in_child=_forked)
