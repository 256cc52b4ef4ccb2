"""What a backend is to the rest of scaling: it runs calls on nodes, and its nodes can change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from perfcore.monitor import PerformanceMetrics

__all__ = ["Backend", "BackendStats", "ClusterNode", "Priority"]

T = TypeVar("T")

Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node at one moment: a worker process of a cluster, or a worker of the local pool.

    It runs ``slots`` tasks at once. ``cpu`` is in percent of its slots' cores, memory in bytes; None is not
    measured, or no limit.

    >>> ClusterNode("a", slots=2, running=2, waiting=1).load
    1.5
    """

    name: str
    address: str = ""
    slots: int = 1
    running: int = 0
    waiting: int = 0
    state: Literal["running", "draining"] = "running"
    cpu: float | None = None
    memory: float | None = None
    memory_limit: float | None = None

    @property
    def load(self) -> float:
        """Tasks per slot, those that run and those that wait here."""
        return (self.running + self.waiting) / self.slots


@dataclass(frozen=True, slots=True)
class BackendStats:
    """What a backend did so far; ``active`` and ``queued`` are of this moment, and of this process's tasks.

    ``rerun`` tasks were on a node that died, or were computed again because their result was lost with it;
    ``local`` ones were run here because the cluster was lost. ``moved`` were taken from a busy node to an
    idle one by :meth:`Backend.redistribute`.
    """

    submitted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    rerun: int = 0
    local: int = 0
    moved: int = 0
    active: int = 0
    queued: int = 0


@runtime_checkable
class Backend(Protocol):
    """Runs calls on nodes. Safe to use from any thread; close it."""

    @property
    def slots(self) -> int:
        """How many tasks can run at once now."""

    def submit(
        self, fn: Callable[..., T], /, *args: Any, priority: Priority = "normal", **kwargs: Any
    ) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` on some node."""

    def nodes(self) -> list[ClusterNode]:
        """Return all nodes, by name."""

    def add_nodes(self, target: int, timeout: float) -> None:
        """Bring the number of nodes up to ``target``; raises :exc:`CapacityError` after ``timeout`` s."""

    def remove_nodes(self, names: Iterable[str], timeout: float, force: bool = False) -> None:
        """Let nodes finish what they run, move what they hold, and end them.

        Raises :exc:`DrainError` after ``timeout`` seconds, unless ``force``.
        """

    def redistribute(self, above: float, below: float) -> int:
        """Move waiting tasks from nodes with more than ``above`` times the average load to nodes with less
        than ``below`` times; return how many.
        """

    def measure(self, metrics: PerformanceMetrics) -> PerformanceMetrics:
        """Return ``metrics`` with what this backend knows better: its nodes' processors, memory, queue."""

    def stats(self) -> BackendStats:
        """Return the counts so far."""

    def close(self) -> None:
        """Let pending tasks end, then everything that the backend started; closing twice is fine."""
