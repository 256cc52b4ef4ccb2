"""The parts of perfcore that a manager builds and owns, and those that a configuration can name already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perfcore.config.schema import CacheConfig, DiskLayer, PerformanceConfig

if TYPE_CHECKING:  # a room is imported when its part is built, and not before
    from perfcore.cache import Cache, CacheManager, DiskCache
    from perfcore.parsing import OptimizedParser

__all__ = ["LATER", "PARTS", "Later", "Part", "nothing"]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a manager builds on first use, where the configuration wants it, and closes at the end.

    A ``tier`` of the cache is never missed: one that is off or cannot be built is replaced by ``nothing()``.
    ``build`` gets the configuration and the parts that this one ``needs``, which are built before.
    """

    name: str
    wanted: Callable[[PerformanceConfig], bool]
    build: Callable[..., Any]
    tier: bool = False
    needs: tuple[str, ...] = ()


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
    return Cache(maxbytes=layer.max_size, policy=layer.strategy, ttl=layer.ttl)


def _disk(config: PerformanceConfig) -> DiskCache:
    from perfcore.cache import DiskCache

    layer = config.caching.layers.disk
    return DiskCache(
        layer.directory,
        maxbytes=layer.max_size,
        ttl=layer.ttl,
        compression=layer.compression,
        durability=layer.durability,
    )


def _cache(
    config: PerformanceConfig, memory: Cache[Any, Any], disk: DiskCache | Cache[Any, Any]
) -> CacheManager:
    from perfcore.cache import CacheManager, DiskCache

    warmup = config.caching.policies.warmup
    return CacheManager(memory, disk if isinstance(disk, DiskCache) else None, warmup=warmup)


def _parser(config: PerformanceConfig) -> OptimizedParser:
    from msgspec.structs import asdict

    from perfcore.parsing import optimize_for_performance

    options = asdict(config.parsing)
    options["enable_parse_cache"] &= config.caching.enabled
    options["cache_directory"] = _parser_directory(config.caching.layers.disk)
    return optimize_for_performance(**options)


def _parser_directory(disk: DiskLayer) -> str | Literal[False] | None:
    """Return where the parser keeps its own environment, beside the disk tier's; None is its default."""
    if not disk.enabled:
        return False
    return disk.directory and str(Path(disk.directory, "parse"))


def _caching(wanted: Callable[[CacheConfig], bool]) -> Callable[[PerformanceConfig], bool]:
    return lambda config: config.caching.enabled and wanted(config.caching)


#: in the order in which they are built when all are; what is built last is closed first
PARTS = (
    Part("memory", _caching(lambda c: c.layers.memory.enabled), _memory, tier=True),
    Part("disk", _caching(lambda c: c.layers.disk.enabled), _disk, tier=True),
    Part("cache", lambda c: True, _cache, needs=("memory", "disk")),
    Part("parser", lambda c: True, _parser),
)

LATER = (
    Later("distributed", _caching(lambda c: c.layers.distributed.enabled)),
    Later("warmup", _caching(lambda c: c.policies.warmup == "predictive"), "caches fill as they are used"),
    Later("monitoring", lambda c: c.monitoring.enabled),
    Later("alerts", lambda c: c.monitoring.enabled and c.monitoring.enable_alerts),
    Later("profiling", lambda c: c.monitoring.enable_profiling),
    Later("tracing", lambda c: c.monitoring.enable_tracing),
    Later("workers", lambda c: c.workers.enabled),
    Later("precompilation", lambda c: c.optimization.enable_precompilation),
    Later("no tree shaking", lambda c: not c.optimization.enable_tree_shaking, "only what is used is loaded"),
)
