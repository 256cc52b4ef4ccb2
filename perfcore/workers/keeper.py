"""How many workers a pool has: a pure rule, the thread that applies it while tasks wait, and other bounds.

A thread more helps when workers wait for something (a disk, a peer, a lock) and harms when they compute,
because with the GIL only one computes at a time. Which it is tells the processor time of the workers' own
threads.
"""

from __future__ import annotations

import os
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from perfcore.workers.crew import Crew
    from perfcore.workers.worker import Worker

__all__ = ["Keeper", "Sample", "busy_share", "is_surplus", "processors", "resize", "wanted"]

#: seconds between two looks
TICK: Final = 0.01
#: share of the processors that Python can use above which a thread more only gets in the way
BUSY: Final = 0.8
#: looks in a row that must find too few workers: one may be of a moment in which the machine did other things
_TWICE: Final = 2
#: looks without anything to do before the keeper goes
_PATIENCE: Final = 20


class Sample(NamedTuple):
    """What is known about a pool when its size is decided."""

    workers: int
    resting: int
    queued: int
    blocked: int  # workers that wait for tasks of the same pool
    busy: float  # processor time of all workers per second, of the `processors` that they can use
    least: int
    most: int


def processors() -> int:
    """Return how many threads can run Python at once here: the GIL allows one."""
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wanted(sample: Sample) -> tuple[int, str]:
    """Return how many workers there should be, and why.

    Pools grow by doubling, because the first tasks of a burst wait for as long as growing takes; they shrink
    one by one, when a worker has rested long enough.

    >>> wanted(Sample(workers=2, resting=0, queued=9, blocked=0, busy=0.05, least=2, most=8))
    (4, '9 tasks wait and the workers compute 5 % of the time')
    >>> wanted(Sample(workers=2, resting=0, queued=9, blocked=0, busy=0.97, least=2, most=8))
    (2, 'the workers compute 97 % of the time')
    """
    n, limit = sample.workers, sample.most + sample.blocked
    if not sample.queued or sample.resting:
        return n, "nobody waits for a worker"
    if n >= limit:
        return n, "all workers that there may be"
    if n - sample.blocked >= sample.least and sample.busy >= BUSY:
        return n, f"the workers compute {sample.busy:.0%} of the time".replace("%", " %")
    more = min(limit, max(n * 2, sample.least), n + sample.queued)
    share = f"{sample.busy:.0%}".replace("%", " %")
    return more, f"{sample.queued} tasks wait and the workers compute {share} of the time"


def busy_share(crew: Crew, seconds: float) -> float:
    """Look for so many seconds; return the processor time of the workers, of what they can use."""
    keeper = Keeper(crew)
    time.sleep(seconds)
    return keeper._busy(list(crew.workers.values()))


def resize(crew: Crew, least: int, most: int) -> None:
    """Give a crew other bounds: one too many goes when its task ends, one too few begins if tasks wait."""
    begun: list[Worker] = []
    with crew.lock:
        crew.least, crew.most = least, most
        crew.surplus = max(0, len(crew.workers) - crew.blocked - most)
        for _ in range(min(crew.surplus, len(crew.resting))):
            crew.resting.pop().gate.release()
        missing = min(least + crew.blocked - len(crew.workers), crew.queues.total)
        if missing > 0:
            begun = [crew.hire() for _ in range(missing)]
        crew.decide(f"{len(crew.workers)} workers: there may be {least} to {most} from now on")
    for worker in begun:
        crew.start(worker)


def is_surplus(crew: Crew, worker: Worker) -> bool:
    """Let a worker go (with the lock) that is too many; whom it was woken for, another one gets."""
    crew.surplus -= 1
    if len(crew.workers) - crew.blocked <= crew.most:
        return False
    crew.dismiss(worker)
    if crew.resting and crew.queues.total:
        crew.resting.pop().gate.release()
    return True


class Keeper:
    """The thread that looks after the size, the balance and the deadlines of a pool while tasks wait."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._clocks = {worker.number: _processor_time(worker) for worker in crew.workers.values()}
        self._processors = processors()
        self._stood = crew.calls.stood
        self._scarce = 0  # looks in a row that found too few workers
        self._at = time.monotonic()

    def start(self) -> None:
        """Start the thread; without one the pool keeps its size."""
        try:
            Thread(target=self._run, name=f"{self._crew.name}-keeper", daemon=True).start()
        except RuntimeError:
            self._crew.keeper = None

    def _run(self) -> None:
        quiet = 0
        while quiet < _PATIENCE:
            time.sleep(TICK)
            quiet = 0 if self.look() else quiet + 1
            if quiet == _PATIENCE and not self._leave():
                quiet = 0

    def _leave(self) -> bool:
        """Go, unless something was submitted in this moment."""
        crew = self._crew
        with crew.lock:
            if crew.keeper is not self:  # a forked child
                return True
            if crew.queues.total and not crew.closed:
                return False
            crew.keeper = None
            return True

    def look(self) -> bool:
        """Decide once; say whether anything waits."""
        crew = self._crew
        busy = self._busy(list(crew.workers.values()))
        begun: list[Worker] = []
        with crew.lock:
            if not crew.queues.total:
                return False
            sample = Sample(
                len(crew.workers),
                len(crew.resting),
                crew.queues.total,
                crew.blocked,
                busy,
                crew.least,
                crew.most,
            )
            size, why = wanted(sample)
            needs = crew.least + crew.blocked > sample.workers
            self._scarce = self._scarce + 1 if size > sample.workers else 0
            if size > sample.workers and (needs or self._scarce >= _TWICE):
                begun = [crew.hire() for _ in range(size - len(crew.workers))]
                crew.decide(f"{size} workers: {why}")
            crew.queues.rebalance()
        for worker in begun:
            crew.start(worker)
        self._expire()
        return True

    def _expire(self) -> None:
        if not self._crew.expiring:  # a look at all that waits holds up who submits
            return
        now = time.monotonic()
        with self._crew.lock:
            late = [t for t in self._crew.queues if t._expires is not None and t._expires <= now]
            late = [task for task in late if self._crew.queues.take_out(task)]
            self._crew.expiring = any(task._expires is not None for task in self._crew.queues)
        for task in late:
            self._crew.expire(task)

    def _busy(self, workers: list[Worker]) -> float:
        """Return the processor time that workers used since the last look, per second and processor.

        What they stood aside for others counts, too: more workers would stand aside as well.
        """
        now = time.monotonic()
        clocks = {worker.number: _processor_time(worker) for worker in workers}
        used = sum(spent - self._clocks.get(number, 0.0) for number, spent in clocks.items())
        stood, self._stood = self._crew.calls.stood - self._stood, self._crew.calls.stood
        used += stood
        elapsed, self._at, self._clocks = now - self._at, now, clocks
        return max(0.0, used / (elapsed * self._processors)) if elapsed > 0 else 0.0


def _processor_time(worker: Worker) -> float:
    try:
        return 0.0 if worker.clock is None else time.clock_gettime(worker.clock)
    except OSError:  # the thread has ended
        return 0.0
