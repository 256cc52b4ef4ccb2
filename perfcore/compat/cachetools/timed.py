"""cachetools' caches whose entries end: after a fixed time, or when a function says."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from perfcore._native.cache import Cache as NativeCache
from perfcore.compat.cachetools.caches import _PLENTY, LRUCache, _size

__all__ = ["TLRUCache", "TTLCache"]

K = TypeVar("K")
V = TypeVar("V")


class Timer:
    """A timer that stands still while an operation is under way; what else it can do is its function's."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._depth, self._now = 0, None
        self._origin: Any = None

    def __call__(self) -> Any:
        return self._now if self._depth else self._function()

    def __enter__(self) -> Any:
        if not self._depth:
            self._now = self._function()
        self._depth += 1
        return self._now

    def __exit__(self, *exc: object) -> None:
        self._depth -= 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._function, name)

    def seconds(self) -> float:
        """Return the time in seconds, from the first time on for what is no number (a datetime)."""
        now = self()
        if isinstance(now, int | float):
            return now
        if self._origin is None:
            self._origin = now
        return seconds_of(now - self._origin)

    def twin(self) -> Timer:
        """Return another timer over the same function."""
        twin = Timer(self._function)
        twin._origin = self._origin
        return twin


class Ended:
    """A listener that gathers what ended while it is told to."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, Any]] | None = None

    def __call__(self, key: Any, value: Any, cause: str) -> None:
        if self.items is not None and cause == "expired":
            self.items.append((key, value))


def seconds_of(duration: Any) -> float:
    """Return a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


class TimedCache(LRUCache[K, V]):
    """What caches with a timer have in common."""

    def __init__(
        self, maxsize: float, timer: Callable[[], Any], getsizeof: Callable[[V], int] | None = None
    ) -> None:
        self._timer, self._ended = Timer(timer), Ended()
        super().__init__(maxsize, getsizeof)

    @property
    def timer(self) -> Any:
        """The timer; entered as a context it stands still."""
        return self._timer

    @property
    def currsize(self) -> int:
        """The sum of the sizes of what has not ended."""
        self._entries.expire()
        return super().currsize

    def __len__(self) -> int:
        self._entries.expire()
        return super().__len__()

    def __iter__(self) -> Iterator[K]:
        with self._timer:
            keys = list(self._entries)
        return iter(keys)

    def get(self, key: K, default: Any = None) -> Any:
        """Return ``self[key]`` if it is there and has not ended, else ``default``."""
        with self._timer:
            return super().get(key, default)

    def pop(self, key: K, *default: Any) -> Any:
        """Remove a key and return its value, or ``default``; without one raise KeyError."""
        with self._timer:
            return super().pop(key, *default)

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, after storing ``default`` if it is absent."""
        with self._timer:
            return super().setdefault(key, default)

    def popitem(self) -> tuple[K, V]:
        """Remove what was not used for longest and has not ended, and return it."""
        with self._timer:
            return super().popitem()

    def expire(self, time: Any = None) -> list[tuple[K, V]]:
        """Remove what has ended, now or at ``time``, and return ``(key, value)`` pairs."""
        with self._timer as now:
            self._ended.items = []
            self._entries.expire()
            ended, self._ended.items = self._ended.items, None
            items = [(key, found[0] if self._sized else found) for key, found in ended]
            if time is None:
                return items
            ahead = seconds_of(time - now)
            for key in list(self._entries) if ahead > 0 else ():
                left = self._entries.expires_in(key)
                if left is not None and left <= ahead:
                    items.append((key, self.pop(key)))
            return items

    def _set_until(self, key: K, value: V, ttl: float) -> None:
        """Store a value for ``ttl`` seconds."""
        self._entries.expire()
        self._lasts: float | None = None if math.isinf(ttl) else ttl
        super().__setitem__(key, value)

    def _store(self, key: K, entry: Any) -> None:
        self._entries.set(key, entry, ttl=self._lasts)

    def _empty(self) -> NativeCache[K, Any]:
        bounds: dict[str, Any] = {"maxweight": _PLENTY, "weigher": _size} if self._sized else {}
        return NativeCache(policy="lru", timer=self._timer.seconds, on_remove=self._ended, **bounds)

    def _detach(self) -> None:
        with self._timer:
            self._timer, self._ended = self._timer.twin(), Ended()
            with self._timer:
                super()._detach()


class TTLCache(TimedCache[K, V]):
    """An LRU cache whose entries end ``ttl`` after they were written, on a ``timer`` of any unit."""

    def __init__(
        self,
        maxsize: float,
        ttl: Any,
        timer: Callable[[], Any] = time.monotonic,
        getsizeof: Callable[[V], int] | None = None,
    ) -> None:
        super().__init__(maxsize, timer, getsizeof)
        self._ttl = ttl

    @property
    def ttl(self) -> Any:
        """How long entries live."""
        return self._ttl

    def __iter__(self) -> Iterator[K]:
        with self._timer:
            ends = [(self._entries.expires_in(key), key) for key in self._entries]
        ends.sort(key=lambda end: math.inf if end[0] is None else end[0])
        return iter([key for _, key in ends])  # what was written first ends first

    def __setitem__(self, key: K, value: V) -> None:
        with self._timer as now:
            now + self._ttl  # what cannot be added up raises here, before anything has changed
            seconds = seconds_of(self._ttl)
            if seconds > 0:
                self._set_until(key, value, seconds)
            else:
                self._entries.delete(key)


class TLRUCache(TimedCache[K, V]):
    """An LRU cache whose entries end when ``ttu(key, value, now)`` says."""

    def __init__(
        self,
        maxsize: float,
        ttu: Callable[[K, V, Any], Any],
        timer: Callable[[], Any] = time.monotonic,
        getsizeof: Callable[[V], int] | None = None,
    ) -> None:
        super().__init__(maxsize, timer, getsizeof)
        self._ttu = ttu

    @property
    def ttu(self) -> Callable[[K, V, Any], Any]:
        """The function that says when an entry ends."""
        return self._ttu

    def __setitem__(self, key: K, value: V) -> None:
        with self._timer as now:
            until = self._ttu(key, value, now)
            if now < until:
                self._set_until(key, value, seconds_of(until - now))
            else:
                self._entries.delete(key)
