"""Where the results of a function lie: as they are where that says enough, else in an :class:`Entry`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from copy import copy
from typing import Any

from perfcore._native import labels
from perfcore._native.memo import Held
from perfcore.cache.flight import Flight
from perfcore.cache.functions.options import Options
from perfcore.cache.functions.staleness import ALWAYS, Age

__all__ = ["MISSING", "Entry", "Shelf", "bare"]

#: What stands for no result.
MISSING: Any = object()


class Entry(Held):
    """A result that is more than a value: an error, or one with a freshness of its own."""

    __slots__ = ("error", "fresh_until", "refresh_from", "value")

    def __init__(
        self, value: Any, error: BaseException | None, fresh_until: float, refresh_from: float
    ) -> None:
        self.value, self.error = value, error
        #: On the clock of the cache; infinite where the end of the entry in the cache says it.
        self.fresh_until, self.refresh_from = fresh_until, refresh_from


class Shelf:
    """The results of one function in a cache: what is put there, for how long, and of what age it is."""

    def __init__(self, cache: Any, options: Options, *, own: bool) -> None:
        self.cache = cache
        self._options, self._freshness = options, options.freshness
        self._now = options.timer
        #: The cache itself knows how long results are kept.
        self._plain = options.ttl is None or (own and not options.freshness.margin)
        self._timeless = math.isinf(options.freshness.margin)

    def label(self, flight: Flight, tags: str | Iterable[Hashable]) -> None:
        """Note the tags of what a flight is about to compute: it holds until one of them is invalidated."""
        flight.label = label = labels.label(self.cache, (tags,) if isinstance(tags, str) else tags)
        if label is not None:
            flight.holds = lambda: labels.holds(self.cache, label)

    def put(self, key: Any, value: Any, flight: Flight) -> None:
        """Store what a flight brought, unless that is out of date by now."""
        own_ttl = self._options.none_ttl if value is None else None
        if own_ttl is not None:
            self._store(key, self._entry(value, None, own_ttl, ahead=True), own_ttl, flight)
        elif self._plain:
            self._store(key, value, None, flight)
        else:
            ttl = self._options.ttl and self._freshness.shortened(self._options.ttl)
            if self._timeless:
                value = self._entry(value, None, ttl, ahead=True)
            self._store(key, value, ttl, flight)

    def put_error(self, key: Any, error: Exception, flight: Flight) -> None:
        """Store an exception that is to be stored, unless there is a stale value, which is worth more."""
        named, own_ttl = self._options.error_ttl(error)
        if named and not self._stale(key):
            ttl = self._options.ttl if own_ttl is None else own_ttl
            self._store(key, self._entry(None, bare(error), ttl), ttl, flight)

    def write(self, key: Any, value: Any, ttl: float | None, label: Any) -> None:
        """Store something for ``ttl`` seconds, or as long as the cache keeps what it is given without one."""
        if label is not None:
            labels.put(self.cache, key, value, ttl, label)
        elif ttl is None:
            self.cache[key] = value
        else:
            self.cache.set(key, value, ttl=ttl)

    def fresh(self, key: Any) -> Any:
        """Return what is stored, without counting a use; MISSING if that needs a refresh."""
        found = self.cache.peek(key, MISSING)
        if found is MISSING:
            return MISSING
        age = self.age(found, self._left(key))
        return found if age.fresh and not age.due else MISSING

    def age(self, found: Any, left: float | None) -> Age:
        """Return the age of what was found, which the cache gives up in ``left`` seconds."""
        if isinstance(found, Entry) and not math.isinf(found.fresh_until):
            now = self._now()
            age = self._freshness.age(now - found.fresh_until)
            return age._replace(due=age.fresh and now >= found.refresh_from)
        return ALWAYS if left is None else self._freshness.age(self._freshness.after - left)

    def _stale(self, key: Any) -> bool:
        found = self.cache.peek(key, MISSING)
        if found is MISSING:
            return False
        age = self.age(found, self._left(key))
        return age.may_serve or age.may_excuse

    def _left(self, key: Any) -> float | None:
        if not self._freshness.margin or self._timeless:
            return None
        try:
            left: float | None = self.cache.expires_in(key)
        except KeyError:
            return 0.0
        return left

    def _entry(
        self, value: Any, error: BaseException | None, ttl: float | None, *, ahead: bool = False
    ) -> Entry:
        until = math.inf if ttl is None or not self._freshness.margin else self._now() + ttl
        early = self._freshness.ahead_of(ttl) if ahead and ttl is not None else -math.inf
        return Entry(value, error, until, until - early)

    def _store(self, key: Any, value: Any, ttl: float | None, flight: Flight) -> None:
        kept = None if ttl is None else self._freshness.kept(ttl)
        if isinstance(value, Entry) and value.error is not None:
            kept = ttl  # an error is of no use once it is stale
        with flight.storing:
            if flight.keep and (flight.holds is None or flight.holds()):
                self.write(key, value, kept, flight.label)


def bare(error: BaseException) -> BaseException:
    """Return a copy of an exception without traceback and context, which keep frames alive."""
    try:
        twin = copy(error)
        same = type(twin) is type(error) and twin.args == error.args
    except Exception:  # its class takes other arguments than it keeps
        same = False
    return twin if same else error.with_traceback(None)
