"""``cached``: a function that remembers what it returned."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar, overload

from perfcore.cache.functions.building import build
from perfcore.cache.functions.options import Duration, checked
from perfcore.cache.functions.typed import CachedFunction, Decorator

__all__ = ["cached"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_Policy = Literal["lru", "lfu", "random", "adaptive"]


@overload
def cached(function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
@overload
def cached(function: staticmethod[P, R], /) -> staticmethod[P, R]: ...  # type: ignore[overload-overlap]
@overload
def cached(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    *,
    maxsize: int | None = ...,
    maxweight: int | None = None,
    weigher: Callable[[Any, Any], int] | None = None,
    maxbytes: int | str | None = None,
    policy: _Policy = ...,
    ttl: Duration | None = None,
    tti: Duration | None = None,
    jitter: float = 0,
    cache: Any = None,
    key: Callable[..., Hashable] | None = None,
    typed: bool = False,
    tags: str | Iterable[Hashable] | Callable[..., Iterable[Hashable]] | None = None,
    single_flight: bool = True,
    refresh_ahead: Duration | None = None,
    stale_ttl: Duration | None = None,
    stale_on_error: bool | Duration = False,
    soft_timeout: Duration | None = None,
    hard_timeout: Duration | None = None,
    negative_ttl: Duration | Mapping[type[Exception] | None, Duration] | None = None,
    cache_exceptions: type[Exception] | Iterable[type[Exception]] | Mapping[type[Exception], Duration] = (),
    copy: Literal[False, "shallow", "deep"] | Callable[[Any], Any] = False,
    timer: Callable[[], float] | None = None,
) -> Decorator: ...
def cached(function: Any = None, /, **options: Any) -> Any:
    """Give a function, method or coroutine function a cache of its results.

    Bounds: ``maxsize`` results (128; None: no bound, 0: none are kept), or ``maxweight`` with ``weigher(key,
    value)``, or ``maxbytes`` (bytes, or a string such as ``"64MB"``), and the ``policy`` of
    :class:`~perfcore.Cache`; or ``cache=``, a cache that exists already. Times are seconds or timedeltas:
    ``ttl`` and ``tti`` end a result after its computation and its last use, ``jitter`` shortens each ttl by
    a random share of up to that much.

    ``key(*args, **kwargs)`` returns what a call is known by (see :mod:`perfcore.keys`); without it, all
    arguments as they were spelled, with their types where ``typed`` is true. ``tags`` are names, or a
    function of the arguments that returns names, for ``invalidate_tags``. With ``copy`` (``"shallow"``,
    ``"deep"`` or a function) callers get copies, so that they cannot change what is cached.

    Of all callers that want the same result at once one computes (``single_flight``), across threads, tasks
    and event loops. An exception reaches all of them and is not stored, unless ``cache_exceptions`` names
    it; for those and for ``None``, ``negative_ttl`` replaces the ttl.

    ``refresh_ahead`` (seconds, or below 1 a share of the ttl): a use that close to the end of a result
    starts a refresh behind the caller. ``stale_ttl``: for so long after its ttl a result is served while it
    is refreshed behind. ``stale_on_error`` (True or seconds): a result that ended is served when computing
    it anew fails. ``soft_timeout``: callers with a stale result at hand wait that long for a fresh one.
    ``hard_timeout``: callers wait that long for any, and then get :exc:`TimeoutError`; the call of a plain
    function goes on in a pool of threads and stores its result, that of a coroutine function is cancelled
    when nobody waits for it any more.

    Raises :exc:`TypeError` and :exc:`ValueError`, naming the options, for what makes no sense.

    >>> @cached(ttl=60)
    ... def square(x):
    ...     print("computing")
    ...     return x * x
    >>> square(3), square(3)
    computing
    (9, 9)
    >>> square.cache_info()
    CacheInfo(hits=1, misses=1, maxsize=128, currsize=1)
    """
    settings = checked(options)
    return partial(build, settings) if function is None else build(settings, function)
