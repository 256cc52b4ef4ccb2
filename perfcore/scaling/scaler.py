"""More nodes, fewer nodes, and work evenly on all of them: the guide's horizontal scaler."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Self

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.scaling import checks
from perfcore.scaling.backend import Backend, ClusterNode
from perfcore.scaling.balancer import LoadBalancer
from perfcore.scaling.errors import CapacityError

if TYPE_CHECKING:
    from perfcore.scaling.backend import BackendStats

__all__ = ["HorizontalScaler", "ScalingReport"]

log = logger("scaling")

#: a node above the first share of the average load gives tasks to those below the second
ABOVE, BELOW = 1.3, 0.7


@dataclass(frozen=True, slots=True)
class ScalingReport:
    """What a change of the number of nodes came to; ``seconds`` is how long it took."""

    before: int
    after: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: int = 0
    seconds: float = 0.0


class HorizontalScaler:
    """Changes the number of a backend's nodes. One change at a time; safe to use from any thread.

    ``min_nodes`` and ``max_nodes`` (None: what the backend allows) are never passed. A node that was asked
    for has ``timeout`` seconds to come, one that is to go ``drain_timeout`` to end what it runs. ``balancer``
    is told of all changes. The backend stays the caller's to close.

    >>> from perfcore.scaling import LocalBackend
    >>> with LocalBackend(2) as backend:
    ...     scaler = HorizontalScaler(backend, max_nodes=4)
    ...     scaler.scale_out(4).after, scaler.scale_in(1).after
    (4, 1)
    """

    def __init__(
        self,
        backend: Backend,
        *,
        min_nodes: int = 1,
        max_nodes: int | None = None,
        timeout: float = 60.0,
        drain_timeout: float = 30.0,
        balancer: LoadBalancer | None = None,
    ) -> None:
        if not isinstance(backend, Backend):
            raise TypeError(f"Expected a backend, got `{type(backend).__name__}` - at `backend`")
        self.backend = backend
        self.min_nodes = checks.nodes("min_nodes", min_nodes)
        self.max_nodes = None if max_nodes is None else checks.nodes("max_nodes", max_nodes)
        if self.max_nodes is not None and self.min_nodes > self.max_nodes:
            raise ValueError(f"Expected `min_nodes` <= `max_nodes`, got {min_nodes} and {max_nodes}")
        self._timeout = checks.positive("timeout", timeout)
        self._drain_timeout = checks.positive("drain_timeout", drain_timeout)
        self.balancer = LoadBalancer() if balancer is None else balancer
        self._lock = RLock()

    @safe_repr
    def __repr__(self) -> str:
        return f"<HorizontalScaler: from {self.min_nodes} to {self.max_nodes} nodes of {self.backend!r}>"

    def nodes(self) -> list[ClusterNode]:
        """Return the nodes with their loads; the balancer then has the same."""
        nodes = self.backend.nodes()
        usable = _at_work(nodes)
        self.balancer.remove_nodes(
            {node.name for node in self.balancer.nodes()} - {node.name for node in usable}
        )
        self.balancer.add_nodes(usable)
        return nodes

    def scale_out(self, target: int) -> ScalingReport:
        """Bring the number of nodes up to ``target``, then even out what waits; nothing when there are more.

        Raises CapacityError for more than ``max_nodes``, or than come in time; those that came stay.
        """
        checks.nodes("target", target)
        if self.max_nodes is not None and target > self.max_nodes:
            raise CapacityError(f"{target} nodes were asked for, there may be {self.max_nodes}")
        with self._lock:
            started, before = time.monotonic(), _at_work(self.nodes())
            if target <= len(before):
                return ScalingReport(len(before), len(before))
            try:
                self.backend.add_nodes(target, self._timeout)
            finally:
                after = _at_work(self.nodes())
            moved = self.redistribute_load()
            return self._report(before, after, started, moved)

    def scale_in(self, target: int, *, force: bool = False) -> ScalingReport:
        """Bring the number of nodes down to ``target``; nothing when there are fewer.

        Those with the least to do go. Each ends what it runs, so no task runs twice, and hands on its
        results. Raises DrainError when that takes longer than ``drain_timeout``, and the nodes work on,
        unless ``force`` ends them all the same; ValueError below ``min_nodes``.
        """
        if checks.nodes("target", target) < self.min_nodes:
            raise ValueError(f"Expected at least {self.min_nodes} nodes, got {target} - at `target`")
        with self._lock:
            started, before = time.monotonic(), _at_work(self.nodes())
            if target >= len(before):
                return ScalingReport(len(before), len(before))
            leaving = [node.name for node in self.leaving(before, target)]
            self.balancer.remove_nodes(leaving)
            try:
                self.backend.remove_nodes(leaving, self._drain_timeout, force)
            finally:
                after = _at_work(self.nodes())
            return self._report(before, after, started)

    def scale_to(self, target: int) -> ScalingReport:
        """:meth:`scale_out` or :meth:`scale_in`, whichever it takes."""
        with self._lock:
            return self.scale_out(target) if target > len(_at_work(self.nodes())) else self.scale_in(target)

    def redistribute_load(self) -> int:
        """Move waiting tasks from nodes above 1.3 times the average load to those below 0.7; say how many."""
        with self._lock:
            return self.backend.redistribute(ABOVE, BELOW)

    @staticmethod
    def leaving(nodes: list[ClusterNode], target: int) -> list[ClusterNode]:
        """Return the nodes that go when ``target`` are to stay: idle ones first, then those that hold least.

        >>> nodes = [ClusterNode("a", running=1), ClusterNode("b"), ClusterNode("c", running=1, waiting=3)]
        >>> [node.name for node in HorizontalScaler.leaving(nodes, 1)]
        ['b', 'a']
        """
        order = sorted(nodes, key=lambda node: (node.load, node.memory or 0.0, node.name))
        return order[: max(0, len(nodes) - target)]

    def stats(self) -> BackendStats:
        """Return the counts of the backend."""
        return self.backend.stats()

    async def ascale_out(self, target: int) -> ScalingReport:
        """:meth:`scale_out`, without holding up the event loop."""
        from asyncio import to_thread

        return await to_thread(self.scale_out, target)

    async def ascale_in(self, target: int, *, force: bool = False) -> ScalingReport:
        """:meth:`scale_in`, without holding up the event loop."""
        from asyncio import to_thread

        return await to_thread(self.scale_in, target, force=force)

    def close(self) -> None:
        """Wait for a change that is under way; the backend stays open."""
        with self._lock:
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _report(
        before: list[ClusterNode], after: list[ClusterNode], started: float, moved: int = 0
    ) -> ScalingReport:
        old, new = {node.name for node in before}, {node.name for node in after}
        report = ScalingReport(
            *(len(before), len(after), tuple(sorted(new - old)), tuple(sorted(old - new))),
            *(moved, time.monotonic() - started),
        )
        log.info("%d nodes, there were %d", report.after, report.before)
        return report


def _at_work(nodes: list[ClusterNode]) -> list[ClusterNode]:
    """Return the nodes that take tasks: what is being drained is on its way out."""
    return [node for node in nodes if node.state == "running"]
