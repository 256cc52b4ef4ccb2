"""A call that is being profiled, from its beginning to its end."""

from __future__ import annotations

import os
import sys
import time
from asyncio import CancelledError
from collections import Counter
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from itertools import count
from threading import get_ident
from types import coroutine
from typing import Any, Literal

from perfcore.metrics.instrument import unwatch, watch
from perfcore.monitor.meters import Work, meter
from perfcore.monitor.profiles import Phase, Profile
from perfcore.monitor.tracing import GuardedTracer

__all__ = ["Recording", "current", "steps"]

_MOST_PHASES = 1000
_LONGEST_ERROR = 200
_ALLOCATIONS = 8
_NOTHING: Work = (0, 0, 0)
_numbers = count()
_process = f"{os.getpid():x}"
_current: ContextVar[Recording | None] = ContextVar("perfcore_profile", default=None)


def current() -> Recording | None:
    """Return the innermost profiled call of this context, if it still runs."""
    found = _current.get()
    return None if found is None or found.ended else found


class Recording:
    """Begins where it is made and ends with :meth:`finish`.

    What belongs to a call is found by context variables, so that calls nested in each other, in threads and
    in tasks keep apart. ``kind`` says how the thread's work is counted: of a ``call`` from beginning to end,
    of what is ``awaited`` in the steps in which it runs, of a ``block`` that may be suspended not at all.
    ``cost`` is in nanoseconds what it took to begin; what it takes to end counts from ``end_ns``.
    """

    __slots__ = (
        "_before",
        "_blocks",
        "_kind",
        "_observer",
        "_parent",
        "_rss",
        "_span",
        "_token",
        "_tracer",
        "_wall",
        "_work",
        "cost",
        "end_ns",
        "ended",
        "id",
        "name",
        "phases",
        "start_ns",
        "tally",
        "weight",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        weight: float,
        kind: Literal["call", "awaited", "block"] = "call",
        tracer: GuardedTracer | None = None,
    ) -> None:
        begun = time.perf_counter_ns()
        number = next(_numbers)
        self.id, self.name, self.weight = f"{_process}-{number:x}", name, weight
        self.ended = False
        self.phases: list[Phase] = []
        parent = current()
        self._parent = None if parent is None else parent.id
        self.tally: Counter[str] = Counter.__new__(Counter)  # its __init__ is slow, and adds nothing
        self._observer = watch(self.tally)
        self._token = _current.set(self)
        self._kind, self._tracer = kind, tracer
        self._span = None if tracer is None else tracer.begin(name)
        self._blocks = None if number % _ALLOCATIONS else sys.getallocatedblocks()
        read = meter()
        self._rss = read.rss()
        self._work = _NOTHING
        self._wall = time.time()
        self._before = read.work() if kind == "call" else _NOTHING
        self.start_ns = time.perf_counter_ns()
        self.cost = self.start_ns - begun

    def begin_step(self) -> None:
        """Note that the thread goes on with it."""
        self._before = meter().work()

    def end_step(self) -> None:
        """Note that the thread turns to something else."""
        self._work = _grown(self._work, self._before, meter().work())

    def begin_phase(self, name: str) -> Any:
        """Return the tracer's span of a phase that begins, if there is one."""
        if self._tracer is None or len(self.phases) >= _MOST_PHASES:
            return None
        return self._tracer.begin(name)

    def add_phase(self, name: str, begun_ns: int, span: Any, error: BaseException | None) -> None:
        """Keep a phase that ends now; the first thousand."""
        if self._tracer is not None:
            self._tracer.end(span, None, error)
        if len(self.phases) < _MOST_PHASES and not self.ended:
            now = time.perf_counter_ns()
            self.phases.append(Phase(name, (begun_ns - self.start_ns) / 1e9, (now - begun_ns) / 1e9))

    def finish(self, error: BaseException | None = None) -> Profile:
        """End it and return what it came to."""
        end = time.perf_counter_ns()
        reader = meter()  # of this thread: a block may end in another one than it began in
        if self._kind == "call":
            self._work = _grown(_NOTHING, self._before, reader.work())
        cpu, read, written = self._work if self._kind != "block" else (None, None, None)
        rss = reader.rss()
        memory = None if rss is None or self._rss is None else rss - self._rss
        blocks = None if self._blocks is None else sys.getallocatedblocks() - self._blocks
        self._leave()
        profile = Profile(
            id=self.id,
            name=self.name,
            parent=self._parent,
            weight=self.weight,
            thread=get_ident(),
            awaited=self._kind == "awaited",
            started=self._wall,
            start_ns=self.start_ns,
            duration=(end - self.start_ns) / 1e9,
            cpu_time=None if cpu is None else cpu / 1e9,
            read_bytes=read,
            written_bytes=written,
            memory_delta=memory,
            allocations=blocks,
            status=_status(error),
            error=None if error is None else f"{type(error).__name__}: {error}"[:_LONGEST_ERROR],
            phases=tuple(self.phases),
            operations=dict(self.tally),
        )
        if self._tracer is not None:
            self._tracer.end(self._span, profile, error)
        self.end_ns = end
        return profile

    def abandon(self) -> None:
        """Forget it: there was no call to be profiled."""
        self._leave()
        if self._tracer is not None:
            self._tracer.drop(self._span)

    def _leave(self) -> None:
        """Leave the context as it was."""
        self.ended = True
        try:
            unwatch(self._observer)
            _current.reset(self._token)
        except ValueError:  # ended in another context, as what is collected while suspended is
            pass


def _grown(so_far: Work, then: Work, now: Work) -> Work:
    """Return what a thread has done, with what it did between two looks; a fork begins all counts anew."""
    cpu = so_far[0] + max(0, now[0] - then[0])
    if now[1] is None or now[2] is None or then[1] is None or then[2] is None or now[1] < then[1]:
        return cpu, None, None
    return cpu, (so_far[1] or 0) + now[1] - then[1], (so_far[2] or 0) + now[2] - then[2]


def _status(error: BaseException | None) -> Literal["success", "error", "cancelled"]:
    if error is None:
        return "success"
    return "cancelled" if isinstance(error, CancelledError | GeneratorExit) else "error"


@coroutine
def steps(recording: Recording, awaited: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run a coroutine to its end, and count what the thread does in the steps in which it runs."""
    step, value = awaited.send, None
    while True:
        recording.begin_step()
        try:
            yielded = step(value)
        except StopIteration as stop:
            return stop.value
        finally:
            recording.end_step()
        try:
            step, value = awaited.send, (yield yielded)
        except GeneratorExit:
            awaited.close()
            raise
        except BaseException as error:
            step, value = awaited.throw, error


def _forked() -> None:
    global _process
    _process = f"{os.getpid():x}"


os.register_at_fork(after_in_child=_forked)
