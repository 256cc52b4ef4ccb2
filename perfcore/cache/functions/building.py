"""How a function, its cache, its memo and its calls are put together."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from perfcore._native.cache import Cache
from perfcore._native.memo import Memo
from perfcore.cache.functions.attributes import attach
from perfcore.cache.functions.kinds import check_function, is_coroutine_function, mark_coroutine_function
from perfcore.cache.functions.options import Options
from perfcore.cache.functions.plain import Bound, PlainMemo
from perfcore.cache.functions.shelf import Entry, Shelf
from perfcore.cache.functions.stores import Name, Store, named_key, stored_key
from perfcore.cache.functions.tasks import TaskCalls
from perfcore.cache.functions.threads import ThreadCalls

__all__ = ["build", "own_cache", "wrap"]


def build(settings: Options, function: Any) -> Any:
    """Return the cached form of a function; a class method or static method stays one."""
    if isinstance(function, classmethod | staticmethod):
        return type(function)(build(settings, function.__func__))
    name = check_function(function)
    given, key = settings.given["cache"], settings.key
    prefix: Name | str | None = None
    cache = own_cache(settings) if given is None else given if isinstance(given, Cache) else Store(given)
    if given is not None and key is None:
        prefix = Name(name) if cache is given else f"{function.__module__}.{name}"
        key = (
            named_key(prefix, settings.typed)
            if isinstance(prefix, Name)
            else stored_key(prefix, settings.typed)
        )
    memo_type = Memo if isinstance(cache, Cache) else PlainMemo
    memo, calls = wrap(settings, function, Shelf(cache, settings, own=given is None), memo_type, key)
    attach(memo, calls, prefix)
    return memo


def wrap(
    settings: Options,
    function: Any,
    shelf: Shelf,
    memo_type: Callable[..., Any],
    key: Callable[..., Any] | None,
) -> tuple[Any, ThreadCalls | TaskCalls]:
    """Return a memo of a function over a shelf, and the calls behind it."""
    is_async = is_coroutine_function(function)
    calls = (TaskCalls if is_async else ThreadCalls)(function, check_function(function), shelf, settings)
    margin = settings.freshness.margin
    memo = memo_type(
        function,
        shelf.cache,
        calls.miss,
        key=key,
        review=calls.review,
        margin=0 if math.isinf(margin) else margin,  # then it stores entries, which are reviewed anyway
        finish=settings.copy,
        awaitable=is_async,
        unhashable=calls.unhashable,
        bind=Bound,
        **({"typed": True} if settings.typed and key is None else {}),
    )
    update_wrapper(memo, function)
    if is_async:
        mark_coroutine_function(memo)
    return memo, calls


def own_cache(
    settings: Options, on_remove: Callable[[Any, Any, str], object] | None = None
) -> Cache[Any, Any]:
    """Return a cache for one function; it ends results by itself where they are of no use after their ttl."""
    given, simple = settings.given, not settings.freshness.margin
    bounds = {name: given[name] for name in ("maxsize", "maxweight", "maxbytes", "policy", "tti", "timer")}
    weigher = given["weigher"] and partial(_weight, given["weigher"])
    return Cache(
        **bounds,
        weigher=weigher,
        on_remove=on_remove,
        ttl=settings.ttl if simple else None,
        jitter=settings.freshness.jitter if simple else 0,
    )


def _weight(weigher: Callable[[Any, Any], int], key: Any, found: Any) -> int:
    """The weight of what a weigher knows only as a value; exceptions weigh 1."""
    if not isinstance(found, Entry):
        return weigher(key, found)
    return weigher(key, found.value) if found.error is None else 1
