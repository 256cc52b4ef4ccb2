"""The canonical configuration: frozen structs with one place for each setting.

Sizes are bytes, durations seconds, percentages 0-100. How else a setting may be spelled is
``spellings.py``'s business, how it is read ``fields.py``'s, and where the values come from ``loading.py``'s.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from perfcore.config.values import (
    Action,
    Compression,
    Count,
    Directory,
    Invalidation,
    Level,
    Nodes,
    Patience,
    Percent,
    Ratio,
    Seconds,
    Size,
    Strategy,
)

__all__ = [
    "Alert",
    "Alerts",
    "AutoScaling",
    "Buffers",
    "CacheConfig",
    "DiskLayer",
    "DistributedLayer",
    "LatencyAlert",
    "Layers",
    "LoadAlert",
    "MemoryLayer",
    "MemoryOptimization",
    "Monitoring",
    "Optimization",
    "Parsing",
    "PerformanceConfig",
    "Policies",
    "Pool",
    "Queue",
    "Queues",
    "Scaling",
    "Section",
    "Workers",
]

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every part of the configuration."""


class Optimization(Section, frozen=True, kw_only=True):
    """How far perfcore goes on its own; ``level`` sets the defaults of ``levels.py``."""

    level: Level = "balanced"
    enable_precompilation: bool = False
    enable_code_splitting: bool = True
    enable_tree_shaking: bool = True


class MemoryLayer(Section, frozen=True, kw_only=True):
    """The first tier: at most ``max_size`` bytes in this process; ``ttl`` None keeps values until evicted."""

    enabled: bool = True
    max_size: Size = 256 * MB
    strategy: Strategy = "adaptive"
    ttl: Seconds | None = None


class DiskLayer(Section, frozen=True, kw_only=True):
    """The second tier; ``directory`` None is the user's cache directory."""

    enabled: bool = False
    directory: Directory | None = None
    max_size: Size = 1 * GB
    compression: Compression = "adaptive"
    durability: Literal["relaxed", "commit", "sync"] = "relaxed"
    ttl: Seconds | None = None


class DistributedLayer(Section, frozen=True, kw_only=True):
    """The third tier, a Valkey or Redis cluster; ``replication_factor`` None accepts any."""

    enabled: bool = False
    nodes: Nodes = ()
    replication_factor: Count | None = None
    ttl: Seconds | None = None

    def __post_init__(self) -> None:
        if self.enabled and not self.nodes:
            raise ValueError("Expected at least one of `nodes`")


class Layers(Section, frozen=True, kw_only=True):
    """The tiers of the cache, fastest first."""

    memory: MemoryLayer = field(default_factory=MemoryLayer)
    disk: DiskLayer = field(default_factory=DiskLayer)
    distributed: DistributedLayer = field(default_factory=DistributedLayer)


class Policies(Section, frozen=True, kw_only=True):
    """What all tiers share: when a value ends, and what is loaded before it is asked for."""

    invalidation: Invalidation = "ttl"
    warmup: Literal["eager", "lazy", "predictive"] = "lazy"


class CacheConfig(Section, frozen=True, kw_only=True):
    """The guide's ``CacheConfig``: layers and policies."""

    enabled: bool = True
    layers: Layers = field(default_factory=Layers)
    policies: Policies = field(default_factory=Policies)


class Buffers(Section, frozen=True, kw_only=True):
    """The manager's pool of buffers: blocks of each small class at first and at most, idle bytes in all."""

    initial: Annotated[int, Meta(ge=0)] = 10
    per_class: Count = 20
    max_bytes: Size = 64 * MB

    def __post_init__(self) -> None:
        if self.initial > self.per_class:
            raise ValueError(f"Expected `initial` <= `per_class`, got {self.initial} and {self.per_class}")


class MemoryOptimization(Section, frozen=True, kw_only=True):
    """What :class:`.MemoryOptimizer` does every ``interval`` seconds, for a ``share`` of the time at most.

    ``gc_threshold`` is a share of the limit, ``stalled`` a percentage of time, ``frequency`` allocations a
    minute.
    """

    enabled: bool = False
    interval: Seconds = 60.0
    share: Annotated[float, Meta(gt=0, le=1)] = 0.01
    gc_threshold: Annotated[float, Meta(gt=0, le=1)] = 0.8
    stalled: Percent = 10.0
    frequency: Annotated[float, Meta(gt=0)] = 100.0
    discovery: Annotated[float, Meta(ge=0, lt=1)] = 0.01
    tune_gc: bool = True
    detect_leaks: bool = True
    buffers: Buffers = field(default_factory=Buffers)


class Alert(Section, frozen=True, kw_only=True):
    """A rule: ``action`` above ``threshold``; without a threshold there is no rule."""

    threshold: float | None = None
    action: Action | None = None

    def __post_init__(self) -> None:
        if self.action is not None and self.threshold is None:
            raise ValueError("Expected a `threshold` for the `action`")


class LoadAlert(Alert, frozen=True, kw_only=True):
    """A rule on a load in percent."""

    threshold: Percent | None = None


class LatencyAlert(Alert, frozen=True, kw_only=True):
    """A rule on a time in seconds."""

    threshold: Seconds | None = None


class Alerts(Section, frozen=True, kw_only=True):
    """The rules that ``monitoring.alerts`` and ``monitoring.thresholds`` can name."""

    cpu: LoadAlert = field(default_factory=LoadAlert)
    memory: LoadAlert = field(default_factory=LoadAlert)
    latency: LatencyAlert = field(default_factory=LatencyAlert)


class Monitoring(Section, frozen=True, kw_only=True):
    """Metrics every ``interval`` seconds, alerts, profiles of a ``sampling_rate`` (0-1) of the calls."""

    enabled: bool = False
    interval: Seconds = 5.0
    enable_metrics: bool = True
    enable_alerts: bool = False
    enable_profiling: bool = False
    enable_tracing: bool = False
    sampling_rate: Ratio = 0.1
    alerts: Alerts = field(default_factory=Alerts)


class Pool(Section, frozen=True, kw_only=True):
    """How many workers there are, at least and at most."""

    min: Count = 2
    max: Count = 8
    scaling: Literal["adaptive", "fixed"] = "adaptive"

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise ValueError(f"Expected `min` <= `max`, got {self.min} and {self.max}")


class Queue(Section, frozen=True, kw_only=True):
    """One priority and the number of tasks that may wait there."""

    priority: int = 5
    max_size: Count = 500


class Queues(Section, frozen=True, kw_only=True):
    """The three queues of the guide."""

    high: Queue = Queue(priority=10, max_size=100)
    normal: Queue = Queue(priority=5, max_size=500)
    low: Queue = Queue(priority=1, max_size=1000)

    def __post_init__(self) -> None:
        high, normal, low = self.high.priority, self.normal.priority, self.low.priority
        if not high > normal > low:
            raise ValueError(
                f"Expected priorities that fall from `high` to `low`, got {high}, {normal}, {low}"
            )


class Workers(Section, frozen=True, kw_only=True):
    """The worker pool and its queues."""

    enabled: bool = False
    pool: Pool = field(default_factory=Pool)
    queues: Queues = field(default_factory=Queues)


class AutoScaling(Section, frozen=True, kw_only=True):
    """When the number of nodes changes by itself; the rules are the guide's, times are seconds."""

    enabled: bool = False
    interval: Seconds = 5.0
    cooldown: Patience = 300.0
    tolerance: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    window_out: Patience = 0.0
    window_in: Patience = 300.0
    dry_run: bool = False


class Scaling(Section, frozen=True, kw_only=True):
    """Nodes: workers of this process, or of a Dask cluster, the one at ``address`` or one on this machine
    that begins with ``nodes``.
    """

    enabled: bool = False
    backend: Literal["local", "dask"] = "local"
    address: Annotated[str, Meta(pattern=r"^[a-z]+://.+")] | None = None
    nodes: Count = 2
    min_nodes: Count = 1
    max_nodes: Count = 8
    timeout: Seconds = 30.0
    drain_timeout: Seconds = 30.0
    fallback: bool = False
    auto: AutoScaling = field(default_factory=AutoScaling)

    def __post_init__(self) -> None:
        if self.min_nodes > self.max_nodes:
            raise ValueError(
                f"Expected `min_nodes` <= `max_nodes`, got {self.min_nodes} and {self.max_nodes}"
            )
        if self.address is not None and self.backend != "dask":
            raise ValueError("Expected `backend` dask for an `address`")


class Parsing(Section, frozen=True, kw_only=True):
    """The options of :func:`.optimize_for_performance`, whose tiers are where ``layers`` says."""

    enable_parse_cache: bool = True
    cache_size: Size = 256 * MB
    cache_ttl: Seconds | None = None
    enable_batching: bool = True
    batch_size: Count = 50
    max_concurrency: Count | None = 4
    enable_memory_optimization: bool = True
    gc_threshold: Ratio = 0.8
    enable_stream_processing: bool = True
    buffer_size: Size = 64 * KB
    max_file_size: Size = 10 * MB
    max_parse_time: Seconds = 30.0


class PerformanceConfig(Section, frozen=True, kw_only=True):
    """Every setting of perfcore, validated and in its one canonical place.

    A struct checks nothing when it is built by hand; :func:`perfcore.config.load` does.

    >>> PerformanceConfig().caching.layers.memory.max_size
    268435456
    """

    optimization: Optimization = field(default_factory=Optimization)
    caching: CacheConfig = field(default_factory=CacheConfig)
    parsing: Parsing = field(default_factory=Parsing)
    memory_optimization: MemoryOptimization = field(default_factory=MemoryOptimization)
    monitoring: Monitoring = field(default_factory=Monitoring)
    workers: Workers = field(default_factory=Workers)
    scaling: Scaling = field(default_factory=Scaling)
