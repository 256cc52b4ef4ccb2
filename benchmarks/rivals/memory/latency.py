"""How long one request takes, and the slowest of a thousand: get, and store what was not there.

Requests follow a Zipf law under which LRU hits nine times in ten, on a warm cache. Each is timed by itself,
and so carries a reading of the clock, which the row ``the clock alone`` shows. They are played several times,
each time on a cache of its own. With one thread a request's time is its shortest, because what the machine
does in between is hardly twice at the same place. With several, which ask one cache at once, what the others
do in between is what is asked for: all requests count as they were, and of the plays the best figure.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from benchmarks.rivals.memory.contenders import FUNCTOOLS
from benchmarks.rivals.memory.interpreters import Python, Told, ask, interpreters, tell
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.serving import Server, guarded
from benchmarks.rivals.memory.threads import load, own, prepare, server_of, together

CLOCK = "the clock alone"
SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
ROUNDS = 3
COUNTS = (1, 2)
Serve = Callable[[Any], object]
Times = np.ndarray[Any, np.dtype[np.uint64]]


# --- in the process of one contender ------------------------------------------------------------------------


def tails(name: str, size: int, folder: Path, count: int) -> dict[str, float]:
    """Return nanoseconds by share of the requests, which ``count`` threads ask at once."""
    keys, warm, ids = load(folder, "mix")
    asked = [own(keys, ids, number) for number in range(count)]
    gc.collect()
    gc.disable()
    plays = [play(warmed(name, size, warm, count > 1), asked) for _ in range(ROUNDS)]
    if count == 1:
        plays = [np.minimum.reduce(plays)]
    return {
        what: min(float(np.percentile(times, share)) for times in plays) for what, share in SHARES.items()
    }


def warmed(name: str, size: int, warm: list[str], shared: bool) -> Serve:
    """Return one request of a cache that has served some; its call is in everybody's time."""
    if name == CLOCK:
        return lambda key: None
    server = server_of(name, size, shared)
    server.loop(warm)()
    return request(server)


def request(server: Server) -> Serve:
    if server.contender is None:
        return lambda key: server.function(key)
    get, write = server.get, server.write
    if server.lock is not None:
        get, write = guarded(get, write, server.lock)
    if server.contender.pairs:
        return lambda key: get(key)[1] or write(key, key)
    return lambda key: get(key) is not None or write(key, key)


def play(serve: Serve, asked: Sequence[list[str]]) -> Times:
    """Return the time of each request of all threads."""
    took = [array("Q", bytes(8 * len(keys))) for keys in asked]
    together([timing(serve, keys, into) for keys, into in zip(asked, took, strict=True)])
    return np.concatenate(took)


def timing(serve: Serve, keys: list[str], took: array[int]) -> Callable[[], None]:
    def loop() -> None:
        now = perf_counter_ns
        for at, key in enumerate(keys):
            start = now()
            serve(key)
            took[at] = now() - start

    return loop


# --- the table ----------------------------------------------------------------------------------------------


def measure(
    python: Python, wanted: Sequence[str], size: int, requests: int, counts: Sequence[int] = COUNTS
) -> Iterator[tuple[int, str, Told]]:
    """Yield number of threads, contender, and what it told; the clock alone as the last."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), size, requests)
        for count in counts:
            for name in [*wanted, CLOCK]:
                yield count, name, ask(python, __spec__.name, (name, size, folder, count))


def run(options: argparse.Namespace) -> list[Bar]:
    size = min(100_000, *map(int, options.sizes.split(",")))
    wanted = [*(c.name for c in options.contenders if c.name != "dict"), FUNCTOOLS]
    for title, python in interpreters().items():
        rows = [
            [f"{name}, {count}", *(f"{told.found[what]:,.0f}" for what in SHARES)]
            for count, name, told in measure(python, wanted, size, 200_000)
            if not told.failed
        ]
        head = ["cache, threads", *SHARES]
        print_table(f"ns of a request, {size:,} entries, nine in ten hit, {title}", head, rows)
    return []


if __name__ == "__main__":
    _, _name, _size, _folder, _count = sys.argv
    tell(tails(_name, int(_size), Path(_folder), int(_count)))
