"""The pools of a manager, of workers and of buffers, and the optimizers of processor, memory and input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfcore.config.schema import PerformanceConfig

if TYPE_CHECKING:  # a room is imported when its part is built, and not before
    from perfcore._native.buffers import BufferPool
    from perfcore.io import IOOptimizer
    from perfcore.memory import MemoryOptimizer
    from perfcore.workers import CPUOptimizer, WorkerPool

__all__ = ["buffers", "cpu_optimizer", "io_optimizer", "memory_optimizer", "no_workers", "workers"]


def workers(config: PerformanceConfig) -> WorkerPool:
    """Return the pool that the configuration describes."""
    from perfcore.workers import WorkerPool

    pool, queues = config.workers.pool, config.workers.queues
    bounds = {name: getattr(queues, name).max_size for name in ("high", "normal", "low")}
    return WorkerPool(pool.min, pool.max, scaling=pool.scaling, queues=bounds)


def no_workers() -> WorkerPool:
    """Return a pool whose calls are made by who submits them."""
    from perfcore.workers import InlinePool

    return InlinePool()


def cpu_optimizer(config: PerformanceConfig, pool: WorkerPool) -> CPUOptimizer:
    """Return an optimizer of a pool."""
    from perfcore.workers import CPUOptimizer

    return CPUOptimizer(pool)


def buffers(config: PerformanceConfig) -> BufferPool:
    """Return the pool of buffers that the configuration describes."""
    from perfcore._native.buffers import BufferPool

    chosen = config.memory_optimization.buffers
    return BufferPool(initial=chosen.initial, per_class=chosen.per_class, max_bytes=chosen.max_bytes)


def io_optimizer(config: PerformanceConfig, pool: BufferPool) -> IOOptimizer:
    """Return an optimizer with a stream cache of its own, which lends the manager's buffers."""
    from perfcore.io import IOOptimizer

    return IOOptimizer(pool=pool)


def memory_optimizer(config: PerformanceConfig) -> MemoryOptimizer:
    """Return an optimizer of memory, at work where the configuration wants that."""
    from perfcore.memory import MemoryOptimizer

    wanted = config.memory_optimization
    optimizer = MemoryOptimizer(
        wanted.frequency,
        wanted.gc_threshold,
        wanted.stalled,
        wanted.discovery,
        tune_gc=wanted.tune_gc,
        detect_leaks=wanted.detect_leaks,
    )
    return optimizer.start(wanted.interval, wanted.share) if wanted.enabled else optimizer
