"""What a manager does when nobody has a value: computes it once, and meanwhile serves what it may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from time import monotonic
from typing import Any, ParamSpec, TypeVar, cast, overload

from perfcore._log import logger
from perfcore._native.tier import Guarded
from perfcore.cache.disk.flight import MISSING, Flights
from perfcore.cache.flight import FAILED, Flight
from perfcore.cache.guards import NONE, Conditions
from perfcore.cache.ladder import ABSENT, Item, Ladder
from perfcore.cache.loading import Plan, seconds
from perfcore.cache.memoized import Memoized, memoize
from perfcore.cache.naming import FOREIGN
from perfcore.cache.tiers import Attentive, DiskTier

__all__ = ["Computing"]

_T = TypeVar("_T")
_R = TypeVar("_R")
_P = ParamSpec("_P")
_PLANNED = {"stale_ttl", "stale_on_error", "refresh_ahead", "soft_timeout", "hard_timeout", "negative_ttl"}


class Computing(Ladder):
    """``get_or_set`` and the checks that all writing verbs share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        disk = next((tier for tier in self._below if isinstance(tier, DiskTier)), None)
        self._flights: Flights = Flights(None) if disk is None else disk.flights
        #: A tier that may have to wait for a network: an event loop does not wait for it.
        self._slow = any(isinstance(tier, Attentive) for tier in self._below)
        self._commits_at_once = disk is not None and not disk.behind
        self._failing = False

    # -- public verbs --

    def get_or_set(
        self,
        key: Any,
        factory: Callable[[], _T],
        *,
        ttl: Any = None,
        tags: Iterable[Any] = (),
        depends_on: Any = (),
        persistent: bool | None = None,
        distributed: bool | None = None,
        **options: Any,
    ) -> _T:
        """Return the value of ``key``; if there is none, compute it with ``factory``, once, and store it.

        Of all threads and, with a disk or a lease, processes that ask at once, one computes. An exception is
        not stored, and reaches all who wait in this process. Options, in seconds: ``stale_ttl`` is how long
        after its ``ttl`` a value is served while it is computed anew behind; with ``stale_on_error`` only
        when that fails, with ``soft_timeout`` only when it takes longer than that. ``hard_timeout`` raises
        :exc:`TimeoutError` after that long, ``refresh_ahead`` computes anew behind when a value that is
        asked for has less left, ``negative_ttl`` is the ttl of None.
        """
        plan, tags = Plan.of(ttl, options), tuple(tags)
        into = self._into(persistent, distributed)

        def compute(may_store: Callable[[], bool] = lambda: True) -> Any:
            conditions = self._guards.begin(self._names.encode(key), tags, depends_on)
            value = factory()
            return self._keep(key, value, plan, conditions, into) if may_store() else value

        held = self._find(key)
        value, fresh = _judged(held)
        if fresh and not _due(plan, held):
            return cast(_T, value)
        name, flights = self._flight(key), self._flights
        look = partial(self._fresh, key, plan)
        if fresh or (value is not ABSENT and (self._hurried or not plan.waits)):
            refresh = partial(flights.alone, name, look, compute, behind=True)
            flights.threads.behind(name, lambda _: refresh(), self._note_failure)
            return cast(_T, value)
        patience, alone = plan.patience(stale=value is not ABSENT), self._in_turn(key, look, compute)
        flight, _ = flights.threads.join(name, lambda _: flights.alone(name, look, alone), patience)
        return cast(_T, compute() if flight is None else plan.outcome(flight, value, ABSENT))

    async def aget_or_set(
        self,
        key: Any,
        factory: Callable[[], Awaitable[_T]],
        *,
        ttl: Any = None,
        tags: Iterable[Any] = (),
        depends_on: Any = (),
        persistent: bool | None = None,
        distributed: bool | None = None,
        **options: Any,
    ) -> _T:
        """:meth:`get_or_set` for a ``factory`` that returns an awaitable.

        Of all tasks, of whatever event loop, and processes that ask at once, one computes. It is cancelled
        with the last that waits for it, unless that has a timeout: then it goes on.
        """
        plan, tags = Plan.of(ttl, options), tuple(tags)
        into = self._into(persistent, distributed)

        async def compute() -> Any:
            conditions = self._guards.begin(self._names.encode(key), tags, depends_on)
            return self._keep(key, await factory(), plan, conditions, into)

        async def compute_slowly() -> Any:  # what asks servers does so in a thread
            begin = partial(self._guards.begin, self._names.encode(key), tags, depends_on)
            conditions = await asyncio.to_thread(begin)
            value = await factory()
            return await asyncio.to_thread(self._keep, key, value, plan, conditions, into)

        async def look() -> Any:
            return _unless_due(plan, await self._afind(key))

        held = await self._afind(key)
        value, fresh = _judged(held)
        if fresh and not _due(plan, held):
            return cast(_T, value)
        compute = compute_slowly if self._slow else compute
        name, flights = self._flight(key), self._flights
        if fresh or (value is not ABSENT and (self._hurried or not plan.waits)):
            refresh = partial(flights.aalone, name, look, compute, behind=True)
            flights.tasks.behind(name, lambda _: refresh(), self._note_failure)
            return cast(_T, value)
        flight, _ = await flights.tasks.join(
            name,
            lambda _: flights.aalone(name, look, compute),
            plan.patience(stale=value is not ABSENT),
            goes_on=True,
        )
        return cast(_T, await compute() if flight is None else plan.outcome(flight, value, ABSENT))

    @overload
    def cached(self, function: Callable[_P, _R], /) -> Memoized[_P, _R]: ...

    @overload
    def cached(
        self, /, *, version: str | int | None = None, key: Callable[..., Any] | None = None, **options: Any
    ) -> Callable[[Callable[_P, _R]], Memoized[_P, _R]]: ...

    def cached(
        self,
        function: Any = None,
        /,
        *,
        version: str | int | None = None,
        key: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Any:
        """Decorate a function, or coroutine function, so that its results live on the tiers.

        The key of a call is made of the module, the qualified name, ``version`` and the arguments, or what
        ``key(*args, **kwargs)`` returns in their place. A new ``version`` does not see old results. The other
        options are those of :meth:`get_or_set`; ``tags`` may be a function of the arguments.

        >>> from perfcore.cache import CacheManager
        >>> manager = CacheManager()
        >>> @manager.cached(version=1, ttl=60)
        ... def square(number):
        ...     return number * number
        >>> square(3), manager.has(square.cache_key(3)), square.cache_invalidate(3)
        (9, True, True)
        """
        Plan.of(options.get("ttl"), {name: options[name] for name in options.keys() & _PLANNED})
        if function is None:
            return lambda function: memoize(self, function, version, key, options)
        return memoize(self, function, version, key, options)

    # -- parts --

    def _in_turn(self, key: Any, look: Callable[[], Any], compute: Callable[..., Any]) -> Callable[[], Any]:
        """``compute`` under a lease of all processes, where a tier has such."""
        leases = next((found for tier in self._below if (found := getattr(tier, "leases", None))), None)
        if leases is None:
            return compute
        return partial(leases.run, self._names.encode(key), look, MISSING, compute)

    def _keep(self, key: Any, value: Any, plan: Plan, conditions: Conditions, into: list[bool]) -> Any:
        life = plan.life(value)
        stale = plan.stale_ttl if life is not None else 0
        item = self._item(key, value, life, conditions, None, stale, keep_fresh=plan.refresh_ahead > 0)
        self._store([item], hot=True, into=into, at_once=True)
        return value

    def _fresh(self, key: Any, plan: Plan) -> Any:
        return _unless_due(plan, self._find(key))

    def _note_failure(self, flight: Flight) -> None:
        """Log the first of failed refreshes in a row; nobody waits for them."""
        if flight.state == FAILED and not self._failing:
            kind = type(flight.error).__name__
            logger("cache").warning("computing a value behind its callers failed with %s", kind)
        self._failing = flight.state == FAILED

    def _flight(self, key: Any) -> bytes:
        return self._guards.key(self._names.encode(key))

    def _checked(
        self, key: Any, value: Any, ttl: Any, tags: Iterable[Any], depends_on: Any, source: str | None
    ) -> Item:
        life, name = seconds("ttl", ttl), self._names.encode(key)
        if not tags and (depends_on is None or depends_on == ()):
            return self._item(key, value, life, NONE, source)
        return self._item(key, value, life, self._guards.begin(name, tags, depends_on), source)

    def _into(self, persistent: bool | None, distributed: bool | None) -> list[bool]:
        """Which of the tiers below are to keep a value."""
        wanted = {"disk": persistent, "remote": distributed}
        return [wanted.get(tier.name) is not False for tier in self._below]

    def _get_many(self, keys: list[Any], default: Any) -> list[Any]:
        if self._word != self._seen:
            self._changed()
        found = self._memory.get_many([self._near(key) for key in keys], ABSENT)
        values, missing = [], []
        for place, (key, held) in enumerate(zip(keys, found, strict=True)):
            if type(held) is Guarded:
                held = self._reviewed(key, held, default)
            elif held is ABSENT:
                missing.append(place)
            values.append(held)
        if missing:
            self._climb_many(keys, missing, values, default)
        return values

    def _climb_many(self, keys: list[Any], missing: list[int], values: list[Any], default: Any) -> None:
        """Ask each tier below once for what the ones above do not have."""
        names = {place: self._names.encode(keys[place]) for place in missing}
        for depth, tier in enumerate(() if self._hurried else self._below):
            word, heard = self._word, self._heard
            seen = {place: (self._turns.current(keys[place]), word, heard) for place in missing}
            asked, missing = missing, []
            for place, found in zip(asked, tier.find_many([names[place] for place in asked]), strict=True):
                held = ABSENT if found is None else self._open(found)
                if found is None or held is ABSENT:
                    missing.append(place)
                    continue
                self._promote(keys[place], names[place], held, found.left, depth, seen[place])
                value, fresh = _judged(held)
                values[place] = value if fresh else default
        for place in missing:
            values[place] = default

    async def _aget(self, key: Any, default: Any) -> Any:
        if self._slow and not self._hurried and self._memory.peek(self._near(key), ABSENT) is ABSENT:
            return await asyncio.to_thread(self.get, key, default)
        value = self.get(key, ABSENT)
        return default if value is ABSENT else value

    async def _afind(self, key: Any) -> Any:
        if self._slow and self._memory.peek(self._near(key), ABSENT) is ABSENT:
            return await asyncio.to_thread(self._find, key)
        return self._find(key)

    async def _off_loop(self, call: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """Call in a thread if there is a tier that may have to wait for a disk or a network."""
        return await asyncio.to_thread(call, *args, **kwargs) if self._below else call(*args, **kwargs)

    def _clear(self) -> None:
        if self._names.prefix is None:
            for tier in self._below:
                tier.clear()
            self._memory.clear()
        else:
            for tier in self._below:
                tier.clear_keys(lambda name: self._names.decode(name) is not FOREIGN)
            for near in [near for near in self._memory if self._name_of(near) is not None]:
                self._memory.delete(near)
        self._stir()

    def _forked(self) -> None:
        """In a forked child: what other threads of the parent were at is not under way here."""
        from threading import RLock

        self._turns.forked()
        self._catching_up = RLock()
        for tier in self._below:
            if isinstance(tier, Attentive):
                tier.forked()
        if not any(isinstance(tier, DiskTier) for tier in self._below):
            self._flights.forked()


def _judged(held: Any) -> tuple[Any, bool]:
    """The value in what a tier holds, and whether it is fresh."""
    if type(held) is Guarded:
        return held.value, monotonic() < held.fresh
    return held, held is not ABSENT


def _due(plan: Plan, held: Any) -> bool:
    return type(held) is Guarded and plan.due(held.value, held.fresh)


def _unless_due(plan: Plan, held: Any) -> Any:
    """The value in what a tier holds, if nobody has to compute it anew."""
    value, fresh = _judged(held)
    return value if fresh and not _due(plan, held) else MISSING
