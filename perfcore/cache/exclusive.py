"""Changes that depend on what is there: one after another, in all processes on a manager's directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import Any, TypeVar
from weakref import WeakSet

from perfcore.cache.disk.flight import MISSING
from perfcore.cache.manager import CacheManager

__all__ = ["Exclusive"]

_T = TypeVar("_T")
_STRIPES = 64


class Exclusive:
    """Turns over the keys of one manager, for those who all write through it.

    >>> manager = CacheManager(memory={"maxsize": 10})
    >>> turns = Exclusive(manager)
    >>> with turns.among(["hits"]):
    ...     manager.set("hits", 1)
    >>> turns.alone("hits", lambda: manager.set("hits", manager.get("hits") + 1)), manager.get("hits")
    (None, 2)
    """

    def __init__(self, manager: CacheManager) -> None:
        self._manager = manager
        self.forked()
        _all.add(self)

    def forked(self) -> None:
        """In a forked child: another thread of the parent may have held a lock."""
        # re-entrant: a finalizer that runs inside may use the cache
        self._locks = [RLock() for _ in range(_STRIPES)]

    @contextmanager
    def among(self, keys: Iterable[Any]) -> Iterator[None]:
        """No other thread of this process is at any of ``keys`` inside the block."""
        with ExitStack() as held:
            for place in sorted({hash(key) % _STRIPES for key in keys}):  # in one order, or two would wait
                held.enter_context(self._locks[place])
            yield

    def whole(self) -> ExitStack:
        """No other thread of this process is at any key inside the block."""
        held = ExitStack()
        for lock in self._locks:
            held.enter_context(lock)
        return held

    def alone(self, key: Any, act: Callable[[], _T]) -> _T:
        """Return what ``act`` does to ``key`` while nobody else is :meth:`alone` with it.

        That is every thread, and with a disk tier every process on its directory; one that stands still in
        there is waited for no longer than a minute.
        """
        flights, name = self._manager._flights, self._manager._flight(key)
        with self._locks[hash(key) % _STRIPES]:
            return flights.alone(name, lambda: MISSING, act)


_all: WeakSet[Exclusive] = WeakSet()


def _forked() -> None:
    for one in list(_all):
        one.forked()


os.register_at_fork(after_in_child=_forked)
