"""The memory optimizer: pools where they pay, a collector that costs little, leaks, and relief under
pressure.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet, ref

from perfcore._log import logger
from perfcore._native.buffers import BufferPool
from perfcore._repr import safe_repr
from perfcore.memory.discovery import Discovered, Discovery
from perfcore.memory.economy import Economy, Tracked
from perfcore.memory.gc import GcReport, GcTuner
from perfcore.memory.leaks import LeakDetector, Suspect
from perfcore.memory.objects import ObjectPool
from perfcore.memory.pressure import Pressure, memory_pressure

__all__ = ["MemoryOptimizer", "MemoryReport", "PoolAction", "Relief"]

T = TypeVar("T")
log = logger("memory")


class PoolAction(NamedTuple):
    """What was decided about a tracked kind of object, ``created``, ``removed``, ``kept`` or ``none``, and
    why.
    """

    name: str
    action: str
    reason: str
    measured: Economy


class Relief(NamedTuple):
    """What was given back under pressure: bytes of buffers, idle objects, and caches made smaller or whole
    again.
    """

    collected: int = 0
    buffer_bytes: int = 0
    objects: int = 0
    caches_shrunk: int = 0
    caches_restored: int = 0


class MemoryReport(NamedTuple):
    """What one call of :meth:`MemoryOptimizer.optimize_memory` did and measured."""

    pools: list[PoolAction]
    gc: GcReport
    leaks: list[Suspect]
    before: Pressure
    after: Pressure
    relief: Relief
    discovered: list[Discovered]


class MemoryOptimizer:
    """Measures first, acts second, and undoes what did not help; every call says what it did.

    ``frequency`` acquisitions a minute are what makes a pool worth thinking about; ``gc_threshold`` is the
    share of the memory limit (control group or machine) above which garbage is collected and registered pools
    and caches shrink. ``stalled`` is the percentage of time that tasks may wait for memory (PSI) before that
    counts as pressure too. Raises ValueError when one makes no sense.

    What is made through :meth:`track` is counted, one in eight timed, and pooled while that pays. Types that
    nobody tracks are discovered where they are made often: between two calls of :meth:`optimize_memory`
    allocations are counted by type, for the share ``discovery`` of the time at most (0: never), and the
    constructors of the types that are made often are timed. For those a pool is only advised, in the report:
    what others construct, no pool can hand out, and it takes somebody to give it back.

    Leaks are seen of types whose objects the collector knows, which may refer to others; strings, bytes,
    numbers and arrays show only in their containers, and what C code holds, in the process's memory.

    >>> optimizer = MemoryOptimizer()
    >>> optimizer.create_object_pool(list, 20, reset=list.clear).min
    2
    >>> report = optimizer.optimize_memory()
    >>> report.gc.action, report.leaks
    ('watching', [])
    >>> optimizer.close()
    """

    def __init__(
        self,
        frequency: float = 100,
        gc_threshold: float = 0.8,
        stalled: float = 10.0,
        discovery: float = 0.01,
        pressure: Callable[[], Pressure] = memory_pressure,
    ) -> None:
        if not frequency > 0:
            raise ValueError(f"frequency must be positive, got {frequency}")
        if not 0 < gc_threshold <= 1:
            raise ValueError(f"gc_threshold must be above 0 and at most 1, got {gc_threshold}")
        self._frequency, self._gc_threshold, self._stalled = frequency, gc_threshold, stalled
        self._pressure = pressure
        self._discovery = Discovery(discovery, frequency)
        self._tracked: dict[str, Tracked[Any]] = {}
        self._pools: WeakSet[Any] = WeakSet()
        self._caches: dict[int, ref[Any]] = {}  # a cache is a mapping, and has no hash
        self._whole: list[tuple[Any, int]] = []
        self._tuner, self._leaks = GcTuner(), LeakDetector()

    @safe_repr
    def __repr__(self) -> str:
        pools, caches, types = len(self._pools), len(self._caches), len(self._tracked)
        return f"<MemoryOptimizer: {pools} pools, {caches} caches, {types} types>"

    def register(self, thing: Any) -> None:
        """Take a pool or a cache into care; it is held weakly.

        A :class:`BufferPool` is trimmed and an :class:`ObjectPool` shrunk under pressure; a cache (anything
        with ``resize`` and ``capacity``) is halved, and made whole when the pressure is gone.
        """
        if isinstance(thing, BufferPool | ObjectPool):
            self._pools.add(thing)
        elif hasattr(thing, "resize") and hasattr(thing, "capacity"):
            forget = partial(self._caches.pop, id(thing))
            self._caches[id(thing)] = ref(thing, forget)
        else:
            raise TypeError(f"expected a pool or a cache, not {type(thing).__name__}")

    def create_object_pool(
        self, factory: Callable[[], T], size: int | None = None, reset: Callable[[T], object] | None = None
    ) -> ObjectPool[T]:
        """Return a pool of ``size`` objects at most and a tenth of that at least, registered.

        Without a size it gets that of a type that was discovered: a fifth of what is made a minute, 1000 at
        most. Raises ValueError when nothing of that type has been seen.
        """
        if size is None:
            size = min(1000, ceil(self._discovery.rate_of(factory) * 0.2))
            if not size:
                raise ValueError(f"no size was given, and none of {factory!r} has been seen to be made")
        pool: ObjectPool[T] = ObjectPool(factory, reset, ceil(size * 0.1), size)
        self.register(pool)
        return pool

    def track(
        self, factory: Callable[[], T], reset: Callable[[T], object] | None = None, name: str | None = None
    ) -> Tracked[T]:
        """Return a source of ``factory``'s objects that is measured, and pooled while a pool pays."""
        name = name or str(getattr(factory, "__qualname__", factory))
        if name in self._tracked:
            raise ValueError(f"{name} is tracked already")
        tracked: Tracked[T] = Tracked(factory, reset, name)
        self._tracked[name] = tracked
        return tracked

    def optimize_memory(self) -> MemoryReport:
        """Decide about pools, step the collector's tuning, take a snapshot for leaks, and relieve any
        pressure.
        """
        self._discovery.pause()
        before = self._pressure()
        pools = [self._decide(tracked) for tracked in self._tracked.values()]
        tuned = self._tuner.step()
        self._leaks.snapshot()
        relief = self._relieve(before)
        suspects, after = self._leaks.suspects(), self._pressure()
        discovered = self._discovery.step([tracked.factory for tracked in self._tracked.values()])
        return MemoryReport(pools, tuned, suspects, before, after, relief, discovered)

    async def aoptimize_memory(self) -> MemoryReport:
        """Do :meth:`optimize_memory` in a thread."""
        return await asyncio.to_thread(self.optimize_memory)

    def _decide(self, tracked: Tracked[Any]) -> PoolAction:
        measured = tracked.measure()
        often = measured.rate > self._frequency * (1 if tracked.pool is None else 0.5)
        if tracked.pool is None:
            if often and measured.saves > 0:
                self.register(tracked.promote(measured.rate))
                return PoolAction(tracked.name, "created", "making one costs more than a pool", measured)
            reason = "a pool would cost more" if often else "not made often"
            return PoolAction(tracked.name, "none", reason, measured)
        if often and measured.saves > 0:
            return PoolAction(tracked.name, "kept", "it pays", measured)
        tracked.demote()
        return PoolAction(
            tracked.name, "removed", "it costs more than it saves" if often else "too seldom", measured
        )

    def _relieve(self, seen: Pressure) -> Relief:
        if seen.share <= self._gc_threshold and (seen.stalled or 0) <= self._stalled:
            return self._restore(seen)
        log.warning("memory use is at %.0f %% of the limit: pools and caches shrink", seen.share * 100)
        collected = gc.collect()
        freed = objects = shrunk = 0
        for pool in list(self._pools):
            if isinstance(pool, BufferPool):
                freed += pool.trim()
            else:
                objects += pool.shrink()
        held = {id(cache) for cache, _ in self._whole}
        for known in list(self._caches.values()):
            cache = known()
            capacity = cache.capacity if cache is not None else None
            if cache is not None and capacity:
                if id(cache) not in held:
                    self._whole.append((cache, capacity))
                cache.resize(max(1, capacity // 2))
                shrunk += 1
        return Relief(collected, freed, objects, shrunk)

    def _restore(self, seen: Pressure) -> Relief:
        """Make caches whole once there is a tenth of the limit to spare."""
        if not self._whole or seen.share > self._gc_threshold - 0.1:
            return Relief()
        whole, self._whole = self._whole, []
        for cache, capacity in whole:
            cache.resize(capacity)
        return Relief(caches_restored=len(whole))

    def __enter__(self) -> MemoryOptimizer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the pools from what is tracked, and put back the collector and the caches."""
        for tracked in self._tracked.values():
            tracked.demote()
        for cache, capacity in self._whole:
            cache.resize(capacity)
        self._whole = []
        self._discovery.close()
        self._tuner.close()
