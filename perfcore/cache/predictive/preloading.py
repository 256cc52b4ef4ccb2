"""Loading what was predicted: within limits, never waited for, never in place of what is newer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic, sleep
from typing import Any, Protocol

from perfcore._log import logger
from perfcore.cache.background import Background
from perfcore.cache.predictive.context import AccessContext
from perfcore.cache.predictive.gate import Gate
from perfcore.cache.predictive.records import Limits
from perfcore.cache.predictive.sources import Ticket
from perfcore.cache.predictive.targets import Loader, Target
from perfcore.sizing import weigh

__all__ = ["Pool", "Preloading"]

#: instead of a size: the loader did its work, but the value was not wanted by the cache, or too old by then
_NOT_TAKEN = -1


class Pool(Protocol):
    """A pool of workers that knows priorities, such as :class:`perfcore.workers.WorkerPool`."""

    def submit(self, fn: Callable[[], object], /, *, priority: Any) -> object:
        """Call ``fn`` soon; raises when there is no room."""


class Preloading:
    """The loading half of :class:`.PredictiveCaching`."""

    def __init__(
        self,
        cache: Any,
        target: Target,
        loader: Loader | None,
        pool: Pool | None,
        limits: Limits,
        ttl: float,
        validate: Callable[[Any, Any], bool] | None,
    ) -> None:
        self._cache, self._target, self._loader = cache, target, loader
        self._pool, self._ttl, self._validate = pool, ttl, validate
        self._gate = Gate(limits)
        self._own = Background(workers=limits.concurrency, queue=limits.concurrency)
        self._likely: list[Any] = []  # keys of the saved model, those asked for most first

    def _tickets(self, context: AccessContext | None, count: int) -> list[Ticket]:
        raise NotImplementedError

    def preload_predicted_data(
        self, loader: Loader | None = None, context: AccessContext | None = None, count: int = 10
    ) -> int:
        """Begin to load what :meth:`predict_future_access` returns, and return how many loads that are.

        Never waits. What ``loader(key)`` raises is counted, and the key is left alone for a while.
        """
        load, begun = loader or self._loader, 0
        for ticket in self._tickets(context, count):
            one = self._gate.admit(ticket.key)
            if one is None:
                break
            if not ticket.claim():
                self._gate.withdraw(one)
                continue
            if self._submit(partial(self._load, ticket, one, load)):
                begun += 1
            else:
                ticket.failed()
                self._gate.withdraw(one)
                break
        return begun

    def _submit(self, call: Callable[[], object]) -> bool:
        if self._pool is None:
            return self._own.submit(call)
        try:
            self._pool.submit(call, priority="low")
        except Exception as error:  # full, or closed: prediction gives way to everything else
            logger("cache").debug("a preload was not taken: %s", type(error).__name__)
            return False
        return True

    def _load(self, ticket: Ticket, one: object, loader: Loader | None) -> None:
        size = None
        try:
            if self._gate.is_wanted(one):
                size = self._fetch(ticket, one, loader)
        except Exception as error:
            logger("cache").debug("a preload failed with %s", type(error).__name__)
        finally:
            self._end(ticket, one, size)

    def _fetch(self, ticket: Ticket, one: object, loader: Loader | None) -> int | None:
        """The size of what was stored, None when nothing was."""
        seen = self._target.begin(ticket.key)
        if self._target.below(ticket.key):
            return 0
        if loader is None:
            return None
        value = loader(ticket.key)
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError("a loader of preload_predicted_data returned a coroutine")
        return self._keep(ticket, one, value, seen)

    def _keep(self, ticket: Ticket, one: object, value: Any, seen: object) -> int | None:
        if self._validate is not None and not self._validate(ticket.key, value):
            return None
        size = weigh(ticket.key, value)
        if not self._gate.fits(size) or not self._gate.is_wanted(one):
            return None
        stored = self._target.keep(ticket.key, value, self._ttl, seen)
        return size if stored else 0 if self._target.holds(ticket.key) else _NOT_TAKEN

    def _end(self, ticket: Ticket, one: object, size: int | None) -> None:
        self._gate.finish(one, size=size)
        if size is None or size == _NOT_TAKEN:
            ticket.failed()
            return
        for key in ticket.arrived():
            self._target.drop(key)
            self._gate.release(key)
        self._gate.trim(2 * max(self._target.entries // 4, 1))  # each source holds a quarter at most

    async def apreload_predicted_data(
        self,
        loader: Callable[[Any], Awaitable[Any]],
        context: AccessContext | None = None,
        count: int = 10,
    ) -> int:
        """Load what :meth:`predict_future_access` returns, and return how many keys were stored.

        ``loader(key)`` is awaited. Waits for all loads, each at most the ``timeout`` of the limits: run it
        in a task of its own.
        """
        tasks = []
        for ticket in self._tickets(context, count):
            one = self._gate.admit(ticket.key)
            if one is None:
                break
            if ticket.claim():
                tasks.append(self._aload(ticket, one, loader))
            else:
                self._gate.withdraw(one)
        return sum(await asyncio.gather(*tasks))

    async def _aload(self, ticket: Ticket, one: object, loader: Callable[[Any], Awaitable[Any]]) -> bool:
        size = None
        try:
            async with asyncio.timeout(self._gate.limits.timeout):
                size = await self._afetch(ticket, one, loader)
        except Exception as error:
            logger("cache").debug("a preload failed with %s", type(error).__name__)
        finally:
            self._end(ticket, one, size)
        return size is not None and size != _NOT_TAKEN

    async def _afetch(
        self, ticket: Ticket, one: object, loader: Callable[[Any], Awaitable[Any]]
    ) -> int | None:
        seen = self._target.begin(ticket.key)
        if await self._target.abelow(ticket.key):
            return 0
        return self._keep(ticket, one, await loader(ticket.key), seen)

    def drain(self, timeout: float = 10.0) -> bool:
        """Wait until no load is under way; False when some still are after ``timeout`` seconds."""
        until = monotonic() + timeout
        while self._gate.loading and monotonic() < until:
            sleep(0.0002)
        return not self._gate.loading

    def warm(self, loader: Loader | None = None, count: int | None = None) -> int:
        """Load the keys that were asked for most in the saved model, in this thread; say how many came.

        At most ``count``, and half of the cache; a loader that fails leaves its key out.
        """
        load, done = loader or self._loader, 0
        room = self._target.entries // 2
        for key in self._likely[: room if count is None else min(count, room)]:
            try:
                done += self._warm_one(key, load)
            except Exception as error:
                logger("cache").debug("warming up failed with %s", type(error).__name__)
        self._likely = []
        return done

    def _warm_one(self, key: Any, loader: Loader | None) -> bool:
        seen = self._target.begin(key)
        if self._target.holds(key) or self._target.below(key):
            return True
        if loader is None:
            return False
        value = loader(key)
        return self._target.keep(key, value, self._ttl, seen)
