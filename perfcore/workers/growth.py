"""Room for more workers while something is wrong: what an alert's action ``scale_workers`` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from perfcore._log import logger
from perfcore.workers.pool import WorkerPool

__all__ = ["Growth"]

#: times the workers that a pool may have by its options
_LIMIT: Final = 4


class Growth:
    """Doubles the number of workers that a pool may have, up to four times what it began with.

    Whether they begin decides the pool's own rule, so a processor that is busy already is not given more
    threads to run. The call returns what puts the number back, or None when there is no more to give.

    >>> pool = WorkerPool(min=2, max=8)
    >>> undo = Growth(pool)("an alert"); pool.max
    16
    >>> undo(); pool.max
    8
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool, self._most = pool, pool.max

    def __call__(self, occasion: object) -> Callable[[], None] | None:
        """Give the pool room."""
        more = min(self._pool.max * 2, self._most * _LIMIT)
        if more == self._pool.max:
            return None
        logger("workers").info("%s may have %d workers: %s", self._pool.name, more, occasion)
        self._pool.resize(max=more)
        return partial(self._pool.resize, max=self._most)
