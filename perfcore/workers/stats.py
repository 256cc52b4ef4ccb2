"""What a pool did and does, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from perfcore.workers.queues import LEVELS

if TYPE_CHECKING:
    from perfcore.metrics import Registry
    from perfcore.workers.crew import Crew

__all__ = ["PoolStats", "Totalled", "Totals", "publish", "stats_of"]


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The numbers of a pool at one moment; what counts up never goes down."""

    workers: int
    busy: int
    blocked: int  # wait for tasks of the same pool
    queued: Mapping[str, int]  # by priority
    submitted: int
    completed: int
    failed: int  # ended by an exception
    cancelled: int
    rejected: int  # no room
    dropped: int  # low ones that made room for newer ones
    expired: int  # not begun by their deadline
    inline: int  # run by who waited for them
    stolen: int
    rebalanced: int
    injected: int  # threads begun because another one waited

    @property
    def waiting(self) -> int:
        """Tasks that wait, of all priorities."""
        return sum(self.queued.values())


class Totals(NamedTuple):
    """The numbers that a collector of metrics reads: :class:`~perfcore.types.TaskCounts`."""

    active: int
    queued: int
    completed: int
    failed: int


class Totalled:
    """A pool as :class:`~perfcore.types.CountsTasks`."""

    def __init__(self, stats: Callable[[], PoolStats]) -> None:
        self._stats = stats

    def stats(self) -> Totals:
        """Return the totals over all priorities."""
        stats = self._stats()
        return Totals(stats.busy, stats.waiting, stats.completed, stats.failed)


def stats_of(crew: Crew) -> PoolStats:
    """Return the numbers of a crew."""
    with crew.lock:
        workers = list(crew.workers.values())
        return PoolStats(
            workers=len(workers),
            busy=sum(worker.task is not None for worker in workers),
            blocked=crew.blocked,
            queued=dict(zip(LEVELS, crew.queues.counts, strict=True)),
            submitted=crew.submitted,
            completed=crew.done + sum(worker.done for worker in workers),
            failed=crew.failed + sum(worker.failed for worker in workers),
            cancelled=crew.cancelled,
            rejected=crew.rejected,
            dropped=crew.dropped,
            expired=crew.expired,
            inline=crew.inline,
            stolen=crew.queues.stolen,
            rebalanced=crew.queues.rebalanced,
            injected=crew.injected,
        )


def loads_of(crew: Crew) -> list[tuple[int, int]]:
    """Return for each worker whether it runs something, 0 or 1, and how many tasks wait for it.

    What waits for whoever comes first is spread evenly over those that run something.
    """
    with crew.lock:
        own = crew.queues.loads()
        crew_loads = crew.workers.items()
        loads = [[int(worker.task is not None), own.get(number, 0)] for number, worker in crew_loads]
        shared = crew.queues.total - sum(own.values())
    takers = [load for load in loads if load[0]] or loads
    for n in range(min(shared, len(takers))):
        takers[n][1] += (shared - n - 1) // len(takers) + 1
    return [(running, waiting) for running, waiting in loads]


def publish(stats: PoolStats, registry: Registry, pool: str) -> None:
    """Set gauges ``perfcore_workers_*`` of a registry, with the label ``pool``, to these numbers."""
    from perfcore.metrics import Gauge

    for name in (field.name for field in fields(stats)):
        value = getattr(stats, name)
        if name == "queued":
            gauge = Gauge(
                "perfcore_workers_queued", "Tasks that wait", labels=("pool", "priority"), registry=registry
            )
            for priority, number in value.items():
                gauge.labels(pool, priority).set(number)
        else:
            gauge = Gauge(f"perfcore_workers_{name}", f"Workers: {name}", labels=("pool",), registry=registry)
            gauge.labels(pool).set(value)
