"""The verbs of the Django backend for use on an event loop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from perfcore.cache.ladder import ABSENT
from perfcore.cache.manager import CacheManager
from perfcore.errors import MissingExtraError
from perfcore.integrations.django.values import Values

try:
    from asgiref.sync import sync_to_async
    from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
except ImportError as error:
    raise MissingExtraError("django", "django") from error

__all__ = ["DEFAULT_TIMEOUT", "Awaited"]


class Awaited(BaseCache):
    """Memory answers at once, on the loop itself; what may wait for a disk or a server does it in a thread.

    Django's own forms go through one thread for all, which this cache has no need of.
    """

    _manager: CacheManager
    _values: Values
    _local: bool

    async def _call(self, verb: Callable[..., Any], *given: Any) -> Any:
        return verb(*given) if self._local else await sync_to_async(verb, thread_sensitive=False)(*given)

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """:meth:`get` on an event loop."""
        held = await self._manager.aget(self.make_and_validate_key(key, version), ABSENT)
        return default if held is ABSENT else self._values.unpack(held, default)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        """:meth:`set` on an event loop."""
        await self._call(self.set, key, value, timeout, version)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        """:meth:`add` on an event loop."""
        return await self._call(self.add, key, value, timeout, version)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        """:meth:`touch` on an event loop."""
        return await self._call(self.touch, key, timeout, version)

    async def aincr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        """:meth:`incr` on an event loop, as atomic as it is."""
        return await self._call(self.incr, key, delta, version)

    async def adelete(self, key: Any, version: Any = None) -> Any:
        """:meth:`delete` on an event loop."""
        return await self._call(self.delete, key, version)

    async def aget_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """:meth:`get_many` on an event loop."""
        names = {key: self.make_and_validate_key(key, version) for key in keys}
        return self._found(names, await self._manager.aget_many(names.values(), ABSENT))

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> Any:
        """:meth:`set_many` on an event loop."""
        return await self._call(self.set_many, data, timeout, version)

    async def adelete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """:meth:`delete_many` on an event loop."""
        await self._call(self.delete_many, keys, version)

    async def aclear(self) -> None:
        """:meth:`clear` on an event loop."""
        await self._call(self.clear)

    @abstractmethod
    def _found(self, names: Mapping[Any, Any], held: Iterable[Any]) -> dict[Any, Any]:
        """Return the values of those that were found."""
