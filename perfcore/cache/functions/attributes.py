"""The attributes of a cached function: ``cache_info``, ``cache_clear``, ``refresh`` and the others."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from perfcore.cache.functions.shelf import MISSING
from perfcore.types import CacheInfo

__all__ = ["attach"]


def attach(memo: Any, calls: Any, prefix: Hashable) -> None:
    """Give a memo its attributes. Its keys begin with ``prefix``; None: the whole cache is its own."""

    def cache_info() -> CacheInfo:
        """Return hits, misses, the bound and the number of results, as functools does."""
        joined = calls.joined
        return CacheInfo(memo.hits + joined, memo.misses - joined, _bound(memo.cache), len(memo.cache))

    def cache_clear() -> None:
        """Forget all results, also those that are being computed, and count anew."""
        calls.flights.outdate_where(lambda flight: True)
        _clear(memo.cache, prefix)
        memo.reset_counts()
        calls.reset_counts()

    def cache_parameters() -> dict[str, Any]:
        """Return the options, as they were given."""
        return dict(calls.options.given)

    def cache_contains(*args: Any, **kwargs: Any) -> bool:
        """Say whether there is a result for a call that would be handed out; it is no use of it."""
        return memo.cache.peek(memo.cache_key(*args, **kwargs), MISSING) is not MISSING

    def cache_invalidate(*args: Any, **kwargs: Any) -> bool:
        """Forget the result of a call, also one that is being computed; say whether there was one."""
        return bool(calls.invalidate(memo.cache_key(*args, **kwargs)))

    def refresh(*args: Any, **kwargs: Any) -> Any:
        """Compute the result of a call anew, and store and return it."""
        return calls.refresh(memo.cache_key(*args, **kwargs), args, kwargs)

    def invalidate_tags(*tags: Any) -> None:
        """Forget every result with one of these tags, also those that are being computed."""
        calls.invalidate_tags(*tags)

    for function in (cache_info, cache_clear, cache_parameters, cache_contains, cache_invalidate, refresh):
        setattr(memo, function.__name__, function)
    memo.invalidate_tags = invalidate_tags


def _bound(cache: Any) -> int | None:
    bound: int | None = getattr(cache, "capacity", None)
    return bound


def _clear(cache: Any, prefix: Hashable) -> None:
    """Remove the results of one function from a cache that may hold those of others."""
    if prefix is None:
        cache.clear()
        return
    for key in list(cache):
        if type(key) is tuple and key and key[0] == prefix:
            cache.delete(key)
