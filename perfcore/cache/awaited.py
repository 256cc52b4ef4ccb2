"""The verbs of a manager for use on an event loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from perfcore._native.tier import Guarded
from perfcore.cache.computing import Computing, Keep
from perfcore.cache.ladder import ABSENT, judged
from perfcore.cache.moves import adrive

__all__ = ["Awaited"]

_Ttl: TypeAlias = "float | timedelta | None"
_Pairs: TypeAlias = "Mapping[Any, Any] | Iterable[tuple[Any, Any]]"


class Awaited(Computing):
    """Each verb with ``a`` before its name: servers are asked without a thread, disks in one."""

    async def aget(self, key: Any, default: Any = None, /) -> Any:
        """:meth:`get` on an event loop, which reads servers without blocking; the disk is read at once."""
        held = self._memory.peek(self._near(key), ABSENT) if self._slow and not self._hurried else None
        if held is not ABSENT and type(held) is not Guarded:
            return self.get(key, default)
        value, fresh = judged(await adrive(self._finding(key)))
        return value if fresh else default

    async def aset(self, key: Any, value: Any, *args: Any, **options: Any) -> None:
        """:meth:`set` for use on an event loop."""
        await self.aset_many([(key, value)], *args, **options)

    async def adelete(self, key: Any, /) -> bool:
        """:meth:`delete` for use on an event loop."""
        return await adrive(self._removing([key])) > 0

    # -- many keys --

    async def aget_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """:meth:`get_many` for use on an event loop."""
        return await adrive(self._getting_many(list(keys), default))

    async def aset_many(
        self,
        items: _Pairs,
        hot: bool = True,
        persistent: Keep = None,
        distributed: Keep = None,
        *,
        ttl: _Ttl = None,
        tags: Iterable[Any] = (),
        depends_on: Any = (),
        source: str | None = None,
    ) -> None:
        """:meth:`set_many` for use on an event loop."""
        into = self._into(persistent, distributed)
        await adrive(self._setting(items, hot, into, ttl, tags, depends_on, source))

    async def ainvalidate_tags(self, *tags: Any) -> None:
        """:meth:`invalidate_tags` for use on an event loop."""
        names = self._guards.tags(tags)
        if names:
            await adrive(self._telling([], names))
