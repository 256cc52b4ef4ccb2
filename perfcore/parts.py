"""The parts of perfcore that a manager builds and owns, and those that a configuration can name already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perfcore import working
from perfcore.config.schema import (
    CacheConfig,
    DiskLayer,
    DistributedLayer,
    MemoryLayer,
    Monitoring,
    PerformanceConfig,
)
from perfcore.fastpath import FastPath

if TYPE_CHECKING:  # a room is imported when its part is built, and not before
    from perfcore.cache import AdaptiveCacheStrategy, Cache, CacheManager, DiskCache, RemoteCache
    from perfcore.monitor import MetricsCollector, PerformanceAlerting, PerformanceProfiler
    from perfcore.monitor.rules import Rule
    from perfcore.parsing import OptimizedParser
    from perfcore.precompile import Precompilation

__all__ = ["LATER", "PARTS", "Later", "Part", "configured_rules", "nothing"]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a manager builds on first use, where the configuration wants it, and closes at the end.

    One that is not wanted is replaced by what ``absent`` makes and does nothing, so that code need not ask;
    so is a ``tier`` of the cache that cannot be built. Where ``at_start`` it does not wait for its first use.
    ``build`` gets the configuration and the parts that this one ``needs``, which are built before.
    """

    name: str
    wanted: Callable[[PerformanceConfig], bool]
    build: Callable[..., Any]
    absent: Callable[[], Any]
    tier: bool = False
    needs: tuple[str, ...] = ()
    at_start: Callable[[PerformanceConfig], bool] = lambda config: False


@dataclass(frozen=True, slots=True)
class Later:
    """What a configuration may ask for and this version does not have; ``instead`` is what happens."""

    name: str
    wanted: Callable[[PerformanceConfig], bool]
    instead: str = "nothing runs"


def nothing() -> Cache[Any, Any]:
    """Return a cache that stores nothing."""
    from perfcore.cache import Cache

    return Cache(0)


def _memory(config: PerformanceConfig) -> Cache[Any, Any]:
    from perfcore.cache import Cache

    layer = config.caching.layers.memory
    return Cache(maxbytes=layer.max_size, policy=layer.strategy, ttl=_ttl(config, layer))


def _ttl(config: PerformanceConfig, layer: MemoryLayer | DiskLayer | DistributedLayer) -> float | None:
    """Return the ttl of a tier: none where values are ended by hand."""
    return None if config.caching.policies.invalidation == "manual" else layer.ttl


def _disk(config: PerformanceConfig) -> DiskCache:
    from perfcore.cache import DiskCache

    layer = config.caching.layers.disk
    return DiskCache(
        layer.directory,
        maxbytes=layer.max_size,
        ttl=_ttl(config, layer),
        compression=layer.compression,
        durability=layer.durability,
    )


def _cache(
    config: PerformanceConfig, memory: Cache[Any, Any], disk: DiskCache | Cache[Any, Any], distributed: Any
) -> CacheManager:
    from perfcore.cache import Cache, CacheManager

    below = [
        None if isinstance(tier, Cache) else tier for tier in (disk, distributed)
    ]  # off, or not to be had
    policies = config.caching.policies
    # where dependencies are what ends values, files are looked at on each hit, elsewhere once a second
    interval = 0.0 if policies.invalidation == "dependency" else 1.0
    return CacheManager(memory, *below, warmup=policies.warmup, check_interval=interval)


def _distributed(config: PerformanceConfig) -> RemoteCache:
    from perfcore.cache import RemoteCache

    layer = config.caching.layers.distributed
    return RemoteCache(
        nodes=layer.nodes, replication_factor=layer.replication_factor, ttl=_ttl(config, layer)
    )


def _strategy(config: PerformanceConfig, cache: CacheManager) -> AdaptiveCacheStrategy:
    from perfcore.cache import AdaptiveCacheStrategy

    size, level = config.caching.layers.memory.max_size, config.optimization.level
    return AdaptiveCacheStrategy(cache, budget=size, apply=level == "aggressive")


def _parser(config: PerformanceConfig) -> OptimizedParser:
    from msgspec.structs import asdict

    from perfcore.parsing import optimize_for_performance

    options = asdict(config.parsing)
    options["enable_parse_cache"] &= config.caching.enabled
    options["cache_directory"] = _parser_directory(config.caching.layers.disk)
    distributed = config.caching.layers.distributed
    options["remote"] = distributed.nodes if distributed.enabled else None
    return optimize_for_performance(**options)


def _parser_directory(disk: DiskLayer) -> str | Literal[False] | None:
    """Return where the parser keeps its own environment, beside the disk tier's; None is its default."""
    if not disk.enabled:
        return False
    return disk.directory and str(Path(disk.directory, "parse"))


def _alerts(config: PerformanceConfig, fast_path: FastPath) -> PerformanceAlerting:
    from perfcore.monitor import PerformanceAlerting
    from perfcore.monitor.handlers import log_handler

    alerts = PerformanceAlerting(configured_rules(config), handlers=[log_handler()])
    alerts.actions.add("enable_fast_path", fast_path.act)
    return alerts


def configured_rules(config: PerformanceConfig) -> list[Rule]:
    """Return the rules that ``monitoring.alerts`` and ``monitoring.thresholds`` are short for."""
    from msgspec.structs import replace

    from perfcore.monitor.alerts import threshold_rules

    settings = config.monitoring.alerts
    named = {"cpu": settings.cpu, "memory": settings.memory, "response_time": settings.latency}
    rules: list[Rule] = []
    for name, setting in named.items():
        if setting.threshold is not None:
            milliseconds = 1000 if name == "response_time" else 1
            (rule,) = threshold_rules({name: setting.threshold * milliseconds})
            rules.append(replace(rule, actions=(setting.action,) if setting.action else ()))
    return rules


def _no_alerts() -> PerformanceAlerting:
    from perfcore.monitor import PerformanceAlerting

    return PerformanceAlerting()


def _monitor(config: PerformanceConfig, alerts: PerformanceAlerting) -> MetricsCollector:
    from perfcore.monitor import MetricsCollector

    interval = config.monitoring.interval
    monitor = MetricsCollector(interval=interval, in_children=True)
    if config.monitoring.enable_alerts:
        monitor.every(interval, alerts.check_alerts)
    return monitor.start_collection()


def _no_monitor() -> MetricsCollector:
    from perfcore.monitor import MetricsCollector

    return MetricsCollector([])


def _profiler(config: PerformanceConfig) -> PerformanceProfiler:
    from perfcore.monitor import PerformanceProfiler

    if not config.monitoring.enable_tracing:
        return PerformanceProfiler(config.monitoring.sampling_rate)
    from perfcore.integrations.otel import SpanTracer

    return PerformanceProfiler(config.monitoring.sampling_rate, tracer=SpanTracer())


def _no_profiler() -> PerformanceProfiler:
    from perfcore.monitor import PerformanceProfiler

    return PerformanceProfiler(0.0)


def _precompilation(config: PerformanceConfig, disk: DiskCache | Cache[Any, Any]) -> Precompilation:
    from perfcore.precompile import Precompilation

    return Precompilation(config, disk)


def _scaling(name: str) -> Callable[..., Any]:
    def build(*known: Any) -> Any:
        from perfcore.scaling import configured  # when it is called

        return getattr(configured, name)(*known)

    return build


def _predictive(name: str) -> Callable[..., Any]:
    def build(*parts: Any) -> Any:
        from perfcore.cache.predictive import part

        return getattr(part, name)(*parts)

    return build


def _are_scaled(config: PerformanceConfig) -> bool:
    """Say whether an alert may be about the pool of workers before anybody has used it."""
    alerts = config.monitoring.alerts
    return "scale_workers" in (alerts.cpu.action, alerts.memory.action, alerts.latency.action)


def _monitoring(wanted: Callable[[Monitoring], bool]) -> Callable[[PerformanceConfig], bool]:
    return lambda config: config.monitoring.enabled and wanted(config.monitoring)


def _caching(wanted: Callable[[CacheConfig], bool]) -> Callable[[PerformanceConfig], bool]:
    return lambda config: config.caching.enabled and wanted(config.caching)


#: in the order in which they are built when all are; what is built last is closed first
PARTS = (
    Part("memory", _caching(lambda c: c.layers.memory.enabled), _memory, nothing, tier=True),
    Part("disk", _caching(lambda c: c.layers.disk.enabled), _disk, nothing, tier=True),
    Part("distributed", _caching(lambda c: c.layers.distributed.enabled), _distributed, nothing, tier=True),
    Part("cache", lambda c: True, _cache, nothing, needs=("memory", "disk", "distributed")),
    Part(
        "strategy",
        _caching(lambda c: c.layers.memory.enabled),
        _strategy,
        lambda: None,
        needs=("cache",),
    ),
    Part("parser", lambda c: True, _parser, nothing),
    Part(
        "workers",
        lambda c: c.workers.enabled,
        working.workers,
        working.no_workers,
        at_start=_are_scaled,
    ),
    Part("cpu_optimizer", lambda c: True, working.cpu_optimizer, nothing, needs=("workers",)),
    Part("buffers", lambda c: True, working.buffers, nothing),
    Part("io_optimizer", lambda c: True, working.io_optimizer, nothing, needs=("buffers",)),
    Part(
        "memory_optimizer",
        lambda c: True,
        working.memory_optimizer,
        nothing,
        at_start=lambda c: c.memory_optimization.enabled,
    ),
    Part(
        "predictor",
        _caching(lambda c: c.policies.warmup == "predictive"),
        _predictive("predictor"),
        _predictive("no_predictor"),
        needs=("cache", "disk", "workers"),
        at_start=lambda config: True,
    ),
    Part(
        "profiler",
        lambda c: c.monitoring.enable_profiling or c.monitoring.enable_tracing,
        _profiler,
        _no_profiler,
    ),
    Part("fast_path", lambda c: True, lambda config: FastPath(), FastPath),
    Part("alerts", _monitoring(lambda m: m.enable_alerts), _alerts, _no_alerts, needs=("fast_path",)),
    Part(
        "monitor",
        _monitoring(lambda m: m.enable_metrics),
        _monitor,
        _no_monitor,
        needs=("alerts",),
        at_start=lambda config: True,
    ),
    Part(
        "backend",
        lambda c: c.scaling.enabled,
        _scaling("backend"),
        _scaling("no_backend"),
        needs=("workers",),
    ),
    Part(
        "scaler", lambda c: c.scaling.enabled, _scaling("scaler"), _scaling("no_scaler"), needs=("backend",)
    ),
    Part(
        "autoscaler",
        lambda c: c.scaling.enabled and c.scaling.auto.enabled,
        _scaling("autoscaler"),
        _scaling("no_autoscaler"),
        needs=("scaler", "monitor"),
        at_start=lambda config: True,
    ),
    Part(
        "precompilation",
        lambda c: c.optimization.enable_precompilation,
        _precompilation,
        lambda: None,
        needs=("disk",),
        at_start=lambda config: True,
    ),
)

LATER: tuple[Later, ...] = ()
