"""What the parts of a manager have to do with each other: each pair meets once both are built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perfcore.fastpath import FastPath

if TYPE_CHECKING:
    from perfcore.cache import AdaptiveCacheStrategy, Cache, CacheManager, PredictiveCaching
    from perfcore.memory import MemoryOptimizer
    from perfcore.monitor import MetricsCollector, PerformanceAlerting
    from perfcore.scaling import Backend
    from perfcore.workers import WorkerPool

__all__ = ["introduce"]

#: How often a strategy looks whether something is to be adapted, in seconds.
_ADAPTING = 60.0


def introduce(built: dict[str, Any], name: str) -> None:
    """Make parts known to each other, of which ``name`` was just built."""
    for (one, other), meet in _MEETINGS.items():
        if name in (one, other) and one in built and other in built:
            meet(built[one], built[other])


def _count_tasks(monitor: MetricsCollector, pool: WorkerPool) -> None:
    from perfcore.workers.stats import Totalled

    monitor.workers.add("workers", Totalled(pool.stats))


def _watch_nodes(monitor: MetricsCollector, backend: Backend) -> None:
    from perfcore.scaling.configured import watch

    watch(monitor, backend)


def _let_scale(alerts: PerformanceAlerting, pool: WorkerPool) -> None:
    from perfcore.workers import InlinePool
    from perfcore.workers.growth import Growth

    if not isinstance(pool, InlinePool):
        alerts.actions.add("scale_workers", Growth(pool))


def _let_hurry(path: FastPath, cache: CacheManager) -> None:
    def hurry(hurried: bool) -> None:
        cache.hurried = hurried

    path.add("memory only, stale if need be", lambda: hurry(True), lambda: hurry(False))


def _let_rest(path: FastPath, predictor: PredictiveCaching) -> None:
    path.add("nothing is loaded ahead", predictor.pause, predictor.resume)


def _let_adapt(monitor: MetricsCollector, strategy: AdaptiveCacheStrategy | None) -> None:
    if strategy is not None:
        monitor.every(_ADAPTING, lambda metrics: strategy.adapt_cache())


def _let_preload(strategy: AdaptiveCacheStrategy | None, predictor: PredictiveCaching) -> None:
    if strategy is not None:
        strategy.preload = predictor.preload_predicted_data


def _let_shrink(optimizer: MemoryOptimizer, cache: Cache[Any, Any]) -> None:
    if cache.capacity:  # none where memory is off
        optimizer.register(cache, "memory")


def _let_give_back(alerts: PerformanceAlerting, optimizer: MemoryOptimizer) -> None:
    def give_back(alert: Any) -> None:
        optimizer.give_back()

    alerts.actions.add("trigger_gc", give_back)


def _count_pools(monitor: MetricsCollector, optimizer: MemoryOptimizer) -> None:
    from perfcore.monitor.application import PoolMetricsCollector

    monitor.add(PoolMetricsCollector(optimizer.pools, monitor.caching.interval))


def _let_hold(optimizer: MemoryOptimizer, strategy: AdaptiveCacheStrategy | None) -> None:
    if strategy is not None:
        strategy.hold = lambda: optimizer.relieved


#: what two parts have to do with each other
_MEETINGS: dict[tuple[str, str], Callable[[Any, Any], None]] = {
    ("monitor", "memory"): lambda monitor, cache: monitor.caching.add("memory", cache),
    ("monitor", "parser"): lambda monitor, parser: parser.listen(monitor.parsing.record),
    ("monitor", "workers"): _count_tasks,
    ("monitor", "backend"): _watch_nodes,
    ("monitor", "strategy"): _let_adapt,
    ("monitor", "memory_optimizer"): _count_pools,
    ("alerts", "workers"): _let_scale,
    ("alerts", "memory_optimizer"): _let_give_back,
    ("memory_optimizer", "memory"): _let_shrink,
    ("memory_optimizer", "buffers"): lambda optimizer, pool: optimizer.register(pool, "buffers"),
    ("memory_optimizer", "strategy"): _let_hold,
    ("fast_path", "profiler"): lambda path, profiler: path.add(
        "no profiles", profiler.pause, profiler.resume
    ),
    ("fast_path", "cache"): _let_hurry,
    ("fast_path", "predictor"): _let_rest,
    ("strategy", "predictor"): _let_preload,
}
