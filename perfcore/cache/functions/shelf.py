"""Where the results of a function lie: as they are where that says enough, else in an :class:`Entry`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from copy import copy
from typing import Any

from perfcore._native.memo import Held
from perfcore.cache.flight import Flight
from perfcore.cache.functions.options import Options
from perfcore.cache.functions.staleness import ALWAYS, Age

__all__ = ["MISSING", "Entry", "Shelf", "Tags", "bare"]

#: What stands for no result.
MISSING: Any = object()

_Stamps = tuple[tuple[Hashable, int], ...]


class Entry(Held):
    """A result that is more than a value: an error, or one with tags or a freshness of its own."""

    __slots__ = ("error", "fresh_until", "refresh_from", "tags", "value")

    def __init__(
        self, value: Any, error: BaseException | None, fresh_until: float, refresh_from: float, tags: _Stamps
    ) -> None:
        self.value, self.error, self.tags = value, error, tags
        #: On the clock of the cache; infinite where the end of the entry in the cache says it.
        self.fresh_until, self.refresh_from = fresh_until, refresh_from


class Tags:
    """Which generation each tag is in; results of an older one are out of date, and are not looked for.

    It holds one number for each tag that was ever invalidated.

    >>> tags = Tags()
    >>> before = tags.stamped(["user:1"])
    >>> tags.invalidate(["user:1"])
    >>> tags.hold(before), tags.hold(tags.stamped(["user:1"]))
    (False, True)
    """

    def __init__(self) -> None:
        self._generations: dict[Hashable, int] = {}

    def stamped(self, tags: Iterable[Hashable]) -> _Stamps:
        """Return the tags with their generations."""
        names = (tags,) if isinstance(tags, str) else tags
        return tuple((tag, self._generations.get(tag, 0)) for tag in names)

    def hold(self, stamps: _Stamps) -> bool:
        """Say whether none of these tags was invalidated since."""
        return all(self._generations.get(tag, 0) == generation for tag, generation in stamps)

    def invalidate(self, tags: Iterable[Hashable]) -> None:
        """Move tags to their next generation."""
        for tag in tags:
            self._generations[tag] = self._generations.get(tag, 0) + 1


class Shelf:
    """The results of one function in a cache: what is put there, for how long, and of what age it is."""

    def __init__(self, cache: Any, options: Options, *, own: bool) -> None:
        self.cache = cache
        self.tags = Tags()
        self._options, self._freshness = options, options.freshness
        self._now = options.timer
        #: The cache itself knows how long results are kept.
        self._plain = options.ttl is None or (own and not options.freshness.margin)
        self._timeless = math.isinf(options.freshness.margin)

    def put(self, key: Any, value: Any, flight: Flight) -> None:
        """Store what a flight brought, unless that is out of date by now."""
        own_ttl = self._options.none_ttl if value is None else None
        if own_ttl is not None:
            self._store(key, self._entry(value, None, own_ttl, flight), own_ttl, flight)
        elif self._plain and not flight.tags:
            with flight.storing:
                if flight.keep:
                    self.write(key, value, None)
        else:
            ttl = self._options.ttl and self._freshness.shortened(self._options.ttl)
            if flight.tags or self._timeless:
                value = self._entry(value, None, ttl if self._timeless else None, flight, ahead=True)
            self._store(key, value, ttl, flight)

    def put_error(self, key: Any, error: Exception, flight: Flight) -> None:
        """Store an exception that is to be stored, unless there is a stale value, which is worth more."""
        named, own_ttl = self._options.error_ttl(error)
        if named and not self._stale(key):
            ttl = self._options.ttl if own_ttl is None else own_ttl
            self._store(key, self._entry(None, bare(error), ttl, flight), ttl, flight)

    def write(self, key: Any, value: Any, ttl: float | None) -> None:
        """Store something for ``ttl`` seconds, or as long as the cache keeps what it is given without one."""
        if ttl is None:
            self.cache[key] = value
        else:
            self.cache.set(key, value, ttl=ttl)

    def fresh(self, key: Any) -> Any:
        """Return what is stored, without counting a use; MISSING if that needs a refresh."""
        found = self.cache.peek(key, MISSING)
        if found is MISSING or not self.valid(found):
            return MISSING
        age = self.age(found, self._left(key))
        return found if age.fresh and not age.due else MISSING

    def valid(self, found: Any) -> bool:
        """Say whether no tag of what was found was invalidated since."""
        return not isinstance(found, Entry) or self.tags.hold(found.tags)

    def age(self, found: Any, left: float | None) -> Age:
        """Return the age of what was found, which the cache gives up in ``left`` seconds."""
        if isinstance(found, Entry) and not math.isinf(found.fresh_until):
            now = self._now()
            age = self._freshness.age(now - found.fresh_until)
            return age._replace(due=age.fresh and now >= found.refresh_from)
        return ALWAYS if left is None else self._freshness.age(self._freshness.after - left)

    def _stale(self, key: Any) -> bool:
        found = self.cache.peek(key, MISSING)
        if found is MISSING or not self.valid(found):
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
        self, value: Any, error: BaseException | None, ttl: float | None, flight: Flight, ahead: bool = False
    ) -> Entry:
        until = math.inf if ttl is None or not self._freshness.margin else self._now() + ttl
        return Entry(value, error, until, until - self._freshness.ahead if ahead else math.inf, flight.tags)

    def _store(self, key: Any, value: Any, ttl: float | None, flight: Flight) -> None:
        kept = None if ttl is None else self._freshness.kept(ttl)
        if isinstance(value, Entry) and value.error is not None:
            kept = ttl  # an error is of no use once it is stale
        with flight.storing:
            if flight.keep and self.tags.hold(flight.tags):
                self.write(key, value, kept)


def bare(error: BaseException) -> BaseException:
    """Return a copy of an exception without traceback and context, which keep frames alive."""
    try:
        twin = copy(error)
        same = type(twin) is type(error) and twin.args == error.args
    except Exception:  # its class takes other arguments than it keeps
        same = False
    return twin if same else error.with_traceback(None)
