"""How ``disk.py``'s stores do with many processes on one directory: tails, scaling, waiting."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.rivals.disk_stores import CONTENDERS, documents

SIZE, KEYS = 1000, 5000


class Tails(NamedTuple):
    """A get's median in quiet and its 99th percentile while another process writes, in microseconds."""

    quiet: float
    busy: float


class Scaling(NamedTuple):
    """Operations a second of all processes together; errors; the longest wait of any, in milliseconds."""

    rate: float
    errors: int
    longest: float


def _latencies(get: Any, keys: list[str]) -> list[float]:
    taken = []
    clock = time.perf_counter
    for key in keys:
        begin = clock()
        get(key)
        taken.append(clock() - begin)
    return taken


def _write(name: str, folder: Path, stop: Any) -> None:
    values = list(documents(KEYS, SIZE).items())
    store = CONTENDERS[name](folder)
    while not stop.is_set():
        store.set_all(dict(values[:1000]))
        store.flush()
    store.close()


def tails(name: str, reads: int = 20_000) -> Tails:
    """Measure a get while another process writes as fast as it can."""
    folder = Path(tempfile.mkdtemp(prefix="perfcore-bench-"))
    context = get_context("spawn")
    try:
        store = CONTENDERS[name](folder)
        values = documents(KEYS, SIZE)
        store.set_all(values)
        store.flush()
        keys = random.Random(3).choices(list(values), k=reads)
        get = store.getter()
        quiet = statistics.median(_latencies(get, keys))
        stop = context.Event()
        writer = context.Process(target=_write, args=(name, folder, stop))
        writer.start()
        time.sleep(1.5)
        busy = statistics.quantiles(_latencies(get, keys), n=100)[98]
        stop.set()
        writer.join()
        store.close()
        return Tails(quiet * 1e6, busy * 1e6)
    finally:
        shutil.rmtree(folder)


def quiet(name: str, reads: int) -> dict[str, float]:
    """Measure gets of 1 KB that nobody disturbs: median and tails in microseconds."""
    folder = Path(tempfile.mkdtemp(prefix="perfcore-bench-"))
    try:
        store = CONTENDERS[name](folder)
        values = documents(KEYS // store.share, SIZE)
        store.set_all(values)
        store.flush()
        keys, get = random.Random(3).choices(list(values), k=reads), store.getter()
        rounds = [_latencies(get, keys) for _ in range(3)]
        store.close()
    finally:
        shutil.rmtree(folder)
    shortest = sorted(map(min, zip(*rounds, strict=True)))
    return {
        what: shortest[min(int(share * reads), reads - 1)] * 1e6
        for what, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
    }


def _mixed(name: str, folder: Path, seed: int, count: int, gate: Any, report: Any) -> None:
    values = documents(KEYS, SIZE)
    draw, errors, longest = random.Random(seed), 0, 0.0
    keys, store = list(values), CONTENDERS[name](folder)
    get = store.getter()
    gate.wait()
    started = time.perf_counter()
    for _ in range(count):
        key, begin = draw.choice(keys), time.perf_counter()
        try:
            if draw.random() < 0.1:
                store.put(key, values[key])
            else:
                get(key)
        except Exception:
            errors += 1
        longest = max(longest, time.perf_counter() - begin)
    store.close()
    report.put((started, time.perf_counter(), errors, longest))


def scaling(name: str, processes: int, count: int = 20_000) -> Scaling:
    """Measure processes that read, and write one time in ten, on one directory."""
    folder = Path(tempfile.mkdtemp(prefix="perfcore-bench-"))
    context = get_context("spawn")
    try:
        store = CONTENDERS[name](folder)
        store.set_all(documents(KEYS, SIZE))
        store.flush()
        store.close()
        gate, report = context.Barrier(processes), context.Queue()
        workers = [
            context.Process(target=_mixed, args=(name, folder, seed, count, gate, report))
            for seed in range(processes)
        ]
        for worker in workers:
            worker.start()
        starts, ends, errors, longest = zip(*(report.get() for _ in workers), strict=True)
        for worker in workers:
            worker.join()
        return Scaling(processes * count / (max(ends) - min(starts)), sum(errors), max(longest) * 1e3)
    finally:
        shutil.rmtree(folder)
