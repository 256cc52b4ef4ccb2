"""The threads of a pool: who begins, parks, wakes and ends them, and who waits for whom.

Threads hold the crew and not the pool, so a pool that nobody refers to is collected; its crew then finishes
what was submitted and ends. Threads are daemons that are joined when the interpreter ends (``ending.py``): a
task that never ends holds the interpreter only until somebody gave up on it with ``close(timeout)``.

The lock is reentrant: a finalizer or a signal handler may submit while this thread is inside.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures._base import PENDING
from itertools import count
from threading import Condition, RLock, get_ident
from typing import Any

from perfcore._log import logger
from perfcore.workers.calls import Calls
from perfcore.workers.ending import register
from perfcore.workers.errors import DeadlineError
from perfcore.workers.keeper import Keeper, is_surplus
from perfcore.workers.queues import Queues
from perfcore.workers.task import Task
from perfcore.workers.worker import Runner, Worker, current_worker, here

__all__ = ["Crew"]


class Crew:
    """The workers of one pool and the tasks that wait for them."""

    def __init__(
        self,
        queues: Queues,
        least: int,
        most: int,
        *,
        idle: float,
        name: str,
        runner: Callable[[], Runner] = Runner,
        prepare: Callable[[Worker], None] | None = None,
    ) -> None:
        self.queues, self.least, self.most = queues, least, most
        self.idle_timeout, self.name, self.runner, self.prepare = idle, name, runner, prepare
        self.decisions: deque[str] = deque(maxlen=64)
        self.submitted = self.cancelled = self.rejected = self.dropped = self.expired = 0
        self.inline = self.injected = self.done = self.failed = 0
        self.closed = ""  # why nothing can be submitted
        self.reset()
        register(self)

    def reset(self) -> None:
        """Begin without threads, as at first and in a forked child."""
        self.lock, self.gate = RLock(), RLock()
        self.room = Condition(self.lock)
        self.workers: dict[int, Worker] = {}
        self.resting: list[Worker] = []
        self.calls = Calls()
        self.blocked = 0  # workers that wait for tasks of this crew
        self.expiring = False  # some task that waits may have a deadline
        self.surplus = 0  # workers that are to go though tasks wait
        self.waiting_for_room = 0
        self.keeper: Keeper | None = None
        self._numbers = count()

    # --- tasks come -----------------------------------------------------------------------------------------

    def offer(self, task: Task[Any], force: bool = False) -> bool:
        """Queue a task and see to it that somebody comes for it; False when there is no room."""
        worker = getattr(here, "worker", None)
        if worker is not None and worker.crew is not self:
            worker = None
        begun = None
        if worker is None:
            self.calls.enter(self.lock, task)
        else:  # its thread has the GIL as often as the others
            self.calls.share(self.lock)
        try:
            if self.closed:
                raise RuntimeError(self.closed)
            if not self.queues.offer(task, None if worker is None else worker.number, force):
                return False
            self.submitted += 1
            if task._expires is not None:
                self.expiring = True
            if self.resting:
                self.resting.pop().gate.release()
            elif len(self.workers) < self.least + self.blocked:
                begun = self.hire()
            elif self.keeper is None:
                self.keeper = Keeper(self)
                self.keeper.start()
        finally:
            self.lock.release()
        if begun is not None:
            self.start(begun, task)
        return True

    def offer_all(self, tasks: list[Task[Any]]) -> bool:
        """Queue all tasks, of one class, or none."""
        with self.lock:
            level = tasks[0]._level
            if self.closed or self.queues.counts[level] + len(tasks) > self.queues.bounds[level]:
                return False
            for task in tasks:
                self.offer(task)
            return True

    def hire(self) -> Worker:
        """Add a worker (with the lock), which is to be started without it."""
        worker = Worker(self, next(self._numbers), self.runner())
        self.workers[worker.number] = worker
        self.queues.join(worker.number)
        return worker

    def start(self, worker: Worker, task: Task[Any] | None = None) -> None:
        """Start a worker's thread. When that fails others will do; without others ``task`` cannot be run."""
        try:
            worker.thread.start()
        except RuntimeError:  # no more threads
            with self.lock:
                self.dismiss(worker)
                if self.workers or task is None or not self.queues.take_out(task):
                    return
            raise

    def dismiss(self, worker: Worker) -> None:
        """Forget a worker (with the lock)."""
        if self.workers.pop(worker.number, None) is not None:
            self.queues.leave(worker.number)
            self.done += worker.done
            self.failed += worker.failed

    # --- a worker's life ------------------------------------------------------------------------------------

    def work(self, worker: Worker) -> None:
        """Take and run tasks until there is nothing more to do: the body of each thread."""
        here.worker = worker
        try:
            worker.clock = time.pthread_getcpuclockid(get_ident())
        except (AttributeError, OSError):
            worker.clock = None
        try:
            worker.runner.begin(worker)
            if self.prepare is not None:
                self.prepare(worker)
        except Exception as error:
            logger("workers").warning("a worker could not be prepared: %s", error)
        while (task := self._next(worker)) is not None:
            self.perform(worker, task)
            del task  # and what it holds, before the next one comes
        worker.runner.end()

    def perform(self, worker: Worker, task: Task[Any]) -> None:
        """Run a task that was taken out of the queue."""
        outer, worker.task = worker.task, task
        if worker.runner.run(task):
            worker.done += 1
        else:
            worker.failed += 1
        worker.task = outer
        if task._level == 0 and task._called and self.queues.total:
            self.calls.begin(task)

    def _next(self, worker: Worker) -> Task[Any] | None:
        while True:
            if self.calls.waiting and not self.queues.counts[0]:
                self.calls.answer(self, worker)
            self.calls.share(self.lock)
            try:
                if worker.number not in self.workers:  # given up on, or in a forked child
                    return None
                if self.surplus and is_surplus(self, worker):
                    return None
                task = self.queues.take(worker.number)
                if task is None:
                    if self.closed or len(self.workers) > self.most + self.blocked:
                        self.dismiss(worker)
                        return None
                    self.resting.append(worker)
                else:
                    if self.waiting_for_room:
                        self._make_room(task._level)
                    if self.resting and self.queues.total:
                        self.resting.pop().gate.release()
            finally:
                self.lock.release()
            if task is None:
                if self._rest(worker):
                    continue
                return None
            if task._expires is None or task._expires > time.monotonic():
                return task
            self.expire(task)

    def _make_room(self, level: int) -> None:
        """Wake who waits to submit once half the queue is free: each waking costs a switch."""
        if self.queues.counts[level] <= self.queues.bounds[level] // 2:
            self.room.notify_all()

    def _rest(self, worker: Worker) -> bool:
        """Park; False when the worker has rested so long that it is to go."""
        if worker.gate.acquire(True, self.idle_timeout):
            return True
        with self.lock:
            if worker not in self.resting:  # somebody woke it just now
                worker.gate.acquire()
                return True
            self.resting.remove(worker)
            if len(self.workers) <= self.least:
                return True
            self.dismiss(worker)
            self.decide(f"{len(self.workers)} workers: one rested for {self.idle_timeout:g} s")
            return False

    def decide(self, text: str) -> None:
        """Keep a decision and its reason."""
        self.decisions.append(text)
        logger("workers").debug("%s: %s", self.name, text)

    # --- tasks leave without being run ----------------------------------------------------------------------

    def take_out(self, task: Task[Any]) -> bool:
        """Take a task out of its queue; who gets True owns it."""
        if task._home is None:
            return False
        with self.lock:
            taken = self.queues.take_out(task)
            if taken and self.waiting_for_room:
                self.room.notify_all()
            return taken

    def expire(self, task: Task[Any]) -> None:
        """End a task, which the caller owns, because its deadline has passed."""
        self.expired += 1
        task.set_exception(DeadlineError("the task had not been started when its deadline came"))

    def drain(self) -> list[Task[Any]]:
        """Take everything that waits out of the queues."""
        with self.lock:
            tasks = list(self.queues)
            return [task for task in tasks if self.queues.take_out(task)]

    # --- waiting --------------------------------------------------------------------------------------------

    def await_(self, task: Task[Any], timeout: float | None) -> None:
        """Wait for the end of a task. A worker helps: it runs the task if nobody has begun it."""
        worker = current_worker()
        if worker is None or worker.crew is not self:
            self.calls.wait(self, task, timeout)
        elif timeout is None and self.take_out(task):
            self._run_inline(worker, task)
        else:
            self._wait_in_worker(worker, task, timeout)

    def _run_inline(self, worker: Worker, task: Task[Any]) -> None:
        self.inline += 1
        if task._expires is not None and task._expires <= time.monotonic():
            self.expire(task)
        else:
            self.perform(worker, task)

    def _wait_in_worker(self, worker: Worker, task: Task[Any], timeout: float | None) -> None:
        """Wait: the task inherits the urgency of the one that waits, another thread takes its place."""
        with self.lock:
            if worker.task is not None:
                self.queues.promote(task, worker.task._level)
            self.blocked += 1
        try:
            self.substitute(worker)
            task.sleep(timeout)
        finally:
            with self.lock:
                self.blocked -= 1

    def watched(self, task: Task[Any]) -> None:
        """Somebody is about to wait for a task by other means than ``result``."""
        if task._state is PENDING:
            worker = current_worker()
            if worker is not None and worker.crew is self:
                self.substitute(worker)

    def substitute(self, worker: Worker) -> None:
        """Get work going elsewhere because ``worker`` is about to block: at most one thread for each."""
        helper = None
        with self.lock:
            if not self.queues.total:
                return
            if self.resting:
                self.resting.pop().gate.release()
            elif worker.helper is None or worker.helper.number not in self.workers:
                helper = worker.helper = self.hire()
                self.injected += 1
                self.decide(f"{len(self.workers)} workers: number {worker.number} waits for other tasks")
        if helper is not None:
            self.start(helper)

    # --- the end --------------------------------------------------------------------------------------------

    def close(self, why: str = "cannot schedule new futures after shutdown") -> None:
        """Accept nothing more; workers end when the queues are empty."""
        with self.lock:
            self.closed = self.closed or why
            while self.resting:
                self.resting.pop().gate.release()
            self.room.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for all workers but the caller; False when some are still at it."""
        end = None if timeout is None else time.monotonic() + timeout
        for worker in list(self.workers.values()):
            if worker is not current_worker() and not worker.join(end):
                return False
        return True

    def abandon(self) -> None:
        """Give up on workers that do not end: killed where they can be, not waited for at exit."""
        with self.lock:
            workers = list(self.workers.values())
            for worker in workers:
                self.dismiss(worker)
        for worker in workers:
            worker.runner.give_up()
