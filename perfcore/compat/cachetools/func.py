"""cachetools' decorators in the manner of ``functools.lru_cache``, one for each of its caches."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from threading import RLock
from typing import Any

from perfcore.compat.cachetools.caches import Cache, FIFOCache, LRUCache, RRCache
from perfcore.compat.cachetools.decorator import CacheInfo, cached
from perfcore.compat.cachetools.frequency import LFUCache
from perfcore.compat.cachetools.timed import TTLCache
from perfcore.keys import hashkey, typedkey

__all__ = ["fifo_cache", "lfu_cache", "lru_cache", "rr_cache", "ttl_cache"]


def _decorated(maxsize: Any, typed: bool, make: Callable[[float], Cache[Any, Any]]) -> Any:
    """Return a decorator, or a decorated function where ``maxsize`` is one."""
    if callable(maxsize):
        return _decorated(128, typed, make)(maxsize)

    def decorate(function: Callable[..., Any]) -> Any:
        cache = make(float("inf") if maxsize is None else maxsize)
        wrapper = cached(cache, typedkey if typed else hashkey, RLock(), info=True)(function)
        info = wrapper.cache_info

        def cache_info() -> CacheInfo:
            """Return the counts; ``maxsize`` as it was given."""
            counted: CacheInfo = info()
            return counted._replace(maxsize=maxsize)

        wrapper.cache_info = cache_info
        wrapper.cache_parameters = lambda: {"maxsize": maxsize, "typed": typed}
        return wrapper

    return decorate


def fifo_cache(maxsize: Any = 128, typed: bool = False) -> Any:
    """Cache up to ``maxsize`` results; what was stored first goes first."""
    return _decorated(maxsize, typed, FIFOCache)


def lfu_cache(maxsize: Any = 128, typed: bool = False) -> Any:
    """Cache up to ``maxsize`` results; what was used least often goes first."""
    return _decorated(maxsize, typed, LFUCache)


def lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
    """Cache up to ``maxsize`` results; what was not used for longest goes first.

    >>> @lru_cache(maxsize=2)
    ... def double(x):
    ...     return 2 * x
    >>> double(4), double(4), double.cache_info()
    (8, 8, CacheInfo(hits=1, misses=1, maxsize=2, currsize=1))
    """
    return _decorated(maxsize, typed, LRUCache)


def rr_cache(maxsize: Any = 128, choice: Callable[..., Any] = random.choice, typed: bool = False) -> Any:
    """Cache up to ``maxsize`` results; what ``choice`` picks goes first."""
    return _decorated(maxsize, typed, lambda size: RRCache(size, choice))


def ttl_cache(
    maxsize: Any = 128, ttl: Any = 600, timer: Callable[[], Any] = time.monotonic, typed: bool = False
) -> Any:
    """Cache up to ``maxsize`` results for ``ttl``; what was not used for longest goes first."""
    return _decorated(maxsize, typed, lambda size: TTLCache(size, ttl, timer))
