"""``lru_cache`` and ``cache`` as functools has them, only faster: CPython's own tests of both pass.

>>> from perfcore.compat.functools import lru_cache
>>> @lru_cache(maxsize=32)
... def square(n):
...     return n * n
>>> square(4), square(4), square.cache_info()
(16, 16, CacheInfo(hits=1, misses=1, maxsize=32, currsize=1))
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import update_wrapper
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from perfcore._native.cache import Cache
from perfcore._native.memo import Memo
from perfcore.types import CacheInfo

__all__ = ["CacheInfo", "cache", "lru_cache"]

_P = ParamSpec("_P")
_T_co = TypeVar("_T_co", covariant=True)
_Self = TypeVar("_Self")
_Policy = Literal["lru", "lfu", "random", "adaptive"]


class _Cached(Protocol[_P, _T_co]):
    """What lru_cache and cache return, for type checkers."""

    @property
    def __wrapped__(self) -> Callable[_P, _T_co]: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _T_co: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> _Cached[_P, _T_co]: ...
    @overload
    def __get__(
        self: _Cached[Concatenate[_Self, _P], _T_co], instance: _Self, owner: type, /
    ) -> _Bound[_P, _T_co]: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def cache_parameters(self) -> dict[str, Any]: ...


class _Bound(Protocol[_P, _T_co]):
    """The same as a method of an object."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _T_co: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def cache_parameters(self) -> dict[str, Any]: ...


class _Decorator(Protocol):
    def __call__(self, function: Callable[_P, _T_co], /) -> _Cached[_P, _T_co]: ...


@overload
def lru_cache(maxsize: Callable[_P, _T_co], typed: bool = False) -> _Cached[_P, _T_co]: ...
@overload
def lru_cache(
    maxsize: int | None = 128,
    typed: bool = False,
    *,
    ttl: float | timedelta | None = None,
    policy: _Policy = "lru",
) -> _Decorator: ...
def lru_cache(
    maxsize: int | Callable[..., Any] | None = 128,
    typed: bool = False,
    *,
    ttl: float | timedelta | None = None,
    policy: _Policy = "lru",
) -> Any:
    """Cache a function's results for its latest arguments, as :func:`functools.lru_cache` does.

    ``maxsize`` bounds the results held: None for no bound, 0 (or less) to hold none. With ``typed``,
    arguments of different types are different: ``f(3)`` and ``f(3.0)``. Beyond functools, results end
    ``ttl`` seconds after they were computed, and ``policy`` is that of :class:`perfcore.Cache`:
    ``"lru"``, ``"lfu"``, ``"random"`` or ``"adaptive"``. As in functools, threads that ask for the same
    at once each call the function; ``cached`` is the decorator for everything else.

    The function returned has ``cache_info()``, ``cache_clear()``, ``cache_parameters()`` and
    ``__wrapped__``. Raises TypeError or ValueError when an argument makes no sense, and TypeError when
    an argument of a call is unhashable.

    >>> @lru_cache
    ... def area(width, height=1):
    ...     return width * height
    >>> area(2, height=3), area(2, height=3)
    (6, 6)
    >>> area.cache_info()
    CacheInfo(hits=1, misses=1, maxsize=128, currsize=1)
    """
    if callable(maxsize) and isinstance(typed, bool):
        return wrapped(maxsize, 128, typed, ttl, policy)  # used without parentheses
    if maxsize is not None and not isinstance(maxsize, int):
        raise TypeError("Expected first argument to be an integer, a callable, or None")
    size = None if maxsize is None else max(maxsize, 0)
    held(size, ttl, policy)  # what makes no sense is said here and not when a function comes

    def decorate(function: Callable[..., Any]) -> Any:
        return wrapped(function, size, typed, ttl, policy)

    return decorate


def held(maxsize: int | None, ttl: float | timedelta | None, policy: _Policy) -> Cache[Any, Any]:
    """Return the cache behind a function; where nothing is evicted, no order need be kept."""
    unordered = maxsize is None and policy == "lru"
    return Cache(maxsize, policy="random" if unordered else policy, ttl=ttl)


def wrapped(
    function: Callable[..., Any],
    maxsize: int | None,
    typed: bool,
    ttl: float | timedelta | None,
    policy: _Policy,
) -> Any:
    """Return the cached function with the attributes that functools gives it."""
    memo = Memo(function, held(maxsize, ttl, policy), typed=typed)
    parameters: dict[str, Any] = {"maxsize": maxsize, "typed": typed}
    if ttl is not None:
        parameters["ttl"] = ttl
    if policy != "lru":
        parameters["policy"] = policy
    memo.cache_parameters = parameters.copy  # type: ignore[attr-defined]
    return update_wrapper(memo, function)


def cache(user_function: Callable[_P, _T_co], /) -> _Cached[_P, _T_co]:
    """Cache a function's results without a bound, as :func:`functools.cache` does.

    >>> @cache
    ... def factorial(n):
    ...     return n * factorial(n - 1) if n else 1
    >>> factorial(10)
    3628800
    """
    return lru_cache(maxsize=None)(user_function)
