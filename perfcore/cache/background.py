"""A bounded pool of threads for what need not be waited for: refreshing entries, calls that took too long.

``concurrent.futures`` waits for its threads when the interpreter ends, and its pools are useless in a forked
child. These threads are daemons that go away when there is nothing to do, and a child starts with none.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread, local
from typing import Final
from weakref import WeakSet

from perfcore._log import logger

__all__ = ["Background", "shared"]

#: Calls that take too long hold a thread until they end, so there are more of them than processors.
_WORKERS: Final = 16
_QUEUE: Final = 1024
_IDLE: Final = 10.0

_worker = local()


class Background:
    """At most ``workers`` daemon threads, begun when needed, and a queue of at most ``queue`` calls.

    >>> from threading import Event
    >>> done = Event()
    >>> Background(workers=1).submit(done.set), done.wait(10)
    (True, True)
    """

    def __init__(self, workers: int = _WORKERS, queue: int = _QUEUE, idle: float = _IDLE) -> None:
        self._workers, self._room, self._idle = workers, queue, idle
        self._reset()
        _pools.add(self)

    def submit(self, call: Callable[[], object], /) -> bool:
        """Run ``call`` soon in a thread; False when too much is waiting already. What it raises is logged."""
        with self._changed:
            if len(self._calls) >= self._room:
                return False
            self._calls.append(call)
            if self._resting >= len(self._calls):
                self._changed.notify()
                return True
            begin = self._threads < self._workers
            self._threads += begin
        if begin:
            self._begin()
        return True

    def _begin(self) -> None:
        try:
            Thread(target=self._work, name="perfcore-background", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter ends: those there are will do, or nobody
            with self._changed:
                self._threads -= 1

    @staticmethod
    def is_worker() -> bool:
        """Say whether the caller runs in a thread of a pool, and so must not wait for another one."""
        return getattr(_worker, "here", False)

    def _work(self) -> None:
        _worker.here = True
        while (call := self._next()) is not None:
            try:
                call()
            except BaseException as error:
                logger("cache").warning("a background call failed with %s", type(error).__name__)
            del call  # and what it holds, before the next one comes

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            if not self._calls:
                self._resting += 1
                try:
                    self._changed.wait_for(lambda: self._calls, self._idle)
                finally:
                    self._resting -= 1
            if self._calls:
                return self._calls.popleft()
            self._threads -= 1
            return None

    def _reset(self) -> None:
        """There are no threads: at first, and in a forked child, where the calls are those of the parent."""
        self._changed = Condition()
        self._calls: deque[Callable[[], object]] = deque()
        self._threads = self._resting = 0


_pools: WeakSet[Background] = WeakSet()


def _forked() -> None:
    _worker.__dict__.clear()
    for pool in list(_pools):
        pool._reset()


os.register_at_fork(after_in_child=_forked)
_shared: Background | None = None


def shared() -> Background:
    """Return the pool of the process; it has no threads until there is something to do."""
    global _shared
    if _shared is None:
        _shared = Background()
    return _shared
