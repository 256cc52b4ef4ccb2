"""What rooms of one floor tell each other without knowing each other: whose operation this was.

A profile of a call sets itself as the context's observer; a cache, a pool or a stream that does something on
behalf of whoever called it notes it here. With nobody watching a note is one look at a number.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from perfcore._native.watching import WATCHERS

__all__ = ["note", "note_lookups", "unwatch", "watch", "watched"]

#: Operations that one watcher tells apart: names are made of whatever callers make them of.
_MOST = 1000
_OBSERVERS: ContextVar[tuple[Tally[str], ...]] = ContextVar("perfcore_observers", default=())


def note(operation: str, amount: int = 1, /) -> None:
    """Count an operation (``"cache.hit"``, ``"io.read_bytes"``) for all that watch this context."""
    if amount and WATCHERS.number:
        for tally in _OBSERVERS.get():
            if operation in tally or len(tally) < _MOST:
                tally[operation] += amount


def note_lookups(cache: str, hits: int, misses: int, /) -> None:
    """Count ``cache.hit`` and ``cache.miss``, under the name of the cache, as :func:`note` does."""
    if hits:
        note(f"{cache}.hit", hits)
    if misses:
        note(f"{cache}.miss", misses)


@contextmanager
def watched() -> Iterator[Tally[str]]:
    """Collect what is noted in this context and in tasks that start in it; nested watchers all see it.

    >>> with watched() as operations:
    ...     note("cache.hit"); note("cache.hit"); note("cache.miss")
    >>> dict(operations)
    {'cache.hit': 2, 'cache.miss': 1}
    """
    tally: Tally[str] = Tally()
    token = watch(tally)
    try:
        yield tally
    finally:
        unwatch(token)


def watch(tally: Tally[str]) -> Token[tuple[Tally[str], ...]]:
    """Let what is noted from here on be counted in ``tally``, until :func:`unwatch` of what this returns."""
    WATCHERS.come()
    return _OBSERVERS.set((*_OBSERVERS.get(), tally))


def unwatch(token: Token[tuple[Tally[str], ...]]) -> None:
    """End it; ValueError in another context than the one in which it began."""
    WATCHERS.go()
    _OBSERVERS.reset(token)
