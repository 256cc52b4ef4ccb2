"""Whether a pool pays for a kind of object: what making one costs, and what taking one back costs instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from perfcore._native.objects import Lease
from perfcore.memory.objects import ObjectPool

__all__ = ["Economy", "Tracked", "mean"]

T = TypeVar("T")

#: What an acquisition and its release cost, in seconds (python -m benchmarks.rivals.pools), rounded up.
PAIR = 150e-9
#: One object in so many is timed: two looks at the clock are 100 ns.
SAMPLE = 8


class Economy(NamedTuple):
    """What was measured of a kind of object: acquisitions a minute, and the seconds that making one and
    resetting one take in the mean; ``saves`` seconds a minute is what a pool would save, negative when it
    costs.
    """

    rate: float
    construct: float
    reset: float

    @property
    def saves(self) -> float:
        """Seconds a minute that a pool saves, if it always has an object to lend."""
        return self.rate * (self.construct - self.reset - PAIR)


class Own(Generic[T]):
    """An object that no pool wants back, behind the verbs of a lease."""

    __slots__ = ("_released", "value")

    def __init__(self, value: T) -> None:
        self.value, self._released = value, False

    @property
    def released(self) -> bool:
        """Whether it was released."""
        return self._released

    def release(self) -> None:
        """Let go of the object. Raises RuntimeError when that was done before."""
        if self._released:
            raise RuntimeError("the lease was released")
        self._released = True
        del self.value

    discard = release

    def __enter__(self) -> T:
        return self.value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._released:
            self.release()


class Tracked(Generic[T]):
    """A factory whose objects are counted, timed now and then, and pooled while that pays.

    ``with tracked.acquire() as object`` makes an object, or takes one from the pool there is at the time.
    """

    def __init__(self, factory: Callable[[], T], reset: Callable[[T], object] | None, name: str) -> None:
        self.name = name
        self.pool: ObjectPool[T] | None = None
        self.factory, self._reset = factory, reset
        self._acquired, self._since = 0, time.monotonic()
        self._made: list[float] = []
        self._resets: list[float] = []

    def acquire(self) -> Lease[T] | Own[T]:
        """Return a lease: ``.value``, ``.release()``, ``.discard()``, or a ``with`` block. Never waits."""
        self._acquired += 1
        pool = self.pool
        if pool is not None:
            return pool.acquire()
        timed = self._acquired % SAMPLE == 1
        value = self._make() if timed else self.factory()
        if timed and self._reset is not None:
            self._timed_reset(value)  # a new object's: what a pool would pay, at least
        return Own(value)

    def _make(self) -> T:
        start = time.perf_counter()
        value = self.factory()
        self._made.append(time.perf_counter() - start)
        return value

    def _timed_reset(self, value: T) -> None:
        assert self._reset is not None
        start = time.perf_counter()
        self._reset(value)
        self._resets.append(time.perf_counter() - start)

    def measure(self, now: float | None = None) -> Economy:
        """Return what the window since the last call showed, and begin the next; ``now`` is monotonic
        seconds.
        """
        now = time.monotonic() if now is None else now
        rate = self._acquired / max(now - self._since, 1e-9) * 60
        self._acquired, self._since = 0, now
        self._made, self._resets = self._made[-256:], self._resets[-256:]
        return Economy(rate, mean(self._made), mean(self._resets))

    def promote(self, rate: float) -> ObjectPool[T]:
        """Pool from now on, with the guide's sizes: a fifth of the acquisitions a minute, a tenth of that at
        least.
        """
        most = max(1, ceil(rate * 0.2))
        reset = None if self._reset is None else self._timed_reset
        self.pool = ObjectPool(self._make, reset, ceil(most * 0.1), most, overflow=True)
        return self.pool

    def demote(self) -> None:
        """Pool no longer; what is out may still be released."""
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.shrink(0)


def mean(values: list[float]) -> float:
    """Return the mean without the dearest tenth: a collection or another process may have come between."""
    kept = sorted(values)[: max(1, len(values) * 9 // 10)]
    return sum(kept) / len(kept) if kept else 0.0
