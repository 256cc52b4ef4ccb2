"""Calls of coroutine functions: one task computes a key, other tasks, of whatever event loop, wait for it.

The call runs in a task of its own, so that nobody's cancellation ends it as long as somebody waits. When the
last one is cancelled, so is the call. An event loop may end or stop before its task does: tasks of other
loops look at it from time to time, and one of them takes over.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import Any, Final

from perfcore.cache.flight import ABANDONED, FAILED, PENDING, Flight, inside, waiting
from perfcore.cache.functions.calls import Calls
from perfcore.cache.functions.shelf import MISSING
from perfcore.cache.functions.staleness import Age

__all__ = ["TaskCalls"]

_Args = tuple[Any, ...]
_Kwargs = dict[str, Any] | None

#: How often, in seconds, a task looks at the loop of another that it waits for, and how many looks in a row
#: that loop may stand still: ``run_until_complete`` may be about to be called again.
_LOOK: Final = 0.1
_LEASE: Final = 10

#: Refreshes of one function under way behind its callers, at most.
_MOST_BEHIND: Final = 1024


class TaskCalls(Calls):
    """What the memo of a coroutine function calls where it cannot answer by itself."""

    async def miss(self, key: Any, args: _Args, kwargs: _Kwargs) -> Any:
        """Return the result of a call whose key is not in the cache."""
        if not self.options.single_flight:
            flight = Flight()
            await self._compute(flight, key, args, kwargs, False)
            return self.landed(flight)
        return await self._obtain(key, args, kwargs)

    async def review(self, key: Any, args: _Args, kwargs: _Kwargs, found: Any, left: float | None) -> Any:
        """Return the result of a call whose key is in the cache but needs a look."""
        if not self.shelf.valid(found):
            self.note_joined(-1)
            return await self.miss(key, args, kwargs)
        age = self.shelf.age(found, left)
        if age.fresh or (age.may_serve and self.options.soft_timeout is None):
            if age.due or not age.fresh:
                self._refresh_behind(key, args, kwargs)
            return self.hand_out(found)
        self.note_joined(-1)
        if not age.may_serve and not age.may_excuse:  # it ended just now
            return await self.miss(key, args, kwargs)
        return await self._obtain(key, args, kwargs, found, age)

    async def refresh(self, key: Any, args: _Args, kwargs: _Kwargs) -> Any:
        """Compute a key anew, whatever is stored or being computed, and return the result."""
        self.flights.outdate(key)
        return await self._obtain(key, args, kwargs, anew=True)

    async def _obtain(
        self,
        key: Any,
        args: _Args,
        kwargs: _Kwargs,
        stale: Any = MISSING,
        age: Age | None = None,
        anew: bool = False,
    ) -> Any:
        """Return what this or another task computes, or what is stale where that takes too long or fails."""
        soft = self.options.soft_timeout if stale is not MISSING else None
        limits = [limit for limit in (soft, self.options.hard_timeout) if limit is not None]
        excuse = stale if age is not None and age.may_excuse else MISSING
        while True:
            flight, leads = self.flights.board(key)
            if leads:
                self._launch(flight, key, args, kwargs, anew)
            with waiting(flight) as sensible:
                if not sensible:  # it waits for us
                    return self.finish(self.checked(await self.function(*args, **(kwargs or {}))))
                over = await self._ride(flight, key, min(limits, default=None), soft is not None)
            if not over:
                if soft is not None or excuse is not MISSING:
                    return self.hand_out(stale)
                raise self.late()
            if flight.state == FAILED and excuse is not MISSING:
                return self.hand_out(excuse)
            if flight.state == ABANDONED:
                if leads and flight.task.done():  # not we were cancelled, the call was
                    raise asyncio.CancelledError
                continue
            if not leads:
                self.note_joined()
            return self.landed(flight)

    # --- the call ------------------------------------------------------------------------------------------

    def _launch(self, flight: Flight, key: Any, args: _Args, kwargs: _Kwargs, anew: bool = False) -> None:
        """Begin the task of a flight on the running loop, in a copy of the caller's context."""
        context = copy_context()
        context.run(inside, flight)
        call = self._compute(flight, key, args, kwargs, anew)
        try:
            flight.task = asyncio.get_running_loop().create_task(call, context=context)
        except BaseException:
            call.close()
            self._give_up(key, flight)
            raise
        flight.task.add_done_callback(lambda task: self._ended(key, flight, task))

    async def _compute(self, flight: Flight, key: Any, args: _Args, kwargs: _Kwargs, anew: bool) -> None:
        """Run the function for a flight, store what comes of it, and tell those who wait."""
        try:
            flight.tags = self.tags_of(args, kwargs)
            found = MISSING if anew else self.shelf.fresh(key)  # another flight may have landed just before
            if found is MISSING:
                found = self.checked(await self.function(*args, **(kwargs or {})))
                self.shelf.put(key, found, flight)
            else:
                self.note_joined()
        except Exception as error:
            self.shelf.put_error(key, error, flight)
            self.flights.leave(key, flight)
            flight.fail(error)
        else:
            self.flights.leave(key, flight)
            flight.land(found)

    def _ended(self, key: Any, flight: Flight, task: asyncio.Task[None]) -> None:
        if flight.state == PENDING:  # cancelled, perhaps before it began
            self._give_up(key, flight)
        if not task.cancelled():
            task.exception()  # what is no Exception has reached the loop itself

    def _give_up(self, key: Any, flight: Flight) -> None:
        """Let those who wait begin anew; what may still come of the flight is not to be stored."""
        flight.keep = False
        self.flights.leave(key, flight)
        flight.abandon()

    def _refresh_behind(self, key: Any, args: _Args, kwargs: _Kwargs) -> None:
        """Let a task of the running loop compute a key, unless that is being done."""
        if len(self.flights) >= _MOST_BEHIND:  # a later caller will
            return
        flight, leads = self.flights.board(key)
        if leads:
            flight.riders.add(self)  # so that it goes on, whoever else joins and leaves
            self._launch(flight, key, args, kwargs)
            flight.task.add_done_callback(lambda _: self.note_failure(flight))

    # --- waiting for it ------------------------------------------------------------------------------------

    async def _ride(self, flight: Flight, key: Any, limit: float | None, goes_on: bool) -> bool:
        """Wait until the flight is over, for at most ``limit`` seconds; say whether it is.

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
                await self._watch(flight, key, rider, limit)
            if flight.state == PENDING and goes_on:
                flight.riders.add(self)
            return flight.state != PENDING
        finally:
            flight.riders.discard(rider)
            if flight.state == PENDING and not flight.riders:
                self._cancel(key, flight)

    async def _watch(
        self, flight: Flight, key: Any, rider: asyncio.Future[None], limit: float | None
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
        self.flights.leave(key, flight)
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
