"""One thread of a pool, and how it runs its tasks."""

from __future__ import annotations

import time
from threading import Lock, Thread, local
from typing import TYPE_CHECKING, Any

from perfcore.workers.task import Task

if TYPE_CHECKING:
    from perfcore.workers.crew import Crew

__all__ = ["Runner", "Worker", "current_worker", "here"]

#: seconds within which a worker that was hired is started
_START = 1.0

#: ``here.worker`` is the worker in whose thread one is
here = local()


def current_worker() -> Worker | None:
    """Return the worker in whose thread the caller runs."""
    return getattr(here, "worker", None)


class Runner:
    """How a worker runs its tasks: in its own thread."""

    def begin(self, worker: Worker) -> None:
        """Prepare, in the worker's thread."""

    def run(self, task: Task[Any]) -> bool:
        """Run one task to its end; say whether it returned."""
        return task.run()

    def targets(self, worker: Worker) -> list[int]:
        """Return the threads, or processes, that do the work, as the system numbers them."""
        number = worker.thread.native_id
        return [] if number is None else [number]

    def end(self) -> None:
        """Let go of what the worker held."""

    def give_up(self) -> None:
        """End what still runs, if that can be done from another thread."""


class Worker:
    """One thread and what it is doing."""

    def __init__(self, crew: Crew, number: int, runner: Runner) -> None:
        self.crew, self.number, self.runner = crew, number, runner
        self.gate = Lock()  # it parks here
        self.gate.acquire()
        self.task: Task[Any] | None = None
        self.clock: int | None = None  # of the processor time of its thread
        self.done = self.failed = 0
        self.helper: Worker | None = None  # began because this one waits
        self.thread = Thread(target=crew.work, args=(self,), name=f"{crew.name}-{number}", daemon=True)

    def join(self, end: float | None) -> bool:
        """Wait for its end until a moment of the monotonic clock; False when it is still at it.

        One that somebody is about to start is waited for, too, but not for ever: that may be this thread.
        """
        begun = time.monotonic() + _START
        while self.thread.ident is None and self.number in self.crew.workers:
            if time.monotonic() >= (begun if end is None else min(begun, end)):
                return end is None
            time.sleep(0.0005)
        if self.thread.ident is None:  # it could not be started
            return True
        self.thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not self.thread.is_alive()
