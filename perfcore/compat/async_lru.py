"""async-lru's ``alru_cache`` over perfcore: the same names and parameters, for an unchanged import line's
sake.

It is :func:`perfcore.cached` with policy ``"lru"`` underneath. So results and calls under way are shared by
all event loops; async-lru forgets everything when the loop changes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Hashable
from functools import partial, partialmethod, update_wrapper
from typing import Any, ParamSpec, Protocol, Self, TypedDict, TypeVar, overload

from perfcore._native.memo import Memo
from perfcore.cache.flight import Flight
from perfcore.cache.functions.attributes import attach
from perfcore.cache.functions.building import own_cache
from perfcore.cache.functions.kinds import is_coroutine_function, mark_coroutine_function
from perfcore.cache.functions.options import checked
from perfcore.cache.functions.plain import Bound
from perfcore.cache.functions.shelf import Entry, Shelf
from perfcore.cache.functions.tasks import TaskCalls
from perfcore.types import CacheInfo

__all__ = ["AlruCached", "alru_cache"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class CacheParameters(TypedDict):
    """What ``cache_parameters()`` returns; ``tasks`` is how many calls are under way."""

    typed: bool
    maxsize: int | None
    tasks: int
    closed: bool


class AlruCached(Protocol[P, R_co]):
    """A coroutine function behind :func:`alru_cache`."""

    @property
    def __wrapped__(self) -> Callable[P, Coroutine[Any, Any, R_co]]:
        """The coroutine function itself."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Return a coroutine that returns the result."""

    def __get__(self, instance: object, owner: type | None = None, /) -> Self:
        """Bind to an instance."""

    def cache_info(self) -> CacheInfo:
        """Return what was counted; calls under way count as entries."""

    def cache_parameters(self) -> CacheParameters:
        """Return the parameters, and how many calls are under way."""

    def cache_clear(self) -> None:
        """Forget all results and count anew; calls under way go on."""

    def cache_contains(self, /, *args: Hashable, **kwargs: Any) -> bool:
        """Say whether a call has a result or is under way."""

    def cache_invalidate(self, /, *args: Hashable, **kwargs: Any) -> bool:
        """Forget the result of a call; say whether it had one or was under way."""

    async def cache_close(self, *, wait: bool = False) -> None:
        """Refuse further calls, and cancel those under way, or ``wait`` for them."""


@overload
def alru_cache(
    maxsize: int | None = 128,
    typed: bool = False,
    *,
    ttl: float | None = None,
    jitter: float | None = None,
    key: Callable[..., Hashable] | None = None,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], AlruCached[P, R]]: ...
@overload
def alru_cache(maxsize: Callable[P, Coroutine[Any, Any, R]], /) -> AlruCached[P, R]: ...
def alru_cache(
    maxsize: Any = 128,
    typed: bool = False,
    *,
    ttl: float | None = None,
    jitter: float | None = None,
    key: Callable[..., Hashable] | None = None,
) -> Any:
    """Give a coroutine function a cache of up to ``maxsize`` results, as async-lru does.

    ``ttl`` is in seconds, ``jitter`` up to how many more; ``key(*args, **kwargs)`` replaces the key. Raises
    :exc:`RuntimeError` for what is no coroutine function, :exc:`TypeError` and :exc:`ValueError` for bad
    parameters.

    >>> @alru_cache(maxsize=32)
    ... async def double(x):
    ...     return 2 * x
    >>> asyncio.run(double(21)), asyncio.run(double(21)), double.cache_info()
    (42, 42, CacheInfo(hits=1, misses=1, maxsize=32, currsize=1))
    """
    _check(ttl, jitter, typed, key)
    decorate = partial(_wrap, typed=typed, ttl=ttl, jitter=jitter, key=key)
    if maxsize is None or isinstance(maxsize, int):
        return partial(decorate, maxsize=maxsize)
    if callable(maxsize) or isinstance(maxsize, partialmethod):
        return decorate(maxsize, maxsize=128)
    raise NotImplementedError(f"{maxsize!r} is no coroutine function, and no maxsize")


def _check(ttl: float | None, jitter: float | None, typed: bool, key: object) -> None:
    if jitter is not None and ttl is None:
        raise ValueError("jitter requires ttl to be set")
    if jitter is not None and jitter < 0:
        raise ValueError("jitter must be non-negative")
    if key is not None and not callable(key):
        raise TypeError("key must be callable")
    if key is not None and typed:
        raise ValueError("typed and key exclude each other: key says what a key is")


class _Shelf(Shelf):
    """A shelf whose jitter, in seconds, lengthens the ttl."""

    def __init__(self, cache: Any, settings: Any, jitter: float) -> None:
        super().__init__(cache, settings, own=True)
        self._jitter = jitter

    def write(self, key: Any, value: Any, ttl: float | None, label: Any) -> None:
        longer = (
            self._options.ttl and self._options.ttl + random.uniform(0, self._jitter) if self._jitter else ttl
        )
        super().write(key, value, longer, label)


class _Calls(TaskCalls):
    """Calls that can be closed."""

    closed = False

    async def miss(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        """Return the result of a call whose key is not there; :exc:`RuntimeError` when closed."""
        if self.closed:
            raise RuntimeError(f"alru_cache is closed for {self.name}()")
        return await super().miss(key, args, kwargs)

    async def review(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None, found: Any, left: float | None
    ) -> Any:
        """Refuse what was stored before it was closed."""
        return await self.miss(key, args, kwargs)

    async def close(self, wait: bool) -> None:
        """Refuse further calls, and cancel those under way, or wait for them."""
        if self.closed:
            return
        self.closed = True
        running = [flight.task for flight in self.flights.all() if flight.task is not None]
        if not wait:
            for task in running:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for key in list(self.shelf.cache):
            self.shelf.cache[key] = Entry(None, None, 0.0, 0.0)  # a hit would be answered without asking us


def _wrap(function: Any, *, maxsize: int | None, typed: bool, ttl: Any, jitter: Any, key: Any) -> Any:
    call = _unbound(function)
    if not is_coroutine_function(function):
        raise RuntimeError(f"a coroutine function is required, got {function!r}")
    name = getattr(function, "__qualname__", repr(function))
    settings = checked(
        {
            "maxsize": maxsize,
            "typed": typed,
            "ttl": ttl,
            "key": key,
            "policy": "lru",
            "single_flight": maxsize != 0,
        }
    )
    cache = own_cache(settings)
    calls = _Calls(call, name, _Shelf(cache, settings, jitter or 0.0), settings)
    memo: Any = Memo(
        call,
        cache,
        calls.miss,
        key=key,
        typed=typed,
        review=calls.review,
        awaitable=True,
        bind=Bound,
    )
    update_wrapper(memo, function)
    mark_coroutine_function(memo)
    attach(memo, calls, None)
    _rename(memo, calls, maxsize, typed)
    return memo


def _unbound(function: Any) -> Any:
    """What to call: of a partial method, its function with the instance before the arguments."""
    if not isinstance(function, partialmethod):
        return function

    def call(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function.func(instance, *function.args, *args, **{**function.keywords, **kwargs})

    return call


def _rename(memo: Any, calls: _Calls, maxsize: int | None, typed: bool) -> None:
    """Let calls under way count as entries, as they do in async-lru."""
    info, contains, invalidate = memo.cache_info, memo.cache_contains, memo.cache_invalidate

    def under_way(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Flight | None:
        return calls.flights.get(memo.cache_key(*args, **kwargs))

    def cache_info() -> CacheInfo:
        """Return what was counted; calls under way count as entries."""
        memo.cache.expire()
        found: CacheInfo = info()
        size = found.currsize + len(calls.flights)
        return found._replace(currsize=size if maxsize is None else min(size, maxsize))

    def cache_parameters() -> CacheParameters:
        """Return the parameters, and how many calls are under way."""
        return CacheParameters(typed=typed, maxsize=maxsize, tasks=len(calls.flights), closed=calls.closed)

    def cache_contains(*args: Any, **kwargs: Any) -> bool:
        """Say whether a call has a result or is under way."""
        return contains(*args, **kwargs) or under_way(args, kwargs) is not None

    def cache_invalidate(*args: Any, **kwargs: Any) -> bool:
        """Forget the result of a call; say whether it had one or was under way."""
        running = under_way(args, kwargs) is not None
        return invalidate(*args, **kwargs) or running

    async def cache_close(*, wait: bool = False) -> None:
        """Refuse further calls, and cancel those under way, or wait for them."""
        await calls.close(wait)

    for function in (cache_info, cache_parameters, cache_contains, cache_invalidate, cache_close):
        setattr(memo, function.__name__, function)
