"""``PerformanceProfiler``: what a share of the calls takes, for what the others do not notice."""

from __future__ import annotations

import os
import time
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from heapq import heappush, heappushpop
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from threading import Lock
from types import CoroutineType, TracebackType
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar
from weakref import WeakSet

from perfcore._repr import safe_repr
from perfcore.monitor.profiles import Profile, ProfileFilter
from perfcore.monitor.recording import Recording, current, steps
from perfcore.monitor.sampling import Gate
from perfcore.monitor.tracing import GuardedTracer, Tracer
from perfcore.monitor.wrapping import wrapped

__all__ = ["PerformanceProfiler", "ProfilerStats"]

P = ParamSpec("P")
R = TypeVar("R")
_SLOWEST = 32


class ProfilerStats(NamedTuple):
    """What was profiled: samples, the calls that they stand for, errors among them, profiles kept; and the
    seconds that profiling itself has taken.
    """

    samples: int
    calls: float
    errors: int
    kept: int
    cost: float


class PerformanceProfiler:
    """Profiles calls, functions and blocks, of which it samples the share ``sampling_rate``.

    A profile has wall and CPU time, memory, I/O, phases and cache operations of one call, its status and how
    many calls it stands for. The last ``capacity`` are kept, and besides the 32 slowest of all. A ``tracer``
    (:class:`.SpanTracer`) is told of sampled calls while they run. It never changes what a call returns or
    raises.

    >>> profiler = PerformanceProfiler(sampling_rate=1.0)
    >>> profiler.profile("total", sum, [1, 2, 3])
    6
    >>> @profiler.profiled
    ... def load(n):
    ...     with profiler.phase("parse"):
    ...         return n * 2
    >>> load(21)
    42
    >>> with profiler.span("shutdown"): pass
    >>> [(p.name.split(".")[-1], [phase.name for phase in p.phases]) for p in profiler.get_profiles()]
    [('shutdown', []), ('load', ['parse']), ('total', [])]
    """

    def __init__(
        self, sampling_rate: float = 0.1, *, capacity: int = 1000, tracer: Tracer | None = None
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity!r}")
        self._rate = float(sampling_rate)
        self._tracer = None if tracer is None else GuardedTracer(tracer)
        self._gate = Gate(self._rate)
        self._gates: WeakSet[Gate] = WeakSet()
        self._paused = False
        self._kept: deque[Profile] = deque(maxlen=capacity)
        self._slowest: list[tuple[float, str, Profile]] = []
        self._samples = self._errors = self._cost = 0
        self._calls = 0.0
        self._forked()
        _profilers.add(self)

    @safe_repr
    def __repr__(self) -> str:
        return f"<PerformanceProfiler: {self._rate:.0%} of calls, {len(self._kept)} profiles>"

    @property
    def sampling_rate(self) -> float:
        """The share of calls that are sampled; may be assigned. ValueError if it is not from 0 to 1."""
        return self._rate

    @sampling_rate.setter
    def sampling_rate(self, rate: float) -> None:
        self._rate = Gate(float(rate)).rate  # which refuses what is no rate
        if not self._paused:
            self.resume()

    def pause(self) -> None:
        """Sample nothing until :meth:`resume`; what is being profiled is kept."""
        self._paused = True
        for gate in (self._gate, *self._gates):
            gate.pause()

    def resume(self) -> None:
        """Sample again."""
        self._paused = False
        for gate in (self._gate, *self._gates):
            gate.resume(self._rate)

    # -- profiling --

    def profile(self, name: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``fn``; where it is a coroutine function, return what to await."""
        for _ in self._gate.skips:
            return fn(*args, **kwargs)
        return self._perhaps(self._gate, name, fn, args, kwargs)

    def profiled(self, fn: Callable[P, R], /, *, name: str | None = None) -> Callable[P, R]:
        """Decorate a function or coroutine function; ``name`` is by default its module and qualified name.

        Raises TypeError for a generator function: its call takes no time, and its steps are not one call.
        """
        if isgeneratorfunction(fn) or isasyncgenfunction(fn):
            raise TypeError(f"{fn!r} makes generators; profile what goes through them")
        title = name or f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', repr(fn))}"
        gate = Gate(self._rate)
        self._gates.add(gate)
        if self._paused:
            gate.pause()

        profiled: Callable[P, R] = wrapped(fn, gate, title, self._perhaps)
        if iscoroutinefunction(fn):
            _mark(profiled)
        return profiled

    def span(self, name: str) -> Any:
        """Return a context manager, plain or ``async``, that profiles its block if it is sampled."""
        for _ in self._gate.skips:
            return _NOTHING
        return _Span(self, name) if self._gate.sampled() else _NOTHING

    def phase(self, name: str) -> Any:
        """Return a context manager that names a part of the profiled call it is in, if it is in one."""
        recording = current()
        return _NOTHING if recording is None else _PhaseBlock(recording, name)

    def carried(self, fn: Callable[P, R], /) -> Callable[P, R]:
        """Return ``fn`` to be called in other threads as part of the call that this is called in.

        Tasks and ``asyncio.to_thread`` do that by themselves; threads, also those of executors, begin with
        nothing.

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> profiler = PerformanceProfiler(1.0)
        >>> with profiler.span("request"), ThreadPoolExecutor() as pool:
        ...     pool.submit(profiler.carried(profiler.profile), "load", len, "abc").result()
        3
        >>> request, load = sorted(profiler.get_profiles(), key=lambda profile: profile.start_ns)
        >>> load.parent == request.id
        True
        """
        here = copy_context()

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return here.copy().run(fn, *args, **kwargs)  # a context is in one thread at a time

        return call

    def _perhaps(self, gate: Gate, name: str, fn: Callable[..., R], args: Any, kwargs: Any) -> R:
        if not gate.sampled():
            return fn(*args, **kwargs)
        recording = Recording(name, gate.weight, "call", self._tracer)
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            self._keep(recording, error)
            raise
        if type(result) is CoroutineType:
            recording.abandon()
            return self._awaited(name, gate.weight, result)  # type: ignore[return-value, arg-type]
        self._keep(recording, None)
        return result

    async def _awaited(self, name: str, weight: float, awaited: Coroutine[Any, Any, Any]) -> Any:
        recording = Recording(name, weight, "awaited", self._tracer)
        try:
            result = await steps(recording, awaited)
        except BaseException as error:
            self._keep(recording, error)
            raise
        self._keep(recording, None)
        return result

    def _keep(self, recording: Recording, error: BaseException | None) -> None:
        profile = recording.finish(error)
        entry = profile.duration, profile.id, profile
        with self._lock:
            self._kept.append(profile)
            if len(self._slowest) < _SLOWEST:
                heappush(self._slowest, entry)
            elif entry > self._slowest[0]:
                heappushpop(self._slowest, entry)
            self._samples += 1
            self._errors += error is not None
            self._calls += profile.weight
            self._cost += recording.cost + time.perf_counter_ns() - recording.end_ns

    # -- looking --

    def get_profiles(self, filter: ProfileFilter | None = None, /, **fields: Any) -> list[Profile]:
        """Return the profiles that match, the latest first; ``fields`` are those of :class:`ProfileFilter`.

        >>> profiler = PerformanceProfiler(1.0)
        >>> _ = profiler.profile("a", len, "x"), profiler.profile("b", len, "x")
        >>> [profile.name for profile in profiler.get_profiles(name="b")]
        ['b']
        """
        wanted = ProfileFilter(**fields) if filter is None else filter
        matching = [profile for profile in self._all().values() if wanted.matches(profile)]
        return sorted(matching, key=lambda profile: profile.start_ns, reverse=True)

    def clear(self) -> None:
        """Forget all profiles; counts go on."""
        with self._lock:
            self._kept.clear()
            self._slowest.clear()

    def stats(self) -> ProfilerStats:
        """Return the counts so far."""
        kept = len(self._all())
        return ProfilerStats(self._samples, self._calls, self._errors, kept, self._cost / 1e9)

    def _all(self) -> dict[str, Profile]:
        with self._lock:
            slowest, kept = [*self._slowest], [*self._kept]
        return {profile.id: profile for profile in (*(entry[2] for entry in slowest), *kept)}

    def _forked(self) -> None:
        self._lock = Lock()
        for gate in (self._gate, *self._gates):
            gate.forked()


class _Nothing:
    """A block that is not sampled."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        return None


_NOTHING = _Nothing()


class _Span:
    """A block that is sampled."""

    def __init__(self, profiler: PerformanceProfiler, name: str) -> None:
        self._profiler, self._name = profiler, name

    def _record(self, kind: Literal["call", "block"]) -> None:
        profiler = self._profiler
        self._recording = Recording(self._name, profiler._gate.weight, kind, profiler._tracer)

    def __enter__(self) -> None:
        # a block on an event loop may await, and the thread then does others' work
        self._record("call" if _get_running_loop() is None else "block")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._profiler._keep(self._recording, error)

    async def __aenter__(self) -> None:
        self._record("block")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._profiler._keep(self._recording, error)


class _PhaseBlock:
    """A phase of a call that is sampled."""

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording, self._name = recording, name

    def __enter__(self) -> None:
        self._span = self._recording.begin_phase(self._name)
        self._begun = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recording.add_phase(self._name, self._begun, self._span, error)


def _mark(function: Any) -> None:
    """Let a plain function that returns coroutines pass for a coroutine function."""
    import asyncio
    import inspect

    if hasattr(inspect, "markcoroutinefunction"):  # 3.12
        inspect.markcoroutinefunction(function)
    else:
        function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


_profilers: WeakSet[PerformanceProfiler] = WeakSet()


def _forked() -> None:
    for profiler in _profilers:
        profiler._forked()


os.register_at_fork(after_in_child=_forked)
