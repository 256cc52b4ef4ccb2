"""cachetools' ``cached``: a function over a given cache, under a lock or a condition where one is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from functools import update_wrapper
from typing import Any, NamedTuple

from perfcore._repr import safe_repr
from perfcore.compat.cachetools.caches import Cache
from perfcore.keys import hashkey

__all__ = ["CacheInfo", "Wrapper", "cached"]

_MISSING: Any = object()


class CacheInfo(NamedTuple):
    """What a wrapper counted, the bound of its cache, and what the cache holds."""

    hits: int
    misses: int
    maxsize: Any
    currsize: int


class Wrapper:
    """A function, or a bound method, over a cache."""

    def __init__(
        self,
        function: Callable[..., Any],
        cache: Any,
        key: Callable[..., Hashable],
        lock: Any,
        condition: Any,
    ) -> None:
        if not callable(key):
            raise TypeError(f"key must be callable, not a {type(key).__name__}")
        self._function, self._cache, self._key = function, cache, key
        self._condition = condition
        self._guard: AbstractContextManager[Any] = nullcontext()
        self._lock = lock if lock is not None else condition
        if self._lock is not None:
            self._guard = self._lock
        self._pending: set[Any] = set()
        self._hits = self._misses = 0

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Hashable) -> Any:
        """Return the stored result of a call, or compute and store it."""
        if self._condition is not None:
            return self._call_alone(args, kwargs, key)
        with self._guard:
            found = self._look(key)
        if found is not _MISSING:
            return found
        value = self._function(*args, **kwargs)
        with self._guard:
            return self._store(key, value)

    def _call_alone(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Hashable) -> Any:
        """``call``, where of those that want one key at once one computes."""
        with self._guard:
            self._condition.wait_for(lambda: key not in self._pending) if key in self._pending else None
            found = self._look(key)
            if found is not _MISSING:
                return found
            self._pending.add(key)
        try:
            value = self._function(*args, **kwargs)
            with self._guard:
                self._store(key, value)
            return value
        finally:
            with self._guard:
                self._pending.remove(key)
                self._condition.notify_all()

    def _look(self, key: Hashable) -> Any:
        try:
            found = self._cache[key]
        except KeyError:
            self._misses += 1
            return _MISSING
        self._hits += 1
        return found

    def _store(self, key: Hashable, value: Any) -> Any:
        """Store a value, unless another call was faster; a value that is too large is not stored."""
        try:
            if self._lock is None or self._condition is not None:
                self._cache[key] = value
                return value
            return self._cache.setdefault(key, value)
        except ValueError:
            return value

    def clear(self) -> None:
        """Empty the cache and count anew."""
        with self._guard:
            self._cache.clear()
            self._hits = self._misses = 0

    def info(self) -> CacheInfo:
        """Return the counts."""
        with self._guard:
            cache = self._cache
            if isinstance(cache, Cache):
                return CacheInfo(self._hits, self._misses, cache.maxsize, cache.currsize)
            return CacheInfo(self._hits, self._misses, None, len(cache))


def cached(
    cache: Any,
    key: Callable[..., Hashable] = hashkey,
    lock: Any = None,
    condition: Any = None,
    info: bool = False,
) -> Callable[[Callable[..., Any]], Any]:
    """Store the results of a function in ``cache``, a mapping, under ``key(*args, **kwargs)``.

    ``lock`` is held while the cache is used, and not while the function runs. With a ``condition``, of all
    threads that want one key at once one computes; so a function must not want its own key. ``info`` adds
    ``cache_info``. :func:`perfcore.cached` needs neither, and finds calls that wait for themselves.

    >>> squares = {}
    >>> @cached(squares)
    ... def square(x):
    ...     return x * x
    >>> square(3), squares
    (9, {(3,): 9})
    """
    if cache is None:
        raise TypeError("cache must be a mapping, not None")

    def decorate(function: Callable[..., Any]) -> Any:
        wrapper = Wrapper(function, cache, key, lock, condition)
        return Function(wrapper, function, info)

    return decorate


class Function:
    """A cached function, as :func:`cached` returns it."""

    def __init__(self, wrapper: Wrapper, function: Callable[..., Any], info: bool) -> None:
        update_wrapper(self, function)
        self.__wrapped__ = function
        self.cache, self.cache_key = wrapper._cache, wrapper._key
        self.cache_lock, self.cache_condition = wrapper._lock, wrapper._condition
        self.cache_clear = wrapper.clear
        if info:
            self.cache_info = wrapper.info
        self._call = wrapper.call

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(args, kwargs, self.cache_key(*args, **kwargs))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        from types import MethodType

        return self if instance is None else MethodType(self, instance)

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        return self

    def __reduce__(self) -> str:
        return str(self.__dict__["__qualname__"])

    @safe_repr
    def __repr__(self) -> str:
        return f"<cached {self.__wrapped__!r}>"
