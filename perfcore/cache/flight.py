"""Single flight: of all callers that want one key at once, one computes and the others wait for it.

A :class:`Flight` is one computation under way. Who waits may be a thread or a task of any event loop: a
waiter leaves a function that wakes it. Nothing here takes a lock around code of the user: the table of
flights relies on ``dict.setdefault`` to choose one leader, and exactly one caller, the one whose
:meth:`Flight.claim` succeeds, takes a flight out of the table again.

Waiting for oneself is found and refused, whichever way around it goes. A flight knows the flight in which it
was begun (a context variable carries that into tasks and into threads that copy the context; a stack per
thread knows what the thread leads), and which flights it waits for. Before a caller that is inside a flight
waits for another one, it follows what that one waits for, and if it comes back to itself, it computes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import count
from threading import Lock, RLock, local
from time import sleep
from typing import Any, Final, TypeAlias
from weakref import ref

# fmt: off
__all__ = [
    "ABANDONED", "FAILED", "LANDED", "PENDING", "Elsewhere", "Flight", "Flights",
    "enclosing", "inside", "leading", "taking_part", "waiting",
]
# fmt: on

PENDING, LANDED, FAILED, ABANDONED = range(4)

#: A flight, and the place of the one that it was begun in.
Place: TypeAlias = "tuple[ref[Flight], Place | None]"

#: How often a caller gives way to another that is about to take a dead flight out of the table.
_PATIENCE: Final = 1000


class Elsewhere(Exception):  # noqa: N818 (it is news and no error)
    """Raised by what computes a flight: another process is at it, so whoever waits here begins anew."""


class Flight:
    """One computation: who leads it, who waits for it, and what came of it.

    ``state`` is ``PENDING`` until it is ``LANDED`` with a ``value``, ``FAILED`` with an ``error`` for
    everybody, or ``ABANDONED``: the leader was cancelled or interrupted, and whoever waits begins anew.
    """

    __slots__ = (
        *(
            "__weakref__",
            "_claims",
            "_starts",
            "_wakers",
            "blocked",
            "error",
            "keep",
            "pid",
            "place",
            "riders",
        ),
        *("holds", "label", "state", "storing", "task", "value"),
    )

    def __init__(self, outer: Place | None = None) -> None:
        #: Weak, because a task that was begun in here keeps its context, and must not keep what was computed.
        self.place: Place = (ref(self), outer)
        self.pid = os.getpid()
        self.state = PENDING
        self.value: Any = None
        self.error: BaseException | None = None
        #: False once what is computed is out of date: it reaches those who wait, and is not stored.
        self.keep = True
        #: Held while the result is stored, so that an invalidation is wholly before or wholly after.
        self.storing = RLock()
        #: Says whether what is computed still holds, once that may change: none of its tags was invalidated.
        self.holds: Callable[[], bool] | None = None
        self.label: Any = None
        self.blocked: list[Flight] = []
        #: What computes it on an event loop, and which tasks wait there.
        self.task: Any = None
        self.riders: set[object] = set()
        self._wakers: deque[Callable[[], object]] = deque()
        self._claims, self._starts = count(), count()

    def land(self, value: Any) -> None:
        """Give everybody who waits the value."""
        self.value = value
        self._end(LANDED)

    def fail(self, error: BaseException) -> None:
        """Raise the error to everybody who waits."""
        self.error = error
        self._end(FAILED)

    def abandon(self) -> None:
        """Let one of those who wait begin anew."""
        self._end(ABANDONED)

    def result(self) -> Any:
        """Return the value of a flight that is over, or raise its error."""
        if self.error is None:
            return self.value
        try:
            raise self.error
        finally:
            del self  # or the error, its traceback and this frame would hold each other

    def when_done(self, wake: Callable[[], object]) -> None:
        """Call ``wake``, which must not raise, once the flight is over, from whichever thread ends it."""
        self._wakers.append(wake)
        if self.state != PENDING:
            self._wake()

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until the flight is over, for at most ``timeout`` seconds; say whether it is."""
        if self.state == PENDING:
            gate = Lock()
            gate.acquire()
            self.when_done(gate.release)
            gate.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
        return self.state != PENDING

    def begin(self) -> bool:
        """Say, to one caller only, that it is to compute. Who leads may be waiting for a thread of a pool."""
        return next(self._starts) == 0

    def claim(self) -> bool:
        """Say, to one caller only, that it is to take the flight out of the table."""
        return next(self._claims) == 0

    def alive(self) -> bool:
        """Say whether somebody computes it: not in a forked child, nor once its event loop is closed."""
        if self.state != PENDING or self.pid != os.getpid():
            return False
        return self.task is None or not self.task.get_loop().is_closed()

    def _end(self, state: int) -> None:
        if self.state == PENDING:
            self.state = state
            self._wake()

    def _wake(self) -> None:
        while True:
            try:
                wake = self._wakers.popleft()
            except IndexError:
                return
            wake()


class Flights:
    """The flights under way for one function, by key.

    >>> flights = Flights()
    >>> flight, leads = flights.board("key")
    >>> flights.board("key") == (flight, False), leads
    (True, True)
    >>> flights.leave("key", flight); flight.land(42); flight.wait(), flight.value
    (True, 42)
    """

    def __init__(self) -> None:
        self._under_way: dict[Any, Flight] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def board(self, key: Any) -> tuple[Flight, bool]:
        """Return the flight of a key, and whether the caller leads it."""
        own = Flight(_context.get())
        for _ in range(_PATIENCE):
            flight = self._under_way.setdefault(key, own)
            if flight is own:
                return own, True
            if flight.alive():
                if flight.holds is None or flight.holds():
                    return flight, False
                self.outdate(key)
            elif flight.claim():
                self._under_way.pop(key, None)
                flight.abandon()
            else:
                sleep(0)  # somebody else is about to take it out
        return own, True  # two keys were equal and are not any more: it flies unseen, and nobody waits for it

    def leave(self, key: Any, flight: Flight) -> None:
        """Take a flight out of the table, so that the next caller begins another."""
        if flight.claim():
            self._under_way.pop(key, None)

    def outdate(self, key: Any) -> None:
        """Let what is being computed for a key reach those who wait, but be neither stored nor joined."""
        flight = self._under_way.get(key)
        if flight is not None:
            with flight.storing:
                flight.keep = False
            self.leave(key, flight)

    def outdate_where(self, wanted: Callable[[Flight], bool]) -> None:
        """``outdate`` every flight for which ``wanted`` is true."""
        for key, flight in list(self._under_way.items()):
            if wanted(flight):
                with flight.storing:
                    flight.keep = False
                self.leave(key, flight)

    def get(self, key: Any) -> Flight | None:
        """Return the flight of a key, if there is one."""
        return self._under_way.get(key)

    def all(self) -> list[Flight]:
        """Return the flights that are under way now."""
        return list(self._under_way.values())


# --- who waits for whom -----------------------------------------------------------------------------------

_context: ContextVar[Place | None] = ContextVar("perfcore_flight", default=None)
_thread = local()
#: Re-entrant, because a collection inside may run a finalizer that calls a cached function.
_graph = RLock()


@contextmanager
def leading(flight: Flight) -> Iterator[None]:
    """This thread computes ``flight`` in here: what it calls knows that it is inside."""
    stack: list[Flight] = _thread.__dict__.setdefault("stack", [])
    stack.append(flight)
    try:
        with taking_part(flight):
            yield
    finally:
        stack.remove(flight)


@contextmanager
def taking_part(flight: Flight) -> Iterator[None]:
    """What this task does in here is part of ``flight``; what its thread does meanwhile is not."""
    token = _context.set(flight.place)
    try:
        yield
    finally:
        with suppress(ValueError):  # a task that was never finished is closed in a context of somebody else
            _context.reset(token)


def inside(flight: Flight) -> None:
    """Make what runs in this context from here on part of ``flight``: for the context of a new task."""
    _context.set(flight.place)


def enclosing() -> set[Flight]:
    """Return the flights that the caller is part of, those of its context and those of its thread."""
    found = set(getattr(_thread, "stack", ()))
    place = _context.get()
    while place is not None:
        flight = place[0]()
        if flight is not None and flight.state == PENDING:
            found.add(flight)
        place = place[1]
    return found


@contextmanager
def waiting(flight: Flight) -> Iterator[bool]:
    """The caller waits for ``flight`` in here, unless this gives False: then it would wait for itself."""
    mine = enclosing()
    if not mine:  # nobody can be waiting for the caller
        yield True
        return
    with _graph:
        circular = _leads_to(flight, mine)
        if not circular:
            for own in mine:
                own.blocked.append(flight)
    try:
        yield not circular
    finally:
        if not circular:
            with _graph:
                for own in mine:
                    own.blocked.remove(flight)


def _leads_to(start: Flight, goals: set[Flight]) -> bool:
    """Say whether ``start`` is one of ``goals`` or waits, over however many others, for one of them."""
    seen, open_ends = {start}, [start]
    while open_ends:
        flight = open_ends.pop()
        if flight in goals:
            return True
        for other in tuple(flight.blocked):
            if other not in seen and other.state == PENDING:
                seen.add(other)
                open_ends.append(other)
    return False


def _forked() -> None:
    """In a forked child: another thread may have held the lock, and waits noted by other threads are gone."""
    global _graph
    _graph = RLock()


os.register_at_fork(after_in_child=_forked)
