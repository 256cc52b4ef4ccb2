"""A pool without workers, for where they are switched off: whoever submits a call makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from perfcore.workers import checks
from perfcore.workers.pool import Priority, WorkerPool
from perfcore.workers.pressure import run_here
from perfcore.workers.task import Task

__all__ = ["InlinePool"]

P = ParamSpec("P")
T = TypeVar("T")


class InlinePool(WorkerPool):
    """A :class:`WorkerPool` whose calls are made by who submits them, before ``submit`` returns.

    So code that uses a pool need not ask whether there is one. A call awaited with :meth:`run` is made in the
    event loop's thread. No thread is ever begun.

    >>> pool = InlinePool()
    >>> pool.submit(pow, 2, 10).result(), list(pool.map(abs, [-1, 2])), pool.stats().inline
    (1024, [1, 2], 3)
    """

    def __init__(self) -> None:
        super().__init__(1, 1)

    def submit(  # type: ignore[override]
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        priority: Priority = "normal",
        deadline: float | None = None,
        **kwargs: Any,
    ) -> Task[T]:
        """Call ``fn`` now; what it raises, whatever it is, is the result."""
        task = self._task(priority, deadline, fn, args, kwargs)
        run_here(self._crew, task)
        return task

    async def run(
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        priority: Priority = "normal",
        deadline: float | None = None,
        **kwargs: Any,
    ) -> T:
        """Call ``fn`` now, in the event loop's thread."""
        return self.submit(fn, *args, priority=priority, deadline=deadline, **kwargs).result()

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        priority: Priority = "normal",
    ) -> Iterator[T]:
        """Return an iterator that makes each call when its result is asked for."""
        if chunksize is not None:
            checks.whole("chunksize", chunksize, 1)
        items = list(zip(*iterables, strict=False))
        return (self.submit(fn, *item, priority=priority).result() for item in items)

    def resize(self, min: int | None = None, max: int | None = None) -> None:
        """Check the numbers; there are no workers to be more or fewer."""
        checks.size(self.min if min is None else min, self.max if max is None else max)
