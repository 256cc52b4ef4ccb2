"""How nodes of a Dask cluster leave without losing anything: what they run ends, what they hold moves.

``Cluster.scale`` downwards just closes workers, and ``retire_workers`` alone moves data but lets running
tasks be started again elsewhere (ARCHITECTURE.md has the figures). So:

1. retire without closing: the worker starts nothing more, and its results begin to move;
2. wait until it runs nothing, and the scheduler knows of everything that it has ended: the two talk in
   batches, and what is closed before its last word is computed again;
3. retire and close: what only it holds is moved, what it had not begun goes elsewhere;
4. once it is gone, take it off the cluster's list, or it would be started again.
"""

from __future__ import annotations

import asyncio
import time
from inspect import isawaitable
from itertools import count
from typing import Any

from perfcore._log import logger
from perfcore.scaling import private
from perfcore.scaling.errors import DrainError

__all__ = ["drain", "tidy"]

log = logger("scaling")

#: seconds between two looks at a worker that is ending its tasks
_POLL = 0.05
#: seconds for which a worker that was told to close may still be listed, and its nanny be there
_VANISH = 10.0

_numbers = count()


async def drain(
    client: Any, cluster: Any, workers: dict[str, Any], timeout: float, *, force: bool = False
) -> None:
    """Drain ``workers``, address to name, and end them; to be run on the client's loop.

    Raises DrainError when one still runs something after ``timeout`` seconds, or cannot be rid of its
    results, unless ``force`` closes it all the same. All are then back at work that were not closed.
    """
    addresses = list(workers)
    try:
        gone = await client.scheduler.retire_workers(workers=addresses, close_workers=False, remove=False)
        await _all_went(client, workers, gone)
        deadline = time.monotonic() + timeout
        busy = [address for address in addresses if not await _emptied(client, address, deadline)]
        if busy and not force:
            raise DrainError(f"{_named(workers, busy)} still had tasks to end after {timeout:g} s")
        gone = await client.scheduler.retire_workers(workers=addresses, close_workers=True, remove=True)
        await _all_went(client, workers, gone)
    except BaseException:
        await _resume(client, addresses)
        raise
    await _vanish(client, addresses)
    if cluster is not None:
        await _take_off(cluster, list(workers.values()))


async def _take_off(cluster: Any, names: list[Any]) -> None:
    """Let a cluster forget workers, or it starts them again; their nannies end while we go on."""
    spec = getattr(cluster, "worker_spec", {})
    if all(name in spec for name in names):
        for name in names:
            del spec[name]
        _tidying.add(task := asyncio.ensure_future(tidy(cluster)))
        task.add_done_callback(_tidying.discard)
        return
    done = cluster.scale_down(names)
    if isawaitable(done):
        await done


#: a task that nobody refers to may be collected
_tidying: set[asyncio.Future[None]] = set()


async def tidy(cluster: Any) -> None:
    """Wait until the nannies of workers that left have ended, and let the cluster drop them.

    A cluster that drops them sooner ends them itself, of which they complain in the log.
    """
    from distributed import Nanny

    deadline = time.monotonic() + _VANISH
    while left := [w for name, w in cluster.workers.items() if name not in cluster.worker_spec]:
        if not any(isinstance(w, Nanny) and w.status.name not in ("closed", "failed") for w in left):
            break
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(_POLL)
    await cluster


async def _emptied(client: Any, address: str, deadline: float) -> bool:
    """Wait until a worker has ended and reported all that it runs; False at the deadline."""
    while True:
        told = await client.run(private.progress(), workers=[address], on_error="ignore")
        if address not in told:  # it died: nothing to wait for
            return True
        taking, executing, ended = told[address]
        if not taking and not executing:
            assigned = await client.scheduler.processing(workers=[address])
            if not set(ended).intersection(assigned.get(address, ())):
                return True
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL)


async def _all_went(client: Any, workers: dict[str, Any], gone: dict[str, Any]) -> None:
    """Raise DrainError for those whose retirement Dask gave up."""
    missing = workers.keys() - gone.keys()
    if missing and (stuck := [address for address in await _listed(client) if address in missing]):
        raise DrainError(f"{_named(workers, stuck)} holds results that no other node can take")


async def _listed(client: Any) -> dict[str, Any]:
    workers: dict[str, Any] = (await client.scheduler.identity(n_workers=-1))["workers"]
    return workers


async def _vanish(client: Any, addresses: list[str]) -> None:
    """Wait until the scheduler has forgotten workers."""
    deadline = time.monotonic() + _VANISH
    while time.monotonic() < deadline and (await _listed(client)).keys() & set(addresses):
        await asyncio.sleep(_POLL)


async def _resume(client: Any, addresses: list[str]) -> None:
    try:
        resume = private.resumption(addresses, f"perfcore-resume-{next(_numbers)}")
        await client.run_on_scheduler(resume)
    except Exception as error:
        log.warning("workers could not be put back to work: %s", error)


def _named(workers: dict[str, Any], addresses: list[str]) -> str:
    return "node " + ", ".join(str(workers[address]) for address in addresses)
