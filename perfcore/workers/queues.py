"""The order of tasks: three bounded classes, ageing, a queue for each worker, stealing, rebalancing.

Plain data without threads or clocks: the caller holds the pool's lock.

The class of the next task is decided over all queues, its place after that: the worker's own queue, the
shared one, then half of the longest queue of another worker. So no low task is run because it was near while
a high one waits elsewhere.

*Ageing.* A class that is not empty and was passed over :data:`PATIENCE` times is next: normal waits for at
most 16 others, low for at most 63, however many more urgent tasks there are. When both are due low goes
first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from perfcore.workers.task import Task as _Task

__all__ = ["BOUNDS", "LEVELS", "PATIENCE", "Queues"]

Task = _Task[object]

LEVELS: Final = ("high", "normal", "low")
#: the guide's sizes
BOUNDS: Final[Mapping[str, int]] = {"high": 100, "normal": 500, "low": 1000}
#: how often a class is passed over before it is next
PATIENCE: Final = (0, 15, 63)
#: a worker with more than this share of the average gives half away
UNFAIR: Final = 1.5

Lanes = tuple[deque[Task], deque[Task], deque[Task]]


def _lanes() -> Lanes:
    return deque(), deque(), deque()


class Queues:
    """All tasks that wait: those that anybody submitted, and those of each worker."""

    def __init__(self, bounds: tuple[int, int, int]) -> None:
        self.bounds = bounds
        self.counts = [0, 0, 0]
        self.total = 0
        self.stolen = self.rebalanced = 0
        self._passed = [0, 0, 0]
        self._shared = _lanes()
        self._own: dict[int, Lanes] = {}

    def join(self, worker: int) -> None:
        """Give a worker queues of its own."""
        self._own[worker] = _lanes()

    def leave(self, worker: int) -> None:
        """Take a worker's queues away; what waits there comes before what is shared."""
        for shared, own in zip(self._shared, self._own.pop(worker, _lanes()), strict=True):
            while own:
                task = own.pop()
                task._home = shared
                shared.appendleft(task)

    def offer(self, task: Task, worker: int | None = None, force: bool = False) -> bool:
        """Put a task at the end of the queue of its class; False when there is no room for it."""
        level = task._level
        if self.counts[level] >= self.bounds[level] and not force:
            return False
        lanes = self._shared if worker is None else self._own.get(worker, self._shared)
        home = task._home = lanes[level]
        home.append(task)
        self.counts[level] += 1
        self.total += 1
        return True

    def take(self, worker: int | None = None) -> Task | None:
        """Return the task that is next for a worker, and forget it."""
        if not self.total:
            return None
        level = self._next_level()
        task = self._from(level, worker)
        task._home = None
        self.counts[level] -= 1
        self.total -= 1
        return task

    def take_out(self, task: Task) -> bool:
        """Forget a task that waits; False when it does not wait (any more)."""
        home = task._home
        if home is None:
            return False
        home.remove(task)
        task._home = None
        self.counts[task._level] -= 1
        self.total -= 1
        return True

    def promote(self, task: Task, level: int) -> bool:
        """Move a waiting task to a more urgent class, in front, whatever its bound; say if it moved."""
        if task._level <= level or not self.take_out(task):
            return False
        task._level = level
        home = task._home = self._shared[level]
        home.appendleft(task)
        self.counts[level] += 1
        self.total += 1
        return True

    def oldest(self, level: int) -> Task | None:
        """Return the first task of the shared queue of a class, or of any worker's."""
        return next((lanes[level][0] for lanes in self._all() if lanes[level]), None)

    def rebalance(self) -> int:
        """Move half of what waits at workers with above 1.5 times the average to those with least."""
        loads = {worker: sum(map(len, lanes)) for worker, lanes in self._own.items()}
        if len(loads) < 2:
            return 0
        limit = UNFAIR * sum(loads.values()) / len(loads)
        moved = 0
        for worker in [worker for worker, load in loads.items() if load > limit]:
            least = min(loads, key=loads.__getitem__)
            count = sum(
                self._move(
                    self._own[worker][level], self._own[least][level], len(self._own[worker][level]) // 2
                )
                for level in range(3)
            )
            loads[worker] -= count
            loads[least] += count
            moved += count
        self.rebalanced += moved
        return moved

    def owners(self) -> dict[Task, int]:
        """Return at which worker each task waits that waits at one."""
        return {task: worker for worker, lanes in self._own.items() for lane in lanes for task in lane}

    def give_back(self, owners: Mapping[Task, int]) -> None:
        """Move tasks that wait to the ends of the queues of these workers, where those are still there."""
        for task, worker in owners.items():
            lanes = self._own.get(worker)
            if lanes is not None and task._home is not None and task._home is not lanes[task._level]:
                task._home.remove(task)
                task._home = lanes[task._level]
                task._home.append(task)

    def loads(self) -> dict[int, int]:
        """Return how many tasks wait at each worker."""
        return {worker: sum(map(len, lanes)) for worker, lanes in self._own.items()}

    def __iter__(self) -> Iterator[Task]:
        for lanes in self._all():
            for lane in lanes:
                yield from list(lane)

    def _all(self) -> list[Lanes]:
        return [self._shared, *self._own.values()]

    def _next_level(self) -> int:
        high, normal, low = self.counts
        passed = self._passed
        if high + normal == 0 or (low and passed[2] >= PATIENCE[2]):
            level = 2
        elif high == 0 or (normal and passed[1] >= PATIENCE[1]):
            level = 1
        else:
            level = 0
        # nobody was passed over whose class is empty
        passed[2] = passed[2] + 1 if low and level != 2 else 0
        passed[1] = passed[1] + 1 if normal and level != 1 else 0
        return level

    def _from(self, level: int, worker: int | None) -> Task:
        own = None if worker is None else self._own.get(worker)
        if own is not None and own[level]:
            return own[level].popleft()
        if self._shared[level]:
            return self._shared[level].popleft()
        victim = max((lanes[level] for lanes in self._own.values()), key=len)
        task = victim.popleft()
        if own is not None:
            self.stolen += 1 + self._move(victim, own[level], len(victim) // 2)
        return task

    @staticmethod
    def _move(source: deque[Task], target: deque[Task], count: int) -> int:
        """Move the newest ``count`` tasks, in their order."""
        moving = [source.pop() for _ in range(count)]
        for task in reversed(moving):
            task._home = target
            target.append(task)
        return count

    def _check(self) -> None:
        """Verify every invariant."""
        for level in range(3):
            lanes = [lanes[level] for lanes in self._all()]
            assert self.counts[level] == sum(map(len, lanes))
            assert all(task._home is lane and task._level == level for lane in lanes for task in lane)
        assert self.total == sum(self.counts)
