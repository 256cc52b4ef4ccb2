"""What a service does with a cache: ask, and store what was not there. The parts below share these loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from benchmarks.rivals.memory.contenders import Contender, functools_cache
from benchmarks.rivals.memory.operations import Get, Write, hits, mixing
from benchmarks.rivals.memory.workload import Loop

#: whose documentation wants a lock around each call where threads share the cache
WITHOUT_LOCK = ("cachetools", "lru-dict")


def calling(function: Callable[[Any], Any], keys: Iterable[Any]) -> Loop:
    def loop() -> None:
        for key in keys:
            function(key)

    return loop


def guarded(get: Get, write: Write, lock: Lock) -> tuple[Get, Write]:
    """Return both calls, each of which has to hold the lock."""

    def guarded_get(key: Any) -> Any:
        with lock:
            return get(key)

    def guarded_write(key: Any, value: Any) -> None:
        with lock:
            write(key, value)

    return guarded_get, guarded_write


def locked(get: Get, write: Write, keys: Iterable[Any], lock: Lock) -> Loop:
    """The loop of ``mixing`` where each access has to hold the lock."""
    get, write = guarded(get, write, lock)

    def loop() -> None:
        for key in keys:
            if get(key) is None:
                write(key, key)

    return loop


class Server:
    """One cache of ``size`` entries behind the question that all contenders can be asked."""

    def __init__(self, contender: Contender | None, size: int, lock: Lock | None = None) -> None:
        self.contender, self.lock = contender, lock
        if contender is None:
            self.function: Any = functools_cache(size)
        else:
            self.get, self.write = contender.bound(size)

    def loop(self, keys: Iterable[Any]) -> Loop:
        """Return a function that asks for all of ``keys``."""
        if self.contender is None:
            return calling(self.function, keys)
        if self.lock is not None:
            return locked(self.get, self.write, keys, self.lock)
        return mixing(self.contender, self.get, self.write, keys)

    def hits(self, keys: Iterable[Any]) -> int:
        """Ask for all of ``keys`` and return how often it was there."""
        if self.contender is not None:
            return hits(self.contender, self.get, self.write, keys)
        before = self.function.cache_info().hits
        self.loop(keys)()
        return int(self.function.cache_info().hits - before)
