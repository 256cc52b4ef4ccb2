"""What is done with Dask's cluster objects and the scheduler's answers: starting, growing, describing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib.util import find_spec
from inspect import isawaitable
from math import isfinite
from typing import TYPE_CHECKING, Any

from perfcore._log import logger
from perfcore.errors import MissingExtraError
from perfcore.scaling import private
from perfcore.scaling.backend import Backend, ClusterNode
from perfcore.scaling.checks import nodes as checked
from perfcore.scaling.connection import distributed
from perfcore.scaling.drain import tidy
from perfcore.scaling.errors import CapacityError
from perfcore.scaling.tasks import ClusterTask

if TYPE_CHECKING:
    from perfcore.monitor import PerformanceMetrics

__all__ = [
    "addresses",
    "allow",
    "end",
    "grow",
    "is_given",
    "node",
    "overlay",
    "run_here",
    "start_local",
    "start_ssh",
    "to_run_again",
]

log = logger("scaling")

#: seconds between two looks at how many workers have come
_POLL = 0.05


# --- beginning and end --------------------------------------------------------------------------------------


def start_local(n_workers: int, threads: int, options: Mapping[str, Any]) -> Any:
    """Start processes on this machine, reachable from it alone, on ports that are free."""
    own = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "processes": True}
    return distributed().LocalCluster(
        n_workers=n_workers, threads_per_worker=checked("threads", threads), **{**own, **options}
    )


def start_ssh(hosts: list[str], options: Mapping[str, Any]) -> Any:
    """Start a scheduler on the first host and workers on the others."""
    if len(hosts) < 2:
        raise ValueError(f"Expected a host for the scheduler and one for workers, got {hosts!r} - at `hosts`")
    if find_spec("asyncssh") is None:
        raise MissingExtraError("asyncssh", "ssh")
    spec_cluster = distributed().SpecCluster
    from distributed.deploy.ssh import Scheduler, Worker

    common = {"connect_options": options.get("connect_options", {})}
    common["remote_python"] = options.get("remote_python")
    own = options.get("worker_options", {})
    # as SSHCluster does, and workers are called on the scheduler what they are called in the cluster
    names = [f"{host}-{n}" for n, host in enumerate(hosts[1:])]
    workers = {
        name: {"cls": Worker, "options": {"address": host, "kwargs": {**own, "name": name}, **common}}
        for name, host in zip(names, hosts[1:], strict=True)
    }
    kwargs = options.get("scheduler_options", {})
    scheduler = {"cls": Scheduler, "options": {"address": hosts[0], "kwargs": kwargs, **common}}
    return spec_cluster(workers, scheduler, name="perfcore-ssh")


def end(closable: Any, timeout: float) -> None:
    """Close a client or a cluster, however far gone it is."""
    if closable is None:
        return
    with suppress(OSError, TimeoutError, RuntimeError):
        if getattr(closable, "status", "") == "running" and hasattr(closable, "unsubscribe_topic"):
            closable.unsubscribe_topic("all")
        closable.close(timeout=timeout)


# --- nodes --------------------------------------------------------------------------------------------------


def node(
    name: Any,
    address: str,
    slots: int,
    processing: int,
    status: str,
    cpu: float | None,
    memory: float | None,
    limit: float | None,
) -> ClusterNode:
    """Return what the scheduler says of a worker as a node; its processor time becomes per cent of its slots.

    >>> node(0, "tcp://127.0.0.1:40001", 2, 5, "running", 150.0, 1e8, None).cpu
    75.0
    """
    running = min(processing, slots)
    return ClusterNode(
        *(str(name), address, slots, running, processing - running),
        "running" if status == "running" else "draining",
        None if cpu is None or not isfinite(cpu) else cpu / slots,
        memory,
        limit,
    )


async def addresses(client: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the workers of these names, address to the name that the cluster has for it."""
    workers = (await client.scheduler.identity(n_workers=-1))["workers"]
    known = {str(info["name"]): (address, info["name"]) for address, info in workers.items()}
    missing = [name for name in names if name not in known]
    if missing:
        raise KeyError(f"no node is called {', '.join(missing)}")
    return dict(known[name] for name in names)


def is_given(cluster: Any) -> bool:
    """Say whether a cluster consists of the machines that it was given, as one over SSH: it has no others."""
    return hasattr(cluster, "worker_spec") and not getattr(cluster, "new_spec", None)


def allow(target: int, limit: int | None, cluster: Any, where: str, spare: Mapping[Any, Any]) -> None:
    """Raise CapacityError where so many nodes are not to be had."""
    if limit is not None and target > limit:
        raise CapacityError(f"{target} nodes were asked for, there may be {limit}")
    if not hasattr(cluster, "scale"):
        raise CapacityError(
            f"{target} nodes were asked for, and nodes for {where} are not started from here: "
            "give DaskBackend the cluster object instead of its address, or start workers there"
        )
    if is_given(cluster) and target > (most := len(cluster.worker_spec) + len(spare)):
        raise CapacityError(f"{target} nodes were asked for, the cluster was given {most}")


async def grow(client: Any, cluster: Any, target: int, timeout: float, spare: dict[Any, Any]) -> None:
    """Ask for workers and wait for them; what has not come after ``timeout`` seconds is called off.

    A cluster of given machines gets back those that were taken off it, from ``spare``.
    """
    if is_given(cluster):
        await tidy(cluster)
        while spare and len(cluster.worker_spec) < target:
            name = next(iter(spare))
            cluster.worker_spec[name] = spare.pop(name)
        done: Any = cluster
    else:
        private.pass_over_names(cluster)
        done = cluster.scale(target)
    if isawaitable(done):
        await done
    deadline = time.monotonic() + timeout
    while True:
        workers = (await client.scheduler.identity(n_workers=-1))["workers"]
        if len(workers) >= target:
            return
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(_POLL)
    there = {info["name"] for info in workers.values()}
    missing = [name for name in getattr(cluster, "worker_spec", ()) if name not in there]
    called_off = cluster.scale_down(missing)
    if isawaitable(called_off):
        await asyncio.wait_for(called_off, timeout)
    raise CapacityError(f"{target} nodes were asked for, there are {len(workers)} after {timeout:g} s")


# --- what is measured ---------------------------------------------------------------------------------------


def overlay(metrics: PerformanceMetrics, queued: int | None, nodes: list[ClusterNode]) -> PerformanceMetrics:
    """Return ``metrics`` with what a cluster says in place of what this machine does.

    A node that has not reported yet makes the whole figure None: half of a cluster says nothing about it.
    """
    from msgspec.structs import replace

    system, application = metrics.system, metrics.application
    slots = sum(node.slots for node in nodes)
    cpu = memory = limit = None
    if nodes and all(node.cpu is not None for node in nodes):
        cpu = sum((node.cpu or 0.0) * node.slots for node in nodes) / slots
    if nodes and all(node.memory is not None and node.memory_limit for node in nodes):
        memory = float(sum(node.memory or 0.0 for node in nodes))
        limit = float(sum(node.memory_limit or 0.0 for node in nodes))
    share = None if memory is None or not limit else 100 * memory / limit
    workers = replace(
        application.workers,
        active=float(sum(node.running for node in nodes)) if nodes else None,
        queued=None if queued is None else float(queued),
    )
    return replace(
        metrics,
        system=replace(
            system,
            cpu=replace(system.cpu, usage=cpu),
            memory=replace(system.memory, used=memory, total=limit, percent=share),
        ),
        application=replace(application, workers=workers),
    )


# --- tasks --------------------------------------------------------------------------------------------------


def to_run_again(event: Any) -> set[Any]:
    """Return the keys that a departed worker had: results that only it held and, if it died, its tasks.

    >>> died = {"action": "remove-worker", "expected": False, "processing-tasks": ["a"]}
    >>> sorted(to_run_again({**died, "lost-computed-tasks": ["b"]})), to_run_again({**died, "expected": True})
    (['a', 'b'], set())
    """
    if not isinstance(event, Mapping) or event.get("action") != "remove-worker":
        return set()
    assigned = () if event.get("expected") else event.get("processing-tasks", ())
    return {*assigned, *event.get("lost-computed-tasks", ())}


def run_here(tasks: list[ClusterTask[Any]], backend: Backend) -> None:
    """Make the calls of lost tasks on another backend, and pass on what becomes of them."""
    for task in tasks:
        assert task.call is not None
        fn, args, kwargs, priority = task.call
        try:
            other = backend.submit(fn, *args, priority=priority, **kwargs)
        except Exception as error:
            task.set_exception(error)
        else:
            other.add_done_callback(_passing_on(task))


def _passing_on(task: ClusterTask[Any]) -> Any:
    def pass_on(other: Any) -> None:
        if other.cancelled():
            task.set_exception(CancelledError())
        elif (error := other.exception()) is not None:
            task.set_exception(error)
        else:
            task.set_result(other.result())

    return pass_on
