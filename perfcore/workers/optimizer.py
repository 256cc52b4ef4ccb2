"""The processor optimizer: changes to a pool that are measured, and undone when they do not help."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from perfcore._repr import safe_repr
from perfcore.cgroups import ControlGroup
from perfcore.workers.affinity import choose
from perfcore.workers.keeper import BUSY, busy_share
from perfcore.workers.pool import WorkerPool
from perfcore.workers.stats import PoolStats

__all__ = ["CPUOptimizer", "CPUReport", "CPUStep", "available_cpus"]

#: share by which tasks a second must grow for a change to stay
GAIN: Final = 0.05


class CPUStep(NamedTuple):
    """One change that was tried: tasks a second before and after it; None where nothing was tried."""

    name: str
    outcome: Literal["kept", "undone", "nothing"]
    reason: str
    before: float | None = None
    after: float | None = None


class CPUReport(NamedTuple):
    """What one call of :meth:`CPUOptimizer.optimize_cpu` tried, and the pool before and after it."""

    cpus: float
    steps: list[CPUStep]
    before: PoolStats
    after: PoolStats


def available_cpus() -> float:
    """Return how many processors this process may use: those it is bound to, or its control group's quota.

    >>> 0 < available_cpus() <= os.cpu_count()
    True
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = ControlGroup().cpu_limit
    return float(bound) if limit is None else min(float(bound), limit)


def completed_per_second(pool: WorkerPool, seconds: float) -> float:
    """Return how many tasks of a pool end a second, by looking at it for so many ``seconds``."""
    start, before = time.perf_counter(), pool.stats()
    time.sleep(seconds)
    after = pool.stats()
    ended = after.completed + after.failed - before.completed - before.failed
    return ended / (time.perf_counter() - start)


class CPUOptimizer:
    """Tries changes to a pool while it works, and keeps those after which more tasks end a second.

    Without ``pool`` it has one of its own, from the number of processors to twice that, which :meth:`close`
    ends. ``seconds`` is how long it looks at the pool before and after a change; ``measure`` replaces that
    look. What a pool without work does cannot be measured: then nothing is tried.

    >>> with CPUOptimizer() as optimizer:
    ...     step = optimizer.optimize_cpu_affinity()
    ...     optimizer.pool.max == 2 * optimizer.pool.min, step.outcome, step.reason
    (True, 'nothing', 'no task has ended while it was looked at')
    """

    def __init__(
        self,
        pool: WorkerPool | None = None,
        *,
        seconds: float = 0.25,
        measure: Callable[[WorkerPool], float] | None = None,
    ) -> None:
        if not seconds > 0:
            raise ValueError(f"Expected seconds > 0, got {seconds} - at `seconds`")
        self.cpus = available_cpus()
        whole = math.ceil(self.cpus)
        self._own = pool is None
        self.pool = WorkerPool(whole, 2 * whole) if pool is None else pool
        self._measure = measure or (lambda pool: completed_per_second(pool, seconds))

    @safe_repr
    def __repr__(self) -> str:
        return f"<CPUOptimizer: {self.cpus} processors, {self.pool!r}>"

    def optimize_cpu(self) -> CPUReport:
        """Balance the work, then try another number of workers, then bind them; return what helped."""
        before = self.pool.stats()
        steps = [self.balance_workload(), self.optimize_task_scheduling(), self.optimize_cpu_affinity()]
        return CPUReport(self.cpus, steps, before, self.pool.stats())

    async def aoptimize_cpu(self) -> CPUReport:
        """Do :meth:`optimize_cpu` in a thread."""
        return await asyncio.to_thread(self.optimize_cpu)

    def balance_workload(self) -> CPUStep:
        """Move half of what waits at workers above 1.5 times the average; back, when that made it slower."""
        crew = self.pool._crew
        with crew.lock:
            owners = crew.queues.owners()
        moved = 0

        def change() -> str:
            nonlocal moved
            moved = self.pool.rebalance()
            return f"{moved} tasks moved" if moved else ""

        def undo() -> None:
            with crew.lock:
                crew.queues.give_back(owners)

        return self._try("balance_workload", change, undo, "no worker has too many tasks", least=-GAIN)

    def optimize_task_scheduling(self) -> CPUStep:
        """Try half as many workers, or twice as many where tasks wait for workers that wait."""
        least, most = self.pool.min, self.pool.max
        ceiling = max(most, 4 * math.ceil(self.cpus))

        def change() -> str:
            waiting, busy = self.pool.stats().waiting, busy_share(self.pool._crew, 0.05)
            more = waiting and busy < BUSY and most < ceiling
            size = min(2 * most, ceiling) if more else max(least, most // 2)
            if size == most:
                return ""
            self.pool.resize(max=size)
            return f"{size} workers at most instead of {most}"

        return self._try(
            "optimize_task_scheduling",
            change,
            lambda: self.pool.resize(least, most),
            "there is no other number of workers to try",
        )

    def optimize_cpu_affinity(self) -> CPUStep:
        """Bind each worker to a processor of its own, in turns; let them go again when that does not help."""
        bound: dict[int, set[int]] = {}

        def change() -> str:
            processors = choose(hasattr(os, "sched_setaffinity"))
            if len(processors) < 2:
                return ""
            for number, target in enumerate(self._targets()):
                try:
                    bound[target] = os.sched_getaffinity(target)
                    os.sched_setaffinity(target, {processors[number % len(processors)]})
                except OSError:  # it has ended
                    bound.pop(target, None)
            return f"{len(bound)} workers bound to {len(processors)} processors" if bound else ""

        def undo() -> None:
            for target, processors in bound.items():
                try:
                    os.sched_setaffinity(target, processors)
                except OSError:
                    pass

        return self._try("optimize_cpu_affinity", change, undo, "there is only one processor, or no worker")

    def _targets(self) -> list[int]:
        """Return the threads or processes in which the tasks of the pool run."""
        crew = self.pool._crew
        with crew.lock:
            workers = list(crew.workers.values())
        return [target for worker in workers for target in worker.runner.targets(worker)]

    def _try(
        self,
        name: str,
        change: Callable[[], str],
        undo: Callable[[], Any],
        otherwise: str,
        least: float = GAIN,
    ) -> CPUStep:
        """Make a change, and undo it unless tasks a second grew by the share ``least``, or it failed."""
        before = self._measure(self.pool)
        if before <= 0:
            return CPUStep(name, "nothing", "no task has ended while it was looked at", before)
        try:
            what = change()
            after = self._measure(self.pool) if what else before
        except BaseException:
            undo()
            raise
        if not what:
            return CPUStep(name, "nothing", otherwise, before)
        if after >= before * (1 + least):
            return CPUStep(name, "kept", what, before, after)
        undo()
        return CPUStep(
            name, "undone", f"{what}: {after:.4g} tasks a second instead of {before:.4g}", before, after
        )

    def close(self) -> None:
        """End the optimizer's own pool, if it has one; what it was given is finished first."""
        if self._own:
            self.pool.shutdown()

    def __enter__(self) -> CPUOptimizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
