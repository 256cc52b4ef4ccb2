"""Looks at a service: each part by itself, so that one which fails hides none of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from perfcore._log import logger
from perfcore._native.histogram import HistogramSnapshot
from perfcore.metrics.family import Key
from perfcore.metrics.registry import Registry
from perfcore.monitor.collector import MetricsCollector
from perfcore.monitor.collectors import ContainerCollector, MemoryCollector, ProcessCollector
from perfcore.monitor.handlers import Alert
from perfcore.monitor.rates import Rates, share
from perfcore.monitor.serve.looks import (
    AlertLook,
    CacheLook,
    Decision,
    HealthLook,
    LatencyLook,
    Look,
    MemoryLook,
    PartLook,
    PolicyLook,
    PoolLook,
    WorkersLook,
)
from perfcore.monitor.serve.once import Once
from perfcore.monitor.serve.sources import Sources

__all__ = ["Observer"]

log = logger("serve")

_T = TypeVar("_T")
#: What is shown at most of each kind: a page is for people, and a service may have 10 000 series.
_CACHES, _LATENCIES, _SCANNED, _ALERTS, _TEXT = 12, 6, 64, 50, 300


class Observer:
    """Looks at ``sources``; remembers what it saw last, for rates. For one thread."""

    def __init__(self, sources: Sources, interval: float) -> None:
        self._sources, self._longest = sources, 2.5 * interval
        self._lookups: dict[str, Rates] = {}
        self._times: dict[str, tuple[float, HistogramSnapshot]] = {}
        self._problems: list[str] = []
        self._once = Once(log)
        self._own: MetricsCollector | None = None

    def look(self, now: float) -> Look:
        """Look at everything, at a moment of the monotonic clock."""
        self._problems = []
        parts = [
            PartLook(name=name, state=found[0], detail=found[1])
            for name, found in (self._tried("parts", self._sources.parts) or {}).items()
        ]
        self._problems += [f"{part.name}: {part.detail}" for part in parts if part.state == "failed"]
        health = self._tried("health", self._sources.health) or {}
        self._problems += [
            f"{name}: {why or 'does not serve'}" for name, (ok, why) in health.items() if not ok
        ]
        named = dict([*(self._tried("caches", self._sources.caches) or {}).items()][:_CACHES])
        caches = [self._cache(name, cache, health.get(name), now) for name, cache in named.items()]
        firing, told = self._tried("alerts", self._alerts) or ([], [])
        return Look(
            parts=parts,
            caches=caches,
            latency=self._tried("latency", lambda: self._latency(now)) or [],
            memory=self._tried("memory", lambda: self._memory(caches)) or MemoryLook(),
            workers=self._tried("workers", self._workers),
            pools=self._pools(now),
            changes=self._tried("changes", self._changes) or [],
            firing=firing,
            alerts=told,
            policies=self._policies(named),
            health=HealthLook(ok=not self._problems, problems=self._problems),
        )

    def _tried(self, what: str, see: Callable[[], _T]) -> _T | None:
        try:
            return see()
        except Exception as error:
            self._problems.append(f"{what}: {type(error).__name__} when it was looked at")
            self._once.warn(f"looking at {what}", error)
            return None

    def _cache(self, name: str, cache: Any, health: tuple[bool, str] | None, now: float) -> CacheLook:
        stats = self._tried(name, cache.stats)
        ok, detail = (None, "") if health is None else health
        if stats is None:
            return CacheLook(name=name, ok=False, detail=detail or "cannot be looked at")
        counts = {"hits": stats.hits, "misses": stats.misses}
        grown = self._lookups.setdefault(name, Rates(self._longest)).since(now, counts)
        ratio = None if grown is None else share(grown.counts["hits"], sum(grown.counts.values()))
        return CacheLook(
            name=name,
            ok=ok,
            detail=detail,
            hits=stats.hits,
            misses=stats.misses,
            evictions=getattr(stats, "evictions", None),
            entries=getattr(stats, "entries", None),
            bytes=getattr(stats, "bytes", getattr(stats, "weight", None)),
            hit_ratio=None if ratio is None else ratio / 100,
        )

    def _latency(self, now: float) -> list[LatencyLook]:
        seen = _times(self._sources.registry())
        monitor = self._sources.monitor()
        if monitor is not None and (requests := monitor.parsing.times()).count:
            seen = {"requests": requests, **seen}
        most = sorted(seen, key=lambda name: -seen[name].count)[:_LATENCIES]
        looks = [self._calls(name, seen[name], now) for name in sorted(most, key=list(seen).index)]
        self._times = {name: (now, found) for name, found in seen.items()}
        return looks

    def _calls(self, name: str, times: HistogramSnapshot, now: float) -> LatencyLook:
        at, before = self._times.get(name, (now, times))
        if (
            not 0 < now - at <= self._longest
            or before.exponents != times.exponents
            or before.count > times.count
        ):
            return LatencyLook(name=name, count=times.count)
        recent = times - before
        quantiles = (
            {f"p{round(q * 100)}": recent.quantile(q) for q in (0.5, 0.95, 0.99)} if recent.count else {}
        )
        return LatencyLook(name=name, count=times.count, rate=recent.count / (now - at), **quantiles)

    def _memory(self, caches: list[CacheLook]) -> MemoryLook:
        monitor = self._sources.monitor()
        if monitor is None or not monitor.running:
            monitor = self._own = self._own or MetricsCollector(
                [ProcessCollector(), MemoryCollector(), ContainerCollector()],
                history=64,
                detect_anomalies=False,
            )
            monitor.collect_now()
        system = monitor.get_metrics().system
        held = [cache.bytes for cache in caches if cache.bytes is not None and cache.name == "memory"]
        contained = system.container.memory_limit is not None
        return MemoryLook(
            process=system.process.rss,
            caches=sum(held) if held else None,
            used=system.container.memory_used if contained else system.memory.used,
            limit=system.container.memory_limit if contained else system.memory.total,
        )

    def _workers(self) -> WorkersLook | None:
        stats = [pool.stats() for pool in self._sources.workers().values()]
        if not stats:
            return None
        return WorkersLook(
            active=sum(getattr(one, "busy", getattr(one, "active", 0)) for one in stats),
            queued=sum(_queued(one.queued) for one in stats),
            completed=sum(one.completed for one in stats),
            failed=sum(one.failed for one in stats),
        )

    def _pools(self, now: float) -> list[PoolLook]:
        named = [*(self._tried("pools", self._sources.pools) or {}).items()][:_CACHES]
        stats = {name: self._tried(name, pool.stats) for name, pool in named}
        return [self._pool(name, one, now) for name, one in stats.items() if one is not None]

    def _pool(self, name: str, stats: Any, now: float) -> PoolLook:
        of_bytes = hasattr(stats, "idle_bytes")
        counts = {"reused": stats.reused, "acquired": stats.acquired}
        grown = self._lookups.setdefault(f"pool {name}", Rates(self._longest)).since(now, counts)
        ratio = None if grown is None else share(grown.counts["reused"], grown.counts["acquired"])
        return PoolLook(
            name=name,
            unit="bytes" if of_bytes else "objects",
            in_use=stats.in_use_bytes if of_bytes else stats.in_use,
            idle=stats.idle_bytes if of_bytes else stats.idle,
            leaked=stats.leaked,
            hit_ratio=None if ratio is None else ratio / 100,
            **counts,
        )

    def _changes(self) -> list[Decision]:
        found = [*self._sources.changes()][-_ALERTS:]
        return [Decision(time=at, cache="memory optimizer", what=what, why=why) for at, what, why in found]

    def _alerts(self) -> tuple[list[AlertLook], list[AlertLook]]:
        alerting = self._sources.alerts()
        if alerting is None:
            return [], []
        told = alerting.history()
        latest = {alert.rule: alert for alert in told}
        firing = [_alert(latest[rule]) for rule in alerting.firing()[:_ALERTS] if rule in latest]
        return firing, [_alert(alert) for alert in reversed(told[-_ALERTS:])]

    def _policies(self, caches: Mapping[str, Any]) -> list[PolicyLook]:
        found = {
            name: self._tried(f"{name}'s policy", cache.policy_state)
            for name, cache in caches.items()
            if hasattr(cache, "policy_state")
        }
        fields = PolicyLook.__struct_fields__[1:]
        return [
            PolicyLook(cache=name, **{field: getattr(state, field) for field in fields})
            for name, state in found.items()
            if state is not None
        ]


def _times(registry: Registry) -> dict[str, HistogramSnapshot]:
    """Return the histograms of seconds of a registry, the first so many, by name and labels."""
    found: dict[str, HistogramSnapshot] = {}
    for family in registry:
        if family.kind in ("histogram", "timer") and family.unit in ("s", "seconds"):
            series: list[tuple[Key, Any]] = list(family.series.items())
            for key, instrument in series[: _SCANNED - len(found)]:
                labels = "overflow" if key is None else ", ".join(key)
                found[f"{family.name}{{{labels}}}" if labels else family.name] = instrument.snapshot()
    return found


def _queued(queued: Any) -> float:
    return float(sum(queued.values()) if isinstance(queued, Mapping) else queued)


def _alert(alert: Alert) -> AlertLook:
    return AlertLook(
        rule=alert.rule,
        state=alert.state,
        severity=alert.severity,
        message=alert.message[:_TEXT],
        time=alert.timestamp.timestamp(),
    )
