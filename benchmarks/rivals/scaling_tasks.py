"""What a task costs that does nothing: on a cluster of two processes, and in a pool of two, beside others.

perfcore and distributed's own client ask one and the same cluster; the pools have processes of their own,
which are started before the clock runs. All take turns, and the fastest round of each counts.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from distributed import Client, LocalCluster
from loky import ProcessPoolExecutor as LokyExecutor

from perfcore.scaling import DaskBackend, HorizontalScaler, LocalBackend

Submit = Callable[[Callable[[], None]], Future[None]]
#: by name: how a task is handed in
Contenders = dict[str, Submit]
CLUSTER, POOL = "cluster of two", "two processes"


def nothing() -> None:
    pass


def one_by_one(submit: Submit, count: int) -> float:
    """Return the median of the seconds of a task that is waited for before the next."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        submit(nothing).result()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def burst(submit: Submit, count: int) -> float:
    """Return the seconds of a task of many that are handed in at once."""
    start = time.perf_counter()
    for task in [submit(nothing) for _ in range(count)]:
        task.result()
    return (time.perf_counter() - start) / count


@contextmanager
def contenders() -> Iterator[tuple[LocalCluster, dict[str, Contenders]]]:
    """Start everything, and yield the cluster and who asks it and who asks processes."""
    with ExitStack() as stack:
        cluster = stack.enter_context(
            LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")
        )
        client = stack.enter_context(Client(cluster))
        backend = stack.enter_context(DaskBackend(cluster))
        pool = stack.enter_context(LocalBackend(2, kind="process"))
        spawning = multiprocessing.get_context("spawn")
        plain = stack.enter_context(ProcessPoolExecutor(2, mp_context=spawning))
        loky = stack.enter_context(LokyExecutor(2))
        yield (
            cluster,
            {
                CLUSTER: {
                    "perfcore DaskBackend": backend.submit,
                    "distributed Client": lambda fn: client.submit(fn, pure=False),
                },
                POOL: {
                    "perfcore LocalBackend": pool.submit,
                    "ProcessPoolExecutor": plain.submit,
                    "loky": loky.submit,
                },
            },
        )


def times(found: dict[str, Contenders], count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return seconds of a task by row and contender."""
    cells: dict[str, dict[str, float]] = {}
    for where, asking in found.items():
        for submit in asking.values():
            burst(submit, 20)
        for _ in range(rounds):
            for name, submit in asking.items():
                for how, work in (("one after the other", one_by_one), (f"{count} at once", burst)):
                    row = cells.setdefault(f"{where}, {how}", {})
                    row[name] = min(row.get(name, float("inf")), work(submit, count))
    return cells


# --- nodes that come and go ---------------------------------------------------------------------------------


def resized(cluster: LocalCluster) -> dict[str, dict[str, float]]:
    """Return the seconds that a third node takes to come, and one of three busy ones to go, by contender."""
    with DaskBackend(cluster) as backend, Client(cluster) as client:
        # Dask first: it starts nothing any more where a worker's name was given by another one
        more = {"LocalCluster.scale": seconds(lambda: scale(cluster, client, 3))}
        fewer = {"LocalCluster.scale": busy(client, lambda: scale(cluster, client, 2))}
        scaler = HorizontalScaler(backend)
        more["perfcore HorizontalScaler"] = scaler.scale_out(3).seconds
        fewer["perfcore HorizontalScaler"] = busy(client, lambda: scaler.scale_in(2))
    return {"one more": more, "one fewer of three that are busy": fewer}


def seconds(change: Callable[[], Any]) -> float:
    start = time.perf_counter()
    change()
    return time.perf_counter() - start


def busy(client: Client, change: Callable[[], Any]) -> float:
    """Return the seconds of a change while every node has tasks of 0.1 s, none of which may be lost."""
    tasks = client.map(time.sleep, [0.1] * 30, pure=False)
    taken = seconds(change)
    assert client.gather(tasks) == [None] * 30
    return taken


def scale(cluster: LocalCluster, client: Client, count: int) -> None:
    """Ask the cluster itself, and wait until the scheduler knows of so many."""
    cluster.scale(count)
    while len(client.scheduler_info(-1)["workers"]) != count:
        time.sleep(0.005)
