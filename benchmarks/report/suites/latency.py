"""The median and the slowest requests of a memory cache."""

from __future__ import annotations

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.report.suites.operations import absent
from benchmarks.rivals.memory import latency
from benchmarks.rivals.memory.contenders import contenders


def measure(plan: Plan) -> Suite:
    size, count = plan.pick(10_000, 100_000), plan.pick(100_000, 200_000)
    by_name = latency.measure([*(c for c in contenders() if c.name != "dict"), None], size, count)
    cells = {what: {name: row[what] for name, row in by_name.items()} for what in latency.SHARES}
    return Suite(
        title="Tails of a request",
        method=f"{count:,} requests to a warm cache of {size:,} entries, one thread: read, and store on a "
        f"miss; nine in ten hit. Each is timed by itself, played {latency.ROUNDS} times on a cache of its "
        "own, and the shortest time of each request counts, because what the machine does in between is "
        "hardly twice at the same place.",
        command="python -m benchmarks.rivals.memory latency",
        tables=[
            Table(
                name="latency",
                title=f"Time of one request, {size:,} entries",
                unit="ns",
                better="less",
                cells=cells,
                champions=["perfcore adaptive", "perfcore lru"],
                floors=[latency.CLOCK],
                absent=absent(),
                notes=["Reading the clock is in every figure; the clock alone shows how much that is."],
            )
        ],
    )
