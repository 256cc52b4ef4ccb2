"""What each cache keeps: hit ratios on the traces that come with the tests, each cache really driven.

Every request asks for the key, and stores it when it was not there, as a service does. What chooses by chance
(``adaptive``, ``random``) is the mean of several caches. ``best of ten`` is no library: it is the best of ten
published policies on that row, with hindsight.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.rivals.memory.contenders import FUNCTOOLS, Contender, contenders, named_module
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.serving import Server

TRACES = Path(__file__).parents[3] / "tests" / "data" / "traces"
BEST = "best of ten"
BY_CHANCE = ("perfcore adaptive", "perfcore random")
SEEDS = 3
#: points that ``adaptive`` may be below the best of all that take part, in the mean
GAP = 1.0

#: other policies that the rivals have, besides those that every part measures
MORE: list[tuple[str, str, str, str]] = [
    ("cachebox", "cachebox", "LFUCache", "cachebox lfu"),
    ("cachetools", "cachetools", "LFUCache", "cachetools lfu"),
]

#: hit ratio in per cent, by contender
Row = dict[str, float]


def read(name: str) -> list[int]:
    import numpy as np
    import zstandard

    with (TRACES / f"{name}.u32.zst").open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    keys: list[int] = np.frombuffer(data, "<u4").tolist()
    return keys


def table() -> list[tuple[str, int, float]]:
    """Return trace, capacity and the best of ten policies, row by row."""
    with (TRACES / "hit_ratios.csv").open() as file:
        return [(row["trace"], int(row["capacity"]), float(row["best"])) for row in csv.DictReader(file)]


def policies(found: list[Contender]) -> list[Contender | None]:
    """Return all that cache, the rivals' other policies too; None is functools."""
    more = [
        Contender(name, partial(_new, getattr(module, kind)), package=package)
        for package, place, kind, name in MORE
        if (module := named_module(place)) and any(c.package == package for c in found)
    ]
    return [*(c for c in found if c.name != "dict"), *more, None]


def _new(kind: Callable[[int], Any], size: int) -> Any:
    return kind(size)


def ratio(contender: Contender | None, capacity: int, keys: list[int]) -> float:
    times = SEEDS if contender is not None and contender.name in BY_CHANCE else 1
    return mean(100 * Server(contender, capacity).hits(keys) / len(keys) for _ in range(times))


def rows(found: list[Contender], every: int = 1) -> Iterator[tuple[str, Row]]:
    """Yield trace and capacity, and what each reaches; of each trace only one row in ``every``."""
    for name, group in groupby(table(), lambda row: row[0]):
        keys = read(name)
        for _, capacity, best in list(group)[::every]:
            row = {FUNCTOOLS if c is None else c.name: ratio(c, capacity, keys) for c in policies(found)}
            yield f"{name}, {capacity:,}", row | {BEST: best}


def run(options: argparse.Namespace) -> list[Bar]:
    found = dict(rows(options.contenders or contenders()))
    head = [*next(iter(found.values()))]
    cells = [[what, *(f"{row[name]:.1f}" for name in head)] for what, row in found.items()]
    means = {name: mean(row[name] for row in found.values()) for name in head}
    cells.append(["mean", *(f"{means[name]:.1f}" for name in head)])
    print_table("hits in per cent: trace, capacity", ["trace, entries", *head], cells)
    gap = mean(max(row.values()) - row["perfcore adaptive"] for row in found.values())
    return [Bar("points of perfcore adaptive below the best of all in each row, mean", gap, GAP)]
