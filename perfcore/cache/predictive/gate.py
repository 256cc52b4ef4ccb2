"""How much may be loaded ahead: rate, concurrency, bytes, patience, and keys that are left alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import RLock
from time import monotonic
from typing import Any, Final

from perfcore.cache.predictive.records import Limits

__all__ = ["Gate"]

_REMEMBERED: Final = 1024  # keys that could not be loaded
_IN_A_ROW: Final = 5  # failures, after which the loader itself is given a rest
_LONGEST: Final = 60.0  # seconds of such a rest


class Gate:
    """Admits loads and keeps count of them. Runs no code of others under its lock but the keys' own.

    A load that takes longer than ``timeout`` is given up: its result is not wanted. It keeps its place until
    it comes back, so that loaders which hang never hold more threads than there are places.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self.limits, self._clock = limits, clock
        self.dropped = 0
        self.reset()

    def reset(self) -> None:
        """Forget what is under way: in a forked child, none of it is."""
        self._lock = RLock()  # keys are compared under it, and that may call back
        self._loads: dict[object, tuple[Any, float]] = {}
        self._hanging: set[object] = set()
        self._sizes: OrderedDict[Any, int] = OrderedDict()
        self._held = 0
        self._left_alone: OrderedDict[Any, float] = OrderedDict()
        self._tokens, self._filled = self._burst, self._clock()
        self._failures, self._rest_until = 0, 0.0

    @property
    def _burst(self) -> float:
        return max(1.0, min(self.limits.rate, 10.0 * self.limits.concurrency))

    def admit(self, key: Any) -> object | None:
        """Return a pass for a load that may begin now, or None, counted as dropped."""
        with self._lock:
            now = self._clock()
            self._give_up(now)
            if self._admissible(key, now):
                self._tokens -= 1
                one = object()
                self._loads[one] = (key, now + self.limits.timeout)
                return one
            self.dropped += 1
            return None

    def _admissible(self, key: Any, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self.limits.rate)
        self._filled = now
        if key in self._left_alone:
            if self._left_alone[key] > now:
                return False
            del self._left_alone[key]
        return (
            self._tokens >= 1
            and now >= self._rest_until
            and len(self._loads) + len(self._hanging) < self.limits.concurrency
            and self._held < self._most
        )

    @property
    def _most(self) -> int:
        return int(self.limits.max_bytes)

    def _give_up(self, now: float) -> None:
        for one in [one for one, (_, until) in self._loads.items() if until <= now]:
            key, _ = self._loads.pop(one)
            self._hanging.add(one)
            self._leave_alone(key, now)

    def _leave_alone(self, key: Any, now: float) -> None:
        self._left_alone[key] = now + self.limits.retry_after
        while len(self._left_alone) > _REMEMBERED:
            self._left_alone.popitem(last=False)

    def fits(self, size: int) -> bool:
        """Say whether a value is not too large to be loaded on a guess: a quarter of what may wait."""
        return size <= self._most // 4

    def is_wanted(self, one: object) -> bool:
        """Say whether a load has not been given up."""
        with self._lock:
            self._give_up(self._clock())
            return one in self._loads

    def finish(self, one: object, *, size: int | None) -> None:
        """End a load, given up or not: with the ``size`` of what was stored, or None when it failed."""
        with self._lock:
            self._hanging.discard(one)
            key, _ = self._loads.pop(one, (None, 0.0))
            now = self._clock()
            if size is not None:
                self._failures = 0
                if size > 0:
                    self._hold(key, size)
                return
            self._leave_alone(key, now)
            self._failures += 1
            if self._failures >= _IN_A_ROW:
                self._rest_until = now + min(2.0 ** (self._failures - _IN_A_ROW), _LONGEST)

    def withdraw(self, one: object) -> None:
        """End a load that was not begun after all."""
        with self._lock:
            self._loads.pop(one, None)
            self.dropped += 1

    def _hold(self, key: Any, size: int) -> None:
        self._held += size - self._sizes.pop(key, 0)
        self._sizes[key] = size

    def release(self, key: Any) -> None:
        """A preloaded key was asked for, or is gone."""
        if self._sizes:
            with self._lock:
                self._held -= self._sizes.pop(key, 0)

    def trim(self, most: int) -> None:
        """Forget the oldest sizes beyond ``most`` keys: the sources hold no more than that."""
        with self._lock:
            while len(self._sizes) > most:
                self._held -= self._sizes.popitem(last=False)[1]

    @property
    def loading(self) -> int:
        """Loads under way."""
        return len(self._loads)

    @property
    def hanging(self) -> int:
        """Loads that were given up and have not come back."""
        return len(self._hanging)

    @property
    def held(self) -> int:
        """Bytes that wait for their first use."""
        return self._held

    @property
    def left_alone(self) -> int:
        """Keys that could not be loaded lately."""
        return len(self._left_alone)
