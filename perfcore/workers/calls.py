"""Threads that need the GIL before the next task: workers step aside for them.

A thread that waits for the pool's lock, or for a high task that has just ended, is woken at once, but then
needs the GIL, and a worker that goes on with the next task keeps it for the switch interval of 5 ms.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from perfcore.workers.task import Task

__all__ = ["Calls"]

#: seconds of one step, and how many there are at most for who never answers
ASIDE: Final = 50e-6
STEPS: Final = 5


class Calls:
    """The tasks on whose behalf somebody is about to wake up. Nothing here waits for a lock."""

    def __init__(self) -> None:
        self.waiting: deque[Task[Any]] = deque()
        self.begin = self.waiting.append

    def end(self, task: Task[Any]) -> None:
        """End the call on behalf of ``task``, if there is one."""
        if self.waiting:
            try:
                self.waiting.remove(task)
            except ValueError:
                pass

    def enter(self, lock: Any, task: Task[Any]) -> None:
        """Acquire a lock of the crew; who has to wait for it calls meanwhile."""
        if not lock.acquire(False):
            self.begin(task)
            lock.acquire()
            self.end(task)

    def answer(self) -> None:
        """Step aside, in a worker, until all have answered; forget those that do not."""
        calls = list(self.waiting)
        for _ in range(STEPS):
            time.sleep(ASIDE)
            if not self.waiting:
                return
        for task in calls:
            self.end(task)
