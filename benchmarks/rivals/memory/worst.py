"""The worst of ten million mixed calls, while a cache grows to a million entries, beside dict's.

Of ten operations one inserts a new key, one overwrites, one misses and seven hit. The same operations run
twice, each time on a new cache, and an operation's time is the shorter one: what the machine
does in between is hardly twice at the same place, while growing is always there.
"""

from __future__ import annotations

import argparse
import gc
from array import array
from collections.abc import Callable
from itertools import cycle
from time import perf_counter_ns
from typing import Any

import numpy as np

from benchmarks.rivals.memory.contenders import Contender
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.workload import names

OPERATIONS = 10_000_000
ENTRIES = OPERATIONS // 10
CHUNK = 10_000
ROUNDS = 2
LIMIT = 0.2
WRITES = [True, False, False, True, False, False, False, False, False, False]


def requests() -> list[str]:
    """Return the keys: in turns of ten a new one, an absent one, and eight of those so far."""
    draw = np.random.default_rng(1)
    present, absent = names(0, ENTRIES), names(10**8, CHUNK)
    keys: list[str] = []
    for start in range(0, ENTRIES, CHUNK):
        turns = np.arange(start, start + CHUNK)[:, None]
        known = (draw.random((CHUNK, 8)) * (turns + 1)).astype(int).tolist()
        for turn, eight in enumerate(known):
            keys += [present[start + turn], absent[turn], *(present[i] for i in eight)]
    return keys


def times_of(contender: Contender, keys: list[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return the nanoseconds of each operation on a new cache."""
    get, write = contender.bound(ENTRIES)
    calls: list[Callable[..., Any]] = [write if writes else get for writes in WRITES]
    took = array("Q", bytes(8 * len(keys)))
    now = perf_counter_ns
    for at, (key, call) in enumerate(zip(keys, cycle(calls), strict=False)):
        start = now()
        call(key, None)
        took[at] = now() - start
    return np.array(took)


def run(options: argparse.Namespace) -> list[Bar]:
    wanted = [
        c for c in options.contenders if c.name == "dict" or c.name.startswith(("perfcore", "cachebox"))
    ]
    keys = requests()
    found = {}
    gc.collect()
    gc.freeze()
    gc.disable()
    for contender in wanted:
        times = times_of(contender, keys)
        for _ in range(ROUNDS - 1):
            np.minimum(times, times_of(contender, keys), out=times)
        found[contender.name] = [float(np.percentile(times, share)) / 1e3 for share in (50, 99, 99.99, 100)]
    gc.enable()
    gc.unfreeze()
    rows = [[name, *(f"{figure:,.2f}" for figure in figures)] for name, figures in found.items()]
    title = f"microseconds of a call, {OPERATIONS:,} mixed operations growing to {ENTRIES:,} entries"
    print_table(title, ["cache", "p50", "p99", "p99.99", "maximum"], rows)
    return [
        Bar(f"slowest call of {name}, of dict's", figures[3] / found["dict"][3], LIMIT)
        for name, figures in found.items()
        if name.startswith("perfcore") and "dict" in found
    ]
