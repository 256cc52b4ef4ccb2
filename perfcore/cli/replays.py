"""Many simulations side by side: replays release the GIL, and Ctrl-C ends all of them within one piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import Any, cast

from perfcore.cli.trace import Trace
from perfcore.simulation import SimulationResult, simulate

__all__ = ["replay_all"]

#: seconds between two looks at the progress, and so for Ctrl-C to be noticed
_TICK = 0.1


class _Stopped(Exception):  # noqa: N818 (no error: a way out of a thread)
    """The run was given up."""


class _Shared:
    """What the threads have played in all, and whether they should go on."""

    def __init__(self) -> None:
        self.stop = Event()
        self.played = 0
        self._lock = Lock()

    def counter(self) -> Callable[[int, int], None]:
        """Return a progress callback for one simulation."""
        before = 0

        def progress(done: int, total: int) -> None:
            nonlocal before
            if self.stop.is_set():
                raise _Stopped
            with self._lock:
                self.played += done - before
            before = done

        return progress


def replay_all(
    trace: Trace,
    capacities: Sequence[int],
    policies: Sequence[str],
    seed: int,
    threads: int,
    tell: Callable[[int], None],
) -> list[SimulationResult]:
    """Simulate each policy at each capacity, in ``threads`` threads; policies are the slower index."""
    shared = _Shared()

    def play(policy: str, capacity: int) -> SimulationResult:
        named = cast("Any", policy)
        return simulate(trace.ids, capacity, named, trace.sizes, seed=seed, progress=shared.counter())

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(play, policy, capacity) for policy in policies for capacity in capacities]
        try:
            while wait(futures, _TICK).not_done:
                tell(shared.played)
        finally:
            shared.stop.set()
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]
