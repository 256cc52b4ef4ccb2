"""Pools of objects that are made where they pay, and taken away where they do not."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from threading import RLock
from typing import Any, TypeVar

from perfcore.memory.care import Care
from perfcore.memory.economy import Tracked
from perfcore.memory.objects import ObjectPool
from perfcore.memory.reports import PoolAction

__all__ = ["Pooling"]

T = TypeVar("T")
#: What a pool without a size has at most, however often its objects are made.
_MOST = 1000


class Pooling:
    """Kinds of objects that are tracked, and pools by the guide's sizes; pools go into ``care``.

    ``rate_of`` says how often a type is made a minute, as far as that is known.
    """

    def __init__(self, care: Care, frequency: float, rate_of: Callable[[object], float]) -> None:
        if not frequency > 0:
            raise ValueError(f"frequency must be positive, got {frequency}")
        self._care, self._frequency, self._rate_of = care, frequency, rate_of
        self._lock = RLock()
        self._tracked: dict[str, Tracked[Any]] = {}

    def forked(self) -> None:
        """Be free in a forked child."""
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._tracked)

    def factories(self) -> list[Callable[[], Any]]:
        """Return what is tracked."""
        return [tracked.factory for tracked in self._tracked.copy().values()]

    def create(
        self,
        factory: Callable[[], T],
        size: int | None,
        reset: Callable[[T], object] | None,
        name: str | None,
    ) -> ObjectPool[T]:
        """See :meth:`.MemoryOptimizer.create_object_pool`."""
        if size is None:
            size = min(_MOST, ceil(self._rate_of(factory) * 0.2))
            if not size:
                raise ValueError(f"no size was given, and none of {factory!r} has been seen to be made")
        pool: ObjectPool[T] = ObjectPool(factory, reset, ceil(size * 0.1), size)
        self._care.add(pool, name or _named(factory))
        return pool

    def track(
        self, factory: Callable[[], T], reset: Callable[[T], object] | None, name: str | None
    ) -> Tracked[T]:
        """See :meth:`.MemoryOptimizer.track`."""
        name = name or _named(factory)
        tracked: Tracked[T] = Tracked(factory, reset, name)
        with self._lock:
            if self._tracked.setdefault(name, tracked) is not tracked:
                raise ValueError(f"{name} is tracked already")
        return tracked

    def decide(self) -> list[PoolAction]:
        """Pool what is tracked where that pays, and no longer where it does not."""
        return [self._decide(tracked) for tracked in self._tracked.copy().values()]

    def _decide(self, tracked: Tracked[Any]) -> PoolAction:
        measured = tracked.measure()
        often = measured.rate > self._frequency * (1 if tracked.pool is None else 0.5)
        if tracked.pool is None:
            if often and measured.saves > 0:
                self._care.add(tracked.promote(measured.rate), tracked.name)
                return PoolAction(tracked.name, "created", "making one costs more than a pool", measured)
            reason = "a pool would cost more" if often else "not made often"
            return PoolAction(tracked.name, "none", reason, measured)
        if often and measured.saves > 0:
            return PoolAction(tracked.name, "kept", "it pays", measured)
        tracked.demote()
        return PoolAction(
            tracked.name, "removed", "it costs more than it saves" if often else "too seldom", measured
        )

    def close(self) -> None:
        """Take the pools away from what is tracked."""
        for tracked in self._tracked.copy().values():
            tracked.demote()


def _named(factory: object) -> str:
    return str(getattr(factory, "__qualname__", factory))
