"""Carries out the rounds of an operation in the calling thread, on blocking sockets."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from perfcore.cache.remote.node import Exchange
from perfcore.cache.remote.router import Batch, Round, Router
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, pack, refused

__all__ = ["Steps", "ask", "run"]

_T = TypeVar("_T")

#: An operation: yields commands, is sent their replies, and returns its result.
Steps: TypeAlias = Generator[Sequence[Ask], list[Any], _T]


def run(router: Router, steps: Steps[_T], deadline: float) -> _T:
    """Carry out an operation by ``deadline`` and return its result."""
    try:
        asks = next(steps)
        while True:
            asks = steps.send(ask(router, asks, deadline))
    except StopIteration as done:
        result: _T = done.value
        return result


def ask(router: Router, asks: Sequence[Ask], deadline: float) -> list[Any]:
    """Return a reply to each of ``asks``; UNAVAILABLE for those that nobody has answered in time."""
    if monotonic() >= deadline or not (router.known or router.discover(deadline)):
        return [UNAVAILABLE] * len(asks)
    if len(asks) == 1:  # by far the most frequent, without what a round costs
        node = router.node(asks[0])
        if node is None:
            return [UNAVAILABLE]
        replies = node.talk(pack([asks[0].parts]), 1, deadline)
        if replies is not None and not refused(replies[0]):
            return replies
        under_way = Round(router, asks)
        under_way.settle(Batch(node, [0], b"", 1), replies)
    else:
        under_way = Round(router, asks)
    while monotonic() < deadline and (batches := under_way.plan()):
        _exchange(under_way, batches, deadline)
    return under_way.replies


def _exchange(under_way: Round, batches: list[Batch], deadline: float) -> None:
    """Send to all nodes, then read from all."""
    sent = []
    for batch in batches:
        exchange = Exchange(batch.data, batch.count)
        sent.append(exchange if batch.node.send(exchange, deadline) else None)
    for batch, flying in zip(batches, sent, strict=True):
        under_way.settle(batch, None if flying is None else batch.node.receive(flying, deadline))
