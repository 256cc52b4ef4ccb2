"""Calls of plain functions: one thread computes a key, the others wait for it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from perfcore.cache.background import Background, shared
from perfcore.cache.flight import FAILED, LANDED, Flight, leading, waiting
from perfcore.cache.functions.calls import Calls
from perfcore.cache.functions.shelf import MISSING
from perfcore.cache.functions.staleness import Age

__all__ = ["ThreadCalls"]

_Args = tuple[Any, ...]
_Kwargs = dict[str, Any] | None


class ThreadCalls(Calls):
    """What the memo of a plain function calls where it cannot answer by itself."""

    def miss(self, key: Any, args: _Args, kwargs: _Kwargs) -> Any:
        """Return the result of a call whose key is not in the cache."""
        if not self.options.single_flight:
            flight = Flight()
            self._compute(flight, key, args, kwargs)
            return self.landed(flight)
        return self._obtain(key, args, kwargs)

    def review(self, key: Any, args: _Args, kwargs: _Kwargs, found: Any, left: float | None) -> Any:
        """Return the result of a call whose key is in the cache but needs a look."""
        if not self.shelf.valid(found):
            self.note_joined(-1)
            return self.miss(key, args, kwargs)
        age = self.shelf.age(found, left)
        if age.fresh or (age.may_serve and self.options.soft_timeout is None):
            if age.due or not age.fresh:
                self._refresh_behind(key, args, kwargs)
            return self.hand_out(found)
        self.note_joined(-1)
        if not age.may_serve and not age.may_excuse:  # it ended just now
            return self.miss(key, args, kwargs)
        return self._obtain(key, args, kwargs, found, age)

    def refresh(self, key: Any, args: _Args, kwargs: _Kwargs) -> Any:
        """Compute a key anew, whatever is stored or being computed, and return the result."""
        self.flights.outdate(key)
        return self._obtain(key, args, kwargs, anew=True)

    def _obtain(
        self,
        key: Any,
        args: _Args,
        kwargs: _Kwargs,
        stale: Any = MISSING,
        age: Age | None = None,
        anew: bool = False,
    ) -> Any:
        """Return what some thread computes, or what is stale where that takes too long or fails."""
        soft = self.options.soft_timeout if stale is not MISSING else None
        limits = [limit for limit in (soft, self.options.hard_timeout) if limit is not None]
        limit = min(limits, default=None)
        excuse = stale if age is not None and age.may_excuse else MISSING
        while True:
            flight, leads = self.flights.board(key)
            if leads and limit is not None:
                self._send(flight, key, args, kwargs, anew)
            elif limit is None and flight.begin():
                self._compute(flight, key, args, kwargs, anew)
            with waiting(flight) as sensible:
                if not sensible:  # it waits for us
                    return self.finish(self.checked(self.function(*args, **(kwargs or {}))))
                over = flight.wait(limit)
            if not over:
                if soft is not None or excuse is not MISSING:
                    return self.hand_out(stale)
                raise self.late()
            if flight.state == FAILED and excuse is not MISSING:
                return self.hand_out(excuse)
            if flight.state in (LANDED, FAILED):
                if not leads:
                    self.note_joined()
                return self.landed(flight)

    def _send(self, flight: Flight, key: Any, args: _Args, kwargs: _Kwargs, anew: bool) -> None:
        """Let the pool compute, because callers wait for a limited time and the call goes on after it."""

        def call() -> None:
            if flight.begin():
                self._compute(flight, key, args, kwargs, anew)

        if Background.is_worker() or not self._submit(
            call
        ):  # a thread of the pool must not wait for another one
            call()

    def _refresh_behind(self, key: Any, args: _Args, kwargs: _Kwargs) -> None:
        """Let the pool compute a key, unless that is being done or the pool has too much to do."""
        flight, leads = self.flights.board(key)

        def call() -> None:
            if flight.begin():
                self._compute(flight, key, args, kwargs)
                self.note_failure(flight)

        if leads and not self._submit(call) and flight.begin():
            self.flights.leave(key, flight)
            flight.abandon()

    def _submit(self, call: Callable[[], None]) -> bool:
        context = copy_context()
        return shared().submit(lambda: context.run(call))

    def _compute(self, flight: Flight, key: Any, args: _Args, kwargs: _Kwargs, anew: bool = False) -> None:
        """Run the function for a flight, store what comes of it, and tell those who wait."""
        try:
            with leading(flight):
                flight.tags = self.tags_of(args, kwargs)
                found = (
                    MISSING if anew else self.shelf.fresh(key)
                )  # another flight may have landed just before
                if found is MISSING:
                    found = self.checked(self.function(*args, **(kwargs or {})))
                    self.shelf.put(key, found, flight)
                else:
                    self.note_joined()
        except Exception as error:
            self.shelf.put_error(key, error, flight)
            self.flights.leave(key, flight)
            flight.fail(error)
        except BaseException:
            self.flights.leave(key, flight)
            flight.abandon()
            raise
        else:
            self.flights.leave(key, flight)
            flight.land(found)
