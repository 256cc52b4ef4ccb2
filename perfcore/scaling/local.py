"""The local pool as a backend: its workers are the nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from perfcore._repr import safe_repr
from perfcore.scaling import checks
from perfcore.scaling.backend import BackendStats, ClusterNode, Priority
from perfcore.scaling.errors import CapacityError, DrainError
from perfcore.workers import WorkerPool

if TYPE_CHECKING:
    from perfcore.monitor import PerformanceMetrics

__all__ = ["LocalBackend"]

T = TypeVar("T")

_POLL = 0.005


class LocalBackend:
    """Runs calls in a :class:`~perfcore.workers.WorkerPool` of this process.

    ``pool`` is one that exists and stays its owner's to close; without it there is one of ``n_workers``
    threads or processes (``kind``), closed with the backend. ``max_nodes`` bounds what :meth:`add_nodes` may
    do.

    >>> with LocalBackend(2) as backend:
    ...     backend.submit(pow, 2, 10).result(), len(backend.nodes())
    (1024, 2)
    """

    def __init__(
        self,
        n_workers: int = 2,
        *,
        kind: Literal["thread", "process"] = "thread",
        pool: WorkerPool | None = None,
        max_nodes: int | None = None,
    ) -> None:
        checks.nodes("n_workers", n_workers)
        self.max_nodes = None if max_nodes is None else checks.nodes("max_nodes", max_nodes)
        self.owns_pool = pool is None
        self.pool = pool or WorkerPool(n_workers, n_workers, scaling="fixed", kind=kind)
        self._moved = 0

    @property
    def slots(self) -> int:
        """How many tasks can run at once."""
        return self.pool.max

    def submit(
        self, fn: Callable[..., T], /, *args: Any, priority: Priority = "normal", **kwargs: Any
    ) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` in the pool; raises what the pool raises."""
        return self.pool.submit(fn, *args, priority=priority, **kwargs)

    def nodes(self) -> list[ClusterNode]:
        """Return the workers that there may be, idle ones that have not begun too, and those that still end a
        task though there may be fewer.
        """
        loads, may = self.pool.loads(), self.pool.max
        loads += [(0, 0)] * (may - len(loads))
        return [
            ClusterNode(f"worker-{n}", "", 1, *load, "running" if n < may else "draining")
            for n, load in enumerate(loads)
        ]

    def add_nodes(self, target: int, timeout: float) -> None:
        """Let the pool have ``target`` workers; they begin as tasks wait for them."""
        if self.max_nodes is not None and target > self.max_nodes:
            raise CapacityError(f"{target} nodes were asked for, there may be {self.max_nodes}")
        self._resize(target)

    def remove_nodes(self, names: Iterable[str], timeout: float, force: bool = False) -> None:
        """Let the pool have so many workers less; those that end a task first go, after it.

        Raises DrainError after ``timeout`` seconds, when the pool has its workers back, unless ``force`` lets
        them go later.
        """
        before = self.pool.max
        target = before - len(set(names))
        self._resize(target)
        deadline = time.monotonic() + timeout
        while self.pool.stats().workers - self.pool.stats().blocked > target:
            if time.monotonic() >= deadline:
                if force:
                    return
                self._resize(before)
                raise DrainError(f"workers still had tasks to end after {timeout:g} s")
            time.sleep(_POLL)

    def redistribute(self, above: float, below: float) -> int:
        """Let the pool even out its workers' queues, by its own measure (half of what is above 1.5x)."""
        moved = self.pool.rebalance()
        self._moved += moved
        return moved

    def measure(self, metrics: PerformanceMetrics) -> PerformanceMetrics:
        """Return ``metrics`` with the queue of this pool; processors and memory are this machine's."""
        from msgspec.structs import replace

        stats = self.stats()
        workers = replace(metrics.application.workers, active=float(stats.active), queued=float(stats.queued))
        return replace(metrics, application=replace(metrics.application, workers=workers))

    def stats(self) -> BackendStats:
        """Return the counts of the pool."""
        stats = self.pool.stats()
        return BackendStats(
            *(stats.submitted, stats.completed, stats.failed, stats.cancelled),
            moved=self._moved,
            active=stats.busy,
            queued=sum(stats.queued.values()),
        )

    def close(self) -> None:
        """Run what was submitted and end the pool, if it is the backend's own."""
        if self.owns_pool:
            self.pool.shutdown()

    def _resize(self, target: int) -> None:
        self.pool.resize(min=min(self.pool.min, target) if not self.owns_pool else target, max=target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @safe_repr
    def __repr__(self) -> str:
        return f"<LocalBackend: {self.pool!r}>"
