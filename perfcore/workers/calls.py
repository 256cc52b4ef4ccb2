"""Threads that need the GIL before the next task: workers step aside for them.

A thread that waits for the pool's lock, or for a high task that has just ended, is woken at once, but then
needs the GIL, and a worker that goes on with the next task keeps it for the switch interval of 5 ms. Who
steps aside parks among the workers that rest, where the caller's next step finds it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from perfcore.workers.task import Task

if TYPE_CHECKING:
    from perfcore.workers.crew import Crew
    from perfcore.workers.worker import Worker

__all__ = ["Calls"]

#: seconds between two attempts
ASIDE: Final = 50e-6
#: seconds after which a worker goes on though nobody has answered
PATIENCE: Final = 0.001


class Calls:
    """The tasks on whose behalf somebody is about to wake up. Nothing here waits for a lock."""

    def __init__(self) -> None:
        self.waiting: set[Task[Any]] = set()
        self.begin = self.waiting.add
        self.end = self.waiting.discard
        #: seconds that workers stood aside, all together: they would have computed
        self.stood = 0.0

    def enter(self, lock: Any, task: Task[Any]) -> None:
        """Acquire a lock of the crew; who has to wait for it calls meanwhile."""
        if not lock.acquire(False):
            self.begin(task)
            lock.acquire()
            self.end(task)

    def share(self, lock: Any) -> None:
        """Acquire a lock of the crew in a worker, without a queue.

        A thread that blocks on a lock is given it before it has the GIL, so that the next who wants the lock
        gives up the GIL as well: from then on each acquisition is a switch of threads. Where there is a GIL a
        worker therefore asks again when it has the GIL again.
        """
        if self.waiting:
            self._nap()
        while not lock.acquire(False):
            self._nap()

    def _nap(self) -> None:
        start = time.monotonic()
        time.sleep(ASIDE)
        self.stood += time.monotonic() - start

    def answer(self, crew: Crew, worker: Worker) -> None:
        """Step aside, in a worker, until there is something to do again; forget calls that nobody ends."""
        calls, start = list(self.waiting), time.monotonic()
        crew.resting.append(worker)
        if not (self.waiting and worker.gate.acquire(True, PATIENCE)):
            with crew.lock:
                if worker in crew.resting:
                    crew.resting.remove(worker)
                else:  # somebody woke it just now
                    worker.gate.acquire()
            self.waiting.difference_update(calls)
        self.stood += time.monotonic() - start

    def wait(self, crew: Crew, task: Task[Any], timeout: float | None) -> None:
        """Wait for the end of a task outside the pool; for an urgent one nothing else is begun meanwhile."""
        if task._level:
            task.sleep(timeout)
            return
        task._called = True
        self.begin(task)
        try:
            task.sleep(timeout)
        finally:
            if task in self.waiting:
                self._hang_up(crew, task)

    def _hang_up(self, crew: Crew, task: Task[Any]) -> None:
        """End the call on behalf of ``task`` and get a worker going that stepped aside."""
        self.end(task)
        if crew.resting and crew.queues.total and crew.lock.acquire(False):
            try:
                if crew.resting:
                    crew.resting.pop().gate.release()
            finally:
                crew.lock.release()
