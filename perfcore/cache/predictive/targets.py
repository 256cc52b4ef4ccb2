"""The caches into which predicted keys are loaded, behind the few verbs that this takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from perfcore._native.cache import Cache
from perfcore._native.tier import Guarded
from perfcore.cache.manager import CacheManager

__all__ = ["TAG", "Loader", "Target", "target_of"]

#: In a ``Cache`` a preloaded entry bears this tag; in a ``CacheManager`` it is its ``source``.
TAG = "prediction"

Loader: TypeAlias = Callable[[Any], Any]
_ABSENT = object()


class Target(Protocol):
    """What preloading needs of a cache."""

    entries: int

    def holds(self, key: Any) -> bool:
        """Say whether memory has the key."""

    def begin(self, key: Any) -> object:
        """Look at the state of a key before it is loaded, for :meth:`keep`."""

    def below(self, key: Any) -> bool:
        """Bring the key up from where it is cheaper to have than from the loader; say whether that went."""

    async def abelow(self, key: Any) -> bool:
        """:meth:`below` for use on an event loop."""

    def keep(self, key: Any, value: Any, ttl: float, seen: object) -> bool:
        """Store a value unless the key has one, or has changed; say whether it was stored."""

    def drop(self, key: Any) -> None:
        """Make room: remove a preloaded entry that nobody asked for."""


class _Memory:
    def __init__(self, cache: Cache[Any, Any]) -> None:
        self._cache = cache
        self.entries = _entries(cache)

    def holds(self, key: Any) -> bool:
        return key in self._cache

    def begin(self, key: Any) -> object:
        return None

    def below(self, key: Any) -> bool:
        return False

    async def abelow(self, key: Any) -> bool:
        return False

    def keep(self, key: Any, value: Any, ttl: float, seen: object) -> bool:
        return self._cache.add(key, value, ttl=ttl, tags=(TAG,)) and key in self._cache

    def drop(self, key: Any) -> None:
        self._cache.delete(key)


class _Tiers:
    """Preloads go to memory alone, by the rules of what is brought up from below (``ladder.py``): nothing is
    replaced, and what changed meanwhile, here or in another process, is taken back."""

    def __init__(self, manager: CacheManager) -> None:
        self._manager, self._memory = manager, manager._memory
        self.entries = _entries(self._memory)

    def holds(self, key: Any) -> bool:
        return self._manager._near(key) in self._memory

    def begin(self, key: Any) -> object:
        return self._manager._turns.current(key), self._manager._word, self._manager._heard

    def below(self, key: Any) -> bool:
        return self._manager.get(key, _ABSENT) is not _ABSENT

    async def abelow(self, key: Any) -> bool:
        return await self._manager.aget(key, _ABSENT) is not _ABSENT

    def keep(self, key: Any, value: Any, ttl: float, seen: object) -> bool:
        near, held = self._manager._near(key), Guarded(value, source=TAG)
        if not self._memory.add(near, held, ttl=ttl):
            return False
        if self.begin(key) != seen and self._memory.peek(near) is held:
            self._memory.delete(near)
        return self._memory.peek(near) is held

    def drop(self, key: Any) -> None:
        held = self._memory.peek(self._manager._near(key))
        if type(held) is Guarded and held.source == TAG:
            self._memory.delete(self._manager._near(key))


def _entries(cache: Cache[Any, Any]) -> int:
    """How many entries a cache is for; where only their weight is bounded, of 4 KB each, within reason."""
    if cache.maxsize is not None:
        return cache.maxsize
    return max(len(cache), min((cache.maxweight or 0) // 4096, 16_384), 1024)


def target_of(cache: Any) -> Target:
    """Return the verbs for a cache; TypeError for what is none."""
    if isinstance(cache, CacheManager):
        return _Tiers(cache)
    if isinstance(cache, Cache):
        return _Memory(cache)
    raise TypeError(f"expected a Cache or a CacheManager, got {type(cache).__name__}")
