"""How long one request takes, and the slowest of a thousand: get, and store what was not there.

Requests follow a Zipf law under which LRU hits nine times in ten, on a warm cache. Each is timed by itself,
and so carries a reading of the clock, which the row ``the clock alone`` shows. What the machine does in
between is hardly twice at the same place: the sequence is played several times, each on a cache of its own,
and a request's time is its shortest.
"""

from __future__ import annotations

import argparse
import gc
from array import array
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import Any

import numpy as np

from benchmarks.rivals.memory.contenders import Contender
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.serving import FUNCTOOLS, Server
from benchmarks.rivals.memory.workload import Zipf

CLOCK = "the clock alone"
SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
ROUNDS = 3
Times = np.ndarray[Any, np.dtype[np.uint64]]


def timed_requests(serve: Callable[[Any], object], keys: list[str]) -> Times:
    took, now = array("Q", bytes(8 * len(keys))), perf_counter_ns
    for at, key in enumerate(keys):
        start = now()
        serve(key)
        took[at] = now() - start
    return np.array(took)


def request(server: Server) -> Callable[[Any], object]:
    """Return one request as a function; its call is in everybody's time."""
    if server.contender is None:
        return lambda key: server.function(key)
    get, write = server.get, server.write
    if server.contender.pairs:
        return lambda key: get(key)[1] or write(key, key)
    return lambda key: get(key) is not None or write(key, key)


def measure(found: Iterable[Contender | None], size: int, count: int) -> dict[str, dict[str, float]]:
    """Return nanoseconds by contender and share of the requests, the clock alone as the last."""
    zipf = Zipf(size)
    warm, keys = zipf.requests(2 * size + count), zipf.requests(count)
    best: dict[str, Times] = {}
    contenders = list(found)
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        for contender in contenders:
            server = Server(contender, size)
            server.loop(warm)()
            _keep(best, FUNCTOOLS if contender is None else contender.name, request(server), keys)
            del server
        _keep(best, CLOCK, lambda key: None, keys)
    gc.enable()
    return {
        name: {what: float(np.percentile(times, share)) for what, share in SHARES.items()}
        for name, times in best.items()
    }


def _keep(best: dict[str, Times], name: str, serve: Callable[[Any], object], keys: list[str]) -> None:
    times = timed_requests(serve, keys)
    best[name] = np.minimum(times, best.get(name, times))


def run(options: argparse.Namespace) -> list[Bar]:
    size = min(100_000, *map(int, options.sizes.split(",")))
    found = measure([*options.contenders, None], size, 200_000)
    rows = [[name, *(f"{row[what]:,.0f}" for what in SHARES)] for name, row in found.items()]
    print_table(f"ns of a request, {size:,} entries, nine in ten hit", ["cache", *SHARES], rows)
    return []
