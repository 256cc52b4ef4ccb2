"""What a manager does when nobody has a value: computes it once, and meanwhile serves what it may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar, cast, overload

from perfcore._log import logger
from perfcore._native.tier import Guarded
from perfcore.cache.disk.flight import Flights
from perfcore.cache.flight import FAILED, Flight
from perfcore.cache.guards import NONE
from perfcore.cache.ladder import ABSENT, judged
from perfcore.cache.loading import Plan, seconds
from perfcore.cache.memoized import Memoized, memoize
from perfcore.cache.moves import Moves, adrive, drive
from perfcore.cache.naming import FOREIGN
from perfcore.cache.storing import Storing, Way
from perfcore.cache.tiers import Attentive, DiskTier
from perfcore.cache.work import Work, due
from perfcore.metrics.instrument import note, note_lookups

__all__ = ["Computing", "Keep"]

_T = TypeVar("_T")
_R = TypeVar("_R")
_P = ParamSpec("_P")
_PLANNED = {"stale_ttl", "stale_on_error", "refresh_ahead", "soft_timeout", "hard_timeout", "negative_ttl"}


#: Whether a tier is to keep a value (None: if there is such a tier), or to have it before the call returns.
Keep: TypeAlias = Literal["sync"] | bool | None


class Computing(Storing):
    """``get_or_set`` and the checks that all writing verbs share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        disk = next((tier for tier in self._below if isinstance(tier, DiskTier)), None)
        self._flights: Flights = Flights(None) if disk is None else disk.flights
        #: A tier that may have to wait for a network: an event loop does not wait for it.
        self._slow = any(isinstance(tier, Attentive) for tier in self._below)
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
        persistent: Keep = None,
        distributed: Keep = None,
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
        plan, into = Plan.of(ttl, options), self._into(persistent, distributed)
        work = Work(self, key, factory, plan, tags, depends_on, into)
        held = drive(self._finding(key))
        value, fresh = judged(held)
        if fresh and not due(plan, held):
            return cast(_T, value)
        name, flights = self._flight(key), self._flights
        look, compute = work.look, work.compute
        if fresh or (value is not ABSENT and (self._hurried or not plan.waits)):
            refresh = partial(flights.alone, name, look, compute, behind=True)
            flights.threads.behind(name, lambda _: refresh(), self._note_failure)
            return cast(_T, value)
        patience = plan.patience(stale=value is not ABSENT)
        flight, _ = flights.threads.join(
            name, lambda _: flights.alone(name, look, work.compute_in_turn), patience
        )
        return cast(_T, compute() if flight is None else plan.outcome(flight, value, ABSENT))

    async def aget_or_set(
        self,
        key: Any,
        factory: Callable[[], Awaitable[_T]],
        *,
        ttl: Any = None,
        tags: Iterable[Any] = (),
        depends_on: Any = (),
        persistent: Keep = None,
        distributed: Keep = None,
        **options: Any,
    ) -> _T:
        """:meth:`get_or_set` for a ``factory`` that returns an awaitable.

        Of all tasks, of whatever event loop, and processes that ask at once, one computes. It is cancelled
        with the last that waits for it, unless that has a timeout: then it goes on.
        """
        plan, into = Plan.of(ttl, options), self._into(persistent, distributed)
        work = Work(self, key, factory, plan, tags, depends_on, into)
        held = await adrive(self._finding(key))
        value, fresh = judged(held)
        if fresh and not due(plan, held):
            return cast(_T, value)
        name, flights = self._flight(key), self._flights
        look, compute = work.alook, work.acompute
        if fresh or (value is not ABSENT and (self._hurried or not plan.waits)):
            refresh = partial(flights.aalone, name, look, compute, behind=True)
            flights.tasks.behind(name, lambda _: refresh(), self._note_failure)
            return cast(_T, value)
        flight, _ = await flights.tasks.join(
            name,
            lambda _: flights.aalone(name, look, work.acompute_in_turn),
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

    def _note_failure(self, flight: Flight) -> None:
        """Log the first of failed refreshes in a row; nobody waits for them."""
        if flight.state == FAILED and not self._failing:
            kind = type(flight.error).__name__
            logger("cache").warning("computing a value behind its callers failed with %s", kind)
        self._failing = flight.state == FAILED

    def _flight(self, key: Any) -> bytes:
        return self._guards.key(self._names.encode(key))

    def _setting(
        self,
        pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]],
        hot: bool,
        into: list[Way],
        ttl: Any,
        tags: Iterable[Any],
        depends_on: Any,
        source: str | None,
    ) -> Moves[None]:
        """Store ``pairs``, after all of them were found good."""
        items, life = [], seconds("ttl", ttl)
        if not isinstance(tags, str | bytes):
            tags = tuple(tags)  # one that can be read only once holds for all items
        for key, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            conditions = NONE
            if tags or not (depends_on is None or depends_on == ()):
                conditions = yield from self._guards.beginning(self._names.encode(key), tags, depends_on)
            items.append(self._item(key, value, life, conditions, source))
        if items:
            yield from self._storing(items, hot=hot, into=into)

    def _into(self, persistent: Keep, distributed: Keep) -> list[Way]:
        """How each of the tiers below is to keep a value."""
        wanted = {"disk": persistent, "remote": distributed}
        return [_way(tier.name, wanted.get(tier.name)) for tier in self._below]

    def _getting_many(self, keys: list[Any], default: Any) -> Moves[list[Any]]:
        if self._word != self._seen:
            self._changed()
        found = self._memory.get_many([self._near(key) for key in keys], ABSENT)
        values, missing, near = [], [], 0
        for place, (key, held) in enumerate(zip(keys, found, strict=True)):
            if type(held) is Guarded:
                held = yield from self._serving(key, held, default)
            elif held is ABSENT:
                missing.append(place)
            else:
                near += 1
            values.append(held)
        note_lookups("memory", near, len(missing))
        note("cache.hit", near)
        if missing:
            yield from self._climbing_many(keys, missing, values, default)
        return values

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
            if isinstance(tier, Attentive | DiskTier):
                tier.forked()
        if not any(isinstance(tier, DiskTier) for tier in self._below):
            self._flights.forked()


def _way(tier: str, keep: Any) -> Way:
    if keep not in (None, True, False, "sync"):
        raise ValueError(f"{tier}: expected True, False, None or 'sync', got {keep!r}")
    return "out" if keep is False else "sync" if keep == "sync" else "in"
