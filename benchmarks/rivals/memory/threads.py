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
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.rivals.memory.contenders import RIVALS, one
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.serving import FUNCTOOLS, WITHOUT_LOCK, Server
from benchmarks.rivals.memory.workload import Zipf, names

ROOT = Path(__file__).parents[3]
FREE = ROOT / "build" / "free-threaded"
NAMES = ("perfcore lru", "perfcore adaptive", *(name for name, _, _ in RIVALS), FUNCTOOLS)
KINDS = ("hits", "mix")
COUNTS = (1, 2, 4)
WITH, WITHOUT = "with the GIL", "without the GIL"


class Rate(NamedTuple):
    """Millions of requests a second, and whether the GIL was on after all; or why there is no rate."""

    rate: float = 0.0
    gil: bool = True
    version: str = ""
    failed: str = ""


# --- in the process of one contender ------------------------------------------------------------------------


def serve(name: str, size: int, kind: str, folder: Path, count: int) -> float:
    """Return millions of requests a second that ``count`` threads are served."""
    import numpy as np

    warm, ids = (np.load(folder / f"{kind}-{what}.npy").tolist() for what in ("warm", "requests"))
    keys = names(0, max(*warm, *ids) + 1)
    server = _server(name, size)
    server.loop([keys[i] for i in warm])()
    loops = [server.loop(_own(keys, ids, number)) for number in range(count)]
    ready, starts, ends = threading.Barrier(count), [0.0] * count, [0.0] * count

    def work(number: int) -> None:
        ready.wait()
        starts[number] = time.perf_counter()
        loops[number]()
        ends[number] = time.perf_counter()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count * len(ids) / (max(ends) - min(starts)) / 1e6


def _server(name: str, size: int) -> Server:
    if name == FUNCTOOLS:
        return Server(None, size)
    contender = one(name)
    if contender is None:
        raise SystemExit(f"{name} is not installed")
    return Server(contender, size, threading.Lock() if name in WITHOUT_LOCK else None)


def _own(keys: list[str], ids: list[int], number: int) -> list[str]:
    """Return what one thread asks for: key objects and an order of its own."""
    mine = ["".join(list(keys[i])) for i in ids]
    random.Random(number).shuffle(mine)
    return mine


def child(name: str, size: str, kind: str, folder: str, count: str) -> None:
    rate = serve(name, int(size), kind, Path(folder), int(count))
    gil = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
    print(json.dumps(Rate(rate, gil, sys.version.split()[0])))


# --- the table ----------------------------------------------------------------------------------------------


class Python(NamedTuple):
    """What starts a Python with perfcore in it; where, because ``-m`` looks there first; and where else."""

    executable: str
    folder: Path
    path: str = ""


def interpreters() -> dict[str, Python]:
    """Return the Pythons that there are, by name."""
    found = {WITH: Python(sys.executable, ROOT)}
    if (FREE / "bin" / "python").exists():
        found[WITHOUT] = Python(str(FREE / "bin" / "python"), FREE, str(ROOT))
    return found


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
) -> Iterator[tuple[str, int, str, Rate]]:
    """Yield kind, number of threads and contender, and how fast it was at best."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), size, count)
        for kind in kinds:
            for threads in counts:
                best: dict[str, Rate] = {}
                for _ in range(rounds):
                    for name in wanted:
                        rate = _in_a_process(python, name, size, kind, folder, threads)
                        best[name] = max(best.get(name, rate), rate)
                yield from ((kind, threads, name, rate) for name, rate in best.items())


def _in_a_process(python: Python, name: str, size: int, kind: str, folder: str, threads: int) -> Rate:
    command = [python.executable, "-W", "ignore", "-m", "benchmarks.rivals.memory.threads"]
    done = subprocess.run(
        [*command, name, str(size), kind, folder, str(threads)],
        env=os.environ | ({"PYTHONPATH": python.path} if python.path else {}),
        cwd=python.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Rate(failed=(done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return Rate(*json.loads(done.stdout))


def run(options: argparse.Namespace) -> list[Bar]:
    size = min(10_000, *map(int, options.sizes.split(",")))
    for title, python in interpreters().items():
        found: dict[tuple[str, int], dict[str, Rate]] = {}
        for kind, threads, name, rate in measure(python, NAMES, size, 200_000, options.rounds):
            found.setdefault((kind, threads), {})[name] = rate
        cells = [[f"{kind}, {n}", *map(_cell, row.values())] for (kind, n), row in found.items()]
        print_table(
            f"M requests/s, {size:,} entries, {title} (*: it is on)", ["requests, threads", *NAMES], cells
        )
    return []


def _cell(rate: Rate) -> str:
    return "-" if rate.failed else f"{rate.rate:.2f}{'*' * rate.gil}"


if __name__ == "__main__":
    child(*sys.argv[1:])
