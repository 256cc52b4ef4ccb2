"""``simulate`` beside replaying the same trace through cachebox's LRU from Python: requests a second."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from benchmarks.rivals.memory.contenders import POLICIES
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.workload import timed
from perfcore import simulate

OLTP = Path(__file__).parents[4] / "shared" / "traces" / "arc_OLTP.u32.zst"
CAPACITIES = (250, 1000, 2000, 15_000)
BARS = {"lru": 10, "adaptive": 2.5}


def read(path: Path) -> np.ndarray[Any, np.dtype[np.uint32]]:
    with path.open("rb") as file:
        return np.frombuffer(zstandard.ZstdDecompressor().stream_reader(file).read(), "<u4")


def by_hand(make: Callable[[int], Any], capacity: int, keys: list[int]) -> int:
    """Replay through a cache, as a user without ``simulate`` would; return the hits."""
    cache = make(capacity)
    get, misses = cache.get, 0
    for key in keys:
        if get(key) is None:
            cache[key] = True
            misses += 1
    return len(keys) - misses


def run(options: argparse.Namespace) -> list[Bar]:
    try:
        make = importlib.import_module("cachebox").LRUCache
    except ImportError:
        print("simulate has nothing to be compared with: cachebox is not installed", file=sys.stderr)
        return []
    if not Path(options.trace).exists():
        print(f"simulate: there is no trace {options.trace}; name one with --trace", file=sys.stderr)
        return []
    trace = read(Path(options.trace))
    keys = trace.tolist()
    rows, bars = [], []
    for capacity in CAPACITIES:
        loops: dict[str, Callable[[], Any]] = {"cachebox": partial(by_hand, make, capacity, keys)}
        loops |= {policy: partial(simulate, trace, capacity, policy) for policy in POLICIES}
        best = dict.fromkeys(loops, float("inf"))
        for _ in range(options.rounds):
            for name, loop in loops.items():
                best[name] = min(best[name], timed(loop))
        rate = {name: len(trace) / seconds / 1e6 for name, seconds in best.items()}
        rows.append([f"{capacity:,}", *(f"{rate[n]:.1f} ({rate[n] / rate['cachebox']:.1f}x)" for n in rate)])
        bars += [
            Bar(
                f"rate of simulate {policy} at {capacity:,}, of cachebox's LRU",
                rate[policy] / rate["cachebox"],
                limit,
                True,
            )
            for policy, limit in BARS.items()
        ]
    head = [
        "capacity",
        "cachebox, from Python",
        *(f"simulate {name}" for name in loops if name != "cachebox"),
    ]
    print_table(f"M requests/s, {Path(options.trace).name}: {len(trace):,} requests", head, rows)
    return bars
