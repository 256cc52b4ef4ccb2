"""A Dask cluster as a backend: local processes, SSH, an address, or any cluster object of Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from uuid import uuid4

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.scaling import checks, cluster, private
from perfcore.scaling.backend import Backend, BackendStats, ClusterNode, Priority
from perfcore.scaling.connection import Connection
from perfcore.scaling.errors import ScalingError, SchedulerLostError
from perfcore.scaling.tasks import ClusterTask, Tasks
from perfcore.units import parse_size
from perfcore.workers.packing import call as make_call
from perfcore.workers.packing import pack

if TYPE_CHECKING:
    from perfcore.monitor import PerformanceMetrics
    from perfcore.scaling.autoscale import AutoScaler

__all__ = ["DaskBackend"]

T = TypeVar("T")

log = logger("scaling")

_PRIORITIES: dict[Any, int] = {"high": 10, "normal": 0, "low": -10}


class DaskBackend:
    """Runs calls on a Dask cluster (extra ``dask``), whose workers are the nodes.

    * ``where``: the address of a scheduler, or a cluster object of Dask (``SSHCluster``, ``KubeCluster``, any
      ``SpecCluster``), which stays the caller's to close. :meth:`local` starts one on this machine.
    * ``timeout``: seconds in which a scheduler that is lost, or never was there, is an error.
    * ``fallback``: True, or a backend: what becomes of tasks, pending and new, when the scheduler is lost.
      They are run there, also those that the cluster may have begun. Without one they raise.
    * ``max_result``: bytes that a task may return.
    * ``max_nodes``: how many nodes there may be; None leaves that to the cluster.

    Nodes need the same perfcore, Python and distributed as this process. A call is sent by value where it
    cannot be imported there. Dask takes some 10 ms for a task: send it work of 100 ms and more.

    Raises MissingExtraError without distributed, SchedulerLostError when no scheduler answers,
    VersionMismatchError for a cluster of other versions.
    """

    def __init__(
        self,
        where: Any,
        *,
        timeout: float = 30.0,
        fallback: bool | Backend = False,
        max_result: int | str = "256MB",
        max_nodes: int | None = None,
    ) -> None:
        checks.address(where)
        self._timeout = checks.positive("timeout", timeout)
        self._max_result = parse_size(max_result)
        self.max_nodes = None if max_nodes is None else checks.nodes("max_nodes", max_nodes)
        self._fallback = fallback if fallback not in (True, False) else None
        self._may_fall_back = bool(fallback)
        self._lock = Lock()
        self._closed = ""
        self._seen_slots = 1
        self._spare: dict[Any, Any] = {}  # machines that were given and are not used now
        self._tasks = Tasks(self._lose)
        self.rerun = self.local_runs = self.moved = 0
        self._owned: Any = None
        self.where = where if isinstance(where, str) else getattr(where, "scheduler_address", str(where))
        self._cluster = None if isinstance(where, str) else where
        self._connection: Connection | None = None
        try:
            self._connection = Connection(where, self.where, self._timeout, self._lose, self._hear)
        except SchedulerLostError as error:
            if not self._may_fall_back:
                raise
            log.warning("%s: tasks run in this process", error)

    @classmethod
    def local(
        cls, n_workers: int = 2, *, threads: int = 1, options: dict[str, Any] | None = None, **own: Any
    ) -> Self:
        """Start a cluster of ``n_workers`` processes on this machine, which is closed with the backend.

        ``options`` go to Dask's ``LocalCluster``, the rest to the backend. A program that does this at its
        top level needs ``if __name__ == "__main__":``, as with :mod:`multiprocessing`.
        """
        started = cluster.start_local(checks.nodes("n_workers", n_workers), threads, options or {})
        return cls._owning(started, own)

    @classmethod
    def ssh(cls, hosts: list[str], *, options: dict[str, Any] | None = None, **own: Any) -> Self:
        """Start a scheduler on the first host and a worker on each other one, over SSH (extra ``ssh``).

        ``options`` may have the ``connect_options``, ``worker_options``, ``scheduler_options`` and
        ``remote_python`` of Dask's ``SSHCluster``. There are no more nodes than hosts.
        """
        started = cluster.start_ssh(hosts, options or {})
        backend = cls._owning(started, own)
        try:
            backend.add_nodes(len(hosts) - 1, backend._timeout)  # who has said that it starts comes later
        except BaseException:
            backend.close(wait=False)
            raise
        return backend

    @classmethod
    def _owning(cls, started: Any, own: dict[str, Any]) -> Self:
        try:
            backend = cls(started, **own)
        except BaseException:
            started.close()
            raise
        backend._owned = started
        return backend

    # --- tasks ----------------------------------------------------------------------------------------------

    def submit(
        self, fn: Callable[..., T], /, *args: Any, priority: Priority = "normal", **kwargs: Any
    ) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` on some node and return its future.

        It may run twice when the node that runs it dies. Raises UnpicklableError, which names the part that
        cannot be sent, and SchedulerLostError.
        """
        level = checks.priority(priority, _PRIORITIES)
        packed = pack(fn, args, kwargs)
        reason = self._unusable()
        if reason:
            if not self._may_fall_back or self._closed:
                raise SchedulerLostError(f"the scheduler at {self.where} cannot be used: {reason}")
            with self._lock:
                self.local_runs += 1
            return self._other().submit(fn, *args, priority=priority, **kwargs)
        name = getattr(fn, "__name__", type(fn).__name__).strip("<>")
        key = f"{name}-{uuid4().hex}"  # Dask learns how long tasks of one name take
        task: ClusterTask[T] = ClusterTask(
            key, self._tasks, (fn, args, kwargs, priority) if self._may_fall_back else None
        )
        remote = self._client.submit(make_call, packed, self._max_result, key=key, pure=False, priority=level)
        self._tasks.add(task, remote)
        return task

    @property
    def slots(self) -> int:
        """How many tasks can run at once now; at least 1."""
        if self._unusable():
            return self._other().slots if self._may_fall_back else 1
        return max(1, int(self._ask(self._client.scheduler.identity, n_workers=0)["total_threads"]))

    def stats(self) -> BackendStats:
        """Return the counts so far."""
        tasks, pending = self._tasks, len(self._tasks)
        slots = self._seen_slots
        return BackendStats(
            *(tasks.submitted, tasks.completed, tasks.failed, tasks.cancelled),
            *(self.rerun, self.local_runs, self.moved),
            active=min(pending, slots),
            queued=max(0, pending - slots),
        )

    # --- nodes ----------------------------------------------------------------------------------------------

    def nodes(self) -> list[ClusterNode]:
        """Return the workers that the scheduler knows, by name; raises SchedulerLostError."""
        return sorted(self._look()[1], key=lambda node: (len(node.name), node.name))

    def measure(self, metrics: PerformanceMetrics) -> PerformanceMetrics:
        """Return ``metrics`` with processors, memory and queue of the cluster in place of this machine's.

        What some worker has not reported is None, and so is all of it when the scheduler does not answer.
        """
        try:
            queued, nodes = self._look()
        except ScalingError:
            queued, nodes = None, []
        return cluster.overlay(metrics, queued, nodes)

    def add_nodes(self, target: int, timeout: float) -> None:
        """Bring the number of workers up to ``target``.

        Raises CapacityError when there may not be so many, the cluster has no way to start some, or they are
        not there after ``timeout`` seconds; what has not come by then is called off.
        """
        cluster.allow(target, self.max_nodes, self._cluster, self.where, self._spare)
        self._ask(
            *(cluster.grow, self._client, self._cluster, target, timeout, self._spare), patience=2 * timeout
        )

    def remove_nodes(self, names: Iterable[str], timeout: float, force: bool = False) -> None:
        """Let workers end what they run, move their results, and end them; see :mod:`.drain`.

        Raises DrainError after ``timeout`` seconds, when they are put back to work, unless ``force`` ends
        them all the same (what they run is then run again). KeyError for a name that no worker has.
        """
        from perfcore.scaling.drain import drain

        found = self._ask(cluster.addresses, self._client, list(names))
        patience = timeout + self._timeout
        given = getattr(self._cluster, "worker_spec", {}) if cluster.is_given(self._cluster) else {}
        spare = {name: given[name] for name in found.values() if name in given}
        self._ask(drain, self._client, self._cluster, found, timeout, force=force, patience=patience)
        self._spare |= spare

    def redistribute(self, above: float, below: float) -> int:
        """Ask busy workers to give waiting tasks to idle ones; returns how many were asked for."""
        moved = int(self._ask(self._client.run_on_scheduler, private.redistribution(above, below)))
        with self._lock:
            self.moved += moved
        return moved

    def adapt(self, rules: AutoScaler) -> Callable[[], None] | None:
        """Let an auto-scaler decide on the cluster's loop, through Dask's ``Adaptive``; return its end.

        None where only the scheduler's address is known, or the scheduler is lost.
        """
        if self._unusable() or not hasattr(self._cluster, "adapt"):
            return None
        from perfcore.scaling.adaptive import attach

        return attach(self._cluster, rules)

    # --- losing the scheduler -------------------------------------------------------------------------------

    def _look(self) -> tuple[int, list[ClusterNode]]:
        queued, workers = self._ask(self._client.run_on_scheduler, private.snapshot())
        nodes = [cluster.node(*worker) for worker in workers]
        self._seen_slots = sum(node.slots for node in nodes)
        return queued + sum(node.waiting for node in nodes), nodes

    @property
    def _client(self) -> Any:
        if self._connection is None:
            raise SchedulerLostError(f"the scheduler at {self.where} cannot be used: it never answered")
        return self._connection.client

    def _ask(self, what: Callable[..., Any], *args: Any, **options: Any) -> Any:
        assert self._connection is not None
        return self._connection.ask(what, *args, **options)

    def _unusable(self) -> str:
        """Return why the cluster cannot take tasks now, or an empty string."""
        return self._closed or ("it never answered" if self._connection is None else self._connection.why())

    def _lose(self, reason: str) -> None:
        """End all tasks, or make them here."""
        tasks = self._tasks.take_all()
        if not tasks:
            return
        log.warning("the scheduler at %s is lost, with %d tasks: %s", self.where, len(tasks), reason)
        if self._may_fall_back:
            cluster.run_here(tasks, self._other())
            with self._lock:
                self.local_runs += len(tasks)
            return
        for task in tasks:
            task.set_exception(SchedulerLostError(f"the scheduler at {self.where} was lost: {reason}"))

    def _other(self) -> Backend:
        with self._lock:
            if self._fallback is None:
                from perfcore.scaling.local import LocalBackend

                self._fallback = self._own_fallback = LocalBackend()
            assert not isinstance(self._fallback, bool)
            return self._fallback

    _own_fallback: Backend | None = None

    async def _hear(self, event: tuple[float, Any]) -> None:
        """Count what has to be run again when a worker goes."""
        again = cluster.to_run_again(event[1])
        if again:
            mine = sum(key in self._tasks for key in again)
            self.rerun += mine
            if mine:
                log.warning("a worker was lost: %d tasks run again", mine)

    def close(self, *, wait: bool = True) -> None:
        """Accept nothing more, let pending tasks end, and end the cluster if this backend started it.

        Without ``wait`` pending tasks raise SchedulerLostError, as they do when it is lost meanwhile.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = "the backend is closed"
        if wait:
            self._tasks.wait()
        self._may_fall_back = False
        self._lose(self._closed)
        self._tasks.stop()
        if self._connection is not None:
            self._connection.close()
            cluster.end(self._connection.client, self._timeout)
        cluster.end(self._owned, self._timeout)
        if self._own_fallback is not None:
            self._own_fallback.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(wait=kind is None)

    @safe_repr
    def __repr__(self) -> str:
        state: Literal["closed", "lost", "connected"] = "connected"
        if self._unusable():
            state = "closed" if self._closed else "lost"
        return f"<DaskBackend {self.where}: {state}, {len(self._tasks)} tasks>"
