"""Slow work off the caller's thread: a lane is one daemon thread behind a bounded queue, for one handler or
action.

A handler that hangs holds up only its own lane. What is too much is dropped, oldest first, and counted: of an
alert storm the latest is what matters. Lanes start with their first job and start again in a forked child.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from threading import Condition, Thread
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

__all__ = ["Lane", "LaneStats"]

_log = logging.getLogger("perfcore.monitor")
#: Kinds of errors that are told apart; there is no end to classes made on the way.
_KINDS = 100


class LaneStats(NamedTuple):
    """What became of the jobs of a lane."""

    done: int
    failed: int
    dropped: int
    waiting: int
    #: For how many seconds the present job has been running, 0.0 when there is none.
    busy_for: float


class Lane:
    """Calls ``work(job)`` for each job, in order, in a thread of its own.

    ``work`` may return an awaitable, which is run to its end. What it raises is logged, once for what
    repeats, and counted. ``room`` is how many jobs may wait."""

    def __init__(self, name: str, work: Callable[[Any], Any], *, room: int = 1000) -> None:
        self._name, self._work = name, work
        self._room = room
        self._closed = False
        self._forked()
        _lanes.add(self)

    def _forked(self) -> None:
        """Begin anew: the thread, the jobs and perhaps a lock that it held are the parent's."""
        self._jobs: deque[Any] = deque(maxlen=self._room)
        self._changed = Condition()
        self._thread: Thread | None = None
        self._done = self._failed = self._dropped = 0
        self._began: float | None = None
        self._complained: set[str] = set()

    def put(self, *jobs: Any) -> None:
        """Take jobs; never waits. Of more than there is room for the last ones are kept."""
        with self._changed:
            if self._closed:
                self._dropped += len(jobs)
                return
            before = len(self._jobs) + len(jobs)
            self._jobs.extend(jobs)
            self._dropped += before - len(self._jobs)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"perfcore-{self._name}", daemon=True)
                self._thread.start()

    def drain(self, timeout: float) -> bool:
        """Wait until all jobs are done; False if ``timeout`` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and self._began is None, timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Take no more jobs and wait for those there are; False if ``timeout`` seconds were not enough."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        return self.drain(timeout)

    def stats(self) -> LaneStats:
        """Return the counts since the beginning."""
        with self._changed:
            busy = 0.0 if self._began is None else monotonic() - self._began
            return LaneStats(self._done, self._failed, self._dropped, len(self._jobs), busy)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            failed = False
            try:
                result = self._work(job)
                if isawaitable(result):
                    import asyncio  # 7 ms of a start, and few handlers are async

                    asyncio.run(_wait_for(result))
            except Exception as error:
                failed = True
                self._complain(error)
            with self._changed:
                self._began = None
                self._failed += failed
                self._done += not failed
                self._changed.notify_all()

    def _next(self) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if not self._jobs:
                return None
            self._began = monotonic()
            return self._jobs.popleft()

    def _complain(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._complained and len(self._complained) < _KINDS:
            self._complained.add(kind)
            _log.warning("%s failed: %s (said once)", self._name, kind, exc_info=error)


async def _wait_for(awaitable: Awaitable[Any]) -> None:
    await awaitable


_lanes: WeakSet[Lane] = WeakSet()


def _forked() -> None:
    for lane in _lanes:
        lane._forked()


os.register_at_fork(after_in_child=_forked)
