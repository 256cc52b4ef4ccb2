"""Carries out the rounds of an operation on an event loop, on the library's asynchronous connections."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.node import READONLY, Node, fatal
from perfcore.cache.remote.router import Batch, Round, Router
from perfcore.cache.remote.wire import UNAVAILABLE, Ask

__all__ = ["aclose", "arun"]

_T = TypeVar("_T")
_IDLE: Final = 32
_SHORTEST: Final = 0.0005


async def arun(router: Router, steps: Steps[_T], deadline: float) -> _T:
    """Carry out an operation by ``deadline`` (monotonic) and return its result."""
    try:
        asks = next(steps)
        while True:
            asks = steps.send(await _ask(router, asks, deadline))
    except StopIteration as done:
        result: _T = done.value
        return result


async def _ask(router: Router, asks: Sequence[Ask], deadline: float) -> list[Any]:
    if not router.known and not await asyncio.to_thread(router.discover, deadline):
        return [UNAVAILABLE] * len(asks)
    under_way = Round(router, asks)
    while monotonic() < deadline and (batches := under_way.plan()):
        if len(batches) == 1:
            under_way.settle(batches[0], await _talk(batches[0], router, deadline))
            continue
        replies = await asyncio.gather(*(_talk(batch, router, deadline) for batch in batches))
        for batch, some in zip(batches, replies, strict=True):
            under_way.settle(batch, some)
    return under_way.replies


async def _talk(batch: Batch, router: Router, deadline: float) -> list[Any] | None:
    """Send a batch and return the replies, None when there are none by ``deadline``."""
    node, idle = batch.node, _idle(batch.node)
    node.calls += 1
    connection = idle.pop() if idle else None
    reused = connection is not None
    try:
        async with asyncio.timeout(max(deadline - monotonic(), _SHORTEST)):
            try:
                connection, replies = await _through(batch, router, connection, deadline)
            except Exception as error:
                if not reused or not fatal(error):
                    raise
                _drop(connection)
                while idle:  # the others are no younger
                    _drop(idle.pop())
                connection, replies = await _through(batch, router, None, deadline)
    except Exception as error:
        _drop(connection)
        node.failed(error)
        return None
    except BaseException:  # the task is cancelled: what it had asked would be the next one's answer
        _drop(connection)
        raise
    if len(idle) < _IDLE:
        idle.append(connection)
    else:
        _drop(connection)
    if node.breaker.failures:
        node.breaker.succeeded()
    return replies


async def _through(batch: Batch, router: Router, connection: Any, deadline: float) -> tuple[Any, list[Any]]:
    made = None
    try:
        if connection is None:
            left = max(deadline - monotonic(), _SHORTEST)
            connection = made = await router.connector.aconnect(batch.node.address, left)
            made.socket_timeout = None  # the whole has a deadline
            if batch.node.replica:
                await connection.send_packed_command([READONLY], check_health=False)
                await connection.read_response()
        await connection.send_packed_command([batch.data], check_health=False)
        refusal, replies = router.connector.errors, []
        for _ in range(batch.count):
            try:
                replies.append(await connection.read_response())
            except refusal as error:
                error.__traceback__ = None
                replies.append(error)
    except BaseException:
        _drop(made)
        raise
    return connection, replies


def _idle(node: Node) -> deque[Any]:
    """The idle connections that belong to the running loop."""
    if node.asynchronous is None:
        node.asynchronous = WeakKeyDictionary()
    loop = asyncio.get_running_loop()
    idle: deque[Any] | None = node.asynchronous.get(loop)
    if idle is None:
        idle = node.asynchronous[loop] = deque()
    return idle


def _drop(connection: Any) -> None:
    """Close without waiting; there is nothing more to say on this connection."""
    writer = getattr(connection, "_writer", None)
    if writer is not None:
        connection._reader = connection._writer = None
        try:
            writer.close()
        except Exception:  # the loop is closed already
            pass


async def aclose(router: Router) -> None:
    """Close the connections of the running loop."""
    for node in list(router.nodes.values()):
        idle = _idle(node)
        while idle:
            _drop(idle.pop())
    await asyncio.sleep(0)  # lets the transports go
