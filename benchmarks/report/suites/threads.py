"""One and several threads on one cache, with the GIL and without it."""

from __future__ import annotations

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals.memory import threads
from benchmarks.rivals.memory.serving import WITHOUT_LOCK

SIZE = 10_000
NO_WHEEL = "no wheel of it installs on a CPython without the GIL (make free-threaded-rivals tries)"
NO_PYTHON = " There was no CPython without the GIL here; make free-threaded-rivals builds one."


def measure(plan: Plan) -> Suite:
    found = threads.interpreters()
    return Suite(
        title="One and several threads",
        method=f"All threads share one warm cache of {SIZE:,} entries; each asks for keys of its own copy. "
        "hits: only what is there; mix: read, and store on a miss, nine in ten hit. Each contender runs in "
        "a process of its own; rounds take turns, the fastest counts. "
        f"{' and '.join(WITHOUT_LOCK)} are not safe where threads share them and are used under a lock, as "
        "their documentation asks."
        f"{'' if threads.WITHOUT in found else NO_PYTHON}",
        command="python -m benchmarks.rivals.memory threads",
        tables=[table(title, python, plan) for title, python in found.items()],
    )


def table(title: str, python: threads.Python, plan: Plan) -> Table:
    kinds, counts = (("mix",), (1, 2)) if plan.quick else (threads.KINDS, threads.COUNTS)
    cells: dict[str, dict[str, float]] = {}
    absent, back = dict[str, str](), list[str]()
    measured = threads.measure(python, threads.NAMES, SIZE, plan.pick(100_000, 150_000), 2, kinds, counts)
    version = ""
    for kind, count, name, rate in measured:
        if rate.failed:
            absent[name] = (
                NO_WHEEL if title == threads.WITHOUT and "not installed" in rate.failed else rate.failed
            )
            continue
        version = rate.version
        cells.setdefault(f"{kind}, {count} thread{'s' * (count > 1)}", {})[name] = rate.rate
        if rate.gil and title == threads.WITHOUT and name not in back:
            back.append(name)
    notes = [f"{name} switches the GIL on when it is imported: its row is with the GIL." for name in back]
    return Table(
        name=f"threads {title}",
        title=f"Requests a second, CPython {version} {title}",
        unit="M/s",
        better="more",
        cells=cells,
        champions=["perfcore adaptive", "perfcore lru"],
        absent=absent,
        notes=notes,
    )
