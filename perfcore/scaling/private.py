"""The parts of Dask that are not public API, in one place: what a change of Dask can break.

The functions are made here and sent by value (nested functions are pickled as code), so that a scheduler
need not have perfcore installed. ``tests/scaling`` runs them at both ends of the range of versions in
``pyproject.toml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["pass_over_names", "progress", "redistribution", "resumption", "snapshot"]


def progress() -> Callable[..., Any]:
    """Return what a worker runs to tell how far its drain is: still taking work?, tasks, ended tasks.

    ``executing`` and ``long_running`` are what is being run. ``WorkerState.processing``, which the scheduler
    shows, also has what was assigned and will never start here: waiting for that to end waits for ever.
    """

    def tell(dask_worker: Any) -> tuple[bool, int, list[Any]]:
        state = dask_worker.state
        ended = [key for key, task in state.tasks.items() if task.state in ("memory", "error")]
        taking = dask_worker.status.name != "closing_gracefully"
        return taking, len(state.executing) + len(state.long_running), ended

    return tell


def pass_over_names(cluster: Any) -> None:
    """Let a cluster not call a new worker like one whose nanny is still ending, which takes two seconds.

    ``SpecCluster.scale`` takes any name that is not on its list, and then does not start what seems to run.
    """
    name_of = getattr(cluster, "_new_worker_name", None)
    while name_of is not None and name_of(cluster._i) in (cluster.workers.keys() | cluster.worker_spec):
        cluster._i += 1


def snapshot() -> Callable[..., Any]:
    """Return what the scheduler runs to describe its workers, in one round trip."""

    def look(dask_scheduler: Any) -> tuple[int, list[tuple[Any, ...]]]:
        queued = len(dask_scheduler.unrunnable) + len(dask_scheduler.queued)
        workers = []
        for address, ws in dask_scheduler.workers.items():
            metrics = ws.metrics or {}
            workers.append(
                (
                    *(ws.name, address, ws.nthreads, len(ws.processing), ws.status.name),
                    *(metrics.get("cpu"), metrics.get("memory"), ws.memory_limit or None),
                )
            )
        return queued, workers

    return look


def resumption(addresses: list[str], stimulus: str) -> Callable[..., Any]:
    """Return what the scheduler runs to put workers back to work whose retirement was begun.

    Dask does the same itself when a retirement fails (``Scheduler._track_retire_worker``).
    """

    def resume(dask_scheduler: Any) -> None:
        for address in addresses:
            ws = dask_scheduler.workers.get(address)
            if ws is not None:
                dask_scheduler.handle_worker_status_change("running", ws, stimulus)
                message = {"op": "worker-status-change", "status": "running", "stimulus_id": stimulus}
                dask_scheduler.stream_comms[address].send(message)

    return resume


def redistribution(above: float, below: float) -> Callable[..., Any]:
    """Return what the scheduler runs to even out its workers' tasks.

    It asks for moves as Dask's own work stealing does, which are confirmed by the worker that has the task:
    one that it has begun stays.
    """

    def move(dask_scheduler: Any) -> int:
        stealing = dask_scheduler.extensions["stealing"]
        running = list(dask_scheduler.running)
        loads = {ws: len(ws.processing) / ws.nthreads for ws in running}
        average = sum(loads.values()) / max(1, len(loads))
        idle = [ws for ws in running if loads[ws] < below * average]
        moved = 0
        for victim in [ws for ws in running if loads[ws] > above * average]:
            # the newest first: they are the furthest from being begun
            for ts in reversed(list(victim.processing)):
                if not idle or loads[victim] <= average:
                    break
                bound = ts.worker_restrictions or ts.host_restrictions
                if (bound and not ts.loose_restrictions) or ts.resource_restrictions or ts.actor:
                    continue
                if len(victim.processing) <= victim.nthreads:
                    break
                thief = min(idle, key=loads.__getitem__)
                if stealing.move_task_request(ts, victim, thief).startswith("steal-"):
                    moved += 1
                    loads[victim] -= 1 / victim.nthreads
                    loads[thief] += 1 / thief.nthreads
                    if loads[thief] >= average:
                        idle.remove(thief)
        return moved

    return move
