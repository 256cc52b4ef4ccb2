from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Any, Self, TypeAlias, final

from perfcore._native.cache import Cache
from perfcore._native.keys import KEYWORDS as KEYWORDS
from perfcore._native.keys import key_of as key_of
from perfcore.types import CacheInfo

__all__ = ["Held", "Memo"]

# (key, args, kwargs): kwargs is a dict, or None when the call had none
_Miss: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any] | None], Any]
# (key, args, kwargs, value, left): left is the seconds until the entry ends, or None when it never does
_Review: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any] | None, Any, float | None], Any]

# A value that a Memo does not hand out as it is (an exception, a value with tags, ...): subclass it,
# store instances, and they come to `review`. Without `review` it is a value as any other.
class Held: ...

# A function behind a Cache. Each call finds its key natively, and then:
#
#   absent or ended        counted as a miss of the memo and of the cache; returns miss(key, args, kwargs).
#                          `miss` has to call the function and store the result (cache.set(key, ...)); it must
#                          not count again, so it looks with peek. Without `miss`, the Memo calls the function
#                          and stores what it returns, as functools.lru_cache does.
#   in its last `margin`   counted as a hit; returns review(key, args, kwargs, value, left)
#   seconds, or a Held
#   else                   counted as a hit; returns the value, or finish(value) where there is a `finish`; in
#                          a Ready where `awaitable` is true
#
# So an entry is fresh until `margin` before its hard end (with an idle limit: before the end that no use
# moves), and stale until it: store it with ttl = fresh seconds + margin. What miss and review return is
# returned as it is (for coroutine functions: a coroutine). `key(*args, **kwargs)` replaces the key. What
# a key's __hash__ or __eq__ raises comes out of the call; an unhashable argument raises TypeError as
# hash() does, unless there is `unhashable`: then what unhashable(error, args, kwargs) returns is returned.
#
# A Memo is a descriptor as functions are, has a __dict__ (functools.update_wrapper works, __wrapped__
# included), can be weakly referenced, is copied as itself and pickled by its qualified name. For
# inspect.iscoroutinefunction on 3.12+ use inspect.markcoroutinefunction(memo); on 3.11 asyncio looks for
# memo._is_coroutine.
@final
class Memo:
    def __new__(
        cls,
        function: Callable[..., Any],
        cache: Cache[Any, Any],
        miss: _Miss | None = None,
        *,
        key: Callable[..., Hashable] | None = None,
        typed: bool = False,
        skip: int = 0,
        review: _Review | None = None,
        margin: float | timedelta = 0,
        finish: Callable[[Any], Any] | None = None,
        awaitable: bool = False,
        unhashable: Callable[[TypeError, tuple[Any, ...], dict[str, Any] | None], Any] | None = None,
        bind: Callable[[Memo, Any], Any] | None = None,
    ) -> Self: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Self: ...
    def __reduce__(self) -> str: ...
    def cache_key(self, /, *args: Any, **kwargs: Any) -> Hashable: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def cache(self) -> Cache[Any, Any]: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def reset_counts(self) -> None: ...
