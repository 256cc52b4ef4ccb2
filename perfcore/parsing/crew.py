"""Worker processes for one run of ``parse_many``, and what happens when one of them dies.

Processes, because tree-sitter holds the GIL while it parses. Started by ``exec`` with a socket each: not by
``fork``, which copies locks that other threads hold, and not by ``multiprocessing``'s spawn, which runs the
user's main module again. A start costs about 0.1 s, against 0.05 s for a bare interpreter.

A worker answers file by file, so when it dies the culprit is known: that file is tried once more, alone in a
new process, and then given up as ``crashed``; the files queued behind it go back to the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from multiprocessing.spawn import get_executable
from selectors import EVENT_READ, DefaultSelector
from typing import NamedTuple
from weakref import finalize

from perfcore._log import logger
from perfcore.parsing.options import Limits
from perfcore.parsing.result import SkipReason, skip
from perfcore.parsing.store import encode_result
from perfcore.parsing.wire import READY, Answer, decode_answer, encode_batch

__all__ = ["Crew", "CrewLost", "Task"]

log = logger("parsing")

#: A batch must fit into a socket's buffer with room to spare, or parent and worker could block on each other.
_BATCH_BYTES = 16 * 1024
_POLL = 1.0
_BOOT = "import sys; sys.path[:] = {path!r}; from perfcore.parsing.worker import main; main({fd}, {limits!r})"


class CrewLost(Exception):  # noqa: N818 (the run goes on without it)
    """Worker processes cannot be started here."""


class Task(NamedTuple):
    """One file to parse; ``number`` is the caller's own number for it."""

    number: int
    path: str
    retry: bool = False


class Crew:
    """``size`` worker processes; not thread-safe. Close it."""

    def __init__(self, size: int, limits: Limits, batch_size: int) -> None:
        self.size = size
        self.owner = os.getpid()
        self._limits = limits
        self._batch_size = batch_size
        self._backlog: deque[Task] = deque()
        self._suspects: deque[Task] = deque()
        self._selector = DefaultSelector()
        self._workers: list[_Worker] = []
        self._lost = ""  #: why no process can be started
        self._stop = finalize(self, _stop, self._workers, self._selector, self.owner)

    @property
    def outstanding(self) -> int:
        """The number of tasks that have no answer yet."""
        sent = sum(len(worker.pending) for worker in self._workers)
        return sent + len(self._backlog) + len(self._suspects)

    def submit(self, task: Task) -> None:
        """Queue ``task``; it is sent by :meth:`collect`."""
        self._backlog.append(task)

    def collect(self, wait: bool) -> list[tuple[Task, Answer]]:
        """Keep the workers busy and return what they have answered; ``wait`` for at least one answer.

        Raises :class:`CrewLost` when processes cannot be started; :meth:`abandon` tells what is left to do.
        """
        answers: list[tuple[Task, Answer]] = []
        self._staff()
        self._feed()
        while self.outstanding and not self._lost:
            for key, _ in self._selector.select(_POLL if wait else 0):
                answers += self._hear(key.data)
            answers += self._end_stalled()
            self._feed()
            if answers or not wait:
                break
        if self._lost and not answers:
            raise CrewLost(self._lost)
        return answers

    def abandon(self) -> list[Task]:
        """Stop the workers and return the tasks without an answer."""
        sent = (task for worker in self._workers for task in worker.pending)
        tasks = [*sent, *self._suspects, *self._backlog]
        self.close()
        return sorted(tasks)

    def close(self) -> None:
        """Stop the workers at once; they hold nothing that could be lost."""
        self._backlog.clear()
        self._suspects.clear()
        self._stop()

    def _staff(self) -> None:
        try:
            while len(self._workers) < self.size and not self._lost:
                worker = _Worker(self._limits)
                self._workers.append(worker)
                self._selector.register(worker.connection, EVENT_READ, worker)
        except OSError as error:  # no more processes, or no more descriptors
            self._lost = str(error)

    def _feed(self) -> None:
        for worker in self._workers:
            if worker.ready and (tasks := self._next_batch(worker)):
                worker.send(tasks)

    def _next_batch(self, worker: _Worker) -> list[Task]:
        """Return what to send to ``worker``: a suspect alone, or its fair share, smaller towards the end."""
        if not worker.pending and self._suspects:
            return [self._suspects.popleft()]
        if len(worker.pending) > self._batch_size // 4 or any(task.retry for task in worker.pending):
            return []
        share = -(-len(self._backlog) // (2 * self.size))
        count, room = min(share, self._batch_size), _BATCH_BYTES
        batch: list[Task] = []
        while self._backlog and len(batch) < count and room > 0:
            batch.append(self._backlog.popleft())
            room -= len(batch[-1].path)
        return batch

    def _hear(self, worker: _Worker) -> Iterator[tuple[Task, Answer]]:
        try:
            message = worker.connection.recv_bytes()
        except (EOFError, OSError):
            yield from self._bury(worker, "crashed")
            return
        worker.since = time.monotonic()
        if message == READY:
            worker.ready = True
        else:
            yield worker.pending.popleft(), decode_answer(message)

    def _end_stalled(self) -> list[tuple[Task, Answer]]:
        """A parse watches its own clock, but a scanner that never returns cannot."""
        patience = time.monotonic() - 2 * self._limits.max_parse_time - 5
        stalled = [worker for worker in self._workers if worker.pending and worker.since < patience]
        return [answer for worker in stalled for answer in self._bury(worker, "too-slow")]

    def _bury(self, worker: _Worker, reason: SkipReason) -> Iterator[tuple[Task, Answer]]:
        self._selector.unregister(worker.connection)
        self._workers.remove(worker)
        worker.stop()
        if not worker.ready:
            self._lost = f"a worker process ended with {worker.process.returncode} before its first file"
        if worker.pending:
            culprit = worker.pending.popleft()
            self._backlog.extendleft(reversed(worker.pending))
            log.warning("worker process %d ended with %s", worker.process.pid, worker.process.returncode)
            if culprit.retry or reason == "too-slow":
                detail = f"the worker process ended with {worker.process.returncode}"
                yield culprit, Answer(None, encode_result(skip("", reason, detail)))
            else:
                self._suspects.append(culprit._replace(retry=True))
        self._staff()


class _Worker:
    """One process and the tasks it was given, in the order in which it will answer them."""

    def __init__(self, limits: Limits) -> None:
        self.ready = False
        self.since = time.monotonic()
        self.pending: deque[Task] = deque()
        self.connection, theirs = Pipe()
        with theirs:
            self.process = _start(theirs, limits)

    def send(self, tasks: list[Task]) -> None:
        if not self.pending:
            self.since = time.monotonic()
        self.pending.extend(tasks)
        try:
            self.connection.send_bytes(encode_batch([os.fsencode(task.path) for task in tasks]))
        except OSError:  # it died; the next hearing finds out
            pass

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


def _start(connection: Connection, limits: Limits) -> subprocess.Popen[bytes]:
    code = _BOOT.format(path=sys.path, fd=connection.fileno(), limits=tuple(limits))
    return subprocess.Popen(
        [get_executable(), "-c", code],  # an interpreter, also where sys.executable is an application server
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[connection.fileno()],
        process_group=0,  # Ctrl-C is for the parent, which ends its workers without a traceback from each
    )


def _stop(workers: list[_Worker], selector: DefaultSelector, owner: int) -> None:
    if os.getpid() != owner:  # a forked child has copies of the sockets, but the workers are not its own
        return
    selector.close()
    for worker in workers:
        worker.stop()
    workers.clear()
