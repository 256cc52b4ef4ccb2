"""Calls of plain functions: one thread computes a key, the others wait for it."""

from __future__ import annotations

from typing import Any

from perfcore.cache.flight import FAILED, PENDING, Flight
from perfcore.cache.functions.calls import Calls
from perfcore.cache.functions.shelf import MISSING
from perfcore.cache.functions.staleness import Age
from perfcore.cache.thread_flights import ThreadFlights

__all__ = ["ThreadCalls"]

_Args = tuple[Any, ...]
_Kwargs = dict[str, Any] | None


class ThreadCalls(Calls):
    """What the memo of a plain function calls where it cannot answer by itself."""

    flights: ThreadFlights
    make_flights = ThreadFlights

    def miss(self, key: Any, args: _Args, kwargs: _Kwargs) -> Any:
        """Return the result of a call whose key is not in the cache."""
        if not self.options.single_flight:
            flight = Flight()
            self.flights.run(key, flight, lambda flight: self._compute(flight, key, args, kwargs))
            return self.landed(flight)
        return self._obtain(key, args, kwargs)

    def review(self, key: Any, args: _Args, kwargs: _Kwargs, found: Any, left: float | None) -> Any:
        """Return the result of a call whose key is in the cache but needs a look."""
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
        excuse = stale if age is not None and age.may_excuse else MISSING
        flight, leads = self.flights.join(
            key, lambda flight: self._compute(flight, key, args, kwargs, anew), min(limits, default=None)
        )
        if flight is None:  # it waits for us
            return self.finish(self.checked(self.function(*args, **(kwargs or {}))))
        if flight.state == PENDING:
            if soft is not None or excuse is not MISSING:
                return self.hand_out(stale)
            raise self.late()
        if flight.state == FAILED and excuse is not MISSING:
            return self.hand_out(excuse)
        if not leads:
            self.note_joined()
        return self.landed(flight)

    def _compute(self, flight: Flight, key: Any, args: _Args, kwargs: _Kwargs, anew: bool = False) -> Any:
        """Run the function for a flight and store what comes of it."""
        try:
            self.note_tags(flight, args, kwargs)
            found = MISSING if anew else self.shelf.fresh(key)  # another flight may have landed just before
            if found is MISSING:
                found = self.checked(self.function(*args, **(kwargs or {})))
                self.shelf.put(key, found, flight)
            else:
                self.note_joined()
        except Exception as error:
            self.shelf.put_error(key, error, flight)
            raise
        return found

    def _refresh_behind(self, key: Any, args: _Args, kwargs: _Kwargs) -> None:
        """Let the pool compute a key, unless that is being done or the pool has too much to do."""
        self.flights.behind(
            key, lambda flight: self._compute(flight, key, args, kwargs), over=self.note_failure
        )
