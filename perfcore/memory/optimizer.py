"""The memory optimizer: pools where they pay, a collector that costs little, leaks, and relief under
pressure.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import RLock
from typing import Any, Self, TypeVar
from weakref import WeakSet

from perfcore._native.buffers import BufferPool
from perfcore._repr import safe_repr
from perfcore.memory.care import Care
from perfcore.memory.discovery import Discovery
from perfcore.memory.economy import Tracked
from perfcore.memory.gc import GcFigures, GcReport, GcTuner
from perfcore.memory.leaks import LeakDetector, Suspect
from perfcore.memory.objects import ObjectPool
from perfcore.memory.pooling import Pooling
from perfcore.memory.pressure import Pressure, memory_pressure
from perfcore.memory.reports import BufferAction, Decision, MemoryReport, MemoryStats, PoolAction, Relief
from perfcore.memory.rounds import Rounds
from perfcore.memory.shortage import Shortage

__all__ = ["MemoryOptimizer", "MemoryReport", "PoolAction", "Relief"]

T = TypeVar("T")
_DECISIONS = 100


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
    ``tune_gc`` and ``detect_leaks`` leave out what they name.

    Nothing happens by itself before :meth:`start`. May be used by any thread, and in a forked child.

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
        *,
        tune_gc: bool = True,
        detect_leaks: bool = True,
    ) -> None:
        self._care, self._discovery = Care(), Discovery(discovery, frequency)
        self._pooling = Pooling(self._care, frequency, self._discovery.rate_of)
        self._shortage = Shortage(self._care, gc_threshold, stalled, self._apart, self._note)
        self._pressure = pressure
        self._tuner = GcTuner() if tune_gc else None
        self._leaks = LeakDetector() if detect_leaks else None
        self._lock = RLock()
        self._thread: Rounds | None = None
        self._rounds, self._seconds = 0, 0.0
        self._last: MemoryReport | None = None
        self._suspected: set[str] = set()
        self._decisions: deque[Decision] = deque(maxlen=_DECISIONS)
        _optimizers.add(self)

    @safe_repr
    def __repr__(self) -> str:
        pools, caches, types = len(self._care.pools()), len(self._care.caches()), len(self._pooling)
        return f"<MemoryOptimizer: {pools} pools, {caches} caches, {types} types>"

    # --- what is looked after -------------------------------------------------------------------------------

    def register(self, thing: Any, name: str | None = None) -> str:
        """Take a pool or a cache into care; it is held weakly. Returns the name under which it is reported.

        A :class:`BufferPool` is trimmed and an :class:`ObjectPool` shrunk under pressure; a cache (anything
        with ``resize`` and ``capacity``) is halved, and made whole when the pressure is gone, unless somebody
        else has resized it since. Raises TypeError for anything else.
        """
        return self._care.add(thing, name)

    def pools(self) -> dict[str, BufferPool | ObjectPool[Any]]:
        """Return the pools in care by name, those of :meth:`track` among them."""
        return self._care.pools()

    def create_object_pool(
        self,
        factory: Callable[[], T],
        size: int | None = None,
        reset: Callable[[T], object] | None = None,
        name: str | None = None,
    ) -> ObjectPool[T]:
        """Return a pool of ``size`` objects at most and a tenth of that at least, registered.

        Without a size it gets that of a type that was discovered: a fifth of what is made a minute, 1000 at
        most. Raises ValueError when nothing of that type has been seen.
        """
        return self._pooling.create(factory, size, reset, name)

    def track(
        self, factory: Callable[[], T], reset: Callable[[T], object] | None = None, name: str | None = None
    ) -> Tracked[T]:
        """Return a source of ``factory``'s objects that is measured, and pooled while a pool pays.

        Raises ValueError when something of that name is tracked.
        """
        return self._pooling.track(factory, reset, name)

    # --- what is done ---------------------------------------------------------------------------------------

    def optimize_memory(self) -> MemoryReport:
        """Look for leaks, decide about pools, step the collector's tuning, and relieve any pressure."""
        with self._lock:
            start = time.perf_counter()
            self._discovery.pause()
            before, suspects = self._pressure(), self.detect_memory_leaks()
            pools, buffers = self.optimize_object_pools(), self.optimize_buffers()
            tuned, relief = self.optimize_garbage_collection(), self._shortage.see_to(before)
            discovered = self._discovery.step(self._pooling.factories())
            after, seconds = self._pressure(), time.perf_counter() - start
            self._rounds, self._seconds = self._rounds + 1, self._seconds + seconds
            self._last = MemoryReport(
                pools, tuned, suspects, before, after, relief, discovered, buffers, seconds
            )
            return self._last

    async def aoptimize_memory(self) -> MemoryReport:
        """Do :meth:`optimize_memory` in a thread."""
        return await asyncio.to_thread(self.optimize_memory)

    def optimize_object_pools(self) -> list[PoolAction]:
        """Pool what is tracked where that pays, and no longer where it does not."""
        with self._lock:
            actions = self._pooling.decide()
            for action in actions:
                if action.action in ("created", "removed"):
                    self._note(f"pool of {action.name} {action.action}", action.reason)
            return actions

    def optimize_garbage_collection(self) -> GcReport:
        """Step the collector's tuning (:meth:`.GcTuner.step`)."""
        with self._lock:
            if self._tuner is None:
                return GcReport("off", "tune_gc is off", GcFigures())
            report = self._tuner.step()
            if report.action != "watching":
                self._note(f"garbage collector {report.action}", report.reason)
            if self._leaks is not None and report.action == "tuned" and report.frozen:
                self._leaks.froze()
            elif self._leaks is not None and report.action == "undone":
                self._leaks.thawed()
            return report

    def detect_memory_leaks(self) -> list[Suspect]:
        """Take a snapshot, and return what has grown through the last eight beyond chance."""
        with self._lock:
            if self._leaks is None:
                return []
            with self._apart():
                gc.collect()
            self._leaks.snapshot(collect=False)
            suspects = self._leaks.suspects()
            for suspect in suspects:
                if suspect.name not in self._suspected:
                    self._note(f"leak suspected: {suspect.name}", f"grew by {suspect.growth}")
            self._suspected = {suspect.name for suspect in suspects}
            return suspects

    def optimize_buffers(self) -> list[BufferAction]:
        """Give back what is idle in pools of buffers that nobody has asked since the last call."""
        with self._lock:
            return self._care.look()

    def relieve(self) -> Relief:
        """Give memory back where there is pressure, or make caches whole where it is over."""
        with self._lock:
            return self._shortage.see_to(self._pressure())

    def give_back(self) -> Relief:
        """Collect garbage and give back what is idle in pools, whether or not there is pressure."""
        with self._lock:
            return self._shortage.give_back()

    def _apart(self) -> AbstractContextManager[object]:
        return nullcontext() if self._tuner is None else self._tuner.apart()

    def _note(self, what: str, why: str) -> None:
        self._decisions.append(Decision(time.time(), what, why))

    # --- by itself ------------------------------------------------------------------------------------------

    def start(self, interval: float = 60.0, share: float = 0.01) -> Self:
        """Call :meth:`optimize_memory` every ``interval`` seconds in a thread, look at pressure each second.

        Calls take the ``share`` of the time at most: those that take long are made less often. Does nothing
        when started. In a forked child it goes on. Raises ValueError for an interval that is not positive.
        """
        with self._lock:
            if self._thread is None:
                self._thread = Rounds(interval, share, self._look, self.optimize_memory)
                self._thread.start()
        return self

    @property
    def running(self) -> bool:
        """Whether it works by itself."""
        return self._thread is not None

    def _look(self) -> None:
        """See to pressure between two rounds, as far as the last relief has been felt."""
        if len(self._care):
            with self._lock:
                self._shortage.see_to(self._pressure(), wait=True)

    def _forked(self) -> None:
        self._lock = RLock()  # a thread that is not in the child may have held it
        self._care.forked()
        self._pooling.forked()
        if self._thread is not None:
            self._thread.forked()
            self._thread.start()

    # --- looking around -------------------------------------------------------------------------------------

    @property
    def relieved(self) -> bool:
        """Whether caches are smaller than they were, because memory is short or was so lately."""
        return self._care.relieved

    @property
    def last(self) -> MemoryReport | None:
        """What the last :meth:`optimize_memory` did and measured."""
        return self._last

    def decisions(self) -> list[Decision]:
        """Return what was changed or found, the last hundred, oldest first."""
        return list(self._decisions)

    def stats(self) -> MemoryStats:
        """Return what was done so far, and how the pools in care do."""
        last = self._last
        return MemoryStats(
            self._rounds,
            self._seconds,
            self._shortage.total,
            "watching" if last is None else last.gc.action,
            tuple(sorted(self._suspected)),
            self._pressure() if last is None else last.after,
            {name: pool.stats() for name, pool in self._care.pools().items()},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread, take the pools from what is tracked, and put back the collector and the caches."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
        with self._lock:
            self._pooling.close()
            self._care.restore()
            self._discovery.close()
            if self._tuner is not None:
                self._tuner.close()


_optimizers: WeakSet[MemoryOptimizer] = WeakSet()


def _after_fork() -> None:
    for optimizer in _optimizers:
        optimizer._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
