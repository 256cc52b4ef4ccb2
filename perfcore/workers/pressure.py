"""What a pool does with a task for which its queue has no room."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from perfcore.workers.crew import Crew
from perfcore.workers.errors import QueueFullError
from perfcore.workers.queues import LEVELS
from perfcore.workers.task import Task
from perfcore.workers.worker import current_worker

if TYPE_CHECKING:
    from perfcore.workers.pool import Priority

__all__ = ["POLICIES", "Policy", "press", "run_here"]

Policy = Literal["block", "raise", "caller_runs", "drop_low"]

POLICIES: Final = ("block", "raise", "caller_runs", "drop_low")


def press(crew: Crew, task: Task[Any], policy: Policy, patience: float | None) -> None:
    """Get a task in, or raise QueueFullError. A worker of the pool never waits for room: it runs the task."""
    worker = current_worker()
    if worker is not None and worker.crew is crew and policy != "drop_low":
        run_here(crew, task)
    elif policy == "block":
        _wait(crew, task, patience)
    elif policy == "caller_runs":
        run_here(crew, task)
    elif not (policy == "drop_low" and _displace(crew, task)):
        raise refused(crew, task)


def refused(crew: Crew, task: Task[Any]) -> QueueFullError:
    """Return the error of a task for which there is no room, and count it."""
    crew.rejected += 1
    priority: Priority = LEVELS[task._level]
    return QueueFullError(f"{crew.queues.counts[task._level]} tasks of priority {priority} wait already")


def _wait(crew: Crew, task: Task[Any], patience: float | None) -> None:
    end = None if patience is None else time.monotonic() + patience
    with crew.lock:
        crew.waiting_for_room += 1
        try:
            while not crew.offer(task):
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise refused(crew, task)
                crew.room.wait(left)
        finally:
            crew.waiting_for_room -= 1


def run_here(crew: Crew, task: Task[Any]) -> None:
    """Run a task in the calling thread."""
    with crew.lock:
        if crew.closed:
            raise RuntimeError(crew.closed)
        crew.submitted += 1
        crew.inline += 1
    if len(task._call) == 1:  # packed for a process
        task._call = pickle.loads(task._call[0])
    returned = task.run()
    with crew.lock:
        crew.done += returned
        crew.failed += not returned


def _displace(crew: Crew, task: Task[Any]) -> bool:
    """Drop the oldest low task and take its place, in the class of the new one; False when there is none."""
    with crew.lock:
        if crew.offer(task):  # there is room by now
            return True
        oldest = crew.queues.oldest(2)
        if oldest is None or not crew.queues.take_out(oldest):
            return False
        crew.dropped += 1
        crew.offer(task, force=True)
    oldest.discard()
    return True
