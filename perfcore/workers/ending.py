"""What happens to pools when the interpreter ends and when the process forks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from perfcore.workers.crew import Crew

__all__ = ["register"]

_crews: WeakSet[Crew] = WeakSet()
_ended = False


def register(crew: Crew) -> None:
    """Finish the crew's work before the interpreter ends, and begin it anew in a forked child."""
    if _ended:
        crew.closed = "cannot schedule new futures after interpreter shutdown"
    _crews.add(crew)


def _at_exit() -> None:
    """Run what was submitted, as ``ThreadPoolExecutor`` does, and wait for it."""
    global _ended
    _ended = True
    crews = list(_crews)
    for crew in crews:
        crew.close("cannot schedule new futures after interpreter shutdown")
    for crew in crews:
        while crew.workers and crew.join() and crew.workers:
            pass  # a worker that began meanwhile


def _before_fork() -> None:
    """Hold the locks, so that the child gets whole queues."""
    _held.extend(sorted(_crews, key=id))
    for crew in _held:
        crew.lock.acquire()
        crew.gate.acquire()


def _release() -> None:
    for crew in reversed(_held):
        crew.gate.release()
        crew.lock.release()
    _held.clear()


def _after_fork_in_child() -> None:
    """The child has no workers, and what was submitted runs in the parent: here it is cancelled."""
    from perfcore.workers.worker import current_worker

    crews = list(_held)
    _held.clear()
    me = current_worker()
    for crew in crews:
        running = (worker.task for worker in crew.workers.values() if worker is not me)
        tasks = [*crew.drain(), *(task for task in running if task is not None)]
        for number in list(crew.workers):
            crew.queues.leave(number)
        crew.reset()
        for task in tasks:
            task._disown()


_held: list[Crew] = []

# Threads of a pool are daemons, which may not touch Python once the interpreter is being torn down: they are
# joined by the hook that runs before that, which ThreadPoolExecutor uses too.
threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_release, after_in_child=_after_fork_in_child)
