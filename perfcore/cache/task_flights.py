"""Flights that tasks lead: those who wait may be tasks of any event loop.

What computes runs in a task of its own, so that nobody's cancellation ends it as long as somebody waits. When
the last one is cancelled, so is the task. An event loop may end or stop before its task does: tasks of other
loops look at it from time to time, and one of them takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Final

from perfcore.cache.flight import ABANDONED, PENDING, Elsewhere, Flight, Flights, inside, waiting

__all__ = ["TaskFlights"]

_Compute = Callable[[Flight], Awaitable[Any]]

#: How often, in seconds, a task looks at the loop of another that it waits for, and how many looks in a row
#: that loop may stand still: ``run_until_complete`` may be about to be called again.
_LOOK: Final = 0.1
_LEASE: Final = 10

#: Computations behind their callers under way at once, at most.
_MOST_BEHIND: Final = 1024


class TaskFlights(Flights):
    """The computations under way for one function or one cache, and the tasks that wait for them."""

    async def join(
        self, key: Any, compute: _Compute, limit: float | None = None, *, goes_on: bool = False
    ) -> tuple[Flight | None, bool]:
        """Return the flight of ``key``, and whether the caller led it, when it is over.

        It is still ``PENDING`` when ``limit`` seconds have passed; then it is cancelled if nobody else waits,
        unless it ``goes_on``. None: the caller is part of it, and would wait for itself. Raises
        :exc:`asyncio.CancelledError` when what computes was cancelled, and not the caller.
        """
        while True:
            flight, leads = self.board(key)
            if leads:
                self._launch(key, flight, compute)
            with waiting(flight) as sensible:
                if not sensible:
                    return None, False
                await self._ride(key, flight, limit, goes_on)
            if flight.state != ABANDONED:
                return flight, leads
            if leads and flight.task.done():  # not we were cancelled, the call was
                raise asyncio.CancelledError

    def behind(self, key: Any, compute: _Compute, over: Callable[[Flight], object]) -> None:
        """Let a task of the running loop compute ``key``, unless that is being done or too many are at it.

        ``over`` is called with the flight afterwards.
        """
        if len(self) >= _MOST_BEHIND:  # a later caller will
            return
        flight, leads = self.board(key)
        if leads:
            flight.riders.add(self)  # so that it goes on, whoever else joins and leaves
            self._launch(key, flight, compute)
            flight.task.add_done_callback(lambda _: over(flight))

    async def run(self, key: Any, flight: Flight, compute: _Compute) -> None:
        """Compute in this task, and tell those who wait what came of it."""
        try:
            found = await compute(flight)
        except Elsewhere:
            self._give_up(key, flight)
        except Exception as error:
            self.leave(key, flight)
            flight.fail(error)
        else:
            self.leave(key, flight)
            flight.land(found)

    def _launch(self, key: Any, flight: Flight, compute: _Compute) -> None:
        """Begin the task of a flight on the running loop, in a copy of the caller's context."""
        context = copy_context()
        context.run(inside, flight)
        call = self.run(key, flight, compute)
        try:
            flight.task = asyncio.get_running_loop().create_task(call, context=context)
        except BaseException:
            call.close()
            self._give_up(key, flight)
            raise
        flight.task.add_done_callback(lambda task: self._ended(key, flight, task))

    def _ended(self, key: Any, flight: Flight, task: asyncio.Task[None]) -> None:
        if flight.state == PENDING:  # cancelled, perhaps before it began
            self._give_up(key, flight)
        if not task.cancelled():
            task.exception()  # what is no Exception has reached the loop itself

    def _give_up(self, key: Any, flight: Flight) -> None:
        """Let those who wait begin anew; what may still come of the flight is not to be stored."""
        flight.keep = False
        self.leave(key, flight)
        flight.abandon()

    async def _ride(self, key: Any, flight: Flight, limit: float | None, goes_on: bool) -> None:
        """Wait until the flight is over, for at most ``limit`` seconds.

        It is cancelled with its last rider, unless it ``goes_on`` behind those who had no patience.
        """
        loop = asyncio.get_running_loop()
        rider = loop.create_future()
        flight.riders.add(rider)
        flight.when_done(lambda: _wake(loop, rider))
        try:
            if limit is None and flight.task is not None and flight.task.get_loop() is loop:
                await rider
            else:
                await self._watch(key, flight, rider, limit)
            if flight.state == PENDING and goes_on:
                flight.riders.add(self)
        finally:
            flight.riders.discard(rider)
            if flight.state == PENDING and not flight.riders:
                self._cancel(key, flight)

    async def _watch(
        self, key: Any, flight: Flight, rider: asyncio.Future[None], limit: float | None
    ) -> None:
        """Wait for the flight, for ``limit`` seconds, or until nothing can come of it any more."""
        clock = asyncio.get_running_loop().time
        end = None if limit is None else clock() + limit
        still = 0
        while not rider.done() and (end is None or clock() < end):
            await asyncio.wait([rider], timeout=_LOOK if end is None else min(_LOOK, end - clock()))
            still = 0 if _moves(flight) else still + 1
            if not rider.done() and (still >= _LEASE or not flight.alive()):
                self._give_up(key, flight)
                return

    def _cancel(self, key: Any, flight: Flight) -> None:
        """Nobody waits any more: cancel the call, and let whoever comes next begin another."""
        self.leave(key, flight)
        if flight.task is not None:
            _in_loop(flight.task.get_loop(), flight.task.cancel)


def _moves(flight: Flight) -> bool:
    return flight.task is not None and bool(flight.task.get_loop().is_running())


def _wake(loop: asyncio.AbstractEventLoop, rider: asyncio.Future[None]) -> None:
    def settle() -> None:
        if not rider.done():
            rider.set_result(None)

    _in_loop(loop, settle)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Any) -> None:
    """Call in the thread of a loop: at once if this is it; not at all if the loop is closed."""
    if asyncio._get_running_loop() is loop:
        call()
        return
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        pass
