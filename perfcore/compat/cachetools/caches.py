"""cachetools' caches. A ``perfcore.Cache`` without a bound holds the entries, in the order of their use.

The bound is kept here, because what is evicted is what ``popitem`` of a subclass says, and because a value
that is too large is an error.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, Self, TypeVar, cast

from perfcore._native.cache import Cache as NativeCache
from perfcore._repr import safe_repr

__all__ = ["Cache", "FIFOCache", "LRUCache", "RRCache"]

K = TypeVar("K")
V = TypeVar("V")

_MISSING: Any = object()
_PLENTY = 2**62


def _size(key: Any, sized: tuple[Any, int]) -> int:
    return sized[1]


class Cache(MutableMapping[K, V]):
    """A mapping of at most ``maxsize``, in entries or as the sum of ``getsizeof(value)``, which is an int.

    A value that alone is larger raises :exc:`ValueError`; ``popitem`` says what makes room for another.

    >>> cache = Cache(maxsize=10, getsizeof=len)
    >>> cache["a"] = "four"; cache.currsize
    4
    """

    def __init__(self, maxsize: float, getsizeof: Callable[[V], int] | None = None) -> None:
        if maxsize < 0:
            raise ValueError(f"maxsize must not be negative, got {maxsize}")
        if getsizeof is not None:
            self.__dict__["getsizeof"] = getsizeof
        self._maxsize = maxsize
        self._sized = getsizeof is not None or type(self).getsizeof is not Cache.getsizeof
        self._entries: NativeCache[K, Any] = self._empty()

    @staticmethod
    def getsizeof(value: Any) -> int:
        """Return the size of a value: 1, unless a subclass or the constructor says otherwise."""
        return 1

    @property
    def maxsize(self) -> float:
        """The bound."""
        return self._maxsize

    @property
    def currsize(self) -> int:
        """The sum of the sizes."""
        return self._entries.weight

    # --- reading ----------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        found = self._entries.get(key, _MISSING)
        if found is _MISSING:
            return self.__missing__(key)
        return cast("V", found[0] if self._sized else found)

    def __missing__(self, key: K) -> V:
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, default: Any = None) -> Any:
        """Return ``self[key]`` if it is there, else ``default``; ``__missing__`` is not asked."""
        if key in self:  # not as in Mapping, which would ask __missing__
            return self[key]
        return default

    # --- writing ----------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:
        size = self.getsizeof(value) if self._sized else 1
        if size < 0:
            raise ValueError(f"the size of a value must not be negative, got {size}")
        if size > self._maxsize:
            raise ValueError("value too large")
        while self.currsize - self._size_of(key) + size > self._maxsize:
            self.popitem()
        self._store(key, (value, size) if self._sized else value)

    def _size_of(self, key: K) -> int:
        found = self._entries.peek(key, _MISSING)
        return 0 if found is _MISSING else found[1] if self._sized else 1

    def _store(self, key: K, entry: Any) -> None:
        self._entries[key] = entry

    def __delitem__(self, key: K) -> None:
        del self._entries[key]

    def pop(self, key: K, default: Any = _MISSING) -> Any:
        """Remove a key and return its value, or ``default``; without one raise KeyError."""
        if key in self:
            value = self[key]
            del self[key]
            return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, after storing ``default`` if it is absent."""
        if key in self:
            return self[key]
        self[key] = default
        return default

    def clear(self) -> None:
        """Remove everything."""
        self._entries.clear()

    def popitem(self) -> tuple[K, V]:
        """Remove an entry and return ``(key, value)``; KeyError when there is none."""
        key = self._victim()
        return key, self.pop(key)

    def _victim(self) -> K:
        for key in self:
            return key
        raise self._is_empty()

    def _is_empty(self) -> KeyError:
        error = KeyError(f"{type(self).__name__} is empty")
        error.__suppress_context__ = True
        return error

    # --- copies -----------------------------------------------------------------------------------

    def _empty(self) -> NativeCache[K, Any]:
        """Return where entries lie, without entries."""
        if self._sized:
            return NativeCache(policy="lru", maxweight=_PLENTY, weigher=_size)
        return NativeCache(policy="lru")

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._detach()
        return twin

    def _detach(self) -> None:
        """Give a copy entries of its own, in the same order of iteration and of use."""
        entries, self._entries = self._entries, self._empty()
        for key in entries:
            self._entries.set(key, entries.peek(key), ttl=entries.expires_in(key))
        for key in entries.coldest(len(entries)):
            self._entries.get(key)

    @safe_repr
    def __repr__(self) -> str:
        return f"{type(self).__name__}(maxsize={self.maxsize!r}, currsize={self.currsize!r})"


class LRUCache(Cache[K, V]):
    """A cache that evicts what was not used for longest."""

    def _victim(self) -> K:
        for key in self._entries.coldest(1):
            return key
        raise self._is_empty()


class FIFOCache(LRUCache[K, V]):
    """A cache that evicts what was written first."""

    def __getitem__(self, key: K) -> V:
        found = self._entries.peek(key, _MISSING)  # no use, so the order stays that of the writes
        if found is _MISSING:
            return self.__missing__(key)
        return cast("V", found[0] if self._sized else found)


class RRCache(Cache[K, V]):
    """A cache that evicts what ``choice`` picks of the keys, at random if nothing else is given."""

    def __init__(
        self,
        maxsize: float,
        choice: Callable[[Sequence[K]], K] = random.choice,
        getsizeof: Callable[[V], int] | None = None,
    ) -> None:
        super().__init__(maxsize, getsizeof)
        self._choice = choice

    @property
    def choice(self) -> Callable[[Sequence[K]], K]:
        """What picks the key of the entry that is evicted."""
        return self._choice

    def _victim(self) -> K:
        keys = list(self)
        if not keys:
            raise self._is_empty()
        return self._choice(keys)
