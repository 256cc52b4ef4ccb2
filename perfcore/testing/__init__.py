"""For tests of programs that use perfcore: a clock that is set by hand, caches that are empty for a while.

``pytest_plugins = ["perfcore.testing.plugin"]`` in a ``conftest.py`` brings the fixtures ``fake_clock`` and
``isolated_caches``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from perfcore._repr import safe_repr

if TYPE_CHECKING:
    from perfcore.cache import Cache

__all__ = ["FakeClock", "isolated"]


class FakeClock:
    """A clock that stands still until it is moved, for ``timer=`` of caches and ``clock=`` of alerts.

    >>> from perfcore.cache import Cache
    >>> clock = FakeClock()
    >>> cache = Cache(ttl=60, timer=clock)
    >>> cache["a"] = 1
    >>> clock.advance(59), "a" in cache
    (59.0, True)
    >>> clock.advance(1), "a" in cache
    (60.0, False)
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = float(now)

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Let ``seconds`` pass and return the time; ValueError for less than none, which no clock does."""
        if not seconds >= 0:
            raise ValueError(f"time does not run backwards, got {seconds!r}")
        self._now += seconds
        return self._now

    @safe_repr
    def __repr__(self) -> str:
        return f"FakeClock({self._now:g})"


@contextmanager
def isolated(*caches: Any) -> Iterator[None]:
    """Let ``caches``, and the caches of decorated functions, be empty during a block, and as before after it.

    What they held comes back with its order and remaining time; what the block stored is gone. For caches in
    memory: a :class:`~perfcore.cache.Cache`, or a function of ``cached`` or ``lru_cache``. TypeError for
    anything else.

    >>> from perfcore.cache import cached
    >>> @cached
    ... def double(number):
    ...     return 2 * number
    >>> double(1), double.cache_info().currsize
    (2, 1)
    >>> with isolated(double):
    ...     double.cache_info().currsize
    0
    >>> double.cache_contains(1)
    True
    """
    emptied = [_cache_of(each) for each in caches]
    held = [cache.__getstate__() for cache in emptied]
    for cache in emptied:
        cache.clear()
    try:
        yield
    finally:
        for cache, state in zip(emptied, held, strict=True):
            cache.__setstate__(state)  # order, tags and remaining time with it


def _cache_of(thing: Any) -> Cache[Any, Any]:
    from perfcore.cache import Cache

    found = thing if isinstance(thing, Cache) else getattr(thing, "cache", None)
    if not isinstance(found, Cache):
        raise TypeError(f"expected a Cache in memory or a cached function, got {type(thing).__name__}")
    return found
