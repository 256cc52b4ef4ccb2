"""One and several threads on one cache, with the GIL and without it."""

from __future__ import annotations

from benchmarks.report.pythons import NO_PYTHON, Cells
from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals.memory import threads
from benchmarks.rivals.memory.interpreters import Python, interpreters
from benchmarks.rivals.memory.serving import WITHOUT_LOCK

SIZE = 10_000


def measure(plan: Plan) -> Suite:
    return Suite(
        title="One and several threads",
        method=f"All threads share one warm cache of {SIZE:,} entries; each asks for keys of its own copy. "
        "hits: only what is there; mix: read, and store on a miss, nine in ten hit. Each contender runs in "
        "a process of its own; rounds take turns, the fastest counts. "
        f"{' and '.join(WITHOUT_LOCK)} are not safe where threads share them and are used under a lock, as "
        f"their documentation asks.{NO_PYTHON}",
        command="python -m benchmarks.rivals.memory threads",
        tables=[table(title, python, plan) for title, python in interpreters().items()],
    )


def table(title: str, python: Python, plan: Plan) -> Table:
    kinds, counts = (("mix",), (1, 2)) if plan.quick else (threads.KINDS, threads.COUNTS)
    found = Cells(title)
    measured = threads.measure(python, threads.NAMES, SIZE, plan.pick(100_000, 150_000), 2, kinds, counts)
    for kind, count, name, told in measured:
        found.take(name, told, {f"{kind}, {count} thread{'s' * (count > 1)}": told.found})
    return found.table(
        f"threads {title}",
        "Requests a second",
        unit="M/s",
        better="more",
        champions=["perfcore adaptive", "perfcore lru"],
    )
