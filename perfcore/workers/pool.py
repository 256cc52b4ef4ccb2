"""The pool of workers: an executor with priorities, bounds and a size that follows the work."""

from __future__ import annotations

import asyncio
import contextvars
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from itertools import count
from typing import Any, Literal, ParamSpec, TypeVar

from perfcore._repr import safe_repr
from perfcore.units import parse_size
from perfcore.workers import checks, mapping
from perfcore.workers.affinity import bind, choose
from perfcore.workers.crew import Crew
from perfcore.workers.keeper import resize
from perfcore.workers.packing import pack
from perfcore.workers.pressure import Policy, press, refused
from perfcore.workers.processes import ProcessRunner, executor_type
from perfcore.workers.queues import Queues
from perfcore.workers.stats import PoolStats, loads_of, publish, stats_of
from perfcore.workers.task import Task
from perfcore.workers.worker import Runner

__all__ = ["Priority", "WorkerPool"]

P = ParamSpec("P")
T = TypeVar("T")

Priority = Literal["high", "normal", "low"]

_names = count(1)


class WorkerPool(Executor):
    """Runs calls in threads or processes: urgent ones first, none for ever last, and never too many waiting.

    It is a :class:`concurrent.futures.Executor`; ``submit`` takes a ``priority`` and a ``deadline`` besides.

    * ``min``, ``max``: workers, at least and at most. They begin with the first tasks; above ``min`` only
      while tasks wait for workers that wait themselves, and they go after ``idle`` seconds of rest.
      ``scaling="fixed"`` always has ``max``. A worker that waits for a task of the same pool does not count.
    * ``kind``: ``"thread"``, or ``"process"`` (extra ``processes``): each worker has a process of its own.
      When it dies its task fails, after ``retries`` more attempts; an answer of more than ``max_result``
      bytes is refused.
    * ``queues``: how many tasks of each priority may wait, by default 100 high, 500 normal, 1000 low.
    * ``when_full``: ``"block"`` up to ``patience`` seconds, ``"raise"``, ``"caller_runs"``, or
      ``"drop_low"``: the oldest low task is cancelled and makes room. A worker that submits never blocks: it
      runs the task itself.
    * ``affinity``: True, or numbers of processors, to bind workers to, in turns.

    Raises ValueError and TypeError for options that make no sense, MissingExtraError without loky.

    >>> with WorkerPool(min=1, max=4) as pool:
    ...     pool.submit(pow, 2, 10, priority="high").result(), list(pool.map(abs, [-1, 2]))
    (1024, [1, 2])
    """

    def __init__(
        self,
        min: int = 2,
        max: int = 8,
        *,
        scaling: Literal["adaptive", "fixed"] = "adaptive",
        kind: Literal["thread", "process"] = "thread",
        queues: Mapping[str, int] | None = None,
        when_full: Policy = "block",
        patience: float | None = None,
        idle: float = 10.0,
        affinity: bool | Iterable[int] = False,
        retries: int = 0,
        max_result: int | str = "256MB",
        name: str | None = None,
    ) -> None:
        checks.size(min, max)
        checks.one_of("scaling", scaling, ("adaptive", "fixed"))
        checks.one_of("kind", kind, ("thread", "process"))
        checks.one_of("when_full", when_full, ("block", "raise", "caller_runs", "drop_low"))
        self.min, self.max, self.kind, self.scaling = min, max, kind, scaling
        self.name = f"perfcore-workers-{next(_names)}" if name is None else name
        self._when_full: Policy = when_full
        self._patience = None if patience is None else checks.seconds("patience", patience)
        processors = choose(affinity)
        runner: Callable[[], Runner] = Runner
        if kind == "process":
            executor_type()  # says at once what is missing
            runner = partial(
                ProcessRunner, checks.whole("retries", retries, 0), parse_size(max_result), processors
            )
        self._packs = kind == "process"
        self._crew = Crew(
            Queues(checks.bounds(queues)),
            max if scaling == "fixed" else min,
            max,
            idle=checks.seconds("idle", idle),
            name=self.name,
            runner=runner,
            prepare=None if self._packs or not processors else lambda worker: bind(processors, worker.number),
        )
        self._end = weakref.finalize(self, self._crew.close)
        self._end.atexit = False  # the crew ends itself, later

    def submit(  # type: ignore[override]
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        priority: Priority = "normal",
        deadline: float | None = None,
        **kwargs: Any,
    ) -> Task[T]:
        """Call ``fn(*args, **kwargs)`` in a worker and return its future.

        A task that has not been started ``deadline`` seconds from now is not run: its future raises
        DeadlineError. Keyword arguments called ``priority`` and ``deadline`` are the pool's: wrap ``fn`` in
        :func:`functools.partial` to give it some. Raises QueueFullError, where the pool raises when a queue
        is full; UnpicklableError for what cannot be sent to a process; RuntimeError after the shutdown.

        >>> with WorkerPool() as pool:
        ...     pool.submit(str.upper, "a", deadline=30).result()
        'A'
        """
        task = self._task(priority, deadline, fn, args, kwargs)
        if not self._crew.offer(task):
            press(self._crew, task, self._when_full, self._patience)
        return task

    def _task(
        self,
        priority: Priority,
        deadline: float | None,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Task[T]:
        try:
            level = _LEVEL[priority]
        except (KeyError, TypeError):
            checks.one_of("priority", priority, tuple(_LEVEL))
            raise
        expires = None if deadline is None else time.monotonic() + checks.seconds("deadline", deadline)
        call = (pack(fn, args, kwargs),) if self._packs else (fn, args, kwargs)
        return Task(self._crew, call, level, expires)

    async def run(
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        priority: Priority = "normal",
        deadline: float | None = None,
        **kwargs: Any,
    ) -> T:
        """Call ``fn`` in a worker from a coroutine, in a copy of its context, and return what it returns.

        Cancelling the coroutine's task cancels the call while it waits. An event loop must not be blocked, so
        a full queue raises QueueFullError unless a low task can be dropped for this one.

        >>> asyncio.run(WorkerPool().run(pow, 3, 2))
        9
        """
        call = fn if self._packs else partial(contextvars.copy_context().run, fn)
        task = self._task(priority, deadline, call, args, kwargs)
        if not self._crew.offer(task):
            if self._when_full != "drop_low":
                raise refused(self._crew, task)
            press(self._crew, task, "drop_low", None)
        return await asyncio.wrap_future(task)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        priority: Priority = "normal",
    ) -> Iterator[T]:
        """Return an iterator over ``fn`` of the items, in their order, like :func:`map`.

        Items are taken at once and run in chunks. How long a chunk is follows from how long its calls take,
        unless ``chunksize`` says it; in processes it is a quarter of each worker's share. Raises what a call
        raises, at its place, and TimeoutError when a result is not there ``timeout`` seconds from now.

        >>> with WorkerPool() as pool:
        ...     list(pool.map(pow, range(4), [2] * 4))
        [0, 1, 4, 9]
        """
        if chunksize is not None:
            checks.whole("chunksize", chunksize, 1)
        items = list(zip(*iterables, strict=False))

        def send(chunks: list[mapping.Chunk], must: bool) -> bool:
            return self._send(fn, chunks, priority, must)

        end = None if timeout is None else time.monotonic() + timeout
        chunks = mapping.first_chunks(items, self.max, chunksize, send)
        for chunk in chunks:
            send([chunk], True)
        first = chunks[0] if chunks else None
        return mapping.results(first, end)

    def _send(
        self, fn: Callable[..., Any], chunks: list[mapping.Chunk], priority: Priority, must: bool
    ) -> bool:
        if self._packs:
            for chunk in chunks:  # which never divide: nobody looks at the clock there
                chunk.divides = False
                chunk.task = self.submit(mapping.batch, fn, chunk.items, priority=priority)
            return True
        tasks = [Task[None](self._crew, (chunk.run, (fn,), {}), _LEVEL[priority], None) for chunk in chunks]
        for chunk, task in zip(chunks, tasks, strict=True):
            chunk.task = task
        if must:
            for task in tasks:
                if not self._crew.offer(task):
                    press(self._crew, task, self._when_full, self._patience)
            return True
        return self._crew.offer_all(tasks)

    def stats(self) -> PoolStats:
        """Return what the pool did so far and does now.

        >>> WorkerPool().stats().queued
        {'high': 0, 'normal': 0, 'low': 0}
        """
        return stats_of(self._crew)

    def publish(self, registry: Any) -> None:
        """Set the gauges ``perfcore_workers_*`` of a metrics registry to the pool's numbers."""
        publish(self.stats(), registry, self.name)

    def decisions(self) -> list[str]:
        """Return the latest decisions about the number of workers, each with its reason, oldest first."""
        return list(self._crew.decisions)

    def resize(self, min: int | None = None, max: int | None = None) -> None:
        """Change how many workers there may be; None leaves a bound as it is.

        More workers begin when tasks wait for them; one too many goes when its task has ended. Raises as the
        pool itself does.

        >>> pool = WorkerPool(min=1, max=2)
        >>> pool.resize(max=6); pool.min, pool.max
        (1, 6)
        """
        least, most = self.min if min is None else min, self.max if max is None else max
        checks.size(least, most)
        self.min, self.max = least, most
        resize(self._crew, most if self.scaling == "fixed" else least, most)

    def loads(self) -> list[tuple[int, int]]:
        """Return of each worker that has begun how many tasks it runs, 0 or 1, and how many wait for it.

        >>> WorkerPool().loads()
        []
        """
        return loads_of(self._crew)

    def rebalance(self) -> int:
        """Move half of what waits at workers above 1.5 times the average; return how many tasks moved."""
        with self._crew.lock:
            return self._crew.queues.rebalance()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept nothing more; run what waits, or cancel it; ``wait`` for the workers to end."""
        self._crew.close()
        if cancel_futures:
            for task in self._crew.drain():
                task.discard()
        if wait:
            self._crew.join()

    def close(self, timeout: float | None = None) -> bool:
        """Cancel what waits and wait up to ``timeout`` seconds for what runs; say whether all of it ended.

        What does not end is given up on: processes are killed, and threads hold up nothing, also not the end
        of the interpreter.

        >>> WorkerPool().close()
        True
        """
        self.shutdown(wait=False, cancel_futures=True)
        if self._crew.join(timeout):
            return True
        self._crew.abandon()
        return False

    @safe_repr
    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<WorkerPool {self.name}: {stats.busy} of {stats.workers} workers busy, "
            f"{sum(stats.queued.values())} tasks wait>"
        )


_LEVEL: dict[Any, int] = {"high": 0, "normal": 1, "low": 2}
