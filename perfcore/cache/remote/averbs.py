"""The verbs of a remote cache for use on an event loop."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from perfcore.cache.keys import Key
from perfcore.cache.remote.aio import aclose, arun
from perfcore.cache.remote.budget import deadline_of
from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.steps import Pairs, Ttl, Verbs

__all__ = ["AsyncVerbs"]

_T = TypeVar("_T")


class AsyncVerbs(Verbs):
    """Each verb with ``a`` before its name; nothing blocks the loop, and no thread is used."""

    async def aget(self, key: Key, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default`` when there is none that is valid and can be had."""
        return await self._arun(self._load(key, default))

    async def aset(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Ttl = None,
        tags: Iterable[Key] = (),
        since: bytes | None = None,
    ) -> None:
        """Store ``value`` under ``key`` as :meth:`RemoteCache.set` does."""
        await self._arun(self._put([(key, value)], ttl, tags, since))

    async def aadd(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Ttl = None,
        tags: Iterable[Key] = (),
        since: bytes | None = None,
    ) -> bool:
        """Store ``value`` if ``key`` has no valid one; say whether it was stored."""
        return await self._arun(self._add(key, value, ttl, tags, since))

    async def adelete(self, key: Key, /) -> bool:
        """Remove ``key``; say whether a server had it."""
        return await self._arun(self._remove([key])) > 0

    async def aget_many(self, keys: Iterable[Key], default: Any = None) -> list[Any]:
        """Return the values of ``keys`` in their order, ``default`` for those without."""
        return await self._arun(self._load_many(keys, default))

    async def aset_many(
        self, items: Pairs, *, ttl: Ttl = None, tags: Iterable[Key] = (), since: bytes | None = None
    ) -> None:
        """Store all of ``items``."""
        await self._arun(self._put(items, ttl, tags, since))

    async def adelete_many(self, keys: Iterable[Key]) -> int:
        """Remove ``keys``; returns how many of them servers had."""
        return await self._arun(self._remove(keys))

    async def atouch(self, key: Key, *, ttl: Ttl = None) -> bool:
        """Let ``key`` live for ``ttl`` seconds from now; say whether it was there."""
        return await self._arun(self._touch(key, ttl))

    async def ainvalidate_tags(self, *tags: Key) -> None:
        """Make a miss of every entry with any of ``tags``."""
        await self._arun(self._move(tags))

    async def abegin(self, tags: Iterable[Key]) -> bytes:
        """Return what to pass as ``since=`` for a value with ``tags`` that is computed from now on."""
        return await self._arun(self._begin(tags))

    async def aclear(self) -> None:
        """Remove everything below the prefix."""
        await self._arun(self._clear())
        self._mender.wake()

    async def aclose(self) -> None:
        """Close all connections, those of the running loop among them."""
        await aclose(self._router)
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def close(self) -> None:
        """Close all connections; a closed cache can be used again, and opens new ones."""
        self._mender.stop()
        if self._plane is not None and self._plane.backplane is not None:
            self._plane.backplane.stop()
        self._router.close()

    async def _arun(self, steps: Steps[_T]) -> _T:
        return await arun(self._router, steps, deadline_of(self._timeout))
