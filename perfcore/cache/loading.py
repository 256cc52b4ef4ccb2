"""Values computed when nobody has them: one at a time, fresh or stale, waited for or not."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, TimeoutError, wait
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from time import monotonic
from typing import Any

from perfcore._log import logger
from perfcore.units import parse_duration

__all__ = ["Flow", "Plan", "Tasks", "in_background", "seconds", "wait_for"]

_log = logger("cache")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a caller of ``get_or_set`` wants, checked; durations are seconds."""

    ttl: float | None = None
    stale_ttl: float = 0
    stale_on_error: bool = False
    refresh_ahead: float = 0
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    negative_ttl: float | None = None

    @classmethod
    def of(cls, ttl: Any, options: dict[str, Any]) -> Plan:
        """Return the plan; raises :exc:`TypeError` and :exc:`ValueError`, naming the options, for
        contradictions.
        """
        unknown = options.keys() - cls.__slots__
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        times = {name: seconds(name, value) for name, value in options.items() if name != "stale_on_error"}
        given: dict[str, Any] = {name: value for name, value in times.items() if value is not None}
        plan = cls(seconds("ttl", ttl), stale_on_error=bool(options.get("stale_on_error")), **given)
        for name in ("stale_ttl", "refresh_ahead"):
            if getattr(plan, name) and plan.ttl is None:
                raise ValueError(f"{name} needs ttl: without one, nothing is ever stale")
        if plan.stale_on_error and not plan.stale_ttl:
            raise ValueError("stale_on_error needs stale_ttl: how long a value is kept for that")
        if plan.soft_timeout is not None and not plan.stale_ttl:
            raise ValueError("soft_timeout needs stale_ttl: there would be nothing to serve after it")
        if plan.soft_timeout and plan.hard_timeout and plan.hard_timeout < plan.soft_timeout:
            raise ValueError("hard_timeout is below soft_timeout")
        return plan

    @property
    def waits(self) -> bool:
        """Whether a stale value is for when computing fails or takes long, and not to be served at once."""
        return self.stale_on_error or self.soft_timeout is not None

    def life(self, value: Any) -> float | None:
        """Return how long ``value`` is fresh."""
        return self.negative_ttl if value is None and self.negative_ttl is not None else self.ttl

    def due(self, fresh: float) -> bool:
        """Say whether a value that is fresh until ``fresh`` is to be computed anew already."""
        return self.refresh_ahead > 0 and fresh - monotonic() < self.refresh_ahead


def seconds(name: str, value: float | timedelta | None) -> float | None:
    """Return a duration in seconds, None for None; raises, naming it, for what is none or not positive."""
    try:
        found = None if value is None else parse_duration(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    if found is not None and found <= 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return found


# -- threads --


def in_background(call: Callable[[], Any]) -> Future[Any]:
    """Call in a thread that nobody has to wait for, and that does not keep the interpreter alive."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    try:
        Thread(target=run, name="perfcore-load", daemon=True).start()
    except RuntimeError:  # the interpreter ends, or the system is out of threads
        run()
    return future


def wait_for(future: Future[Any], timeout: float | None) -> bool:
    """Wait for up to ``timeout`` seconds; say whether ``future`` is done."""
    return bool(wait([future], timeout).done)


class Flow:
    """The waiting of one thread for one value: the plan's timeouts, and the stale value that may stand in."""

    def __init__(self, plan: Plan, stale: Any, absent: Any) -> None:
        self._plan, self._stale, self._absent = plan, stale, absent

    def get(self, call: Callable[[], Any]) -> Any:
        """Return what ``call`` returns, or the stale value where the plan says so."""
        plan = self._plan
        try:
            if plan.soft_timeout is None and plan.hard_timeout is None:
                return call()
            return self._timed(in_background(call))
        except TimeoutError:
            raise
        except Exception:
            if plan.stale_on_error and self._stale is not self._absent:
                return self._stale
            raise

    def _timed(self, future: Future[Any]) -> Any:
        plan, begun = self._plan, monotonic()
        if plan.soft_timeout is not None and self._stale is not self._absent:
            return future.result() if wait_for(future, plan.soft_timeout) else self._stale
        left = None if plan.hard_timeout is None else plan.hard_timeout - (monotonic() - begun)
        if not wait_for(future, left):
            raise TimeoutError(f"not computed within {plan.hard_timeout:g} s; it goes on")
        return future.result()


# -- tasks --

_inside: ContextVar[tuple[Any, ...]] = ContextVar("perfcore_loading", default=())


class Tasks:
    """The computations under way on event loops: of all tasks of a loop that want one key, one computes."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[int, Any], asyncio.Task[Any]] = {}

    def begin(self, key: Any, compute: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any] | None:
        """Return the task that computes ``key``; None when the caller is part of it."""
        loop = asyncio.get_running_loop()
        place = id(loop), key
        if place in _inside.get():
            return None
        task = self._tasks.get(place)
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._tasks[place] = loop.create_task(self._run(place, compute))
            task.add_done_callback(_seen)
        return task

    async def _run(self, place: tuple[int, Any], compute: Callable[[], Awaitable[Any]]) -> Any:
        _inside.set((*_inside.get(), place))
        try:
            return await compute()
        finally:
            self._tasks.pop(place, None)

    async def get(self, task: asyncio.Task[Any], plan: Plan, stale: Any, absent: Any) -> Any:
        """Wait for ``task``, which goes on whatever becomes of the caller."""
        try:
            if plan.soft_timeout is not None and stale is not absent:
                done, _ = await asyncio.wait([task], timeout=plan.soft_timeout)
                return await asyncio.shield(task) if done else stale
            return await asyncio.wait_for(asyncio.shield(task), plan.hard_timeout)
        except builtins.TimeoutError:
            raise
        except Exception:
            if plan.stale_on_error and stale is not absent:
                return stale
            raise


def _seen(task: asyncio.Task[Any]) -> None:
    """Look at the outcome, which those who waited may have given up on."""
    if not task.cancelled() and task.exception() is not None:
        _log.debug("a computation failed with %s", type(task.exception()).__name__)
