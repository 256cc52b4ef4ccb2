"""The future of a task in a pool, which has no condition variable until somebody waits for it.

A :class:`concurrent.futures.Future` makes a condition with a lock for each task, which is most of what a task
costs. Here the first who waits makes it. Three rules keep that right:

* Who takes a task out of its queue, under the pool's lock, owns it: he alone runs, cancels or drops it.
* Whether there is a condition is decided under the pool's ``gate``, and so is the end of a task without one.
* The state of a task that has a condition ends under that condition, as ``concurrent.futures.wait`` relies
  on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from threading import Condition
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections import deque

    from perfcore.workers.crew import Crew

__all__ = ["Task"]

T = TypeVar("T")

_OVER = (FINISHED, CANCELLED_AND_NOTIFIED)


class Task(Future[T]):
    """A submitted call and its result: a :class:`concurrent.futures.Future` that knows its pool.

    ``result()`` in a worker of the same pool runs the call itself when nobody has begun it, so tasks may wait
    for tasks that they submitted.
    """

    _cond: Condition | None = None
    _waiting: list[Any] | None = None
    _callbacks: list[Callable[[Future[T]], object]] | None = None
    _state: str = PENDING
    _result: T | None = None
    _exception: BaseException | None = None
    #: the queue that it is in, under the pool's lock; None when somebody owns it
    _home: deque[Task[Any]] | None = None
    #: a thread outside the pool waits for its result
    _called = False

    def __init__(  # without Future's, which is what costs
        self, crew: Crew, call: tuple[Any, ...], level: int, expires: float | None
    ) -> None:
        self._crew, self._call, self._level, self._expires = crew, call, level, expires

    def __repr__(self) -> str:
        """Say the state, without a condition: to be looked at is not to be waited for."""
        state = self._state.lower().replace("_", " ")
        if self._state is FINISHED:
            kind = self._result if self._exception is None else self._exception
            state += f" {'returned' if self._exception is None else 'raised'} {type(kind).__name__}"
        return f"<{type(self).__name__} at {id(self):#x} state={state}>"

    # --- what concurrent.futures.wait and as_completed look at ----------------------------------------------

    @property
    def _condition(self) -> Condition:  # type: ignore[override]
        self._crew.watched(self)
        return self._watch()

    def _watch(self) -> Condition:
        """Return the condition, which is made now if there is none."""
        condition = self._cond
        if condition is None:
            gate = self._crew.gate
            self._crew.calls.enter(gate, self)
            condition = self._cond
            if condition is None:
                self._waiting = []
                condition = self._cond = Condition()
            gate.release()
        return condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        assert self._waiting is not None, "a condition comes first"
        return self._waiting

    # --- waiting --------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Return what the call returned, or raise what it raised; wait up to ``timeout`` seconds for it.

        Raises TimeoutError when it is not done by then, CancelledError when it was cancelled.
        """
        if self._state not in _OVER:
            self._crew.await_(self, timeout)
        if self._state is CANCELLED_AND_NOTIFIED:
            raise CancelledError
        if self._exception is not None:
            try:
                raise self._exception
            finally:
                del self  # the traceback must not keep the task
        return self._result  # type: ignore[return-value]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised, or None; waits and raises as :meth:`result`."""
        if self._state not in _OVER:
            self._crew.await_(self, timeout)
        if self._state is CANCELLED_AND_NOTIFIED:
            raise CancelledError
        return self._exception

    def sleep(self, timeout: float | None) -> None:
        """Wait for the end, whoever brings it about. Raises TimeoutError."""
        condition = self._watch()
        with condition:
            if not condition.wait_for(lambda: self._state in _OVER, timeout):
                raise TimeoutError

    def done(self) -> bool:
        """Say whether the task has ended or was cancelled."""
        return self._state in _OVER

    def running(self) -> bool:
        """Say whether a worker is at it."""
        return self._state is RUNNING

    def cancelled(self) -> bool:
        """Say whether it was cancelled."""
        return self._state is CANCELLED_AND_NOTIFIED

    def cancel(self) -> bool:
        """Take the task out of its queue, if nobody has begun it; say whether it is cancelled."""
        if self._crew.take_out(self):
            self.discard()
        return self._state is CANCELLED_AND_NOTIFIED

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call ``fn(task)`` when the task ends, or now when it has; what it raises is logged."""
        with self._watch():
            if self._state not in _OVER:
                self._callbacks = [*(self._callbacks or ()), fn]
                return
        self._tell([fn])

    # --- for the owner --------------------------------------------------------------------------------------

    def set_running_or_notify_cancel(self) -> bool:
        """Mark as running; who owns a task never finds it cancelled."""
        self._state = RUNNING
        return True

    def discard(self) -> None:
        """End as cancelled."""
        self._crew.cancelled += 1
        self._end(CANCELLED_AND_NOTIFIED)

    def set_result(self, result: T) -> None:
        """End with a result."""
        self._result = result
        self._end(FINISHED)

    def set_exception(self, exception: BaseException | None) -> None:
        """End with an exception."""
        self._exception = exception
        self._end(FINISHED)

    def run(self) -> bool:
        """Make the call and end; say whether it returned. What it raises, whatever it is, is the result."""
        self._state = RUNNING
        (fn, args, kwargs), self._call = self._call, ()
        try:
            self._result = fn(*args, **kwargs)
        except BaseException as error:
            self._exception = error
            self._end(FINISHED)
            del self, fn, args, kwargs  # the traceback must not keep them
            return False
        self._end(FINISHED)
        return True

    def _disown(self) -> None:
        """End in a forked child, where nobody will run it: cancelled, and without the parent's locks."""
        self._cond, self._call, self._state = None, (), CANCELLED_AND_NOTIFIED

    def _end(self, state: str) -> None:
        self._call = ()
        with self._crew.gate:
            condition = self._cond
            if condition is None:
                self._state = state
                return
        with condition:
            self._state = state
            for waiter in self._waiters:
                self._report(waiter)
            condition.notify_all()
        if self._callbacks is not None:
            callbacks, self._callbacks = self._callbacks, None
            self._tell(callbacks)

    def _report(self, waiter: Any) -> None:
        if self._state is CANCELLED_AND_NOTIFIED:
            waiter.add_cancelled(self)
        elif self._exception is not None:
            waiter.add_exception(self)
        else:
            waiter.add_result(self)

    def _tell(self, callbacks: list[Callable[[Future[T]], object]]) -> None:
        self._done_callbacks = callbacks
        self._invoke_callbacks()  # type: ignore[attr-defined]
        del self._done_callbacks
