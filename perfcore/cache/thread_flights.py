"""Flights that threads lead: in the caller's own thread, or in the pool where callers have no time."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from perfcore.cache.background import Background, shared
from perfcore.cache.flight import ABANDONED, Elsewhere, Flight, Flights, leading, waiting

__all__ = ["ThreadFlights"]

_Compute = Callable[[Flight], Any]


class ThreadFlights(Flights):
    """The computations under way for one function or one cache, and the threads that wait for them.

    >>> ThreadFlights().join("key", lambda flight: 42)[0].value
    42
    """

    def join(self, key: Any, compute: _Compute, limit: float | None = None) -> tuple[Flight | None, bool]:
        """Return the flight of ``key``, and whether the caller led it, when it is over.

        It is still ``PENDING`` when ``limit`` seconds have passed, and goes on. None: the caller is part of
        it, and would wait for itself.
        """
        while True:
            flight, leads = self.board(key)
            if leads and limit is not None:
                self._send(key, flight, compute)
            elif limit is None and flight.begin():
                self.run(key, flight, compute)
            with waiting(flight) as sensible:
                if not sensible:
                    return None, False
                flight.wait(limit)
            if flight.state != ABANDONED:
                return flight, leads

    def behind(self, key: Any, compute: _Compute, over: Callable[[Flight], object]) -> None:
        """Let the pool compute ``key``, unless that is being done or the pool has too much to do.

        ``over`` is called with the flight afterwards.
        """
        flight, leads = self.board(key)

        def call() -> None:
            if flight.begin():
                self.run(key, flight, compute)
                over(flight)

        if leads and not _submit(call) and flight.begin():
            self.leave(key, flight)
            flight.abandon()

    def run(self, key: Any, flight: Flight, compute: _Compute) -> None:
        """Compute in this thread, and tell those who wait what came of it."""
        try:
            with leading(flight):
                found = compute(flight)
        except Elsewhere:
            self.leave(key, flight)
            flight.abandon()
        except Exception as error:
            self.leave(key, flight)
            flight.fail(error)
        except BaseException:
            self.leave(key, flight)
            flight.abandon()
            raise
        else:
            self.leave(key, flight)
            flight.land(found)

    def _send(self, key: Any, flight: Flight, compute: _Compute) -> None:
        """Let the pool compute, because callers wait for a limited time and the call goes on after it."""

        def call() -> None:
            if flight.begin():
                self.run(key, flight, compute)

        # a thread of the pool must not wait for another one
        if Background.is_worker() or not _submit(call):
            call()


def _submit(call: Callable[[], None]) -> bool:
    context = copy_context()
    return shared().submit(lambda: context.run(call))
