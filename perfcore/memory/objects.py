"""Object pools for threads and for coroutines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from perfcore._native.methods import adopt
from perfcore._native.objects import Lease, Waiter
from perfcore._native.objects import ObjectPool as NativePool
from perfcore._repr import safe_repr

__all__ = ["Acquisition", "Lease", "ObjectPool"]

T = TypeVar("T")


class ObjectPool(NativePool[T]):
    """Lends objects that are expensive to make, and takes them back: to threads, and to coroutines.

    Everything but :meth:`aacquire` is :class:`perfcore._native.objects.ObjectPool`'s, whose text names the
    arguments and says what becomes of objects when somebody's code fails.

    >>> pool = ObjectPool(list, list.clear, min=1, max=2)
    >>> with pool.acquire(timeout=1) as items:
    ...     items.append(1)
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _pools.add(self)

    @safe_repr
    def __repr__(self) -> str:
        stats = self.stats()
        return f"<ObjectPool: {stats.in_use} in use, {stats.idle} idle>"

    def aacquire(self, timeout: float | None = None) -> Acquisition[T]:
        """Acquire from a coroutine: ``lease = await pool.aacquire()``, or ``async with`` for the object.

        Waits as :meth:`acquire` does, in the same queue as threads, and lets the event loop run meanwhile;
        factory, reset and validate run in the loop's thread. When the waiting task is cancelled, or its loop
        is closed, what it would have got goes to the next in the queue.

        >>> async def use():
        ...     async with ObjectPool(list, list.clear).aacquire(timeout=1) as items:
        ...         return items
        >>> asyncio.run(use())
        []
        """
        return Acquisition(self, timeout)


adopt(ObjectPool, "acquire", "try_acquire", "release")


class Acquisition(Generic[T]):
    """An acquisition by a coroutine that has not happened yet: await it, or enter it with ``async with``."""

    def __init__(self, pool: ObjectPool[T], timeout: float | None) -> None:
        self._pool, self._timeout = pool, timeout
        self._lease: Lease[T] | None = None

    def __await__(self) -> Generator[Any, None, Lease[T]]:
        return self._acquire().__await__()

    async def __aenter__(self) -> T:
        self._lease = await self._acquire()
        return self._lease.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease, self._lease = self._lease, None
        assert lease is not None
        lease.__exit__(kind, error, trace)

    async def _acquire(self) -> Lease[T]:
        lease = self._pool.try_acquire()
        if lease is not None:
            return lease
        if self._timeout is not None and self._timeout <= 0:
            return self._pool.acquire(self._timeout)  # raises, and counts
        try:
            async with asyncio.timeout(self._timeout):
                while lease is None:
                    lease = await self._served()
        except TimeoutError:
            if lease is None:
                raise TimeoutError(f"all {self._pool.max} objects of the pool are in use") from None
        assert lease is not None
        return lease

    async def _served(self) -> Lease[T] | None:
        """Wait in the queue once; None when the object that came was not fit."""
        loop = asyncio.get_running_loop()
        served = loop.create_future()

        def wake() -> None:
            loop.call_soon_threadsafe(_finish, served)

        waiter: Waiter = self._pool.enroll(wake)
        try:
            if not waiter.granted:
                await served
        except BaseException:
            waiter.abandon()
            raise
        return self._pool.lease_of(waiter)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_pools: WeakSet[NativePool[Any]] = WeakSet()


def _after_fork() -> None:
    for pool in _pools:
        pool._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
