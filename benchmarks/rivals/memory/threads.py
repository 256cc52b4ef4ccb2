"""How many requests a second one cache serves to one and to several threads, with the GIL and without it.

All threads share one warm cache, and each has keys and an order of its own. Two kinds: ``mix`` asks by a Zipf
law under which LRU hits nine times in ten, and stores what was not there; ``hits`` asks, by the same law,
only for what is there. A cache whose documentation wants a lock where threads share it gets one. Every
contender runs in a process of its own, because importing some of them switches the GIL on again, which is
found out and said. Rounds take turns, and the fastest counts. ``make free-threaded-rivals`` makes ready what
has no GIL.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.rivals.memory.contenders import FUNCTOOLS, RIVALS, one
from benchmarks.rivals.memory.interpreters import NOT_INSTALLED, Python, Told, ask, interpreters, tell
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.serving import WITHOUT_LOCK, Server
from benchmarks.rivals.memory.workload import Loop, Zipf, fresh, names

NAMES = ("perfcore lru", "perfcore adaptive", *(name for name, _, _ in RIVALS), FUNCTOOLS)
KINDS = ("hits", "mix")
COUNTS = (1, 2, 4)


# --- in the process of one contender ------------------------------------------------------------------------


def serve(name: str, size: int, kind: str, folder: Path, count: int) -> float:
    """Return millions of requests a second that ``count`` threads are served."""
    keys, warm, ids = load(folder, kind)
    server = server_of(name, size)
    server.loop(warm)()
    seconds = together([server.loop(own(keys, ids, number)) for number in range(count)])
    return count * len(ids) / seconds / 1e6


def load(folder: Path, kind: str) -> tuple[list[str], list[str], list[int]]:
    """Return all keys, those that a cache is warmed with, and which ones are asked for."""
    import numpy as np

    warm, ids = (np.load(folder / f"{kind}-{what}.npy").tolist() for what in ("warm", "requests"))
    keys = names(0, max(*warm, *ids) + 1)
    return keys, [keys[i] for i in warm], ids


def together(loops: Sequence[Loop]) -> float:
    """Run each loop in a thread; return the seconds from the first one's own start to the last one's end."""
    ready, starts, ends = threading.Barrier(len(loops)), [0.0] * len(loops), [0.0] * len(loops)

    def work(number: int) -> None:
        ready.wait()
        starts[number] = time.perf_counter()
        loops[number]()
        ends[number] = time.perf_counter()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(loops))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(ends) - min(starts)


def server_of(name: str, size: int, shared: bool = True) -> Server:
    """Return one cache, under a lock where it is shared and its documentation wants one.

    Raises:
        SystemExit: where its package is not installed.
    """
    if name == FUNCTOOLS:
        return Server(None, size)
    contender = one(name)
    if contender is None:
        raise SystemExit(f"{name} {NOT_INSTALLED}")
    return Server(contender, size, threading.Lock() if shared and name.startswith(WITHOUT_LOCK) else None)


def own(keys: list[str], ids: list[int], number: int) -> list[str]:
    """Return what one thread asks for: key objects and an order of its own."""
    mine = [keys[i] for i in ids]
    random.Random(number).shuffle(mine)
    return fresh(mine)


# --- the table ----------------------------------------------------------------------------------------------


def prepare(folder: Path, size: int, count: int) -> None:
    """Write the requests of both kinds, and what a cache is warmed with."""
    import numpy as np

    zipf = Zipf(size)
    np.save(folder / "mix-warm.npy", zipf.ids(2 * size + count))
    np.save(folder / "mix-requests.npy", zipf.ids(count))
    popular = zipf.ids(3 * count)
    np.save(folder / "hits-warm.npy", np.arange(size))
    np.save(folder / "hits-requests.npy", popular[popular < size][:count])


def measure(
    python: Python,
    wanted: Sequence[str],
    size: int,
    count: int,
    rounds: int,
    kinds: Sequence[str] = KINDS,
    counts: Sequence[int] = COUNTS,
) -> Iterator[tuple[str, int, str, Told]]:
    """Yield kind, number of threads and contender, and how fast it was at best."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), size, count)
        for kind in kinds:
            for threads in counts:
                best: dict[str, Told] = {}
                for _ in range(rounds):
                    for name in wanted:
                        told = ask(python, __spec__.name, (name, size, kind, folder, threads))
                        best[name] = max(best.get(name, told), told, key=lambda one: one.found or 0.0)
                yield from ((kind, threads, name, told) for name, told in best.items())


def run(options: argparse.Namespace) -> list[Bar]:
    size = min(10_000, *map(int, options.sizes.split(",")))
    for title, python in interpreters().items():
        found: dict[tuple[str, int], dict[str, Told]] = {}
        for kind, threads, name, told in measure(python, NAMES, size, 150_000, min(2, options.rounds)):
            found.setdefault((kind, threads), {})[name] = told
        cells = [[f"{kind}, {n}", *map(_cell, row.values())] for (kind, n), row in found.items()]
        print_table(
            f"M requests/s, {size:,} entries, {title} (*: it is on)", ["requests, threads", *NAMES], cells
        )
    return []


def _cell(told: Told) -> str:
    return "-" if told.failed else f"{told.found:.2f}{'*' * told.gil}"


if __name__ == "__main__":
    _, _name, _size, _kind, _folder, _count = sys.argv
    tell(serve(_name, int(_size), _kind, Path(_folder), int(_count)))
