"""The median and the slowest requests of a memory cache: one thread and two, with the GIL and without it."""

from __future__ import annotations

from benchmarks.report.pythons import NO_PYTHON, Cells
from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.report.suites.operations import absent
from benchmarks.rivals.memory import latency
from benchmarks.rivals.memory.contenders import FUNCTOOLS, contenders
from benchmarks.rivals.memory.interpreters import Python, interpreters
from benchmarks.rivals.memory.serving import WITHOUT_LOCK


def measure(plan: Plan) -> Suite:
    size, count = plan.pick(10_000, 100_000), plan.pick(50_000, 200_000)
    return Suite(
        title="Tails of a request",
        method=f"Each thread asks a warm cache of {size:,} entries {count:,} times: read, and store on a "
        "miss; nine in ten hit. Each contender has a process of its own, and each request is timed by "
        f"itself. They are played {latency.ROUNDS} times, each time on a new cache. With one thread the "
        "shortest time of each request counts, because what the machine does in between is hardly twice at "
        "the same place. With two threads, which share the cache, all requests count as they were, and the "
        f"best play of each figure. {' and '.join(WITHOUT_LOCK)} have a lock there, as their "
        f"documentation asks.{NO_PYTHON}",
        command="python -m benchmarks.rivals.memory latency",
        tables=[table(title, python, size, count) for title, python in interpreters().items()],
    )


def table(title: str, python: Python, size: int, requests: int) -> Table:
    found = Cells(title)
    wanted = [*(c.name for c in contenders() if c.name != "dict"), FUNCTOOLS]
    for count, name, told in latency.measure(python, wanted, size, requests):
        of = f", {count} thread{'s' * (count > 1)}"
        found.take(
            name, told, {} if told.failed else {what + of: told.found[what] for what in latency.SHARES}
        )
    return found.table(
        f"latency {title}",
        f"Time of one request, {size:,} entries",
        unit="ns",
        better="less",
        champions=["perfcore adaptive", "perfcore lru"],
        floors=[latency.CLOCK],
        missing=absent(),
        notes=["Reading the clock is in every figure; the clock alone shows how much that is."],
    )
