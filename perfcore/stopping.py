"""Closing things in order, all of them, in a bounded time if that is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from threading import Thread
from time import monotonic

from perfcore.types import Closable

__all__ = ["close_all", "finish"]


def close_all(things: Iterable[tuple[str, object]], deadline: float | None) -> list[BaseException]:
    """Close each of the named ``things`` that can be, one after the other; returns what went wrong.

    With a ``deadline`` (of ``time.monotonic()``) each is closed in a thread of its own, which is left behind
    when the time is up: a :exc:`TimeoutError` then says which. The next one is begun all the same, and has at
    least a tenth of a second.
    """
    errors = []
    for name, thing in things:
        if isinstance(thing, Closable):
            error = _close(thing) if deadline is None else _close_until(name, thing, deadline)
            if error is not None:
                errors.append(error)
    return errors


def finish(pool: Executor, deadline: float | None) -> list[BaseException]:
    """Let an executor finish what it was given; at the ``deadline`` what has not begun is cancelled."""
    late = close_all([("workers", _Finishing(pool))], deadline)
    if late:
        pool.shutdown(wait=False, cancel_futures=True)
    return late


class _Finishing:
    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def close(self) -> None:
        self._pool.shutdown()


def _close(thing: Closable) -> BaseException | None:
    try:
        thing.close()
    except BaseException as error:  # also KeyboardInterrupt: the things after this one are still to be closed
        return error
    return None


def _close_until(name: str, thing: Closable, deadline: float) -> BaseException | None:
    outcome: list[BaseException | None] = []
    thread = Thread(target=lambda: outcome.append(_close(thing)), name=f"perfcore-close-{name}", daemon=True)
    thread.start()
    thread.join(max(0.1, deadline - monotonic()))
    return outcome[0] if outcome else TimeoutError(f"{name} was still closing when the time was up")
