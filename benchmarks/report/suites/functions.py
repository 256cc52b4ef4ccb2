"""What a call of a cached function costs."""

from __future__ import annotations

import gc

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import functions


def measure(plan: Plan) -> Suite:
    gc.disable()
    called, awaited = dict[str, dict[str, float]](), dict[str, dict[str, float]]()
    count, rounds = plan.pick(50_000, 100_000), plan.pick(3, 5)
    for size in [1_000] if plan.quick else [1_000, 100_000]:
        for row in functions.rows(size, count):
            found = functions.contenders()
            called[f"{row.title}, {size:,} entries"] = functions.measure(row, size, count, rounds, found)
        for row in functions.async_rows(size, count):
            found = functions.async_contenders()
            awaited[f"{row.title}, {size:,} entries"] = functions.measure(row, size, count, rounds, found)
    return Suite(
        title="Cached functions",
        method="Decorated functions, called with keys equal to those of the first calls, but not the same "
        "objects. A miss evicts; the function itself costs all the same, and is in the figure. All take "
        "turns, the fastest round counts. perfcore's lru_cache is held against the rivals where functions "
        "are called, its cached where they are awaited and, with one call for all who ask at once, beside "
        "lru_cache.",
        command="python -m benchmarks.rivals.functions",
        tables=[
            table("functions", "Time of one call", called, ["perfcore lru_cache", "perfcore cached"]),
            table("awaited functions", "Time of one awaited call", awaited, ["perfcore cached"]),
        ],
    )


def table(name: str, title: str, cells: dict[str, dict[str, float]], champions: list[str]) -> Table:
    return Table(name=name, title=title, unit="ns", better="less", cells=cells, champions=champions)
