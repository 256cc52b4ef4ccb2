"""Single flight: of all tasks, threads and processes that miss on a key at once, one computes."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, TypeVar

from perfcore.cache import flight as single
from perfcore.cache.flight import LANDED, Elsewhere, Flight, leading, taking_part, waiting
from perfcore.cache.task_flights import TaskFlights
from perfcore.cache.thread_flights import ThreadFlights

__all__ = ["MISSING", "Flights"]

_T = TypeVar("_T")

#: How long to wait for another process, or for a task whose loop stands still, before computing as well, in
#: seconds: two processes that compute for each other in a circle would wait for ever, and no process can see
#: that.
_LEASE = 60.0
_SHORTEST_POLL, _LONGEST_POLL = 0.001, 0.05
#: What stands for no value.
MISSING: Any = object()


class Flights:
    """The computations under way for one directory. Between processes they are locks on bytes of a file."""

    def __init__(self, directory: Path | None) -> None:
        """Without a ``directory`` the threads and tasks of this process are all there are."""
        self._path = None if directory is None else directory / "flights.lock"
        self._file: int | None = None
        self._under_way = single.Flights()
        #: Those of the managers on the directory, which compute under :meth:`alone` and :meth:`aalone`.
        self.threads, self.tasks = ThreadFlights(), TaskFlights()
        self._lock = Lock()
        #: How many here hold each byte: the kernel tells processes apart, and nothing finer.
        self._held: dict[int, int] = {}

    def run(self, name: bytes, look: Callable[[], Any], compute: Callable[[], _T]) -> _T:
        """Return what ``look`` finds under ``name``, or else what ``compute`` returns and stores.

        ``look`` returns :data:`MISSING` when there is nothing. An exception of ``compute`` reaches only the
        caller that ran it; the next one tries again.
        """
        while True:
            flight, leads = self._under_way.board(name)
            if leads:
                with self._ending(name, flight), leading(flight):
                    flight.value = value = self.alone(name, look, compute)
                    return value
            with waiting(flight) as sensible:
                if not sensible or not _landing(flight):
                    return compute()
            found: _T = _outcome(flight, look)
            if found is not MISSING:
                return found

    async def arun(self, name: bytes, look: Callable[[], Any], compute: Callable[[], Awaitable[_T]]) -> _T:
        """:meth:`run` for a ``compute`` that is awaited; threads and tasks wait for each other, too.

        When the task that computes is cancelled, the next one of those who wait computes.
        """

        async def look_later() -> Any:
            return look()

        while True:
            flight, leads = self._under_way.board(name)
            if leads:
                flight.task = asyncio.current_task()
                with self._ending(name, flight), taking_part(flight):
                    flight.value = value = await self.aalone(name, look_later, compute)
                    return value
            with waiting(flight) as sensible:
                if not sensible or not await _alanding(flight):
                    return await compute()
            found: _T = _outcome(flight, look)
            if found is not MISSING:
                return found

    def alone(
        self, name: bytes, look: Callable[[], Any], compute: Callable[[], _T], *, behind: bool = False
    ) -> _T:
        """Look and, if there is nothing, compute, while no other process does.

        Raises :exc:`Elsewhere` where another one does and nobody waits for this one, which is ``behind``.
        """
        place = _place(name)
        held = self._hold(place)
        for pause in _pauses(held, behind):
            sleep(pause)
            if held := self._hold(place):
                break
        try:
            found: _T = look()  # another process may have been faster
            return compute() if found is MISSING else found
        finally:
            if held:
                self._let_go(place)

    async def aalone(
        self,
        name: bytes,
        look: Callable[[], Awaitable[Any]],
        compute: Callable[[], Awaitable[_T]],
        *,
        behind: bool = False,
    ) -> _T:
        """:meth:`alone` for use on an event loop."""
        place = _place(name)
        held = self._hold(place)
        for pause in _pauses(held, behind):
            await asyncio.sleep(pause)
            if held := self._hold(place):
                break
        try:
            found: _T = await look()
            return await compute() if found is MISSING else found
        finally:
            if held:
                self._let_go(place)

    def forked(self) -> None:
        """In a forked child: the flights and locks are those of the parent's threads."""
        self._under_way = single.Flights()
        self.threads, self.tasks = ThreadFlights(), TaskFlights()
        self._lock, self._held = Lock(), {}

    def close(self) -> None:
        """Close the lock file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def _ending(self, name: bytes, flight: Flight) -> Iterator[None]:
        """However the block ends, who waits for its flight hears of it, and the next caller begins anew."""
        under_way = self._under_way  # a child that was forked inside has another table
        try:
            yield
        except BaseException:
            under_way.leave(name, flight)
            flight.abandon()
            raise
        under_way.leave(name, flight)
        flight.land(flight.value)

    def _hold(self, place: int) -> bool:
        with self._lock:
            if place not in self._held and not self._take(place):
                return False
            self._held[place] = self._held.get(place, 0) + 1
            return True

    def _let_go(self, place: int) -> None:
        with self._lock:
            left = self._held.pop(place, 1) - 1
            if left:
                self._held[place] = left
            elif self._file is not None:
                with suppress(OSError):  # closed meanwhile, which has let go of it too
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _take(self, place: int) -> bool:
        """Take the byte at ``place``; also True where there is no file to take it in."""
        if self._path is None:
            return True
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return self._file is None
        except OSError:
            return True
        return True


def _pauses(held: bool, behind: bool) -> Iterator[float]:
    """The seconds to sleep between attempts to take what is not ``held``, until the lease is over."""
    if held:
        return
    if behind:
        raise Elsewhere
    limit, pause = monotonic() + _LEASE, _SHORTEST_POLL
    while monotonic() < limit:
        yield pause
        pause = min(2 * pause, _LONGEST_POLL)


def _place(name: bytes) -> int:
    """The byte of the lock file that stands for ``name``."""
    return int.from_bytes(name[-7:], "big")


def _outcome(flight: Flight, look: Callable[[], Any]) -> Any:
    if flight.state != LANDED:
        return MISSING
    found = look()
    return flight.value if found is MISSING else found  # computed, but too large to keep, or expired already


def _landing(flight: Flight) -> bool:
    """Block this thread until ``flight`` is over; False if its loop has stopped meanwhile."""
    while not flight.wait(_LEASE):
        if _stands_still(flight):
            return False
    return True


async def _alanding(flight: Flight) -> bool:
    """Wait until ``flight`` is over; False if it is of another loop that has stopped meanwhile."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    flight.when_done(lambda: _tell(loop, over))
    while not (await asyncio.wait([over], timeout=_LEASE))[0]:
        if _stands_still(flight):
            return False
    return True


def _stands_still(flight: Flight) -> bool:
    return flight.task is not None and not flight.task.get_loop().is_running()


def _tell(loop: asyncio.AbstractEventLoop, over: asyncio.Future[None]) -> None:
    def tell() -> None:
        if not over.done():
            over.set_result(None)

    with suppress(RuntimeError):  # the loop of one who waited is closed
        loop.call_soon_threadsafe(tell)
