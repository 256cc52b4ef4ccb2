"""The pool of workers of a manager, and the optimizers of processor, input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfcore.config.schema import PerformanceConfig

if TYPE_CHECKING:  # a room is imported when its part is built, and not before
    from perfcore.io import IOOptimizer
    from perfcore.workers import CPUOptimizer, WorkerPool

__all__ = ["cpu_optimizer", "io_optimizer", "no_workers", "workers"]


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


def io_optimizer(config: PerformanceConfig) -> IOOptimizer:
    """Return an optimizer with a stream cache and buffers of its own."""
    from perfcore.io import IOOptimizer

    return IOOptimizer()
