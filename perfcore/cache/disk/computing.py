"""``get_or_set`` of a cache on disk: what is missing is computed once for all who ask for it at once."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias, TypeVar

from perfcore.cache.codec import Codec
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.disk.ledger import name_of
from perfcore.cache.disk.mapping import Mapped
from perfcore.cache.disk.pending import Write
from perfcore.cache.disk.store import Store
from perfcore.cache.keys import Key, encode_key

__all__ = ["Computed"]

_T = TypeVar("_T")
_Ttl: TypeAlias = float | timedelta | None


class Computed(Mapped):
    """A mapping that computes what it has not, on the store and with the counters of a ``DiskCache``."""

    _store: Store
    _codec: Codec
    _hits: int
    _misses: int

    @abstractmethod
    def _write(
        self, key: Key, value: Any, ttl: _Ttl, tags: Iterable[Key] = (), since: int | None = None
    ) -> Write: ...

    def get_or_set(
        self, key: Key, factory: Callable[[], _T], *, ttl: _Ttl = None, tags: Iterable[Key] = ()
    ) -> _T:
        """Return the value of ``key``; if there is none, call ``factory`` and store what it returns.

        Of all threads and processes that ask at once, one calls its ``factory`` and the others wait for it.
        What that raises reaches its caller only, and another one calls its own.
        """
        name = encode_key(key)
        value: _T = self._store.load(name, self._codec)
        if value is not MISSING:
            self._hits += 1
            return value
        self._misses += 1

        def compute() -> _T:
            since = self._store.moment() if tags else None
            computed = factory()
            write = self._write(key, computed, ttl, tags, since)
            self._store.put_now([write])  # before others may look again
            return computed

        return self._store.flights.run(name_of(name), lambda: self._store.load(name, self._codec), compute)

    async def aget_or_set(
        self, key: Key, factory: Callable[[], Awaitable[_T]], *, ttl: _Ttl = None, tags: Iterable[Key] = ()
    ) -> _T:
        """:meth:`get_or_set` for a ``factory`` that returns an awaitable.

        Tasks, threads and processes wait for each other; when the task that computes is cancelled, another
        one computes.
        """
        name = encode_key(key)
        value: _T = self._store.load(name, self._codec)
        if value is not MISSING:
            self._hits += 1
            return value
        self._misses += 1

        async def compute() -> _T:
            since = self._store.moment() if tags else None
            computed = await factory()
            write = self._write(key, computed, ttl, tags, since)
            await asyncio.to_thread(self._store.put_now, [write])
            return computed

        look = partial(self._store.load, name, self._codec)
        return await self._store.flights.arun(name_of(name), look, compute)
