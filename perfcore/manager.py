"""The object that a service creates at start-up: builds, owns and stops all of perfcore from one config."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from perfcore.config.loading import Loaded, Setting, load
from perfcore.config.schema import PerformanceConfig
from perfcore.errors import ConfigError
from perfcore.reload import Reloaded, adjust
from perfcore.serving import Serving
from perfcore.status import ManagerStatus, PartStatus

if TYPE_CHECKING:
    from perfcore.cache import AdaptiveCacheStrategy, Cache, CacheManager, DiskCache, PredictiveCaching
    from perfcore.fastpath import FastPath
    from perfcore.io import IOOptimizer
    from perfcore.memory import BufferPool, MemoryOptimizer, ObjectPool, PooledBuffer
    from perfcore.memory.reports import MemoryReport
    from perfcore.monitor import (
        MetricsCollector,
        PerformanceAlerting,
        PerformanceMetrics,
        PerformanceProfiler,
    )
    from perfcore.parsing import OptimizedParser
    from perfcore.scaling import AutoScaler, Backend, HorizontalScaler
    from perfcore.workers import CPUOptimizer, WorkerPool

__all__ = ["ManagerStatus", "PartStatus", "PerformanceManager"]

T = TypeVar("T")

_shared: PerformanceManager | None = None
_sharing = Lock()


class PerformanceManager(Serving):
    """Builds, owns and stops the parts of perfcore that one configuration asks for.

    ``config`` is a mapping, the path of a ``.toml`` or ``.json`` file or a
    :class:`~perfcore.config.PerformanceConfig`; keyword arguments are settings too and win over it. It is
    validated at once: :exc:`~perfcore.errors.ConfigError` names the path and what was expected there.

    Each part is imported and built on its first use (by :meth:`start` where ``enable_code_splitting`` is
    off). A cache tier that is off, or that this machine cannot give, is a cache that stores nothing: code
    need not ask, and ``PERFCORE_DISABLE=cache`` needs no change in it. What the configuration asks for and
    this version does not have yet is said by :meth:`status` and logged once.

    May be used from any thread, and in a forked child.

    >>> with PerformanceManager(caching={"max_memory": "8MB"}) as manager:
    ...     manager.memory["user:1"] = "free"
    ...     manager.memory["user:1"], manager.status().parts["memory"].state
    ('free', 'running')
    """

    @classmethod
    def shared(
        cls,
        config: PerformanceConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        /,
        **options: Any,
    ) -> PerformanceManager:
        """Return the manager of this process, started; the first call makes it, of what it is given.

        A later call may give nothing or what amounts to the same configuration; :exc:`ConfigError` for
        another one, which :meth:`reload` would take. It is closed at the end of the interpreter, and stands
        in a forked child as in its parent. Managers made by the constructor are independent of it.

        >>> manager = PerformanceManager.shared(caching={"max_memory": "8MB"})
        >>> PerformanceManager.shared() is manager
        True
        >>> manager.close()
        """
        global _shared
        with _sharing:
            if _shared is None:
                _shared = cls(config, **options)
                atexit.register(_shared.close)
            elif (config is not None or options) and load(config, **options).config != _shared.config:
                raise ConfigError("the shared manager has another configuration; reload() changes it")
            return _shared.start()

    # --- parts ----------------------------------------------------------------------------------------------

    @property
    def config(self) -> PerformanceConfig:
        """The validated configuration, each setting in its canonical place."""
        return self._config

    @property
    def memory(self) -> Cache[Any, Any]:
        """The memory tier."""
        tier: Cache[Any, Any] = self._part("memory")
        return tier

    @property
    def disk(self) -> DiskCache | Cache[Any, Any]:
        """The disk tier."""
        tier: DiskCache | Cache[Any, Any] = self._part("disk")
        return tier

    @property
    def cache(self) -> CacheManager:
        """The cache over both tiers: one set of verbs, tags, dependencies, sync and async."""
        cache: CacheManager = self._part("cache")
        return cache

    @property
    def strategy(self) -> AdaptiveCacheStrategy | None:
        """What adapts the memory tier within ``max_size``; None where memory is off.

        It observes from its first use on, and with monitoring looks once a minute. At the level
        ``aggressive`` it acts, else it only advises: :meth:`.AdaptiveCacheStrategy.steps` says what.
        """
        strategy: AdaptiveCacheStrategy | None = self._part("strategy")
        return strategy

    @property
    def parser(self) -> OptimizedParser:
        """The parser of source files; :exc:`.MissingExtraError` without ``perfcore[parse]``."""
        parser: OptimizedParser = self._part("parser")
        return parser

    @property
    def monitor(self) -> MetricsCollector:
        """The collector of metrics, which runs from :meth:`start` on where the configuration wants it."""
        monitor: MetricsCollector = self._part("monitor")
        return monitor

    @property
    def alerts(self) -> PerformanceAlerting:
        """The alerts; add rules, handlers and actions to it."""
        alerts: PerformanceAlerting = self._part("alerts")
        return alerts

    @property
    def profiler(self) -> PerformanceProfiler:
        """The profiler; where profiling is off it calls what it is given and samples nothing."""
        profiler: PerformanceProfiler = self._part("profiler")
        return profiler

    @property
    def fast_path(self) -> FastPath:
        """What is left out while the service is too slow; the alert action ``enable_fast_path`` takes it.

        While it is taken nothing is profiled, and lookups of :attr:`cache` look no further than memory and
        take what is no longer fresh (:attr:`.CacheManager.hurried`).
        """
        path: FastPath = self._part("fast_path")
        return path

    @property
    def predictor(self) -> PredictiveCaching:
        """Loads ahead over all tiers, where ``warmup`` is ``predictive``: ask by ``predictor.get(key)``."""
        predictor: PredictiveCaching = self._part("predictor")
        return predictor

    @property
    def workers(self) -> WorkerPool:
        """The pool of workers; where workers are off, one whose calls are made by who submits them."""
        pool: WorkerPool = self._part("workers")
        return pool

    @property
    def backend(self) -> Backend:
        """What runs calls on nodes: :meth:`.Backend.submit`, or ``parser.parse_many(..., backend=)``."""
        backend: Backend = self._part("backend")
        return backend

    @property
    def scaler(self) -> HorizontalScaler:
        """The scaler of the backend's nodes; where scaling is off there is one, a thread of this process."""
        scaler: HorizontalScaler = self._part("scaler")
        return scaler

    @property
    def autoscaler(self) -> AutoScaler:
        """The auto-scaler, at work from :meth:`start` on where the configuration wants it."""
        autoscaler: AutoScaler = self._part("autoscaler")
        return autoscaler

    @property
    def cpu_optimizer(self) -> CPUOptimizer:
        """What tries changes to the pool of workers and keeps those that help; nothing unless it is asked."""
        optimizer: CPUOptimizer = self._part("cpu_optimizer")
        return optimizer

    @property
    def io_optimizer(self) -> IOOptimizer:
        """Files that are kept open, buffers for readers, and whether they pay."""
        optimizer: IOOptimizer = self._part("io_optimizer")
        return optimizer

    @property
    def memory_optimizer(self) -> MemoryOptimizer:
        """Pools that pay, a collector that costs little, leaks, and relief when memory is short.

        It works by itself from :meth:`start` on where the configuration has ``memory_optimization``, and
        looks after the memory tier and :attr:`buffers`; nothing happens otherwise unless it is asked.
        """
        optimizer: MemoryOptimizer = self._part("memory_optimizer")
        return optimizer

    @property
    def buffers(self) -> BufferPool:
        """The pool of buffers of this manager."""
        pool: BufferPool = self._part("buffers")
        return pool

    def get_optimal_buffer(self, size: int | str, /) -> PooledBuffer:
        """Return a buffer of ``size`` bytes in the smallest class that fits; raises as the pool does."""
        return self.buffers.acquire(size)

    def return_buffer(self, buffer: PooledBuffer, /) -> None:
        """Give a buffer back. Raises BufferError when it was, and while views of it are in use."""
        buffer.release()

    def create_object_pool(
        self,
        factory: Callable[[], T],
        size: int | None = None,
        reset: Callable[[T], object] | None = None,
        name: str | None = None,
    ) -> ObjectPool[T]:
        """Return a pool that :meth:`status` shows; see :meth:`.MemoryOptimizer.create_object_pool`.

        >>> with PerformanceManager() as manager:
        ...     pool = manager.create_object_pool(list, 20, list.clear)
        ...     manager.status().parts["memory_optimizer"].stats.pools["list"].idle
        2
        """
        return self.memory_optimizer.create_object_pool(factory, size, reset, name)

    def optimize_memory(self) -> MemoryReport:
        """See :meth:`.MemoryOptimizer.optimize_memory`; returns what was done and measured."""
        return self.memory_optimizer.optimize_memory()

    async def aoptimize_memory(self) -> MemoryReport:
        """:meth:`optimize_memory`, without holding up the event loop."""
        from asyncio import to_thread

        return await to_thread(self.optimize_memory)

    def get_metrics(self) -> PerformanceMetrics:
        """Return what the machine, the process and the parts do now; what is not measured is None."""
        return self.monitor.get_metrics()

    # --- looking around -------------------------------------------------------------------------------------

    def explain(self) -> dict[str, Setting]:
        """Return each setting by its dotted path: its value, what decided it, and what that overrode.

        >>> PerformanceManager(caching={"max_memory": "8MB"}).explain()["caching.layers.memory.max_size"]
        Setting(value=8388608, origin='caching.max_memory', overridden=())
        """
        return dict(self._settings)

    def reload(
        self,
        config: PerformanceConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        /,
        **options: Any,
    ) -> Reloaded:
        """Take another configuration while running, and say which settings apply now and which at a start.

        What is not built yet is built from the new one. Sizes and the strategy of memory, the size of the
        disk tier, sampling, thresholds and the number of workers are changed where they run; the rest keeps
        its old value until :meth:`close` and :meth:`start`. Raises :exc:`ConfigError` as the constructor
        does, and then nothing has changed.

        >>> manager = PerformanceManager(caching={"max_memory": "8MB"}).start()
        >>> _ = manager.memory
        >>> manager.reload(caching={"max_memory": "4MB", "strategy": "lru"}).applied
        ('caching.layers.memory.max_size', 'caching.layers.memory.strategy')
        >>> manager.memory.capacity, manager.memory.policy
        (4194304, 'lru')
        """
        fresh = load(config, **options)
        with self._lock:
            outcome = adjust(self._built, self._real(), Loaded(self._config, self._settings), fresh)
            self._config, self._settings = fresh
        return outcome


def _renew_lock() -> None:
    global _sharing
    _sharing = Lock()  # a thread that is not in a forked child may have held it


os.register_at_fork(after_in_child=_renew_lock)
