"""The pools and caches that give memory back when it is short: known by name, held weakly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from threading import RLock
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable
from weakref import ref

from perfcore._log import logger
from perfcore._native.buffers import BufferPool
from perfcore.memory.objects import ObjectPool
from perfcore.memory.reports import BufferAction, Relief

__all__ = ["Care"]

log = logger("memory")
R = TypeVar("R")


@runtime_checkable
class _Cache(Protocol):
    @property
    def capacity(self) -> int | None: ...

    def resize(self, capacity: int, /) -> object: ...


class _Shrunk(NamedTuple):
    """What a cache had before the first relief, and what it was left with by the last."""

    whole: int
    left: int | None


class Care:
    """Trims pools and halves caches, and makes those whole again.

    >>> care, pool = Care(), BufferPool(initial=1)
    >>> care.add(pool, "receiving")
    'receiving'
    >>> care.relieve().buffer_bytes == (1 + 4 + 16 + 64) * 1024
    True
    """

    def __init__(self) -> None:
        self._lock = RLock()  # a collection may come at any moment, with somebody's code that registers, too
        self._known: dict[str, ref[Any]] = {}
        self._shrunk: dict[str, _Shrunk] = {}
        self._acquired: dict[str, tuple[ref[BufferPool], int, int]] = {}

    def forked(self) -> None:
        """Be free in a forked child."""
        self._lock = RLock()

    def add(self, thing: object, name: str | None = None) -> str:
        """Take something into care, once; return its name, with a number where another has it."""
        if isinstance(thing, BufferPool):
            name = name or "buffers"
        elif isinstance(thing, ObjectPool):
            name = name or "objects"
        elif isinstance(thing, _Cache):
            name = name or "cache"
        else:
            raise TypeError(f"expected a pool or a cache, not {type(thing).__name__}")
        with self._lock:
            for other, held in self._known.copy().items():
                known = held()
                if known is thing:
                    return other
                if known is None:
                    self._known.pop(other, None)
            mine = ref(thing)
            return next(one for one in _names(name) if self._known.setdefault(one, mine) is mine)

    def __len__(self) -> int:
        return len(self._alive())

    def _alive(self) -> dict[str, Any]:
        found = {name: held() for name, held in self._known.copy().items()}
        return {name: thing for name, thing in found.items() if thing is not None}

    def pools(self) -> dict[str, BufferPool | ObjectPool[Any]]:
        """Return the pools by name."""
        return {name: one for name, one in self._alive().items() if isinstance(one, BufferPool | ObjectPool)}

    def caches(self) -> dict[str, Any]:
        """Return the caches by name."""
        known = self._alive().items()
        return {name: one for name, one in known if not isinstance(one, BufferPool | ObjectPool)}

    def relieve(self) -> Relief:
        """Empty what is idle in pools, and halve caches."""
        shrunk = sum(_tried(name, self._halve, name, one) or 0 for name, one in self.caches().items())
        return self.empty()._replace(caches_shrunk=shrunk)

    def empty(self) -> Relief:
        """Give back what is idle in pools."""
        freed = objects = 0
        for name, pool in self.pools().items():
            if isinstance(pool, BufferPool):
                freed += pool.trim()
            else:
                objects += _tried(name, pool.shrink) or 0
        return Relief(buffer_bytes=freed, objects=objects)

    def _halve(self, name: str, cache: _Cache) -> int:
        capacity = cache.capacity
        if capacity is None or capacity < 2:
            return 0
        before = self._shrunk.get(name)
        whole = before.whole if before is not None and before.left == capacity else capacity
        cache.resize(capacity // 2)
        self._shrunk[name] = _Shrunk(whole, cache.capacity)
        return 1

    def restore(self) -> Relief:
        """Make caches whole again that nobody else has resized since."""
        shrunk, self._shrunk = self._shrunk, {}
        whole = 0
        for name, cache in self.caches().items():
            if name in shrunk and cache.capacity == shrunk[name].left:
                whole += _tried(name, _resized, cache, shrunk[name].whole) or 0
        return Relief(caches_restored=whole)

    @property
    def relieved(self) -> bool:
        """Whether there are caches to make whole."""
        return bool(self._shrunk)

    def look(self) -> list[BufferAction]:
        """Empty pools of buffers that nobody has asked since the last look."""
        found = {name: pool for name, pool in self.pools().items() if isinstance(pool, BufferPool)}
        before, self._acquired = self._acquired, {}
        actions = []
        for name, pool in found.items():
            stats = pool.stats()
            self._acquired[name] = ref(pool), stats.acquired, stats.reused
            known, acquired, reused = before.get(name, (None, 0, 0))
            if known is None or known() is not pool:
                actions.append(BufferAction(name, "watching", "the first look"))
            elif stats.acquired > acquired:
                ratio = (stats.reused - reused) / (stats.acquired - acquired)
                reason = f"asked {stats.acquired - acquired} times, {ratio:.0%} were there"
                actions.append(BufferAction(name, "kept", reason, ratio))
            elif stats.idle_bytes:
                freed = pool.trim()
                actions.append(BufferAction(name, "trimmed", "nobody asked", None, freed))
            else:
                actions.append(BufferAction(name, "kept", "nobody asked, and nothing is idle"))
        return actions


def _resized(cache: _Cache, size: int) -> int:
    cache.resize(size)
    return 1


def _names(name: str) -> Iterator[str]:
    return (name if number == 1 else f"{name}-{number}" for number in count(1))


def _tried(name: str, call: Callable[..., R], *arguments: Any) -> R | None:
    """Call what runs somebody else's code; what that raises must not keep memory from the others."""
    try:
        return call(*arguments)
    except Exception:
        log.warning("%s cannot give memory back", name, exc_info=True)
        return None
