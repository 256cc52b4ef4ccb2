"""cachetools' LFU: exact counts of uses, and the oldest of those that were used least often goes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from perfcore.compat.cachetools.caches import Cache

__all__ = ["LFUCache"]

K = TypeVar("K")
V = TypeVar("V")


class Uses(Generic[K]):
    """How often a key was used; hashed by identity, so that counting compares no keys."""

    __slots__ = ("count", "key")

    def __init__(self, key: K) -> None:
        self.key, self.count = key, 0


class LFUCache(Cache[K, V]):
    """A cache that evicts what was used least often.

    ``perfcore.Cache(policy="lfu")`` keeps more of what will be used: it lets counts age.
    """

    def __init__(self, maxsize: float, getsizeof: Callable[[V], int] | None = None) -> None:
        super().__init__(maxsize, getsizeof)
        self._uses: dict[K, Uses[K]] = {}
        #: What was used how often, in the order in which it came to that.
        self._classes: dict[int, dict[Uses[K], None]] = {}

    def __getitem__(self, key: K) -> V:
        value = super().__getitem__(key)
        uses = self._uses.get(key)
        if uses is not None:  # else it came from __missing__
            self._move(uses, uses.count + 1)
        return value

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        uses = self._uses.setdefault(key, Uses(key))
        self._move(uses, uses.count + 1)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self._move(self._uses.pop(key), 0)

    def clear(self) -> None:
        """Remove everything, the counts too."""
        super().clear()
        self._uses.clear()
        self._classes.clear()

    def _move(self, uses: Uses[K], count: int) -> None:
        """Let an entry have been used ``count`` times."""
        if uses.count:
            others = self._classes[uses.count]
            del others[uses]
            if not others:
                del self._classes[uses.count]
        uses.count = count
        if count:
            self._classes.setdefault(count, {})[uses] = None

    def _victim(self) -> K:
        if not self._classes:
            raise self._is_empty()
        return next(iter(self._classes[min(self._classes)])).key

    def _detach(self) -> None:
        super()._detach()
        classes, self._uses, self._classes = self._classes, {}, {}
        for count in sorted(classes):
            for uses in classes[count]:
                self._uses[uses.key] = twin = Uses(uses.key)
                self._move(twin, count)
