"""A function or coroutine function with a cache, a limit, workers and batches around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import update_wrapper
from threading import BoundedSemaphore, Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from perfcore._repr import safe_repr
from perfcore.cache import cached
from perfcore.keys import hashkey
from perfcore.optimizing.batches import Batcher
from perfcore.optimizing.gains import Gain, Meter
from perfcore.optimizing.options import Options

if TYPE_CHECKING:
    from perfcore.workers import WorkerPool

__all__ = ["OptimizedCoroutine", "OptimizedFunction"]

#: What a lookup may cost: a call that is quicker is not worth caching.
_LOOKUP = 1e-6
#: Workers have to be so many times as fast as a loop to be kept.
_WORTHWHILE = 1.1


class _Optimized:
    """What both kinds share: measuring, deciding on the cache, and the report."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        self._function, self._options = function, options
        self._meter = Meter()
        self._lock = Lock()
        self._cache: Any = None
        self._refused = "" if options.caches else "say pure=True or cache_ttl= where results may be cached"
        self._gains: dict[str, Gain] = {}
        #: Seconds of a call before there were workers.
        self._alone: float | None = None
        update_wrapper(self, function, updated=())  # type: ignore[arg-type]  # a callable is enough

    @safe_repr
    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._function!r}>"

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> None:
        try:
            key = hash(hashkey(*args, **kwargs))
        except TypeError:
            key = None
        if self._meter.note(key, seconds) == self._options.samples and not self._refused:
            self._decide()

    def _decide(self) -> None:
        """Cache from now on, if as many calls came again as are worth the lookups of all."""
        mean, repeated = self._meter.mean or 0.0, self._meter.repeated
        if mean * repeated <= _LOOKUP:
            self._refused = f"{repeated:.0%} of calls came again, and one takes {mean * 1e6:.3g} us"
            return
        with self._lock:
            if self._cache is None:
                options = self._options
                self._cache = cached(maxsize=options.cache_size, ttl=options.cache_ttl)(self._computed())

    def _computed(self) -> Callable[..., Any]:
        raise NotImplementedError

    def report(self) -> list[Gain]:
        """Return each measure, whether it is in use, why, and what a call takes without and with it."""
        return [self._cache_gain(), *self._gains.values()]

    def _cache_gain(self) -> Gain:
        mean = self._meter.mean
        if self._cache is None:
            return Gain(
                "cache", False, self._refused or f"fewer than {self._options.samples} calls yet", mean
            )
        info = self._cache.cache_info()
        calls = info.hits + info.misses
        after = mean * info.misses / calls + _LOOKUP if mean is not None and calls else None
        return Gain("cache", True, f"{info.hits} of {calls} calls were answered by it", mean, after)

    def cache_clear(self) -> None:
        """Forget all cached results."""
        if self._cache is not None:
            self._cache.cache_clear()


class OptimizedFunction(_Optimized):
    """A function, called as before; :meth:`map` for many items, and :meth:`report` for what was gained."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        super().__init__(function, options)
        self._gate = BoundedSemaphore(options.max_concurrency) if options.max_concurrency else None
        self._waited = 0
        self._pool: WorkerPool | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns for these arguments."""
        call = self._cache or self._compute
        return call(*args, **kwargs)

    def _computed(self) -> Callable[..., Any]:
        return self._compute

    def _compute(self, *args: Any, **kwargs: Any) -> Any:
        if self._gate is None:
            return self._timed(*args, **kwargs)
        if not self._gate.acquire(blocking=False):
            self._waited += 1
            self._gate.acquire()
        try:
            self._gains["limit"] = Gain("limit", True, f"{self._waited} calls had to wait for others")
            return self._timed(*args, **kwargs)
        finally:
            self._gate.release()

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        begun = perf_counter()
        result = self._function(*args, **kwargs)
        self._note(args, kwargs, perf_counter() - begun)
        return result

    def map(self, items: Iterable[Any]) -> list[Any]:
        """Return the results for ``items``, each the only argument of a call, in their order.

        In batches where there is such a function, else on workers if these were faster than a loop so far.
        The exception of a call is raised.
        """
        wanted = list(items)
        if self._options.batch is not None:
            return self._in_batches(wanted)
        pool = self._gains.get("workers")
        if len(wanted) < 2 or (pool is not None and not pool.applied):
            return [self(item) for item in wanted]
        return self._on_workers(wanted)

    def _in_batches(self, wanted: list[Any]) -> list[Any]:
        assert self._options.batch is not None
        size, begun, results = self._options.batch_size, perf_counter(), []
        for start in range(0, len(wanted), size):
            results += _checked(
                list(self._options.batch(wanted[start : start + size])), wanted[start : start + size]
            )
        if wanted:
            after = (perf_counter() - begun) / len(wanted)
            reason = f"{len(wanted)} items in batches of up to {size}"
            self._gains["batches"] = Gain("batches", True, reason, self._meter.mean, after)
        return results

    def _on_workers(self, wanted: list[Any]) -> list[Any]:
        from perfcore.workers import WorkerPool

        with self._lock:
            if self._pool is None:
                most = self._options.max_concurrency or 8
                self._pool = WorkerPool(1, most, scaling="adaptive")
            if self._alone is None:  # later calls are timed beside each other
                self._alone = self._meter.typical
        alone = self._alone
        begun = perf_counter()
        results = [*self._pool.map(self, wanted)]
        after = (perf_counter() - begun) / len(wanted)
        if alone is not None and self._cache is None:
            worth = alone / after >= _WORTHWHILE
            reason = f"{len(wanted)} items, {alone / after:.2f} times as fast as one after the other"
            self._gains["workers"] = Gain("workers", worth, reason, alone, after)
        return results

    def close(self) -> None:
        """End the workers; calls go on without them."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OptimizedCoroutine(_Optimized):
    """A coroutine function, awaited as before; :meth:`map` for many items, :meth:`report` for the gains."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        super().__init__(function, options)
        self._gates: WeakKeyDictionary[Any, asyncio.Semaphore] = WeakKeyDictionary()  # one for each loop
        self._batcher = None if options.batch is None else Batcher(options)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the coroutine function returns for these arguments."""
        return await (self._cache or self._compute)(*args, **kwargs)

    def _computed(self) -> Callable[..., Any]:
        async def compute(*args: Any, **kwargs: Any) -> Any:
            return await self._compute(*args, **kwargs)

        return compute

    async def _compute(self, *args: Any, **kwargs: Any) -> Any:
        limit = self._options.max_concurrency
        if limit is None:
            return await self._timed(args, kwargs)
        async with self._gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(limit)):
            self._gains["limit"] = Gain("limit", True, f"at most {limit} run at once")
            return await self._timed(args, kwargs)

    async def _timed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        begun = perf_counter()
        if self._batcher is not None and len(args) == 1 and not kwargs:
            result = await self._batcher.ask(args[0])
            self._gains["batches"] = Gain("batches", True, self._batcher.told())
        else:
            result = await self._function(*args, **kwargs)
        self._note(args, kwargs, perf_counter() - begun)
        return result

    async def map(self, items: Iterable[Any]) -> list[Any]:
        """Return the results for ``items``, asked for all at once, in their order."""
        return [*await asyncio.gather(*(self(item) for item in items))]


def _checked(results: list[Any], asked: list[Any]) -> list[Any]:
    if len(results) != len(asked):
        raise ValueError(
            f"batch: expected {len(asked)} results in the order of the items, got {len(results)}"
        )
    return results
