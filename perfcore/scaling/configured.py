"""Backend, scaler and auto-scaler as a configuration describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perfcore.scaling.autoscale import AutoScaler
from perfcore.scaling.backend import Backend
from perfcore.scaling.local import LocalBackend
from perfcore.scaling.scaler import HorizontalScaler

if TYPE_CHECKING:
    from perfcore.config.schema import PerformanceConfig
    from perfcore.monitor import MetricsCollector
    from perfcore.workers import WorkerPool

__all__ = ["autoscaler", "backend", "no_autoscaler", "no_backend", "no_scaler", "scaler", "watch"]


def backend(config: PerformanceConfig, workers: WorkerPool) -> Backend:
    """Return the backend of ``scaling.backend``: over the pool of workers if there is one, or on Dask."""
    settings, pool = config.scaling, workers if config.workers.enabled else None
    if settings.backend == "local":
        return LocalBackend(settings.nodes, pool=pool, max_nodes=settings.max_nodes)
    from perfcore.scaling.dask import DaskBackend

    options: dict[str, Any] = {
        "timeout": settings.timeout,
        "fallback": settings.fallback and (LocalBackend(pool=pool) if pool is not None else True),
        "max_nodes": settings.max_nodes,
    }
    if settings.address is not None:
        return DaskBackend(settings.address, **options)
    return DaskBackend.local(settings.nodes, **options)


def no_backend() -> Backend:
    """Return a backend of one worker of this process, which starts with its first task."""
    return LocalBackend(1, max_nodes=1)


def scaler(config: PerformanceConfig, backend: Backend) -> HorizontalScaler:
    """Return the scaler within ``scaling.min_nodes`` and ``scaling.max_nodes``."""
    settings = config.scaling
    return HorizontalScaler(
        backend,
        min_nodes=settings.min_nodes,
        max_nodes=settings.max_nodes,
        timeout=settings.timeout,
        drain_timeout=settings.drain_timeout,
    )


def no_scaler() -> HorizontalScaler:
    """Return a scaler that has one worker and may have no more."""
    return HorizontalScaler(no_backend(), max_nodes=1)


def autoscaler(config: PerformanceConfig, scaler: HorizontalScaler, monitor: MetricsCollector) -> AutoScaler:
    """Return the auto-scaler of ``scaling.auto``, at work on what the monitor measures."""
    auto = config.scaling.auto
    return AutoScaler(
        scaler,
        monitor.get_metrics,
        cooldown=auto.cooldown,
        tolerance=auto.tolerance,
        window_out=auto.window_out,
        window_in=auto.window_in,
        interval=auto.interval,
        dry_run=auto.dry_run,
    ).start()


def no_autoscaler() -> AutoScaler:
    """Return an auto-scaler without rules, which looks at nothing."""
    return AutoScaler(no_scaler(), rules=())


def watch(monitor: MetricsCollector, backend: Backend) -> None:
    """Let the monitor count tasks, unless they are those of the pool of workers, which it counts already."""
    if not isinstance(backend, LocalBackend) or backend.owns_pool:
        monitor.workers.add("cluster", backend)
