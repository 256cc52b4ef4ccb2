"""What one operation of a memory cache costs."""

from __future__ import annotations

import gc

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals.memory import operations
from benchmarks.rivals.memory.contenders import MEMO, RIVALS, contenders, named_module

TITLES = {
    "hit": "reading what is there",
    "miss": "reading what is not there",
    "insert": "inserting into room",
    "evicting insert": "inserting where another has to go",
    "zipf mix": "a request: read, and store on a miss",
}


def measure(plan: Plan) -> Suite:
    found = [*contenders(), MEMO]
    gc.disable()
    cells: dict[str, dict[str, float]] = {}
    for size in [10_000] if plan.quick else [1_000, 100_000]:
        count = plan.pick(100_000, 200_000)
        for what, row in operations.rows(size, plan.pick(3, 5), found, count):
            if what in TITLES:
                cells[f"{TITLES[what]}, {size:,} entries"] = row
    return Suite(
        title="One operation of a memory cache",
        method="Keys are str objects equal to the stored ones, but not the same. All caches take turns in "
        "each round, and the fastest round of each counts; the loop around the call is in everybody's "
        "time. Whoever has the statement cache[key] = value is written to by it, the others by their "
        "method set. functools.lru_cache is called, and stores what was not there by itself. A request is "
        "drawn by a Zipf law under which LRU hits nine times in ten.",
        command="python -m benchmarks.rivals.memory operations",
        tables=[
            Table(
                name="operations",
                title="Time of one operation",
                unit="ns",
                better="less",
                cells=cells,
                champions=["perfcore adaptive", "perfcore lru"],
                floors=["dict"],
                absent=absent(),
                notes=["dict is no cache: it has no bound. It is the least that a lookup in Python costs."],
            )
        ],
    )


def absent() -> dict[str, str]:
    return {package: "not installed" for package, module, _ in RIVALS if named_module(module) is None}
